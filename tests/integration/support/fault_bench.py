# SPDX-License-Identifier: Apache-2.0
"""One weir behind a relay to a Redis of its own, and the procedure each Redis fault goes through in a failure mode.

A run: a decision of Redis is seen; the fault begins; every answer is the mode's within one command_timeout; soon they
are fast; the fault ends; a decision of Redis is seen again within 2 s and counts exactly; no take was sent twice."""

import statistics
import threading
import time
import traceback

from . import client
from .fault_relay import subject_key
from .upstream import PATIENCE
from .weir import wait_until

MODES = ("allow", "deny", "local")
TIMEOUT = 0.4           # command_timeout: far above what a busy machine needs for a healthy decision
BUSY = 0.6              # what scheduling on a busy machine may add to any wait, beside what is measured of it
FAST = TIMEOUT / 2      # as a median: nobody waits for the store any more
RECOVERY = 2.0 + 1.0    # the required 2 s, and a second for the machine
TRIES = 4               # of exact counting: a decision of a starved machine may time out without being lost for good
LIMIT = 2               # of every id, for the day


class Fault:
    """`begin(bench)` and `end(bench)` start and stop it. `partial`: only some decisions fail. `harmless`: none does.
    `hostile`: weir must not collect what it is sent."""

    def __init__(self, name, begin, end=None, partial=False, harmless=False, hostile=False):
        self.name, self.begin, self.end = name, begin, end or (lambda bench: None)
        self.partial, self.harmless, self.hostile = partial, harmless, hostile


