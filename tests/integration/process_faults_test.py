# SPDX-License-Identifier: Apache-2.0
"""What happens to the process: its log cannot be written, its clock jumps, it is paused, killed, or crashes."""

import json
import os
import re
import signal
import subprocess
import threading
import time

from support import client, upstream
from support.bounds import SteppingClock
from support.check import alone, envelope, equal
from support.invariants import Before
from support.load import Load
from support.weir import listening, wait_until

MIB = 1 << 20


def _policy(u, **more):
    return {"upstreams": {"app": {"url": u.url}}, **more}


def _ids(text):
    """Request ids of whole JSON lines, and the drops that marker lines tell of."""
    ids, dropped = [], 0
    for line in text.splitlines():
        if not line:
            continue        # the end of a line that an error tore
        record = json.loads(line)
        if "request_id" in record:
            ids.append(record["request_id"])
        else:
            dropped += record["dropped"]
    return ids, dropped


# ---- the access log ------------------------------------------------------------------------------------------------

def a_full_disk_under_the_log_costs_lines_and_nothing_else(t):
    u = t.upstream()
    weir = t.weir(_policy(u, access_log={"to": "/dev/full"}))
    others = t.bystanders(weir)
    now = others.mark(2.0)
    now.assert_served()
    total = now.total + others.end().total
    equal(weir.terminate(), 0)
    assert f"log_dropped={total}" in weir.stderr(), (total, weir.stderr())
    equal(weir.stderr().count("access log cannot be written"), 1, weir.stderr())
    t.note(f"{total} lines counted as dropped, {now}")


def a_reader_of_the_log_that_dies_kills_nothing(t):
    u = t.upstream()
    reader, writer = os.pipe()
    weir = t.weir(_policy(u), stdout=writer)
    os.close(writer)
    load = Load(weir.port, rate=200, connections=4).start()
    time.sleep(0.5)
    os.close(reader)        # EPIPE and, for who does not ignore it, SIGPIPE
    time.sleep(1.0)
    load.stop()
    equal(load.failed(), [])
    assert weir.running()
    assert weir.metrics().sum("weir_log_dropped_total") > 0
    equal(weir.terminate(), 0)


def rotation_under_load_loses_and_splits_no_line(t):
    u = t.upstream()
    weir = t.weir(_policy(u), start=False)
    path = os.path.join(weir.directory, "requests.log")
    weir.write_policy(_policy(u, access_log={"to": path}))
    weir.start()
    load = Load(weir.port, rate=400, connections=8, request=lambda i: client.request_bytes(
        "GET", "/", {"X-Request-ID": f"id-{i}"})).start()
    rotations = 40 if t.thorough else 10
    for i in range(rotations):
        time.sleep(0.1)
        os.rename(path, f"{path}.{i}")
        weir.signal(signal.SIGUSR1)
        wait_until("a new file", lambda: os.path.exists(path), interval=0.002)
    load.stop()
    equal(load.failed(), [])
    equal(weir.terminate(), 0)
    ids = []
    for name in [path] + [f"{path}.{i}" for i in range(rotations)]:
        with open(name, encoding="utf-8") as f:
            text = f.read()
        assert text == "" or text.endswith("\n"), f"{name} ends in the middle of a line"
        found, dropped = _ids(text)
        ids += found
        equal(dropped, 0)
    equal(sorted(ids), sorted(f"id-{i}" for i in range(len(load.samples))))
    t.note(f"{rotations} rotations, {len(ids)} lines")


@alone
def a_log_that_is_blocked_under_load_slows_nobody_and_tells_of_its_gap(t):
    u = t.upstream()
    reader, writer = os.pipe()
    weir = t.weir(_policy(u, access_log={"buffer": "64KiB"}), stdout=writer)
    os.close(writer)
    collected, reading = bytearray(), threading.Event()

    def read():
        reading.wait()
        while data := os.read(reader, 65536):
            collected.extend(data)
        os.close(reader)
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    others = t.bystanders(weir, rate=300, connections=8, target="/" + "p" * 400)
    free = others.mark(0.3)     # the pipe and the ring still take them
    blocked = others.mark(3.0)
    reading.set()
    blocked.assert_served()
    allowed = 2 * free.p99 + 0.020 * t.slack
    assert blocked.p99 <= allowed, f"p99 {blocked.p99 * 1e3:.1f} ms instead of {free.p99 * 1e3:.1f} ms"
    last = others.end()
    sent = free.total + blocked.total + last.total + blocked.stale + last.stale
    wait_until("a time without drops", lambda: b"lines dropped" in collected)
    equal(weir.terminate(), 0)
    thread.join(10)
    ids, dropped = _ids(bytes(collected).decode())
    equal(len(ids), len(set(ids)))
    equal(len(ids) + dropped, sent, "lines read + drops told of")
    assert dropped > 0
    t.note(f"{dropped} of {sent} dropped; {free} -> {blocked}")


