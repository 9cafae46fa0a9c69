# SPDX-License-Identifier: Apache-2.0
"""1.37-1.44 as far as bytes alone tell: pipelining, Connection, Expect, truncation, bodies nobody wants."""

from case import CLOSED, Chapter, Reached, get, post

chapter = c = Chapter()
SMUGGLED = get("/smuggled")


def got(target, **more):
    return Reached(f"GET {target} HTTP/1.1", "a.example", **more)


# ---- 1.37 ------------------------------------------------------------------------------------------------------------
c.pipelined("1.37", "two requests at once", get("/1") + get("/2"), [got("/1"), got("/2")])
c.pipelined("1.37", "a thousand requests at once", "".join(get(f"/{i}") for i in range(1000)),
            [got(f"/{i}") for i in range(1000)])
c.pipelined("1.37", "bodies of all kinds in between",
            get("/1") + post("Content-Length: 3", "abc", "/2") + post("Transfer-Encoding: chunked",
                                                                      "1\r\nx\r\n0\r\n\r\n", "/3") +
            get("/4", method="HEAD") + get("/5"),
            [got("/1"), Reached("POST /2 HTTP/1.1", "a.example", (), "Content-Length: 3", b"abc"),
             Reached("POST /3 HTTP/1.1", "a.example", (), "Transfer-Encoding: chunked", b"x"),
             Reached("HEAD /4 HTTP/1.1", "a.example"), got("/5")])
c.pipelined("1.37", "a hundred bodies of 10,000 octets", (post("Content-Length: 10000", "b" * 10000)) * 100,
            [Reached("POST / HTTP/1.1", "a.example", (), "Content-Length: 10000", b"b" * 10000)] * 100)
c.refused("1.37", "a request behind two good ones is wrong", 400, get("/1") + get("/2") + "GET /3\r\n\r\n" + SMUGGLED,
          answers=3, reached=[got("/1"), got("/2")])
c.pipelined("1.37", "a request refused by a rule between two others", get("/1") + get("/denied") + get("/2"),
            [got("/1"), None, got("/2")], peers=False)

# ---- 1.38 ------------------------------------------------------------------------------------------------------------
for value in ("close", "Close", "CLOSE", "keep-alive, close", "close, keep-alive", ",close,", "close, x-a",
              "x-a , close"):
    c.passed_field("1.38", f"Connection: {value} ends the connection", f"Connection: {value}", kept=[], fate=CLOSED)
c.passed_field("1.38", "close on the second line of Connection", "Connection: keep-alive\r\nConnection: close", kept=[],
               fate=CLOSED)
for value in ("keep-alive", "Keep-Alive", "", ",", ", ,", "x-a", "keep-alive,", "closed", "close-", "x-close"):
    c.passed_field("1.38", f"Connection: `{value}` keeps the connection", f"Connection: {value}", kept=[])
for value in ("a b", "close x", "x;y", "x=y", '"close"', "close/1", "clos\xe9", "[x]", "a, b c", "close,@", "(x)"):
    c.refused_field("1.38", f"Connection: `{value}` is no list of tokens", 400, f"Connection: {value}")
c.pipelined("1.38", "nothing behind a request with close is read", get("/1", "Connection: close") + SMUGGLED,
            [got("/1")],
            fate=CLOSED)
c.pipelined("1.38", "nothing behind an HTTP/1.0 request is read", get("/1", version="HTTP/1.0") + SMUGGLED,
            [got("/1", via="1.0 weir")], fate=CLOSED)
c.passed("1.38", "HTTP/1.0 with keep-alive does not persist", get("/", "Connection: keep-alive", version="HTTP/1.0"),
         kept=[],
         fate=CLOSED)
c.refused("1.38", "nothing behind a refused request is read", 400,
          "GET /a#b HTTP/1.1\r\nHost: a.example\r\n\r\n" + SMUGGLED)

# ---- 1.39 ------------------------------------------------------------------------------------------------------------
for value in ("100-continue", "100-Continue", "100-CONTINUE"):
    c.passed("1.39", f"Expect: {value} ends here, its body is there already",
             post(f"Expect: {value}\r\nContent-Length: 5", "12345"), kept=[])
    c.passed_field("1.39", f"Expect: {value} without a body", f"Expect: {value}", kept=[])
c.passed("1.39", "Expect with a length of 0", post("Expect: 100-continue\r\nContent-Length: 0"), kept=[])
c.passed("1.39", "Expect with a chunked body", post("Expect: 100-continue\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
         kept=[],
         body="")
for value in ("200-ok", "100-continue, x", "100-continue,100-continue", "100-continue;q=1", "100", "continue", "",
              '"100-continue"', "100 -continue", "100-continue x"):
    c.refused("1.39", f"Expect: `{value}`", 417, post(f"Expect: {value}\r\nContent-Length: 5"))
    c.passed("1.39", f"Expect: `{value}` in HTTP/1.0 means nothing",
             get("/", f"Expect: {value}\r\nContent-Length: 2", method="POST", version="HTTP/1.0") + "ab", kept=[])
c.refused_field("1.39", "two lines of Expect", 417, "Expect: 100-continue\r\nExpect: 100-continue")

# ---- 1.42 ------------------------------------------------------------------------------------------------------------
c.silent("1.42", "a connection that says nothing", "", end="fin")
c.silent("1.42", "a connection of one empty line", "\r\n", end="fin")
c.silent("1.42", "a connection of half an empty line", "\r", end="fin")
for what, text in (("inside the method", "GE"), ("behind the method", "GET"), ("inside the target", "GET /a"),
                   ("inside the version", "GET / HTTP/1."), ("behind the request line", "GET / HTTP/1.1\r\n"),
                   ("inside CRLF", "GET / HTTP/1.1\r"), ("inside a name", "GET / HTTP/1.1\r\nHos"),
                   ("inside a value", "GET / HTTP/1.1\r\nHost: a.exa"),
                   ("before the empty line", "GET / HTTP/1.1\r\nHost: a\r\n"),
                   ("inside the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\r")):
    c.refused("1.42", f"a request that ends {what}", 400, text, end="fin")

# ---- 1.44 ------------------------------------------------------------------------------------------------------------
c.answered("1.44", "a denied request without a body", 429, get("/denied"), peers=False)
for size in (1, 1000, 16384, 65536):
    c.answered("1.44", f"a denied request's body of {size} octets is dropped", 429,
               post(f"Content-Length: {size}", "b" * size, "/denied"), peers=False)
c.answered("1.44", "a denied request's chunked body is dropped", 429,
           post("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", "/denied"), peers=False)
c.answered("1.44", "a request inside a denied body is data", 429,
           post(f"Content-Length: {len(SMUGGLED)}", SMUGGLED, "/denied"), peers=False)
for size in (65537, 200000, 1024 * 1024):
    c.answered("1.44", f"a denied request's body of {size} octets ends the connection", 429,
               post(f"Content-Length: {size}", "b" * size, "/denied"), fate=CLOSED, peers=False)
