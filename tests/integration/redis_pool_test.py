# SPDX-License-Identifier: Apache-2.0
"""The connections to Redis: what the metrics say about them is what Redis sees, none is lost, old ones are replaced."""

import re
import signal
import time

from support import client
from support.check import equal
from support.context import Skip
from support.fault_relay import subject_key
from support.load import Load
from support.upstream import PATIENCE
from support.weir import wait_until


def _weir(t, url, pool, mode="deny", rules=None, **store):
    rules = rules or [{"name": "per-id", "key": ["header:X-Id"], "missing": "skip", "limit": "1000000/day"}]
    return t.weir({"upstreams": {"app": {"url": t.upstream().url, "timeout": PATIENCE}}, "rules": rules, "workers": 1,
                   "store": {"url": url, "failure_mode": mode, "pool": {"connect_timeout": "2s", **pool}, **store}})


def _request(identity):
    return client.request_bytes(fields={"X-Id": str(identity)})


class _Truth:
    """What a Redis says about the connections of others than this one."""

    def __init__(self, redis):
        self.client = redis.client()
        self.own = self.client.call("CLIENT", "ID")

    def connections(self):
        """The fields of each connection, from CLIENT LIST."""
        lines = self.client.call("CLIENT", "LIST").decode().splitlines()
        listed = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
        return [c for c in listed if int(c["id"]) != self.own]

    def blocked(self):
        return sum("b" in c["flags"] for c in self.connections())

    def handshakes(self):
        """Every connection of weir's selects its database once; nobody else does."""
        stats = self.client.call("INFO", "commandstats").decode()
        found = re.search(r"cmdstat_select:calls=(\d+)", stats)
        return int(found[1]) if found else 0


class _Pool:
    """One scrape."""

    def __init__(self, weir):
        m = weir.metrics()
        self.idle = m.sum("weir_store_pool_connections", state="idle")
        self.busy = m.sum("weir_store_pool_connections", state="busy")
        self.open = self.idle + self.busy
        self.waiting = m.sum("weir_store_pool_waiting")
        self.created = m.sum("weir_store_pool_created_total")
        self.connects = m.sum("weir_store_pool_connects_total")
        self.closed = {reason: m.sum("weir_store_pool_closed_total", reason=reason)
                       for reason in ("lost", "timeout", "recycled", "replaced", "refused", "shutdown")}
        self.leaked = m.sum("weir_store_pool_leaked_total")


def pool_statistics_equal_what_redis_sees_under_churn(t):
    size, redis = 3, t.redis()
    truth = _Truth(redis)
    weir = _weir(t, f"{redis.url}/1", {"size": size, "command_timeout": "5s"}, mode="allow")
    handshakes_before = lost = 0

    def whole():
        """Every place of the pool is connected, in weir's eyes and in those of Redis."""
        return _Pool(weir).open == size == len(truth.connections())
    wait_until("the pool is full", whole)
    load = Load(weir.port, rate=150, connections=8, request=_request).start()
    for churn in range(30 if t.thorough else 6):
        if churn % 3 == 0:
            lost += truth.client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        elif churn % 3 == 1:
            lost += truth.client.call("CLIENT", "KILL", "ID", truth.connections()[0]["id"])
        else:
            lost += len(truth.connections())
            handshakes_before += truth.handshakes()
            redis.kill()
            redis.start()
            truth = _Truth(redis)
        wait_until("the pool is full again", whole)
        pool = _Pool(weir)
        equal(pool.connects, handshakes_before + truth.handshakes(), "connections made")
        equal(pool.closed["lost"], lost, "connections lost")
        equal(pool.created - sum(pool.closed.values()), pool.open, "dialled and not closed")
    load.stop()
    assert set(load.counts()) == {200}, load.counts()
    t.note(f"{len(load.samples)} requests, {lost} connections lost, {pool.closed['refused']:.0f} dials refused")
    _busy_and_waiting(weir, truth, size)


