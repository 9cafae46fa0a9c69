# SPDX-License-Identifier: Apache-2.0
"""Who is refused or not counted, and the options of paths and fields."""

import os

from support import upstream
from support.check import envelope, equal

ONE = [{"name": "per-ip", "key": ["client_ip"], "limit": "1/30d", "algorithm": "fixed_window"}]
TRUST = {"client_ip": {"trusted_proxies": ["127.0.0.0/8"]}}


def _weir(t, script=None, **policy):
    u = t.upstream(script)
    return t.weir({"upstreams": {"app": {"url": u.url}}, "workers": 1, **policy}), u


def _from(address, **more):
    return {"X-Forwarded-For": address, **more}


def _file(t, name, text):
    path = os.path.join(t.folder("lists"), name)
    with open(path, "w") as f:
        f.write(text)
    return path


def a_blocked_request_is_refused_first_and_charged_nothing(t):
    nets = _file(t, "nets", "# abusers\n203.0.113.0/24\n2001:db8:bad::/48\n198.51.100.7\n")
    weir, u = _weir(t, rules=ONE, **TRUST,
                    block=[{"file": nets, "by": "client_ip", "reason": "abuse"},
                           {"match": {"header": {"User-Agent": ["bad", "worse"]}}, "reason": "agent", "status": 429},
                           {"match": {"query": {"debug": "*"}, "not": {"client_ip": "192.0.2.1"}}, "reason": "debug",
                            "status": 404}])
    blocked = [("203.0.113.9", {}, "/", 403), ("2001:db8:bad:1::1", {}, "/", 403), ("198.51.100.7", {}, "/", 403),
               ("64:ff9b::203.0.113.9", {}, "/", 403), ("::ffff:203.0.113.9", {}, "/", 403),
               ("192.0.2.2", {"User-Agent": "worse"}, "/", 429), ("192.0.2.2", {}, "/?d%65bug=0", 404)]
    for address, more, target, status in blocked:
        envelope(weir.get(target, _from(address, **more)), status, "forbidden", close=False)
    equal(weir.get("/", _from("192.0.2.2")).status, 200)   # its one unit was not spent
    equal(weir.get("/?debug=1", _from("192.0.2.1")).status, 200)
    equal(weir.get("/", _from("198.51.100.8")).status, 200)
    equal(weir.get("/", [("X-Forwarded-For", "192.0.2.3"), ("User-Agent", "a"), ("User-Agent", "bad")]).status, 400)
    equal(len(u.requests), 3)
    records = weir.records(len(blocked) + 4)
    equal([(r["decision"], r["reason"]) for r in records[:7]],
          [("blocked", "abuse")] * 5 + [("blocked", "agent"), ("blocked", "debug")])
    metrics = weir.metrics()
    equal(metrics.sum("weir_blocked_total", reason="abuse"), 5)
    equal(metrics.sum("weir_blocked_total", reason="agent"), 1)


def an_exempt_request_is_never_counted(t):
    keys = _file(t, "keys", "job-1\njob-2\n")
    weir, u = _weir(t, rules=ONE, concurrency=[{"name": "all", "key": ["constant:all"], "max": 1}],
                    identity={"user": [{"header": "X-API-Key"}]},
                    exempt=[{"match": {"path": ["/healthz", "/readyz"]}, "reason": "probes"},
                            {"match": {"methods": ["OPTIONS"]}, "reason": "preflight"},
                            {"file": keys, "by": "user", "reason": "jobs"}],
                    block=[{"match": {"user": "job-2"}, "reason": "stopped"}])
    for _ in range(3):
        equal(weir.get("/healthz").status, 200)
        equal(weir.get("//healthz/").status, 200)
    equal(weir.fetch("OPTIONS").status, 200)
    equal(weir.get("/", {"X-API-Key": "job-1"}).status, 200)
    equal(weir.get("/", {"X-API-Key": "job-2"}).status, 403)   # block comes first
    equal([weir.get("/").status, weir.get("/").status], [200, 429])
    assert weir.get("/readyz").header("RateLimit") is None
    records = weir.records(12)
    equal([(r["decision"], r.get("exempt")) for r in records],
          [("exempt", "probes")] * 6 + [("exempt", "preflight"), ("exempt", "jobs"), ("blocked", None), ("allow", None),
                                        ("deny", None), ("exempt", "probes")])
    assert all("job-" not in str(r) for r in records), "a raw key is in the log"
    equal(weir.metrics().sum("weir_exempt_total", reason="probes"), 7)


def a_reload_reads_the_lists_again(t):
    nets = _file(t, "nets", "203.0.113.0/24\n")
    weir, _ = _weir(t, **TRUST, block=[{"file": nets, "by": "client_ip", "reason": "abuse"}])
    equal(weir.get("/", _from("203.0.113.9")).status, 403)
    with open(nets, "w") as f:
        f.write("198.51.100.0/24\n")
    weir.reload()
    equal([weir.get("/", _from(a)).status for a in ("203.0.113.9", "198.51.100.1")], [200, 403])


