# SPDX-License-Identifier: Apache-2.0
"""Clients in masses and clients without manners: they are refused by the limits, and nobody else notices.

Every test has its full figures with --thorough and a tenth of them otherwise."""

import collections
import json
import os
import re
import resource
import signal
import subprocess
import threading
import time

from support import client, upstream
from support.check import alone, equal
from support.crowd import Sink
from support.invariants import Before
from support.ports import free_port
from support.weir import Helper, listening, wait_until

MIB = 1 << 20
POOL = {"overflow": 20000, "idle_timeout": "500ms"}     # as many as there are clients, and soon gone


def _policy(u, **more):
    return {"upstreams": {"app": {"url": u.url, "pool": POOL, "timeout": upstream.PATIENCE}}, **more}


def _echo(t, size="1KiB"):
    """`weir echo`: an upstream in a process of its own, so that it is no slower for what the test does."""
    listen = f"127.0.0.1:{free_port()}"
    t.keep(Helper([(t.release or t.build).path, "echo", "--listen", listen, "--size", size]))
    wait_until("the upstream listens", lambda: listening(listen))
    return {"url": f"http://{listen}", "pool": POOL, "timeout": upstream.PATIENCE}


def _with_calm(t, u, **more):
    """Two upstreams: `u` for the test, another for the bystanders."""
    policy = _policy(u, **more)
    policy["upstreams"]["calm"] = _echo(t)
    policy["routes"] = [{"name": "calm", "match": {"path": "/calm"}, "upstream": "calm"},
                        {"name": "rest", "match": {"path": "/**"}, "upstream": "app"}]
    return policy


class _Others:
    """Bystanders of a weir that a crowd will come to, served for a while, and bystanders of a second weir that it
    will not: what a crowd costs the machine, it costs both."""

    def __init__(self, t, weir):
        calm = json.loads(weir.policy)["upstreams"]["calm"]
        second = t.weir({"upstreams": {"calm": calm}})
        self.t = t
        self.groups = [t.bystanders(w, rate=200 if t.thorough else 100, target="/calm") for w in (weir, second)]
        self.groups[0].mark(0.5)
        self.before = self.groups[0].mark(5.0 if t.thorough else 1.5)
        self.groups[1].mark()

    def end(self):
        self.now, self.elsewhere = (group.end() for group in self.groups)
        return self.now

    def assert_unharmed(self, factor=2.0):
        """p99 within `factor` of what it would be without the crowd, or with the crowd elsewhere."""
        self.now.assert_served()
        usual = max(self.before.p99, self.elsewhere.p99)
        allowed = factor * usual + (0 if self.t.thorough else 0.005 * self.t.slack)
        assert self.now.p99 <= allowed, f"others' p99 {self}"
        assert self.now.health_p90 <= 0.050 * self.t.slack, f"health {self.now.health_p90 * 1e3:.0f} ms"

    def __str__(self):
        return f"{self.before} -> {self.now}; meanwhile elsewhere {self.elsewhere}"


@alone
def slow_heads_are_closed_by_their_timer_and_others_are_served(t):
    count, seconds = (2000, 10.0) if t.thorough else (300, 1.5)
    u = t.upstream()
    weir = t.weir(_with_calm(t, u, limits={"header_timeout": f"{seconds * 1000:.0f}ms"}))
    weir.get()
    before = Before(t, weir)
    others = _Others(t, weir)
    crowd = t.crowd(weir).open(count, b"GET /slow HTTP/1.1\r\nHost: a\r\nX-Slow: ",
                               rate=count / seconds * 2)
    crowd.run(seconds + 5 * t.slack, crowd.all_closed, lambda m: crowd.say(m, b"x"), every=seconds / 5)
    now = others.end()
    equal(crowd.statuses(), {408: count})
    late = max(m.closed_at - m.opened_at - seconds for m in crowd.members)
    early = min(m.closed_at - m.opened_at - seconds for m in crowd.members)
    assert early > -0.05 and late < 3.0 * t.slack, f"closed {early:+.2f} to {late:+.2f} s around the timer"
    assert not any(r.target == "/slow" for r in u.requests), "a slow head reached the upstream"
    others.assert_unharmed()
    before.assert_again()
    equal(sum(r["status"] == 408 for r in weir.records(now.total + count)), count)
    t.note(f"{count} closed {early:+.2f} to {late:+.2f} s around the timer; others' {others}")


