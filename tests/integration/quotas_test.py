# SPDX-License-Identifier: Apache-2.0
"""Who may use how much, and what a denial does: tiers, overrides, shadow, enforce_percent, penalty, status."""

import datetime
import os
import threading
import time

from support.check import equal
from support.weir import wait_until

PATIENT = {"command_timeout": "10s", "connect_timeout": "5s"}
USERS = {"user": [{"header": "X-User"}], "tier": [{"header": "X-Tier"}, {"constant": "free"}]}
TRUSTED = {"trusted_proxies": ["127.0.0.0/8"]}


def _policy(u, rules, redis=None, **policy):
    store = {"url": redis.url, "failure_mode": "deny", "pool": PATIENT} if redis else {"url": "memory://"}
    return {"upstreams": {"app": {"url": u.url}}, "workers": 1, "identity": USERS, "client_ip": TRUSTED, "store": store,
            "rules": rules, **policy}


def _rule(**more):
    """A window of a day: nothing comes back while a test runs."""
    return {"name": "r", "key": ["user"], "missing": "skip", "limit": "3/day", "algorithm": "fixed_window", **more}


def _ask(weir, user, times=1, tier=None, **fields):
    """The statuses of so many requests."""
    fields = [("X-User", user)] + ([("X-Tier", tier)] if tier else []) + list(fields.items())
    return [weir.get(fields=fields).status for _ in range(times)]


def _admitted(weir, user, times, tier=None):
    return _ask(weir, user, times, tier).count(200)


def _decisions(weir, rule="r"):
    m = weir.metrics()
    return {d: m.sum("weir_decisions_total", rule=rule, decision=d) for d in ("allow", "deny", "shadow_deny", "exempt")}


def _in_seconds(seconds):
    """That instant as RFC 3339, and when it is."""
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return when.isoformat(timespec="microseconds").replace("+00:00", "Z"), time.monotonic() + seconds


# ---- tiers and overrides -------------------------------------------------------------------------------------------

def an_override_stands_before_its_file_the_file_before_the_tier_the_tier_before_the_limit(t):
    u, redis = t.upstream(), t.redis()
    weir = t.weir(_policy(u, [_rule(
        tiers={"pro": "6/day", "internal": "unlimited"}, overrides_file="overrides.csv",
        overrides=[{"user": "both", "limit": "5/day", "until": "2020-01-01T00:00:00Z", "reason": "over"},
                   {"user": "first", "limit": "1/day", "reason": "abuse"}])], redis), start=False)
    with open(os.path.join(weir.directory, "overrides.csv"), "w", encoding="utf-8") as f:
        f.write("user,limit,until,reason\nboth,4/day,,contract\nfirst,9/day,,contract\nroot,unlimited,,\"us, all\"\n")
    weir.start()
    equal(_admitted(weir, "anyone", 8), 3, "limit")
    equal(_admitted(weir, "payer", 8, "pro"), 6, "tier")
    equal(_admitted(weir, "both", 8, "pro"), 4, "file, behind an override that has ended")
    equal(_admitted(weir, "first", 8, "pro"), 1, "override")
    equal(_admitted(weir, "root", 8, "pro"), 8, "unlimited by the file")
    equal(_admitted(weir, "staff", 8, "internal"), 8, "unlimited by the tier")
    equal(_decisions(weir), {"allow": 14, "deny": 18, "shadow_deny": 0, "exempt": 16}, "decisions")
    equal(weir.metrics().sum("weir_rule_info", rule="r", limit="3/day", mode="enforce"), 1)
    answer = weir.get(fields={"X-User": "payer", "X-Tier": "pro"})
    assert '"r";q=6;w=86400' in answer.header("RateLimit-Policy"), answer.header("RateLimit-Policy")
    equal(answer.json()["error"]["details"]["limit"], 6, "limit in the body")
    equal(weir.records(49)[-1]["limit"], 6, "limit in the log")
    assert "1 rule: 1 enforced, 0 shadow, 0 disabled" in weir.stderr(), weir.stderr()


def an_override_ends_while_weir_runs_and_its_bucket_goes_on(t):
    """Over Redis; what was used under the override counts under the limit behind it."""
    u, redis = t.upstream(), t.redis()
    until, when = _in_seconds(3 * t.slack)
    weir = t.weir(_policy(u, [_rule(limit="7/day", overrides=[
        {"user": "acme", "limit": "5/day", "until": until, "reason": "trial"},
        {"user": "acme", "limit": "6/day", "reason": "contract"}])], redis))
    equal(_admitted(weir, "acme", 8), 5, "before it ends")
    assert time.monotonic() < when, "the machine is too slow for this test"
    time.sleep(max(0.0, when - time.monotonic()) + 0.05)
    equal(_admitted(weir, "acme", 8), 1, "after it has ended: one more by the next override")
    equal(_admitted(weir, "other", 8), 7, "everybody else")


