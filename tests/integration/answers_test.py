# SPDX-License-Identifier: Apache-2.0
"""What weir's own answers say: rate-limit fields of every kind, bodies, browsers, limits that the upstream tells."""

import json
import time

from support import client, structured, upstream
from support.check import equal
from support.ports import free_port
from support.structured import parse_dictionary, parse_integer, parse_list

RULE = {"name": "burst", "key": ["client_ip"], "limit": "2/minute"}
PROBLEMS = "https://iana.org/assignments/http-problem-types#"


def _weir(t, deny, rules=(RULE,), script=None, **policy):
    u = t.upstream(script)
    return t.weir({"upstreams": {"app": {"url": u.url}}, "workers": 1, "rules": list(rules), "deny": deny, **policy}), u


def _names(response):
    return {name.lower() for name, _ in response.fields}


def _state(response, kind):
    """(limit, remaining, reset) as the fields of an emitter tell them, all parsed strictly."""
    field = response.header
    if kind in ("ratelimit", "ratelimit-11"):
        (policy_name, policy), = parse_list(field("RateLimit-Policy"))
        (name, state), = parse_list(field("RateLimit"))
        assert type(name) is str and name == policy_name == "burst", (name, policy_name)
        equal((set(policy), set(state), policy["w"]), ({"q", "w"}, {"r", "t"}, 60))
        return policy["q"], state["r"], state["t"]
    if kind == "ratelimit-07":
        equal(parse_list(field("RateLimit-Policy")), [(2, {"w": 60})])
        members = parse_dictionary(field("RateLimit"))
        equal(set(members), {"limit", "remaining", "reset"})
        return tuple(members[k][0] for k in ("limit", "remaining", "reset"))
    if kind == "ratelimit-06":
        equal(parse_list(field("RateLimit-Policy")), [(2, {"w": 60})])
        return tuple(parse_integer(field(f"RateLimit-{k}")) for k in ("Limit", "Remaining", "Reset"))
    limit = field("X-RateLimit-Limit")
    if kind == "x-ratelimit-envoy":
        closest, *windows = parse_list(limit)
        equal(windows, [(2, {"w": 60, "name": "burst"})])
        limit = str(closest[0])
    return parse_integer(limit), *(parse_integer(field(f"X-RateLimit-{k}")) for k in ("Remaining", "Reset"))


