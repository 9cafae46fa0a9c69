# SPDX-License-Identifier: Apache-2.0
"""`weir explain` says what the running proxy then does: status, decision, rule, what remains, how long to wait, and
the fields of the response, by seeded policies and requests."""

import json
import pathlib
import random
import re
import subprocess
import time

from support.check import equal

ROUTES = [
    {"name": "search", "match": {"methods": ["GET"], "path": "/search"}, "upstream": "app"},
    {"name": "item", "match": {"path": "/items/{id}"}, "upstream": "app", "require_user": True},
    {"name": "root", "match": {"path": "/"}, "upstream": "app"},
]
LISTS = {
    "block": [{"match": {"client_ip": ["192.0.2.0/30"]}, "reason": "abuse", "status": 451}],
    "exempt": [{"match": {"path": "/search", "query": {"probe": "1"}}, "reason": "probes"}],
}
MATCHES = ({}, {}, {"route": "search"}, {"methods": ["GET"]}, {"not": {"tier": "pro"}})
KEYS = (["client_ip"], ["user"], ["user", "route"], ["query:q"], ["tier", "client_ip"], ["constant:all"])
METHODS = ("GET",) * 6 + ("POST", "HEAD", "OPTIONS", "DELETE")
TARGETS = ("/", "/search?q=a", "/search?q=b&probe=1", "/items/1", "/items/./2", "/none", "/a%2fb", "/search?q=a&q=b")
CLIENTS = ("192.0.2.1", "192.0.2.77", "198.51.100.4, 127.0.0.9", "unknown", "203.0.113.5")
ALGORITHMS = ("token_bucket", "fixed_window", "calendar", "sliding_window_counter", "sliding_window_log")
EMITTERS = (["retry-after", "ratelimit"], ["retry-after", "ratelimit-07", "x-ratelimit"], ["ratelimit-06"],
            ["x-ratelimit-envoy", "retry-after"], [])
WAIT_TOLERANCE_S = 0.5     # between the moment a request is sent, which explain is told, and its decision


def _policy(url, rules, **more):
    return {"version": 1, "identity": {"user": [{"header": "X-Key"}], "tier": [{"header": "X-Tier"}, {"constant": "free"}]},
            "client_ip": {"trusted_proxies": ["127.0.0.0/8"]}, "upstreams": {"app": {"url": url}}, "routes": ROUTES,
            "rules": rules, "workers": 1, **LISTS, **more}


def _quota(rng):
    """One unit takes longer than a test: time passes between the two answers, and must not give units back."""
    algorithm = rng.choice(ALGORITHMS)
    if algorithm == "calendar":
        period = rng.choice(("day", "month"))
        return {"algorithm": "fixed_window", "limit": f"{rng.randint(2, 20)}/{period}",
                "timezone": rng.choice(("UTC", "+05:30", "Europe/Berlin"))}
    quota = {"algorithm": algorithm, "limit": f"{rng.randint(2, 12)}/{rng.choice(('hour', 'day', '5h'))}"}
    if algorithm == "token_bucket" and rng.random() < 0.5:
        quota["burst"] = rng.randint(2, 25)
    return quota


def _charging(rng):
    """What a request costs; at most one way of it."""
    return rng.choice((
        {}, {"cost": rng.randint(0, 2)}, {"cost": {"default": rng.randint(0, 1), "search": 2}},
        {"cost_from": {"header": "X-Cost", "min": 1, "max": 2}}, {"count": {"status": [401, "5xx"]}},
        {"response_cost": {"reserve": 1, "actual": {"header": "X-Units"}, "max": 2}}))


def _for_some(rng):
    """Other limits for some keys, or none."""
    some = {}
    if rng.random() < 0.3:
        some["tiers"] = {"pro": rng.choice(("9/day", {"limit": "30/day"}, "unlimited"))}
    if rng.random() < 0.3:
        some["overrides"] = [
            {"user": "ann", "limit": "2/day", "until": "2020-01-01T00:00:00Z", "reason": "it has ended"},
            {"user": "bob", "limit": rng.choice(("3/day", "unlimited")), "until": "2999-01-01T00:00:00Z", "reason": "test"}]
    return some


