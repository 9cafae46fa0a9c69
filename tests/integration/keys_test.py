# SPDX-License-Identifier: Apache-2.0
"""What requests are counted by: segments of paths, names in client certificates; and a clock that is not the store's."""

from support.check import equal
from support.weir import wait_until
from support.tls import client_context

ONE = {"limit": "1/30d", "algorithm": "fixed_window"}


def a_path_parameter_is_a_bucket_of_its_own(t):
    u = t.upstream()
    weir = t.weir({"upstreams": {"app": {"url": u.url}}, "workers": 1,
                   "routes": [{"name": "item", "match": {"path": ["/v1/items/{id}", "/v1/items/{id}/**"]}, "upstream": "app",
                               "encoded_slash": "allow"},
                              {"name": "rest", "match": {"path": "/**"}, "upstream": "app"}],
                   "rules": [{"name": "per-item", "key": ["path_param:id"], "match": {"route": "item"}, **ONE},
                             {"name": "if-any", "key": ["path_param:id"], "missing": "deny", "match": {"path": "/x"}, **ONE}]})
    first = ["/v1/items/a", "/v1/items/b", "/v1/items/a%2Fb"]
    for target in first:
        equal(weir.get(target).status, 200, target)
    for target in first + ["/v1//items/%61", "/v1/items/b/", "/v1/items/a/more/still", "/v1/./items/a%2fb"]:
        equal(weir.get(target).status, 429, target)              # one spelling or another: one item, one bucket
    equal(weir.get("/v1/other").status, 200)
    equal(weir.get("/x").status, 401)                            # its route has no such segment


def a_client_certificate_names_the_user(t):
    ca = t.authority()
    server = ca.server()
    u = t.upstream(tls=None)
    clients = {"a": ca.client("billing", alternatives=["URI:spiffe://x/billing", "DNS:billing.x"]),
               "b": ca.client("search", alternatives=["URI:spiffe://x/search", "URI:spiffe://x/billing", "DNS:billing.x"]),
               "c": ca.client("billing")}
    # who shares a bucket with whom, by what names them
    expected = {"san_uri": [("a", 200), ("b", 200), ("a", 429), ("b", 429), ("c", 401), (None, 401)],
                "san_dns": [("a", 200), ("b", 429), ("c", 401)],
                "subject": [("a", 200), ("c", 429), ("b", 200)]}
    for source, steps in expected.items():
        weir = t.weir({}, start=False)
        weir.write_policy({"upstreams": {"app": {"url": u.url}}, "workers": 1,
                           "identity": {"user": [{"client_cert": source, "hash": False}]},
                           "rules": [{"name": "per-user", "key": ["user"], "missing": "deny", **ONE}],
                           "listen": [{"address": f"127.0.0.1:{weir.port}", "tls": {
                               "certificate": server.certificate, "key": server.key, "client_ca": ca.ca,
                               "client_auth": "optional"}}]})
        weir.start()
        for who, status in steps:
            with weir.connect(tls=client_context(ca.ca, clients[who] if who else None)) as c:
                equal(c.request(fields={"X-User": "spiffe://x/billing"}).status, status, f"{source} {who}")
        named = {"san_uri": "spiffe://x/billing", "san_dns": "billing.x", "subject": "CN=billing"}[source]
        equal(weir.records(len(steps))[0]["user_hash"], named)
        weir.terminate()


def names_that_lie_and_nominations_that_reach_too_far_are_counted(t):
    u = t.upstream()
    weir = t.weir({"upstreams": {"app": {"url": u.url}}, "workers": 1, "identity": {"user": [{"header": "X-Key"}]}})
    weir.get("/", {"X_Key": "a", "X_Forwarded_For": "1.2.3.4"})
    weir.get("/", {"Connection": "x-key, cookie, host, x-mine", "X-Key": "a", "X-Mine": "b"})
    equal(u.requests[0].header("X_Key"), None)
    equal((u.requests[1].header("X-Key"), u.requests[1].header("X-Mine")), ("a", None))
    metrics = weir.metrics()
    equal(metrics.sum("weir_http_ignored_total", reason="underscore"), 2)
    equal(metrics.sum("weir_http_ignored_total", reason="nomination"), 3)


def a_store_that_refuses_time_in_scripts_is_given_the_proxys_clock(t):
    """TIME is refused to the user of the server, inside scripts, too; with its own clock weir would decide nothing."""
    redis = t.redis()
    redis.call("ACL", "SETUSER", "default", "-time")
    u = t.upstream()
    policy = {"upstreams": {"app": {"url": u.url}}, "workers": 1,
              "rules": [{"name": "r", "key": ["client_ip"], **ONE}]}
    store = {"url": redis.url, "failure_mode": "deny", "pool": {"command_timeout": "10s"}}
    refused = t.weir({**policy, "store": store}, start=False).spawn()
    wait_until("the server refuses TIME", lambda: "answers with an error" in refused.stderr())
    equal(refused.terminate(), 0)
    monitor = redis.monitor()
    weir = t.weir({**policy, "store": {**store, "clock": "proxy"}})
    equal([weir.get().status for _ in range(3)], [200, 429, 429])
    other = t.weir({**policy, "store": {**store, "clock": "proxy"}})
    equal(other.get().status, 429)                               # one limit for both
    asked = [line for line in monitor.lines if '"time"' in line.lower() or "redis.call('TIME')" in line]
    equal(asked, [])
    assert monitor.commands("EVALSHA"), monitor.lines
