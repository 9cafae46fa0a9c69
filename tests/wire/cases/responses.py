# SPDX-License-Identifier: Apache-2.0
"""2.1-2.13: what an upstream may answer, and what of it reaches the client."""

import time

from case import CLOSED, Chapter, get, ok, post, raw
from support.check import envelope, equal
from support.http1 import Closed

chapter = c = Chapter()
OK2 = ok("Content-Length: 2", "ok")
CHUNKED = "Transfer-Encoding: chunked"

# ---- 2.1 -------------------------------------------------------------------------------------------------------------
c.relayed("2.1", "a status line", OK2)
for status in ("200 ", "200 OK", "200 A reason, with: everything \xe9\t!", "404 Not Found", "299 x",
               "418 I'm a teapot", "500 x", "599 x"):
    c.relayed("2.1", f"the status `{status}`", ok("Content-Length: 2", "ok", status=status))
c.relayed("2.1", "no reason and no space before it", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok")
c.relayed("2.1", "HTTP/1.0 with a length", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", pooled=False)
for line in ("HTTP/1.2 200 OK", "HTTP/2.0 200 OK", "HTTP/0.9 200 OK", "HTTP/1.10 200 OK", "http/1.1 200 OK",
             "HTTP/1.1  200 OK",
             "HTTP/1.1\t200 OK", "HTTP/1.1 099 x", "HTTP/1.1 000 x", "HTTP/1.1 600 x", "HTTP/1.1 999 x",
             "HTTP/1.1 20 OK",
             "HTTP/1.1 2000 OK", "HTTP/1.1 2x0 OK", "HTTP/1.1 +20 OK", "HTTP/1.1 OK", "HTTP/1.1", "HTTP/1.1 200OK",
             "HTTP/1.1 200\tOK",
             "HTTP/1.1 200 O\x01K", "HTTP/1.1 200 O\0K", "HTTP/1.1 200 O\x7fK", "HTTP/1.1 200 O\rK", "ICY 200 OK",
             "HTTPS/1.1 200 OK",
             " HTTP/1.1 200 OK", "200 OK", "GET / HTTP/1.1"):
    c.bad("2.1", f"the status line `{line}`", f"{line}\r\nContent-Length: 2\r\n\r\nok")
c.bad("2.1", "an empty line before the status line", "\r\n" + OK2)
c.bad("2.1", "a lone LF before the status line", "\n" + OK2)
c.bad("2.1", "a body without a head", "<html>hello</html>\r\n\r\n")
c.bad("2.1", "the first bytes of TLS", "\x15\x03\x01\x00\x02\x02\x50")

# ---- 2.2 -------------------------------------------------------------------------------------------------------------
for status in (102, 103, 110, 199):
    c.relayed("2.2", f"a {status} before the response", f"HTTP/1.1 {status} x\r\nX-A: 1\r\n\r\n" + OK2,
              interim=(status,))
c.relayed("2.2", "a 100 that nobody asked for", "HTTP/1.1 100 Continue\r\n\r\n" + OK2, interim=(100,))
c.relayed("2.2", "16 interim responses", "HTTP/1.1 103 x\r\nLink: </a>\r\n\r\n" * 16 + OK2, interim=(103,) * 16)
c.relayed("2.2", "interim responses are hidden from HTTP/1.0",
          "HTTP/1.1 103 x\r\nLink: </a>\r\n\r\nHTTP/1.1 100 x\r\n\r\n" + OK2,
          version="1.0", fate=CLOSED)
c.bad("2.2", "17 interim responses", "HTTP/1.1 103 x\r\n\r\n" * 17 + OK2, interim=(103,) * 16, peers=False)
c.bad("2.2", "a 1xx with a length", "HTTP/1.1 103 x\r\nContent-Length: 0\r\n\r\n" + OK2)
c.bad("2.2", "a 1xx with a length and a body", "HTTP/1.1 100 x\r\nContent-Length: 2\r\n\r\nok" + OK2)
c.bad("2.2", "a 1xx with a coding", f"HTTP/1.1 103 x\r\n{CHUNKED}\r\n\r\n0\r\n\r\n" + OK2)
c.bad("2.2", "a 1xx and nothing more", "HTTP/1.1 103 x\r\n\r\n", interim=(103,), end="fin", peers=False)
c.bad("2.2", "a malformed 1xx", "HTTP/1.1 103 x\r\nX A: 1\r\n\r\n" + OK2)

# ---- 2.3 -------------------------------------------------------------------------------------------------------------
c.bad("2.3", "a 101 that nobody asked for", "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + OK2)
c.bad("2.3", "a 101 without Upgrade", "HTTP/1.1 101 x\r\n\r\n" + OK2)
c.bad("2.3", "a 101 behind a 103", "HTTP/1.1 103 x\r\n\r\nHTTP/1.1 101 x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
      interim=(103,),
      peers=False)

# ---- 2.4 -------------------------------------------------------------------------------------------------------------
for line in ("X-A: 1", "X-A:1", "x-a:  1  2 ", "X-A:", "X-A: \xff\x80", "Server: x/1 (y)", "X_A: 1",
             "X-Powered-By: PHP"):
    name, _, value = line.partition(":")
    c.relayed("2.4", f"the field line `{line}`", ok(f"{line}\r\nContent-Length: 2", "ok"),
              kept=(f"{name}: {value.strip()}",))
for what, lines in (("a lone LF behind a field", "X-A: 1\nX-B: 2"), ("a lone CR in a value", "X-A: 1\r2"),
                    ("a NUL in a value", "X-A: \0"),
                    ("a DEL in a value", "X-A: \x7f"), ("a control byte in a value", "X-A: \x01"),
                    ("a fold", "X-A: 1\r\n 2"),
                    ("a fold by a tab", "X-A: 1\r\n\t2"), ("a space before the first field", " X-A: 1"),
                    ("a space before the colon", "X-A : 1"),
                    ("a space before the colon of Content-Length", "Content-Length : 2"), ("an empty name", ": 1"),
                    ("no colon", "X-A"),
                    ("a space in a name", "X A: 1"), ("an 8-bit name", "X\xe9: 1"), ("a name in quotes", '"X": 1'),
                    ("a name of 257 octets", "n" * 257 + ": 1")):
    c.bad("2.4", f"a head with {what}", ok(lines + "\r\nContent-Length: 2", "ok"))
c.bad("2.4", "a lone LF behind the status line", "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok")
c.bad("2.4", "a lone LF as the empty line", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok")
FIELDS = "\r\n".join(f"X-{i}: 1" for i in range(99))
c.relayed("2.4", "100 fields", ok(FIELDS + "\r\nContent-Length: 2", "ok"))
c.bad("2.4", "101 fields", ok(FIELDS + "\r\nX-Y: 1\r\nContent-Length: 2", "ok"))
ROOM = 32768 - len(ok("X-A: \r\nContent-Length: 2"))
c.relayed("2.4", "a head of 32 KiB", ok(f"X-A: {'v' * ROOM}\r\nContent-Length: 2", "ok"), peers=False)
c.bad("2.4", "a head of 32 KiB and one", ok(f"X-A: {'v' * (ROOM + 1)}\r\nContent-Length: 2", "ok"), peers=False)
c.bad("2.4", "a head without an end", "HTTP/1.1 200 OK\r\n" + "X-A: 1\r\n" * 20000)

# ---- 2.5 -------------------------------------------------------------------------------------------------------------
c.relayed("2.5", "a length of 0", ok("Content-Length: 0"))
c.relayed("2.5", "a length with leading zeros", ok("Content-Length: 0002", "ok"), framing="Content-Length: 2")
for what, fields in (("two lengths", "Content-Length: 2\r\nContent-Length: 3"),
                     ("two equal lengths", "Content-Length: 2\r\nContent-Length: 2"),
                     ("a list of equal lengths", "Content-Length: 2, 2"), ("a plus", "Content-Length: +2"),
                     ("a minus", "Content-Length: -2"),
                     ("an empty length", "Content-Length:"), ("hexadecimal", "Content-Length: 0x2"),
                     ("a word", "Content-Length: x"),
                     ("2^63", "Content-Length: 9223372036854775808"), ("2^64 + 2",
                                                                       "Content-Length: 18446744073709551618"),
                     ("a space inside", "Content-Length: 2 2"), ("a length and a coding",
                                                                 f"Content-Length: 2\r\n{CHUNKED}"),
                     ("a coding and a length", f"{CHUNKED}\r\nContent-Length: 2"),
                     ("two codings", f"{CHUNKED}\r\n{CHUNKED}"),
                     ("gzip", "Transfer-Encoding: gzip"), ("gzip, chunked", "Transfer-Encoding: gzip, chunked"),
                     ("chunked, gzip", "Transfer-Encoding: chunked, gzip"), ("identity", "Transfer-Encoding: identity"),
                     ("chunked twice", "Transfer-Encoding: chunked, chunked"),
                     ("a parameter", "Transfer-Encoding: chunked;q=1"),
                     ("quotes", 'Transfer-Encoding: "chunked"'), ("an empty coding", "Transfer-Encoding:"),
                     ("a vertical tab", "Transfer-Encoding: \x0bchunked")):
    c.bad("2.5", f"framing with {what}", ok(fields, "0\r\n\r\n"))
c.bad("2.5", "chunked in HTTP/1.0", f"HTTP/1.0 200 OK\r\n{CHUNKED}\r\n\r\n0\r\n\r\n")
for coding in ("chunked", "Chunked", "CHUNKED"):
    c.relayed("2.5", f"the coding {coding}", ok(f"Transfer-Encoding: {coding}", "2\r\nok\r\n0\r\n\r\n"), body=b"ok")

# ---- 2.6 -------------------------------------------------------------------------------------------------------------
c.relayed("2.6", "HEAD keeps the length of the body that is not sent", ok("Content-Length: 5"), method="HEAD")
c.relayed("2.6", "HEAD with a coding has no body", ok(CHUNKED), method="HEAD", framing=None)
c.relayed("2.6", "HEAD without framing has no body and keeps the connection", ok("X-A: 1"), method="HEAD", framing=None)
c.relayed("2.6", "204 has no body", ok(status="204 x"))
c.relayed("2.6", "204 loses its length", ok("Content-Length: 0", status="204 x"), framing=None)
c.relayed("2.6", "204 loses its coding", ok(CHUNKED, status="204 x"), framing=None)
c.relayed("2.6", "304 has no body", ok('ETag: "x"', status="304 x"))
c.relayed("2.6", "304 keeps the length of the body that is not sent", ok("Content-Length: 5", status="304 x"))
c.relayed("2.6", "a body behind a HEAD answers nobody", ok("Content-Length: 5", "12345"), method="HEAD", body=b"",
          pooled=False)
c.relayed("2.6", "a body behind a 204 answers nobody", ok("Content-Length: 5", "12345", status="204 x"), framing=None,
          body=b"", pooled=False)
c.relayed("2.6", "a body behind a 304 answers nobody", ok("Content-Length: 5", "12345", status="304 x"), body=b"",
          pooled=False)
c.relayed("2.6", "chunks behind a HEAD answer nobody", ok(CHUNKED, "2\r\nok\r\n0\r\n\r\n"), method="HEAD",
          framing=None, body=b"", pooled=False)
c.relayed("2.6", "a response behind a 304 answers nobody", ok(status="304 x") + ok("Content-Length: 6", "poison"),
          body=b"", pooled=False)

# ---- 2.7 -------------------------------------------------------------------------------------------------------------
c.relayed("2.7", "a body that ends with the connection is chunked for HTTP/1.1", ok("X-A: 1", "ok"), end="fin",
          pooled=False)
c.relayed("2.7", "an empty body that ends with the connection", ok("X-A: 1"), end="fin", pooled=False)
c.relayed("2.7", "a body that ends with the connection ends with it for HTTP/1.0", ok("X-A: 1", "ok"), end="fin",
          version="1.0", framing=None,
          fate=CLOSED, pooled=False)
c.relayed("2.7", "100,000 octets that end with the connection", ok("", "b" * 100000), end="fin", pooled=False)
c.relayed("2.7", "HTTP/1.0 without framing", "HTTP/1.0 200 OK\r\n\r\nok", end="fin", pooled=False)
c.relayed("2.7", "keep-alive without framing is not kept", ok("Connection: keep-alive", "ok"), end="fin", pooled=False)
c.relayed("2.7", "a chunked response loses its coding for HTTP/1.0", ok(CHUNKED, "2\r\nok\r\n0\r\n\r\n"), body=b"ok",
          version="1.0", framing=None,
          fate=CLOSED)
c.relayed("2.7", "a second response in a body that ends with the connection is data", ok("", "x" + OK2), end="fin",
          pooled=False)
c.broken("2.7", "RST in a body that ends with the connection", ok("", "ok"), "ok", end="rst")

# ---- 2.8 -------------------------------------------------------------------------------------------------------------
c.relayed("2.8", "one byte behind the body", ok("Content-Length: 2", "ok") + "x", body=b"ok", pooled=False)
c.relayed("2.8", "CRLF behind the body", ok("Content-Length: 2", "ok") + "\r\n", body=b"ok", pooled=False)
c.relayed("2.8", "a second response behind the first", OK2 + ok("Content-Length: 6", "poison"), body=b"ok",
          pooled=False)
c.relayed("2.8", "a second response behind the last chunk", ok(CHUNKED, "2\r\nok\r\n0\r\n\r\n") + OK2, body=b"ok",
          pooled=False)
c.relayed("2.8", "a response behind an empty one", ok("Content-Length: 0") + ok("Content-Length: 6", "poison"),
          body=b"", pooled=False)
c.relayed("2.8", "64 KiB behind the body", ok("Content-Length: 2", "ok") + "x" * 65536, body=b"ok", pooled=False)

# ---- 2.9 -------------------------------------------------------------------------------------------------------------
c.broken("2.9", "a body shorter than its length", ok("Content-Length: 5", "123"), "123", end="fin")
c.broken("2.9", "a body shorter than its length, for HTTP/1.0", ok("Content-Length: 5", "123"), "123", end="fin",
         version="1.0")
c.broken("2.9", "RST in a body", ok("Content-Length: 5", "123"), "123", end="rst")
c.broken("2.9", "no byte of a body", ok("Content-Length: 5"), "", end="fin")
for what, body, begun in (("ends in a chunk", "5\r\n123", "123"), ("ends behind a chunk", "2\r\nok\r\n", "ok"),
                          ("ends before its last CRLF", "2\r\nok\r\n0\r\n", "ok"),
                          ("ends in its last CRLF", "2\r\nok\r\n0\r\n\r", "ok"),
                          ("ends in a size", "2\r\nok\r\n1", "ok"), ("has no chunk", "", "")):
    c.broken("2.9", f"a chunked body that {what}", ok(CHUNKED, body), begun, end="fin")
c.broken("2.9", "a chunked body that ends, for HTTP/1.0", ok(CHUNKED, "2\r\nok\r\n"), "ok", end="fin", version="1.0")
for what, body, begun in (("no size", "zz\r\n", ""), ("a negative size", "-1\r\n", ""),
                          ("a size of 2^63", "8000000000000000\r\n", ""),
                          ("a space behind the size", "2 \r\nok\r\n0\r\n\r\n", ""),
                          ("a lone LF behind the size", "2\nok\r\n0\r\n\r\n", ""),
                          ("a lone LF behind the data", "2\r\nok\n0\r\n\r\n", "ok"),
                          ("no CRLF behind the data", "2\r\nokXX0\r\n\r\n", "ok"),
                          ("one byte too many", "2\r\nokk\r\n0\r\n\r\n", "ok"),
                          ("an extension without a name", "2;\r\nok\r\n0\r\n\r\n", ""),
                          ("a lone LF in a quoted extension", '2;a="\n"\r\nok\r\n0\r\n\r\n', ""),
                          ("an extension without an end", "2;" + "a" * 70000, ""),
                          ("a fold in the trailers", "2\r\nok\r\n0\r\nX: 1\r\n 2\r\n\r\n", "ok"),
                          ("a lone LF in the trailers", "2\r\nok\r\n0\r\nX: 1\n\r\n", "ok"),
                          ("trailers without an end", "2\r\nok\r\n0\r\n" + "X: 1\r\n" * 5000, "ok"),
                          ("a trailer of 70,000 octets", f"2\r\nok\r\n0\r\nX: {'v' * 70000}\r\n\r\n", "ok")):
    c.broken("2.9", f"a chunked body with {what}", ok(CHUNKED, body), begun)
for line in ("2;a", "2;a=b", '2;a="b;c"', "02", "0000000000000002"):
    c.relayed("2.9", f"the chunk line `{line}`", ok(CHUNKED, f"{line}\r\nok\r\n0\r\n\r\n"), body=b"ok")

# ---- 2.11 ------------------------------------------------------------------------------------------------------------
for line in ("Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "Proxy-Authenticate: Basic",
             "Proxy-Authorization: x", "TE: trailers",
             "Trailer: X-T", "Upgrade: h2c", "Connection: keep-alive", "HTTP2-Settings: x"):
    c.relayed("2.11", f"`{line}` is removed", ok(f"{line}\r\nContent-Length: 2", "ok"), kept=())
c.relayed("2.11", "a nominated field is removed", ok("Connection: x-a\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 2", "ok"),
          kept=("X-B: 2",))
c.relayed("2.11", "Content-Length cannot be nominated away", ok("Connection: content-length\r\nContent-Length: 2",
                                                                "ok"))
c.relayed("2.11", "trailers are dropped", ok(CHUNKED, "2\r\nok\r\n0\r\nX-T: 1\r\nSet-Cookie: a=b\r\n\r\n"), body=b"ok")
c.relayed("2.11", "Set-Cookie lines stay apart",
          ok("Set-Cookie: a=b\r\nX-A: 1\r\nSet-Cookie: c=d\r\nset-cookie: e=f\r\nContent-Length: 0"))
c.relayed("2.11", "Date of the upstream is kept", ok("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2", "ok"))
c.relayed("2.11", "Via of the upstream stays before weir's", ok("Via: 1.1 inner\r\nContent-Length: 2", "ok"))
c.relayed("2.11", "X-Request-ID of the upstream gives way to weir's", ok("X-Request-ID: other\r\nContent-Length: 2",
                                                                         "ok"), kept=(), peers=False)
for status in ("400 x", "401 x", "403 x", "404 x", "429 x", "500 x", "502 x", "503 x", "504 x", "511 x"):
    c.relayed("2.11", f"an upstream's {status[:3]} is relayed as it is",
              ok("Content-Length: 2\r\nX-Why: 1", "no", status=status))
for status in ("301 x", "302 x", "307 x"):
    c.relayed("2.11", f"an upstream's {status[:3]} keeps its Location",
              ok("Location: http://b.example/\r\nContent-Length: 0", status=status))

# ---- 2.12 ------------------------------------------------------------------------------------------------------------
c.bad("2.12", "FIN instead of a response", "", end="fin")
c.bad("2.12", "RST instead of a response", "", end="rst")
c.bad("2.12", "FIN inside the status line", "HTTP/1.1 2", end="fin")
c.bad("2.12", "FIN inside a field", "HTTP/1.1 200 OK\r\nX-A", end="fin")
c.bad("2.12", "FIN before the empty line", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", end="fin")
c.bad("2.12", "FIN inside the empty line", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r", end="fin")
c.bad("2.12", "RST inside a head", "HTTP/1.1 200 OK\r\nX-A", end="rst")

# ---- 2.13 ------------------------------------------------------------------------------------------------------------
for fields in ("X-A: 1", "Connection: keep-alive", "Connection: x"):
    c.relayed("2.13", f"a response with `{fields}` leaves its connection to others",
              ok(f"{fields}\r\nContent-Length: 2", "ok"),
              kept=("X-A: 1",) if fields == "X-A: 1" else ())
for value in ("close", "Close", "keep-alive, close", "close, keep-alive", "x, close"):
    c.relayed("2.13", f"Connection: {value} ends the upstream's connection",
              ok(f"Connection: {value}\r\nContent-Length: 2", "ok"), kept=(),
              pooled=False)
c.relayed("2.13", "a malformed Connection ends the upstream's connection",
          ok("Connection: a b\r\nContent-Length: 2", "ok"), kept=(), pooled=False)
c.relayed("2.13", "HTTP/1.0 with keep-alive is not kept",
          "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", kept=(),
          pooled=False)


# ---- conversations ---------------------------------------------------------------------------------------------------

@c.dialogue("2.8", "bytes on an idle connection answer nobody", side="responses")
def talkative_idle_connection(bench):
    opened = []

    def script(x):
        opened.append(x)
        x.respond(200, b"first")
    bench.script(script)
    with bench.connect() as conn:
        equal(conn.request("GET", "/1").body, b"first")
        opened[0].send(raw(ok("Content-Length: 6", "poison")))
        bench.wait("the connection that spoke unasked is closed", lambda: opened[0].connection.closed_by_peer)
        bench.script(None)
        equal(conn.request("GET", "/2").body, b"/2")


@c.dialogue("2.8", "an idle connection that was closed is not used again", side="responses")
def closed_idle_connection(bench):
    bench.script(lambda x: (x.respond(200, b"first"), x.close()))
    with bench.connect() as conn:
        equal(conn.request("GET", "/1").body, b"first")
        bench.script(None)
        for _ in range(3):
            equal(conn.request("POST", "/2", body=b"x").status, 200)


@c.dialogue("2.10", "an early response is relayed at once, and the rest of the body is dropped", side="responses")
def early_response(bench):
    bench.script(lambda x: (x.respond(413, b"too much"), x.wait_for_peer_close(20), x.close()))
    for size, kept in ((20_000, True), (1_000_000, False)):
        with bench.connect() as conn:
            conn.send(raw(post(f"Content-Length: {size}", "b" * 1000)))
            r = conn.read()
            equal((r.status, r.body, r.closes), (413, b"too much", not kept), f"body of {size}")
            if kept:
                conn.send(b"b" * (size - 1000))
                bench.script(None)
                equal(conn.request("GET", "/2").body, b"/2")
                bench.script(lambda x: (x.respond(413, b"too much"), x.wait_for_peer_close(20), x.close()))
            else:
                try:
                    conn.send(b"b" * (size - 1000))
                except OSError:
                    pass
                assert conn.is_closed()
    bench.wait("the upstream's connections are closed", lambda: all(
        x.connection.closed_by_peer for x in bench.reached() if x.method == "POST"))


@c.dialogue("2.10", "an early response reaches a client that has not finished a large body", side="responses")
def early_response_under_pressure(bench):
    def script(x):
        x.respond(413, b"too much", [("Connection", "close")])
        x.close()
    bench.script(script)
    with bench.connect() as conn:
        try:
            conn.send(raw(post("Content-Length: 1000000")) + b"b" * 1_000_000)
        except OSError:
            pass
        equal(conn.read().status, 413)


@c.dialogue("2.12", "no head in time: 504, and the connection is kept", side="responses", where="hasty")
def no_head_in_time(bench):
    bench.script(lambda x: (x.read_body(), x.wait_for_peer_close(20), x.close()))
    with bench.connect() as conn:
        envelope(conn.request("GET", "/"), 504, close=False)
        bench.script(None)
        equal(conn.request("GET", "/2").status, 200)
    bench.wait("the upstream's connection is closed", lambda: bench.reached()[0].connection.closed_by_peer)


@c.dialogue("2.12", "a head that drips: 504", side="responses", where="hasty")
def head_drips(bench):
    def script(x):
        for i in range(100):
            x.send(b"HTTP/1.1 200 OK\r\nX: 1\r\n"[i % 22:i % 22 + 1] if i < 20 else b"x")
            if x.wait_for_peer_close(bench.tick):
                x.close()
    bench.script(script)
    with bench.connect() as conn:
        envelope(conn.request("GET", "/"), 504, close=False)


@c.dialogue("2.9", "a body that stops is cut, never ended", side="responses", where="hasty")
def body_stops(bench):
    for head, version in ((ok("Content-Length: 5", "123"), "1.1"), (ok(CHUNKED, "3\r\n123\r\n"), "1.1"),
                          (ok("", "123"), "1.1"),
                          (ok("", "123"), "1.0")):
        bench.script(lambda x, h=head: (x.read_body(), x.send(raw(h)), x.wait_for_peer_close(20), x.close()))
        with bench.connect() as conn:
            conn.send(raw(get(version=f"HTTP/{version}")))
            try:
                r = conn.read()
            except Closed as e:
                equal(e.reset or version == "1.1", True, "HTTP/1.0 sees a reset")
            else:
                raise AssertionError(f"the cut body looks whole: {r}")


@c.dialogue("2.9", "a slow client gets every byte, and the upstream waits for it", side="responses")
def backpressure(bench):
    size = 32 << 20
    sent = []

    def script(x):
        x.send(raw(ok(f"Content-Length: {size}")))
        for i in range(size >> 16):
            x.send(bytes([i & 255]) * 65536)
            sent.append(i)
    bench.script(script)
    with bench.connect(receive_buffer=65536) as conn:
        conn.send(raw(get("/large")))
        bench.wait("the upstream is blocked", lambda: len(sent) > 8 and blocked(sent))
        assert len(sent) < size >> 16, "everything was taken from the upstream while the client read nothing"
        body = conn.read(timeout=60).body
    assert body == b"".join(bytes([i & 255]) * 65536 for i in range(size >> 16)), "bytes differ"


def blocked(sent):
    before = len(sent)
    time.sleep(0.2)
    return len(sent) == before
