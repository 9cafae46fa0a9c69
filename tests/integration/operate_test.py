# SPDX-License-Identifier: Apache-2.0
"""What an operator does and reads: start, stop, reload, logs, metrics."""

import collections
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

from support import client, upstream
from support.check import envelope, equal, fails_with
from support.context import Skip
from support.halted_thread import OPENAT, halted_at
from support.load import Load
from support.ports import free_port
from support.weir import Helper, listening, wait_until

PER_IP = [{"name": "per-ip", "key": ["client_ip"], "limit": "1000000/day"}]


def _policy(u, **more):
    return {"upstreams": {"app": {"url": u.url}}, **more}


def _run(t, *args, **kwargs):
    return subprocess.run([t.build.path, *args], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          **kwargs)


# ---- start and stop ------------------------------------------------------------------------------------------------

def the_smallest_policy_file_runs(t):
    u = t.upstream(upstream.ok(b"small"))
    weir = t.weir(f"version: 1\nupstreams:\n  app: {{url: \"{u.url}\"}}\n", start=False)
    # its defaults are 0.0.0.0:8080 and 127.0.0.1:9901; another process may hold them
    for port in (8080, 9901):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise Skip(f"port {port} is taken") from None
    weir.port, weir.admin_port = 8080, 9901
    weir.start()
    equal(weir.get().body, b"small")
    equal(weir.records(1)[0]["route"], "all")


def sigterm_under_load_fails_no_request(t):
    u = t.upstream(upstream.delayed(0.01))
    weir = t.weir(_policy(u, drain={"delay": "1500ms", "timeout": "10s"}))
    load = Load(weir.port, rate=200, connections=8).start()
    time.sleep(2.0 if not t.thorough else 19.0)
    weir.signal(signal.SIGTERM)
    signalled = time.monotonic()
    wait_until("/readyz says 503", lambda: weir.admin("/readyz").status == 503, 5)
    time.sleep(1.0)         # the time that an endpoint's removal takes
    load.stop()
    equal(weir.wait(), 0)
    took = time.monotonic() - signalled
    equal(load.failed(), [])
    assert load.stale <= 8, f"{load.stale} idle connections were closed under a request"
    equal(len(weir.records()), len(load.samples) + load.stale if load.stale else len(load.samples), "access records")
    assert 1.3 <= took <= 4 + t.slack, f"ended {took:.1f} s after SIGTERM"
    t.note(f"{len(load.samples)} requests, ended after {took:.1f} s")


def connections_are_served_during_the_drain_delay_and_idle_ones_closed_after_it(t):
    u = t.upstream()
    weir = t.weir(_policy(u, drain={"delay": "1500ms", "timeout": "10s"}))
    with weir.connect() as idle:
        equal(idle.request().status, 200)
        begin = time.monotonic()
        weir.signal(signal.SIGTERM)
        wait_until("/readyz says 503", lambda: weir.admin("/readyz").status == 503, 5)
        equal(weir.metrics().sum("weir_draining"), 1)
        with weir.connect() as late:    # the removal of the endpoint takes time
            r = late.request()
            equal((r.status, r.closes), (200, True))
            assert late.is_closed()
        equal(weir.running(), True)
        assert idle.is_closed(10)
        equal(weir.wait(), 0)
        took = time.monotonic() - begin
        assert 1.4 <= took <= 3 + t.slack, f"ended after {took:.2f} s"
    with fails_with(ConnectionRefusedError):
        weir.connect()


def requests_in_flight_finish_before_the_end(t):
    u = t.upstream(upstream.delayed(1.0, upstream.ok(b"done")))
    weir = t.weir(_policy(u, drain={"delay": "0s", "timeout": "10s"}))
    with weir.connect() as c:
        c.send(client.request_bytes())
        wait_until("the request is under way", lambda: u.requests)
        weir.signal(signal.SIGTERM)
        r = c.read()
        equal((r.status, r.body, r.closes), (200, b"done", True))
    equal(weir.wait(), 0)
    equal(len(weir.records()), 1)


