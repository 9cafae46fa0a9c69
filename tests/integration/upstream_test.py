# SPDX-License-Identifier: Apache-2.0
"""The upstream fails, hesitates, lies or leaves; retries, deadlines, pool."""

import random
import threading
import time

from support import client, http1, upstream
from support.check import envelope, equal, fails_with
from support.load import Load
from support.ports import free_port
from support.upstream import (by_path, close_after_body, delayed, drip, ok, raw, reset_after_body, reset_at_head,
                              sequence)
from support.weir import wait_until


def _weir(t, url, settings=None, **policy):
    return t.weir({"upstreams": {"app": {"url": url, **(settings or {})}}, **policy})


NO_RETRY = {"retry": {"attempts": 0}}
UNLIMITED = {"budget": "100%", "budget_min": 100}


# ---- retries -------------------------------------------------------------------------------------------------------

def a_get_is_retried_on_reset_close_and_503(t):
    for bad in (reset_at_head, reset_after_body, close_after_body, ok(b"busy", status=503), ok(status=502)):
        u = t.upstream(sequence(bad, bad, ok(b"third")))
        weir = _weir(t, u.url, {"retry": UNLIMITED})
        r = weir.get("/", {"X-Request-ID": "tried"})
        equal((r.status, r.body), (200, b"third"))
        equal(len(u.requests), 3)
        equal(len({q.header("X-Request-ID") for q in u.requests}), 1)
        equal(weir.record("tried")["attempts"], 3)
        equal(weir.metrics().sum("weir_upstream_retries_total", upstream="app"), 2)


def a_retry_waits_for_the_configured_backoff(t):
    u = t.upstream(reset_after_body)
    weir = _weir(t, u.url, {"retry": {"attempts": 4, "backoff": {"base": "80ms", "max": "250ms", "jitter": "none"},
                                      **UNLIMITED}})
    envelope(weir.get(), 502, close=False)
    gaps = [b.at - a.at for a, b in zip(u.requests, u.requests[1:])]
    equal(len(gaps), 4)
    for gap, wanted in zip(gaps, (0.08, 0.16, 0.25, 0.25)):
        assert wanted - 0.002 <= gap <= wanted + 0.08 * t.slack + 0.05, f"gaps {gaps}"


def full_jitter_spreads_the_backoff(t):
    u = t.upstream(reset_after_body)
    weir = _weir(t, u.url, {"retry": {"attempts": 1, "backoff": {"base": "100ms", "max": "100ms", "jitter": "full"},
                                      **UNLIMITED}})
    for _ in range(16):
        weir.get()
    gaps = [b.at - a.at for a, b in zip(u.requests[::2], u.requests[1::2])]
    assert max(gaps) <= 0.1 + 0.1 * t.slack, gaps
    assert max(gaps) - min(gaps) > 0.02 and min(gaps) < 0.08, f"not spread: {gaps}"


def a_connect_error_is_retried_until_the_upstream_is_back(t):
    port = free_port()
    weir = _weir(t, f"{t.scheme}://127.0.0.1:{port}", {"retry": {"attempts": 8, "backoff": {
        "base": "100ms", "max": "200ms", "jitter": "none"}, **UNLIMITED}})
    later = []
    timer = threading.Timer(0.35, lambda: later.append(t.upstream(ok(b"back"), port=port)))
    timer.start()
    for method in ("GET", "POST"):   # no byte was written: any method may be repeated
        equal(weir.fetch(method, body=b"x" if method == "POST" else None).body, b"back")
    timer.join()
    equal([r.method for r in later[0].requests], ["GET", "POST"])


def the_last_503_of_an_upstream_is_relayed_as_it_is(t):
    u = t.upstream(ok(b"maintenance", [("Retry-After", "0")], status=503))
    weir = _weir(t, u.url, {"retry": {"attempts": 2, **UNLIMITED}})
    r = weir.get()
    equal((r.status, r.body), (503, b"maintenance"))
    equal(len(u.requests), 3)


