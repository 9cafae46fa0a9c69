# SPDX-License-Identifier: Apache-2.0
"""1.1-1.8: line ends, the request line, methods, versions, Max-Forwards."""

from case import Chapter, Reached, get, post

chapter = c = Chapter()
H = "Host: a.example\r\n"
PLAIN = Reached("GET / HTTP/1.1", "a.example")

# ---- 1.1 -------------------------------------------------------------------------------------------------------------
c.passed("1.1", "lines that end in CRLF", get())
for where, text in (("the request line", f"GET / HTTP/1.1\n{H}\r\n"),
                    ("a field line", "GET / HTTP/1.1\r\nHost: a.example\n\r\n"),
                    ("the first of two field lines", "GET / HTTP/1.1\r\nX-A: 1\nHost: a.example\r\n\r\n"),
                    ("the empty line at the end", f"GET / HTTP/1.1\r\n{H}\n"),
                    ("every line", "GET / HTTP/1.1\nHost: a.example\n\n"),
                    ("the line of a length", f"POST / HTTP/1.1\r\n{H}Content-Length: 0\n\r\n")):
    c.refused("1.1", f"a lone LF ends {where}", 400, text)
for where, text in (("the request line", f"GET / HTTP/1.1\r{H}\r\n"),
                    ("a field line", "GET / HTTP/1.1\r\nHost: a.example\rX-A: 1\r\n\r\n"),
                    ("the value of a field", f"GET / HTTP/1.1\r\n{H}X-A: b\rc\r\n\r\n"),
                    ("the name of a field", f"GET / HTTP/1.1\r\n{H}X-\rA: b\r\n\r\n"),
                    ("the empty line at the end", f"GET / HTTP/1.1\r\n{H}\rX"),
                    ("the target", f"GET /a\rb HTTP/1.1\r\n{H}\r\n"),
                    ("the method", f"GE\rT / HTTP/1.1\r\n{H}\r\n")):
    c.refused("1.1", f"a lone CR in {where}", 400, text)
c.refused("1.1", "CR CR LF behind the request line", 400, f"GET / HTTP/1.1\r\r\n{H}\r\n")
c.refused("1.1", "CR CR LF behind a field", 400, "GET / HTTP/1.1\r\nHost: a.example\r\r\n\r\n")
c.refused("1.1", "LF CR instead of CRLF", 400, f"GET / HTTP/1.1\n\r{H}\r\n")

# ---- 1.2 -------------------------------------------------------------------------------------------------------------
c.passed("1.2", "one empty line before the request", "\r\n" + get())
c.passed("1.2", "two empty lines before the request", "\r\n\r\n" + get())
c.refused("1.2", "three empty lines before the request", 400, "\r\n\r\n\r\n" + get())
c.refused("1.2", "an empty line that is a lone LF", 400, "\n" + get())
c.refused("1.2", "an empty line that is a lone CR", 400, "\r" + get())
c.refused("1.2", "a space before the request", 400, " " + get())
c.refused("1.2", "a line of one space before the request", 400, " \r\n" + get())
c.pipelined("1.2", "an empty line between two requests", get() + "\r\n" + get("/2"),
            [PLAIN, Reached("GET /2 HTTP/1.1", "a.example")])
c.pipelined("1.2", "two empty lines behind a body", post("Content-Length: 1", "x") + "\r\n\r\n" + get("/2"),
            [Reached("POST / HTTP/1.1", "a.example", framing="Content-Length: 1", body=b"x"),
             Reached("GET /2 HTTP/1.1", "a.example")])
c.refused("1.2", "three empty lines behind a request", 400, get() + "\r\n\r\n\r\n" + get("/2"), answers=2,
          reached=[PLAIN])

