# SPDX-License-Identifier: Apache-2.0
"""Who a request is charged to: address, user, path."""

from support import client, upstream
from support.check import envelope, equal

TRUST = {"client_ip": {"trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"]}}


def _weir(t, rules, script=None, **policy):
    u = t.upstream(script)
    return t.weir({"upstreams": {"app": {"url": u.url}}, "rules": rules, **policy}), u


def _per_ip(limit="1/day"):
    return [{"name": "per-ip", "key": ["client_ip"], "limit": limit}]


def _from(weir, chain, target="/"):
    fields = [("X-Forwarded-For", line) for line in ([chain] if isinstance(chain, str) else chain)]
    return weir.get(target, fields)


def without_trusted_proxies_the_header_is_ignored(t):
    weir, u = _weir(t, _per_ip())
    equal(_from(weir, "203.0.113.1").status, 200)
    equal(_from(weir, "203.0.113.2").status, 429)
    equal(u.requests[0].header("X-Forwarded-For"), "127.0.0.1")
    equal({r["client_ip"] for r in weir.records(2)}, {"127.0.0.1"})


def the_rightmost_untrusted_address_is_the_client(t):
    weir, u = _weir(t, _per_ip(), workers=1, **TRUST)
    cases = [
        ("203.0.113.1", "203.0.113.1"),
        ("6.6.6.6, 203.0.113.2", "203.0.113.2"),
        ("6.6.6.6, 203.0.113.3, 10.1.2.3, 10.9.9.9", "203.0.113.3"),
        (["6.6.6.6, 203.0.113.4", "10.1.2.3"], "203.0.113.4"),   # several lines are one list
        ("203.0.113.5 , ,\t10.0.0.1", "203.0.113.5"),
        ("203.0.113.6:4711", "203.0.113.6"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("::ffff:203.0.113.8", "203.0.113.8"),                   # IPv4 by value
        ("203.0.113.9, unknown, 10.1.1.1", "10.1.1.1"),          # garbage stops the walk
        ("10.3.3.3, 10.4.4.4", "10.3.3.3"),                      # all trusted: the leftmost
        ("203.0.113.010", "127.0.0.1"),                          # leading zeros: not an address
    ]
    for chain, _ in cases:
        equal(_from(weir, chain).status, 200, chain)
    for record, (chain, expected) in zip(weir.records(len(cases)), cases):
        equal(record["client_ip"], expected, chain)
        equal(record["peer_ip"], "127.0.0.1")
    for chain in ("203.0.113.1", "1.1.1.1, 203.0.113.2", "203.0.113.3,10.0.0.77", "::ffff:203.0.113.4",
                  "[::ffff:203.0.113.5]:99", "2001:db8::7"):
        equal(_from(weir, chain).status, 429, f"{chain} shares a bucket")
    equal(u.requests[1].header("X-Forwarded-For"), "6.6.6.6, 203.0.113.2, 127.0.0.1")


def one_ipv6_64_is_one_bucket(t):
    weir, _ = _weir(t, _per_ip("3/day"), **TRUST)
    for i in range(3):
        equal(_from(weir, f"2001:db8:1:2:{i:x}::{i + 1:x}").status, 200)
    equal(_from(weir, "2001:db8:1:2:ffff:ffff:ffff:ffff").status, 429)
    equal(_from(weir, "2001:db8:1:3::1").status, 200)


def users_from_a_header_have_buckets_of_their_own(t):
    weir, u = _weir(t, [{"name": "per-user", "key": ["user"], "missing": "skip", "limit": "2/day"},
                        {"name": "per-ip", "key": ["client_ip"], "limit": "1000/day"}],
                    identity={"user": [{"header": "X-API-Key"}]}, workers=1)

    def status(user):
        return weir.get("/", {"X-API-Key": user} if user is not None else {}).status
    equal([status("alice") for _ in range(3)], [200, 200, 429])
    equal([status("bob"), status("Alice"), status(" bob "), status("bob")], [200, 200, 200, 429])
    equal([status(None), status(""), status(None)], [200] * 3)   # no user: the rule does not apply
    r = weir.get("/", [("X-API-Key", "a"), ("X-API-Key", "b")])
    envelope(r, 400, close=True)
    records = weir.records(11)
    assert all("alice" not in str(r) for r in records), "a raw key is in the log"
    equal(len({r.get("user_hash") for r in records[:3]}), 1)
    assert records[0]["user_hash"] != records[3]["user_hash"]
    assert "user_hash" not in records[7]
    equal(u.requests[0].header("X-API-Key"), "alice")


def a_rule_may_demand_a_user(t):
    weir, u = _weir(t, [{"name": "per-user", "key": ["user"], "missing": "deny", "limit": "2/day"},
                        {"name": "per-ip", "key": ["client_ip"], "limit": "1000/day"}],
                    identity={"user": [{"header": "X-API-Key"}]})
    envelope(weir.get(), 401, "unauthenticated")
    equal(weir.get("/", {"X-API-Key": "x"}).status, 200)
    equal(len(u.requests), 1)


def every_spelling_of_a_path_is_one_bucket_and_one_string(t):
    weir, u = _weir(t, [{"name": "per-route", "match": {"route": "item"}, "key": ["route"], "limit": "9/day"}],
                    routes=[{"name": "item", "match": {"path": "/v1/users/{id}"}, "upstream": "app"},
                            {"name": "rest", "match": {"path": "/**"}, "upstream": "app"}])
    spellings = ["/v1/users/42", "/v1//users/42", "//v1/users/42", "/v1/users/%34%32", "/v1/./users/42",
                 "/v1/x/../users/42", "/v1/users/42;a=b", "/%76%31/users/42?q=1", "/../v1/users/42"]
    for target in spellings:
        equal(weir.get(target).status, 200, target)
    for target in spellings:
        equal(weir.get(target).status, 429, target)
    equal({r.target.partition("?")[0] for r in u.requests}, {"/v1/users/42"})
    records = weir.records(2 * len(spellings))
    equal({(r["path"], r["route"]) for r in records}, {("/v1/users/42", "item")})
    equal(weir.get("/v1/users/43").status, 429)   # `{id}` of any content is one route
    equal(weir.get("/V1/users/42").status, 200)   # case matters: another route


def a_trailing_slash_is_the_same_endpoint_but_is_forwarded(t):
    weir, u = _weir(t, [{"name": "per-route", "key": ["route"], "limit": "2/day"}],
                    routes=[{"name": "a", "match": {"path": "/a"}, "upstream": "app"},
                            {"name": "files", "match": {"path": "/files/**"}, "upstream": "app"}])
    equal([weir.get("/a").status, weir.get("/a/").status, weir.get("/a").status], [200, 200, 429])
    equal([r.target for r in u.requests], ["/a", "/a/"])
    equal([weir.get("/files").status, weir.get("/files/x/y").status], [200, 200])
    envelope(weir.get("/filesx"), 404, close=False)


def routes_are_chosen_in_order_by_method_path_and_host(t):
    a, b = t.upstream(upstream.ok(b"a")), t.upstream(upstream.ok(b"b"))
    weir = t.weir({"upstreams": {"a": {"url": a.url}, "b": {"url": b.url}},
                   "routes": [{"name": "write", "match": {"methods": ["POST"], "path": "/x/*"}, "upstream": "b"},
                              {"name": "host", "match": {"host": "b.example"}, "upstream": "b"},
                              {"name": "x", "match": {"path": "/x/{id}"}, "upstream": "a"}],
                   "workers": 1})
    with weir.connect() as c:
        equal(c.request("GET", "/x/1").body, b"a")
        equal(c.request("POST", "/x/1").body, b"b")
        equal(c.request("GET", "/anything", host="B.Example.:80").body, b"b")
        envelope(c.request("GET", "/x/1/2"), 404, close=False)
        equal(c.request("GET", "http://b.example/y", host="a.example").body, b"b")  # absolute-form replaces Host
    equal([r.get("route", "_none") for r in weir.records(5)], ["x", "write", "host", "_none", "host"])


def a_client_on_several_connections_is_one_client(t):
    weir, _ = _weir(t, _per_ip("5/day"))
    statuses = []
    for _ in range(8):
        with client.Connection(weir.port) as c:
            statuses.append(c.request().status)
    equal(statuses, [200] * 5 + [429] * 3)
