# SPDX-License-Identifier: Apache-2.0
"""Concurrency and clocks against the bounds of each algorithm, over a real Redis (T4, T5, T7)."""

import os
import time

from support import client
from support.bounds import FAKETIME, SteppingClock, algorithms, check_stamps, fake_clock, model
from support.check import equal
from support.context import Skip
from support.load import Load
from support.upstream import PATIENCE

ROUNDS = 20

# libfaketime moves absolute timers too, so that one of zero never fires in a process whose clock is ahead
SLOW_DRAIN = {"drain": {"delay": "50ms", "timeout": "10s"}}


def _policy(u, url, rules, **policy):
    """Answers are waited for: a busy machine must not turn an exact test into one of the failure mode."""
    return {"upstreams": {"app": {"url": u.url, "timeout": PATIENCE}}, "rules": rules, "workers": 1,
            "store": {"url": url, "failure_mode": "deny",
                      "pool": {"command_timeout": "10s", "connect_timeout": "5s"}}, **policy}


def _rule_per_algorithm(names, limit, **more):
    """Each is asked by its own path; the id is a header."""
    return [{"name": name.replace("_", "-"), "match": {"path": f"/{name}"}, "key": ["header:X-Id"], "missing": "skip",
             "algorithm": name, "limit": limit, **more} for name in names]


def _ask(name, identity):
    return client.request_bytes(target=f"/{name}", fields={"X-Id": identity})


def _rounds_of_exactly_100(weirs, names, label, rounds=ROUNDS):
    for name in names:
        for number in range(rounds):
            request = _ask(name, f"{label}-{number}")
            load = Load([w.port for w in weirs], total=160, connections=64, request=lambda i, r=request: r)
            equal(load.start().join().counts(), {200: 100, 429: 60}, f"{name}, {label}, round {number + 1}")


def one_two_and_four_processes_admit_exactly_the_limit(t):
    """T4: 64 connections on one key, limit 100: 100 pass, 20 times of 20."""
    u, redis, names = t.upstream(), t.redis(), algorithms(t)
    weirs = [t.weir(_policy(u, redis.url, _rule_per_algorithm(names, "100/day"))) for _ in range(4)]
    for count in (1, 2, 4):
        _rounds_of_exactly_100(weirs[:count], names, f"{count} processes")
    t.note(f"{len(names)} algorithms, {3 * ROUNDS} rounds each")


def proxies_whose_clocks_are_5_s_apart_admit_exactly_the_limit(t):
    """T4, T7: the clock of a proxy decides nothing."""
    if not os.path.exists(FAKETIME):
        raise Skip("faketime is not installed")
    if t.release is None:
        raise Skip("LD_PRELOAD does not work with sanitizers and no --weir-release was given")
    u, redis, names = t.upstream(), t.redis(), algorithms(t)
    weirs = [t.weir(_policy(u, redis.url, _rule_per_algorithm(names, "100/day"), **SLOW_DRAIN),
                    build=t.release, env=env)
             for env in (fake_clock("+5s"), fake_clock("-5s"), {})]
    _rounds_of_exactly_100(weirs, names, "clocks apart", max(5, t.rounds))
    stamps = []
    for i, weir in enumerate(weirs):
        weir.get("/", {"X-Request-ID": f"stamp-{i}"})
        stamps.append(weir.record(f"stamp-{i}")["ts"])
    assert stamps[0] > stamps[2] > stamps[1], f"the clocks are not apart: {stamps}"


def decisions_under_concurrency_replay_through_the_reference_model(t):
    """T4, T5: what 4 processes were told, in the order of the store's clock, is what the definitions say, to the
    microsecond; and the bounds hold over the store's own stamps."""
    reference, names = model(), algorithms(t)
    u, redis = t.upstream(), t.redis()
    relay = t.fault_relay(redis)
    rules = _rule_per_algorithm(names, "40/2s")
    weirs = [t.weir(_policy(u, relay.url, rules)) for _ in range(4)]
    total = 0
    for name in names:
        mark = len(relay.decisions)
        load = Load([w.port for w in weirs], rate=200, connections=24, request=lambda i, n=name: _ask(n, f"k{i % 2}"))
        load.run_for(5.0)
        equal(set(load.counts()), {200, 429}, name)
        by_key = {}
        for decision in relay.decisions[mark:]:
            if b"{members}" in decision.keys[0]:
                continue  # a heartbeat
            assert isinstance(decision.reply, list), decision.reply
            for keys, requests, reply in decision.each():
                by_key.setdefault(keys[-1], []).append((requests, reply))
        equal(len(by_key), 2, "keys")
        for decisions in by_key.values():
            total += _replay(reference, name, decisions)
    t.note(f"{total} decisions")


