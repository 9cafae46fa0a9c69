# SPDX-License-Identifier: Apache-2.0
"""Several endpoints: who gets what, who is put out of use and comes back, and what a name means today."""

import collections
import random
import socket
import threading
import time

from support import client, upstream
from support.check import envelope, equal
from support.context import Skip
from support.load import Load
from support.names import Names
from support.ports import free_port
from support.upstream import by_path, delayed, ok, sequence
from support.weir import wait_until

UNLIMITED = {"budget": "100%", "budget_min": 100}


def _weir(t, endpoints, settings=None, **policy):
    urls = [{"url": e} if isinstance(e, str) else e for e in endpoints]
    return t.weir({"upstreams": {"app": {"endpoints": urls, **(settings or {})}}, "workers": 1, **policy})


def _up(weir, endpoint):
    return weir.metrics().sum("weir_upstream_endpoint_up", endpoint=endpoint.url.removeprefix("http://"))


def _ejections(weir, **labels):
    return weir.metrics().sum("weir_upstream_ejections_total", **labels)


def _shares(ups):
    return [len(u.requests) for u in ups]


def _around(got, wanted, tolerance, what):
    assert abs(got - wanted) <= tolerance * wanted, f"{what}: {got} instead of {wanted:.0f}"


# ---- shares --------------------------------------------------------------------------------------------------------

def every_method_shares_by_weight(t):
    total, weights = 10_000 if t.thorough else 900, (1, 2, 3)

    def request(i):
        return f"GET / HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 10.{i >> 16}.{i >> 8 & 255}.{i & 255}\r\n\r\n".encode()
    for method in ("round_robin", "least_requests", "random_two", "client_hash"):
        ups = [t.upstream(delayed(0.004)) for _ in weights]
        weir = _weir(t, [{"url": u.url, "weight": w} for u, w in zip(ups, weights)], {"balance": method},
                     client_ip={"trusted_proxies": ["127.0.0.0/8"]})
        load = Load(weir.port, total=total, connections=24, request=request).start().join()
        equal(load.counts(), {200: total})
        got = _shares(ups)
        t.note(f"{method} {got}")
        if method == "round_robin":
            for n, w in zip(got, weights):
                assert abs(n - total * w / 6) <= 2, f"{method}: {got}"
        else:
            for n, w in zip(got, weights):
                _around(n, total * w / 6, 0.12 if t.thorough else 0.25, method)


def client_hash_keeps_every_client_at_its_endpoint(t):
    ups = [t.upstream() for _ in range(4)]
    weir = _weir(t, [u.url for u in ups], {"balance": "client_hash"}, client_ip={"trusted_proxies": ["127.0.0.0/8"]})

    def homes():
        found = {}
        with weir.connect() as c:
            for i in range(60):
                before = _shares(ups)
                equal(c.request(fields={"X-Forwarded-For": f"192.0.2.{i}"}).status, 200)
                found[i] = next(n for n, (a, b) in enumerate(zip(before, _shares(ups))) if b > a)
        return found
    first = homes()
    equal(homes(), first)
    equal(len(set(first.values())), 4)
    weir.write_policy({"upstreams": {"app": {"endpoints": [{"url": u.url} for u in ups[1:]], "balance": "client_hash"}},
                       "workers": 1, "client_ip": {"trusted_proxies": ["127.0.0.0/8"]}})
    weir.reload()
    then = homes()
    equal({i: h for i, h in then.items() if first[i] != 0}, {i: h for i, h in first.items() if h != 0})


def a_slow_endpoint_gets_less(t):
    for method in ("least_requests", "random_two"):
        fast, slow = t.upstream(delayed(0.005)), t.upstream(delayed(0.1))
        weir = _weir(t, [fast.url, slow.url], {"balance": method})
        load = Load(weir.port, total=400, connections=16).start().join()
        equal(load.counts(), {200: 400})
        share = len(slow.requests) / 400
        assert share <= 0.25, f"{method}: {share:.2f}"
        t.note(f"{method}: {share:.3f} at the slow one")


# ---- endpoints that fail -------------------------------------------------------------------------------------------