def a_hung_request_is_cut_at_the_drain_deadline(t):
    u = t.upstream(upstream.silent)
    weir = t.weir(_policy(u, drain={"delay": "0s", "timeout": "1s"}))
    weir.expected_exit = 1
    with weir.connect() as c:
        c.send(client.request_bytes())
        wait_until("the request is under way", lambda: u.requests)
        begin = time.monotonic()
        weir.signal(signal.SIGTERM)
        data = c.read_until_close()
        assert data == b"" or data.startswith(b"HTTP/1.1 503 "), data
    equal(weir.wait(), 1)
    took = time.monotonic() - begin
    assert 0.5 <= took <= 1.5 + t.slack, f"ended after {took:.2f} s"
    wait_until("the attempt is cancelled", lambda: u.open_connections() == 0, 5)
    equal(len(weir.records()), 1)


def a_second_signal_ends_at_once(t):
    u = t.upstream(upstream.silent)
    weir = t.weir(_policy(u, drain={"delay": "20s", "timeout": "30s"}))
    weir.expected_exit = 1
    with weir.connect() as c:
        c.send(client.request_bytes())
        wait_until("the request is under way", lambda: u.requests)
        weir.signal(signal.SIGTERM)
        wait_until("/readyz says 503", lambda: weir.admin("/readyz").status == 503, 5)
        weir.signal(signal.SIGTERM)
        begin = time.monotonic()
        equal(weir.wait(10), 1)
        assert time.monotonic() - begin < 2 + t.slack


def a_look_for_storms_at_the_very_end_does_not_keep_the_process(t):
    # Every 2 s the main thread looks for a storm of connections that is over. It is held up, as it opens its log anew,
    # until the next look is due and the last worker has ended: then it finds both at once.
    answered = threading.Event()

    def script(x):
        answered.wait(30)
        x.respond(200, b"done")
    u = t.upstream(script)
    weir = t.weir(_policy(u, workers=1, log={"to": "own.log"}))
    main_thread, tasks = weir.process.pid, f"/proc/{weir.process.pid}/task"
    with weir.connect() as c:
        c.send(client.request_bytes())
        wait_until("the request is under way", lambda: u.requests)
        threads = len(os.listdir(tasks))
        weir.signal(signal.SIGTERM)
        wait_until("the worker drains", lambda: not listening(f"127.0.0.1:{weir.port}"))
        with halted_at(main_thread, OPENAT, lambda: weir.signal(signal.SIGUSR1)):
            held_up = time.monotonic()
            answered.set()
            equal(c.read().status, 200)
            wait_until("the worker has ended", lambda: len(os.listdir(tasks)) < threads)
            time.sleep(max(0.0, held_up + 2.1 - time.monotonic()))
        equal(weir.wait(10), 0)


def sigint_drains_without_delay(t):
    u = t.upstream()
    weir = t.weir(_policy(u, drain={"delay": "20s", "timeout": "30s"}))
    weir.get()
    begin = time.monotonic()
    weir.signal(signal.SIGINT)
    equal(weir.wait(10), 0)
    assert time.monotonic() - begin < 3 + t.slack


