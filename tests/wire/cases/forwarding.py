# SPDX-License-Identifier: Apache-2.0
"""How a request is written anew: hop-by-hop fields, nomination, Via, forwarding fields, the request id."""

from case import Chapter, get, post

chapter = c = Chapter()
RULE = "forwarding"

for line in ("Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "Proxy-Authenticate: Basic",
             "Proxy-Authorization: Basic eA==",
             "TE: trailers", "TE: gzip;q=0.5, trailers", "Trailer: X-T", "Upgrade: h2c", "Upgrade: TLS/1.0",
             "HTTP2-Settings: AAMAAABk",
             "Connection: keep-alive", "connection: x"):
    c.passed_field(RULE, f"`{line}` is removed", line, kept=[])
c.passed_field(RULE, "the whole hop-by-hop set between other fields",
               "X-A: 1\r\nTE: trailers\r\nConnection: te\r\nX-B: 2\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\nX-C: 3",
               kept=["X-A: 1", "X-B: 2", "X-C: 3"])
c.passed_field(RULE, "an upgrade to h2c as browsers try it",
               "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk", kept=[])

# ---- nomination ------------------------------------------------------------------------------------------------------
for what, fields, kept in (("a nominated field", "Connection: x-a\r\nX-A: 1\r\nX-B: 2", ["X-B: 2"]),
                           ("a nominated field before Connection", "X-A: 1\r\nConnection: X-a\r\nX-B: 2", ["X-B: 2"]),
                           ("every line of a nominated name", "X-A: 1\r\nConnection: x-A\r\nx-a: 2", []),
                           ("fields of two Connection lines", "Connection: x-a\r\nConnection: x-b\r\nX-A: 1\r\nX-B: 2",
                            []),
                           ("a nomination between empty elements", "Connection: ,, x-a ,\r\nX-A: 1", []),
                           ("a name that only begins like a nominated one", "Connection: x-a\r\nX-Ab: 1", ["X-Ab: 1"]),
                           ("a nomination of nothing there", "Connection: x-z\r\nX-A: 1", ["X-A: 1"]),
                           ("a nominated Accept", "Connection: accept\r\nAccept: */*", []),
                           ("a nominated Via", "Connection: via\r\nVia: 1.1 other", []),
                           ("a nominated Max-Forwards", "Connection: max-forwards\r\nMax-Forwards: 3", [])):
    c.passed_field(RULE, f"{what} is judged by name alone", fields, kept=kept)
for line in ("Content-Type: text/plain", "Authorization: Bearer a", "Cookie: a=b"):
    name = line.partition(":")[0]
    c.passed_field(RULE, f"{name} cannot be nominated away", f"Connection: {name}\r\n{line}", kept=[line], peers=False)
c.passed_field(RULE, "Host cannot be nominated away", "Connection: host", kept=[])
c.passed_field(RULE, "the header of a selector cannot be nominated away", "Connection: x-api-key\r\nX-API-Key: k",
               kept=["X-API-Key: k"], peers=False)
c.passed(RULE, "Content-Length cannot be nominated away", post("Connection: content-length\r\nContent-Length: 3",
                                                               "abc"), kept=[])
c.passed(RULE, "Transfer-Encoding cannot be nominated away",
         post("Connection: transfer-encoding\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"), kept=[],
         body="abc")
for name in ("Via", "X-Request-ID", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port"):
    c.passed_field(RULE, f"the {name} that weir adds cannot be nominated away", f"Connection: {name}", kept=[],
                   peers=False)

# ---- Via, forwarding fields, request id ------------------------------------------------------------------------------
c.passed_field(RULE, "Via gains a hop behind those before", "Via: 1.0 a, 1.1 b (c)")
c.passed(RULE, "Via names the version received", get(version="HTTP/1.0"), peers=False)
for line in ("X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil", "X-Forwarded-Port: 1",
             "X-Forwarded-Server: x",
             "X-Forwarded-Prefix: /admin", "X-Forwarded-Anything: x", "Forwarded: for=6.6.6.6", "X-Real-IP: 6.6.6.6",
             "x-forwarded-for:", "X-FORWARDED-FOR: 1\r\nX-Forwarded-For: 2"):
    c.passed_field(RULE, f"`{line}` of a peer that nobody trusts is discarded", line, kept=[], peers=False)
for value in ("abc", "A.b_c-9", "x" * 128):
    c.passed_field(RULE, f"the request id {value[:20]} is kept", f"X-Request-ID: {value}", kept=[], request_id=value,
                   peers=False)
for value in ("", "a b", "a,b", "x" * 129, "a/b", "\xe9", "a~b", "<script>", '"a"'):
    c.passed_field(RULE, f"the request id `{value[:20]}` is replaced", f"X-Request-ID: {value}", kept=[], peers=False)
c.passed_field(RULE, "two request ids are replaced", "X-Request-ID: a\r\nX-Request-ID: a", kept=[], peers=False)

# ---- one form of everything ------------------------------------------------------------------------------------------
c.passed(RULE, "Host is first, wherever it came", get("/", "X-A: 1\r\nhost:a.example", host=None), kept=["X-A: 1"])
c.passed(RULE, "HTTP/1.0 is forwarded as HTTP/1.1", get("/", "X-A: 1", version="HTTP/1.0"))
for method in ("POST", "PUT", "PATCH"):
    c.passed(RULE, f"{method} without a body says so", get(method=method))
for method in ("DELETE", "BREW", "OPTIONS"):
    c.passed(RULE, f"{method} without a body says nothing", get(method=method))
c.passed(RULE, "a length stands behind the other fields", post("Content-Length: 3\r\nX-A: 1", "abc"), kept=["X-A: 1"])
c.passed(RULE, "names keep their case, values lose the space around them",
         get("/", "x-LOWER:1\r\nX-UPPER:\t2 \r\nAccept:*/*"),
         kept=["x-LOWER: 1", "X-UPPER: 2", "Accept: */*"])