def a_failing_endpoint_costs_no_client_an_answer_and_loses_its_share(t):
    for bad in (ok(status=503), upstream.reset_after_body):
        good, failing = t.upstream(delayed(0.003)), t.upstream(bad)
        weir = _weir(t, [good.url, failing.url], {"balance": "round_robin", "retry": UNLIMITED})
        load = Load(weir.port, total=400, connections=4).start().join()
        equal(load.counts(), {200: 400})
        assert len(failing.requests) <= 5 + 4, f"{len(failing.requests)} requests at the failing one"
        equal(_up(weir, failing), 0)
        equal(_up(weir, good), 1)
        equal(_ejections(weir, reason="consecutive_failures"), 1)
        assert "endpoint out of use" in weir.stderr()


def a_dead_endpoint_is_found_out_and_comes_back(t):
    port = free_port()
    good = t.upstream()
    weir = _weir(t, [good.url, f"http://127.0.0.1:{port}"], {
        "balance": "round_robin", "retry": UNLIMITED, "outlier": {"ejection": "1s"}})
    load = Load(weir.port, rate=100, connections=4).start()
    wait_until("it is out", lambda: _ejections(weir) >= 1, 5)
    back = t.upstream(port=port)
    wait_until("it is back", lambda: _up(weir, back) == 1, 10)
    equal(weir.metrics().sum("weir_upstream_requests_total", code="none") >= 5, True)
    before = _shares([good, back])
    wait_until("it serves", lambda: len(back.requests) > before[1] + 30, 10)
    load.stop()
    equal(load.failed(), [])
    assert len(back.requests) - before[1] >= (len(good.requests) - before[0]) * 0.8


def half_of_the_endpoints_hang(t):
    ups = [t.upstream(delayed(0.002)) for _ in range(2)]
    hanging = [t.upstream() for _ in range(2)]
    weir = _weir(t, [u.url for u in ups + hanging], {"balance": "round_robin", "timeout": {"first_byte": "1s"}})
    load = Load(weir.port, rate=120, connections=120).start()
    wait_until("all four serve", lambda: min(_shares(ups + hanging)) >= 5)
    for u in hanging:
        u.script = upstream.silent
    begin = time.monotonic()
    wait_until("both are ejected", lambda: [_up(weir, u) for u in hanging] == [0, 0], 10)
    took = time.monotonic() - begin
    assert took <= 5 * max(1.0, t.slack / 2), f"ejected after {took:.1f} s"
    time.sleep(1.2)     # what was already sent to them ends
    first = time.monotonic()
    time.sleep(20 if t.thorough else 8)
    last = time.monotonic()
    load.stop()
    after = [s for s in load.samples if first <= s.at <= last]
    good = sum(s.status == 200 for s in after)
    assert good >= 0.99 * len(after), f"{good} of {len(after)}"
    t.note(f"ejected after {took:.2f} s, then {good} of {len(after)}")
    equal([_up(weir, u) for u in ups], [1, 1])


def the_last_endpoint_is_never_ejected(t):
    bad = [t.upstream(ok(b"busy", status=503)) for _ in range(3)]
    weir = _weir(t, [u.url for u in bad], {"balance": "round_robin", "retry": {"attempts": 0},
                                           "outlier": {"max_ejected": "100%"}})
    for _ in range(60):
        equal(weir.get().body, b"busy")     # the upstream's own answer, never one of weir's
    equal(sorted(_up(weir, u) for u in bad), [0, 0, 1])
    equal(_ejections(weir), 2)


def at_most_max_ejected_endpoints_are_out(t):
    bad = [t.upstream(ok(status=502)) for _ in range(5)]
    weir = _weir(t, [u.url for u in bad], {"balance": "round_robin", "retry": {"attempts": 0},
                                           "outlier": {"max_ejected": "40%"}})
    for _ in range(100):
        equal(weir.get().status, 502)
    equal(sum(_up(weir, u) for u in bad), 3)


# ---- Retry-After ---------------------------------------------------------------------------------------------------

def a_retry_waits_for_the_retry_after_of_its_endpoint(t):
    u = t.upstream(sequence(ok(status=503, fields=[("Retry-After", "1")]), ok(b"now")))
    weir = _weir(t, [u.url], {"retry": UNLIMITED})
    equal(weir.get().body, b"now")
    gap = u.requests[1].at - u.requests[0].at
    assert 1.0 <= gap <= 1.1 + 0.4 * t.slack, f"{gap:.2f} s"