def the_exit_codes_are_0_64_and_78(t):
    equal(_run(t, "version").returncode, 0)
    equal(_run(t, "run", "--no-such-option").returncode, 64)
    equal(_run(t, "frobnicate").returncode, 64)
    folder = t.folder("policy")
    path = os.path.join(folder, "weir.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write("version: 1\nupstreams:\n  app: {url: \"http://127.0.0.1:1\"}\nrules:\n"
                "  - {name: per-ip, key: [client_ip], limit: 100, brust: 7}\n"
                "  - {name: x, key: [nobody], limit: 1/day}\n")
    for verb in (("check", path), ("run", "-c", path)):
        done = _run(t, *verb, cwd=folder)
        text = done.stdout + done.stderr
        equal(done.returncode, 78, f"{verb[0]}: {text}")
        for wanted in ("weir.yaml:5:", "brust", "burst", "weir.yaml:6:", "nobody"):
            assert wanted in text, f"{wanted!r} is not in:\n{text}"
    with open(path, "w", encoding="utf-8") as f:
        f.write("version: 1\nupstreams:\n  app: {url: \"http://127.0.0.1:1\"}\n")
    equal(_run(t, "check", path).returncode, 0)
    equal(_run(t, "run", "-c", os.path.join(folder, "missing.yaml")).returncode, 78)


def a_busy_port_is_named(t):
    u = t.upstream()
    for which in ("port", "admin_port"):
        weir = t.weir(_policy(u), start=False)
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", getattr(weir, which)))
            holder.listen()
            weir.spawn()
            equal(weir.wait(), 1)
        weir.expected_exit = 1
        assert "127.0.0.1" in weir.stderr() and str(getattr(weir, which)) in weir.stderr(), weir.stderr()
        assert "in use" in weir.stderr().lower(), weir.stderr()


def health_asks_the_admin_port(t):
    u = t.upstream()
    weir = t.weir(_policy(u))
    url = f"http://127.0.0.1:{weir.admin_port}"
    equal(_run(t, "health", "--admin", url).returncode, 0)
    equal(weir.terminate(), 0)
    equal(_run(t, "health", "--admin", url).returncode, 69)


def weir_echo_is_a_demo_upstream(t):
    listen = f"127.0.0.1:{free_port()}"
    echo = t.keep(Helper([t.build.path, "echo", "--listen", listen, "--delay", "5ms"]))
    wait_until("it listens", lambda: echo.running() and listening(listen))
    weir = t.weir({"upstreams": {"app": {"url": f"http://{listen}"}}})
    r = weir.fetch("POST", "/demo?x=1", {"X-Mine": "yes", "X-Request-ID": "seen"}, b"hello")
    equal((r.status, r.header("Content-Type")), (200, "application/json"))
    told = json.dumps(r.json())
    for wanted in ("POST", "/demo", "X-Mine", "yes", "seen", "1.1 weir"):
        assert wanted in told, f"{wanted!r} is not in {told}"
    equal(echo.terminate(), 0)


def a_killed_weir_starts_again_at_once(t):
    u = t.upstream()
    weir = t.weir(_policy(u))
    weir.get()
    weir.kill()
    weir.expected_exit = 0
    begin = time.monotonic()
    weir.start()
    equal(weir.get().status, 200)
    t.note(f"{time.monotonic() - begin:.2f} s")


# ---- reload --------------------------------------------------------------------------------------------------------

def a_weir_at_rest_is_small_after_its_start_and_after_a_reload(t):
    u = t.upstream()
    weir = t.weir(_policy(u))
    weir.get()
    start = weir.resident_bytes()
    weir.reload(_policy(u, rules=[{"name": "per-ip", "key": ["client_ip"], "limit": "300/day"}]))
    if not t.build.sanitized:   # a sanitizer's own memory is a multiple
        assert start <= 8 << 20, f"{start >> 10} KiB after the start"
        wait_until("a reload's pages are given back", lambda: weir.resident_bytes() <= start + (1 << 20), 10)
    equal(weir.get().status, 200)
    t.note(f"{start >> 10} KiB, then {weir.resident_bytes() >> 10} KiB")


def many_reloads_under_load_fail_nothing_and_keep_the_counters(t):
    u = t.upstream()

    def policy(round_number):
        return _policy(u, rules=[{"name": "per-ip", "key": ["client_ip"], "limit": "300/day"},
                                 {"name": "wide", "key": ["constant:all"], "limit": f"{100000 + round_number}/day"}])
    weir = t.weir(policy(0))
    weir.get()
    before = weir.memory_bytes()
    load = Load(weir.port, rate=200, connections=8).start()
    reloads = 15 if t.build.sanitized else 50
    for i in range(1, reloads + 1):
        weir.reload(policy(i))
        time.sleep(0.04)
    load.stop()
    equal(load.failed((200, 429)), [])
    equal(load.counts()[200], min(299, len(load.samples)), "admitted over all reloads")
    m = weir.metrics()
    equal(m.sum("weir_config_reloads_total", result="ok"), reloads)
    equal(m.sum("weir_decisions_total", rule="per-ip", decision="allow"), min(300, len(load.samples) + 1))
    grown = weir.memory_bytes() - before
    if not t.build.sanitized:   # their allocators hold freed memory back
        assert grown < 16 * 1024 * 1024, f"memory grew by {grown} bytes"
    t.note(f"{reloads} reloads, {len(load.samples)} requests, {grown / 1e6:+.1f} MB")


def a_reload_changes_the_limits_within_two_seconds(t):
    u = t.upstream()
    weir = t.weir(_policy(u, rules=[{"name": "per-ip", "key": ["client_ip"], "limit": "2/day"}]))
    equal([weir.get().status for _ in range(3)], [200, 200, 429])
    begin = time.monotonic()
    weir.reload(_policy(u, rules=[{"name": "other", "key": ["client_ip"], "limit": "5/day"}]))
    assert time.monotonic() - begin < 2 + t.slack
    equal([weir.get().status for _ in range(6)], [200] * 5 + [429])
    assert weir.get().error["details"]["rule"] == "other"


def a_reload_may_move_the_upstream(t):
    a, b = t.upstream(upstream.ok(b"a")), t.upstream(upstream.ok(b"b"))
    weir = t.weir(_policy(a))
    with weir.connect() as c:
        equal(c.request().body, b"a")
        weir.reload(_policy(b))
        equal(c.request().body, b"b")
    wait_until("the old pool is closed", lambda: a.open_connections() == 0, 10)


def a_bad_reload_keeps_the_old_configuration_and_names_the_line(t):
    u = t.upstream()
    weir = t.weir(_policy(u, rules=[{"name": "per-ip", "key": ["client_ip"], "limit": "2/day"}]))
    equal(weir.get().status, 200)
    weir.reload("version: 1\nupstreams:\n  app: {url: \"http://127.0.0.1:1\"}\nrulez: []\n")
    assert re.search(r"weir\.yaml:4(:1)?\b", weir.stderr()) and "rulez" in weir.stderr(), weir.stderr()
    equal([weir.get().status for _ in range(2)], [200, 429])
    m = weir.metrics()
    equal((m.sum("weir_config_reloads_total", result="rejected"), m.sum("weir_config_last_reload_successful")), (1, 0))
    verbose = weir.admin("/readyz?verbose")
    equal(verbose.status, 200)
    assert b"reload" in verbose.body, verbose.body
    weir.reload(_policy(u, rules=[{"name": "per-ip", "key": ["client_ip"], "limit": "4/day"}]))
    m = weir.metrics()
    equal((m.sum("weir_config_reloads_total", result="ok"), m.sum("weir_config_last_reload_successful")), (1, 1))


def an_identical_file_is_unchanged_and_another_store_is_refused(t):
    u = t.upstream()
    weir = t.weir(_policy(u))
    weir.reload()
    equal(weir.metrics().sum("weir_config_reloads_total", result="unchanged"), 1)
    weir.reload(_policy(u, store={"url": "redis://127.0.0.1:1"}))
    equal(weir.metrics().sum("weir_config_reloads_total", result="rejected"), 1)
    assert "E0406" in weir.stderr() and "store.url" in weir.stderr(), weir.stderr()
    equal(weir.get().status, 200)


# ---- access log ----------------------------------------------------------------------------------------------------

STAMP = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
TYPES = {"ts": str, "request_id": str, "client_ip": str, "peer_ip": str, "user_hash": str, "method": str, "path": str,
         "query": str, "host": str, "proto": str, "listener": str, "route": str, "upstream": str, "upstream_addr": str,
         "status": int, "decision": str, "rule": str, "key_hash": str, "reason": str, "limit": int, "remaining": int,
         "retry_after_ms": (int, float), "duration_ms": (int, float), "upstream_ms": (int, float),
         "limiter_ms": (int, float), "attempts": int, "bytes_in": int, "bytes_out": int, "truncated": bool}
ALWAYS = {"ts", "request_id", "client_ip", "status", "decision", "duration_ms"}


def _valid(record):
    assert ALWAYS <= set(record), f"missing {ALWAYS - set(record)} in {record}"
    for name, value in record.items():
        assert name in TYPES, f"undocumented field {name} in {record}"
        wanted = TYPES[name]
        assert isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool)), f"{name}={value!r}"
    assert STAMP.match(record["ts"]), record["ts"]
    assert record["decision"] in ("allow", "deny", "rejected"), record
    assert record["duration_ms"] >= record.get("upstream_ms", 0) - 0.001, record


