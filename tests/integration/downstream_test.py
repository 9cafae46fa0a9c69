# SPDX-License-Identifier: Apache-2.0
"""What clients may send, and what they get: framing, order, limits, deadlines, backpressure."""

import hashlib
import random
import threading
import time

from support import client, http1, upstream
from support.check import envelope, equal, fails_with
from support.upstream import by_path
from support.weir import wait_until

MIB = 1024 * 1024


def _weir(t, script=None, **policy):
    """A plain proxy in front of a scripted upstream."""
    u = t.upstream(script)
    return t.weir({"upstreams": {"app": {"url": u.url}}, **policy}), u


# ---- messages in order ---------------------------------------------------------------------------------------------

def a_connection_is_kept_for_many_requests(t):
    weir, u = _weir(t, upstream.ok(b"hello"))
    with weir.connect() as c:
        for i in range(50):
            r = c.request("GET", f"/{i}")
            equal((r.status, r.body, r.closes), (200, b"hello", False))
    equal([r.target for r in u.requests], [f"/{i}" for i in range(50)])
    assert len(u.connections) <= 2, "upstream connections are pooled"


def a_hundred_pipelined_requests_are_answered_in_order(t):
    def script(x):
        body = x.read_body()
        time.sleep(random.random() * 0.003)
        x.respond(200, x.request.target.encode() + body)
    weir, u = _weir(t, script)
    with weir.connect() as c:
        c.send(b"".join(client.request_bytes("POST" if i % 3 else "GET", f"/{i}", body=b"b%d" % i if i % 3 else None)
                        for i in range(100)))
        for i in range(100):
            equal(c.read().body, b"/%d" % i + (b"b%d" % i if i % 3 else b""))
    equal([r.target for r in u.requests], [f"/{i}" for i in range(100)])


def a_thousand_pipelined_requests_do_not_deadlock(t):
    weir, u = _weir(t)
    with weir.connect(timeout=60) as c:
        sender = threading.Thread(target=c.send, daemon=True, args=(
            b"".join(client.request_bytes("GET", f"/{i}") for i in range(1000)),))
        sender.start()
        for _ in range(1000):
            equal(c.read().status, 200)
        sender.join(10)
    equal(len(u.requests), 1000)


def requests_cut_at_every_byte_are_read_like_whole_ones(t):
    weir, u = _weir(t, upstream.echo())
    message = (client.request_bytes("POST", "/a?q=1", body=b"12345")
               + client.request_bytes("POST", "/b", {"Transfer-Encoding": "chunked"}, body=None)
               + http1.chunked(b"hello world", [3, 4]) + client.request_bytes("GET", "/c"))
    with weir.connect() as c:
        c.send(message, pieces=1)
        equal([c.read().body for _ in range(3)], [b"12345", b"hello world", b""])
    with weir.connect() as c:
        c.send(message)
        equal([c.read().body for _ in range(3)], [b"12345", b"hello world", b""])
    equal([r.target for r in u.requests], ["/a?q=1", "/b", "/c"] * 2)


def two_empty_lines_before_a_request_are_skipped_and_three_are_not(t):
    weir, u = _weir(t)
    with weir.connect() as c:
        c.send(b"\r\n\r\n" + client.request_bytes() + b"\r\n" + client.request_bytes())
        equal([c.read().status, c.read().status], [200, 200])
    with weir.connect() as c:
        c.send(b"\r\n\r\n\r\n")
        envelope(c.read(), 400, close=True)
        assert c.is_closed()
    equal(len(u.requests), 2)