# ---- reload --------------------------------------------------------------------------------------------------------

@alone
def a_hundred_reloads_and_broken_files_under_load_fail_nothing(t):
    u = t.upstream()

    def policy(i):
        return _policy(u, rules=[{"name": "kept", "key": ["constant:all"], "limit": "1000000/day"},
                                 {"name": "changing", "key": ["client_ip"], "limit": f"{100000 + i}/day"}])
    weir = t.weir(policy(0))
    for i in range(10):
        weir.reload(policy(-1 - i))
    before = Before(t, weir)
    load = Load(weir.port, rate=200, connections=8).start()
    rounds = 100 if t.thorough else 20
    for i in range(1, rounds + 1):
        if i % 10 == 0:
            weir.reload("version: 1\nupstreams:\n  app: {url: \"http://127.0.0.1:1\"}\nrulez: []\n")
        weir.reload(policy(i))
    load.stop()
    equal(load.failed(), [])
    m = weir.metrics()
    equal(m.sum("weir_decisions_total", rule="kept", decision="allow"), len(load.samples), "unchanged counters")
    equal(m.sum("weir_config_reloads_total", result="ok"), rounds + 10)
    rejected = m.sum("weir_config_reloads_total", result="rejected")
    broken = rounds // 10       # each perhaps twice: who watches the file may be quicker than the signal
    assert broken <= rejected <= 2 * broken, f"{rejected} of {broken} broken files refused"
    equal(m.sum("weir_config_last_reload_successful"), 1)
    assert re.search(r"weir\.yaml:4", weir.stderr()), weir.stderr()[-2000:]
    equal(len(weir.records(len(load.samples))), len(load.samples))
    grown = before.assert_again(memory=0.05, spare=MIB)
    t.note(f"{rounds} reloads, {len(load.samples)} requests, {grown >> 10:+d} KiB")


# ---- clocks and pauses ---------------------------------------------------------------------------------------------

@alone
def a_wall_clock_that_jumps_an_hour_moves_no_timer(t):
    if not t.release:
        t.skip("a preloaded clock needs a build without sanitizers")
    u = t.upstream(upstream.by_path({"/slow": upstream.delayed(0.3)}))
    clock = SteppingClock(t.folder("clock"))
    weir = t.weir(_policy(u, limits={"header_timeout": "1s", "keepalive_timeout": "3s"},
                          rules=[{"name": "all", "key": ["constant:x"], "limit": "1000000/day"}]),
                  build=t.release, env=clock.env)
    load = Load(weir.port, rate=100, connections=8).start()
    with weir.connect() as idle, weir.connect() as slow:
        idle.request()
        begin = time.monotonic()
        slow.send(b"GET / HT")
        for shift in (3600, -3600, 0, 3600):
            clock.step_to(shift)
            equal(weir.get("/slow").status, 200)
        equal(slow.read().status, 408)
        took = time.monotonic() - begin
        assert 0.9 <= took <= 2.0, f"the head timer fired after {took:.2f} s"
        assert idle.is_closed(10)
        idle_for = time.monotonic() - begin
        assert 2.5 <= idle_for <= 4.0, f"the idle timer fired after {idle_for:.2f} s"
    clock.step_to(0)
    load.stop()
    equal(load.failed(), [])
    equal(len(weir.records(len(load.samples) + 6)), len(load.samples) + 6)
    t.note(f"{len(load.samples)} requests, timers after {took:.2f} and {idle_for:.2f} s")