# ---- 1.4 -------------------------------------------------------------------------------------------------------------
for what, line in (("two spaces behind the method", "GET  / HTTP/1.1"),
                   ("two spaces behind the target", "GET /  HTTP/1.1"),
                   ("a tab behind the method", "GET\t/ HTTP/1.1"),
                   ("a tab behind the target", "GET /\tHTTP/1.1"),
                   ("a vertical tab behind the method", "GET\x0b/ HTTP/1.1"),
                   ("a form feed behind the target", "GET /\x0cHTTP/1.1"),
                   ("a no-break space behind the method", "GET\xa0/ HTTP/1.1"),
                   ("a space behind the version", "GET / HTTP/1.1 "),
                   ("a tab behind the version", "GET / HTTP/1.1\t"),
                   ("a word behind the version", "GET / HTTP/1.1 x"),
                   ("a space inside the target", "GET /a b HTTP/1.1"),
                   ("no target", "GET HTTP/1.1"),
                   ("an empty target", "GET  HTTP/1.1"),
                   ("no version", "GET /"),
                   ("a space instead of the version", "GET / "),
                   ("a method alone", "GET"),
                   ("no method", " / HTTP/1.1"),
                   ("a byte order mark", "\xef\xbb\xbfGET / HTTP/1.1"),
                   ("a NUL before the method", "\0GET / HTTP/1.1")):
    c.refused("1.4", f"a request line with {what}", 400, f"{line}\r\n{H}\r\n")
c.refused("1.4", "HTTP/0.9", 400, "GET /\r\n")
c.refused("1.4", "the first bytes of TLS", 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
c.refused("1.4", "a response instead of a request", 400, f"HTTP/1.1 200 OK\r\n{H}\r\n")

# ---- 1.5 -------------------------------------------------------------------------------------------------------------
for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "QUERY", "REPORT", "BREW", "X",
               "M-SEARCH", "a!#$%&'*+-.^_`|~9", "M" * 32):
    c.passed("1.5", f"the method {method}", get(method=method))
for method in ("get", "Get", "gET", "post", "Head", "options", "dElete", "patch", "trace", "Connect", "propfind",
               "query"):
    c.refused("1.5", f"the method {method}, which differs from a registered one only in case", 501, get(method=method))
c.refused("1.5", "a method of 33 octets", 501, get(method="M" * 33))
c.refused("1.5", "a method of 5,000 octets", 501, get(method="M" * 5000))
for name, byte in (("colon", ":"), ("slash", "/"), ("bracket", "["), ("quote", '"'), ("comma", ","), ("brace", "{"),
                   ("at sign", "@"), ("parenthesis", "("), ("NUL", "\0"), ("DEL", "\x7f"), ("8-bit byte", "\xe9")):
    c.refused("1.5", f"a method with a {name}", 400, get(method=f"GE{byte}T"))

# ---- 1.6 -------------------------------------------------------------------------------------------------------------
c.passed("1.6", "HTTP/1.0", get(version="HTTP/1.0"))
for version in ("HTTP/1.2", "HTTP/1.9", "HTTP/2.0", "HTTP/0.9", "HTTP/3.0", "HTTP/9.9", "HTTP/0.0"):
    c.refused("1.6", f"{version} is well-formed and not spoken", 505, get(version=version))
