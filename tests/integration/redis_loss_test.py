# SPDX-License-Identifier: Apache-2.0
"""Redis loses data, replies or itself: what may still be admitted, and that nothing is charged twice (T6, T10, T12)."""

import random
import time

from support import client
from support import fault_relay as play
from support.bounds import accepts, algorithms, surely_inside
from support.check import equal
from support.context import Skip
from support.fault_relay import subject_key
from support.load import Load
from support.upstream import PATIENCE
from support.weir import wait_until


def _policy(u, url, rules, mode, timeout="2s", **store):
    return {"upstreams": {"app": {"url": u.url, "timeout": PATIENCE}}, "rules": rules, "workers": 1,
            "store": {"url": url, "failure_mode": mode,
                      "pool": {"command_timeout": timeout, "connect_timeout": "1s"}, **store}}


def _rule(algorithm, limit, **more):
    return {"name": algorithm.replace("_", "-"), "match": {"path": f"/{algorithm}"}, "key": ["header:X-Id"],
            "missing": "skip", "algorithm": algorithm, "limit": limit, **more}


def _ask(algorithm, identity):
    return client.request_bytes(target=f"/{algorithm}", fields={"X-Id": identity})


def restarts_and_a_flush_cost_one_burst_each(t):
    """T6: admitted <= (1 + restarts) B + rate T; under `deny` nothing is admitted by anybody but Redis."""
    u, names = t.upstream(), algorithms(t)
    for name in names:
        redis = t.redis()
        weirs = [t.weir(_policy(u, redis.url, [_rule(name, "20/second")], "deny")) for _ in range(2)]
        load = Load([w.port for w in weirs], rate=120, connections=12, request=lambda i, n=name: _ask(n, "k")).start()
        for loss in ("kill", "flush", "kill"):
            time.sleep(1.0)
            if loss == "flush":
                redis.call("FLUSHALL")
            else:
                redis.kill()
                time.sleep(0.2)
                redis.start()
        for weir in weirs:
            wait_until("Redis is used again", lambda w=weir: w.metrics().sum("weir_store_up") == 1, 10)
        time.sleep(1.0)
        load.stop()
        counts = load.counts()
        assert set(counts) <= {200, 429, 503}, counts
        # a fixed window admits twice its limit around an edge, a counter nearly so
        burst = 20 if name in ("token_bucket", "sliding_window_log") else 40
        assert counts[200] <= (1 + 3) * burst + 20 * load.elapsed, f"{name}: {counts} in {load.elapsed:.2f} s"
        assert counts[200] >= 20, counts
        for weir in weirs:
            weir.terminate()


def a_redis_that_came_back_without_data_begins_with_used_up_buckets(t):
    """`cold_start: empty`: after a restart without persistence nothing is admitted but what the rate gives back;
    `full`: a burst."""
    names = algorithms(t)
    for cold_start in ("empty", "full"):
        u, redis = t.upstream(), t.redis()
        redis.call("SET", "rl:1:{members}:since", 1)    # it has had data for long
        rules = [_rule(name, "60/hour") for name in names]
        weir = t.weir(_policy(u, redis.url, rules, "deny", cold_start=cold_start))
        for name in names:
            equal([weir.get(f"/{name}", {"X-Id": "old"}).status for _ in range(2)], [200, 200], name)
        redis.kill()
        redis.start()
        wait_until("Redis is used again", lambda w=weir: w.metrics().sum("weir_store_pool_connects_total") == 2, 10)
        hour = int(time.time()) // 3600
        others = t.weir(_policy(u, redis.url, rules, "deny", cold_start=cold_start))
        statuses = {name: [w.get(f"/{name}", {"X-Id": who}).status for w in (weir, others) for who in ("old", "new")]
                    for name in names}
        if int(time.time()) // 3600 != hour:
            continue    # windows have begun anew meanwhile
        equal(statuses, {name: [429 if cold_start == "empty" else 200] * 4 for name in names}, cold_start)
        equal(bool(redis.state_keys()), cold_start == "full", "something was written")


def a_killed_redis_is_found_by_scripts_again_within_one_extra_round_trip(t):
    """T6: after SCRIPT FLUSH a decision costs at most two round trips, and the script is loaded again."""
    u, redis = t.upstream(), t.redis()
    weir = t.weir(_policy(u, redis.url, [_rule("token_bucket", "1000/day")], "deny"))
    request = {"X-Id": "k"}
    equal(weir.get("/token_bucket", request).status, 200)
    for _ in range(5):
        redis.call("SCRIPT", "FLUSH")
        monitor = redis.monitor()
        equal(weir.get("/token_bucket", request).status, 200)
        equal(weir.get("/token_bucket", request).status, 200)
        monitor.stop()
        equal(len(monitor.commands("evalsha")), 2, "EVALSHA: one refused, one after the script is back")
        assert len(monitor.commands("eval")) + len(monitor.commands("script")) <= 2, monitor.lines


def _dropping(seed):
    """Loses, delays, cuts or passes each reply at random; Redis executes every command."""
    rng = random.Random(seed)
    fates = [play.passed] * 30 + [play.executed_but_unanswered(), play.late(0.4), play.ends_mid_reply(0),
                                  play.ends_mid_reply(9), play.ends_mid_reply(5, reset=True)]

    def script(x):
        (rng.choice(fates) if x.is_decision else play.passed)(x)
    return script


