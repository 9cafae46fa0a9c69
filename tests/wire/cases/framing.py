# SPDX-License-Identifier: Apache-2.0
"""1.26-1.31: how a body is delimited."""

from case import Chapter, Reached, get, post

chapter = c = Chapter()
SMUGGLED = get("/smuggled")

# ---- 1.26 ------------------------------------------------------------------------------------------------------------
c.passed("1.26", "a length and its body", post("Content-Length: 5", "12345"))
c.passed("1.26", "a length of 0", post("Content-Length: 0"))
for value, body in (("005", "12345"), ("0000000000000000000", ""), (" \t5 \t", "12345")):
    number = f"Content-Length: {len(body)}"
    c.passed("1.26", f"the length `{value}` goes on as {len(body)}", post(f"Content-Length:{value}", body),
             framing=number)
for what, fields in (("two lengths", "Content-Length: 5\r\nContent-Length: 6"),
                     ("two equal lengths", "Content-Length: 5\r\nContent-Length: 5"),
                     ("two equal lengths in different case", "Content-Length: 5\r\ncontent-length: 5"),
                     ("a length and an empty one", "Content-Length: 5\r\nContent-Length:"),
                     ("a list of equal lengths", "Content-Length: 5, 5"), ("a list of lengths", "Content-Length: 5,6"),
                     ("a comma behind the length", "Content-Length: 5,"), ("a plus", "Content-Length: +5"),
                     ("a minus", "Content-Length: -5"), ("minus zero", "Content-Length: -0"),
                     ("hexadecimal", "Content-Length: 0x5"), ("hexadecimal digits", "Content-Length: a"),
                     ("a fraction", "Content-Length: 5.0"), ("an exponent", "Content-Length: 5e0"),
                     ("a separator", "Content-Length: 5_0"), ("a space inside", "Content-Length: 5 0"),
                     ("an empty value", "Content-Length:"), ("spaces alone", "Content-Length:   "),
                     ("a word", "Content-Length: five"), ("a quote", 'Content-Length: "5"'),
                     ("a semicolon", "Content-Length: 5;"), ("an 8-bit digit", "Content-Length: \xb5"),
                     ("20 digits", "Content-Length: 00000000000000000005"),
                     ("2^63", "Content-Length: 9223372036854775808"),
                     ("2^64", "Content-Length: 18446744073709551616"), ("2^64 + 5",
                                                                        "Content-Length: 18446744073709551621"),
                     ("40 digits", "Content-Length: " + "9" * 40)):
    c.refused("1.26", f"a length with {what}", 400, post(fields, "12345" + SMUGGLED))
c.refused("1.26", "a malformed length on GET", 400, get("/", "Content-Length: x") + SMUGGLED)

# ---- 1.27 ------------------------------------------------------------------------------------------------------------
MIB = 1024 * 1024
c.passed("1.27", "a body of exactly the limit", post(f"Content-Length: {MIB}", "b" * MIB))
c.refused("1.27", "a length over the limit, before any byte of the body", 413, post(f"Content-Length: {MIB + 1}"))
c.refused("1.27", "the largest length there is", 413, post("Content-Length: 9223372036854775807"))
c.refused("1.27", "a length over the limit on GET", 413, get("/", f"Content-Length: {MIB + 1}"))
c.refused("1.27", "a length over the limit of its route", 413, post("Content-Length: 1001", target="/small"),
          peers=False)
c.passed("1.27", "a length of exactly the limit of its route", post("Content-Length: 1000", "b" * 1000,
                                                                    target="/small"),
         peers=False)
c.refused_body("1.27", "a chunked body over the limit of its route", 413,
               post("Transfer-Encoding: chunked", "3e9\r\n" + "b" * 1001 + "\r\n0\r\n\r\n", target="/small"),
               peers=False)
c.passed("1.27", "a chunked body of exactly the limit of its route",
         post("Transfer-Encoding: chunked", "3e8\r\n" + "b" * 1000 + "\r\n0\r\n\r\n", target="/small"), body="b" * 1000,
         peers=False)

# ---- 1.28 ------------------------------------------------------------------------------------------------------------
for coding in ("chunked", "Chunked", "CHUNKED", "cHuNkEd"):
    c.passed("1.28", f"the coding {coding}", post(f"Transfer-Encoding: {coding}", "1\r\nx\r\n0\r\n\r\n"), body="x")
c.passed("1.28", "spaces around the coding", post("Transfer-Encoding:  chunked\t ", "0\r\n\r\n"), body="")
for coding in ("gzip, chunked", "gzip,chunked", "GZIP , Chunked", "identity, chunked", "x, y, chunked"):
    c.refused("1.28", f"the codings {coding}, valid and not implemented", 501,
              post(f"Transfer-Encoding: {coding}", "0\r\n\r\n" + SMUGGLED))
