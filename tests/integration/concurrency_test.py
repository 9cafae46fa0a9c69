# SPDX-License-Identifier: Apache-2.0
"""Limits on requests at the same time: slots, queues, leases, and every way a request can end."""

import subprocess
import threading
import time

from support import client
from support.check import envelope, equal
from support.upstream import by_path, close_after_body, ok, raw
from support.weir import wait_until


def _store(redis):
    return {"url": redis.url, "failure_mode": "deny", "pool": {"command_timeout": "10s"}} if redis else {}


class Gate:
    """An upstream script that holds requests until it is told to let them go, one by one or all."""

    def __init__(self):
        self.waiting, self.open = [], threading.Event()
        self.lock = threading.Lock()

    def __call__(self, x):
        x.read_body()
        go = threading.Event()
        with self.lock:
            self.waiting.append((x.request.target, go))
        deadline = time.monotonic() + 30
        while not go.is_set() and not self.open.is_set() and time.monotonic() < deadline:
            if x.wait_for_peer_close(0.01):
                with self.lock:
                    self.waiting = [w for w in self.waiting if w[1] is not go]
                x.close()
        x.respond(200, b"done")

    def targets(self):
        with self.lock:
            return [target for target, go in self.waiting if not go.is_set()]

    def release(self, target):
        with self.lock:
            next(go for name, go in self.waiting if name == target and not go.is_set()).set()


def _weir(t, limit, script, redis=None, rules=(), **policy):
    u = t.upstream(script)
    full = {"name": "c", "key": ["client_ip"], "max": 1, **limit}
    return t.weir({"upstreams": {"app": {"url": u.url, "timeout": {"first_byte": "30s", "total": "40s"},
                                         "retry": {"attempts": 0}}},
                   "rules": list(rules), "concurrency": [full], "store": _store(redis), **policy})


def _ask(weir, path, results=None):
    """A request in a thread of its own; its status goes to `results[path]`."""
    def run():
        try:
            r = weir.get(path, timeout=40)
            if results is not None:
                results[path] = r
        except (OSError, TimeoutError, client.http1.Closed):
            pass
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _gauge(weir, what):
    return weir.metrics().sum(f"weir_concurrency_{what}", name="c")


def _rejected(weir, reason):
    return weir.metrics().sum("weir_concurrency_rejected_total", name="c", reason=reason)


def _stores(t):
    yield None
    yield t.redis()


def a_request_without_a_slot_is_answered_with_the_status_of_the_file(t):
    for redis in _stores(t):
        for status, kind in ((503, "overloaded"), (429, "concurrency_limited")):
            gate = Gate()
            weir = _weir(t, {"status": status, "key": [f"constant:{status}"], "lease": "7s"}, gate, redis)
            thread = _ask(weir, "/a")
            wait_until("/a holds the slot", lambda g=gate: g.targets() == ["/a"])
            equal(_gauge(weir, "in_flight"), 1)
            r = weir.get("/b", {"X-Request-ID": "refused"})
            details = envelope(r, status, kind, close=False)
            assert 1 <= int(r.header("Retry-After")) <= 7, r.fields
            if status == 429:
                equal(details["rule"], "c")
                equal(details["limit"], 1)
            record = weir.record("refused")
            equal((record["decision"], record["rule"], record["reason"]), ("deny", "c", "concurrency_full"))
            equal(_rejected(weir, "full"), 1)
            gate.open.set()
            thread.join()
            wait_until("the slot is free", lambda w=weir: _gauge(w, "in_flight") == 0)
            equal(weir.get("/c").status, 200)