def _busy_and_waiting(weir, truth, size):
    """Redis holds writes back: one request after the other goes to the connection with the fewest unanswered; the others
    wait."""
    few = 4     # calls that a connection takes without their replies
    truth.client.call("CLIENT", "PAUSE", 60000, "WRITE")
    held = []
    sent = weir.metrics().sum("weir_store_commands_total")
    for n in range(few * size + 2):
        connection = weir.connect(timeout=20)
        connection.send(_request(f"held-{n}"))
        held.append(connection)
        # a heartbeat may be among them
        wait_until(f"request {n + 1} is on its way", lambda: weir.metrics().sum("weir_store_commands_total") - sent +
                   _Pool(weir).waiting >= n + 1)
    pool = _Pool(weir)
    equal(pool.busy, truth.blocked(), "busy connections")
    equal(pool.busy, size)
    equal(pool.idle, 0)
    assert pool.waiting - (len(held) - few * size) in (0, 1), pool.waiting
    truth.client.call("CLIENT", "UNPAUSE")
    equal([c.read().status for c in held], [200] * len(held))
    wait_until("nothing is on its way", lambda: (lambda p: (p.idle, p.busy, p.waiting) == (size, 0, 0))(_Pool(weir)))
    equal(_Pool(weir).leaked, 0)


def connections_are_replaced_at_their_age_without_a_gap(t):
    redis = t.redis()
    truth = _Truth(redis)
    weir = _weir(t, f"{redis.url}/1", {"size": 2, "command_timeout": "5s", "recycle": "1s"})
    load = Load(weir.port, rate=100, connections=4, request=_request).start()
    oldest, deadline = 0, time.monotonic() + (20 if t.thorough else 4)
    while time.monotonic() < deadline:
        oldest = max([oldest] + [int(c["age"]) for c in truth.connections()])
        time.sleep(0.05)
    load.stop()
    equal(load.failed(), [], "requests without a decision of Redis")
    pool = _Pool(weir)
    assert pool.closed["recycled"] >= 4, pool.closed
    assert oldest <= 2 * t.slack, f"a connection lived {oldest} s"    # 1.1 s, in whole seconds
    equal({reason: n for reason, n in pool.closed.items() if n and reason != "recycled"}, {}, "closed for other reasons")

    def settled():
        seen = truth.handshakes(), len(truth.connections())
        now = _Pool(weir)
        return (now.connects, now.open) == seen == (now.closed["recycled"] + now.open, 2)
    wait_until("statistics and truth agree between two replacements", settled)
    t.note(f"{pool.closed['recycled']:.0f} replaced under {len(load.samples)} requests, oldest {oldest} s")


def a_connection_that_died_while_idle_costs_no_decision(t):
    """Something between us forgets connections that are idle for long and resets them at the next byte. The heartbeat
    keeps the first connection of a pool alive, so the second one is used while the first is held up."""
    def forgets(held):
        def script(x):
            if x.name == b"PING":
                x.reset()
            if x.is_decision and held in x.decision.keys:
                x.wait(1.0)
            elif x.is_decision and x.link.number == 2:
                x.reset()
            x.answer()
        return script

    weirs = {}
    for ping in (True, False):
        relay = t.fault_relay(t.redis())
        weirs[ping] = relay, _weir(t, relay.url, {"size": 2, "command_timeout": "5s", "pre_ping": ping})
        wait_until("both connections are up", lambda w=weirs[ping][1]: _Pool(w).open == 2)
    time.sleep(10.5)
    for ping, (relay, weir) in weirs.items():
        pings = []

        def script(x, inner=forgets(subject_key("header:X-Id", "held")), seen=pings):
            if x.name == b"PING":
                seen.append(x.link.number)
            inner(x)
        relay.play(script)
        held = weir.connect(timeout=20)
        held.send(_request("held"))
        wait_until("the first connection is busy", lambda w=weir: _Pool(w).busy == 1)
        status = weir.get("/", {"X-Id": "other"}).status
        equal(held.read().status, 200)
        equal(status, 200 if ping else 503, f"with pre_ping {ping}")
        equal(pings, [2] if ping else [], "connections that were asked")
        wait_until("the pool is full again", lambda w=weir: _Pool(w).open == 2)
        equal((_Pool(weir).closed["lost"], _Pool(weir).connects), (1, 3))


