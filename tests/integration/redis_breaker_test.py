# SPDX-License-Identifier: Apache-2.0
"""A Redis that fails again and again is left alone: what clients get meanwhile, how fast, and how it is found again."""

import threading
import time

from support import fault_relay as play
from support.check import equal
from support.fault_bench import MODES
from support.fault_relay import subject_key
from support.upstream import PATIENCE
from support.weir import wait_until

TIMEOUT = 0.3       # command_timeout
OPEN_FOR = 1.0      # the default of store.breaker.open_for
LIMIT = 2           # of every id, for the day


class _Case:
    def __init__(self, t, mode):
        self.mode = mode
        self.relay = t.fault_relay(t.redis())
        rules = [{"name": "per-id", "key": ["header:X-Id"], "missing": "skip", "limit": f"{LIMIT}/day"}]
        pool = {"command_timeout": f"{int(TIMEOUT * 1000)}ms", "connect_timeout": "2s"}
        self.weir = t.weir({"upstreams": {"app": {"url": t.upstream().url, "timeout": PATIENCE}}, "rules": rules,
                            "workers": 1, "store": {"url": self.relay.url, "failure_mode": mode, "pool": pool}})
        self.count = 0

    def ask(self, identity=None):
        self.count += 1
        return self.weir.get("/", {"X-Id": identity or f"{self.mode}-{self.count}"}).status

    def opened(self):
        return self.weir.metrics().sum("weir_store_breaker_opened_total")

    def asked(self, what):
        """How many commands of this operation came to the relay so far."""
        with self.relay.lock:
            return sum(d.args[0] == what for d in self.relay.decisions)

    def decided_by_redis(self, identity):
        return any(d.replied for d in self.relay.of(subject_key("header:X-Id", identity)))

    def fail_until_open(self):
        self.relay.play(play.silent(everything=False))
        wait_until("the breaker is open", lambda: (self.ask(), self.opened())[1] >= 1, 20)


def an_open_breaker_is_answered_by_the_failure_mode_within_a_millisecond(t):
    failures = []

    def work(mode):
        try:
            _open_and_closed_again(t, _Case(t, mode))
        except Exception as e:  # noqa: BLE001 - the other modes are run all the same
            failures.append(f"mode {mode}: {e!r}")
    threads = [threading.Thread(target=work, args=(mode,), daemon=True) for mode in MODES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, "\n".join(failures)


def _open_and_closed_again(t, case):
    case.fail_until_open()
    lines, takes, probes = len(case.weir.records(case.count)), case.asked(b"take"), case.asked(b"peek")
    begin, asked_before = time.monotonic(), case.count
    while time.monotonic() < begin + (10 if t.thorough else 3):
        equal(case.ask(), 503 if case.mode == "deny" else 200)
        time.sleep(0.01)
    watched = time.monotonic() - begin
    declared = {"allow": [200] * 4, "deny": [503] * 4, "local": [200] * LIMIT + [429] * (4 - LIMIT)}[case.mode]
    equal([case.ask("one") for _ in range(4)], declared, "answers to one id")
    equal(case.asked(b"take"), takes, "decisions sent to a Redis that is left alone")

    # one probe per pause, which is open_for or down to half of it, after the answer to the one before
    probes = case.asked(b"peek") - probes
    assert watched / (OPEN_FOR + TIMEOUT) - 2 <= probes <= watched / (OPEN_FOR / 2 + TIMEOUT) + 1, \
        f"{probes} probes in {watched:.1f} s"

    records = case.weir.records(case.count)[lines:]
    equal(len(records), case.count - asked_before)
    waits = sorted(r["limiter_ms"] for r in records)
    p99 = waits[int(0.99 * len(waits))]
    assert p99 < 1.0 * t.slack, f"p99 {p99} ms of {len(waits)}"
    assert waits[-1] < 1000 * TIMEOUT / 2, f"somebody waited for Redis: {waits[-1]} ms"
    equal({r["reason"] for r in records if r["status"] == 503} - {"store_timeout"}, set())

    begin = time.monotonic()
    case.relay.heal()
    found = wait_until("Redis decides again",
                       lambda: (case.ask(f"back-{case.mode}-{case.count}"),
                                case.decided_by_redis(f"back-{case.mode}-{case.count - 1}"))[1] and time.monotonic(), 10)
    assert found - begin <= 2.0 * t.slack, f"Redis decides again after {found - begin:.2f} s"
    t.note(f"{case.mode}: p99 {p99:.3f} ms of {len(waits)}, {probes} probes in {watched:.1f} s, "
           f"back after {found - begin:.2f} s")


def a_redis_that_is_often_too_late_is_left_alone_though_it_never_fails_in_a_row(t):
    case = _Case(t, "allow")
    case.relay.play(play.every_nth(3, play.executed_but_unanswered()))
    wait_until("the breaker is open", lambda: (case.ask(), case.opened())[1] >= 1, 20)
    assert "answers more than one command in a hundred too late" in case.weir.stderr()
    assert "times in a row" not in case.weir.stderr()
    equal({r["status"] for r in case.weir.records(case.count)}, {200})
    case.relay.heal()
    wait_until("Redis decides again", lambda: case.weir.metrics().sum("weir_store_up") == 1, 5)
    identity = "exact"
    equal([case.ask(identity) for _ in range(LIMIT + 1)], [200] * LIMIT + [429])
    assert case.decided_by_redis(identity)
    equal(case.opened(), 1)
