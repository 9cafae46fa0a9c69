# SPDX-License-Identifier: Apache-2.0
"""One seed: what it draws, how it is played, and what must hold."""

import collections
import random
import threading
import time

import faults
from support import client, http1
from support.byte_relay import ByteRelay
from support.invariants import Before
from support.upstream import ok
from support.weir import wait_until

CLIENTS, RATE = 6, 150          # of the load, requests/s
WINDOW, LIMIT = 0.5, 40         # of the rule on everything
TOTAL = 1.0                     # the upstream's total timeout
RECOVERY = 10.0                 # baseline again so long after the last fault
KNOWN = {200, 408, 429, 502, 503, 504}


class Planned:
    def __init__(self, kind, name, start, length):
        self.kind, self.name, self.start, self.length = kind, name, start, length

    @property
    def end(self):
        return self.start + self.length

    def __str__(self):
        return f"{self.kind}:{self.name}@{self.start:.2f}+{self.length:.2f}"


class Plan:
    def __init__(self, seed, seconds, mode, planned):
        self.seed, self.seconds, self.mode, self.planned = seed, seconds, mode, planned

    def __str__(self):
        return f"seed {self.seed} [{self.mode}] " + " ".join(str(p) for p in self.planned)


def draw(seed, seconds):
    """Three faults of three kinds, all of them active in the middle of the run."""
    rng = random.Random(seed)
    planned = []
    for kind in rng.sample(sorted(faults.KINDS), 3):
        start = rng.uniform(0.05, 0.4) * seconds
        planned.append(Planned(kind, rng.choice(sorted(faults.KINDS[kind])), start,
                               rng.uniform(0.5, 0.9) * seconds - start))
    return Plan(seed, seconds, rng.choice(["allow", "deny", "local"]), planned)


def policy(relay, redis_relay, mode):
    return {"upstreams": {"app": {
                "url": relay.url, "pool": {"idle_timeout": "500ms"},
                "timeout": {"connect": "250ms", "first_byte": "400ms", "body_idle": "400ms", "total": f"{TOTAL}s"}}},
            "store": {"url": redis_relay.url, "failure_mode": mode, "pool": {"command_timeout": "100ms"}},
            "limits": {"header_timeout": "500ms", "body_idle_timeout": "500ms", "write_idle_timeout": "1s"},
            "access_log": {"buffer": "64KiB"},
            "routes": [{"name": "all", "match": {"path": "/**"}, "upstream": "app"}],
            "rules": [{"name": "all", "key": ["constant:all"], "match": {"path": "/load/**"},
                       "algorithm": "sliding_window_log", "limit": f"{LIMIT}/{int(WINDOW * 1000)}ms"},
                      {"name": "each", "key": ["header:X-Key"], "missing": "skip", "limit": "10/day"},
                      {"name": "unused", "key": ["client_ip"], "match": {"path": "/nowhere"},
                       "limit": "1/day"}]}


def token_answer(x):
    """Answers with the request's own id, long enough to be cut anywhere."""
    x.read_body()
    token = x.request.header("X-Request-ID").encode()
    size = 1 + sum(token) % 400
    chunks = [97, 4001] if size % 3 == 0 else None
    ok(token * size, chunk_sizes=chunks)(x)


class Asked:
    __slots__ = ("token", "begin", "end", "outcome")

    def __init__(self, token):
        self.token, self.begin, self.end, self.outcome = token, time.monotonic(), None, None


class Load:
    """Clients that keep their connections and check that each answer is whole and theirs."""

    def __init__(self, weir, seed):
        self.weir, self.seed, self.asked, self.lock = weir, seed, [], threading.Lock()
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(CLIENTS)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in self.threads), "a request hangs"

    def _run(self, number):
        connection, count = None, 0
        while not self.ending.wait(CLIENTS / RATE):
            count += 1
            asked = Asked(f"{self.seed}-{number}-{count}")
            with self.lock:
                self.asked.append(asked)
            reused = connection is not None
            try:
                connection = connection or client.Connection(self.weir.port, timeout=8)
                r = connection.request("GET", f"/load/{count}", {"X-Request-ID": asked.token})
                asked.outcome = self._judge(asked, r)
                if r.closes or r.framing == "close":
                    connection.close()
                    connection = None
            except (http1.Closed, OSError) as e:
                asked.outcome = "timeout" if isinstance(e, TimeoutError) else "reused" if reused else "closed"
                if connection:
                    connection.close()
                connection = None
            except http1.ProtocolError as e:
                asked.outcome = f"malformed answer: {e}"
                connection.close()
                connection = None
            asked.end = time.monotonic()
        if connection:
            connection.close()

    @staticmethod
    def _judge(asked, r):
        if r.header("X-Request-ID") != asked.token:
            return f"another's answer: {r!r}"
        size = 1 + sum(asked.token.encode()) % 400
        if r.status == 200 and r.body != asked.token.encode() * size:
            return f"a wrong body: {r!r}"
        return r.status if r.status in KNOWN else f"an unknown status: {r!r}"