def every_request_is_one_valid_line_and_the_counters_agree(t):
    u = t.upstream()
    weir = t.weir(_policy(u, rules=[{"name": "per-ip", "key": ["client_ip"], "limit": "1500/day"}]))
    total = 10_000 if t.thorough else 2000
    load = Load(weir.port, total=total, connections=16, request=lambda i: client.request_bytes(
        "GET", f"/{i % 7}?q={i}", {"X-Request-ID": f"id-{i}"})).start().join()
    equal(load.counts(), {200: 1500, 429: total - 1500})
    with weir.connect() as c:
        c.send(b"GET / HTTP/1.1\r\n\r\n")
        equal(c.read().status, 400)
    records = weir.records(total + 1)
    equal(len(records), total + 1)
    for record in records:
        _valid(record)
    equal({r["request_id"] for r in records if r["status"] != 400}, {f"id-{i}" for i in range(total)})
    m = weir.metrics()
    for status, count in collections.Counter(r["status"] for r in records).items():
        equal(m.sum("http_server_request_duration_seconds_count", http_response_status_code=str(status)), count, status)
    equal(m.sum("http_server_request_duration_seconds_count"), total + 1)
    for decision in ("allow", "deny"):
        equal(m.sum("weir_decisions_total", rule="per-ip", decision=decision),
              sum(r["decision"] == decision for r in records), decision)
    equal(m.sum("weir_upstream_requests_total", upstream="app", code="200"), sum("upstream_ms" in r for r in records))
    equal(m.sum("weir_http_rejected_total", code="400"), 1)
    equal(m.sum("weir_log_dropped_total"), 0)