def http_1_0_gets_one_answer_and_a_close(t):
    weir, u = _weir(t, upstream.ok(b"body", chunk_sizes=[1]))
    with weir.connect() as c:
        c.send(b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        r = c.read()
        equal((r.status, r.body, r.framing), (200, b"body", "close"))
        assert "Transfer-Encoding" not in r.fields
        assert c.is_closed()
    equal(u.requests[0].version, "HTTP/1.1")
    equal(u.requests[0].header("Host"), f"127.0.0.1:{u.port}")  # the configured authority


def after_connection_close_nothing_more_is_read(t):
    weir, u = _weir(t)
    with weir.connect() as c:
        c.send(client.request_bytes("GET", "/1", {"Connection": "close"}) + client.request_bytes("GET", "/2"))
        r = c.read()
        equal((r.status, r.closes), (200, True))
        assert c.is_closed()
    equal([x.target for x in u.requests], ["/1"])


def head_204_and_304_have_no_body_and_leave_the_connection_usable(t):
    def script(x):
        x.read_body()
        status = int(x.request.target[1:4])
        x.respond(status, b"" if status != 200 else b"x" * 10, [("ETag", '"e"')])
    weir, u = _weir(t, script)
    with weir.connect() as c:
        r = c.request("HEAD", "/200")
        equal((r.status, r.header("Content-Length"), r.body), (200, "10", b""))
        r = c.request("GET", "/204")
        equal((r.status, r.framing), (204, "none"))
        equal(c.request("GET", "/304").status, 304)
        equal(c.request("GET", "/200").body, b"x" * 10)


def the_forwarded_head_is_written_anew(t):
    weir, u = _weir(t)
    with weir.connect() as c:
        c.send(b"POST /a//b/../c;p=1?x=%41&y HTTP/1.1\r\nX-One:  1  \r\nHOST: A.example:80\r\n"
               b"Connection: x-gone, Host, keep-alive\r\nX-Gone: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
               b"Proxy: http://evil\r\nX_One: alias\r\n"
               b"Upgrade: h2c\r\nHTTP2-Settings: AA\r\nX-Original-URL: /admin\r\nX-One: 2\r\nX-Empty:\r\n"
               b"X-Real-IP: 6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n\r\n")
        equal(c.read().status, 200)
    r = u.requests[0]
    equal(r.target, "/a/c?x=%41&y")
    equal(r.fields[0], ("Host", "A.example:80"))
    equal(r.header("Content-Length"), "0")
    equal(r.fields.all("X-One"), ["1", "2"])
    equal(r.header("X-Empty"), "")
    equal(r.header("Via"), "1.1 weir")
    equal(r.header("X-Forwarded-For"), "127.0.0.1")
    equal(r.header("X-Forwarded-Proto"), t.scheme)
    equal(len(r.header("X-Request-ID")), 32)
    for name in ("X-Gone", "Keep-Alive", "TE", "Proxy", "X_One", "Upgrade", "HTTP2-Settings", "X-Original-URL",
                 "X-Real-IP", "Forwarded", "Connection"):
        assert name not in r.fields, f"{name} was forwarded"


# ---- bodies --------------------------------------------------------------------------------------------------------

SIZES = (0, 1, 2, 1023, 65535, 65536, 65537, 1_000_000, 8 * MIB)


def bodies_of_every_size_pass_byte_exact_both_ways(t):
    weir, u = _weir(t, lambda x: x.respond(
        200, x.read_body(), (), [1, 70_000, 16] if x.request.target.endswith("chunked") else None))
    rng = random.Random(1)
    with weir.connect(timeout=60) as c:
        for size in SIZES:
            body = rng.randbytes(size)
            for up in ("length", "chunked"):
                for down in ("length", "chunked"):
                    fields = {"Transfer-Encoding": "chunked"} if up == "chunked" else {"Content-Length": size}
                    payload = http1.chunked(body, [5, 1000, 30_000] if size else []) if up == "chunked" else body
                    sender = threading.Thread(target=c.send, daemon=True, args=(
                        client.request_bytes("PUT", f"/{up}/to/{down}", fields) + payload,), kwargs={"pieces": rng})
                    sender.start()
                    r = c.read()
                    sender.join(30)
                    equal((r.status, len(r.body)), (200, size), f"{size} {up} {down}")
                    assert r.body == body, f"{size} {up} {down}: bytes differ"
                    equal(r.framing, down)
    for request in u.requests:
        up = "chunked" if request.target.startswith("/chunked") else None
        equal(request.header("Transfer-Encoding"), up, request.target)


def a_close_delimited_answer_is_chunked_for_1_1_and_closed_for_1_0(t):
    body = random.Random(2).randbytes(300_000)
    weir, u = _weir(t, upstream.raw(b"HTTP/1.0 200 OK\r\n\r\n" + body, close=True))
    with weir.connect() as c:
        for _ in range(2):
            r = c.request()
            equal((r.framing, r.body == body), ("chunked", True))
    with weir.connect() as c:
        r = c.request(version="HTTP/1.0")
        equal((r.framing, r.body == body), ("close", True))
    equal(len(u.connections), 3)


def chunk_extensions_and_trailers_end_here(t):
    weir, u = _weir(t, upstream.echo())
    with weir.connect() as c:
        c.send(client.request_bytes("POST", "/", {"Transfer-Encoding": "chunked", "Trailer": "X-T"})
               + b'3;a=b;c="d e"\r\nabc\r\n0;last\r\nX-T: 1\r\nHost: evil\r\n\r\n')
        equal(c.read().body, b"abc")
        equal(c.request().status, 200)
    assert not u.requests[0].trailers, u.requests[0].trailers
    assert "Trailer" not in u.requests[0].fields and "X-T" not in u.requests[0].fields


def trailers_and_extensions_of_the_upstream_are_dropped(t):
    weir, u = _weir(t, upstream.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                    b"3;x=1\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"))
    with weir.connect() as c:
        equal([c.request().body, c.request().body], [b"abc", b"abc"])  # the client refuses both


