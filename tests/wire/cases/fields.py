# SPDX-License-Identifier: Apache-2.0
"""1.18-1.25: field names, values, repetition, limits, names that are never relayed."""

from case import Chapter, Reached, get, post

chapter = c = Chapter()
PLAIN = Reached("GET / HTTP/1.1", "a.example")

# ---- 1.18 ------------------------------------------------------------------------------------------------------------
for line in ("X-A: 1", "x: 1", "!#$%&'*+-.^`|~: 1", "9: 1", "n" * 256 + ": 1"):
    c.passed_field("1.18", f"the field line {line[:30]}", line)
c.refused_field("1.18", "a name of 257 octets", 431, "n" * 257 + ": 1")
c.refused_field("1.18", "a name without an end", 431, "n" * 20000)
for what, line in (("a space before the colon", "X-A : 1"), ("a tab before the colon", "X-A\t: 1"),
                   ("a space before the colon of Content-Length", "Content-Length : 5"),
                   ("a space before the colon of Transfer-Encoding", "Transfer-Encoding : chunked"),
                   ("a space before the colon of Host", "Host : b.example"),
                   ("an empty name", ": 1"), ("an empty name and value", ":"), ("no colon", "X-A"),
                   ("no colon and a space", "X-A 1"), ("a space inside the name", "X A: 1"), ("a slash", "X/A: 1"),
                   ("a quote", '"X": 1'), ("a bracket", "X[A]: 1"), ("a parenthesis", "(X): 1"), ("a comma", "X,A: 1"),
                   ("a semicolon", "X;A: 1"), ("an equals sign", "X=A: 1"), ("an at sign", "X@A: 1"),
                   ("a backslash", "X\\A: 1"), ("a brace", "{X}: 1"), ("a question mark", "X?: 1"),
                   ("a NUL", "X\0A: 1"),
                   ("a DEL", "X\x7fA: 1"), ("an 8-bit byte", "X\xe9: 1"), ("a control byte", "X\x01A: 1"),
                   ("a NUL behind Content-Length", "Content-Length\0: 5"),
                   ("a no-break space before the colon", "Host\xa0: b.example")):
    c.refused_field("1.18", f"a field line with {what}", 400, line)

# ---- 1.19 ------------------------------------------------------------------------------------------------------------
for what, fields in (("a value continued by a space", "X-A: 1\r\n 2"), ("a value continued by a tab", "X-A: 1\r\n\t2"),
                     ("an empty value continued", "X-A:\r\n 2"), ("a length continued", "Content-Length: 1\r\n 0"),
                     ("a coding continued", "Transfer-Encoding:\r\n chunked"),
                     ("a coding that stands on the second line", "X-A: 1\r\n Transfer-Encoding: chunked"),
                     ("a continuation of nothing but a space", "X-A: 1\r\n "),
                     ("a continuation of nothing but a tab", "X-A: 1\r\n\t"),
                     ("a Host continued", "X-A: 1\r\nX-B: 2\r\n Host: b.example")):
    c.refused_field("1.19", what, 400, fields)
c.refused("1.19", "a space before the first field", 400, "GET / HTTP/1.1\r\n Host: a.example\r\n\r\n")
c.refused("1.19", "a tab before the first field", 400, "GET / HTTP/1.1\r\n\tX-A: 1\r\nHost: a.example\r\n\r\n")
c.refused("1.19", "a Host that is continued", 400, "GET / HTTP/1.1\r\nHost: a.example\r\n .evil\r\n\r\n")

# ---- 1.20 ------------------------------------------------------------------------------------------------------------
for what, value in (("obs-text", "\x80\xff\xe9"), ("a tab inside", "a\tb"), ("spaces inside", "a  b"),
                    ("quotes and backslashes", '"a\\"b"'), ("a colon", ": a:b"), ("a comma", ",a,,b,"),
                    ("8,000 octets", "v" * 8000)):
    c.passed_field("1.20", f"a value with {what}", f"X-A: {value}")
for what, line in (("spaces around the value", "X-A:   b   "), ("tabs around the value", "X-A:\t \tb\t "),
                   ("no space before the value", "X-A:b")):
    c.passed_field("1.20", what, line, kept=["X-A: b"])
c.passed_field("1.20", "an empty value", "X-A:", kept=["X-A: "])
c.passed_field("1.20", "a value of spaces alone", "X-A:  \t ", kept=["X-A: "])
for byte in (0x00, 0x01, 0x07, 0x08, 0x0b, 0x0c, 0x0e, 0x1b, 0x1f, 0x7f):
    c.refused_field("1.20", f"a value with the byte {byte:#04x}", 400, f"X-A: b{chr(byte)}c")
c.refused_field("1.20", "a value that begins with NUL", 400, "X-A: \0b")
c.refused_field("1.20", "a value that ends in DEL", 400, "X-A: b\x7f")
c.refused_field("1.20", "a vertical tab taken for OWS", 400, "Content-Length:\x0b5")

