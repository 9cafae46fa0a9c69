# SPDX-License-Identifier: Apache-2.0
"""`weir explain` says what the running proxy then does: status, rule, route and what remains, by seeded requests."""

import json
import pathlib
import random
import subprocess

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
MATCHES = ({}, {"route": "search"}, {"methods": ["GET"]}, {"not": {"tier": "pro"}})
KEYS = (["client_ip"], ["user"], ["user", "route"], ["query:q"], ["tier", "client_ip"])
TARGETS = ("/", "/search?q=a", "/search?q=b&probe=1", "/items/1", "/items/./2", "/none", "/a%2fb", "/search?q=a&q=b")
CLIENTS = ("192.0.2.1", "192.0.2.77", "198.51.100.4, 127.0.0.9", "unknown", "203.0.113.5")


def _policy(url, rules, **more):
    return {"version": 1, "identity": {"user": [{"header": "X-Key"}], "tier": [{"header": "X-Tier"}, {"constant": "free"}]},
            "client_ip": {"trusted_proxies": ["127.0.0.0/8"]}, "upstreams": {"app": {"url": url}}, "routes": ROUTES,
            "rules": rules, "workers": 1, **LISTS, **more}


def _rules(rng):
    return [{"name": f"r{i}", "match": rng.choice(MATCHES), "key": rng.choice(KEYS), "missing": rng.choice(("skip", "deny")),
             "limit": f"{rng.randint(2, 20)}/day", "algorithm": rng.choice(("token_bucket", "sliding_window_log")),
             "cost": {"default": rng.randint(0, 1), "search": rng.randint(1, 2)}} for i in range(rng.randint(1, 4))]


def _request(rng):
    headers = {"X-Forwarded-For": rng.choice(CLIENTS)}
    if rng.random() < 0.7:
        headers["X-Key"] = rng.choice(("ann", "bob"))
    if rng.random() < 0.3:
        headers["X-Tier"] = rng.choice(("pro", "free"))
    return {"method": "GET", "url": rng.choice(TARGETS), "headers": headers}


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


def _agree(t, seed, count, **more):
    rng = random.Random(seed)
    policy = _policy(t.upstream().url, _rules(rng), **more)
    requests = [_request(rng) for _ in range(count)]
    told = _explained(t, policy, requests)
    weir = t.weir(policy)
    answers = [weir.get(r["url"], list(r["headers"].items())) for r in requests]
    for i, (said, answer, record) in enumerate(zip(told, answers, weir.records(count))):
        where = f"seed {seed}, request {i}: {requests[i]}"
        equal((said["status"] or 200, said["decision"]), (answer.status, record["decision"]), where)
        if said["decision"] == "rejected":
            continue
        equal((said["route"], said["rule"]), (record["route"], record.get("rule")), where)
        if said["remaining"] >= 0:
            equal(said["remaining"], record.get("remaining"), where)


def what_is_explained_is_what_is_decided(t):
    for seed in range(100 if t.thorough else 6):
        _agree(t, seed, 100 if t.thorough else 200)


def what_is_explained_is_what_redis_decides(t):
    _agree(t, 1000, 200, store={"url": t.redis().url})


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
