# SPDX-License-Identifier: Apache-2.0
"""Decisions as a client and a Redis see them: fields, all-or-nothing, exact totals over several processes."""

import os
import re
import time

from support import client
from support.check import envelope, equal
from support.context import Skip
from support.load import Load

TRUST = {"client_ip": {"trusted_proxies": ["127.0.0.0/8"]}}
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


def _weir(t, rules, script=None, **policy):
    u = t.upstream(script)
    return t.weir({"upstreams": {"app": {"url": u.url}}, "rules": rules, **policy}), u


def _store(redis):
    """A Redis whose answers are waited for: a busy machine must not turn an exact test into one of the failure mode."""
    return {"url": redis.url, "failure_mode": "deny", "pool": {"command_timeout": "10s"}}


def _item(field, name):
    """Parameters of one item of a RateLimit or RateLimit-Policy field, as numbers."""
    for item in field.split(","):
        match = re.fullmatch(r'\s*"([^"]*)"((?:;[a-z]+=[^;,]+)*)', item)
        assert match, f"not a structured field: {field!r}"
        if match[1] == name:
            return {k: int(v) for k, v in (p.split("=") for p in match[2].strip(";").split(";"))}
    raise AssertionError(f"{name} is not in {field!r}")


def a_denial_carries_exact_fields_and_the_envelope(t):
    weir, u = _weir(t, [{"name": "per-ip", "key": ["client_ip"], "limit": "3/minute"}],
                    deny={"headers": ["retry-after", "ratelimit", "x-ratelimit"]})
    begin = time.monotonic()
    for left in (2, 1, 0):
        r = weir.get()
        equal(r.status, 200)
        equal(r.header("RateLimit-Policy"), '"per-ip";q=3;w=60')
        state = _item(r.header("RateLimit"), "per-ip")
        spent = time.monotonic() - begin
        equal(state["r"], left)
        full = (3 - left) * 20
        assert full - spent - 1 <= state["t"] <= full, (state, spent)
        equal(r.header("X-RateLimit-Limit"), "3")
        equal(r.header("X-RateLimit-Remaining"), str(left))
        equal(r.header("X-RateLimit-Reset"), str(state["t"]))
        assert "Retry-After" not in r.fields
    r = weir.get("/x", {"X-Request-ID": "my-id.1"})
    spent = time.monotonic() - begin
    details = envelope(r, 429, close=False)
    wait = int(r.header("Retry-After"))
    assert 20 - spent <= wait <= 20, (wait, spent)
    equal(r.header("RateLimit-Policy"), '"per-ip";q=3;w=60')
    equal(_item(r.header("RateLimit"), "per-ip"), {"r": 0, "t": wait})
    equal([r.header(f"X-RateLimit-{n}") for n in ("Limit", "Remaining", "Reset")], ["3", "0", str(wait)])
    equal(details, {"rule": "per-ip", "limit": 3, "remaining": 0, "retry_after": wait, "request_id": "my-id.1"})
    equal(len(u.requests), 3)
    record = weir.record("my-id.1")
    equal((record["status"], record["decision"], record["rule"], record["remaining"], record["limit"]),
          (429, "deny", "per-ip", 0, 3))
    assert (wait - 1) * 1000 <= record["retry_after_ms"] <= wait * 1000, record
    equal(record.get("attempts", 0), 0)


def a_head_request_is_denied_with_the_same_head_and_no_body(t):
    weir, _ = _weir(t, [{"name": "one", "key": ["client_ip"], "limit": "1/day"}])
    with weir.connect() as c:
        equal(c.request("HEAD").status, 200)
        r = c.request("HEAD")
        equal((r.status, r.header("Content-Type"), r.body), (429, "application/json", b""))
        assert int(r.header("Content-Length")) > 50
        equal(c.request("HEAD").status, 429)   # the connection is kept


def the_triple_is_sent_only_where_it_is_listed(t):
    weir, _ = _weir(t, [{"name": "one", "key": ["client_ip"], "limit": "1/day"}])
    for _ in range(2):
        r = weir.get()
        assert "X-RateLimit-Limit" not in r.fields and "RateLimit" in r.fields, r
    weir.reload({"upstreams": {"app": {"url": "http://127.0.0.1:1"}}, "deny": {"headers": ["x-ratelimit"]},
                 "rules": [{"name": "one", "key": ["client_ip"], "limit": "1/day"}]})
    r = weir.get()
    assert "X-RateLimit-Limit" in r.fields and "RateLimit" not in r.fields and "Retry-After" not in r.fields, r


def a_client_that_waits_retry_after_is_admitted(t):
    weir, _ = _weir(t, [{"name": "per-ip", "key": ["client_ip"], "limit": "2/2s"}])
    for _ in range(3):
        statuses = [weir.get().status for _ in range(2)]
        r = weir.get()
        if r.status != 429:
            continue  # a busy machine: the bucket had refilled
        time.sleep(int(r.header("Retry-After")))
        equal(weir.get().status, 200, f"after {statuses}")
        time.sleep(2)


