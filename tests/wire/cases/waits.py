# SPDX-License-Identifier: Apache-2.0
"""Conversations: leave to send a body, bytes that stop, deadlines, clients that leave."""

import time

from case import Chapter, get, post, raw
from support import client
from support.check import envelope, equal

chapter = c = Chapter()


@c.dialogue("1.39", "100 comes when the head is upstream, and the body after it")
def leave_to_send(bench):
    with bench.connect() as conn:
        conn.send(raw(post("Expect: 100-continue\r\nContent-Length: 5")))
        equal(conn.read_interim()[0], 100)
        bench.wait("the head reached the upstream before the body", lambda: bench.reached())
        conn.send(b"12345")
        r = conn.read()
        equal((r.status, r.interim), (200, []))
    equal([x.body for x in bench.reached()], [b"12345"])


@c.dialogue("1.39", "a denial replaces the 100, and the connection ends")
def denied_instead_of_100(bench):
    with bench.connect() as conn:
        conn.send(raw(post("Expect: 100-continue\r\nContent-Length: 5", target="/denied")))
        r = conn.read()
        envelope(r, 429, close=True)
        equal(r.interim, [])
        assert conn.is_closed()
    equal(bench.reached(), [])


@c.dialogue("1.39", "HTTP/1.0 never gets an interim response, even when it waits for one")
def no_interim_for_1_0(bench):
    with bench.connect() as conn:
        conn.send(raw(get("/", "Expect: 100-continue\r\nContent-Length: 2", method="POST", version="HTTP/1.0")))
        bench.wait("the head reached the upstream", lambda: bench.reached())
        conn.send(b"ab")
        r = conn.read()
        equal((r.status, r.interim), (200, []))


@c.dialogue("1.39", "a 100 of the upstream is not relayed a second time")
def one_100(bench):
    def script(x):
        x.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        x.read_body()
        x.respond(200, b"ok")
    bench.script(script)
    with bench.connect() as conn:
        conn.send(raw(post("Expect: 100-continue\r\nContent-Length: 5")))
        equal(conn.read_interim()[0], 100)
        conn.send(b"12345")
        r = conn.read()
        equal((r.status, r.interim, r.body), (200, [], b"ok"))


@c.dialogue("1.36", "a chunk that is wrong after its head was forwarded ends the upstream's connection")
def cut_upstream(bench):
    with bench.connect() as conn:
        conn.send(raw(post("Transfer-Encoding: chunked", "3\r\nabc\r\n")))
        bench.wait("the head reached the upstream", lambda: bench.reached())
        conn.send(b"zz\r\n" + raw(get("/smuggled")))
        envelope(conn.read(), 400, close=True)
        assert conn.is_closed()
    bench.wait("the upstream's connection is closed", lambda: bench.reached()[0].connection.closed_by_peer)
    equal(bench.reached()[0].body, None)


@c.dialogue("1.42", "a second request that ends in its head gets 400")
def second_head_cut(bench):
    with bench.connect() as conn:
        equal(conn.request("GET", "/1").status, 200)
        conn.send(b"GET /smuggled HTTP/1.1\r\nHost")
        conn.half_close()
        envelope(conn.read(), 400, close=True)
    equal([r.target for r in bench.reached()], ["/1"])


def client_ends(bench, end):
    """A client that ends in its body, which the upstream has begun to read."""
    with bench.connect() as conn:
        conn.send(raw(post("Content-Length: 5", "12")))
        bench.wait("the head reached the upstream", lambda: bench.reached())
        end(conn)
        bench.wait("the upstream's connection is closed", lambda: bench.reached()[0].connection.closed_by_peer)
        equal(bench.reached()[0].body, None)


@c.dialogue("1.42", "FIN inside a body: 400, and the upstream sees no whole message")
def fin_in_body(bench):
    def end(conn):
        conn.half_close()
        envelope(conn.read(), 400, close=True)
        assert conn.is_closed()
    client_ends(bench, end)


@c.dialogue("1.42", "RST inside a body: the upstream sees no whole message")
def rst_in_body(bench):
    client_ends(bench, lambda conn: conn.reset())