def expect_100_continue_is_answered_here(t):
    weir, u = _weir(t, upstream.echo())
    with weir.connect() as c:
        c.send(client.request_bytes("POST", "/", {"Expect": "100-Continue", "Content-Length": "5"}))
        equal(c.read_interim()[0], 100)
        wait_until("the head reached the upstream before the body", lambda: u.requests)
        c.send(b"12345")
        equal(c.read().body, b"12345")
        c.send(client.request_bytes("POST", "/", {"Expect": "100-continue", "Content-Length": "0"}))
        r = c.read()
        equal((r.status, r.interim), (200, []))  # no body announced: no 100
    assert all("Expect" not in r.fields for r in u.requests)
    with weir.connect() as c:
        c.send(client.request_bytes("POST", "/", {"Expect": "200-ok", "Content-Length": "0"}))
        envelope(c.read(), 417, close=True)
    equal(len(u.requests), 2)


def a_denial_replaces_the_100_and_saves_the_upload(t):
    weir, u = _weir(t, rules=[{"name": "one", "key": ["client_ip"], "limit": "1/day"}])
    with weir.connect() as c:
        equal(c.request().status, 200)
        c.send(client.request_bytes("POST", "/", {"Expect": "100-continue", "Content-Length": "5000000"}))
        r = c.read()
        equal((r.status, r.interim), (429, []))
    equal(len(u.requests), 1)


