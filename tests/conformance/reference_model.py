#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the decision traces of vectors/ from the definitions alone.

The model keeps exact rationals and answers by search: remaining is the largest cost a fresh decision allows, retry the
smallest wait after which the same decision is allowed, reset the smallest wait after which the subject is as new. No
formula of the product is used, so an error there cannot hide here. The output is deterministic:

    tests/conformance/reference_model.py DIR      writes DIR/*.json
"""
import copy
import json
import pathlib
import random
import sys
from fractions import Fraction

BASE = 4_102_444_800_000_000  # the year 2100: no TTL of a real server fires
NEVER = -1


def smallest(predicate, least):
    """The smallest integer w >= least with predicate(w), which is monotone and true somewhere."""
    low, step = least - 1, 1
    while not predicate(low + step):
        low, step = low + step, step * 2
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        if predicate(middle):
            high = middle
        else:
            low = middle
    return high


def largest(predicate, most):
    """The largest integer m in 0 ... most with predicate(m), which is monotone and true at 0."""
    return smallest(lambda m: m > most or not predicate(m), 1) - 1


class TokenBucket:
    """A level that rises by limit/period and never above the capacity; a token leaves with each unit."""

    def __init__(self, rule):
        self.configure(rule)
        self.full_at = None  # the instant at which the bucket is full; None: it is

    def configure(self, rule):
        self.capacity, self.rate = rule["burst"], Fraction(rule["limit"], rule["period_us"])

    def level(self, t):
        if self.full_at is None or self.full_at <= t:
            return Fraction(self.capacity)
        return max(Fraction(0), self.capacity - (self.full_at - t) * self.rate)

    def set_level(self, level, t):
        self.full_at = None if level >= self.capacity else t + (self.capacity - level) / self.rate

    def from_the_future(self, t):
        return self.full_at is not None and (self.full_at - t) * self.rate > self.capacity

    def repair(self, t):
        if self.from_the_future(t):
            self.set_level(Fraction(0), t)

    def fits(self, n, t):
        return n <= self.level(t)

    def consume(self, n, t):
        self.set_level(self.level(t) - n, t)

    def give_back(self, n, t):
        self.set_level(min(Fraction(self.capacity), self.level(t) + n), t)

    def outstanding(self, n, since, t, aged):
        """What of n tokens taken at `since` may come back at t: an aged refund leaves out what has flowed in since."""
        return max(Fraction(0), n - max(0, t - since) * self.rate) if aged else n

    def as_new(self, t):
        return self.level(t) == self.capacity


class SlidingWindowLog:
    """A unit taken at s counts at t iff s > t - window."""

    def __init__(self, rule):
        self.configure(rule)
        self.units = []

    def configure(self, rule):
        self.capacity, self.window = rule["limit"], rule["period_us"]

    def live(self, t):
        return [s for s in self.units if min(s, t) > t - self.window]

    def repair(self, t):
        self.units = [min(s, t) for s in self.units]

    def fits(self, n, t):
        return len(self.live(t)) + n <= self.capacity

    def consume(self, n, t):
        self.units = self.live(t) + [t] * n

    def give_back(self, n, t):
        live = self.live(t)
        self.units = live[: max(0, len(live) - n)]

    def outstanding(self, n, since, t, aged):
        return n if since > t - self.window else 0

    def as_new(self, t):
        return not self.live(t)


class FixedWindow:
    """Units of the window that an instant lies in; windows tile time from the epoch on."""

    def __init__(self, rule):
        self.configure(rule)
        self.start, self.used, self.until = None, 0, 0  # until: what was counted says nothing about later instants

    def configure(self, rule):
        self.capacity, self.window = rule["limit"], rule["period_us"]

    def start_of(self, t):
        return t // self.window * self.window

    def count(self, t):
        return self.used if self.start is not None and self.start >= self.start_of(t) and t <= self.until else 0

    def store(self, used, t):
        self.start, self.used = self.start_of(t), used
        self.until = self.start + self.window

    def repair(self, t):
        if self.start is not None and self.start > self.start_of(t):
            self.store(self.count(t), t)

    def fits(self, n, t):
        return self.count(t) + n <= self.capacity

    def consume(self, n, t):
        self.store(self.count(t) + n, t)

    def give_back(self, n, t):
        self.store(max(0, self.count(t) - n), t)

    def outstanding(self, n, since, t, aged):
        return n if since >= self.start_of(t) else 0

    def as_new(self, t):
        return self.count(t) == 0


class SlidingWindowCounter:
    """Units of a window and of the one before, which weighs as much as the window that slides still covers of it."""

    def __init__(self, rule):
        self.configure(rule)
        self.start, self.units, self.until = None, (0, 0), 0  # this window, the one before

    def configure(self, rule):
        self.capacity, self.window = rule["limit"], rule["period_us"]

    def start_of(self, t):
        return t // self.window * self.window

    def counts(self, t):
        if self.start is None or t > self.until:
            return 0, 0
        gone = self.start_of(t) - self.start
        if gone <= 0:
            return self.units
        return (0, self.units[0]) if gone == self.window else (0, 0)

    def store(self, units, t):
        self.start, self.units = self.start_of(t), units
        self.until = self.start + 2 * self.window

    def repair(self, t):
        if self.start is not None and self.start > self.start_of(t):
            self.store(self.counts(t), t)

    def fits(self, n, t):
        current, before = self.counts(t)
        overlap = Fraction(self.window - (t - self.start_of(t)), self.window)
        return before * overlap + current + n <= self.capacity

    def consume(self, n, t):
        current, before = self.counts(t)
        self.store((current + n, before), t)

    def give_back(self, n, t):
        current, before = self.counts(t)
        self.store((max(0, current - n), before), t)

    def outstanding(self, n, since, t, aged):
        return n if since >= self.start_of(t) else 0

    def as_new(self, t):
        return self.counts(t) == (0, 0)


class Slots:
    """Holders and the ends of their leases; one counts while its end lies ahead."""

    def __init__(self, rule):
        self.configure(rule)
        self.ends = {}

    def configure(self, rule):
        self.capacity, self.lease = rule["limit"], rule["lease_us"]

    def held(self, t):
        return {who: end for who, end in self.ends.items() if end > t}

    def repair(self, t):
        self.ends = {who: min(end, t + self.lease) for who, end in self.ends.items()}

    def fits(self, n, t):
        return len(self.held(t)) + n <= self.capacity

    def as_new(self, t):
        return not self.held(t)

    def decide(self, op, who, t):
        self.repair(t)
        mine = who in self.held(t)
        allowed = mine or (op == "acquire" and self.fits(1, t))
        if allowed:
            self.ends = self.held(t)
            if op == "release":
                del self.ends[who]
            else:
                self.ends[who] = t + self.lease
        want = answer(self, t, allowed or op != "acquire", 1)
        return {**want, "allowed": allowed}


MODELS = {"token_bucket": TokenBucket, "gcra": TokenBucket, "sliding_window_log": SlidingWindowLog,
          "fixed_window": FixedWindow, "sliding_window_counter": SlidingWindowCounter, "concurrency": Slots}


class Punishing:
    """A rule whose first denial of a key blocks the key for `penalty_us`; later ones do not prolong that."""

    def __init__(self, rule):
        self.inner = MODELS[rule["algorithm"]](rule)
        self.blocked_until = 0
        self.configure(rule)

    def __copy__(self):
        other = Punishing.__new__(Punishing)
        other.__dict__ = {**self.__dict__, "inner": copy.copy(self.inner)}
        return other

    def configure(self, rule):
        self.inner.configure(rule)
        self.capacity, self.penalty = self.inner.capacity, rule["penalty_us"]

    def repair(self, t):
        self.inner.repair(t)
        self.blocked_until = min(self.blocked_until, t + self.penalty)

    def fits(self, n, t):
        return t >= self.blocked_until and self.inner.fits(n, t)

    def consume(self, n, t):
        self.inner.consume(n, t)

    def as_new(self, t):
        return t >= self.blocked_until and self.inner.as_new(t)

    def punish(self, t):
        if t >= self.blocked_until:
            self.blocked_until = t + self.penalty


def make(rule):
    return Punishing(rule) if "penalty_us" in rule else MODELS[rule["algorithm"]](rule)


def punished(state, op, n, t, allowed):
    """The answer of a take or peek. What a peek asks about would be punished if it were a take: its wait says so."""
    if not isinstance(state, Punishing) or allowed or n > state.capacity:
        return answer(state, t, allowed, n)
    later = state if op == "take" else at_later(state, t)
    later.punish(t)
    want = answer(later, t, allowed, n)
    return want if op == "take" else {**answer(state, t, allowed, n), "retry_after_us": want["retry_after_us"]}


def allows(state, n, t):
    return n == 0 or state.fits(n, t)


def at_later(state, t):
    """What time alone does: the state as it would be judged from t on, a future stamp counting as taken at t."""
    later = copy.copy(state)
    later.repair(t)
    return later


def answer(state, t, allowed, wanted):
    """remaining, retry and reset of a state at t; `wanted` is the cost a denied operation waits for."""
    seen = at_later(state, t)
    retry = 0
    if not allowed:
        retry = NEVER if wanted > seen.capacity else smallest(lambda w: allows(seen, wanted, t + w), 1)
    return {
        "allowed": allowed,
        "remaining": largest(lambda m: allows(seen, m, t), seen.capacity),
        "retry_after_us": retry,
        "reset_after_us": smallest(lambda w: seen.as_new(t + w), 0),
    }


def refund(state, n, t, since=None, aged=False):
    """`since`: when the units were charged; None: unknown, all of them come back."""
    state.repair(t)
    back = n if since is None else state.outstanding(n, since, t, aged)
    if back > 0:
        state.give_back(back, t)
    return answer(state, t, True, n)


def decide_one(state, op, n, t):
    if isinstance(state, Punishing) and op in ("refund", "take_upto"):
        return decide_one(state.inner, op, n, t)  # they ask for no admission: the block is not looked at
    if op == "refund":
        return refund(state, n, t)
    if op != "peek":
        state.repair(t)
    if op == "take_upto":
        granted = min(n, answer(state, t, True, n)["remaining"])
        allowed = granted > 0 or n == 0
        if granted > 0:
            state.consume(granted, t)
        return {**answer(state, t, allowed, 1), "granted": granted}
    allowed = allows(at_later(state, t), n, t)
    if op == "take" and allowed and n > 0:
        state.consume(n, t)
    return punished(state, op, n, t, allowed)


def decide_several(states, shadow, op, costs, t):
    if op != "peek":
        for state in states:
            state.repair(t)
    verdicts = [allows(at_later(s, t), n, t) for s, n in zip(states, costs)]
    denied_by = [i for i, v in enumerate(verdicts) if not v and not shadow[i]]
    if op == "take" and not denied_by:
        for state, v, n in zip(states, verdicts, costs):
            if v and n > 0:
                state.consume(n, t)
    rules = [punished(s, op, n, t, v) for s, v, n in zip(states, verdicts, costs)]
    waits = [rules[i]["retry_after_us"] for i in denied_by]
    return {
        "allowed": not denied_by,
        "retry_after_us": NEVER if NEVER in waits else max(waits, default=0),
        "denied_by": denied_by,
        "rules": rules,
    }


class Trace:
    def __init__(self, name, tags, *rules):
        self.head = {"name": name, "tags": sorted(tags)}
        self.several = len(rules) > 1
        self.head.update({"rules": list(rules)} if self.several else {"rule": rules[0]})
        self.rules, self.subjects, self.events = rules, {}, []
        self.t = BASE

    def states(self, key):
        if key not in self.subjects:
            self.subjects[key] = [make(r) for r in self.rules]
        return self.subjects[key]

    def wait(self, us):
        self.t += us

    def op(self, op, n=1, key="k"):
        states = self.states(key)
        event = {"t": self.t, "op": op, "n": n}
        if self.several:
            event["want"] = decide_several(states, [r.get("shadow", False) for r in self.rules], op, n, self.t)
        else:
            event["key"] = key
            event["want"] = decide_one(states[0], op, n, self.t)
        self.events.append(event)
        return event["want"]

    def slot(self, op, who):
        event = {"t": self.t, "op": op, "id": who, "want": self.states("k")[0].decide(op, who, self.t)}
        self.events.append(event)
        return event["want"]

    def take(self, n=1, key="k"):
        return self.op("take", n, key)

    def refund_since(self, n, since, aged):
        """Gives back what was charged at `since`, after time has passed."""
        event = {"t": self.t, "op": "refund", "n": n, "since": since, "aged": aged, "key": "k"}
        event["want"] = refund(self.states("k")[0], n, self.t, since, aged)
        self.events.append(event)
        return event["want"]

    def reload(self, rule):
        self.rules = (rule,)
        self.events.append({"t": self.t, "op": "reload", "rule": rule})
        for states in self.subjects.values():
            states[0].configure(rule)

    def text(self):
        head = json.dumps(self.head)[:-1]
        lines = ",\n".join(json.dumps(e, separators=(",", ":")) for e in self.events)
        return f'{head},"events":[\n{lines}\n]}}'


def scenarios(rules, prefix):
    """The traces of one single-rule suite. `rules` gives parameters by name."""

    def trace(name, tags, rule):
        t = Trace(f"{prefix}-{name}", tags, rule)
        t.wait(random_source.randrange(10**9))
        traces.append(t)
        return t

    random_source = random.Random(f"weir {prefix}")
    traces = []

    t = trace("burst", ["burst"], rules["plain"])
    for _ in range(rules["plain"]["limit"] + 3):
        t.take()
    for op in ("take", "peek", "take_upto", "refund"):
        t.op(op, 0)

    for kind in ("plain", "odd", "fast"):
        t = trace(f"exact_retry-{kind}", ["exact_retry"], rules[kind])
        for _ in range(40):
            want = t.take(1 + random_source.randrange(2))
            if want["allowed"]:
                continue
            t.wait(want["retry_after_us"] - 1)
            t.take()
            t.wait(1)
            t.take()

    t = trace("mixed", ["mixed", "cost_n", "peek", "refund", "take_upto"], rules["odd"])
    for _ in range(120):
        op = random_source.choice(["take", "take", "take", "peek", "refund", "take_upto"])
        t.op(op, random_source.randrange(rules["odd"].get("burst", rules["odd"]["limit"]) + 2))
        t.wait(random_source.randrange(2 * rules["odd"]["period_us"] // rules["odd"]["limit"] + 2))

    t = trace("upto", ["take_upto", "upto", "cost_n"], rules["fast"])
    for _ in range(40):
        t.op("take_upto", random_source.randrange(6))
        t.op("take_upto", 2)
        t.wait(random_source.randrange(rules["fast"]["period_us"] // rules["fast"]["limit"] + 2))

    t = trace("never", ["never", "cost_n"], rules["plain"])
    capacity = rules["plain"].get("burst", rules["plain"]["limit"])
    for n in (capacity + 1, capacity, 2**31, 1, capacity, 0, capacity + 1):
        t.take(n)
        t.op("peek", n)
        t.op("refund", n // 3)
        t.wait(777)

    t = trace("idle", ["idle"], rules["odd"])
    for _ in range(12):
        want = t.take(rules["odd"].get("burst", rules["odd"]["limit"]))
        t.wait(want["reset_after_us"] - 1)
        t.op("peek")
        t.wait(1)
        t.op("peek")
        t.wait(random_source.randrange(3))

    t = trace("multi_key", ["multi_key"], rules["plain"])
    for _ in range(60):
        t.take(key=random_source.choice("abc"))
        t.wait(random_source.randrange(40_000))

    t = trace("reload", ["reload"], rules["odd"])
    for round_ in range(8):
        for _ in range(8):
            t.take(1 + random_source.randrange(2))
            t.wait(random_source.randrange(rules["odd"]["period_us"] // rules["odd"]["limit"] + 2))
        t.reload(rules[("fast", "small", "odd", "plain")[round_ % 4]])

    t = trace("clock_back", ["clock_back"], rules["plain"])
    for back in (1_000, 3_600_000_000, 60_000_000):
        for _ in range(rules["plain"]["limit"]):
            t.take()
            t.wait(1_000)
        t.wait(-back)
        for _ in range(3):
            t.op("peek")
            want = t.take()
            if not want["allowed"]:
                t.wait(want["retry_after_us"])
            t.take()
    return traces


def fractions_over_reloads(name, rates):
    """Tokens take about a microsecond, so that the fraction decides how many remain under the next rate."""
    t = Trace(f"token_bucket-{name}", ["reload", "cost_n"], rates[0])
    source = random.Random(f"weir {name}")
    for round_ in range(40):
        t.take(1 + source.randrange(5))
        t.reload(rates[(round_ + 1) % len(rates)])
        t.op("peek")
        t.wait(source.randrange(4))
        t.op("peek", 3)
        t.wait(100)  # full again: the product rounds a fraction to credits with each reload, the model never
    return t


def bucket(limit, period_us, burst):
    return {"algorithm": "token_bucket", "limit": limit, "period_us": period_us, "burst": burst}


def log(limit, period_us):
    return {"algorithm": "sliding_window_log", "limit": limit, "period_us": period_us}


def slots(limit, lease_us):
    return {"algorithm": "concurrency", "limit": limit, "lease_us": lease_us}


def slot_traces():
    source = random.Random("weir slots")
    for name, rule in {"few": slots(2, 30_000_000), "odd": slots(5, 1_000_003), "one": slots(1, 7)}.items():
        t = Trace(f"concurrency-{name}", ["concurrency"], rule)
        for _ in range(120):
            op = source.choice(("acquire", "acquire", "acquire", "renew", "release"))
            want = t.slot(op, f"p{source.randrange(rule['limit'] + 3)}")
            wait = want["retry_after_us"]
            t.wait(source.choice((0, 1, source.randrange(rule["lease_us"]), wait, max(0, wait - 1))))
        yield t
    t = Trace("concurrency-reload", ["concurrency", "reload"], slots(5, 1_000_000))
    for rule in (slots(2, 1_000_000), slots(4, 400_000), slots(1, 2_000_000), slots(3, 1_000_000)):
        for _ in range(15):
            t.slot(source.choice(("acquire", "acquire", "renew", "release")), f"p{source.randrange(6)}")
            t.wait(source.randrange(200_000))
        t.reload(rule)
    for _ in range(10):
        t.slot("acquire", f"p{source.randrange(6)}")
        t.wait(source.randrange(400_000))
    yield t
    t = Trace("concurrency-clock_back", ["concurrency", "clock_back"], slots(3, 1_000_000))
    for back in (1_000, 3_600_000_000, 60_000_000):
        for who in "abcd":
            t.slot("acquire", who)
            t.wait(10_000)
        t.wait(-back)
        for op, who in (("renew", "z"), ("acquire", "d"), ("release", "a"), ("acquire", "d"), ("acquire", "e")):
            want = t.slot(op, who)
            t.wait(5_000)
        t.wait(max(0, want["retry_after_us"] - 5_001))
        t.slot("acquire", "e")
        t.wait(1)
        t.slot("acquire", "e")
    yield t


def window(algorithm, limit, period_us):
    return {"algorithm": algorithm, "limit": limit, "period_us": period_us}


def windows(algorithm):
    return {"plain": window(algorithm, 5, 1_000_000), "odd": window(algorithm, 9, 1_000_003),
            "fast": window(algorithm, 4, 5), "small": window(algorithm, 2, 700_000)}


BUCKETS = {
    "plain": bucket(10, 1_000_000, 5),
    "odd": bucket(7, 1_000_003, 9),
    "fast": bucket(700_003, 1_000_000, 4),
    "small": bucket(3, 1_000_000, 2),
}
FINE = [bucket(limit, 1_000_000, 9) for limit in (700_001, 300_007, 900_001, 2_100_011)]
COARSE = [bucket(limit, 3, 9) for limit in (7, 5, 11, 4)]
LOGS = {"plain": log(5, 1_000_000), "odd": log(9, 1_000_003), "fast": log(4, 5), "small": log(2, 700_000)}


def several():
    source = random.Random("weir several rules")
    mixes = {
        "two_buckets": [bucket(10, 1_000_000, 5), bucket(3, 700_001, 4)],
        "three_buckets": [bucket(50, 1_000_000, 8), bucket(700_003, 1_000_000, 6), bucket(1, 250_000, 3)],
        "two_logs": [log(4, 500_000), log(7, 1_300_000)],
        "bucket_log": [bucket(7, 1_000_003, 5), log(6, 900_000)],
        "fixed_counter": [window("fixed_window", 5, 400_000), window("sliding_window_counter", 7, 900_000)],
        "counter_bucket_fixed_log": [window("sliding_window_counter", 6, 300_000), bucket(9, 1_000_000, 4),
                                     window("fixed_window", 8, 1_000_000), log(7, 800_000)],
        "log_bucket_log_bucket": [log(5, 400_000), bucket(9, 1_000_000, 4), log(8, 1_000_000), bucket(2, 300_000, 6)],
    }
    shadow = {"shadow": True}
    marked = {
        "shadow_bucket": [{**bucket(10, 1_000_000, 3), **shadow}, bucket(20, 1_000_000, 6)],
        "shadow_between": [bucket(9, 1_000_000, 6), {**log(3, 500_000), **shadow}, window("fixed_window", 8, 700_000)],
        "only_shadow": [{**bucket(10, 1_000_000, 3), **shadow}, {**window("sliding_window_counter", 4, 300_000), **shadow}],
        "penalty": [{**bucket(10, 1_000_000, 3), "penalty_us": 700_000}, bucket(8, 1_000_000, 9)],
        "penalties": [{**log(4, 500_000), "penalty_us": 300_000}, {**bucket(3, 700_001, 4), "penalty_us": 1_500_000},
                      {**window("fixed_window", 5, 400_000), "penalty_us": 7}],
        "shadow_penalty": [{**bucket(10, 1_000_000, 3), "penalty_us": 700_000, **shadow}, log(6, 900_000),
                           {**window("sliding_window_counter", 7, 900_000), "penalty_us": 200_000}],
    }
    for name, rules in {**mixes, **marked}.items():
        t = Trace(f"several-{name}", ["multi", "cost_n", "peek"], *rules)
        for _ in range(90):
            costs = [source.choice((0, 1, 1, 1, 2, 3, 9)) for _ in rules]
            want = t.op(source.choice(("take", "take", "take", "peek")), costs)
            t.wait(source.choice((0, 1, 50_000, 120_000, max(1, want["retry_after_us"]))))
        yield t
    t = Trace("several-clock_back", ["multi", "clock_back"], bucket(10, 1_000_000, 5), bucket(3, 700_001, 4))
    for back in (5, 3_600_000_000):
        for _ in range(6):
            t.take([1, 1])
            t.wait(1_000)
        t.wait(-back)
        for _ in range(4):
            t.take([1, 1])
            t.take([9, 1])
            t.wait(400_000)
    yield t


def penalties():
    """One rule each; every op, reloads of the limit and of the penalty, and a clock that goes back."""
    source = random.Random("weir penalties")
    kinds = {"token_bucket": bucket(10, 1_000_000, 3), "sliding_window_log": log(3, 400_000),
             "fixed_window": window("fixed_window", 3, 300_000),
             "sliding_window_counter": window("sliding_window_counter", 3, 300_000)}
    for name, rule in kinds.items():
        t = Trace(f"penalty-{name}", ["penalty", "reload"], {**rule, "penalty_us": 2_000_000})
        for penalty in (2_000_000, 500_000, 50_000, 3_000_000):
            t.reload({**rule, "limit": source.randrange(2, 5), "penalty_us": penalty})
            for _ in range(40):
                op = source.choice(("take", "take", "take", "peek", "refund", "take_upto"))
                want = t.op(op, source.choice((0, 1, 1, 1, 2, 3, 6)))
                wait = want["retry_after_us"]
                t.wait(source.choice((0, 1, 40_000, max(0, wait), max(0, wait - 1))))
        yield t
    t = Trace("penalty-clock_back", ["penalty", "clock_back"], {**kinds["token_bucket"], "penalty_us": 2_000_000})
    for back in (1_000, 3_600_000_000):
        for _ in range(5):
            t.take()
            t.wait(100)
        t.wait(-back)
        for _ in range(4):
            t.op("peek")
            want = t.take()
            t.wait(source.choice((300_000, max(0, want["retry_after_us"]))))
    yield t


def refunds():
    """Takes that are given back later, in any order and sometimes in part, plainly and aged."""
    source = random.Random("weir refunds")
    kinds = {"token_bucket": [bucket(10, 1_000_000, 5), bucket(7, 1_000_003, 9), bucket(700_003, 1_000_000, 4)],
             "sliding_window_log": [log(5, 400_000), log(4, 5)],
             "fixed_window": [window("fixed_window", 5, 400_000), window("fixed_window", 9, 1_000_003)],
             "sliding_window_counter": [window("sliding_window_counter", 5, 400_000),
                                        window("sliding_window_counter", 9, 1_000_003)]}
    for name, rules in kinds.items():
        for i, rule in enumerate(rules):
            t = Trace(f"refunds-{name}-{i}", ["refund", "aged_refund", "cost_n"], rule)
            taken, capacity = [], rule.get("burst", rule["limit"])
            for _ in range(60):
                n = source.randrange(1, capacity + 1)
                if taken and source.random() < 0.4:
                    since, most = taken.pop(source.randrange(len(taken)))
                    t.refund_since(source.randrange(most + 1) or most, since, source.random() < 0.7)
                elif t.take(n)["allowed"]:
                    taken.append((t.t, n))
                t.wait(source.choice((0, 1, source.randrange(2 * rule["period_us"] // rule["limit"] + 2))))
            yield t
    t = Trace("refunds-clock_back", ["refund", "aged_refund", "clock_back"], bucket(10, 1_000_000, 5))
    for back in (1_000, 150_000, 3_600_000_000):
        t.take(5)
        charged = t.t
        t.wait(-back)
        for wait in (0, 100_000, 200_000):
            t.wait(wait)
            t.refund_since(2, charged, True)
        t.wait(2_000_000)
    yield t


def write(directory, suite, description, traces):
    body = ",\n".join(t.text() for t in traces)
    head = json.dumps({"format": 1, "suite": suite, "description": description})[:-1]
    (directory / f"{suite}.json").write_text(f'{head},"traces":[\n{body}\n]}}\n')


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    write(directory, "token_bucket", "exact-rational token bucket",
          [*scenarios(BUCKETS, "token_bucket"), fractions_over_reloads("reload_fraction", FINE),
           fractions_over_reloads("reload_few_credits", COARSE)])
    write(directory, "sliding_window_log", "exact log", scenarios(LOGS, "sliding_window_log"))
    for algorithm, description in (("fixed_window", "windows aligned to the epoch"),
                                   ("sliding_window_counter", "two weighted windows")):
        write(directory, algorithm, description, scenarios(windows(algorithm), algorithm))
    write(directory, "concurrency", "slots with leases", slot_traces())
    write(directory, "penalty", "the first denial blocks a key", penalties())
    write(directory, "refunds", "units that come back after time has passed", refunds())
    write(directory, "several_rules", "all or nothing over several rules", several())


if __name__ == "__main__":
    main()