def leaves_while_waiting(bench, leave):
    bench.script(lambda x: (x.read_body(), x.wait_for_peer_close(20), x.close()))
    with bench.connect() as conn:
        conn.send(raw(get("/slow")))
        bench.wait("the request reached the upstream", lambda: bench.reached())
        leave(conn)
        bench.wait("the attempt is cancelled", lambda: bench.reached()[0].connection.closed_by_peer)


@c.dialogue("1.42", "FIN while the upstream is awaited cancels the attempt")
def fin_while_waiting(bench):
    def leave(conn):
        conn.half_close()
        equal(conn.read_until_close(), b"")
    leaves_while_waiting(bench, leave)


@c.dialogue("1.42", "RST while the upstream is awaited cancels the attempt")
def rst_while_waiting(bench):
    leaves_while_waiting(bench, lambda conn: conn.reset())


@c.dialogue("1.42", "RST inside a head leaves no trace")
def rst_in_head(bench):
    conn = bench.connect()
    conn.send(b"GET /smuggled HTTP/1.1\r\nHost: a.exa")
    conn.reset()
    equal(bench.reached(), [])


# ---- deadlines, shortened by the policy ------------------------------------------------------------------------------

def drip(conn, text, bench):
    """One byte at a time until the peer answers or closes."""
    for byte in raw(text):
        try:
            conn.send(bytes([byte]))
        except OSError:
            return
        if not conn.is_silent(bench.tick):
            return


@c.dialogue("1.43", "a head that drips is cut at the header timeout: bytes never extend it", where="hasty")
def slow_head(bench):
    with bench.connect() as conn:
        drip(conn, get("/" + "a" * 1000), bench)
        envelope(conn.read(), 408, close=True)
        assert conn.is_closed()


@c.dialogue("1.43", "a head that stops is cut at the header timeout", where="hasty")
def stopped_head(bench):
    with bench.connect() as conn:
        conn.send(b"GET / HTTP/1.1\r\nHost: a")
        envelope(conn.read(), 408, close=True)


@c.dialogue("1.43", "empty lines start the header timer, and get no answer", where="hasty")
def empty_lines_only(bench):
    with bench.connect() as conn:
        conn.send(b"\r\n")
        equal(conn.read_until_close(), b"")


@c.dialogue("1.43", "an idle connection is closed without a word", where="hasty")
def idle(bench):
    with bench.connect() as conn:
        equal(conn.read_until_close(), b"")
    with bench.connect() as conn:
        equal(conn.request("GET", "/").status, 200)
        equal(conn.read_until_close(), b"")


@c.dialogue("1.43", "a body that stops gets 408, and the upstream sees no whole message", where="hasty")
def stopped_body(bench):
    for message in (post("Content-Length: 5", "12"), post("Transfer-Encoding: chunked", "3\r\nabc\r\n"),
                    post("Content-Length: 5")):
        with bench.connect() as conn:
            conn.send(raw(message))
            envelope(conn.read(), 408, close=True)
            assert conn.is_closed()
    bench.wait("the upstream's connections are closed",
               lambda: all(x.connection.closed_by_peer for x in bench.reached()))
    equal([x.body for x in bench.reached()], [None] * 3)


@c.dialogue("1.43", "a second request's timer begins with its own first byte", where="hasty")
def timer_of_the_second(bench):
    with bench.connect() as conn:
        for i in range(4):
            conn.send(b"GET / HTTP/1.1\r\n")
            assert conn.is_silent(bench.tick)
            conn.send(b"Host: a.example\r\n\r\n")
            equal(conn.read().status, 200, f"request {i}")


# ---- bodies nobody wants ---------------------------------------------------------------------------------------------

@c.dialogue("1.44", "a denied request's body that does not come within a second ends the connection")
def denied_and_late(bench):
    with bench.connect() as conn:
        conn.send(raw(post("Content-Length: 5", "1", "/denied")))
        envelope(conn.read(), 429)
        assert conn.is_closed()


