# SPDX-License-Identifier: Apache-2.0
"""Every spelling of one path, client or user lands in one bucket or is refused; none opens a second one.

Each case is asked of a real weir. That two requests share a bucket is read from `RateLimit`: the second one sees one
unit less than the first."""

import re

from support.check import equal

MANY = {"limit": "1000000/30d", "algorithm": "fixed_window"}   # nothing comes back while a test runs


class Asker:
    """One keep-alive connection, opened anew when weir closes it."""

    def __init__(self, weir):
        self.weir, self.connection = weir, None

    def ask(self, target="/", fields=()):
        """(status, units left of the rule that counted it, or None)."""
        if self.connection is None:
            self.connection = self.weir.connect()
        lines = [f"GET {target} HTTP/1.1", "Host: a.example"] + [f"{name}: {value}" for name, value in fields]
        self.connection.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        response = self.connection.read()
        if response.closes:
            self.connection.close()
            self.connection = None
        left = re.search(r'"[^"]+";r=(\d+)', response.header("RateLimit") or "")
        return response.status, int(left[1]) if left else None


def _weir(t, **policy):
    u = t.upstream()
    return t.weir({"upstreams": {"app": {"url": u.url}}, "workers": 1, **policy}), u


def _same_bucket(asker, canonical, case, what):
    """The case costs one unit of the bucket of `canonical`, which is asked before and after it."""
    _, before = asker.ask(**canonical)
    status, during = asker.ask(**case)
    _, after = asker.ask(**canonical)
    equal((status, during, after), (200, before - 1, before - 2), what)


def _refused(asker, canonical, case, what, status=400):
    """The case is refused and costs nothing."""
    _, before = asker.ask(**canonical)
    equal(asker.ask(**case)[0], status, what)
    equal(asker.ask(**canonical)[1], before - 1, what)


# ---- paths ---------------------------------------------------------------------------------------------------------

SAME_PATH = """
/v1/users/42 /v1/users/42/ /v1/users/42// /v1//users/42 //v1/users/42 ///v1///users///42 /v1/users//42
/./v1/users/42 /v1/./users/42 /v1/users/./42 /v1/users/42/. /../v1/users/42 /../../v1/users/42 /v1/../v1/users/42
/x/../v1/users/42 /v1/x/../users/42 /v1/users/x/../42 /v1/users/42/x/.. /v1/users/x/y/../../42 /x/y/../../v1/users/42
/%76%31/users/42 /v%31/users/42 /v1/%75sers/42 /v1/user%73/42 /v1/users/%34%32 /v1/users/4%32 /v1/u%73er%73/42
/%2e/v1/users/42 /%2E/v1/users/42 /v1/%2e/users/42 /v1/x/%2e%2e/users/42 /v1/x/%2E%2E/users/42 /v1/x/.%2e/users/42
/v1/x/%2e./users/42 /%2e%2e/v1/users/42 /v1/users/42/%2e /v1/users/x/%2e%2e/42
/v1;a/users/42 /v1;a=b/users/42 /v1/users;x/42 /v1/users/42;y /v1/users/42; /v1/users/42;a;b=c /v1/;x/users/42
/v1/x/..;/users/42 /v1/x/..;a=b/users/42 /;/v1/users/42 /v1/.;/users/42 /v1/users/42/;z /v1/x;/../users/42
/v1/users/42?x=1 /v1/users/42? /v1/users/42?/../x /v1/users/42?a=%2F /v1/users/42/?x /v1/users/42;p?q=1
http://a.example/v1/users/42 http://a.example//v1/users/42 HTTP://a.example/v1/x/../users/42 http://b.example/v1/users/42
""".split()