def _rule(rng, i, charging):
    missing = rng.choice(({"missing": "skip"}, {"missing": "skip"}, {"missing": "deny"},
                          {"missing": "fallback", "fallback": ["client_ip"]}))
    mode = rng.choice(({}, {}, {}, {"mode": "shadow"}, {"mode": "disabled"}, {"enforce_percent": 50}))
    rule = {"name": f"r{i}", "match": rng.choice(MATCHES), "key": rng.choice(KEYS),
            "headers": rng.choice(("visible", "visible", "visible", "retry_after", "hidden")),
            **missing, **mode, **_quota(rng), **charging(rng), **_for_some(rng)}
    if rng.random() < 0.2:
        rule["status"] = rng.choice((420, 503))
    if rng.random() < 0.1:
        rule["penalty"] = "2h"
    return rule


def _answers(rng):
    """How denials are told."""
    deny = {"headers": rng.choice(EMITTERS), "headers_on": rng.choice(("all", "all", "denied")),
            "body": rng.choice(("envelope", "problem+json", "accept")), "cors": rng.choice(("none", "mirror")),
            "reset": rng.choice(("delta", "epoch")), "partition_key": rng.choice(("none", "hash"))}
    more = {"deny": deny}
    if rng.random() < 0.3:
        more["http"] = {"methods": ["GET", "POST", "HEAD", "OPTIONS"]}
    if rng.random() < 0.5:
        more["concurrency"] = [{"name": "in-flight", "key": ["client_ip"], "max": rng.randint(1, 5), "status": 429}]
    return more


def _request(rng):
    headers = {"Host": "a.example", "X-Forwarded-For": rng.choice(CLIENTS)}
    for name, chance, values in (("X-Key", 0.7, ("ann", "bob")), ("X-Tier", 0.3, ("pro", "free")),
                                 ("X-Cost", 0.5, ("1", "2", "7", "many")), ("Origin", 0.3, ("https://app.example",)),
                                 ("Accept", 0.3, ("application/problem+json", "*/*")), ("X-Request-ID", 0.2, ("mine",)),
                                 ("Max-Forwards", 0.2, ("0",))):
        if rng.random() < chance:
            headers[name] = rng.choice(values)
    response = {"status": rng.choice((200, 200, 401, 500)), "headers": {"X-Units": rng.choice(("0", "1", "2", "9"))}}
    headers["X-Answer"] = f"{response['status']} {response['headers']['X-Units']}"
    return {"method": rng.choice(METHODS), "url": rng.choice(TARGETS), "headers": headers, "response": response}


def _as_asked(exchange):
    status, units = exchange.request.header("X-Answer").split()
    exchange.respond(int(status), fields=[("X-Units", units)])


def _weir(t, *arguments, stdin=""):
    result = subprocess.run([t.build.path, *arguments], input=stdin, capture_output=True, text=True, timeout=60)
    return result.returncode, result.stdout, result.stderr


def _write(t, policy):
    path = pathlib.Path(t.folder("policy"), "weir.json")
    path.write_text(json.dumps(policy))
    return str(path)


def _explained(t, policy, requests):
    lines = "".join(json.dumps(r) + "\n" for r in requests)
    code, told, complaints = _weir(t, "explain", _write(t, policy), "--requests", "-", stdin=lines)
    equal((code, complaints), (0, ""))
    return [json.loads(line) for line in told.splitlines()]


def _at(weir, request):
    """Sends it, and notes in it when."""
    request["at_us"] = time.time_ns() // 1000
    return weir.fetch(request["method"], request["url"], list(request["headers"].items()), host=None)


SECONDS = re.compile(r"(?<=[;]t=)\d+|(?<=reset=)\d+|(?<=^Retry-After: )\d+|(?<=-Reset: )\d+", re.MULTILINE)


def _same_fields(said, answer, forwarded, where):
    """The lines that explain shows are those that came, in their order; a number of seconds may be one less or more,
    since the decision came a moment after the instant that explain was told. Not compared: Date, the random id, and in
    what is relayed the fields that are the upstream's or are there in any case."""
    free = {"date"} | ({"via", "content-length", "x-units", "x-request-id"} if forwarded else set())
    lines = [f"{n}: {v}" for n, v in answer.fields if n.lower() not in free]
    told = [line for line in said.split("\r\n") if line and line.split(":")[0].lower() not in free]
    if "X-Request-ID: mine" not in told:
        lines, told = ([line for line in some if not line.startswith("X-Request-ID: ")] for some in (lines, told))
    equal(SECONDS.sub("s", "\n".join(told)), SECONDS.sub("s", "\n".join(lines)), where)
    for a, b in zip(SECONDS.findall("\n".join(told)), SECONDS.findall("\n".join(lines))):
        assert abs(int(a) - int(b)) <= 1, (where, told, lines)