for coding in ("gzip", "identity", "deflate", "xchunked", "chunkedx", "x-chunked", "chunked, gzip", "chunked, identity",
               "chunked,chunked", "chunked, chunked", "chunked,", ",chunked", ", chunked", "gzip,, chunked", "chunked;",
               "chunked;q=1", "chunked ;a=b", '"chunked"', "'chunked'", "(chunked)", "chunked chunked", "gzip chunked",
               "chunked\x0b", "\x0bchunked", "chunked\xa0", "chun\xe7ked", "chunke\x64\x00", "[chunked]", "chunk", "",
               " ",
               "\xe3\x83\x81chunked", "chunked\\", "chunked/1.0"):
    c.refused("1.28", f"the coding `{coding}`", 400, post(f"Transfer-Encoding: {coding}", "0\r\n\r\n" + SMUGGLED))
for what, fields in (("two lines of chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
                     ("gzip and chunked on two lines", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"),
                     ("chunked and identity on two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
                     ("chunked and an empty line of it", "Transfer-Encoding: chunked\r\nTransfer-Encoding:"),
                     ("two lines in different case", "transfer-encoding: chunked\r\nTRANSFER-ENCODING: chunked")):
    c.refused("1.28", what, 400, post(fields, "0\r\n\r\n" + SMUGGLED))

# ---- 1.29 ------------------------------------------------------------------------------------------------------------
for what, fields in (("a coding and a length", "Transfer-Encoding: chunked\r\nContent-Length: 5"),
                     ("a length and a coding", "Content-Length: 5\r\nTransfer-Encoding: chunked"),
                     ("a coding and a length of 0", "Transfer-Encoding: chunked\r\nContent-Length: 0"),
                     ("a length, other fields, and a coding",
                      "Content-Length: 5\r\nX-A: 1\r\nTransfer-Encoding: chunked"),
                     ("an unknown coding and a length", "Transfer-Encoding: x\r\nContent-Length: 5"),
                     ("a length and an unknown coding", "Content-Length: 5\r\nTransfer-Encoding: x"),
                     ("a list of codings and a length", "Transfer-Encoding: gzip, chunked\r\nContent-Length: 5"),
                     ("a length that agrees with the coding", "Content-Length: 5\r\nTransfer-Encoding: Chunked")):
    c.refused("1.29", what, 400, post(fields, "0\r\n\r\n" + SMUGGLED))
c.refused("1.29", "chunked in HTTP/1.0", 400,
          get("/", "Transfer-Encoding: chunked", method="POST", version="HTTP/1.0") + "0\r\n\r\n" + SMUGGLED)
c.refused("1.29", "chunked in HTTP/1.0 that asks to be kept", 400,
          get("/", "Connection: keep-alive\r\nTransfer-Encoding: chunked", method="POST",
              version="HTTP/1.0") + "0\r\n\r\n")

# ---- 1.30, 1.31 ------------------------------------------------------------------------------------------------------
for method in ("GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT", "PATCH", "BREW"):
    c.passed("1.30", f"{method} without framing has no body", get(method=method))
    c.passed("1.30", f"{method} with a length keeps it with its body",
             get("/", "Content-Length: 5", method=method) + "12345")
    c.passed("1.30", f"{method} with a chunked body stays chunked",
             get("/", "Transfer-Encoding: chunked", method=method) + "5\r\n12345\r\n0\r\n\r\n", body="12345")
c.passed("1.30", "GET with a length of 0", get("/", "Content-Length: 0"))
c.passed("1.30", "HTTP/1.0 with a length", get("/", "Content-Length: 5", method="POST", version="HTTP/1.0") + "12345")
for what, fields, body in (("a length", f"Content-Length: {len(SMUGGLED)}", SMUGGLED),
                           ("chunks", "Transfer-Encoding: chunked",
                            f"{len(SMUGGLED):x}\r\n{SMUGGLED}\r\n0\r\n\r\n")):
    c.passed("1.31", f"a request inside a body with {what} is data", post(fields, body), body=SMUGGLED)
NEXT = Reached("GET /2 HTTP/1.1", "a.example")
FIRST = Reached("POST / HTTP/1.1", "a.example", framing="Content-Length: 5", body=b"12345")
c.pipelined("1.31", "the byte behind a body begins the next request", post("Content-Length: 5", "12345") + get("/2"),
            [FIRST, NEXT])
c.pipelined("1.31", "the byte behind the last chunk begins the next request",
            post("Transfer-Encoding: chunked", "0\r\n\r\n") + get("/2"),
            [Reached("POST / HTTP/1.1", "a.example", framing="Transfer-Encoding: chunked"), NEXT])
for what, fields in (("a body longer than its length", "Content-Length: 5"),
                     ("bytes behind a body of no length", "X-A: 1")):
    body = "12345" if "Length" in fields else ""
    first = FIRST if body else Reached("POST / HTTP/1.1", "a.example", ("X-A: 1",), "Content-Length: 0")
    c.refused("1.31", f"{what}: the rest is judged as a request", 400, post(fields, body + " x=1\r\n\r\n"), answers=2,
              reached=[first])
c.refused("1.31", "a body on GET without framing is judged as a request", 400, get() + "{}\r\n\r\n", answers=2,
          reached=[Reached("GET / HTTP/1.1", "a.example")])