def a_429_of_the_upstream_and_other_statuses_are_not_retried(t):
    for status in (429, 404, 500):
        u = t.upstream(ok(status=status))
        equal(_weir(t, u.url).get().status, status)
        equal(len(u.requests), 1)


def a_body_is_replayed_only_when_it_fits_the_buffer(t):
    u = t.upstream(sequence(reset_after_body, upstream.echo(), reset_after_body, upstream.echo()))
    weir = _weir(t, u.url, {"retry": {"body_buffer": "64KiB", **UNLIMITED}})
    body = random.Random(5).randbytes(60_000)
    equal(weir.fetch("PUT", body=body).body, body)
    equal([len(r.body) for r in u.requests], [60_000, 60_000])
    envelope(weir.fetch("PUT", body=b"x" * 200_000), 502)
    equal(len(u.requests), 3)


def a_post_is_never_sent_twice(t):
    rng = random.Random(6)
    endings = [reset_at_head, reset_after_body, close_after_body, ok(status=503), ok(status=502), ok(),
               raw(b"HTTP/1.1 200 OK\r\nContent-Le", close=True), raw(b"HTTP/1.1 200 OK\r\nContent-Le", reset=True),
               raw(b"nonsense\r\n\r\n", close=True), raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", close=True)]
    u = t.upstream(lambda x: rng.choice(endings)(x))
    weir = _weir(t, u.url, {"retry": UNLIMITED})

    def some(first, step):
        for i in range(first, t.tries, step):
            client.fetch(weir.port, "POST", f"/{i}", body=b"payload" * (i % 50))
    threads = [threading.Thread(target=some, args=(n, 8)) for n in range(8)]
    for x in threads:
        x.start()
    for x in threads:
        x.join(120)
    seen = [r.target for r in u.requests]
    equal(len(seen), len(set(seen)), "POSTs that arrived and distinct ones")
    assert len(seen) >= 0.6 * t.tries, f"only {len(seen)} of {t.tries} arrived"
    t.note(f"{t.tries} tries")


def nothing_is_retried_after_the_first_byte_of_the_answer(t):
    u = t.upstream(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123", close=True))
    weir = _weir(t, u.url, {"retry": UNLIMITED})
    with fails_with(http1.Closed):
        weir.get()
    equal(len(u.requests), 1)


def the_retry_budget_bounds_the_load_of_an_outage(t):
    for bad in (ok(status=503), reset_after_body):
        u = t.upstream(bad)
        weir = _weir(t, u.url)
        load = Load(weir.port, rate=200, connections=16).run_for(20.0 if t.thorough else 4.0)
        sent, seen = len(load.samples), len(u.requests)
        assert seen <= 1.2 * sent + 6, f"{seen} attempts for {sent} requests: {seen / sent:.2f}"
        assert seen > sent, "no retry at all"
        equal(set(load.counts()) - {502, 503}, set())
        assert weir.metrics().sum("weir_upstream_retry_budget_exhausted_total", upstream="app") > 0
        t.note(f"{seen / sent:.3f} x of {sent / load.elapsed:.0f} req/s")


def another_endpoint_is_tried(t):
    good = t.upstream(ok(b"good"))
    weir = t.weir({"upstreams": {"app": {"endpoints": [{"url": f"http://127.0.0.1:{free_port()}"}, {"url": good.url}],
                                         "retry": UNLIMITED}}})
    for _ in range(20):
        equal(weir.get().body, b"good")


def endpoints_share_the_load_by_every_method(t):
    for method in ("random_two", "round_robin", "least_requests"):
        ups = [t.upstream() for _ in range(3)]
        weir = t.weir({"upstreams": {"app": {"endpoints": [{"url": u.url} for u in ups], "balance": method}},
                       "workers": 1})
        Load(weir.port, total=300, connections=6).start().join()
        shares = [len(u.requests) for u in ups]
        equal(sum(shares), 300)
        assert min(shares) >= 40, f"{method}: {shares}"
        if method == "round_robin":
            assert max(shares) - min(shares) <= 2, shares


# ---- deadlines -----------------------------------------------------------------------------------------------------

def _timed(function):
    begin = time.monotonic()
    return function(), time.monotonic() - begin


def _near(seconds, wanted, t):
    assert wanted - 0.02 <= seconds <= wanted + 0.1 + 0.4 * t.slack, f"{seconds:.3f} s instead of {wanted}"
    t.note(f"{wanted} s: {seconds:.3f} s")


def an_upstream_that_does_not_accept_costs_the_connect_timeout(t):
    hole = t.black_hole()
    weir = _weir(t, hole.url, {"timeout": {"connect": "300ms"}, **NO_RETRY})
    r, took = _timed(weir.get)
    envelope(r, 504, close=False)
    _near(took, 0.3, t)


def a_silent_upstream_costs_the_first_byte_timeout(t):
    u = t.upstream(upstream.silent)
    weir = _weir(t, u.url, {"timeout": {"first_byte": "400ms"}})
    r, took = _timed(weir.get)
    envelope(r, 504, close=False)
    _near(took, 0.4, t)
    wait_until("the attempt is cancelled", lambda: u.open_connections() == 0, 5)
    equal(len(u.requests), 1)    # timeouts are not retried by default


def a_dripped_head_costs_the_first_byte_timeout(t):
    u = t.upstream(drip(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200, 0.05))
    weir = _weir(t, u.url, {"timeout": {"first_byte": "500ms"}})
    r, took = _timed(weir.get)
    envelope(r, 504)
    _near(took, 0.5, t)


def the_total_deadline_covers_all_tries(t):
    u = t.upstream(delayed(0.3, reset_after_body))
    weir = _weir(t, u.url, {"timeout": {"total": "700ms"}, "retry": {"attempts": 10, **UNLIMITED}})
    r, took = _timed(weir.get)
    assert r.status in (502, 504), r
    envelope(r, r.status)
    assert took <= 0.7 + 0.1 + 0.4 * t.slack, f"{took:.2f} s"
    assert 2 <= len(u.requests) <= 3, u.requests


def the_total_deadline_ends_an_answer_uncleanly(t):
    u = t.upstream(lambda x: (
        x.read_body(), x.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        x.wait_for_peer_close(30), x.close()))
    weir = _weir(t, u.url, {"timeout": {"total": "500ms"}})
    begin = time.monotonic()
    with weir.connect() as c:
        c.send(client.request_bytes())
        with fails_with(http1.Closed):
            c.read()
    _near(time.monotonic() - begin, 0.5, t)
    wait_until("the upstream connection is closed", lambda: u.open_connections() == 0, 5)


def a_stalled_answer_body_costs_the_body_idle_timeout_and_never_ends_cleanly(t):
    u = t.upstream(lambda x: (x.read_body(), x.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"),
                              x.wait_for_peer_close(30), x.close()))
    weir = _weir(t, u.url, {"timeout": {"body_idle": "400ms"}})
    begin = time.monotonic()
    with fails_with(http1.Closed):
        weir.get()
    _near(time.monotonic() - begin, 0.4, t)


def a_refusing_upstream_is_a_502_without_internals(t):
    weir = _weir(t, f"http://127.0.0.1:{free_port()}", NO_RETRY)
    with weir.connect() as c:
        for _ in range(3):
            envelope(c.request(fields={"X-Request-ID": "down"}), 502, close=False)
    equal({(r["status"], r["attempts"]) for r in weir.records(3)}, {(502, 1)})


def an_upstream_name_that_does_not_resolve_is_a_502_without_internals(t):
    weir = _weir(t, "http://does-not-exist.invalid:80", NO_RETRY)
    r = weir.get()
    assert r.status in (502, 504), r
    envelope(r, r.status)
    assert b"invalid" not in r.body


# ---- clients that leave --------------------------------------------------------------------------------------------

def a_client_that_leaves_cancels_the_attempt(t):
    for leave in ("close", "reset", "half_close"):
        u = t.upstream(upstream.silent)
        weir = _weir(t, u.url)
        c = weir.connect()
        c.send(client.request_bytes("GET", "/", {"X-Request-ID": "gone"}))
        wait_until("the request is under way", lambda: u.requests)
        begin = time.monotonic()
        getattr(c, leave)()
        wait_until("the upstream sees the close", lambda: u.open_connections() == 0, 5)
        took = time.monotonic() - begin
        assert took <= 1.0 * max(1.0, t.slack / 2), f"{took:.2f} s"
        equal(weir.record("gone")["status"], 499, leave)
        c.close()
        equal(len(u.requests), 1)


def a_client_that_leaves_inside_the_answer_cancels_it(t):
    def script(x):
        x.read_body()
        x.send(http1.head("HTTP/1.1 200 OK", [("Transfer-Encoding", "chunked")]))
        while True:
            x.send(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
    u = t.upstream(script)
    weir = _weir(t, u.url)
    c = weir.connect()
    c.send(client.request_bytes("GET", "/", {"X-Request-ID": "gone"}))
    c.read_head()
    c.reset()
    wait_until("the upstream sees the close", lambda: u.open_connections() == 0, 5)
    weir.record("gone")
    u.script = ok()
    equal(weir.get().status, 200)


# ---- pool ----------------------------------------------------------------------------------------------------------

def a_full_pool_answers_503_after_the_acquire_timeout(t):
    u = t.upstream(delayed(1.5))
    weir = _weir(t, u.url, {"pool": {"size": 1, "overflow": 0, "acquire_timeout": "200ms"}}, workers=1)
    first = threading.Thread(target=weir.get, daemon=True)
    first.start()
    wait_until("the only connection is busy", lambda: u.requests)
    r, took = _timed(weir.get)
    envelope(r, 503, "upstream_overloaded", close=False)
    assert int(r.header("Retry-After")) >= 1
    _near(took, 0.2, t)
    first.join(10)
    equal(len(u.connections), 1)


def waiters_of_a_pool_are_served_in_turn(t):
    u = t.upstream(delayed(0.02))
    weir = _weir(t, u.url, {"pool": {"size": 2, "overflow": 0, "acquire_timeout": "10s"}}, workers=1)
    load = Load(weir.port, total=60, connections=20).start().join()
    equal(load.counts(), {200: 60})
    assert len(u.connections) <= 2, len(u.connections)


def the_waiting_queue_of_a_pool_is_bounded(t):
    u = t.upstream(delayed(1.0))
    weir = _weir(t, u.url, {"pool": {"size": 1, "overflow": 0, "max_pending": 2, "acquire_timeout": "10s"}}, workers=1)
    load = Load(weir.port, total=10, connections=10).start()
    wait_until("the surplus is refused", lambda: load.counts()[503] == 7, 8)
    load.join()
    equal(load.counts(), {200: 3, 503: 7})


def an_upstream_that_closes_after_each_answer_costs_no_502(t):
    u = t.upstream(keepalive=False)
    weir = _weir(t, u.url)
    load = Load(weir.port, rate=200, connections=8).run_for(5.0 if t.thorough else 2.5)
    equal(load.failed(), [])
    gets = len(u.requests)
    equal(gets, len(load.samples), "attempts that arrived")
    posts, failed = 100, 0
    with weir.connect() as c:
        for i in range(posts):
            failed += c.request("POST", f"/{i}", body=b"x").status != 200
            time.sleep(0.005)   # 200 a second: the close has arrived before the next one leaves
    assert failed <= 1, f"{failed} of {posts} POSTs failed"
    targets = [r.target for r in u.requests[gets:]]
    equal(len(targets), len(set(targets)))


def an_idle_connection_closed_by_the_upstream_is_not_used(t):
    u = t.upstream()
    weir = _weir(t, u.url, workers=1)
    for _ in range(10):
        equal(weir.fetch("POST", body=b"x").status, 200)
        with u.lock:
            sockets = list(u.sockets)
        for s in sockets:
            s.shutdown(2)
        wait_until("it is closed", lambda: u.open_connections() == 0)
        time.sleep(0.01)
    equal(len(u.connections), 10)


def pooled_connections_are_closed_after_their_idle_time(t):
    u = t.upstream()
    weir = _weir(t, u.url, {"pool": {"idle_timeout": "500ms"}})
    weir.get()
    equal(u.open_connections(), 1)
    wait_until("the pool lets it go", lambda: u.open_connections() == 0, 5)


POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"


def extra_bytes_of_an_upstream_never_reach_another_client(t):
    bad = {"/extra": raw(GOOD + POISON), "/late": raw(GOOD),
           "/head": raw(GOOD), "/no-content": raw(b"HTTP/1.1 204 No\r\n\r\n" + POISON),
           "/chunked": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n" + POISON)}

    def late(x):
        x.read_body()
        x.send(GOOD)
        time.sleep(0.05)
        x.send(POISON)   # on a connection that idles in the pool by now
    bad["/late"] = late
    u = t.upstream(by_path(bad, raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright")))
    weir = _weir(t, u.url, workers=1)
    for path in bad:
        for _ in range(3):
            r = weir.fetch("HEAD" if path == "/head" else "GET", path)
            assert r.status in (200, 204) and r.body in (b"good", b""), r
            time.sleep(0.1 if path == "/late" else 0)
            for _ in range(3):
                equal(weir.get("/canary").body, b"right", path)


MALFORMED = {
    "not http": b"nonsense\r\n\r\n", "empty line first": b"\r\n" + GOOD, "version": b"HTTP/2.0 200 OK\r\n\r\n",
    "status 099": b"HTTP/1.1 099 No\r\n\r\n", "status 999": b"HTTP/1.1 999 No\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\nContent-Length: 0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "chunked in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "101 unasked": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "17 interim": b"HTTP/1.1 102 Processing\r\n\r\n" * 17 + GOOD,
    "101 fields": b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: 1\r\n" % i for i in range(101))
                  + b"Content-Length: 0\r\n\r\n",
    "head of 40 KiB": b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"a" * 8000) for i in range(5))
                      + b"Content-Length: 0\r\n\r\n",
}


def a_malformed_answer_is_a_502_and_poisons_nothing(t):
    current = [b""]
    u = t.upstream(by_path({"/bad": lambda x: raw(current[0])(x)}, ok(b"right")))
    weir = _weir(t, u.url, NO_RETRY, workers=1)
    wrong = []
    for name, data in MALFORMED.items():
        current[0] = data
        try:
            with weir.connect(timeout=8) as c:
                c.send(client.request_bytes("GET", "/bad"))
                r = c.read()
                envelope(r, 502, close=False)
                equal(c.request("GET", "/canary").body, b"right")
            equal(weir.get("/canary").body, b"right")
        except Exception as e:  # noqa: BLE001
            wrong.append(f"{name}: {e!r}")
    assert not wrong, "\n".join(wrong)


def a_truncated_or_malformed_body_never_ends_cleanly(t):
    cases = {"short length": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
             "cut chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123",
             "no last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
             "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nxyz\r\n0\r\n\r\n",
             "bare LF": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\n0\r\n\r\n",
             "reset": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"}
    wrong = []
    for name, data in cases.items():
        u = t.upstream(raw(data, close=name != "reset", reset=name == "reset"))
        weir = _weir(t, u.url, NO_RETRY)
        for version in ("HTTP/1.1", "HTTP/1.0"):
            if version == "HTTP/1.0" and "chunked" in data.decode():
                with weir.connect() as c:   # close-delimited: only a reset tells
                    try:
                        r = c.request(version=version)
                        wrong.append(f"{name} {version}: ended cleanly with {r!r}")
                    except http1.Closed as e:
                        if not e.reset:
                            wrong.append(f"{name} {version}: FIN instead of RST")
                continue
            with weir.connect() as c:
                try:
                    wrong.append(f"{name} {version}: {c.request(version=version)!r}")
                except http1.Closed:
                    pass
                except http1.ProtocolError as e:
                    wrong.append(f"{name} {version}: {e}")
    assert not wrong, "\n".join(wrong)


def a_reset_close_delimited_answer_is_not_complete(t):
    u = t.upstream(raw(b"HTTP/1.1 200 OK\r\n\r\n12345", reset=True))
    weir = _weir(t, u.url, NO_RETRY)
    with fails_with(http1.Closed):
        weir.get()
