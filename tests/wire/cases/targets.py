# SPDX-License-Identifier: Apache-2.0
"""1.9-1.17: request targets and Host."""

from case import Chapter, get

chapter = c = Chapter()

# ---- 1.9 -------------------------------------------------------------------------------------------------------------
c.passed("1.9", "a target of 8,000 octets", get("/" + "a" * 7999))
c.passed("1.9", "a target of 8,192 octets", get("/" + "a" * 8191))
c.passed("1.9", "a query of 8,190 octets", get("/?" + "a" * 8190))
c.refused("1.9", "a target of 8,193 octets", 414, get("/" + "a" * 8192))
c.refused("1.9", "a target of 8,193 octets, most of them query", 414, get("/?" + "a" * 8191))
c.refused("1.9", "a target without an end", 414, "GET /" + "a" * 20000)
c.refused("1.9", "an absolute target of 8,193 octets", 414, get("http://a.example/" + "a" * 8176))

# ---- 1.10 ------------------------------------------------------------------------------------------------------------
for target in ("/a?b=c&d", "/?", "/a??b", "/?/../..;%2F%00%zz", "/?%", "/?a\\b", "/?[]{}|^`\"<>",
               "/a?http://b.example/",
               "/a:b@c!$&'()*+,=~-._"):
    c.passed("1.10", f"the target {target} arrives byte for byte", get(target))
for name, target in (("fragment", "/a#b"), ("fragment in the query", "/a?b#c"), ("NUL", "/a\0b"), ("DEL", "/a\x7fb"),
                     ("tab", "/a\tb"), ("escape byte", "/\x1b[0m"), ("raw UTF-8", "/\xc3\xa9"),
                     ("8-bit byte in the query", "/?\xe9"), ("backslash in the path", "/a\\b"), ("quote", '/a"b'),
                     ("angle bracket", "/a<b"), ("brace", "/a{b"), ("caret", "/a^b"), ("backtick", "/a`b")):
    c.refused("1.10", f"a target with a {name}", 400, get(target))
for target in ("/a%2Fb", "/a%5Cb", "/a%00b", "/a%0Ab", "/a%23b", "/a%3Fb", "/a%3Bb", "/a%7Fb", "/a%", "/a%2", "/a%zz",
               "/a%C0%AF", "/a%FF", "/a%ED%A0%80"):
    c.refused("1.10", f"the path {target}", 400, get(target), peers=False)
for target, forwarded in (("/a/./b", "/a/b"), ("/a/../b", "/b"), ("/../../a", "/a"), ("/%61", "/a"),
                          ("/a%2e%2E/b", None),
                          ("/%2e%2e/b", "/b"), ("/a//b///c", "/a/b/c"), ("/a;x=1/b;y", "/a/b"), ("/%c3%a9", "/%C3%A9"),
                          ("/%2525", "/%2525"), ("/[a]|", "/%5Ba%5D%7C")):
    if forwarded is None:
        c.refused("1.10", f"the path {target}, whose segment ends in a dot", 400, get(target), peers=False)
    else:
        c.passed("1.10", f"the path {target} goes on as {forwarded}", get(target), line=f"GET {forwarded} HTTP/1.1",
                 peers=False)

# ---- 1.11 ------------------------------------------------------------------------------------------------------------
c.passed("1.11", "origin-form", get("/a/b"))
for target, forwarded in (("//b.example/x", "/b.example/x"), ("///", "/"), ("//u@b.example:1/", "/u@b.example:1/")):
    c.passed("1.11", f"{target} is a path, never an authority", get(target), line=f"GET {forwarded} HTTP/1.1",
             peers=False)
for target in ("a", "a/b", "?a", ".", "./a", "../a", "%2Fa", ";a", "@", ":", "a:80/", "\\a"):
    c.refused("1.11", f"the target {target}, which begins with no slash", 400, get(target))