REFUSED_PATHS = """
/v1%2Fusers/42 /v1%2fusers/42 /v1/users%2F42 /v1/users/..%2F42 /v1/users/42%2F /%2Fv1/users/42 /v1/%2e%2e%2Fusers/42
/v1%5Cusers/42 /v1%5cusers/42 /v1\\users/42 /v1/users/..\\42 /v1/x/..%5Cusers/42
/v1/users/42%00 /v1/%00users/42 /v1/users/42%00.css /v1/users/42%0a /v1/users/42%0D /v1/users/42%09 /v1/users/42%7F
/v1/users/42%3Fx /v1/users/42%23x /v1/users/42%3Bx /v1/users/42#x
/v1/users%20/42 /v1/%20users/42 /v1/users/42%20 /v1/users/%2042 /v1/users./42 /v1/users/42. /v1/.../users/42
/v1/users/42%2e /v1/users/42.;x /v1/users/42%20;x
/v1/users/%c0%ae%c0%ae/42 /v1/users/%e0%80%ae /v1/%c0%afusers/42 /v1/users/%ff /v1/users/%ed%a0%80 /v1/users/%c3
/v1/users/4%2 /v1/users/%4 /v1/users/% /v1/users/%zz /v1/users/%u0034 /v1/users/"42" /v1/users/{42} /v1/users/<42>
/v1/users/42^ /v1/users/`42` /v1/users/4\u00e9
""".split()

OTHER_PATHS = {   # what upstreams tell apart stays apart
    "/V1/users/42": "/V1/users/42", "/v1/Users/42": "/v1/Users/42", "/v1/users": "/v1/users", "/v1/users/": "/v1/users/",
    "/v1/users/42/x": "/v1/users/42/x", "/v1/users%2542": "/v1/users%2542", "/v1/users/../42": "/v1/42",
    "/v1/%25%37%35sers/42": "/v1/%2575sers/42", "/v1/users/42/..": "/v1/users/", "/users/42": "/users/42",
    "/v1/x": "/v1/x", "/v1/%55sers/42": "/v1/Users/42",
}


def every_spelling_of_a_path_is_one_bucket_or_is_refused(t):
    weir, u = _weir(t, routes=[{"name": "item", "match": {"path": "/v1/users/{id}"}, "upstream": "app"},
                               {"name": "rest", "match": {"path": "/**"}, "upstream": "app"}],
                    rules=[{"name": "per-route", "key": ["route"], **MANY}])
    asker, canonical = Asker(weir), {"target": "/v1/users/42"}
    for target in SAME_PATH:
        _same_bucket(asker, canonical, {"target": target}, target)
        sent = u.requests[-2].target.partition("?")[0]
        equal(sent.rstrip("/"), "/v1/users/42", target)
    for target in REFUSED_PATHS:
        _refused(asker, canonical, {"target": target}, target)
    for target, path in OTHER_PATHS.items():
        _, before = asker.ask(**canonical)
        equal(asker.ask(target)[0], 200, target)
        equal(u.requests[-1].target, path, target)
        equal(asker.ask(**canonical)[1], before - 1, target)
    cases = len(SAME_PATH) + len(REFUSED_PATHS) + len(OTHER_PATHS)
    t.note(f"{cases} paths")
    assert cases >= 101, cases


def where_case_does_not_matter_no_case_opens_a_bucket(t):
    weir, u = _weir(t, paths={"case": "insensitive"},
                    routes=[{"name": "item", "match": {"path": "/V1/users/{id}"}, "upstream": "app"}],
                    rules=[{"name": "per-route", "key": ["route"], **MANY}])
    asker, canonical = Asker(weir), {"target": "/v1/users/42"}
    for target in ("/V1/USERS/42", "/v1/uSeRs/42", "/%561/Users/42", "/v1/users/AbC"):
        _same_bucket(asker, canonical, {"target": target}, target)
    equal(u.requests[-2].target, "/v1/users/AbC")   # what is forwarded keeps its case


# ---- clients -------------------------------------------------------------------------------------------------------