def a_sliding_window_log_admits_exactly_its_limit(t):
    for store in ({}, _store(t.redis())):
        rule = {"name": "log", "key": ["client_ip"], "limit": "50/hour", "algorithm": "sliding_window_log"}
        weir, _ = _weir(t, [rule], store=store)
        load = Load(weir.port, total=200, connections=16).start().join()
        equal(load.counts(), {200: 50, 429: 150})
        r = weir.get()
        assert 3500 <= int(r.header("Retry-After")) <= 3600
        equal(r.header("RateLimit-Policy"), '"log";q=50;w=3600')


def costs_are_charged_by_route(t):
    weir, _ = _weir(t, [{"name": "points", "key": ["client_ip"], "limit": "10/day", "cost": {"default": 1, "dear": 4}}],
                    workers=1, routes=[{"name": "dear", "match": {"path": "/dear"}, "upstream": "app"},
                            {"name": "rest", "match": {"path": "/**"}, "upstream": "app"}])
    left = [_item(weir.get(p).header("RateLimit"), "points")["r"] for p in ("/", "/dear", "/dear", "/dear", "/")]
    equal(left, [9, 5, 1, 1, 0])
    equal([r["status"] for r in weir.records(5)], [200, 200, 200, 429, 200])


THREE = [{"name": "per-ip", "key": ["client_ip"], "limit": "1000/day"},
         {"name": "per-team", "key": ["header:X-Team"], "missing": "skip", "limit": "500/day"},
         {"name": "everyone", "key": ["constant:all"], "limit": "3/day"}]


def a_denied_request_leaves_all_rules_untouched_and_costs_one_call(t):
    redis = t.redis()
    for algorithm in ("token_bucket", "sliding_window_log"):
        redis.call("FLUSHALL")
        weir, u = _weir(t, [{**rule, "algorithm": algorithm} for rule in THREE], store=_store(redis),
                        workers=1)
        for _ in range(3):
            equal(weir.get("/", {"X-Team": "red"}).status, 200)
        before = redis.snapshot()
        assert before, "no state in Redis"
        other, _ = _weir(t, [{**rule, "algorithm": algorithm} for rule in THREE], store=_store(redis),
                        workers=1)
        monitor = redis.monitor()
        # A process that knows nothing asks once, then it remembers. The one that saw the last unit of a bucket go
        # knows, too; of a log only a denial is remembered.
        for asked in (other, other, weir):
            r = asked.get("/", {"X-Team": "red"})
            envelope(r, 429)
            assert r.error["details"]["rule"] == "everyone"
            equal(redis.snapshot(), before, f"state after a denial by {algorithm}")
        monitor.stop()
        equal(len(monitor.commands("evalsha")), 1 if algorithm == "token_bucket" else 2, "EVALSHA calls")
        equal(len(monitor.commands("eval")), 0, "EVAL calls")
        assert all(expiry > 0 for _, expiry in before.values()), "a key without expiry"
        equal(len(u.requests), 3)


def a_denial_from_memory_tells_nothing_of_a_rule_that_was_not_asked(t):
    redis = t.redis()
    rules = [{"name": "per-team", "key": ["header:X-Team"], "missing": "skip", "limit": "500/day"},
             {"name": "everyone", "key": ["constant:all"], "limit": "1/day"}]
    weir, _ = _weir(t, rules, store=_store(redis), workers=1,
                    deny={"headers": ["retry-after", "ratelimit", "x-ratelimit"]})
    equal(weir.get("/", {"X-Team": "red"}).status, 200)
    monitor = redis.monitor()
    for team, known in (("blue", None), ("red", 499)):
        r = weir.get("/", {"X-Team": team})
        details = envelope(r, 429)
        equal((details["rule"], details["remaining"]), ("everyone", 0))
        equal(_item(r.header("RateLimit"), "everyone")["r"], 0)
        equal(r.header("X-RateLimit-Remaining"), "0")
        if known is None:
            assert "per-team" not in r.header("RateLimit") + r.header("RateLimit-Policy"), r.fields
        else:
            equal(_item(r.header("RateLimit"), "per-team")["r"], known)
    monitor.stop()
    equal(len(monitor.commands("evalsha")), 0, "EVALSHA calls")
    for line in weir.records(3)[1:]:
        equal((line["decision"], line["rule"], line["remaining"]), ("deny", "everyone", 0))


