# SPDX-License-Identifier: Apache-2.0
"""Costs that only the response tells: reserved, settled by what it says, and exact whatever becomes of it."""

import gzip
import json
import re
import threading
import time

from support import client
from support.check import envelope, equal
from support.upstream import by_path, close_after_body, drip, ok, raw, sequence
from support.weir import wait_until


def _store(redis):
    return {"url": redis.url, "failure_mode": "deny", "pool": {"command_timeout": "10s"}} if redis else {}


def _weir(t, rule, script, redis=None, **policy):
    u = t.upstream(script)
    full = {"name": "r", "key": ["client_ip"], "limit": "100/day", **rule}
    return t.weir({"upstreams": {"app": {"url": u.url, "retry": {"attempts": 0}}}, "rules": [full], **policy,
                   "store": _store(redis)})


def _left(response):
    return int(re.search(r"r=(\d+)", response.header("RateLimit"))[1])


def _units(weir, outcome):
    return weir.metrics().sum("weir_settled_units_total", rule="r", outcome=outcome)


def _settled(weir, outcome, units):
    wait_until(f"{units} units are {outcome}", lambda: _units(weir, outcome) == units)


def _tokens(n):
    return json.dumps({"id": "x", "usage": {"prompt_tokens": 1, "total_tokens": n}}).encode()


TOKENS = {"response_cost": {"reserve": 20, "actual": {"json_pointer": "/usage/total_tokens"}, "max": 60}}


def _stores(t):
    """None = memory, then a real Redis."""
    yield None
    yield t.redis()


def the_reserve_is_settled_by_what_the_response_says_in_every_store(t):
    for redis in _stores(t):
        weir = _weir(t, TOKENS, sequence(ok(_tokens(5)), ok(_tokens(45)), ok(_tokens(20)), ok(b"no json")), redis)
        equal(_left(weir.get()), 80)
        _settled(weir, "refund", 15)
        equal(_left(weir.get()), 75)        # 95 before the reserve
        _settled(weir, "extra", 25)
        equal(_left(weir.get()), 30)        # 50
        _settled(weir, "exact", 20)
        equal(_left(weir.get()), 10)        # 30
        _settled(weir, "exact", 40)         # unreadable: the reserve stays


def what_no_unit_is_left_for_is_counted_as_uncollected(t):
    for redis in _stores(t):
        weir = _weir(t, TOKENS, ok(_tokens(999)), redis)
        equal(_left(weir.get()), 80)
        _settled(weir, "extra", 40)         # max 60
        equal(_left(weir.get()), 20)
        _settled(weir, "extra", 60)
        _settled(weir, "uncollected", 20)
        envelope(weir.get(), 429, close=False)


def of_a_hundred_parallel_requests_that_reserve_80_of_100_units_one_is_admitted(t):
    for redis in _stores(t):
        gate = threading.Event()

        def answer(x):
            x.read_body()
            gate.wait(20)
            x.respond(200, _tokens(7))
        weir = _weir(t, {"response_cost": {"reserve": 80, "actual": {"json_pointer": "/usage/total_tokens"}}}, answer,
                     redis)
        results, answers = [], []

        def ask():
            results.append(weir.get(timeout=40).status)
        threads = [threading.Thread(target=ask) for _ in range(100)]
        for thread in threads:
            thread.start()
        wait_until("99 are refused", lambda: len(results) == 99, 60)
        equal(results, [429] * 99)
        gate.set()
        for thread in threads:
            thread.join()
        equal(sorted(results), [200] + [429] * 99)
        _settled(weir, "refund", 73)
        # a worker remembers for 100 ms that there was nothing left
        wait_until("a request passes", lambda: answers.append(weir.get()) or answers[-1].status == 200)
        equal(_left(answers[-1]), 13)