SAME_CLIENT = {
    "198.51.100.7": [
        "198.51.100.7", " 198.51.100.7 ", "\t198.51.100.7", "198.51.100.7,", ",198.51.100.7", ", ,198.51.100.7, ,",
        "198.51.100.7:80", "198.51.100.7:65535", "198.51.100.7:0",
        "::ffff:198.51.100.7", "::FFFF:198.51.100.7", "::ffff:c633:6407", "0:0:0:0:0:ffff:c633:6407",
        "0:0:0:0:0:ffff:198.51.100.7", "[::ffff:198.51.100.7]", "[::ffff:c633:6407]:443", "0000::ffff:c633:6407",
        "64:ff9b::198.51.100.7", "64:ff9b::c633:6407", "[64:ff9b::c633:6407]:1", "0064:ff9b:0:0:0:0:c633:6407",
        "6.6.6.6, 198.51.100.7", "unknown, 198.51.100.7", "\", 198.51.100.7", "127.0.0.1, 198.51.100.7",
        "198.51.100.7, 10.0.0.1", "198.51.100.7, 10.0.0.1, 10.255.255.255", "6.6.6.6, 198.51.100.7, fd00::1",
        "198.51.100.7, ::ffff:10.0.0.1", "198.51.100.7,[fd12::9]:80", "10.0.0.1, 198.51.100.7",
        ["198.51.100.7", "10.0.0.1"], ["6.6.6.6", "198.51.100.7"], ["198.51.100.7, 10.0.0.2", "", "10.0.0.3"],
    ],
    "2001:db8:1:2::": [
        "2001:db8:1:2::1", "2001:DB8:1:2::1", "2001:0db8:0001:0002:0000:0000:0000:0001", "2001:db8:1:2:ffff::",
        "2001:db8:1:2:ffff:ffff:ffff:ffff", "[2001:db8:1:2::9]", "[2001:db8:1:2::9]:4711", "2001:db8:1:2::1%eth0",
        "[2001:db8:1:2::1%1]:80", "2001:db8:1:2:0:0:1.2.3.4", "2001:db8:1:2::, fd00::1", "6.6.6.6, 2001:db8:1:2::a",
    ],
    "2002:c633:6407::1": ["2002:c633:6407:1::1", "2002:C633:6407:ffff::9", "2002:c633:6407::ffff"],
    # nothing that is no address is a client: the last address that is one counts
    "127.0.0.1": [
        "unknown", "_hidden", "198.51.100.7, unknown", "198.51.100.7, garbage", "198.51.100.07", "198.51.100",
        "198.51.100.7.1", "0xc6336407", "3325256711", "0306.0063.0144.0007", "198.51.100.256", "198.51.100.7/32",
        "198.51.100.7:99999", "198.51.100.7:", "198.51.100.7:+1", "198.51.100.7 x", "x198.51.100.7", "[198.51.100.7]",
        "[2001:db8::1", "2001:db8::1]", "[2001:db8::1]80", "2001:db8:::1", "2001:db8::1::2", "2001:db8::g", "1:2:3",
        "1:2:3:4:5:6:7:8:9", "::ffff:198.51.100.256", "\"198.51.100.7\"", "for=198.51.100.7", "198.51.100.7;x",
        "%31.2.3.4", "198\u00b751\u00b7100\u00b77",
    ],
}
UNHEARD = ["X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "X-Cluster-Client-IP", "Forwarded",
           "X-Forwarded", "X_Forwarded_For", "X-Forwarded_For", "X-Original-Forwarded-For"]


def _chain(value):
    return [("X-Forwarded-For", line) for line in ([value] if isinstance(value, str) else value)]


def every_spelling_of_a_client_is_one_bucket(t):
    trusted = ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"]
    weir, _ = _weir(t, client_ip={"trusted_proxies": trusted},
                    rules=[{"name": "per-ip", "key": ["client_ip"], **MANY}])
    asker, cases = Asker(weir), 0
    for canonical, spellings in SAME_CLIENT.items():
        fields = [] if canonical == "127.0.0.1" else _chain(canonical)
        for spelling in spellings:
            _same_bucket(asker, {"fields": fields}, {"fields": _chain(spelling)}, spelling)
            cases += 1
    for name in UNHEARD:   # only the configured field is read
        _same_bucket(asker, {"fields": []}, {"fields": [(name, "198.51.100.7")]}, name)
        cases += 1
    clients = ["198.51.100.8", "2001:db8:1:3::1", "2002:c633:6408::1", "::1", "64:ff9b:1::c633:6407"]
    left = {asker.ask(fields=_chain(client))[1] for client in clients}
    equal(left, {999_999}, "clients of their own")
    cases += len(clients)
    t.note(f"{cases} clients")
    assert cases >= 73, cases