c.refused("1.6", "the preface of HTTP/2", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
for version in ("http/1.1", "Http/1.1", "HTTP/1", "HTTP/1.", "HTTP/.1", "HTTP/11", "HTTP/1.10", "HTTP/01.1",
                "HTTP/1.01", "HTTP/1,1", "HTTP 1.1", "HTTP/+1.1", "HTTP/1.1x", "HTTP/1.x", "HTTP/x.1", "HTTPS/1.1",
                "HTP/1.1", "HTTP//1.1", "HTTP/1 .1", "HTTP/-1.1", "HTTP/\xb9.1", "ICY/1.1", "1.1"):
    c.refused("1.6", f"the version {version}", 400, get(version=version))

# ---- 1.7 -------------------------------------------------------------------------------------------------------------
ALLOW = (("Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"),)
for target in ("a.example:443", "/", "a.example", "*", "http://a.example/", "\\"):
    c.refused("1.7", f"CONNECT to {target}", 405, get(target, method="CONNECT"), answer_fields=ALLOW)
for target in ("/", "*", "http://a.example/"):
    c.refused("1.7", f"TRACE of {target}", 405, get(target, method="TRACE"), answer_fields=ALLOW)
c.refused("1.7", "CONNECT with a body that looks like a request", 405,
          get("a.example:80", "Content-Length: 39", method="CONNECT") + get("/smuggled"), answer_fields=ALLOW)
c.refused("1.7", "TRACE with a chunked body that looks like a request", 405,
          get("/", "Transfer-Encoding: chunked", method="TRACE") + "0\r\n\r\n" + get("/smuggled"), answer_fields=ALLOW)
c.refused("1.7", "TRACE with Max-Forwards 0", 405, get("/", "Max-Forwards: 0", method="TRACE"), answer_fields=ALLOW)
c.refused("1.7", "CONNECT without Host", 405, get("a.example:80", host=None, method="CONNECT"), answer_fields=ALLOW)
c.refused("1.7", "CONNECT in HTTP/1.0", 405, get("a.example:80", host=None, method="CONNECT", version="HTTP/1.0"),
          answer_fields=ALLOW)

# ---- 1.8 -------------------------------------------------------------------------------------------------------------
for target in ("/", "*", "/a/b?c"):
    c.answered("1.8", f"OPTIONS {target} with Max-Forwards 0 ends here", 200,
               get(target, "Max-Forwards: 0", method="OPTIONS"), answer_fields=ALLOW + (("Content-Length", "0"),))
c.answered("1.8", "Max-Forwards 000 is 0", 200, get("/", "Max-Forwards: 000", method="OPTIONS"), answer_fields=ALLOW)
c.answered("1.8", "OPTIONS with Max-Forwards 0 and a body", 200,
           get("/", "Max-Forwards: 0\r\nContent-Length: 2", method="OPTIONS") + "ab", answer_fields=ALLOW)
c.answered("1.8", "OPTIONS with Max-Forwards 0 over HTTP/1.0", 200,
           get("/", "Max-Forwards: 0", method="OPTIONS", version="HTTP/1.0"), fate="C", answer_fields=ALLOW)
for value, left in (("1", "0"), ("10", "9"), ("007", "6"), ("4294967296", "4294967295"),
                    ("9" * 40, str(2 ** 63 - 2))):
    c.passed("1.8", f"OPTIONS with Max-Forwards {value} goes on with {left}",
             get("*", f"Max-Forwards: {value}", method="OPTIONS"), kept=[f"Max-Forwards: {left}"])
c.passed("1.8", "Max-Forwards is written anew, behind the fields that are kept",
         get("/", "X-A: 1\r\nmax-forwards:  5 \r\nX-B: 2", method="OPTIONS"),
         kept=["X-A: 1", "X-B: 2", "Max-Forwards: 4"])
c.passed("1.8", "OPTIONS without Max-Forwards", get("*", method="OPTIONS"))
for method in ("GET", "POST", "HEAD"):
    c.passed("1.8", f"Max-Forwards 0 on {method} is relayed", get("/", "Max-Forwards: 0", method=method))
c.passed("1.8", "a Max-Forwards that is no number on GET is relayed", get("/", "Max-Forwards: x"))
for value in ("-1", "+1", "1.0", "x", "1x", "0x1", "1 2", "1,2", ""):
    c.refused("1.8", f"OPTIONS with Max-Forwards `{value}`", 400, get("/", f"Max-Forwards: {value}", method="OPTIONS"))
c.refused("1.8", "two Max-Forwards on OPTIONS", 400, get("/", "Max-Forwards: 1\r\nMax-Forwards: 1", method="OPTIONS"))