def a_retry_goes_to_another_endpoint_without_waiting(t):
    full, free = t.upstream(ok(status=503, fields=[("Retry-After", "30")])), t.upstream(ok(b"free"))
    weir = _weir(t, [full.url, free.url], {"balance": "round_robin", "retry": UNLIMITED})
    begin = time.monotonic()
    for _ in range(20):
        equal(weir.get().body, b"free")
    assert time.monotonic() - begin <= 5, "it waited"
    assert len(full.requests) <= 6, full.requests    # one of ten first attempts may still look


def a_retry_after_past_the_deadline_is_relayed(t):
    u = t.upstream(ok(b"later", status=503, fields=[("Retry-After", "3")]))
    weir = _weir(t, [u.url], {"timeout": {"total": "2s"}, "retry": UNLIMITED})
    begin = time.monotonic()
    r = weir.get()
    equal((r.status, r.body, r.header("Retry-After")), (503, b"later", "3"))
    assert time.monotonic() - begin <= 1, "it waited"
    equal(len(u.requests), 1)


def a_host_that_refuses_quickly_is_not_better_for_it(t):
    refusing, busy = t.upstream(ok(status=429, fields=[("Retry-After", "3")])), t.upstream(delayed(0.03))
    for method in ("least_requests", "random_two", "round_robin"):
        refusing.requests.clear()
        busy.requests.clear()
        weir = _weir(t, [refusing.url, busy.url], {"balance": method})
        equal(weir.get().status in (200, 429), True)
        load = Load(weir.port, rate=100, connections=20).run_for(2.0)
        share = load.counts()[429] / len(load.samples)
        assert share <= 0.2, f"{method}: {share:.2f}"
        t.note(f"{method}: {share:.2f}")
    refusing.script = ok()
    wait_until("its Retry-After is over", lambda: time.monotonic() > refusing.requests[-1].at + 3.1, 10)
    before = _shares([refusing, busy])
    Load(weir.port, total=60, connections=2).start().join()
    assert len(refusing.requests) - before[0] >= 25, "it did not come back"


# ---- active checks -------------------------------------------------------------------------------------------------

def active_checks_take_an_endpoint_out_and_back(t):
    state = {"status": 200}

    def check(x):
        ok(b"up", status=state["status"])(x)
    sick = t.upstream(by_path({"/up": check}))
    well = t.upstream(by_path({"/up": ok()}))
    weir = _weir(t, [sick.url, well.url], {
        "balance": "round_robin", "health_check": {"path": "/up", "interval": "300ms", "timeout": "1s"}},
        rules=[{"name": "few", "key": ["client_ip"], "limit": "1000/hour"}])
    wait_until("both are checked", lambda: sick.requests and well.requests)
    state["status"] = 500
    begin = time.monotonic()
    wait_until("it is out", lambda: _up(weir, sick) == 0, 5)
    assert time.monotonic() - begin <= 0.3 * 1.2 * 2 + 0.3 * t.slack, "two bad checks take two intervals"
    served = [r for r in sick.requests if r.target != "/up"]
    for _ in range(10):
        equal(weir.get("/x").status, 200)
    equal([r for r in sick.requests if r.target != "/up"], served)
    state["status"] = 302    # 3xx counts as well, too
    wait_until("it is back", lambda: _up(weir, sick) == 1, 5)
    for _ in range(10):
        weir.get("/x")
    assert len([r for r in sick.requests if r.target != "/up"]) >= 4
    checks = [r for r in sick.requests if r.target == "/up"]
    assert all(r.connection.requests == [r] for r in checks), "a check shared a connection"
    gaps = [b.at - a.at for a, b in zip(checks, checks[1:])]
    assert all(0.22 <= g <= 0.38 + 0.3 * t.slack for g in gaps), gaps
    equal({r["path"] for r in weir.records(20)}, {"/x"})
    equal(weir.metrics().sum("weir_decisions_total", decision="allow"), 20)
    equal(_ejections(weir, reason="health_check"), 1)