def a_file_of_overrides_is_read_again_and_refused_as_a_whole(t):
    u = t.upstream()
    weir = t.weir(_policy(u, [_rule(overrides_file="o.csv")]), start=False)
    path = os.path.join(weir.directory, "o.csv")

    def write(text):
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write("user,limit,reason\n" + text)
        os.replace(path + ".new", path)

    write("acme,4/day,x\n")
    weir.start()
    equal(_admitted(weir, "acme", 10), 4)
    write("acme,6/day,x\n")
    weir.reload()
    equal(_admitted(weir, "acme", 10), 2, "what was used stays used")
    write("acme,9/day\n")
    weir.reload()
    equal(weir.metrics().sum("weir_config_reloads_total", result="rejected"), 1)
    assert "line 2: 2 columns, but the first line names 3" in weir.stderr(), weir.stderr()
    equal(_admitted(weir, "acme", 10), 0, "the old file stays")


def tiers_of_concurrency_have_their_own_slots(t):
    """Requests are held until all have their answer or their slot."""
    let_go = threading.Event()

    def hold(x):
        x.read_body()
        let_go.wait(30)
        x.respond(200, b"done")

    u = t.upstream(hold)
    weir = t.weir(_policy(u, [], concurrency=[{"name": "c", "key": ["user"], "missing": "skip", "max": 1,
                                               "status": 429, "tiers": {"pro": 3, "internal": "unlimited"}}]))
    asked = [("a", None)] * 2 + [("b", "pro")] * 5 + [("c", "internal")] * 6
    answers = []
    threads = [threading.Thread(target=lambda w=who, r=tier: answers.append((w, *_ask(weir, w, 1, r))), daemon=True)
               for who, tier in asked]
    for thread in threads:
        thread.start()
    wait_until("who finds no slot is refused", lambda: len(answers) == 3)
    let_go.set()
    for thread in threads:
        thread.join()
    counts = {who: [a[1] for a in answers if a[0] == who].count(200) for who in "abc"}
    equal(counts, {"a": 1, "b": 3, "c": 6}, "requests at the same time")
    refused = next(r for r in weir.records(13) if r["status"] == 429 and r["limit"] == 3)
    equal(refused["rule"], "c")


# ---- modes ---------------------------------------------------------------------------------------------------------

def a_shadow_rule_denies_nobody_and_says_whom_it_would_have_denied(t):
    """Over Redis, beside an enforced rule. It is charged while it allows and the request is admitted: turned on, it
    goes on from there."""
    u, redis = t.upstream(), t.redis()
    rules = [_rule(name="watched", mode="shadow"), _rule(name="enforced", limit="5/day"),
             _rule(name="off", limit="1/day", mode="disabled")]
    weir = t.weir(_policy(u, rules, redis))
    equal(_ask(weir, "a", 7), [200] * 5 + [429] * 2)
    equal(_ask(weir, "b", 2), [200, 200])
    equal(_decisions(weir, "watched"), {"allow": 5, "deny": 0, "shadow_deny": 4, "exempt": 0}, "watched")
    equal(_decisions(weir, "enforced"), {"allow": 7, "deny": 2, "shadow_deny": 0, "exempt": 0}, "enforced")
    equal(_decisions(weir, "off"), {"allow": 0, "deny": 0, "shadow_deny": 0, "exempt": 0}, "off")
    records = weir.records(9)
    equal([r["decision"] for r in records], ["allow"] * 3 + ["shadow_deny"] * 2 + ["deny"] * 2 + ["allow"] * 2)
    equal([r.get("shadow") for r in records], [None] * 3 + [["watched"]] * 4 + [None] * 2)
    answer = weir.get(fields={"X-User": "c"})
    assert "watched" not in answer.header("RateLimit"), "clients do not see what is not enforced"
    assert "3 rules: 1 enforced, 1 shadow, 1 disabled" in weir.stderr(), weir.stderr()
    rules[0]["mode"] = "enforce"
    weir.reload(_policy(u, rules, redis))
    equal(_ask(weir, "b", 2), [200, 429], "b had used two of three")
    equal(_ask(weir, "c", 3), [200, 200, 429], "c had used one")


def two_processes_agree_whom_enforce_percent_picks_and_raising_it_only_adds(t):
    """Neither they nor their restarts share anything but the policy and Redis."""
    u, redis = t.upstream(), t.redis()
    keys = [f"user-{i}" for i in range(100)]

    def enforced(weir):
        return {k for k in keys if 429 in _ask(weir, k, 2)}

    picked = set()
    for number, percent in enumerate((10, 40, 70)):
        rule = _rule(limit="1/day", enforce_percent=percent)
        first, second = [t.weir(_policy(u, [rule], redis, store={
            "url": redis.url, "pool": PATIENT, "failure_mode": "deny", "key_prefix": f"{n}{number}:"})) for n in "ab"]
        mine, other = enforced(first), enforced(second)
        equal(mine, other, f"whom both enforce at {percent} %")
        assert picked <= mine, f"{picked - mine} were enforced below {percent} %"
        assert percent - 15 <= len(mine) <= percent + 15, f"{len(mine)} of 100 keys at {percent} %"
        picked = mine
        t.note(f"{percent} %: {len(mine)} of 100")


# ---- penalty and status --------------------------------------------------------------------------------------------