def _same(t, said, answer, record, by_redis, where):
    forwarded = said["status"] == 0
    equal(said["decision"], record["decision"], where)
    if not forwarded:
        equal(said["status"], answer.status, where)
    if not (by_redis and said["decision"] == "deny"):
        _same_fields(said["fields"], answer, forwarded, where)
    if said["decision"] == "rejected":
        return
    equal((said["route"], said["rule"]), (record["route"], record.get("rule")), where)
    if said["remaining"] >= 0:
        equal(said["remaining"], record.get("remaining"), where)
    if said["decision"] == "deny" and said["retry_after_us"] >= 0:
        live_s = record.get("retry_after_ms", 0) / 1000
        assert abs(said["retry_after_us"] / 1e6 - live_s) <= WAIT_TOLERANCE_S * t.slack, (where, said, record)


def _agree(t, seed, count, charging=_charging, **more):
    rng = random.Random(seed)
    secret = pathlib.Path(t.folder("secret"), "hash.key")
    secret.write_text("0123456789abcdef0123456789abcdef")
    policy = _policy(t.upstream(_as_asked).url, [_rule(rng, i, charging) for i in range(rng.randint(1, 4))],
                     hash_key_file=str(secret), **_answers(rng), **more)
    requests = [_request(rng) for _ in range(count)]
    weir = t.weir(policy)
    answers = [_at(weir, r) for r in requests]
    records = weir.records(count)
    for i, said in enumerate(_explained(t, policy, requests)):
        _same(t, said, answers[i], records[i], "store" in policy, f"seed {seed}, request {i}: {requests[i]}\n{json.dumps(policy)}")
    weir.stop()
    return {(r["decision"], r.get("reason", "")) for r in records}


def _agree_all(t, seeds, count, **more):
    seen = set()
    for seed in seeds:
        seen |= _agree(t, seed, count, **more)
    return seen


def what_is_explained_is_what_is_decided(t):
    seen = _agree_all(t, range(100) if t.thorough else range(10), 100)
    for decision in ("allow", "deny", "shadow_deny", "exempt", "blocked", "rejected"):
        assert any(decision == d for d, _ in seen), (decision, seen)
    t.note(f"{len(seen)} kinds of outcome")


def _unit_costs(rng):
    return rng.choice(({}, {"cost": 0}))


def what_is_explained_is_what_redis_decides(t):
    """A denial that is certain is answered without asking Redis. It is exact where each request costs a unit or none
    and nothing is given back; and what it tells of the other rules is not compared."""
    redis = t.redis()
    for seed in range(1000, 1030 if t.thorough else 1003):
        _agree(t, seed, 100, _unit_costs, store={"url": redis.url, "key_prefix": f"s{seed}:", "pool": {"command_timeout": "10s"}})


def explain_names_each_rule_and_why_it_does_not_count(t):
    policy = _policy("http://127.0.0.1:3000", [
        {"name": "per-ip", "key": ["client_ip"], "limit": "2/day"},
        {"name": "searches", "match": {"route": "search"}, "key": ["user"], "missing": "skip", "limit": "5/day"}])
    first, second = _explained(t, policy, [{"url": "/search?q=a"}, {"url": "/", "user": "ann"}])
    equal((first["decision"], first["route"], first["rule"], first["remaining"]), ("allow", "search", "per-ip", 1))
    equal([rule["fate"] for rule in first["rules"]], ["counted", "skipped"])
    assert "user" in first["rules"][1]["why"], first
    equal((second["rules"][1]["fate"], second["rules"][1]["why"]), ("unmatched", "the route is root, not search"))


def memory_cannot_be_looked_at_from_outside_and_redis_is_only_looked_at(t):
    rules = [{"name": "r", "key": ["client_ip"], "limit": "5/day"}]
    code, told, complaint = _weir(t, "explain", _write(t, _policy("http://127.0.0.1:3000", rules)), "GET", "/", "--live")
    equal((code, told), (69, ""))
    assert "memory://" in complaint and "help:" in complaint, complaint
    redis = t.redis()
    policy = _policy(t.upstream().url, rules, store={"url": redis.url})
    weir = t.weir(policy)
    equal([weir.get("/").status for _ in range(3)], [200] * 3)
    for _ in range(2):
        code, told, _ = _weir(t, "explain", _write(t, policy), "GET", "/", "--live", "--format", "json")
        equal(code, 0)
        equal(json.loads(told)["rules"][0]["remaining"], 2)
    redis.stop()
    equal(_weir(t, "explain", _write(t, policy), "GET", "/", "--live")[0], 69)