def a_check_that_hangs_or_is_refused_is_a_bad_one(t):
    hanging, gone = t.upstream(by_path({"/up": upstream.silent})), t.upstream()
    weir = _weir(t, [hanging.url, gone.url, t.upstream().url], {
        "health_check": {"path": "/up", "interval": "200ms", "timeout": "100ms"}})
    gone.stop()
    wait_until("both are out", lambda: [_up(weir, hanging), _up(weir, gone)] == [0, 0], 10)


def when_every_endpoint_is_out_all_are_used(t):
    ups = [t.upstream(by_path({"/up": ok(status=404)})) for _ in range(2)]
    weir = _weir(t, [u.url for u in ups], {"balance": "round_robin",
                                           "health_check": {"path": "/up", "interval": "100ms"}})
    wait_until("both are out", lambda: [_up(weir, u) for u in ups] == [0, 0], 10)
    for _ in range(10):
        equal(weir.get("/x").status, 200)
    equal([len([r for r in u.requests if r.target == "/x"]) for u in ups], [5, 5])


def a_reload_keeps_the_verdict_of_the_checks(t):
    sick, well = t.upstream(by_path({"/up": ok(status=500)})), t.upstream()
    policy = {"upstreams": {"app": {"endpoints": [{"url": sick.url}, {"url": well.url}],
                                    "health_check": {"path": "/up", "interval": "300ms"}}}, "workers": 1}
    weir = t.weir(policy)
    wait_until("it is out", lambda: _up(weir, sick) == 0, 10)
    weir.write_policy({**policy, "via": "other"})
    weir.reload()
    for _ in range(20):
        equal(_up(weir, sick), 0)
        time.sleep(0.02)


# ---- names ---------------------------------------------------------------------------------------------------------

def _named(t, names, port, settings=None, **policy):
    build = t.build
    if build.sanitized:
        if not t.release:
            raise Skip("LD_PRELOAD does not work with sanitizers and no --weir-release was given")
        build = t.release
    return t.weir({"upstreams": {"app": {"url": f"http://app.test:{port}", **(settings or {})}}, **policy},
                  build=build, env=names.env)


def a_dead_first_address_costs_no_request(t):
    names = Names(t)
    live = t.upstream(ok(fields=[("Connection", "close")]))      # every request needs a connection
    for dead in (lambda: t.black_hole(host="127.0.0.2", port=live.port), lambda: None):
        hole = dead()
        names["app.test"] = ("127.0.0.2", "127.0.0.1")
        weir = _named(t, names, live.port, {"retry": {"attempts": 0}})
        begin = time.monotonic()
        equal(weir.fetch("POST", body=b"x").status, 200)
        took = time.monotonic() - begin
        assert took <= 0.25 + 0.2 * t.slack, f"{took:.2f} s"
        load = Load(weir.port, total=21, connections=1).start().join()
        equal(load.counts(), {200: 21})
        later = sorted(s.seconds for s in load.samples)[10]
        assert later <= 0.2, f"it tried the dead one again: {later:.3f} s"
        t.note(f"{took:.3f} s, then {later:.4f} s")
        if hole:
            hole.stop()


def a_changed_name_is_followed_and_drops_nothing(t):
    names = Names(t)
    old = t.upstream(by_path({"/slow": delayed(1.5)}))
    new = t.upstream(host="127.0.0.2", port=old.port)
    names["app.test"] = ("127.0.0.1",)
    weir = _named(t, names, old.port, {"resolve": {"interval": "500ms"}, "retry": {"attempts": 0}})
    load = Load(weir.port, rate=100, connections=4).start()
    slow = []
    thread = threading.Thread(target=lambda: slow.append(weir.get("/slow").status))
    thread.start()
    wait_until("both kinds are under way", lambda: len(old.requests) > 20 and
               any(r.target == "/slow" for r in old.requests))
    names["app.test"] = ("127.0.0.2",)
    begin = time.monotonic()
    wait_until("the new address is used", lambda: new.requests, 5)
    took = time.monotonic() - begin
    assert took <= 0.5 + 0.2 * t.slack, f"{took:.2f} s"
    time.sleep(0.2)
    before = len(old.requests)
    thread.join(10)
    load.stop()
    equal(slow, [200])
    equal(load.failed(), [])
    equal(len(old.requests), before, "requests at the old address")
    wait_until("its connections are closed", lambda: old.open_connections() == 0, 5)
    names.fail("app.test")
    wait_until("a look-up failed", lambda: "look-up failed" in weir.stderr(), 5)
    equal(weir.get().status, 200)
    t.note(f"{took:.2f} s")