KINDS = {"ratelimit": {"ratelimit", "ratelimit-policy"}, "ratelimit-11": {"ratelimit", "ratelimit-policy"},
         "ratelimit-07": {"ratelimit", "ratelimit-policy"},
         "ratelimit-06": {"ratelimit-limit", "ratelimit-policy", "ratelimit-remaining", "ratelimit-reset"},
         "x-ratelimit": {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"},
         "x-ratelimit-envoy": {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"}}


def every_emitter_parses_and_agrees_with_retry_after_body_and_log(t):
    """Each on a listener of its own, and all with the numbers of one bucket."""
    u = t.upstream()
    weir = t.weir({"upstreams": {"app": {"url": u.url}}, "workers": 1, "rules": [RULE],
                   "deny": {"headers": ["retry-after"]}})
    for kind, names in KINDS.items():
        weir.reload({"upstreams": {"app": {"url": u.url}}, "workers": 1,
                     "rules": [{**RULE, "name": "burst", "match": {"path": f"/{kind}"}, "key": ["constant:" + kind]}],
                     "listen": [{"address": f"127.0.0.1:{weir.port}", "name": "a", "headers": ["retry-after", kind]}]})
        emitted = {n for k in KINDS.values() for n in k}
        for left in (1, 0):
            r = weir.get(f"/{kind}")
            equal((r.status, _names(r) & emitted), (200, names), kind)
            limit, remaining, reset = _state(r, kind)
            equal((limit, remaining), (2, left), kind)
            assert 0 < reset <= 60, (kind, reset)
            assert "retry-after" not in _names(r), r
        r = weir.get(f"/{kind}", {"X-Request-ID": kind})
        wait = parse_integer(r.header("Retry-After"))
        equal((r.status, _state(r, kind)), (429, (2, 0, wait)), kind)
        details = r.json()["error"]["details"]
        equal((details["limit"], details["remaining"], details["retry_after"]), (2, 0, wait))
        record = weir.record(kind)
        assert (wait - 1) * 1000 < record["retry_after_ms"] <= wait * 1000, (record, wait)


def listeners_choose_their_fields_and_denials_may_be_the_only_ones_to_carry_them(t):
    plain, quiet = free_port(), free_port()
    weir, _ = _weir(t, {"headers": ["x-ratelimit"], "headers_on": "denied"}, rules=[{**RULE, "limit": "1/minute"}],
                    listen=[{"name": "plain", "address": f"127.0.0.1:{plain}"},
                            {"name": "quiet", "address": f"127.0.0.1:{quiet}", "headers": []}])
    equal({n for n in _names(client.get(plain)) if "ratelimit" in n}, set())
    equal(client.get(plain).header("X-RateLimit-Limit"), "1")
    r = client.get(quiet)
    equal((r.status, [n for n in _names(r) if "ratelimit" in n or n == "retry-after"]), (429, []))
    assert r.json()["error"]["details"]["retry_after"] >= 1


def a_reset_may_be_a_time_and_a_partition_is_named_by_a_keyed_hash(t):
    weir, _ = _weir(t, {"headers": ["ratelimit", "x-ratelimit"], "reset": "epoch", "partition_key": "hash"},
                    identity={"user": [{"header": "X-Key"}]},
                    rules=[{**RULE, "key": ["user"], "missing": "skip"}])
    r = weir.get("/", {"X-Key": "acme", "X-Request-ID": "one"})
    (_, state), = parse_list(r.header("RateLimit"))
    assert abs(parse_integer(r.header("X-RateLimit-Reset")) - (time.time() + state["t"])) <= 2 * t.slack, r
    (_, policy), = parse_list(r.header("RateLimit-Policy"))
    equal((policy["pk"], len(policy["pk"])), (state["pk"], 8))
    equal(weir.record("one")["key_hash"], state["pk"].hex())     # the log names it the same
    same, other = weir.get("/", {"X-Key": "acme"}), weir.get("/", {"X-Key": "globex"})
    equal(parse_list(same.header("RateLimit"))[0][1]["pk"], state["pk"])
    assert parse_list(other.header("RateLimit"))[0][1]["pk"] != state["pk"]


def jitter_only_ever_makes_waits_longer(t):
    weir, _ = _weir(t, {"jitter": "50%", "headers": ["retry-after", "ratelimit"]},
                    rules=[{**RULE, "limit": "1/1000s", "algorithm": "fixed_window"}])
    begin = time.time()
    rest = 1000 - begin % 1000
    weir.get()
    waits = []
    for i in range(30):
        r = weir.get("/", {"X-Request-ID": f"j{i}"})
        if r.status == 200:
            continue                                             # the window has just closed
        wait = parse_integer(r.header("Retry-After"))
        (_, state), = parse_list(r.header("RateLimit"))
        equal((state["t"], r.json()["error"]["details"]["retry_after"]), (wait, wait))
        assert (wait - 1) * 1000 < weir.record(f"j{i}")["retry_after_ms"] <= wait * 1000
        waits.append(wait)
    if rest > 100:
        assert min(waits) >= rest - 31 and max(waits) <= rest * 1.5 + 1, (rest, waits)
        assert len(set(waits)) > 5, waits


def a_denial_body_is_the_envelope_a_problem_or_what_accept_prefers(t):
    weir, _ = _weir(t, {"body": "accept", "status": 420}, rules=[{**RULE, "limit": "1/minute"}])
    weir.get()
    cases = [(None, False), ("*/*", False), ("application/json", False), ("application/problem+json", True),
             ("application/json;q=0.5, application/problem+json;q=0.6", True), ("text/html", False),
             ("application/problem+json;q=0, */*", False), ("application/json;q=0.2, application/*;q=0.8", True)]
    for accept, problem in cases:
        r = weir.get("/", {"Accept": accept} if accept else ())
        equal(r.status, 420)
        equal(r.header("Content-Type"), "application/problem+json" if problem else "application/json", accept)
        equal((r.header("Vary"), r.header("Cache-Control")), ("Accept", "no-store"))
        if problem:
            body = r.json()
            equal(body, {"type": PROBLEMS + "quota-exceeded", "title": "Quota exceeded", "status": 420,
                         "violated-policies": ["burst"], "request_id": r.header("X-Request-ID")})
        else:
            equal(r.json()["error"]["type"], "rate_limited")


def problems_are_of_every_answer_and_hidden_rules_stay_hidden(t):
    weir, _ = _weir(t, {"body": "problem+json"}, script=upstream.ok(),
                    rules=[{**RULE, "limit": "1/minute", "headers": "hidden", "match": {"path": "/hidden"}}],
                    block=[{"match": {"path": "/bad"}, "reason": "abuse", "status": 429}],
                    routes=[{"name": "all", "match": {"path": ["/hidden", "/bad", "/none"], "methods": "GET"},
                             "upstream": "app"}])
    weir.get("/hidden")
    r = weir.get("/hidden")
    equal(set(r.json()), {"type", "title", "status", "request_id"})
    assert "retry-after" not in _names(r) and "burst" not in str(r.fields), r
    equal(weir.get("/bad").json()["type"], PROBLEMS + "abnormal-usage-detected")
    r = weir.get("/nowhere")
    equal((r.status, r.json()["type"], r.json()["title"], r.json()["status"]), (404, "about:blank", "Not Found", 404))
    r = weir.fetch("HEAD", "/nowhere")
    equal((r.status, r.header("Content-Type"), r.body), (404, "application/problem+json", b""))


def a_page_of_another_origin_can_read_a_denial_and_what_its_fields_say(t):
    weir, u = _weir(t, {"cors": "mirror", "headers": ["retry-after", "ratelimit"]},
                    exempt=[{"match": {"methods": "OPTIONS"}, "reason": "cors-preflight"}],
                    rules=[{**RULE, "limit": "1/minute"}])
    origin = {"Origin": "https://app.example"}
    allowed = weir.get("/", origin)
    equal([n for n in _names(allowed) if n.startswith("access-control") or n == "vary"], [])   # the upstream's
    r = weir.get("/", origin)
    equal((r.status, r.header("Access-Control-Allow-Origin"), r.header("Vary")), (429, "https://app.example", "Origin"))
    exposed = {n.strip().lower() for n in r.header("Access-Control-Expose-Headers").split(",")}
    equal(exposed, {"x-request-id", "retry-after", "ratelimit", "ratelimit-policy"})
    assert exposed <= _names(r)
    plain = weir.get()
    equal((plain.header("Vary"), [n for n in _names(plain) if n.startswith("access-control")]), ("Origin", []))
    twice = weir.get("/", [("Origin", "https://a"), ("Origin", "https://b")])
    equal((twice.status, twice.header("Access-Control-Allow-Origin")), (429, None))
    for _ in range(3):
        equal(weir.fetch("OPTIONS", "/", origin).status, 200)    # a preflight is never counted
    equal(len(u.requests), 4)


def an_upstream_that_limits_too_is_never_made_more_permissive(t):
    def script(x):
        fields = [(k, v) for k, v in json.loads(x.request.header("X-Says"))]
        x.respond(200, b"ok", fields)

    weir, _ = _weir(t, {"headers": ["ratelimit", "x-ratelimit"]}, script=script,
                    rules=[{**RULE, "limit": "100/minute", "key": ["header:X-Case"], "missing": "skip"}])

    def ask(*says):
        ask.case += 1
        return weir.get("/", {"X-Says": json.dumps(says), "X-Case": str(ask.case)})

    ask.case = 0
    r = ask(("RateLimit", '"daily";r=7;t=9'), ("RateLimit-Policy", '"daily";q=10;w=86400'))
    equal(parse_list(r.header("RateLimit")), [("daily", {"r": 7, "t": 9}), ("burst", {"r": 99, "t": 1})])
    equal(parse_list(r.header("RateLimit-Policy")), [("daily", {"q": 10, "w": 86400}), ("burst", {"q": 100, "w": 60})])
    r = ask(("RateLimit", '"burst";r=500;t=60'))
    equal(parse_list(r.header("RateLimit")), [("burst", {"r": 99, "t": 60})])
    r = ask(("RateLimit", '"burst";r=5'))
    equal(parse_list(r.header("RateLimit")), [("burst", {"r": 5, "t": 1})])
    for text in ('"burst";r=', "limit=10, remaining=3, reset=1", "burst;r=5"):
        r = ask(("RateLimit", text))
        equal((r.header("RateLimit"), r.header("RateLimit-Policy")), (text, None))
    equal(ask(("X-RateLimit-Remaining", "3")).header("X-RateLimit-Remaining"), "3")
    r = ask(("X-RateLimit-Limit", "900"), ("X-RateLimit-Remaining", "800"))
    equal((r.header("X-RateLimit-Limit"), r.header("X-RateLimit-Remaining")), ("100", "99"))
    equal(ask(("Retry-After", "1")).header("Retry-After"), "1")


def the_parser_of_these_tests_is_strict(t):
    for bad in ('"a', '"a";', '"a";R=1', "a b", '"a",', "1.", "1.2345", "1234567890123456", ":a", '"\\x"', '"a";r=?2'):
        try:
            structured.parse_list(bad)
        except (structured.Malformed, ValueError):
            continue
        raise AssertionError(f"{bad!r} was accepted")
    equal(structured.parse_list('"a\\"";r=1;x;y=?0, tok;z=:aGk=:,\t-2.5'),
          [('a"', {"r": 1, "x": True, "y": False}), ("tok", {"z": b"hi"}), (-2.5, {})])