# ---- 1.12 ------------------------------------------------------------------------------------------------------------
for target, forwarded, host in (("http://a.example/x", "/x", "a.example"), ("https://a.example/x", "/x", "a.example"),
                                ("HTTP://a.example/x", "/x", "a.example"), ("hTTps://a.example/", "/", "a.example"),
                                ("http://a.example", "/", "a.example"), ("http://a.example?q", "/?q", "a.example"),
                                ("http://a.example/?q=http://c/", "/?q=http://c/", "a.example"),
                                ("http://A.Example:8080/x", "/x", "A.Example:8080"),
                                ("http://a.example:1/", "/", "a.example:1"),
                                ("http://a.example:65535/", "/", "a.example:65535"),
                                ("http://192.0.2.1/", "/", "192.0.2.1"),
                                ("http://[2001:db8::1]/", "/", "[2001:db8::1]"),
                                ("http://[::1]:81/x?y", "/x?y", "[::1]:81"),
                                ("http://a.example//x", "/x", "a.example")):
    c.passed("1.12", f"the absolute target {target}", get(target), line=f"GET {forwarded} HTTP/1.1", host=host,
             peers="//x" not in target)
c.passed("1.12", "the authority of the target replaces Host", get("http://b.example/x", host="a.example"),
         line="GET /x HTTP/1.1", host="b.example")
c.passed("1.12", "an absolute OPTIONS without path is *", get("http://b.example", method="OPTIONS"),
         line="OPTIONS * HTTP/1.1", host="b.example")
c.passed("1.12", "an absolute OPTIONS with a path", get("http://b.example/", method="OPTIONS"),
         line="OPTIONS / HTTP/1.1", host="b.example")
c.passed("1.12", "an absolute target in HTTP/1.0 without Host", get("http://b.example/", host=None, version="HTTP/1.0"),
         line="GET / HTTP/1.1", host="b.example")
for target in ("ftp://a.example/", "ws://a.example/", "file:///x", "javascript:alert(1)", "httpx://a.example/",
               "http:/a.example/", "http:a.example", "http//a.example", "http:///x", "http://", "https://?x",
               "http://:80/", "http://u@a.example/", "http://u:p@a.example/", "http://@a.example/",
               "http://a.example:0/", "http://a.example:65536/", "http://a.example:/", "http://a.example:80x/",
               "http://a.example:-1/", "http://a.example:8 0/", "http://a.example\\b/", "http://a.example%00/",
               "http://a_b%2Fc/", "http://[::1/", "http://::1/", "http://[::1]x/", "http://[fe80::1%25eth0]/",
               "http://[1.2.3.4]/", "http://a,b/", "http://a.example:80:80/", "http://a.example#x", "://a.example/",
               " http://a.example/"):
    c.refused("1.12", f"the absolute target {target}", 400, get(target))
c.refused("1.12", "an absolute target without Host", 400, get("http://a.example/", host=None))
c.refused("1.12", "an absolute target beside two Hosts", 400, get("http://a.example/", "Host: a.example"))
c.refused("1.12", "an absolute target beside a malformed Host", 400, get("http://a.example/", host="a b"))
c.refused("1.12", "an absolute target beside an empty Host", 400, get("http://a.example/", host=""))

# ---- 1.13 ------------------------------------------------------------------------------------------------------------
c.passed("1.13", "OPTIONS *", get("*", method="OPTIONS"))
for method in ("GET", "HEAD", "POST", "DELETE", "BREW"):
    c.refused("1.13", f"{method} *", 400, get("*", method=method))
for target in ("a.example:80", "a.example", "[::1]:80"):
    c.refused("1.13", f"authority-form {target} on GET", 400, get(target))
c.refused("1.13", "authority-form on OPTIONS", 400, get("a.example:80", method="OPTIONS"))
for target in ("**", "*?a", "*/", "/*/../*" + "\\"):
    c.refused("1.13", f"OPTIONS {target}", 400, get(target, method="OPTIONS"))