def a_connection_error_asks_for_the_name_again(t):
    names = Names(t)
    old = t.upstream(keepalive=False)
    new = t.upstream(host="127.0.0.2", port=old.port)
    names["app.test"] = ("127.0.0.1",)
    weir = _named(t, names, old.port, {"resolve": {"interval": "1h"}})
    equal(weir.get().status, 200)
    old.stop()
    names["app.test"] = ("127.0.0.2",)
    begin = time.monotonic()
    wait_until("the new address is used", lambda: weir.get().status == 200, 10, interval=0.2)
    took = time.monotonic() - begin
    assert took <= 5, f"{took:.2f} s"
    assert new.requests
    t.note(f"{took:.2f} s")


def a_slow_look_up_holds_nothing_up(t):
    names = Names(t)
    u = t.upstream()
    names["app.test"] = ("127.0.0.1",)
    weir = _named(t, names, u.port, {"resolve": {"interval": "200ms", "timeout": "300ms"}})
    names.slow("app.test", 20_000, ("127.0.0.1",))
    wait_until("a look-up took too long", lambda: "look-up failed" in weir.stderr(), 10)
    slowest = 0.0
    for _ in range(50):
        begin = time.monotonic()
        equal(weir.get().status, 200)
        equal(weir.admin("/livez").status, 200)
        slowest = max(slowest, time.monotonic() - begin)
    assert slowest <= 0.1 * t.slack + 0.1, f"{slowest:.3f} s"
    begin = time.monotonic()
    weir.terminate()
    assert time.monotonic() - begin <= 3, "the look-up held the end up"


def a_name_that_is_unknown_at_the_start_is_found_later(t):
    names = Names(t)
    u = t.upstream()
    names.fail("app.test")
    weir = _named(t, names, u.port, {"resolve": {"interval": "1h"}, "retry": {"attempts": 0}})
    envelope(weir.get(), 502)
    names["app.test"] = ("127.0.0.1",)
    begin = time.monotonic()
    wait_until("it is found", lambda: weir.get().status == 200, 10, interval=0.2)
    assert time.monotonic() - begin <= 5


# ---- pool ----------------------------------------------------------------------------------------------------------

def a_request_on_a_used_client_connection_is_retried_like_the_first(t):
    port = free_port()
    u = t.upstream(port=port, keepalive=False)
    weir = _weir(t, [u.url], {"retry": {"attempts": 8, "backoff": {"base": "100ms", "max": "100ms", "jitter": "none"},
                                        **UNLIMITED}})
    with weir.connect() as c:
        equal(c.request(body=b"y" * 100_000, method="PUT").status, 200)    # more than is kept for a retry
        u.stop()
        timer = threading.Timer(0.3, lambda: t.upstream(ok(b"back"), port=port))
        timer.start()
        equal(c.request().body, b"back")
        timer.join()


def an_upstreams_keep_alive_is_respected(t):
    u = t.upstream(ok(fields=[("Keep-Alive", "timeout=2")]))
    weir = _weir(t, [u.url])
    equal(weir.get().status, 200)
    wait_until("weir closes first", lambda: u.open_connections() == 0, 5)
    age = u.connections[0].closed_at - u.connections[0].opened_at
    assert 0.9 <= age <= 1.1 + 0.3 * t.slack, f"{age:.2f} s"
    equal(weir.metrics().sum("weir_upstream_pool_closed_total", reason="idle"), 1)