def every_end_of_a_request_frees_its_slot_once(t):
    gate = Gate()
    table = {"/ok": ok(), "/no": close_after_body, "/hold": gate,
             "/half": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nxx", close=True)}
    for redis in _stores(t):
        u = t.upstream(by_path(table))
        weir = t.weir({"upstreams": {"app": {"url": u.url, "retry": {"attempts": 0},
                                             "timeout": {"first_byte": "200ms", "total": "2s"}}},
                       "routes": [{"name": "all", "match": {"path": ["/ok", "/no", "/half", "/hold"]},
                                   "upstream": "app"}],
                       "concurrency": [{"name": "c", "key": ["client_ip"], "max": 1, "lease": "1h"}],
                       "store": _store(redis)})
        for path, status in (("/ok", 200), ("/no", 502), ("/nowhere", 404), ("/hold", 504), ("/ok", 200)):
            # another worker's question may overtake the release on the way to Redis
            wait_until(f"{path} is answered with {status}",
                       lambda w=weir, p=path, s=status: w.get(p, timeout=20).status == s)
        c = weir.connect()                                  # the upstream breaks off
        c.send(client.request_bytes("GET", "/half", (), None, "a.example", "HTTP/1.1"))
        equal(c.read_head()[1], 200)
        wait_until("it broke off", lambda w=weir: _gauge(w, "in_flight") == 0)
        c.close()
        c = weir.connect()                                  # the client leaves
        c.send(client.request_bytes("GET", "/hold", (), None, "a.example", "HTTP/1.1"))
        wait_until("it holds the slot", lambda w=weir: _gauge(w, "in_flight") == 1)
        c.reset()
        wait_until("it is gone", lambda w=weir: _gauge(w, "in_flight") == 0)
        for _ in range(20):
            wait_until("the slot is free again", lambda w=weir: w.get("/ok").status == 200)


def a_client_that_asks_one_request_after_the_other_never_lacks_its_one_slot(t):
    weir = _weir(t, {"lease": "1h"}, ok(b"x" * 5000, chunk_sizes=[5000]), workers=2)
    for _ in range(300):
        equal(weir.get().status, 200)


def ten_thousand_requests_that_are_answered_or_broken_off_leave_no_slot_behind(t):
    total = 20_000 if t.thorough else 5_000    # of each store
    for redis in _stores(t):
        weir = _weir(t, {"max": 64, "lease": "1h"}, ok(), redis)
        request = client.request_bytes("GET", "/", (), None, "a.example", "HTTP/1.1")

        def work(count):
            for i in range(count):
                try:
                    c = weir.connect()
                    c.send(request)
                    if i % 2:
                        equal(c.read().status, 200)
                        c.close()
                    else:
                        c.reset()
                except (OSError, client.http1.Closed):
                    pass
        threads = [threading.Thread(target=work, args=(total // 8,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until("nobody is in flight", lambda w=weir: _gauge(w, "in_flight") == 0)
        if redis:
            wait_until("no slot is held", lambda r=redis: not r.state_keys())
        gates = Gate()
        second = _weir(t, {"max": 64, "lease": "1h"}, gates, redis)
        if redis is None:
            continue
        threads = [_ask(second, f"/{i}") for i in range(64)]
        wait_until("all 64 slots are taken", lambda g=gates: len(g.targets()) == 64)
        gates.open.set()
        for thread in threads:
            thread.join()


def a_queue_is_first_come_first_served(t):
    for redis in _stores(t):
        gate = Gate()
        weir = _weir(t, {"queue": 10, "queue_timeout": "30s"}, gate, redis)
        results = {}
        _ask(weir, "/0", results)
        wait_until("/0 holds the slot", lambda g=gate: g.targets() == ["/0"])
        for i in range(1, 6):
            _ask(weir, f"/{i}", results)
            wait_until(f"{i} wait", lambda w=weir, n=i: _gauge(w, "queued") == n)
        for i in range(5):
            gate.release(f"/{i}")
            wait_until(f"/{i + 1} has the slot", lambda g=gate, n=i: g.targets() == [f"/{n + 1}"])
            equal(_gauge(weir, "queued"), 4 - i)
        gate.open.set()
        wait_until("all are answered", lambda r=results: len(r) == 6)
        equal({r.status for r in results.values()}, {200})
        queued = [r for r in weir.records(6) if r["path"] == "/5"]
        assert queued[0]["queue_ms"] > 0, queued


def a_queue_is_bounded_in_length_and_time(t):
    for redis in _stores(t):
        gate = Gate()
        weir = _weir(t, {"queue": 2, "queue_timeout": "700ms", "lease": "10s"}, gate, redis)
        results = {}
        _ask(weir, "/0")
        wait_until("/0 holds the slot", lambda g=gate: g.targets() == ["/0"])
        began = time.monotonic()
        threads = [_ask(weir, "/1", results), _ask(weir, "/2", results)]
        wait_until("two wait", lambda w=weir: _gauge(w, "queued") == 2)
        equal(weir.get("/3").status, 503)
        equal(_rejected(weir, "full"), 1)
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
        assert 0.65 <= took <= 2.5 * t.slack, took
        equal([r.status for r in results.values()], [503, 503])
        equal(_rejected(weir, "timeout"), 2)
        equal(_gauge(weir, "queued"), 0)
        reasons = sorted(r["reason"] for r in weir.records(3))
        equal(reasons, ["concurrency_full", "concurrency_timeout", "concurrency_timeout"])
        gate.open.set()


def a_waiting_client_that_leaves_gives_its_place_and_its_units_back(t):
    for redis in _stores(t):
        gate = Gate()
        rules = [{"name": "r", "key": ["client_ip"], "limit": "100/day"}]
        weir = _weir(t, {"queue": 5, "queue_timeout": "30s"}, gate, redis, rules)
        results = {}
        _ask(weir, "/0")
        wait_until("/0 holds the slot", lambda g=gate: g.targets() == ["/0"])
        leaver = weir.connect()
        leaver.send(client.request_bytes("GET", "/leaver", (), None, "a.example", "HTTP/1.1"))
        wait_until("it waits", lambda w=weir: _gauge(w, "queued") == 1)
        _ask(weir, "/next", results)
        wait_until("two wait", lambda w=weir: _gauge(w, "queued") == 2)
        leaver.reset()
        wait_until("it is gone", lambda w=weir: _gauge(w, "queued") == 1)
        equal(_rejected(weir, "client_gone"), 1)
        gate.release("/0")
        wait_until("/next has the slot", lambda g=gate: g.targets() == ["/next"])
        gate.open.set()
        wait_until("/next is answered", lambda r=results: "/next" in r)
        assert "r=98;" in results["/next"].header("RateLimit"), results["/next"].fields


def slots_of_several_processes_are_shared_and_a_queue_sees_those_freed_elsewhere(t):
    redis = t.redis()
    gate, other = Gate(), Gate()
    a = _weir(t, {"queue": 5, "queue_timeout": "30s"}, gate, redis)
    b = _weir(t, {"queue": 5, "queue_timeout": "30s"}, other, redis)
    _ask(a, "/a")
    wait_until("/a holds the slot", lambda: gate.targets() == ["/a"])
    _ask(b, "/b")
    wait_until("/b waits", lambda: _gauge(b, "queued") == 1)
    freed = time.monotonic()
    gate.release("/a")
    wait_until("/b has the slot", lambda: other.targets() == ["/b"])
    t.note(f"seen after {(time.monotonic() - freed) * 1000:.0f} ms")
    other.open.set()


def local_slots_are_those_of_one_process_and_need_no_store(t):
    redis = t.redis()
    gates = [Gate(), Gate()]
    weirs = [_weir(t, {"scope": "local"}, gate, redis) for gate in gates]
    monitor = redis.monitor()
    for weir, gate in zip(weirs, gates):
        _ask(weir, "/a")
        wait_until("it holds a slot", lambda g=gate: g.targets() == ["/a"])
        equal(weir.get("/b").status, 503)
        gate.open.set()
        wait_until("it is free", lambda w=weir: _gauge(w, "in_flight") == 0)
        equal(weir.get("/c").status, 200)
    monitor.stop()
    equal(monitor.commands("evalsha"), [])


def the_slots_of_a_killed_process_are_free_within_their_lease(t):
    redis = t.redis()
    gate, other = Gate(), ok()
    weir = _weir(t, {"max": 2, "lease": "1500ms"}, gate, redis)
    survivor = _weir(t, {"max": 2, "lease": "1500ms"}, other, redis)
    for path in ("/a", "/b"):
        _ask(weir, path)
    wait_until("both slots are held", lambda: len(gate.targets()) == 2)
    time.sleep(2.5)                         # beyond the lease: they were renewed
    equal(survivor.get().status, 503)
    weir.kill()
    killed = time.monotonic()
    wait_until("a slot is free", lambda: survivor.get().status == 200, 20, 0.05)
    took = time.monotonic() - killed
    assert took <= 1.5 + 0.5 * t.slack, took
    t.note(f"free after {took:.2f} s")


def a_redis_that_is_away_decides_slots_by_failure_mode(t):
    redis = t.redis()
    for mode, expected in (("allow", [200, 200]), ("deny", [503, 503]), ("local", [200, 503])):
        gate = Gate()
        u = t.upstream(by_path({"/hold": gate}))
        weir = t.weir({"upstreams": {"app": {"url": u.url}},
                       "concurrency": [{"name": "c", "key": ["client_ip"], "max": 1, "failure_mode": mode}],
                       "store": {"url": redis.url, "replicas": 1}})
        redis.stop()
        wait_until("the store is down", lambda w=weir: w.metrics().sum("weir_store_up") == 0)
        if expected[0] == 200:
            _ask(weir, "/hold")
            wait_until("it is forwarded", lambda g=gate: g.targets() == ["/hold"])
        equal(weir.get("/x").status, expected[1])
        gate.open.set()
        redis.start()


def a_rule_that_denies_is_the_reason_although_no_slot_is_free(t):
    gate = Gate()
    rules = [{"name": "r", "key": ["client_ip"], "limit": "1/day"}]
    weir = _weir(t, {}, gate, None, rules)
    _ask(weir, "/a")
    wait_until("/a holds the slot", lambda: gate.targets() == ["/a"])
    r = weir.get("/b")
    equal((r.status, r.error["type"], r.error["details"]["rule"]), (429, "rate_limited", "r"))
    gate.open.set()


def the_metrics_of_concurrency_pass_promtool(t):
    promtool = t.need("promtool")
    gate = Gate()
    weir = _weir(t, {}, gate, None, [{"name": "r", "key": ["client_ip"], "limit": "1/day", "count": {"status": "4xx"}}])
    text = weir.metrics_text()
    for name in ("weir_concurrency_in_flight", "weir_concurrency_queued", "weir_concurrency_rejected_total",
                 "weir_settled_units_total"):
        assert f"# TYPE {name} " in text, name
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    equal((done.returncode, done.stdout, done.stderr), (0, "", ""))


def a_queued_request_that_its_rules_refuse_in_the_end_is_their_denial(t):
    gate = Gate()
    rules = [{"name": "r", "key": ["client_ip"], "limit": "2/day"}]
    weir = _weir(t, {"queue": 5, "queue_timeout": "30s", "match": {"path": ["/a", "/b"]}}, gate, None, rules)
    results = {}
    _ask(weir, "/a")
    wait_until("/a holds the slot", lambda: gate.targets() == ["/a"])
    _ask(weir, "/b", results)
    wait_until("/b waits", lambda: _gauge(weir, "queued") == 1)
    _ask(weir, "/other")                    # takes the last unit and needs no slot
    wait_until("/other is forwarded", lambda: "/other" in gate.targets())
    gate.release("/a")
    wait_until("/b is answered", lambda: "/b" in results)
    equal(results["/b"].error["type"], "rate_limited")
    record = next(r for r in weir.records(2) if r["path"] == "/b")
    equal((record["rule"], record["decision"]), ("r", "deny"))
    assert record["queue_ms"] > 0
    gate.open.set()


def a_drain_waits_for_releases_and_leaves_no_slot_behind(t):
    redis = t.redis()
    gate = Gate()
    weir = _weir(t, {"max": 4, "lease": "1h", "queue": 4, "queue_timeout": "30s"}, gate, redis)
    for i in range(4):
        _ask(weir, f"/{i}")
    wait_until("four hold slots", lambda: len(gate.targets()) == 4)
    threading.Timer(0.3, gate.open.set).start()
    equal(weir.terminate(), 0)
    wait_until("no slot is held", lambda: not redis.state_keys())