def _replay(reference, name, decisions):
    """Every decision about one key, again by the model. A call may stand for k equal requests: the first m pass, and
    its numbers are those after the last, or of the first that was denied."""
    rule = {"algorithm": name, "limit": 40, "period_us": 2_000_000, "burst": 40}
    state, admitted = reference.MODELS[name](rule), []
    for requests, reply in sorted(decisions, key=lambda d: d[1][0]):
        now, passed, allowed, remaining, retry, reset = reply[:6]
        wants = [reference.decide_one(state, "take", 1, now) for _ in range(requests)]
        equal(passed, sum(w["allowed"] for w in wants), f"{name} at {now}: admitted of {requests}")
        got = {"allowed": bool(allowed), "remaining": remaining, "retry_after_us": retry, "reset_after_us": reset}
        equal(got, wants[min(passed, requests - 1)], f"{name} at {now}")
        admitted += [now] * passed
    check_stamps(name, admitted, 40, 2_000_000)
    return len(decisions)


def _clocked_redis(t):
    """A Redis and a function that sets how far its clock is off."""
    clock = SteppingClock(t.folder("clock"))
    return t.redis(env=clock.env), clock.step_to


def _redis_time(redis):
    seconds, micros = redis.call("TIME")
    return int(seconds) + int(micros) / 1e6


def a_store_clock_that_steps_keeps_the_bounds_and_recovers(t):
    """T7: back by 60 s, then forth: no more than the bound, and denied no longer than it takes to fill."""
    names = algorithms(t)
    u, (redis, set_offset) = t.upstream(), _clocked_redis(t)
    weirs = [t.weir(_policy(u, redis.url, _rule_per_algorithm(names, "10/second"))) for _ in range(2)]
    for name in names:
        set_offset(0)
        load = Load([w.port for w in weirs], rate=60, connections=8, request=lambda i, n=name: _ask(n, "stepped"))
        load.start()
        time.sleep(1.5)
        set_offset(-60)
        assert abs(_redis_time(redis) - time.time() + 60) < 5, "the clock of Redis did not step back"
        back = time.monotonic()
        time.sleep(3.0)
        set_offset(60)
        forth = time.monotonic()
        time.sleep(1.5)
        load.stop()
        counts = load.counts()
        assert set(counts) == {200, 429}, counts
        admitted = sorted(s.at + s.seconds for s in load.samples if s.status == 200)
        after = [a for a in admitted if back + 0.05 < a < forth]
        # A window algorithm may keep its counts for the window that is current after the step, and one more. The
        # processes ask again when the denials they remember end: of a log, up to a window after the step.
        within = {"token_bucket": 1.0}.get(name, 2.0) + 0.5 * t.slack
        assert after and after[0] - back <= within, f"{name}: locked out for {after[0] - back if after else 3:.2f} s"
        # the step forth gives at most one burst (of a window algorithm: the windows it skips)
        limit = 10 + 10 * load.elapsed + 10 + (0 if name in ("token_bucket", "sliding_window_log") else 10)
        assert counts[200] <= limit, f"{name}: {counts[200]} admitted in {load.elapsed:.2f} s"


def two_skewed_proxies_and_a_step_back_stay_within_110(t):
    """T7: 10 per second, burst 10, 10 s: at most 110, whatever the clocks do."""
    if t.release is None:
        raise Skip("LD_PRELOAD does not work with sanitizers and no --weir-release was given")
    u, (redis, set_offset) = t.upstream(), _clocked_redis(t)
    weirs = [t.weir(_policy(u, redis.url, _rule_per_algorithm(["token_bucket"], "10/second"), **SLOW_DRAIN),
                    build=t.release, env=fake_clock(offset)) for offset in ("+1s", "-1s")]
    load = Load([w.port for w in weirs], rate=80, connections=8, request=lambda i: _ask("token_bucket", "k")).start()
    time.sleep(5.0)
    set_offset(-60)
    time.sleep(5.0)
    load.stop()
    equal(set(load.counts()), {200, 429})
    assert load.counts()[200] <= 10 + 10 * load.elapsed, f"{load.counts()} in {load.elapsed:.2f} s"
    assert load.counts()[200] >= 80, f"locked out: {load.counts()}"
    t.note(f"{load.counts()[200]} in {load.elapsed:.2f} s")