def a_record_tells_what_happened(t):
    u = t.upstream(upstream.delayed(0.05, upstream.ok(b"x" * 500)))
    weir = t.weir(_policy(u, rules=PER_IP, identity={"user": [{"header": "X-API-Key"}]}))
    weir.fetch("POST", "/a//b?q=1", {"X-API-Key": "k", "X-Request-ID": "r1"}, b"y" * 300)
    r = weir.record("r1")
    _valid(r)
    equal({k: r[k] for k in ("method", "path", "query", "host", "proto", "route", "upstream", "upstream_addr", "status",
                             "decision", "rule", "attempts", "bytes_in", "bytes_out", "client_ip")},
          {"method": "POST", "path": "/a/b", "query": "q=1", "host": "a.example", "proto": "HTTP/1.1", "route": "all",
           "upstream": "app", "upstream_addr": f"127.0.0.1:{u.port}", "status": 200, "decision": "allow",
           "rule": "per-ip", "attempts": 1, "bytes_in": 300, "bytes_out": 500, "client_ip": "127.0.0.1"})
    assert 50 <= r["upstream_ms"] <= r["duration_ms"] < 50 + 500 * t.slack, r
    assert 0 <= r["limiter_ms"] < 50 * t.slack, r
    assert r["user_hash"] and "k" != r["user_hash"], r


def hostile_bytes_are_escaped_in_the_log(t):
    u = t.upstream()
    weir = t.weir(_policy(u, workers=1))    # one worker writes its lines in order
    for message in (b'GET /"\x7f\xff\x1b[31m HTTP/1.1\r\nHost: a\r\n\r\n',
                    b"GET /\xc3\x28?\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
                    b"GET /" + b"a" * 5000 + b'?"%22\\\r\n HTTP/1.1\r\n\r\n'):
        with weir.connect() as c:
            c.send(message)
            equal(c.read().status, 400)
    weir.get("/" + "b" * 5000)
    records = weir.records(4)
    equal(len(records), 4)
    for line, record in zip(weir.log_lines(), records):
        _valid(record)
        assert all(0x20 <= ord(ch) != 0x7f for ch in line), line
        assert len(line) < 8000, "a field was not cut"
    equal(records[3]["truncated"], True)