def an_untrusted_peer_is_the_client_whatever_it_says(t):
    weir, u = _weir(t, rules=[{"name": "per-ip", "key": ["client_ip"], **MANY}])
    asker = Asker(weir)
    for fields in ([("X-Forwarded-For", "198.51.100.7")], [("Forwarded", "for=198.51.100.7")],
                   [("X_Forwarded_For", "198.51.100.7")], [("Connection", "x-forwarded-for"), ("X-Forwarded-For", "1.2.3.4")],
                   [(name, "198.51.100.7") for name in UNHEARD]):
        _same_bucket(asker, {}, {"fields": fields}, fields)
        for name in UNHEARD:
            equal(u.requests[-2].header(name), None, name)


# ---- users ---------------------------------------------------------------------------------------------------------

KEY = "Alice-Key=1"
SAME_USER = [
    [("X-API-Key", KEY)], [("x-api-key", KEY)], [("X-API-KEY", KEY)], [("X-Api-Key", f"  {KEY} ")],
    [("X-API-Key", f"\t{KEY}\t")], [("X-API-Key", KEY), ("X_API_Key", "mallory")], [("X_API_KEY", "m"), ("X-API-Key", KEY)],
    [("Connection", "X-API-Key"), ("X-API-Key", KEY)], [("X-API-Key", KEY), ("Cookie", "sid=other")],
    [("Cookie", f"sid={KEY}")], [("Cookie", f"a=1; sid={KEY}; b=2")], [("Cookie", f'sid="{KEY}"')],
    [("Cookie", f"SID=x; sid={KEY}")], [("X-API-Key", ""), ("Cookie", f"sid={KEY}")],
]
SAME_USER_QUERIES = ["/?key=Alice-Key=1", "/?key=Alice-Key%3D1", "/?k%65y=Alice-Key=1", "/?x=1&key=%41lice-Key=1",
                     "/?key=+Alice-Key=1+", "/?Key=x&key=Alice-Key=1"]
NO_USER = [[], [("X-API-Key", "")], [("X-API-Key", " \t ")], [("X_API_Key", KEY)], [("Cookie", "sid=")], [("Cookie", "sid")],
           [("Cookie", "SID=x")], [("Authorization", KEY)]]
OTHER_USERS = [KEY.lower(), KEY + ";", KEY + "0", '"' + KEY + '"', "Alice-Key%3D1", KEY + "\u00e9", "u" * 3000 + "a",
               "u" * 3000 + "b", "1", "01", "1.0"]


def every_spelling_of_a_user_is_one_bucket_or_is_refused(t):
    weir, _ = _weir(t, identity={"user": [{"header": "X-API-Key"}, {"cookie": "sid"}, {"query": "key"}]},
                    rules=[{"name": "per-user", "key": ["user"], "missing": "skip", **MANY}])
    asker, canonical = Asker(weir), {"fields": [("X-API-Key", KEY)]}
    for fields in SAME_USER:
        _same_bucket(asker, canonical, {"fields": fields}, fields)
    for target in SAME_USER_QUERIES:
        _same_bucket(asker, canonical, {"target": target}, target)
    twice = [{"fields": [("X-API-Key", KEY), ("X-API-Key", KEY)]}, {"fields": [("X-API-Key", "a"), ("x-api-key", KEY)]},
             {"fields": [("Cookie", f"sid=a; sid={KEY}")]}, {"fields": [("Cookie", "sid=a"), ("Cookie", f"sid={KEY}")]},
             {"target": f"/?key=a&key={KEY}"}, {"target": f"/?key=a&k%65y={KEY}"}]
    for case in twice:
        _refused(asker, canonical, case, case)
    for fields in NO_USER:   # no user: the rule does not apply, and there is no bucket for everybody
        equal(asker.ask(fields=fields), (200, None), fields)
    left = [asker.ask(fields=[("X-API-Key", user)]) for user in OTHER_USERS]
    equal(set(left), {(200, 999_999)}, "users of their own")
    cases = len(SAME_USER) + len(SAME_USER_QUERIES) + len(twice) + len(NO_USER) + len(OTHER_USERS)
    t.note(f"{cases} users")
    assert cases >= 27, cases