# ---- 1.14, 1.15 ------------------------------------------------------------------------------------------------------
c.passed("1.14", "Host behind other fields", get("/", "X-A: 1\r\nHost: a.example", host=None), kept=["X-A: 1"])
c.passed("1.14", "HOST in capitals", get("/", "HOST: a.example", host=None))
c.refused("1.14", "no Host", 400, get(host=None))
c.refused("1.14", "no Host beside other fields", 400, get("/", "X-A: 1", host=None))
c.refused("1.14", "two Hosts", 400, get("/", "Host: b.example"))
c.refused("1.14", "two equal Hosts", 400, get("/", "Host: a.example"))
c.refused("1.14", "two Hosts in different case", 400, get("/", "hOST: a.example"))
c.refused("1.14", "two Hosts, the second empty", 400, get("/", "Host:"))
c.refused("1.14", "two Hosts with other fields between", 400, get("/", "X-A: 1\r\nX-B: 2\r\nHost: a.example"))
c.refused("1.14", "X-Host and no Host", 400, get("/", "X-Host: a.example", host=None))
c.passed("1.15", "HTTP/1.0 without Host gets the upstream's authority", get(host=None, version="HTTP/1.0"), host=None)
c.passed("1.15", "HTTP/1.0 with Host", get(version="HTTP/1.0"))
c.refused("1.15", "HTTP/1.0 with two Hosts", 400, get("/", "Host: a.example", version="HTTP/1.0"))
c.refused("1.15", "HTTP/1.0 with a malformed Host", 400, get(host="a b", version="HTTP/1.0"))
c.refused("1.15", "HTTP/1.0 with an empty Host", 400, get(host="", version="HTTP/1.0"))

# ---- 1.16, 1.17 ------------------------------------------------------------------------------------------------------
for host in ("a", "a.example:80", "a.example:", "a.example:1", "a.example:65535", "192.0.2.1", "192.0.2.1:8080",
             "[::1]",
             "[::1]:80", "[2001:DB8::1]:8080", "[::ffff:192.0.2.1]", "A-b.~c_9", "xn--bcher-kva.example", "h" * 255):
    c.passed("1.16", f"the Host {host}", get(host=host), host=host)
for host in ("", "a.example:0", "a.example:65536", "a.example:99999999999", "a.example:x", "a.example:80x",
             "a.example:-1", "a.example:+80", "a.example:8 0", "a.example:80:80", "a.example, b.example", "a.example b",
             "a.example/", "a.example/x", "http://a.example", "u@a.example", "u:p@a.example", "a.example?x",
             "a.example#x", '"a.example"', "a.example\\", "[::1", "::1", "[]", "[]:80", "[::1]x", "[::1]:",
             "[::1%eth0]",
             "[::1%25eth0]", "[a.example]", "[1.2.3.4]", "[v1.x]", "a[::1]", "[[::1]]", "a%2eexample", "a!b", "a;b",
             "a'b", "a$b", "a&b", "a=b", "a*b", "(a)", "{a}", "<a>", "a|b", "\xe9.example", "a\tb", ":80", "h" * 256):
    if host != "[::1]:":
        c.refused("1.16", f"the Host `{host}`", 400, get(host=host))
c.passed("1.17", "the Host A.EXAMPLE.:80 goes on as validated", get(host="A.EXAMPLE.:80"), host="A.EXAMPLE.:80")
for host in ("keyed.example", "KEYED.example", "keyed.example.", "keyed.example:80", "Keyed.Example.:80"):
    message = get("/", "Content-Length: 11", host=host, method="POST")
    c.refused("1.17", f"the Host {host} is that of the route for keyed.example", 413, message, peers=False)
    c.refused("1.17", f"the target http://{host}/ is that of the route for keyed.example", 413,
              get(f"http://{host}/", "Content-Length: 11", method="POST"), peers=False)
for host in ("keyed.example..", "xkeyed.example", "keyed.example.a", "keyed"):
    c.passed("1.17", f"the Host {host} is not that of the route for keyed.example",
             get("/", "Content-Length: 11", host=host, method="POST") + "12345678901", host=host, peers=False)
c.passed("1.15", "HTTP/1.0 without Host is nobody's host",
         get("/", "Content-Length: 11", host=None, method="POST", version="HTTP/1.0") + "12345678901", host=None,
         peers=False)