def interim_responses_are_relayed_to_1_1_and_hidden_from_1_0(t):
    weir, u = _weir(t, upstream.raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
                                    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    with weir.connect() as c:
        for _ in range(2):
            r = c.request()
            equal((r.status, r.body, [s for s, _ in r.interim]), (200, b"ok", [103, 102]))
    with weir.connect() as c:
        r = c.request(version="HTTP/1.0")
        equal((r.status, r.body, r.interim), (200, b"ok", []))


# ---- refusals ------------------------------------------------------------------------------------------------------

H = b"Host: a.example\r\n"
MALFORMED = {
    "bare LF": b"GET / HTTP/1.1\n" + H + b"\r\n",
    "bare CR": b"GET / HTTP/1.1\r\nX: a\rb\r\n" + H + b"\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\n" + H + b"\r\n",
    "no version": b"GET /\r\n\r\n",
    "lower case version": b"GET / http/1.1\r\n" + H + b"\r\n",
    "method with a colon": b"GE:T / HTTP/1.1\r\n" + H + b"\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + H + H + b"\r\n",
    "host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "host with userinfo": b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "empty host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "fragment": b"GET /a#b HTTP/1.1\r\n" + H + b"\r\n",
    "backslash": b"GET /a\\b HTTP/1.1\r\n" + H + b"\r\n",
    "encoded slash": b"GET /a%2Fb HTTP/1.1\r\n" + H + b"\r\n",
    "encoded NUL": b"GET /a%00b HTTP/1.1\r\n" + H + b"\r\n",
    "cut escape": b"GET /a%2 HTTP/1.1\r\n" + H + b"\r\n",
    "relative target": b"GET a HTTP/1.1\r\n" + H + b"\r\n",
    "foreign scheme": b"GET ftp://a/ HTTP/1.1\r\n" + H + b"\r\n",
    "star on GET": b"GET * HTTP/1.1\r\n" + H + b"\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\n" + H + b"X : 1\r\n\r\n",
    "empty name": b"GET / HTTP/1.1\r\n" + H + b": 1\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\n" + H + b"X\r\n\r\n",
    "folded line": b"GET / HTTP/1.1\r\n" + H + b"X: 1\r\n 2\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\n" + H + b"X: a\0b\r\n\r\n",
    "two authorizations": b"GET / HTTP/1.1\r\n" + H + b"Authorization: a\r\nAuthorization: b\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "list of lengths": b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 1, 1\r\n\r\nx",
    "signed length": b"POST / HTTP/1.1\r\n" + H + b"Content-Length: +1\r\n\r\nx",
    "empty length": b"POST / HTTP/1.1\r\n" + H + b"Content-Length:\r\n\r\n",
    "overflowing length": b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 18446744073709551617\r\n\r\nx",
    "length and chunked": b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                          b"0\r\n\r\n",
    "chunked and length": b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
                          b"0\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "quoted chunked": b"POST / HTTP/1.1\r\n" + H + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "chunked in 1.0": b"POST / HTTP/1.0\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad connection option": b"GET / HTTP/1.1\r\n" + H + b"Connection: a b\r\n\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


def _refused(weir, message, pieces, status=400):
    with weir.connect() as c:
        try:
            c.send(message, pieces=pieces)
        except OSError:
            pass  # refused before the end was sent
        r = c.read("HEAD" if message.startswith(b"HEAD") else "GET")
        envelope(r, status, close=True)
        assert c.is_closed(), "the connection stays open"
        return r


def a_malformed_head_gets_400_and_a_close_and_never_reaches_the_upstream(t):
    weir, u = _weir(t, workers=1)
    wrong = []
    for name, message in MALFORMED.items():
        for pieces in (None, 1):
            try:
                _refused(weir, message, pieces)
            except Exception as e:  # noqa: BLE001 - all wrong cases are wanted at once
                wrong.append(f"{name} ({'bytewise' if pieces else 'whole'}): {e!r}")
    assert not wrong, "\n".join(wrong)
    equal(u.requests, [])
    equal(weir.get().status, 200)
    records = weir.records(len(MALFORMED) * 2 + 1)
    for r in records[:-1]:
        equal((r["status"], r["decision"]), (400, "rejected"))


def other_versions_and_methods_are_refused_by_name(t):
    weir, u = _weir(t)
    for message, status in ((b"GET / HTTP/1.2\r\n" + H + b"\r\n", 505), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
                            (b"get / HTTP/1.1\r\n" + H + b"\r\n", 501),
                            (b"A" * 33 + b" / HTTP/1.1\r\n" + H + b"\r\n", 501),
                            (b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501)):
        _refused(weir, message, None, status)
    for method in (b"CONNECT a:80", b"TRACE /"):
        assert _refused(weir, method + b" HTTP/1.1\r\n" + H + b"\r\n", None, 405).header("Allow")
    equal(u.requests, [])


def a_request_after_a_refused_one_is_not_read(t):
    weir, u = _weir(t)
    with weir.connect() as c:
        c.send(client.request_bytes("GET", "/1") + MALFORMED["two hosts"] + client.request_bytes("GET", "/2"))
        equal(c.read().status, 200)
        envelope(c.read(), 400, close=True)
        assert c.is_closed()
    equal([r.target for r in u.requests], ["/1"])


def targets_and_heads_over_the_limits_get_414_and_431(t):
    weir, u = _weir(t)
    equal(weir.get("/" + "a" * 8191).status, 200)
    _refused(weir, client.request_bytes("GET", "/" + "a" * 8192), None, 414)
    _refused(weir, client.request_bytes("GET", "/" + "a" * 200_000), None, 414)
    many = [(f"X-{i}", "1") for i in range(99)]
    equal(weir.get("/", many).status, 200)
    _refused(weir, client.request_bytes("GET", "/", many + [("X-Last", "1")]), None, 431)
    _refused(weir, client.request_bytes("GET", "/", {"X": "a" * 17_000}), None, 431)
    _refused(weir, client.request_bytes("GET", "/", {"N" * 257: "1"}), None, 431)
    _refused(weir, client.request_bytes("GET", "/", [(f"X-{i}", "a" * 9000) for i in range(4)]), None, 431)
    _refused(weir, b"GET / HTTP/1.1\r\n" + H + b"X: " + b"a" * 1_000_000, None, 431)
    equal(len(u.requests), 2)


def bodies_over_the_limit_get_413(t):
    weir, u = _weir(t, upstream.echo(), limits={"body_size": "64KiB"})
    body = b"x" * 65536
    equal(weir.fetch("POST", body=body).body, body)
    _refused(weir, client.request_bytes("POST", "/", {"Content-Length": "65537"}), None, 413)
    equal(len(u.requests), 1)  # announced: refused before anything is forwarded
    _refused(weir, client.request_bytes("POST", "/", {"Transfer-Encoding": "chunked"})
             + http1.chunked(b"x" * 65537, [1000] * 60), None, 413)
    assert all(r.body is None for r in u.requests[1:]), "the upstream saw a complete message"


def a_malformed_chunked_body_never_reaches_the_upstream_as_a_whole(t):
    weir, u = _weir(t, upstream.echo())
    for tail in (b"g\r\n", b"5 \r\n", b"0x5\r\nhello\r\n", b"3\r\nabcde\r\n", b"3\r\nabc\n0\r\n\r\n",
                 b"3;\n\r\nabc\r\n",
                 b"11111111111111111\r\n", b"-1\r\n", b"0\r\nBad Name: 1\r\n\r\n", b'3;a="\n"\r\nabc\r\n'):
        head = client.request_bytes("POST", "/", {"Transfer-Encoding": "chunked"})
        _refused(weir, head + b"2\r\nok\r\n" + tail, None)
    time.sleep(0.1)
    assert all(r.body is None for r in u.requests), "the upstream saw a complete message"


def a_truncated_body_never_reaches_the_upstream_as_a_whole(t):
    weir, u = _weir(t, upstream.echo())
    for message in (client.request_bytes("POST", "/", {"Content-Length": "10"}) + b"12345",
                    client.request_bytes("POST", "/", {"Transfer-Encoding": "chunked"}) + b"5\r\n123"):
        for leave in ("half_close", "reset"):
            with weir.connect() as c:
                c.send(message)
                wait_until("the head is forwarded", lambda: u.requests)
                getattr(c, leave)()
                if leave == "half_close":
                    data = c.read_until_close()
                    assert data == b"" or data.startswith(b"HTTP/1.1 400 "), data
    wait_until("the upstream connections are closed", lambda: u.open_connections() == 0)
    assert all(r.body is None for r in u.requests)
    equal(weir.get().status, 200)


# ---- deadlines -----------------------------------------------------------------------------------------------------

def a_slow_head_gets_408_however_often_a_byte_comes(t):
    weir, u = _weir(t, limits={"header_timeout": "700ms"})
    with weir.connect() as c:
        begin = time.monotonic()
        c.send(b"GET / HTTP/1.1\r\n")
        deadline = begin + 10
        while time.monotonic() < deadline:
            try:
                c.send(b"X: 1\r\n")
            except OSError:
                break
            if not c.is_silent(0.1):
                break
        took = time.monotonic() - begin
        envelope(c.read(), 408, close=True)
        assert 0.6 <= took < 1.5 + t.slack, f"408 after {took:.2f} s"
        assert c.is_closed()
    equal(u.requests, [])


def an_idle_connection_is_closed_silently(t):
    weir, u = _weir(t, limits={"keepalive_timeout": "500ms", "header_timeout": "500ms"})
    for preamble in (b"", b"\r\n"):
        with weir.connect() as c:
            if preamble:
                c.send(preamble)
            assert c.is_closed(5), "something was sent"
    with weir.connect() as c:
        equal(c.request().status, 200)
        assert c.is_closed(5)


def a_stalled_body_gets_408_and_the_upstream_is_dropped(t):
    weir, u = _weir(t, upstream.echo(), limits={"body_idle_timeout": "500ms"})
    with weir.connect() as c:
        begin = time.monotonic()
        c.send(client.request_bytes("POST", "/", {"Content-Length": "100"}) + b"12345")
        envelope(c.read(), 408, close=True)
        assert 0.4 <= time.monotonic() - begin < 2 + t.slack
        assert c.is_closed()
    wait_until("the upstream connection is closed", lambda: u.open_connections() == 0)
    assert all(r.body is None for r in u.requests)


# ---- backpressure --------------------------------------------------------------------------------------------------

def a_slow_reader_of_64_MiB_costs_little_memory(t):
    block = random.Random(3).randbytes(MIB)

    def script(x):
        x.read_body()
        x.send(http1.head("HTTP/1.1 200 OK", [("Content-Length", str(64 * MIB))]))
        for _ in range(64):
            x.send(block)
    weir, u = _weir(t, upstream.by_path({"/big": script}))
    with weir.connect(receive_buffer=65536, timeout=60) as c:
        weir.get("/warm", timeout=60)
        before, resident = weir.memory_bytes(), weir.resident_bytes()
        weir.forget_peak()
        c.send(client.request_bytes("GET", "/big"))
        time.sleep(1.0)  # nobody reads
        grown = weir.memory_bytes() - before
        assert grown < 8 * MIB * t.slack, f"memory grew by {grown / MIB:.1f} MiB"
        r = c.read(timeout=60)
        equal(hashlib.sha256(r.body).digest(), hashlib.sha256(block * 64).digest())
        grown = weir.peak_resident_bytes() - resident
        assert grown < 16 * MIB * t.slack, f"peak memory grew by {grown / MIB:.1f} MiB"
        t.note(f"+{grown / MIB:.1f} MiB at the peak")


def a_slow_upstream_slows_the_uploading_client_down(t):
    block = random.Random(4).randbytes(MIB)
    go = threading.Event()

    def script(x):
        go.wait(30)
        x.respond(200, hashlib.sha256(x.read_body(60)).hexdigest().encode())
    weir, u = _weir(t, script)
    before = weir.memory_bytes()
    with weir.connect(timeout=60) as c:
        c.send(client.request_bytes("POST", "/up", {"Content-Length": str(32 * MIB)}))
        sender = threading.Thread(target=lambda: [c.send(block) for _ in range(32)], daemon=True)
        sender.start()
        time.sleep(1.0)
        assert sender.is_alive(), "weir swallowed the whole body"
        grown = weir.memory_bytes() - before
        assert grown < 8 * MIB * t.slack, f"memory grew by {grown / MIB:.1f} MiB"
        go.set()
        equal(c.read(timeout=60).body.decode(), hashlib.sha256(block * 32).hexdigest())
        sender.join(10)


def an_early_answer_reaches_a_client_that_still_uploads(t):
    def script(x):
        x.respond(413, b"too much", [("Connection", "close")])
        x.close()
    weir, u = _weir(t, script)
    with weir.connect() as c:
        c.send(client.request_bytes("POST", "/", {"Content-Length": str(4 * MIB)}) + b"x" * 1000)
        r = c.read()
        equal((r.status, r.body), (413, b"too much"))
    equal(weir.fetch("POST", body=b"").status, 413)


def the_rest_of_an_unwanted_body_is_dropped_if_it_is_short_and_prompt(t):
    def early(x):
        x.respond(200, b"early")
        x.wait_for_peer_close(20)
        x.close()
    weir, u = _weir(t, by_path({"/early": early}), rules=[
        {"name": "none", "match": {"path": "/denied"}, "key": ["client_ip"], "limit": "1/day"}])
    equal(weir.get("/denied").status, 200)

    def upload(c, target, announced, sent, closes=False):
        c.send(client.request_bytes("POST", target, {"Content-Length": str(announced)}))
        r = c.read()
        equal((r.status, r.closes), (429 if target == "/denied" else 200, closes), target)
        c.send(b"x" * sent)
    for target in ("/denied", "/early"):
        with weir.connect() as c:   # short and prompt: dropped, and the connection is kept
            upload(c, target, 64 * 1024, 64 * 1024)
            equal(c.request("GET", "/next").status, 200)
        with weir.connect() as c:   # too long
            upload(c, target, 64 * 1024 + 1, 1000, closes=True)
            assert c.is_closed(), f"{target}: a long rest is not waited for"
        with weir.connect() as c:   # too slow
            begin = time.monotonic()
            upload(c, target, 1000, 999)
            assert c.is_closed(), f"{target}: a slow rest is not waited for"
            waited = time.monotonic() - begin
            assert 0.8 < waited < 1.2 + 0.5 * t.slack, f"closed after {waited:.2f} s"
    equal([r.target for r in u.requests if r.target == "/denied"], ["/denied"])
    equal({r.body for r in u.requests if r.target == "/early"}, {None}, "no body reached the upstream whole")


def a_hundred_connections_at_once_get_their_own_answers(t):
    weir, u = _weir(t, lambda x: x.respond(200, x.request.target.encode() + x.read_body()))
    wrong = []

    def one(number):
        try:
            with weir.connect() as c:
                for i in range(10):
                    r = c.request("POST", f"/{number}/{i}", body=b"%d" % number)
                    equal(r.body, b"/%d/%d%d" % (number, i, number))
        except Exception as e:  # noqa: BLE001
            wrong.append(repr(e))
    threads = [threading.Thread(target=one, args=(n,)) for n in range(100)]
    for x in threads:
        x.start()
    for x in threads:
        x.join(60)
    assert not wrong, wrong[:5]
    equal(len(u.requests), 1000)
    records = weir.records(1000)
    equal(sorted(r["path"] for r in records), sorted(f"/{n}/{i}" for n in range(100) for i in range(10)))


def a_truncated_answer_is_noticed_by_the_strict_client(t):
    weir, u = _weir(t, upstream.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", close=True))
    with weir.connect() as c, fails_with(http1.Closed):
        c.request()