@c.dialogue("1.44", "a denied request's chunked body beyond 64 KiB ends the connection")
def denied_and_long(bench):
    with bench.connect() as conn:
        conn.send(raw(post("Transfer-Encoding: chunked", "1\r\nx\r\n", "/denied")))
        envelope(conn.read(), 429)
        try:
            conn.send(b"20000\r\n" + b"d" * 0x20000 + b"\r\n0\r\n\r\n" + raw(get("/smuggled")))
        except OSError:
            pass
        assert conn.is_closed()
    equal(bench.reached(), [])


@c.dialogue("1.44", "a denied request's body that is malformed ends the connection")
def denied_and_malformed(bench):
    with bench.connect() as conn:
        conn.send(raw(post("Transfer-Encoding: chunked", "zz\r\n" + get("/smuggled"), "/denied")))
        envelope(conn.read(), 429)
        assert conn.is_closed()
    equal(bench.reached(), [])


@c.dialogue("closing", "an error reaches a client that goes on sending for a while")
def error_behind_a_flood(bench):
    with bench.connect() as conn:
        conn.send(raw(get("/a#b")) + b"x" * 1_000_000)
        envelope(conn.read(), 400, close=True)
        assert conn.is_closed()


@c.dialogue("1.3", "a request and a body cut in two at every place are what they are whole")
def cut_everywhere(bench):
    message = raw(post("Transfer-Encoding: chunked", '2;a="b"\r\nab\r\n0\r\nX-T: 1\r\n\r\n')) + raw(get("/2"))
    with bench.connect() as conn:
        for at in range(1, len(message)):
            conn.send(message[:at])
            time.sleep(0.0002)      # so that weir reads what is there; either way the verdict is the same
            conn.send(message[at:])
            equal([conn.read().status, conn.read().body], [200, b"/2"], f"cut at {at}")
    equal({(r.target, r.body) for r in bench.reached()}, {("/", b"ab"), ("/2", b"")})


# ---- order -----------------------------------------------------------------------------------------------------------

@c.dialogue("1.37", "one request is in flight, however many wait")
def one_in_flight(bench):
    together = []

    def script(x):
        together.append(len(bench.reached()))
        x.respond(200, x.request.target.encode())
    bench.script(script)
    with bench.connect() as conn:
        conn.send(b"".join(client.request_bytes("GET", f"/{i}") for i in range(20)))
        equal([conn.read().body for _ in range(20)], [b"/%d" % i for i in range(20)])
    equal(together, list(range(1, 21)))


@c.dialogue("1.37", "input beyond 64 KiB waits in the client's socket while a request is in flight")
def bounded_input(bench):
    def script(x):
        bench.wait("the client cannot send more", lambda: stuck)
        x.respond(200, b"ok")
    stuck = []
    bench.script(script)
    with bench.connect() as conn:
        conn.sock.settimeout(0.5)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += conn.sock.send(raw(get("/x")) * 2000)
        except TimeoutError:
            stuck.append(sent)
        assert stuck, f"weir took {sent} bytes of pipelined requests"
        equal(conn.read().status, 200)


@c.dialogue("1.4", "a byte that can never begin a request is refused before the line is whole")
def first_impossible_byte(bench):
    for text, status in (("\0", 400), ("GET /\r", 400), ("GET / HTTP/2", 505), ("GET / HTTP/1.1\r\nHost: a\r\n ", 400),
                         ("CONNECT ", 405), ("GET / HTTP/1.1\r\nHost: a\r\nX: \x01", 400),
                         ("GET / HTTP/1.1\r\nHost: a b\r\n", 400)):
        if text.endswith("HTTP/2"):
            text += ".0\r\n"
        with bench.connect() as conn:
            conn.send(raw(text))
            envelope(conn.read(), status, close=True)


@c.dialogue("1.35", "a body trickles through: the upstream gets each piece before the next is sent")
def streams(bench):
    with bench.connect() as conn:
        conn.send(raw(post("Transfer-Encoding: chunked")))
        for i in range(5):
            conn.send(b"3\r\nab%d\r\n" % i)
            bench.wait("the piece reached the upstream",
                       lambda n=i: bench.reached() and b"ab%d" % n in bytes(bench.reached()[0].connection.received))
        conn.send(b"0\r\n\r\n")
        equal(conn.read().status, 200)
    equal(bench.reached()[0].body, b"ab0ab1ab2ab3ab4")