# ---- 1.21 ------------------------------------------------------------------------------------------------------------
for line in ("X_A: 1", "_: 1", "X-A_: 1", "Content_Length: 5", "Transfer_Encoding: chunked", "X_Forwarded_For: 6.6.6.6",
             "X-Forwarded_For: 6.6.6.6", "X_Real_IP: 6.6.6.6", "X_Request_ID: evil", "Authorization_: x",
             "Proxy_Connection: x", "HTTP_PROXY: x", "Host_: b.example", "__proto__: 1"):
    c.passed_field("1.21", f"the field {line} is dropped, because upstreams take _ for -", line, kept=[], peers=False)
c.passed_field("1.21", "underscores in values are data", "X-A: a_b")
c.passed_field("1.21", "a dropped name between others", "X-A: 1\r\nX_B: 2\r\nX-C: 3", kept=["X-A: 1", "X-C: 3"],
               peers=False)

# ---- 1.22 ------------------------------------------------------------------------------------------------------------
for name, values in (("Content-Type", ("text/plain", "text/html")), ("Authorization", ("Bearer a", "Bearer b")),
                     ("Proxy-Authorization", ("Basic a", "Basic a")), ("Upgrade", ("websocket", "h2c")),
                     ("Max-Forwards", ("1", "2"))):
    kept = [] if name in ("Upgrade", "Proxy-Authorization") else None
    c.passed_field("1.22", f"one {name}", f"{name}: {values[0]}", kept=kept)
    c.refused_field("1.22", f"two {name}", 400, f"{name}: {values[0]}\r\n{name}: {values[1]}")
    c.refused_field("1.22", f"two equal {name} in different case, apart", 400,
                    f"{name.lower()}: {values[0]}\r\nX-A: 1\r\n{name.upper()}: {values[0]}")
c.refused_field("1.22", "two Authorization, one empty", 400, "Authorization: Bearer a\r\nAuthorization:")
c.passed_field("1.22", "one header that a selector reads", "X-API-Key: k", peers=False)
c.refused_field("1.22", "two of a header that a selector reads", 400, "X-API-Key: k\r\nx-api-key: k", peers=False)

# ---- 1.23 ------------------------------------------------------------------------------------------------------------
for name in ("Cookie", "Accept", "X-A", "Cache-Control", "Via"):
    fields = f"{name}: 1\r\nX-B: 2\r\n{name}: 3"
    c.passed_field("1.23", f"two {name} lines keep their order and stay apart", fields)
c.passed_field("1.23", "lines of one name in different case", "X-A: 1\r\nx-a: 2\r\nX-a: 1")

# ---- 1.24 ------------------------------------------------------------------------------------------------------------
def lines(count, size=1):
    return "\r\n".join(f"X-{i}: {'v' * size}" for i in range(count))


c.passed("1.24", "100 fields", get("/", lines(99)))
c.refused("1.24", "101 fields", 431, get("/", lines(100)))
c.refused("1.24", "fields without an end", 431, "GET / HTTP/1.1\r\nHost: a.example\r\n" + lines(400))
c.passed_field("1.24", "a field line of 16 KiB", "X-A: " + "v" * (16384 - 5))
c.refused_field("1.24", "a field line of 16 KiB and one", 431, "X-A: " + "v" * (16384 - 4))
c.refused("1.24", "a field line without an end", 431, "GET / HTTP/1.1\r\nHost: a.example\r\nX-A: " + "v" * 40000)
HEAD = len(get("/", "X-A: \r\nX-B: \r\nX-C: "))
c.passed("1.24", "a head of 32 KiB", get("/", f"X-A: {'v' * 15000}\r\nX-B: {'v' * 15000}\r\nX-C: "
                                              f"{'v' * (32768 - HEAD - 30000)}"))
c.refused("1.24", "a head of 32 KiB and one", 431, get("/", f"X-A: {'v' * 15000}\r\nX-B: {'v' * 15000}\r\nX-C: "
                                                            f"{'v' * (32769 - HEAD - 30000)}"))
c.refused("1.24", "a head without an end", 431, "GET / HTTP/1.1\r\nHost: a.example\r\n" + lines(90, 2000))
c.refused("1.24", "129 connection options", 431, get("/", "Connection: " + ",".join(["x-a"] * 129)), peers=False)

# ---- 1.25 ------------------------------------------------------------------------------------------------------------
for line in ("X-Original-URL: /admin", "X-Rewrite-URL: /admin", "Proxy: http://evil.example", "PROXY: x",
             "x-original-url:"):
    c.passed_field("1.25", f"the field {line} is removed", line, kept=[], peers=line.lower().startswith("proxy"))
for line in ("X-HTTP-Method-Override: DELETE", "X-Method-Override: PUT", "X-Script-Name: /x", "X-Original-Host: b"):
    c.passed_field("1.25", f"the field {line} has no effect", line)
c.passed("1.25", "X-HTTP-Method-Override on POST", post("X-HTTP-Method-Override: GET\r\nContent-Length: 1", "x"),
         kept=["X-HTTP-Method-Override: GET"])