def connections_that_close_at_the_moment_of_reuse(t):
    total, patience = 1000 if t.thorough else 160, 0.03

    def closing(x):     # closes idle connections after `patience`, without a word
        x.read_body()
        x.respond()
        if not x.reader.buffer:
            x.sock.settimeout(patience)
            try:
                if not x.sock.recv(1, socket.MSG_PEEK):
                    x.close()
            except TimeoutError:
                x.close()
    u = t.upstream(closing)
    weir = _weir(t, [u.url])
    outcome = {}
    for method in ("GET", "POST"):
        statuses, lock = collections.Counter(), threading.Lock()

        def some(n, method=method, statuses=statuses, lock=lock):
            rng = random.Random(n)
            with weir.connect() as c:
                for i in range(total // 8):
                    status = c.request(method, f"/{method}-{n}-{i}", body=b"x" if method == "POST" else None).status
                    with lock:
                        statuses[status] += 1
                    time.sleep(max(0.0, patience + rng.uniform(-0.0015, 0.0015)))
        threads = [threading.Thread(target=some, args=(n,)) for n in range(8)]
        for x in threads:
            x.start()
        for x in threads:
            x.join(120)
        outcome[method] = statuses
    t.note(", ".join(f"{m} {dict(c)}" for m, c in outcome.items()))
    equal(set(outcome["GET"]), {200})
    posts = [r.target for r in u.requests if r.method == "POST"]
    equal(len(posts), len(set(posts)), "POSTs that arrived and distinct ones")
    assert outcome["POST"][502] <= max(1, total // 1000), outcome
    equal(sum(outcome["POST"].values()), total)


def a_pool_of_10_under_200_clients_is_fair(t):
    u = t.upstream(delayed(0.02, ok(b"x" * 400)))    # a connection that goes from hand to hand carries much in all
    weir = _weir(t, [u.url], {"pool": {"size": 10, "overflow": 0, "acquire_timeout": "20s"}, "timeout": {"total": "30s"}})
    load = Load(weir.port, total=6000 if t.thorough else 2000, connections=200).start().join()
    equal(set(load.counts()), {200})
    # Whoever waits longest is served next, so nobody waits much longer than the others.
    waits = sorted(r["duration_ms"] for r in weir.records(load.total)[200:-200])
    middle, slow = waits[len(waits) // 2], waits[len(waits) * 95 // 100]
    assert slow <= 2 * middle, f"{slow:.0f} ms beside {middle:.0f} ms"
    closed = {r: weir.metrics().sum("weir_upstream_pool_closed_total", reason=r) for r in ("idle", "peer", "not_reusable")}
    equal(len(u.connections), 10, f"connections, closed {closed}")
    t.note(f"median {middle:.0f} ms, p95 {slow:.0f} ms")


def a_full_line_is_refused_at_once(t):
    u = t.upstream(delayed(0.4))
    weir = _weir(t, [u.url], {"pool": {"size": 10, "overflow": 0, "max_pending": 20, "acquire_timeout": "10s"}})
    load = Load(weir.port, total=200, connections=200).start().join()
    counts = load.counts()
    equal(set(counts), {200, 503})
    assert counts[200] >= 30, counts
    refused = sorted(s.seconds for s in load.samples if s.status == 503)
    assert refused[len(refused) // 2] <= 0.2 * t.slack + 0.1, "refused, but not at once"
    equal(len(u.connections), 10)
    r = weir.records(200)
    equal({x["reason"] for x in r if x["status"] == 503}, {"upstream_pool_full"})


def the_pools_statistics_are_the_truth(t):
    u = t.upstream(by_path({"/close": ok(fields=[("Connection", "close")]), "/reset": upstream.reset_after_body}))
    weir = _weir(t, [u.url], {"pool": {"idle_timeout": "600ms"}, "retry": {"attempts": 0}})
    with weir.connect() as c:
        for _ in range(10):
            c.request()
        for _ in range(3):
            c.request(target="/close")
        for _ in range(2):
            c.request(target="/reset")
        for _ in range(5):
            c.request()

    def total(name, **labels):
        return weir.metrics().sum("weir_upstream_pool_" + name, upstream="app", **labels)
    equal(total("created_total"), len(u.connections))
    equal(total("reused_total"), len(u.requests) - len(u.connections))
    equal(total("connections", state="idle"), u.open_connections())
    equal(total("closed_total", reason="not_reusable"), 5)
    equal(total("wait_seconds_count"), 20)
    wait_until("the pool is empty", lambda: total("connections") == 0, 5)
    equal(total("closed_total"), total("created_total"))
    equal(total("closed_total", reason="idle"), 1)
    equal((total("waiting"), total("leaked_total")), (0, 0))