def event_streams_and_gzip_are_read_as_they_pass_wherever_they_are_cut(t):
    stream = (b'data: {"choices":[]}\n\ndata: {"usage":{"total_tokens":11}}\n\n'
              b'data: {"usage":{"total_tokens":42}}\n\ndata: [DONE]\n\n')
    coded = gzip.compress(stream)
    as_stream = ("Content-Type", "text/event-stream")
    table = {
        "/plain": ok(stream, [as_stream], chunk_sizes=[1]),
        "/three": ok(stream, [as_stream], chunk_sizes=[3]),
        "/gzip": ok(coded, [as_stream, ("Content-Encoding", "gzip")], chunk_sizes=[1]),
        "/json": ok(gzip.compress(_tokens(42)), [("Content-Encoding", "gzip")], chunk_sizes=[1]),
        "/drip": drip(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                      % (len(_tokens(42)), _tokens(42)), 0.002),
    }
    bodies = {"/plain": stream, "/three": stream, "/gzip": coded, "/json": None, "/drip": _tokens(42)}
    weir = _weir(t, {**TOKENS, "limit": "1000/day"}, by_path(table))
    for number, (path, body) in enumerate(bodies.items(), 1):
        r = weir.get(path)
        equal(r.status, 200)
        if body is not None:
            equal(r.body, body)
        _settled(weir, "extra", 22 * number)


def bytes_of_both_bodies_are_counted_in_units_rounded_up(t):
    def answer(x):
        x.read_body()
        x.respond(200, b"y" * 2048, chunk_sizes=[100])
    for which, cost in (("request", 2), ("response", 2), ("both", 3)):
        weir = _weir(t, {"response_cost": {"reserve": 10, "actual": {"bytes": which}, "unit": "1KiB"}}, answer)
        equal(weir.fetch("POST", "/", body=b"x" * 1025 if which == "request" else b"x" * 1).status, 200)
        _settled(weir, "refund", 10 - cost)


def a_response_header_settles_when_it_is_one_integer(t):
    cases = [([("X-Credits", "3")], 7), ([("X-Credits", "-3")], 0), ([("X-Credits", "3"), ("X-Credits", "3")], 0),
             ([("X-Credits", "3.5")], 0), ([], 0)]
    for fields, refund in cases:
        weir = _weir(t, {"response_cost": {"reserve": 10, "actual": {"header": "X-Credits"}}}, ok(b"", fields))
        equal(weir.get().status, 200)
        _settled(weir, "refund", refund)
        _settled(weir, "exact", 0 if refund else 10)


def a_client_that_leaves_keeps_its_reserve_charged_or_gets_it_back_as_the_file_says(t):
    def slow(x):
        x.read_body()
        if x.wait_for_peer_close(30):
            x.close()
    for redis in _stores(t):
        for on_missing, outcome in (("keep", "exact"), ("refund", "refund")):
            rule = {"response_cost": {**TOKENS["response_cost"], "on_missing": on_missing}}
            weir = _weir(t, {**rule, "key": [f"constant:{on_missing}"]}, slow, redis)
            c = weir.connect()
            c.send(client.request_bytes("GET", "/", (), None, "a.example", "HTTP/1.1"))
            wait_until("it is decided", lambda w=weir: w.metrics().sum("weir_decisions_total", decision="allow") == 1)
            c.close()
            _settled(weir, outcome, 20)


def an_upstream_that_gives_no_response_or_half_of_one_is_a_missing_cost(t):
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + _tokens(3)
    for script, status in ((close_after_body, 502), (raw(cut, close=True), 200)):
        weir = _weir(t, TOKENS, script)
        c = weir.connect()
        c.send(client.request_bytes("GET", "/", (), None, "a.example", "HTTP/1.1"))
        equal(c.read_head()[1], status)
        _settled(weir, "exact", 20)
        c.close()


def only_responses_with_a_listed_status_stay_charged(t):
    for redis in _stores(t):
        script = by_path({"/bad": ok(status=401), "/gone": ok(status=503)})
        weir = _weir(t, {"limit": "5/day", "count": {"status": [401, 403, "5xx"]}}, script, redis)
        for _ in range(20):
            equal(weir.get("/good").status, 200)
        _settled(weir, "refund", 20)
        for _ in range(4):
            equal(weir.get("/bad").status, 401)
        equal(weir.get("/gone").status, 503)
        envelope(weir.get("/good"), 429, close=False)
        _settled(weir, "exact", 5)