def the_request_id_is_kept_or_made_and_echoed_in_every_answer(t):
    u = t.upstream(upstream.by_path({"/reset": upstream.reset_after_body}))
    few = {"name": "few", "match": {"path": "/few"}, "key": ["client_ip"], "limit": "1/day"}
    weir = t.weir(_policy(u, rules=[few]))
    weir.get("/few")
    good = ["a", "A.b_c-9", "x" * 128]
    bad = ["", "a b", "x" * 129, "a;b", "ä"]
    for value in good + bad:
        sent_before = len(u.requests)
        for target, status in (("/", 200), ("/few", 429), ("/reset", 502)):
            r = weir.get(target, {"X-Request-ID": value})
            equal(r.status, status, target)
            echoed = r.header("X-Request-ID")
            if value in good:
                equal(echoed, value)
            else:
                assert re.fullmatch("[0-9a-f]{32}", echoed), echoed
        for request in u.requests[sent_before:]:
            assert request.header("X-Request-ID"), "the upstream gets it too"
    r = weir.get("/", [("X-Request-ID", "one"), ("X-Request-ID", "two")])
    assert re.fullmatch("[0-9a-f]{32}", r.header("X-Request-ID")), r
    with weir.connect() as c:
        c.send(b"GET / HTTP/1.1\r\n\r\n")
        r = c.read()
        equal((r.status, bool(re.fullmatch("[0-9a-f]{32}", r.header("X-Request-ID")))), (400, True))
        equal(weir.record(r.header("X-Request-ID"))["status"], 400)


def a_log_that_nobody_reads_stops_no_request_and_drops_are_counted_exactly(t):
    u = t.upstream()
    reader, writer = os.pipe()
    weir = t.weir(_policy(u, access_log={"buffer": "64KiB"}), stdout=writer)
    os.close(writer)
    total = 4000
    load = Load(weir.port, total=total, connections=8, request=lambda i: client.request_bytes(
        "GET", "/" + "p" * 200, {"X-Request-ID": f"id-{i}"})).start().join()
    equal(load.counts(), {200: total})
    wait_until("drops are counted", lambda: weir.metrics().sum("weir_log_dropped_total") > 0)
    collected = bytearray()

    def drain():
        while data := os.read(reader, 65536):
            collected.extend(data)
        os.close(reader)
    draining = threading.Thread(target=drain, daemon=True)
    draining.start()
    seen = [0, time.monotonic()]

    def quiet():
        if len(collected) != seen[0]:
            seen[:] = [len(collected), time.monotonic()]
        return time.monotonic() - seen[1] > 1.0
    wait_until("the backlog is written", quiet)
    dropped = weir.metrics().sum("weir_log_dropped_total")
    extra = 50
    for i in range(extra):
        equal(weir.get("/", {"X-Request-ID": f"late-{i}"}).status, 200)
    equal(weir.terminate(), 0)
    draining.join(10)
    lines = [json.loads(line) for line in bytes(collected).decode().splitlines()]
    markers = [line for line in lines if "request_id" not in line]
    ids = [line["request_id"] for line in lines if "request_id" in line]
    equal(len(ids), len(set(ids)))
    equal(sum(i.startswith("id-") for i in ids) + int(dropped), total, "lines read + lines dropped")
    equal(sum(i.startswith("late-") for i in ids), extra)
    equal(sum(m["dropped"] for m in markers), int(dropped), f"announced drops in {markers}")
    t.note(f"{int(dropped)} of {total} dropped, {len(markers)} marker line")


def the_access_log_may_be_a_file_that_sigusr1_reopens(t):
    u = t.upstream()
    weir = t.weir(_policy(u), start=False)
    path = os.path.join(weir.directory, "requests.log")
    weir.write_policy(_policy(u, access_log={"to": path}))
    weir.start()

    def lines(name):
        with open(name, encoding="utf-8") as f:
            return len(f.read().splitlines())
    for _ in range(5):
        weir.get()
    wait_until("five lines", lambda: lines(path) == 5)
    os.rename(path, path + ".1")
    weir.signal(signal.SIGUSR1)
    wait_until("a new file", lambda: os.path.exists(path))
    for _ in range(5):
        weir.get()
    wait_until("five lines in the new file", lambda: lines(path) == 5)
    equal(lines(path + ".1"), 5)