def an_allowed_request_of_three_rules_is_one_call_too(t):
    redis = t.redis()
    weir, _ = _weir(t, [{**rule, "limit": "900/day"} for rule in THREE], store=_store(redis))
    weir.get("/", {"X-Team": "red"})
    monitor = redis.monitor()
    for _ in range(20):
        equal(weir.get("/", {"X-Team": "red"}).status, 200)
    monitor.stop()
    equal(len(monitor.commands("evalsha")), 20)
    r = weir.get("/", {"X-Team": "red"})
    for rule in THREE:
        equal(_item(r.header("RateLimit"), rule["name"])["r"], 900 - 22)


def raw_identities_never_reach_redis(t):
    redis = t.redis()
    weir, _ = _weir(t, THREE, store={"url": redis.url}, **TRUST)
    weir.get("/", {"X-Team": "secret-team", "X-Forwarded-For": "203.0.113.77"})
    for key in redis.call("KEYS", "*"):
        assert key.startswith(b"rl:") and len(key) <= 128, key
        assert b"secret-team" not in key and b"203.0.113" not in key, key


def _two_processes(t, redis, env=None, build=None):
    """Two weirs on one Redis; the second gets `env`."""
    u = t.upstream()
    policy = {"upstreams": {"app": {"url": u.url}}, "store": _store(redis),
              "rules": [{"name": "per-ip", "key": ["client_ip"], "limit": "100/day"}], **TRUST}
    return [t.weir(policy, build=build), t.weir(policy, build=build, env=env)], u


def _rounds_of_exactly_100(t, weirs):
    for round_number in range(t.rounds):
        request = client.request_bytes(fields={"X-Forwarded-For": f"203.0.113.{round_number + 1}"})
        load = Load([w.port for w in weirs], total=384, connections=64, request=lambda i: request).start().join()
        equal(load.counts(), {200: 100, 429: 284}, f"round {round_number + 1}")
        by_port = {w.port: sum(s.port == w.port for s in load.samples) for w in weirs}
        assert min(by_port.values()) > 10, f"one process had all the load: {by_port}"
    t.note(f"{t.rounds} rounds")


def two_processes_on_one_redis_admit_exactly_100(t):
    weirs, u = _two_processes(t, t.redis())
    _rounds_of_exactly_100(t, weirs)
    equal(len(u.requests), 100 * t.rounds)


def two_processes_whose_clocks_are_5_s_apart_admit_exactly_100(t):
    if not os.path.exists(FAKETIME):
        raise Skip("faketime is not installed")
    if t.release is None:
        raise Skip("LD_PRELOAD does not work with sanitizers and no --weir-release was given")
    fake = {"LD_PRELOAD": FAKETIME, "FAKETIME": "+5s", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DISABLE_SHM": "1"}
    weirs, u = _two_processes(t, t.redis(), fake, t.release)
    _rounds_of_exactly_100(t, weirs)
    equal(len(u.requests), 100 * t.rounds)
    weirs[1].get("/", {"X-Request-ID": "late-clock"})
    stamp = weirs[1].record("late-clock")["ts"]
    assert stamp > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 3)), f"the clock is not ahead: {stamp}"


def a_restarted_weir_finds_its_counters_in_redis(t):
    redis = t.redis()
    for expected in ([200] * 3, [200] * 2 + [429]):
        weir, _ = _weir(t, [{"name": "per-ip", "key": ["client_ip"], "limit": "5/day"}], store=_store(redis))
        equal([weir.get().status for _ in range(3)], expected)
        equal(weir.terminate(), 0)


def a_redis_with_a_password_on_a_unix_socket_is_used(t):
    redis = t.redis()
    redis.call("CONFIG", "SET", "requirepass", "s3cr3t-pass")
    weir, _ = _weir(t, [{"name": "one", "key": ["client_ip"], "limit": "1/day"}],
                    store={**_store(redis), "url": f"redis://:s3cr3t-pass@127.0.0.1:{redis.port}/2"})
    equal([weir.get().status for _ in range(2)], [200, 429])
    assert "s3cr3t-pass" not in weir.stderr(), "the password is in the log"
    plain = t.redis()
    weir, _ = _weir(t, [{"name": "one", "key": ["client_ip"], "limit": "1/day"}],
                    store={**_store(plain), "url": f"unix:{plain.socket_path}"})
    equal([weir.get().status for _ in range(2)], [200, 429])
    equal(len(plain.snapshot()), 1)


def the_counters_of_the_rules_equal_what_clients_saw(t):
    weir, _ = _weir(t, [{"name": "per-ip", "key": ["client_ip"], "limit": "30/day"}])
    load = Load(weir.port, total=100, connections=8).start().join()
    equal(load.counts(), {200: 30, 429: 70})
    weir.records(100)
    m = weir.metrics()
    equal(m.sum("weir_decisions_total", rule="per-ip", decision="allow"), 30)
    equal(m.sum("weir_decisions_total", rule="per-ip", decision="deny"), 70)