def a_leak_is_reported_once_with_its_age(t):
    """The process stands still for longer than a decision may be held."""
    redis = t.redis()
    weir = _weir(t, redis.url, {"command_timeout": "200ms"})
    equal(weir.get("/", {"X-Id": "a"}).status, 200)
    redis.process.send_signal(signal.SIGSTOP)
    held = weir.connect(timeout=20)
    held.send(_request("held"))
    wait_until("the decision is on its way", lambda: _Pool(weir).busy == 1, interval=0.001)
    weir.halt()
    begin = time.monotonic()
    time.sleep(1.5)
    weir.signal(signal.SIGCONT)
    stood = time.monotonic() - begin
    equal(held.read().status, 503)
    redis.process.send_signal(signal.SIGCONT)
    wait_until("Redis decides again", lambda: weir.get("/", {"X-Id": "b"}).status == 200, 5)
    time.sleep(1.5)
    _one_leak(weir, stood, 200)


def a_call_that_was_lost_is_reported_once_with_its_age_and_ended(t):
    if not t.build.has_hooks:
        raise Skip("this build has no test hooks")
    redis = t.redis()
    rules = [{"name": "test-lose-call", "key": ["header:X-Id"], "missing": "skip", "limit": "5/day"}]
    weir = _weir(t, redis.url, {"command_timeout": "200ms"}, rules=rules)
    begin = time.monotonic()
    equal(weir.get("/", {"X-Id": "a"}, timeout=20).status, 503)
    took = time.monotonic() - begin
    assert 1.2 <= took, took
    equal(weir.get("/").status, 200)
    time.sleep(1.5)
    _one_leak(weir, took, 200)


def _one_leak(weir, seconds, allowed_ms):
    """One line, whose age is about what the test saw; counted."""
    lines = re.findall(r"leak: a call to redis was held for (\d+) ms and may take (\d+) ms", weir.stderr())
    equal(len(lines), 1, f"reports in {weir.stderr()[-1500:]}")
    age, allowed = (int(n) for n in lines[0])
    equal(allowed, allowed_ms)
    assert 0 <= age - allowed - 1000 and age <= 1000 * seconds + 500, f"{age} ms after {seconds:.3f} s"
    assert 1 <= _Pool(weir).leaked <= 2, _Pool(weir).leaked     # a heartbeat may have been on its way, too


def a_redis_that_forgets_under_pressure_is_warned_of_at_the_start(t):
    for policy, warned in (("allkeys-lru", True), ("volatile-lru", True), ("volatile-ttl", False), ("noeviction", False)):
        weir = _weir(t, t.redis(options=["--maxmemory-policy", policy]).url, {})
        lines = [line for line in weir.stderr().splitlines() if "maxmemory-policy" in line]
        equal(len(lines), 1 if warned else 0, f"warnings of {policy}: {lines}")
        assert not warned or (policy in lines[0] and "volatile-ttl" in lines[0] and "warn" in lines[0]), lines


def the_time_redis_takes_is_told_by_what_it_is_asked_for(t):
    rules = [{"name": "failures", "key": ["client_ip"], "limit": "100000/day", "count": {"status": ["4xx"]}},
             {"name": "everyone", "key": ["constant:all"], "limit": "100000/second", "sharing": "balanced"}]
    weir = _weir(t, t.redis().url, {"command_timeout": "5s"}, rules=rules)
    load = Load(weir.port, rate=200, connections=4).run_for(1.5)
    equal(set(load.counts()), {200})

    def counts():
        m = weir.metrics()
        return {op: m.sum("weir_store_request_duration_seconds_count", op=op) for op in ("take", "settle", "lease", "admin")}
    # no answer was an error: every request gives its unit of `failures` back
    wait_until("every unit is given back", lambda: counts()["settle"] == len(load.samples))
    equal(counts()["take"], len(load.samples))
    assert 1 <= counts()["lease"] <= len(load.samples) / 2, counts()
    wait_until("a heartbeat was answered", lambda: counts()["admin"] >= 1)