class Bench:
    def __init__(self, t, mode, name, redis_options=()):
        self.t, self.mode, self.name = t, mode, name
        self.redis = t.redis(options=redis_options)
        self.relay = t.fault_relay(self.redis)
        self.asked = {}     # id -> number of requests
        self.count = 0
        rules = [{"name": "per-id", "key": ["header:X-Id"], "missing": "skip", "limit": f"{LIMIT}/day"}]
        upstreams = {"app": {"url": t.upstream().url, "timeout": PATIENCE}}
        self.weir = t.weir({"upstreams": upstreams, "rules": rules, "workers": 1,
                            "store": {"url": self.relay.url, "failure_mode": mode,
                                      "pool": {"command_timeout": f"{int(TIMEOUT * 1000)}ms",
                                               "connect_timeout": f"{int(TIMEOUT * 1000)}ms"}}}, start=False)
        self.connection = None
        self.controls = []  # seconds of requests that need no store: what the machine itself takes at the moment

    def start(self):
        self.weir.start()
        return self

    # ---- requests ----------------------------------------------------------------------------------------------------
    def fresh_id(self):
        self.count += 1
        return f"{self.name}-{self.mode}-{self.count}"

    def ask(self, identity=None):
        """(status, seconds, the id) of one request; a fresh id unless one is given."""
        identity = identity or self.fresh_id()
        self.asked[identity] = self.asked.get(identity, 0) + 1
        status, seconds = self._timed({"X-Id": identity})
        return status, seconds, identity

    def control(self):
        """A request that no rule counts."""
        status, seconds = self._timed({})
        assert status == 200, f"status {status} of a request without a rule"
        self.controls = self.controls[-8:] + [seconds]
        return seconds

    def machine(self):
        """What the busiest of the last control requests took."""
        return max(self.controls)

    def _timed(self, fields):
        request = client.request_bytes(fields=fields)
        begin = time.monotonic()
        self.connection = self.connection or self.weir.connect(timeout=10)
        self.connection.send(request)
        response = self.connection.read()
        if response.closes:
            self.connection.close()
            self.connection = None
        return response.status, time.monotonic() - begin

    def decided_by_redis(self, identity):
        return any(d.replied and isinstance(d.reply, list) for d in self.relay.of(self.key_of(identity)))

    @staticmethod
    def key_of(identity):
        return subject_key("header:X-Id", identity)

    def status_of(self, n):
        """What the mode answers to the n-th request of an id (from 0) while no decision of Redis comes."""
        return {"allow": 200, "deny": 503, "local": 200 if n < LIMIT else 429}[self.mode]

    # ---- the procedure -------------------------------------------------------------------------------------------------
    def run(self, fault):
        self._wait_for_redis("before the fault", 20)
        self.control()
        first, rss = self.count, self.weir.resident_bytes()
        mark = len(self.relay.decisions)
        fault.begin(self)
        try:
            if fault.harmless:
                self._exact(6)
            elif fault.partial:
                self._only_declared_answers()
            else:
                self._answers_of_the_mode()
            if fault.hostile and not self.t.build.sanitized:   # their allocators hold freed memory back
                grown = self.weir.resident_bytes() - rss
                assert grown <= 4 << 20, f"{grown} bytes more are resident"
        finally:
            fault.end(self)
            self.relay.heal()
        began = time.monotonic()
        self._wait_for_redis("after the fault", RECOVERY + 10 * self.machine())
        recovery = time.monotonic() - began
        self._exact(1)
        self._nothing_sent_twice(first, mark)
        return recovery

    def _wait_for_redis(self, when, within):
        """Polls with fresh ids until Redis decided one."""
        seen = []

        def decided():
            status, _, identity = self.ask()
            seen.append(status)
            assert status in (200, self.status_of(0)), f"status {status} {when}"
            return self.decided_by_redis(identity) and status == 200
        try:
            wait_until(f"Redis decides {when}", decided, within, 0.05)
        except AssertionError as e:
            raise AssertionError(f"{e}; statuses {seen}") from None

    def _exact(self, ids):
        for _ in range(ids):
            for tries_left in reversed(range(TRIES)):
                identity = self.fresh_id()
                statuses = [self.ask(identity)[0] for _ in range(LIMIT + 1)]
                if statuses == [200] * LIMIT + [429] and self.decided_by_redis(identity):
                    break
                assert tries_left, f"not the answers of Redis: {statuses}"
                self._wait_for_redis("for another try", 20)

    def _answers_of_the_mode(self):
        # nothing waits longer than one command_timeout, whichever state the connection is in
        for n in range(8):
            status, seconds, identity = self.ask()
            self.control()
            if n == 0 and self.decided_by_redis(identity):
                continue    # it was quicker than the fault
            assert status == self.status_of(0), f"request {n + 1}: status {status}, declared {self.status_of(0)}"
            assert seconds <= TIMEOUT + BUSY + 4 * self.machine(), f"request {n + 1} took {seconds:.3f} s"
        times, controls = [], []
        for n in range(9):
            status, seconds, identity = self.ask()
            assert status == self.status_of(0), f"status {status} later on, declared {self.status_of(0)}"
            assert not self.decided_by_redis(identity), "Redis decides during the fault"
            times.append(seconds)
            controls.append(self.control())
        assert statistics.median(times) <= FAST + 3 * statistics.median(controls), \
            f"still slow: {[round(s, 3) for s in times]}; without the store {[round(s, 3) for s in controls]}"
        identity = self.fresh_id()
        statuses = [self.ask(identity)[0] for _ in range(LIMIT + 2)]
        declared = [self.status_of(n) for n in range(LIMIT + 2)]
        assert statuses == declared, f"one id got {statuses}, declared {declared}"

    def _only_declared_answers(self):
        """Some decisions come from Redis, some from the mode: nothing else, and never more than both would admit."""
        for _ in range(8):
            identity = self.fresh_id()
            answers = [self.ask(identity)[:2] for _ in range(LIMIT + 2)]
            statuses = [s for s, _ in answers]
            assert set(statuses) <= {200, 429, self.status_of(0)}, statuses
            self.control()
            assert max(s for _, s in answers) <= TIMEOUT + BUSY + 4 * self.machine(), answers
            if self.mode == "local":
                assert statuses.count(200) <= 2 * LIMIT, statuses
            if self.mode == "deny":
                assert statuses.count(200) <= LIMIT, statuses

    def _nothing_sent_twice(self, first, mark):
        """A take counts as sent unless the reply said that it was not executed."""
        with self.relay.lock:
            takes = [d for d in self.relay.decisions[mark:] if d.args[:1] == [b"take"] and not d.may_be_repeated]
        sent = {}
        for decision in takes:
            for key in decision.keys:
                sent[key] = sent.get(key, 0) + 1
        for n in range(first + 1, self.count + 1):
            identity = f"{self.name}-{self.mode}-{n}"
            times = sent.get(self.key_of(identity), 0)
            assert times <= self.asked[identity], f"{times} takes for {self.asked[identity]} requests of {identity}"

    def finish(self):
        """No answer of weir's own making beyond the declared ones, over all runs."""
        if self.connection:
            self.connection.close()
        statuses = {r["status"] for r in self.weir.records()}
        assert statuses <= {200, 429, self.status_of(0)}, f"statuses {statuses} in mode {self.mode}"


def run_all(t, faults, lanes=2, redis_options=(), make=Bench):
    """Every fault in every mode; each mode has `lanes` benches at work at the same time."""
    failures, recoveries = [], []

    def work(mode, lane):
        share = faults[lane::lanes]
        name = "?"
        try:
            bench = make(t, mode, f"l{lane}", redis_options)
            bench.start()
            for fault in share:
                name = fault.name
                try:
                    recoveries.append(bench.run(fault))
                except Exception as e:  # noqa: BLE001 - the other faults are run all the same
                    text = str(e) if isinstance(e, AssertionError) else traceback.format_exc()
                    failures.append(f"{name} in mode {mode}: {text}")
                    bench.connection = None
            name = "all runs"
            bench.finish()
        except Exception:  # noqa: BLE001
            failures.append(f"{name} in mode {mode}: {traceback.format_exc()}")
    threads = [threading.Thread(target=work, args=(mode, lane), daemon=True) for mode in MODES for lane in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.note(f"{len(faults)} faults x {len(MODES)} modes" +
           (f", back after at most {max(recoveries):.2f} s" if recoveries else ""))
    assert not failures, f"{len(failures)} of {len(faults) * len(MODES)} runs failed:\n" + "\n".join(failures)