def a_retried_request_is_settled_once_by_its_last_response(t):
    u = t.upstream(sequence(ok(_tokens(50), status=503), ok(_tokens(4))))
    weir = t.weir({"upstreams": {"app": {"url": u.url, "retry": {"backoff": {"jitter": "none"}}}},
                   "rules": [{"name": "r", "key": ["client_ip"], "limit": "100/day", **TOKENS}]})
    equal(weir.get().status, 200)
    equal(len(u.requests), 2)
    _settled(weir, "refund", 16)
    time.sleep(0.1)
    equal(_units(weir, "extra") + _units(weir, "exact"), 0)


def a_cost_the_client_names_is_clamped_and_garbage_costs_the_most(t):
    weir = _weir(t, {"limit": "1000/day", "cost_from": {"header": "X-Cost", "min": 2, "max": 50}}, ok())
    left = 1000
    for value, cost in (("7", 7), ("1", 2), ("99", 50), ("-1", 50), ("1.5", 50), ("nan", 50), ("9" * 40, 50)):
        left -= cost
        equal(_left(weir.get("/", {"X-Cost": value})), left)
    equal(_left(weir.get()), left - 2)


def a_settlement_is_sent_once_and_goes_where_the_decision_was_made(t):
    redis = t.redis()
    u = t.upstream(by_path({"/slow": _delayed(0.6)}, ok(_tokens(5))))
    weir = t.weir({"upstreams": {"app": {"url": u.url}}, "workers": 1,  # each tells the store of its own usage
                   "rules": [{"name": "r", "key": ["client_ip"], "limit": "100/day", **TOKENS}],
                   "store": {"url": redis.url, "failure_mode": "local", "replicas": 1}})
    result = []
    thread = threading.Thread(target=lambda: result.append(weir.get("/slow", timeout=20)))
    thread.start()
    wait_until("it is forwarded", lambda: u.requests)
    redis.stop()                            # the settlement fails and is not repeated
    thread.join()
    equal(result[0].status, 200)
    wait_until("the store is down", lambda: weir.metrics().sum("weir_store_up") == 0)
    r = weir.get()                          # decided in the process, where nothing is charged yet
    equal(_left(r), 80)
    _settled(weir, "refund", 15)
    redis.start()
    wait_until("the store is back", lambda: weir.metrics().sum("weir_store_up") == 1)
    wait_until("decisions come from the store", lambda: weir.metrics().sum("weir_failure_mode_decisions_total") >= 1)
    equal(_left(weir.get()), 75)            # a fresh Redis, told of the 5 that the outage used and nothing else


def _delayed(seconds):
    def script(x):
        x.read_body()
        time.sleep(seconds)
        x.respond(200, _tokens(5))
    return script


def a_drain_settles_what_it_lets_finish_and_what_it_cuts(t):
    redis = t.redis()
    policy = {"drain": {"delay": "0s", "timeout": "1s"}}
    u = t.upstream(by_path({"/slow": _delayed(0.3)}, _delayed(8)))
    rule = {"name": "r", "key": ["client_ip"], "limit": "100/day",
            "response_cost": {**TOKENS["response_cost"], "on_missing": "refund"}}
    weir = t.weir({"upstreams": {"app": {"url": u.url}}, "rules": [rule], **policy, "store": _store(redis)})
    weir.expected_exit = 1                  # a request is cut
    for path in ("/slow", "/cut"):
        threading.Thread(target=_try, args=(weir, path), daemon=True).start()
    wait_until("both are forwarded", lambda: len(u.requests) == 2)
    equal(weir.terminate(), 1)
    second = t.weir({"upstreams": {"app": {"url": t.upstream().url}},
                     "rules": [{"name": "r", "key": ["client_ip"], "limit": "100/day", "cost": 1}],
                     "store": _store(redis)})
    equal(_left(second.get()), 94)          # 5 of /slow and this one; the reserve of /cut is back


def _try(weir, path):
    try:
        weir.get(path, timeout=20)
    except (OSError, TimeoutError, client.http1.Closed):
        pass