def run(t, plan):
    stage = faults.Stage(t, plan)
    weir = stage.weir
    warm(weir)
    before = Before(t, weir)
    load = Load(weir, plan.seed).start()
    begin = time.monotonic()
    players = [threading.Thread(target=faults.perform, args=(stage, p, begin), daemon=True) for p in plan.planned]
    for player in players:
        player.start()
    probe = Probe(weir, lambda: time.monotonic() - begin, [p for p in plan.planned if p.name == "pause"])
    time.sleep(max(0.0, plan.seconds - (time.monotonic() - begin)))
    for player in players:
        player.join(20)
    load.stop()
    slowest_check = probe.stop()
    stage.heal()
    healed = time.monotonic()
    recover(t, stage, before)
    recovered = time.monotonic() - healed
    assert weir.running(), weir.stderr()[-3000:]
    judge(t, plan, stage, load, begin)
    outcomes = collections.Counter(str(a.outcome) for a in load.asked)
    return f"{dict(outcomes)}, baseline after {recovered:.1f} s, health {slowest_check * 1e3:.0f} ms"


def warm(weir):
    for _ in range(4):
        with weir.connect() as c:
            c.request("GET", "/warm", {"X-Request-ID": "warm"})
    wait_until("the connections are gone", lambda: weir.metrics().sum("weir_connections") == 0)


class Probe:
    """Asks /livez all the time; while weir is paused nobody can answer."""

    def __init__(self, weir, now, pauses):
        self.weir, self.now, self.pauses, self.slowest = weir, now, pauses, 0.0
        self.ending, self.failed = threading.Event(), []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ending.wait(0.05):
            at, begin = self.now(), time.monotonic()
            try:
                good = self.weir.admin("/livez", timeout=5).status == 200
            except Exception as e:  # noqa: BLE001
                good = repr(e)
            took = time.monotonic() - begin
            if good is not True:
                self.failed.append(good)
            elif not any(p.start - 0.1 <= at + took and at <= p.end + 0.1 for p in self.pauses):
                self.slowest = max(self.slowest, took)

    def stop(self):
        self.ending.set()
        self.thread.join(10)
        assert not self.failed, f"health checks failed: {self.failed[:3]}"
        return self.slowest


def recover(t, stage, before):
    """The baseline: Redis decides, requests pass, nothing is left over."""
    weir = stage.weir
    deadline = time.monotonic() + RECOVERY * t.slack
    wait_until("Redis decides again", lambda: weir.metrics().sum("weir_store_up") == 1, RECOVERY * t.slack)
    wait_until("the upstream answers", lambda: _passes(weir), max(0.1, deadline - time.monotonic()))
    wait_until("a limit is exact", lambda: _is_exact(stage), max(0.1, deadline - time.monotonic()))
    wait_until("no connection is left", lambda: weir.metrics().sum("weir_connections") == 0, 10 * t.slack)
    before.assert_again(within=max(1.0, deadline - time.monotonic()), memory=1.0, spare=64 << 20)


def _is_exact(stage):
    """Ten of fifteen requests of a new key pass."""
    stage.count += 1
    statuses = []
    for i in range(15):
        with stage.weir.connect() as c:
            fields = {"X-Key": f"fresh-{stage.count}", "X-Request-ID": f"after-{stage.count}-{i}"}
            statuses.append(c.request("GET", "/after", fields).status)
    return statuses == [200] * 10 + [429] * 5


def _passes(weir):
    try:
        return weir.get("/again", {"X-Request-ID": "again"}, timeout=5).status == 200
    except (OSError, TimeoutError, http1.Closed):
        return False


def judge(t, plan, stage, load, begin):
    answered = [a for a in load.asked if isinstance(a.outcome, int)]
    odd = [a.outcome for a in load.asked if isinstance(a.outcome, str) and a.outcome not in ("closed", "reused")]
    assert not odd, f"{len(odd)} wrong answers, such as {odd[0]}"
    assert len(answered) > 0, "nothing was answered"
    paused = any(p.name == "pause" for p in plan.planned)
    longest = max(a.end - a.begin for a in load.asked)
    assert longest <= TOTAL + 0.1 + (2.0 if paused else 0.5) * t.slack, f"a request took {longest:.2f} s"
    records, dropped = stage.finish_log()
    judge_limit(plan, answered, begin, {r["request_id"]: r.get("reason", "") for r in records})
    judge_records(load, [r["request_id"] for r in records], dropped)


def judge_limit(plan, answered, begin, reasons):
    """Where Redis was well for a window before and meanwhile, no window holds more than the limit. It was not well
    where a fault was played, nor where weir decided without it: a busy machine delays any answer."""
    sick = [(begin + p.start, begin + p.end + 2.5) for p in plan.planned if p.kind == "redis"]
    sick += [(a.begin, a.end) for a in answered if reasons.get(a.token, "").startswith(("store_", "fallback_"))]
    passed = sorted((a.begin, a.end) for a in answered if a.outcome not in (429, 503, 408))
    for first, _ in passed:
        last = first + WINDOW
        if any(s < last and first - WINDOW < e for s, e in sick):
            continue
        inside = sum(first <= b and e < last for b, e in passed)
        assert inside <= LIMIT, f"{inside} passed within {WINDOW} s although Redis was well"


def judge_records(load, ids, dropped):
    """One record per request; what the log dropped it says."""
    counts = collections.Counter(ids)
    twice = [i for i, n in counts.items() if n > 1 and i.count("-") == 2 and not i.startswith("after")]
    assert not twice, f"two records of {twice[:3]}"
    missing = [a.token for a in load.asked if isinstance(a.outcome, int) and not counts[a.token]]
    assert len(missing) <= dropped, f"no record of {missing[:3]} ({len(missing)}, {dropped} dropped)"