@alone
def slow_bodies_are_closed_by_their_rate_and_others_are_served(t):
    count = 1000 if t.thorough else 100
    u = t.keep(Sink())
    limits = {} if t.thorough else {"body_idle_timeout": "1s"}      # the rate counts after the first 10 s
    weir = t.weir(_with_calm(t, u, limits=limits))
    weir.get("/calm")
    before = Before(t, weir)
    others = _Others(t, weir)
    crowd = t.crowd(weir).open(count, b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nfew", rate=count / 4)
    crowd.run(16 + 5 * t.slack if t.thorough else 5 + 5 * t.slack, crowd.all_closed,
              (lambda m: crowd.say(m, b"x" * 100)) if t.thorough else None, every=1.0)
    now = others.end()
    equal(crowd.statuses(), {408: count})
    wait_until("the upstream is rid of them", lambda: u.open == 0, 10)
    assert u.accepted >= count and u.most < 100_000, f"the upstream got {u.most} bytes of a request"
    others.assert_unharmed()
    before.assert_again(spare=2 * MIB if t.thorough else count * 30_000)
    t.note(f"{count} bodies, closed within {max(m.closed_at - m.opened_at for m in crowd.members):.1f} s; "
           f"others' {others}")


def _position(records, request_id):
    return [r["request_id"] for r in records].index(request_id)


@alone
def whole_requests_are_served_before_clients_that_send_in_pieces(t):
    # The process is stopped until everything has come, so that nothing depends on how fast anybody is.
    count, share, turns = 600, 8, 10
    weir = t.weir({"upstreams": {"app": {"url": t.upstream().url}}, "workers": 1,
                   "routes": [{"name": "only", "match": {"path": "/only"}, "upstream": "app"}]})
    with weir.connect() as whole:
        whole.request("GET", "/none", {"X-Request-ID": "before"})
        crowd = t.crowd(weir).open(count, b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        wait_until("all have begun", lambda: weir.metrics().sum("weir_connections") == count + 1)
        weir.halt()
        for member in crowd.members:
            crowd.say(member, b"\0")       # which is answered and logged
        whole.send(client.request_bytes("GET", "/none", {"X-Request-ID": "whole"}))
        weir.signal(signal.SIGCONT)
        equal(whole.read().status, 404)
    crowd.run(10 * t.slack, crowd.all_closed)
    equal(crowd.statuses(), {400: count})
    records = weir.records(count + 2)
    ahead = _position(records, "whole") - 1
    assert ahead <= share * turns, f"{ahead} of {count} who sent in pieces were served first"
    t.note(f"{ahead} of {count} came first")


def the_table_of_descriptors_is_made_before_the_first_client_comes(t):
    # A worker that makes it grow waits for every CPU of the machine.
    weir = t.weir({"upstreams": {"app": {"url": t.upstream().url}}})
    with open(f"/proc/{weir.process.pid}/status", encoding="ascii") as f:
        size = int(re.search(r"FDSize:\s+(\d+)", f.read())[1])
    wanted = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    assert size >= wanted, f"room for {size} of {wanted} descriptors"


def _endless():
    """(name, what is sent again and again behind what)."""
    head = b"GET / HTTP/1.1\r\nHost: a\r\n"
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    block = 1 << 16
    return [("request line", b"GET /", b"a" * block), ("field line", head + b"X: ", b"a" * block),
            ("fields", head, b"X-A: b\r\n" * (block // 8)), ("empty lines", b"", b"\r\n" * (block // 2)),
            ("no line end", b"", b"G" * block), ("chunk extension", chunked + b"1;", b"a" * block),
            ("chunk extensions", chunked, b"1;a=b\r\nx\r\n" * (block // 10)), ("chunk size", chunked, b"0" * block),
            ("trailers", chunked + b"0\r\n", b"X-A: b\r\n" * (block // 8)),
            ("trailer line", chunked + b"0\r\nX: ", b"a" * block)]


def endless_heads_chunks_and_trailers_are_refused_at_the_limits(t):
    u = t.upstream()
    weir = t.weir(_policy(u, workers=1))
    for _ in range(20):
        weir.get()
    total = 64 * MIB if t.thorough else 2 * MIB
    worst = 0
    for name, first, more in _endless():
        start = weir.memory_bytes()
        with client.Connection(weir.port) as c:
            sent = 0
            try:
                c.send(first)
                while sent < total:
                    c.send(more)
                    sent += len(more)
            except OSError:
                pass
            answer = c.read_until_close(10)
        assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 414", b"HTTP/1.1 431", b"HTTP/1.1 501", b"") or sent < total, \
            f"{name}: {answer[:60]!r} after {sent} bytes"
        assert sent < total or total < 8 * MIB, f"{name}: {sent} bytes were taken"
        grown = weir.memory_bytes() - start
        worst = max(worst, grown)
        if not t.build.sanitized:
            assert grown <= MIB, f"{name}: +{grown >> 10} KiB"
        equal(weir.get().status, 200, f"after {name}")
    assert all(r.body is not None or r.method == "POST" for r in u.requests), u.requests
    t.note(f"at most +{worst >> 10} KiB per connection")


def a_client_that_only_writes_requests_is_stopped_by_backpressure(t):
    u = t.upstream(upstream.ok(b"x" * 1000))
    weir = t.weir(_policy(u, workers=1, limits={"write_idle_timeout": "2s"}))
    with weir.connect() as c:
        for _ in range(200):
            c.request("POST", "/", body=b"x" * 20000)
    start = weir.memory_bytes()
    total, request = (64 if t.thorough else 16) * MIB, client.request_bytes()
    crowd = t.crowd(weir, reading=False, receive_buffer=4096).open(1, request * (total // len(request)))
    crowd.run(20 * t.slack if t.thorough else 6 * t.slack, lambda: weir.metrics().sum("weir_connections") == 0)
    member = crowd.members[0]
    assert member.sent < total, "everything was taken"
    grown = weir.memory_bytes() - start
    if not t.build.sanitized:
        assert grown <= MIB, f"+{grown >> 10} KiB"
    wait_until("the connection is closed", lambda: weir.metrics().sum("weir_connections") == 0, 20)
    equal(weir.get().status, 200)
    t.note(f"{member.sent >> 10} of {total >> 10} KiB taken, +{grown >> 10} KiB")


@alone
def ten_thousand_idle_connections_cost_little_and_new_ones_are_accepted(t):
    count = 10000 if t.thorough else 1000
    weir = t.weir({"upstreams": {"app": _echo(t, "10B")}, "limits": {"connections": 19000}})
    weir.get()
    warm = t.crowd(weir).open(200, client.request_bytes())
    warm.run(20, lambda: all(m.count for m in warm.members))
    warm.stop()
    wait_until("they left", lambda: weir.metrics().sum("weir_connections") == 0)
    before = Before(t, weir)
    crowd = t.crowd(weir).open(count, client.request_bytes(), rate=3000)
    crowd.run(60, lambda: all(m.count for m in crowd.members))
    equal(crowd.statuses(), {200: count})
    each = before.growth() / count
    if not t.build.sanitized:
        assert weir.resident_bytes() <= 120 * MIB, weir.resident_bytes()
        assert each <= 1.2 * 1024 + (0 if t.thorough else 512), f"{each:.0f} bytes each"
    equal(weir.get().status, 200)
    equal(weir.metrics().sum("weir_connections"), count)
    crowd.stop()
    before.assert_again()
    t.note(f"{count} connections, {each:.0f} bytes each, {weir.resident_bytes() / MIB:.1f} MiB in all")


@alone
def slow_readers_hold_little_memory_and_are_closed(t):
    # a descriptor for each reader and one for the answer that waits for it
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = min(10000, (descriptors - 400) // 2) if t.thorough else 300
    weir = t.weir({"upstreams": {"app": _echo(t, "1MiB")},
                   "limits": {"write_idle_timeout": "3s", "connections": 12000}})
    for _ in range(20):
        weir.get()
    before = Before(t, weir)
    crowd = t.crowd(weir, reading=False, receive_buffer=4096).open(count, client.request_bytes())
    wait_until("all are answered", lambda: weir.metrics().sum("weir_upstream_pool_connections", state="busy") +
               weir.metrics().sum("http_server_request_duration_seconds_count") - 20 >= count, 30 * t.slack)
    each = (weir.peak_resident_bytes() - before.resident) / count
    if not t.build.sanitized:
        assert each <= 64 * 1024, f"{each:.0f} bytes each"
    wait_until("all are closed", lambda: weir.metrics().sum("weir_connections") == 0, 30 * t.slack)
    crowd.read_on()
    crowd.run(20, crowd.all_closed)
    assert all(m.count < MIB for m in crowd.members), "a cut answer looked whole"
    equal(weir.get().status, 200)
    statuses = collections.Counter(r["status"] for r in weir.records(count + 21))
    equal(sum(statuses.values()), count + 21)
    before.assert_again()
    t.note(f"{count} slow readers, {each / 1024:.1f} KiB each; {dict(statuses)}")


@alone
def connects_beyond_the_limit_of_one_address_are_refused_and_others_are_served(t):
    limit, rate, seconds = (500, 5000, 4.0) if t.thorough else (50, 1000, 1.0)
    u = t.upstream()
    weir = t.weir(_with_calm(t, u, limits={"connections_per_address": limit}))
    before = Before(t, weir)
    others = _Others(t, weir)       # they come from 127.0.0.1
    crowd = t.crowd(weir, source="127.0.0.2").open(int(rate * seconds), rate=rate)
    crowd.run(10 * t.slack, lambda: len(crowd.open_members()) <= limit)
    now = others.end()
    m = weir.metrics()
    equal(len(crowd.open_members()), limit, "open connections of the address")
    equal(m.sum("weir_connections_rejected_total", reason="address_limit"), len(crowd.members) - limit)
    for member in crowd.open_members()[:5]:
        crowd.say(member, client.request_bytes())
    crowd.run(5, lambda: all(x.status == 200 for x in crowd.open_members()[:5]))
    equal([x.status for x in crowd.open_members()[:5]], [200] * 5, "who was let in is served")
    others.assert_unharmed(factor=3.0)
    crowd.stop()
    before.assert_again()
    again = t.crowd(weir, source="127.0.0.2").open(limit)
    again.run(1)
    equal(len(again.open_members()), limit, "places are given back")
    t.note(f"{len(crowd.members)} connects at {rate}/s; others' {others}")


def a_trusted_proxy_may_open_more_connections_than_one_address(t):
    u = t.upstream()
    weir = t.weir(_policy(u, limits={"connections_per_address": 3},
                          client_ip={"trusted_proxies": ["127.0.0.2"]}))
    trusted, stranger = t.crowd(weir, source="127.0.0.2"), t.crowd(weir, source="127.0.0.3")
    for crowd in (trusted, stranger):
        crowd.open(10)
        crowd.run(0.5)
    equal((len(trusted.open_members()), len(stranger.open_members())), (10, 3))


def the_limit_of_connections_is_one_of_the_process(t):
    u = t.upstream()
    weir = t.weir(_policy(u, workers=2, limits={"connections": 20}))
    crowd = t.crowd(weir).open(100)
    crowd.run(5, lambda: len(crowd.open_members()) <= 20)
    equal(len(crowd.open_members()), 20)
    equal(weir.metrics().sum("weir_connections_rejected_total", reason="connection_limit"), 80)


def _cpu_seconds(weir):
    with open(f"/proc/{weir.process.pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@alone
def running_out_of_descriptors_costs_no_cpu_and_ends_when_some_are_free(t):
    u = t.upstream()
    explicit = {"limits": {"connections": 10000, "keepalive_timeout": "60s"}}
    for name, policy in (("explicit", explicit), ("auto", {})):
        weir = t.weir(_policy(u, workers=2, **policy), through=["prlimit", "--nofile=64:64"])
        before = Before(t, weir)
        crowd = t.crowd(weir).open(200, client.request_bytes())
        crowd.run(1.0)
        spent, begin = _cpu_seconds(weir), time.monotonic()
        crowd.run(2.0)
        share = (_cpu_seconds(weir) - spent) / (time.monotonic() - begin)
        assert share < 0.20, f"{name}: {share:.0%} of a CPU while short of descriptors"
        began = time.monotonic()
        equal(weir.admin("/livez").status, 200, "the admin port keeps its descriptors")
        health = time.monotonic() - began
        served = sum(m.status == 200 for m in crowd.members)
        assert served >= 10, crowd.statuses()
        assert set(crowd.statuses()) <= {200, 503, None}, crowd.statuses()
        with os.scandir(f"/proc/{weir.process.pid}/fd") as entries:
            streams = [os.readlink(e.path) for e in entries if e.name in ("0", "1", "2")]
        assert not any(s.startswith("socket:") for s in streams), streams
        crowd.stop()
        begin = time.monotonic()
        wait_until("new connections are served", lambda: _served(weir), 5 * t.slack, interval=0.05)
        resumed = time.monotonic() - begin
        assert resumed <= 1.0 * t.slack, f"{resumed:.2f} s"
        before.assert_again()
        t.note(f"{name}: {served} served, {share:.0%} CPU, health {health * 1e3:.0f} ms, resumed {resumed:.2f} s")


def _served(weir):
    try:
        return weir.get(timeout=2).status == 200
    except (OSError, client.http1.Closed, TimeoutError):
        return False


@alone
def running_out_of_memory_sheds_requests_and_kills_nothing(t):
    if t.build.sanitized and not t.release:
        t.skip("a sanitizer needs more address space than the limit")
    count = 4000 if t.thorough else 2500
    weir = t.weir({"upstreams": {"app": _echo(t, "1MiB")}, "workers": 1}, build=t.release,
                  through=["prlimit", f"--as={256 * MIB}"])
    readers = t.crowd(weir, reading=False, receive_buffer=4096).open(count, client.request_bytes())
    shed = refused = 0.0

    def asked_for_more():
        nonlocal shed, refused
        readers.run(0.3)
        equal(weir.admin("/livez").status, 200)
        m = weir.metrics()
        shed = m.sum("http_server_request_duration_seconds_count", http_response_status_code="503")
        refused = m.sum("weir_connections_rejected_total", reason="memory_limit")
        return shed > 0

    for _ in range(10):
        asked_for_more()
        readers.open(count // 10, client.request_bytes())
    wait_until("a request is shed", asked_for_more, 10 * t.slack)
    assert shed > 0 and shed + refused < 2 * count, (shed, refused)
    readers.stop()
    wait_until("requests are served again", lambda: _served(weir), 10)
    assert weir.running() and "terminate called" not in weir.stderr(), weir.stderr()
    t.note(f"{2 * count} slow readers in 256 MiB: {shed:.0f} answers 503, {refused:.0f} refused, "
           f"peak {weir.peak_resident_bytes() / MIB:.0f} MiB")


@alone
def allocations_that_fail_end_sessions_and_nothing_else(t):
    if not t.release:
        t.skip("a sanitizer ends the process when memory runs out")
    count = 3000 if t.thorough else 1000
    weir = t.weir({"upstreams": {"app": _echo(t, "1MiB")}, "limits": {"write_idle_timeout": "2s"}}, build=t.release,
                  env={"MALLOC_ARENA_MAX": "1"})    # one heap: no spare address space
    weir.get()
    with open(f"/proc/{weir.process.pid}/status", encoding="ascii") as f:
        size = int(re.search(r"VmSize:\s+(\d+) kB", f.read())[1]) * 1024
    # the budget was made for a process without a limit: nothing is shed before memory is gone
    _limit_memory(weir, size + 4 * MIB)
    readers = t.crowd(weir, reading=False, receive_buffer=4096).open(count, client.request_bytes())
    wait_until("allocations fail", lambda: readers.run(0.2) and "std::bad_alloc" in weir.stderr(), 20)
    for _ in range(5):
        readers.open(50, client.request_bytes())
        readers.run(0.2)
    assert weir.running() and "terminate called" not in weir.stderr(), weir.stderr()[-2000:]
    readers.stop()
    _limit_memory(weir, "unlimited")    # what is free may be in pieces too small
    wait_until("requests are served again", lambda: all(_served(weir) for _ in range(10)), 15)
    equal(weir.admin("/metrics").status, 200)
    t.note(f"{weir.stderr().count('std::bad_alloc')} lines about it")


def _limit_memory(weir, limit):
    subprocess.run(["prlimit", f"--pid={weir.process.pid}", f"--as={limit}:unlimited"], check=True, timeout=10)


def hostile_names_grow_neither_metrics_nor_memory(t):
    total = 100_000 if t.thorough else 4000
    u = t.upstream()
    weir = t.weir(_policy(u, rules=[{"name": "per-ip", "key": ["client_ip"], "limit": "1000000/day"}],
                          limits={"requests_per_connection": 1000000}, access_log={"to": "none"}))

    def ask(first, count):
        def run(part):
            with weir.connect(timeout=60) as c:
                for i in range(first + part, first + count, 4):
                    c.request(f"M{i}", f"/path/{i}", {"X-Request-ID": f"id-{i}"}, host=f"h{i}.example")
        threads = [threading.Thread(target=run, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    ask(0, 1000)
    before = weir.memory_bytes()
    ask(1000, total - 1000)
    equal(weir.metrics().sum("http_server_request_duration_seconds_count", http_request_method="_OTHER"), total)
    per_name = collections.Counter(name for name, _ in weir.metrics())
    assert max(per_name.values()) <= 200, per_name.most_common(3)
    grown = weir.memory_bytes() - before
    if not t.build.sanitized:
        assert grown <= 10 * MIB, f"+{grown >> 10} KiB"
    t.note(f"{total} names, at most {max(per_name.values())} series per metric, {grown >> 10:+d} KiB")