def a_list_of_many_values_is_quick(t):
    lines = 1_000_000 if t.thorough else 50_000
    text = "".join(f"{10 + (i >> 16)}.{i >> 8 & 255}.{i & 255}.0/25\n" for i in range(lines))
    weir, _ = _weir(t, **TRUST, block=[{"file": _file(t, "nets", text), "by": "client_ip", "reason": "abuse"},
                                       {"file": _file(t, "keys", "".join(f"key-{i}\n" for i in range(lines))),
                                        "by": "header:X-Key", "reason": "key"}])
    with weir.connect() as c:
        def status(address, key="none"):
            return c.request(fields=_from(address, **{"X-Key": key})).status
        for i in range(0, lines, lines // 20):
            net = f"{10 + (i >> 16)}.{i >> 8 & 255}.{i & 255}"
            equal((status(f"{net}.127"), status(f"{net}.128"), status("9.9.9.9", f"key-{i}")), (403, 200, 403), net)


def methods_that_are_not_listed_are_405_and_the_connection_is_kept(t):
    weir, u = _weir(t, http={"methods": ["GET", "POST"]}, rules=ONE)
    with weir.connect() as c:
        for method in ("DELETE", "PATCH", "PURGE", "OPTIONS"):
            r = c.request(method)
            envelope(r, 405, "method_not_allowed", close=False)
            equal(r.header("Allow"), "GET, POST")
        envelope(c.request("PUT", body=b"x" * 100), 405, "method_not_allowed", close=False)
        equal(c.request("GET").status, 200)
    equal(len(u.requests), 1)


def names_with_an_underscore_are_dropped_refused_or_kept(t):
    fields = [("My_Header", "1"), ("X_API_Key", "mallory"), ("X_Forwarded_For", "6.6.6.6"), ("Content_Length", "9")]
    for mode, status, kept in (("drop", 200, None), ("reject", 400, None), ("allow", 200, "1")):
        weir, u = _weir(t, http={"underscore": mode}, identity={"user": [{"header": "X-API-Key"}]})
        equal(weir.get("/", fields).status, status, mode)
        if status == 200:
            equal(u.requests[0].header("My_Header"), kept, mode)
            for name, _ in fields[1:]:
                equal(u.requests[0].header(name), None, (mode, name))


def client_address_fields_reach_the_upstream_only_from_trusted_proxies(t):
    names = ["X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "Fastly-Client-IP", "X-Mine"]
    fields = [(name, "6.6.6.6") for name in names]
    weir, u = _weir(t)
    weir.get("/", fields)
    equal([u.requests[0].header(n) for n in names], [None] * 4 + ["6.6.6.6"])
    weir, u = _weir(t, **TRUST)
    weir.get("/", fields)
    equal([u.requests[0].header(n) for n in names], ["6.6.6.6"] * 5)
    weir, u = _weir(t, http={"discard": ["X-Mine"]})
    weir.get("/", fields)
    equal([u.requests[0].header(n) for n in names], ["6.6.6.6"] * 4 + [None])


def upstreams_are_told_of_the_client_as_configured(t):
    weir, u = _weir(t, forwarded="rfc7239", **TRUST)
    weir.get("/", [("Forwarded", "for=198.51.100.1")])
    equal(u.requests[0].header("Forwarded"), 'for=198.51.100.1, for=127.0.0.1;proto=http;host="a.example"')
    equal(u.requests[0].header("X-Forwarded-For"), None)
    weir, u = _weir(t, forwarded="both")
    weir.get("/", [("Forwarded", "for=198.51.100.1")])
    equal(u.requests[0].header("Forwarded"), 'for=127.0.0.1;proto=http;host="a.example"')
    equal(u.requests[0].header("X-Forwarded-For"), "127.0.0.1")


def the_client_is_found_in_forwarded_and_by_counted_hops(t):
    weir, _ = _weir(t, client_ip={"trusted_proxies": ["127.0.0.0/8"], "header": "Forwarded"})
    weir.get("/", [("Forwarded", 'for=6.6.6.6, for="[2001:db8::7]:4711";proto=https'), ("X-Forwarded-For", "7.7.7.7")])
    equal(weir.records(1)[0]["client_ip"], "2001:db8::7")
    weir, _ = _weir(t, client_ip={"hops": 2})
    weir.get("/", _from("6.6.6.6, 198.51.100.1, 198.51.100.2"))
    equal(weir.records(1)[0]["client_ip"], "198.51.100.1")


def an_encoded_slash_is_data_where_the_route_says_so(t):
    weir, u = _weir(t, routes=[{"name": "project", "match": {"path": "/projects/{id}"}, "upstream": "app",
                                "encoded_slash": "allow"},
                               {"name": "rest", "match": {"path": "/**"}, "upstream": "app"}])
    equal(weir.get("/projects/group%2fname").status, 200)
    equal(u.requests[0].target, "/projects/group%2Fname")
    for target in ("/other/a%2Fb", "/projects/a%2Fb/c", "/projects/..%2Fb", "/projects/a%2F..%2F..", "/projects/a%5Cb"):
        envelope(weir.get(target), 400, "bad_request", close=True)
    equal(weir.records(6)[0]["route"], "project")


def parameters_of_a_path_may_be_refused(t):
    weir, u = _weir(t, paths={"params": "reject"})
    equal([weir.get(p).status for p in ("/a", "/a;b", "/a/;/c", "/a?b;c")], [200, 400, 400, 200])


def a_client_that_ends_its_side_first_may_still_get_its_response(t):
    for mode, answered in (("cancel", False), ("tolerate", True)):
        weir, _ = _weir(t, upstream.delayed(0.3), http={"client_half_close": mode})
        with weir.connect() as c:
            c.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            c.half_close()
            raw = c.read_until_close()
        equal(raw.startswith(b"HTTP/1.1 200"), answered, mode)
        equal(weir.records(1)[0]["status"], 200 if answered else 499, mode)