def a_penalty_blocks_from_the_first_denial_and_is_not_prolonged(t):
    """Over Redis with two processes: the second one knows of the block, a reload keeps it, and it ends when the first
    denial said."""
    u, redis = t.upstream(), t.redis()
    rule = {"name": "r", "key": ["user"], "missing": "skip", "limit": "5/second", "burst": 2, "penalty": "4s",
            "status": 403}
    policy = _policy(u, [rule], redis)
    first, second = t.weir(policy), t.weir(policy)
    for _ in range(20):     # until one comes too early: how many pass before depends on the machine
        answer = first.get(fields={"X-User": "a"})
        if answer.status != 200:
            break
    blocked = time.monotonic()
    equal((answer.status, answer.header("Retry-After")), (403, "4"), "the first denial")
    equal(answer.json()["error"]["details"]["remaining"], 0)
    time.sleep(1.2)         # the bucket is full again
    equal(_ask(second, "a", 2), [403, 403], "the other process")
    equal(_ask(second, "b", 2), [200, 200], "another key")
    first.reload(_policy(u, [{**rule, "limit": "6/second"}], redis))
    left = int(first.get(fields={"X-User": "a"}).header("Retry-After"))
    assert left <= 3, f"{left} s of 4 are left after 1.2"
    status = 403
    while status == 403 and time.monotonic() < blocked + 10:
        status = second.get(fields={"X-User": "a"}).status
        time.sleep(0.05)
    lasted = time.monotonic() - blocked
    equal(status, 200, "after the block")
    assert 3.7 <= lasted <= 4.0 + 0.6 * t.slack, f"the key was blocked for {lasted:.2f} s"
    t.note(f"4 s lasted {lasted:.2f} s")


def a_penalty_of_the_memory_store_survives_a_reload(t):
    u = t.upstream()
    rule = _rule(limit="1/second", algorithm="token_bucket", penalty="1h")
    weir = t.weir(_policy(u, [rule]))
    equal(_ask(weir, "a", 2), [200, 429])
    weir.reload(_policy(u, [{**rule, "limit": "100/second", "status": 599}]))
    time.sleep(0.1)
    answer = weir.get(fields={"X-User": "a"})
    equal(answer.status, 599)
    assert 3590 <= int(answer.header("Retry-After")) <= 3600, answer.header("Retry-After")


def denials_of_a_blocked_key_write_nothing(t):
    """The first denial writes, no other does."""
    u, redis = t.upstream(), t.redis()
    weir = t.weir(_policy(u, [_rule(penalty="1h")], redis))

    equal(_ask(weir, "a", 3), [200] * 3)
    unpunished = redis.snapshot()
    equal(_ask(weir, "a"), [429])
    blocked = redis.snapshot()
    assert blocked != unpunished, "the block is stored"
    other = t.weir(_policy(u, [_rule(penalty="1h")], redis))    # it remembers no denial: it asks
    equal(set(_ask(other, "a", 1) + _ask(weir, "a", 50) + _ask(other, "a", 50)), {429})
    equal(redis.snapshot(), blocked, "the state")


def a_cluster_decides_shadow_rules_and_penalties_as_the_memory_store_does(t):
    """The rules of one request lie on different nodes."""
    u, cluster = t.upstream(), t.redis_cluster(replicas=0)
    rules = [_rule(name="watched", mode="shadow", limit="2/day"), _rule(name="enforced", limit="4/day"),
             _rule(name="banning", limit="9/day", penalty="1h", key=["user", "tier"]),
             {"name": "all", "key": ["constant:all"], "limit": "40/day", "algorithm": "fixed_window", "mode": "shadow"}]
    told = {}
    for store in ({"url": "memory://"}, {"topology": "cluster", "nodes": cluster.addresses, "failure_mode": "deny",
                                         "pool": PATIENT, "url": "redis://in-nodes"}):
        weir = t.weir({**_policy(u, rules), "store": store})
        statuses = [_ask(weir, f"user-{i}", 6, tier=("pro", "free")[i % 2]) for i in range(12)]
        told[store["url"]] = statuses, [_decisions(weir, rule["name"]) for rule in rules]
        equal(statuses, [[200] * 4 + [429] * 2] * 12, store["url"])
        weir.terminate()
    equal(told["redis://in-nodes"], told["memory://"])
    equal(told["redis://in-nodes"][1][0]["shadow_deny"], 12 * 4)


def a_penalty_on_a_cluster_is_known_to_every_process(t):
    u, cluster = t.upstream(), t.redis_cluster(replicas=0)
    policy = {**_policy(u, [_rule(limit="2/minute", algorithm="token_bucket", penalty="1h")]),
              "store": {"url": "redis://in-nodes", "topology": "cluster", "nodes": cluster.addresses, "failure_mode": "deny", "pool": PATIENT}}
    first, second = t.weir(policy), t.weir(policy)
    for i in range(8):
        equal(_ask(first, f"user-{i}", 3), [200, 200, 429])
    for i in range(8):
        answer = second.get(fields={"X-User": f"user-{i}"})
        equal(answer.status, 429)
        assert 3500 < int(answer.header("Retry-After")) <= 3600, answer
    equal(_ask(second, "another"), [200])