def no_decision_is_sent_twice_whatever_becomes_of_its_reply(t):
    """T10: every request has an id of its own; MONITOR of the real Redis shows its key at most once."""
    for mode in ("allow", "deny", "local"):
        u, redis = t.upstream(), t.redis()
        relay = t.fault_relay(redis)
        # the breaker would leave such a Redis alone, and nothing would be lost any more
        weir = t.weir(_policy(u, relay.url, [_rule("token_bucket", "5/day")], mode, timeout="150ms",
                              breaker={"failures": 1000}))
        monitor = redis.monitor()
        relay.play(_dropping(mode))
        tries = t.tries
        load = Load(weir.port, rate=60, total=tries, connections=8,
                    request=lambda i, m=mode: _ask("token_bucket", f"{m}-{i}")).start().join()
        relay.heal()
        equal(len(load.samples), tries)
        assert set(load.counts()) <= {200, 503} if mode == "deny" else set(load.counts()) == {200}, load.counts()
        monitor.stop()
        seen = "\n".join(line for line in monitor.lines if " lua] " not in line and '"take"' in line)
        times = [seen.count(subject_key("header:X-Id", f"{mode}-{i}").decode()) for i in range(tries)]
        assert max(times) == 1, f"{mode}: sent {max(times)} times"
        reached = sum(times)
        assert reached > tries / 5, f"{mode}: only {reached} decisions reached Redis"
        lost = sum(1 for d in relay.decisions if d.forwarded and not d.replied)
        assert lost > 0, "no reply was lost"
        t.note(f"{mode}: {reached} reached Redis, {lost} replies lost")


def four_processes_bridge_an_outage_within_the_limit(t):
    """T12: Redis is gone for 10 s, N = 4 is known, mode local: no 5xx, admitted <= B + rate T in every window, also
    when Redis is back."""
    _bridge_an_outage(t, 4)


def four_processes_that_count_each_other_bridge_an_outage(t):
    """T12 with N found by the heartbeat instead of the policy."""
    if not accepts(t, {"rules": [{"name": "r", "key": ["client_ip"], "limit": "5/minute", "sharing": "strict"}]}):
        raise Skip("this build does not count its replicas")
    _bridge_an_outage(t, "auto")


def _bridge_an_outage(t, replicas):
    u, redis = t.upstream(), t.redis()
    relay = t.fault_relay(redis)
    rate, burst = 20, 40
    rule = _rule("token_bucket", f"{rate}/second", burst=burst)
    # a cut is refused at once; a busy machine must not look like one process alone losing Redis
    weirs = [t.weir(_policy(u, relay.url, [rule], "local", timeout="5s", replicas=replicas)) for _ in range(4)]
    if replicas == "auto":
        wait_until("everybody counts four", lambda: all(w.metrics().sum("weir_members") == 4 for w in weirs), 20)
    load = Load([w.port for w in weirs], rate=100, connections=16, request=lambda i: _ask("token_bucket", "k")).start()
    time.sleep(3.0)
    relay.play(door="shut", cut="reset")
    cut = time.monotonic()
    time.sleep(10.0)
    relay.heal()
    back = time.monotonic()
    for weir in weirs:
        wait_until("Redis is used again", lambda w=weir: w.metrics().sum("weir_store_up") == 1, 10)
    time.sleep(2.0)
    load.stop()
    counts = load.counts()
    assert set(counts) == {200, 429}, counts
    during = sum(1 for s in load.samples if s.status == 200 and cut + 1 < s.at < back)
    assert during >= 0.7 * rate * (back - cut - 1), f"only {during} admitted during the outage"
    excess = surely_inside(load.samples, rate)
    t.note(f"{counts[200]} admitted in {load.elapsed:.1f} s, at most {excess:.1f} above the rate, burst {burst}")
    per_second = {}
    for sample in load.samples:
        if sample.status == 200:
            per_second[int(sample.at - load.started)] = per_second.get(int(sample.at - load.started), 0) + 1
    assert counts[200] <= burst + rate * load.elapsed, f"{counts} in {load.elapsed:.2f} s"
    assert excess <= burst, f"per second {per_second}, cut at {cut - load.started:.1f}, back at " \
                            f"{back - load.started:.1f}: a window admitted {excess:.1f} above its rate, burst {burst}"


def the_known_level_of_a_key_survives_the_loss_of_redis(t):
    """T12: a key that Redis denied gets no fresh burst from the failure mode `local`."""
    u, redis = t.upstream(), t.redis()
    relay = t.fault_relay(redis)
    weir = t.weir(_policy(u, relay.url, [_rule("token_bucket", "40/day")], "local", timeout="300ms", replicas=1))
    equal([weir.get("/token_bucket", {"X-Id": "k"}).status for _ in range(41)], [200] * 40 + [429])
    relay.play(door="shut", cut="reset")
    wait_until("the loss is noticed", lambda: weir.metrics().sum("weir_store_up") == 0, 10)
    statuses = [weir.get("/token_bucket", {"X-Id": "k"}).status for _ in range(10)]
    equal(statuses, [429] * 10, "answers of the failure mode to a key without units")
    equal([weir.get("/token_bucket", {"X-Id": "new"}).status for _ in range(41)], [200] * 40 + [429])