@alone
def pauses_of_50_ms_time_out_nothing(t):
    u = t.upstream(upstream.delayed(0.01))
    weir = t.weir(_policy(u))
    weir.get()
    load = Load(weir.port, rate=100, connections=8).start()
    pauses = 60 if t.thorough else 15
    for _ in range(pauses):
        weir.signal(signal.SIGSTOP)
        time.sleep(0.05)
        weir.signal(signal.SIGCONT)
        time.sleep(0.1)
    resumed = time.monotonic()
    load.stop()
    late = [s for s in load.samples if s.at > resumed - 0.01 and s.seconds > 1.0]
    equal(late, [], "slow answers after the last pause")
    wrong = load.failed()
    assert len(wrong) <= len(load.samples) / 100, f"{len(wrong)} of {len(load.samples)}: {load.counts()}"
    t.note(f"{pauses} pauses, {len(wrong)} of {len(load.samples)} failed, p99 {load.quantile(0.99) * 1e3:.0f} ms")


# ---- death ---------------------------------------------------------------------------------------------------------

def a_weir_killed_again_and_again_starts_quickly_and_keeps_its_limits_in_redis(t):
    u = t.upstream()
    redis = t.redis()
    kills = 20 if t.thorough else 5
    weir = t.weir(_policy(u, store={"url": redis.url},
                          rules=[{"name": "few", "key": ["client_ip"], "limit": f"{2 * kills}/day"}]))
    slowest = 0.0
    for _ in range(kills):
        equal([weir.get().status for _ in range(2)], [200, 200])
        weir.kill()
        weir.expected_exit = 0
        begin = time.monotonic()
        weir.spawn()
        wait_until("it listens again", lambda: listening(f"127.0.0.1:{weir.port}"), interval=0.005)
        slowest = max(slowest, time.monotonic() - begin)
        wait_until("it is ready", lambda: _ready(weir), interval=0.005)
        wait_until("it is connected to Redis", lambda: weir.metrics().sum("weir_store_up") == 1, interval=0.005)
    assert slowest < 0.300 * t.slack, f"{slowest * 1e3:.0f} ms until it listened"
    equal(weir.get().status, 429, "after twice as many requests as kills")
    t.note(f"{kills} kills, listening after at most {slowest * 1e3:.0f} ms")


def _ready(weir):
    try:
        return weir.admin("/readyz", timeout=2).status == 200
    except (OSError, client.http1.Closed, TimeoutError):
        return False


def a_crash_leaves_a_backtrace_without_secrets(t):
    u = t.upstream()
    redis = t.redis()
    for number, name in ((signal.SIGSEGV, "SIGSEGV"), (signal.SIGABRT, "SIGABRT")):
        if t.build.sanitized and number == signal.SIGSEGV:
            continue    # the sanitizer's own report comes instead
        weir = t.weir(_policy(u, store={"url": f"{redis.url}/0"}, identity={"user": [{"header": "X-API-Key"}]},
                              rules=[{"name": "all", "key": ["user"], "missing": "skip", "limit": "9/day"}]),
                      through=["prlimit", "--core=0"])
        weir.get("/secret-path", {"X-API-Key": "secret-key", "Authorization": "Bearer secret-token"})
        weir.expected_exit = -number
        weir.signal(number)
        equal(weir.wait(20), -number)
        said = weir.stderr()
        assert f"ends by {name}" in said and len(re.findall(r"\[0x[0-9a-f]+\]", said)) >= 3, said
        assert "secret" not in said.partition("ends by")[2], said


def a_lack_of_memory_in_one_session_is_a_503_that_may_be_repeated(t):
    u = t.upstream()
    weir = t.weir(_policy(u))
    if not t.build.has_hooks:
        t.skip("built without test hooks")
    with weir.connect() as c:
        r = c.request("GET", "/", {"X-Weir-Test-Throw": "memory", "X-Request-ID": "no-memory"})
        envelope(r, 503, "overloaded", close=True)
        equal(r.header("Retry-After"), "1")
        assert c.is_closed()
    equal((weir.record("no-memory")["status"], weir.record("no-memory")["reason"]), (503, "memory"))
    equal(weir.get().status, 200)


def standard_streams_that_were_closed_never_become_sockets(t):
    u = t.upstream()
    weir = t.weir(_policy(u), through=["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"])
    for _ in range(5):
        equal(weir.get().status, 200)
    links = [os.readlink(f"/proc/{weir.process.pid}/fd/{fd}") for fd in (0, 1, 2)]
    equal(links, ["/dev/null"] * 3)