def the_own_log_may_be_json(t):
    u = t.upstream()
    weir = t.weir(_policy(u, log={"format": "json"}, rules=PER_IP))
    weir.get()
    equal(weir.terminate(), 0)
    lines = [json.loads(line) for line in weir.stderr().splitlines()]
    assert lines and all({"ts", "level", "msg"} <= set(line) for line in lines), lines
    assert "1 enforced" in weir.stderr(), weir.stderr()


# ---- admin port ----------------------------------------------------------------------------------------------------

def metrics_pass_promtool(t):
    promtool = t.need("promtool")
    u = t.upstream(upstream.by_path({"/reset": upstream.reset_after_body}))
    redis = t.redis()
    weir = t.weir(_policy(u, store={"url": redis.url}, rules=PER_IP))
    for target in ("/", "/reset", "/\\"):
        weir.get(target)
    redis.kill()
    weir.get()
    weir.reload()
    text = weir.metrics_text()
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
    equal((done.returncode, done.stdout + done.stderr), (0, ""))
    for name in ("http_server_request_duration_seconds_count", "weir_overhead_seconds_count", "weir_decisions_total",
                 "weir_store_up", "weir_store_errors_total", "weir_failure_mode_decisions_total", "weir_build_info",
                 "weir_upstream_requests_total", "weir_upstream_retries_total", "weir_connections",
                 "weir_config_reloads_total", "weir_log_dropped_total", "process_resident_memory_bytes"):
        assert weir.metrics().has(name), f"{name} is missing"


def hostile_requests_do_not_grow_the_metrics(t):
    u = t.upstream()
    weir = t.weir(_policy(u))
    with weir.connect() as c:
        for i in range(500):
            c.request(f"M{i}", f"/path/{i}", host=f"h{i}.example")
    weir.records(500)
    per_name = collections.Counter(name for name, _ in weir.metrics())
    assert max(per_name.values()) <= 200, per_name.most_common(3)
    equal(weir.metrics().sum("http_server_request_duration_seconds_count", http_request_method="_OTHER"), 500)
    assert "/path/" not in weir.metrics_text() and "h1.example" not in weir.metrics_text()


def the_admin_port_answers_what_it_should_and_nothing_else(t):
    u = t.upstream()
    weir = t.weir(_policy(u))
    for target in ("/livez", "/healthz", "/readyz", "/metrics"):
        equal(weir.admin(target).status, 200, target)
    equal(weir.admin("/nothing").status, 404)
    equal(client.fetch(weir.admin_port, "POST", "/livez", body=b"", host="localhost").status, 405)
    equal(client.fetch(weir.admin_port, "GET", "/livez", host="evil.example").status, 403)
    for target in ("/livez", "/metrics"):
        equal(weir.get(target).body, b"ok", "proxied like any path")
    equal(weir.admin("/nothing", timeout=5).header("Server"), None)
    equal([r.target for r in u.requests], ["/livez", "/metrics"])


# ---- faults inside -------------------------------------------------------------------------------------------------

def an_exception_in_one_session_harms_no_other(t):
    u = t.upstream(upstream.by_path({"/slow": upstream.delayed(0.5, upstream.ok(b"slow"))}))
    weir = t.weir(_policy(u, rules=PER_IP))
    throwing = {"X-Weir-Test-Throw": "session", "X-Request-ID": "thrown-1"}
    if not t.build.has_hooks:
        equal(weir.get("/", throwing).status, 200)
        raise Skip("built without test hooks; the header does nothing")
    slow = weir.connect()
    slow.send(client.request_bytes("GET", "/slow"))
    wait_until("another session is busy", lambda: u.requests)
    with weir.connect() as c:
        c.send(client.request_bytes("GET", "/", throwing))
        envelope(c.read(), 500, close=True)
        assert c.is_closed()
    equal(slow.read().body, b"slow")
    equal(slow.request("GET", "/again").status, 200)
    slow.close()
    equal(weir.get().status, 200)
    lines = [line for line in weir.stderr().splitlines() if "thrown-1" in line]
    equal(len(lines), 1, f"lines about it in {weir.stderr()}")
    assert "error_type=" in lines[0] and "request_id=thrown-1" in lines[0], lines
    equal(weir.record("thrown-1")["status"], 500)
    equal(weir.metrics().sum("http_server_request_duration_seconds_count", http_response_status_code="500"), 1)
