# SPDX-License-Identifier: Apache-2.0
"""What users of other rate limiters complain about, and how weir answers: a test for each complaint."""

import subprocess
import time

from support.check import equal
from support.weir import wait_until

TRUST = {"client_ip": {"trusted_proxies": ["127.0.0.0/8"]}}
WEB = {"upstreams": {"web": {"url": "http://127.0.0.1:9"}}}


def _weir(t, rules, **policy):
    u = t.upstream()
    return t.weir({"upstreams": {"web": {"url": u.url}}, "workers": 1, "rules": rules, **policy})


def _check(t, text, env=None):
    """Exit code and what `weir check` prints about a policy: the smallest one and `text`."""
    policy = 'version: 1\nupstreams: {web: {url: "http://127.0.0.1:9"}}\n' + text
    done = subprocess.run([t.build.path, "check", "-"], input=policy, capture_output=True, text=True, timeout=20,
                          env=env, check=False)
    return done.returncode, done.stdout


def _explained(weir, url, *options):
    """What `weir explain` says of a GET by the policy of `weir`."""
    done = subprocess.run([weir.binary, "explain", weir.policy_path, "GET", url, *options], capture_output=True, text=True,
                          timeout=20, check=True)
    return done.stdout


def _statuses(weir, times, target="/", fields=()):
    return [weir.get(target, fields).status for _ in range(times)]


def average_burst_and_period_are_one_phrase_and_said_in_words(t):
    code, text = _check(t, "rules: [{name: slow, key: [client_ip], limit: 6/minute}]\n")
    equal(code, 0)
    assert "6 at once, then 1 every 10s" in text and "at most 11 in any 60s" in text, text
    weir = _weir(t, [{"name": "slow", "key": ["client_ip"], "limit": "6/minute"}])
    equal(_statuses(weir, 6), [200] * 6)
    assert 1 <= int(weir.get().header("Retry-After")) <= 10


def a_limit_per_minute_is_not_one_per_hundredth_of_a_second_and_nothing_is_delayed(t):
    weir = _weir(t, [{"name": "fast", "key": ["client_ip"], "limit": "6000/minute"}])
    with weir.connect() as c:
        equal([c.request().status for _ in range(300)], [200] * 300)
    slowest = max(r["limiter_ms"] for r in weir.records(300))
    assert slowest < 250 * t.slack, slowest


def what_is_written_is_enforced_and_what_is_missing_is_an_error(t):
    code, text = _check(t, "rules: [{name: r, key: [client_ip]}]\n")
    equal(code, 78)
    assert "E0302" in text and "`limit`" in text, text
    equal(_check(t, "rules: [{name: r, key: [client_ip], limit: 0/minute}]\n")[0], 78)
    weir = _weir(t, [{"name": "r", "key": ["client_ip"], "limit": "1/day"}])
    assert "1 enforced" in weir.stderr(), weir.stderr()
    equal(_statuses(weir, 2), [200, 429])


def every_rule_that_matches_is_charged_and_a_missing_key_is_spelled_out(t):
    code, text = _check(t, "identity: {user: [{header: X-Key}]}\nrules: [{name: r, key: [user], limit: 1/day}]\n")
    equal(code, 78)
    assert "E0305" in text and "skip" in text and "deny" in text and "fallback" in text, text
    weir = _weir(t, [{"name": "all", "key": ["constant:all"], "limit": "5/day"},
                     {"name": "nested", "key": ["client_ip"], "match": {"path": "/v1/**"}, "limit": "4/day"},
                     {"name": "twice", "key": ["client_ip"], "match": {"path": "/v1/**"}, "limit": "4/day"}])
    r = weir.get("/v1/a")
    for name, left in (("all", 4), ("nested", 3), ("twice", 3)):
        assert f'"{name}";r={left};' in r.header("RateLimit"), r
    equal(weir.get("/other").header("RateLimit").partition(";t")[0], '"all";r=3')
    assert "nested  unmatched  the path is /other, not /v1/**" in _explained(weir, "/other"), _explained(weir, "/other")


def the_rule_that_denied_is_in_header_body_log_and_metric(t):
    weir = _weir(t, [{"name": "wide", "key": ["client_ip"], "limit": "9/day"},
                     {"name": "narrow", "key": ["client_ip"], "limit": "1/day"}])
    weir.get()
    r = weir.get("/", {"X-Request-ID": "which"})
    assert r.header("RateLimit").startswith('"narrow";r=0;'), r
    equal(r.json()["error"]["details"]["rule"], "narrow")
    equal(weir.record("which")["rule"], "narrow")
    equal([weir.metrics().sum("weir_decisions_total", rule=n, decision="deny") for n in ("wide", "narrow")], [0, 1])


def replicas_share_a_limit_and_a_store_that_cannot_is_warned_about(t):
    redis = t.redis()
    store = {"url": redis.url, "failure_mode": "deny", "pool": {"command_timeout": "10s"}}
    rules = [{"name": "r", "key": ["client_ip"], "limit": "3/day"}]
    both = [_weir(t, rules, store=store) for _ in range(2)]
    equal(sorted(w.get().status for w in both * 3), [200] * 3 + [429] * 3)
    _, text = _check(t, "rules: [{name: r, key: [client_ip], limit: 3/day}]\n", env={"POD_NAME": "web-1"})
    assert "W0501" in text, text


def a_key_takes_any_combination(t):
    weir = _weir(t, [{"name": "both", "key": ["user", "client_ip"], "missing": "fallback", "limit": "1/day"}],
                 identity={"user": [{"header": "X-Key"}]}, **TRUST)
    tries = [("a", "192.0.2.1"), ("a", "192.0.2.2"), ("b", "192.0.2.1"), (None, "192.0.2.1")]
    for expected in (200, 429):
        for user, address in tries:
            fields = {"X-Forwarded-For": address, **({"X-Key": user} if user else {})}
            equal(weir.get("/", fields).status, expected, (user, address))


def clients_behind_a_balancer_are_told_apart_and_a_forged_address_is_not_believed(t):
    rules = [{"name": "r", "key": ["client_ip"], "limit": "1/day"}]
    behind = _weir(t, rules, **TRUST)
    equal([behind.get("/", {"X-Forwarded-For": a}).status for a in ("192.0.2.1", "192.0.2.2", "192.0.2.1")],
          [200, 200, 429])
    equal(behind.get("/", {"X-Forwarded-For": "198.51.100.1, 192.0.2.2"}).status, 429)   # the left part is a claim
    chain = _explained(behind, "/", "--ip", "127.0.0.7", "-H", "X-Forwarded-For: 198.51.100.1, 192.0.2.2")
    assert "127.0.0.7  trusted\n" in chain and "192.0.2.2  not trusted: the client\n" in chain, chain
    direct = _weir(t, rules)
    equal([direct.get("/", {"X-Forwarded-For": a}).status for a in ("192.0.2.1", "192.0.2.2")], [200, 429])
    assert "W0203" in direct.stderr(), direct.stderr()


def an_ipv6_client_cannot_rotate_through_its_network(t):
    weir = _weir(t, [{"name": "r", "key": ["client_ip"], "limit": "1/day"}], **TRUST)
    addresses = [f"2001:db8:1:2::{i:x}" for i in range(1, 20)]
    equal([weir.get("/", {"X-Forwarded-For": a}).status for a in addresses], [200] + [429] * 18)
    equal(weir.get("/", {"X-Forwarded-For": "2001:db8:1:3::1"}).status, 200)


def probes_are_never_answered_429(t):
    _, text = _check(t, "rules: [{name: r, key: [client_ip], limit: 1/day}]\n")
    assert "W0301" not in text, text
    weir = _weir(t, [{"name": "r", "key": ["client_ip"], "limit": "1/day"}],
                 exempt=[{"match": {"path": ["/healthz", "/readyz"]}, "reason": "probes"}])
    weir.get()
    equal(weir.get().status, 429)
    equal(_statuses(weir, 5, "/healthz"), [200] * 5)
    equal([weir.admin("/livez").status for _ in range(5)], [200] * 5)
    equal(weir.records(7)[6]["exempt"], "probes")
    policy = 'version: 1\nupstreams: {web: {url: "http://h", health_check: {path: /healthz}}}\n' \
             "rules: [{name: r, key: [client_ip], limit: 1/day}]\n"
    done = subprocess.run([t.build.path, "check", "-"], input=policy, capture_output=True, text=True, check=False)
    assert "W0301" in done.stdout, done.stdout


def a_browser_reads_the_429_and_preflights_are_not_counted(t):
    weir = _weir(t, [{"name": "r", "key": ["client_ip"], "limit": "1/day"}], deny={"cors": "mirror"},
                 exempt=[{"match": {"methods": "OPTIONS"}, "reason": "cors-preflight"}])
    page = {"Origin": "https://app.example"}
    equal([weir.fetch("OPTIONS", "/", page).status for _ in range(3)], [200] * 3)
    equal(weir.get("/", page).status, 200)
    r = weir.get("/", page)
    equal((r.status, r.header("Access-Control-Allow-Origin")), (429, "https://app.example"))
    assert "Retry-After" in r.header("Access-Control-Expose-Headers"), r


def denied_requests_do_not_prolong_the_wait(t):
    for algorithm in ("token_bucket", "sliding_window_log", "sliding_window_counter"):
        weir = _weir(t, [{"name": "r", "key": ["client_ip"], "limit": "1/2s", "algorithm": algorithm}])
        equal(weir.get().status, 200)
        deadline = time.monotonic() + (4 if algorithm == "sliding_window_counter" else 2) * t.slack + 1
        denied = 0
        while weir.get().status == 429:              # hammering all the while
            denied += 1
            assert time.monotonic() < deadline, algorithm
            time.sleep(0.02)
        assert denied > 10, (algorithm, denied)
        weir.terminate()


def a_client_that_waits_exactly_retry_after_is_admitted(t):
    weir = _weir(t, [{"name": "r", "key": ["client_ip"], "limit": "1/1500ms"}])
    weir.get()
    r = weir.get()
    wait = int(r.header("Retry-After"))
    assert wait in (1, 2), r
    time.sleep(wait)
    equal(weir.get().status, 200)


def one_rule_can_hide_its_fields(t):
    weir = _weir(t, [{"name": "open", "key": ["client_ip"], "limit": "9/day"},
                     {"name": "secret", "key": ["client_ip"], "limit": "1/day", "headers": "hidden"}])
    first, denied = weir.get(), weir.get("/", {"X-Request-ID": "hidden"})
    equal(denied.status, 429)
    for r in (first, denied):
        assert "secret" not in str(r.fields) + r.body.decode() and "Retry-After" not in r.fields, r
    assert '"open";r=8' in first.header("RateLimit"), first
    equal(weir.record("hidden")["rule"], "secret")   # the operator is told


def a_typo_is_an_error_and_a_reload_of_it_changes_nothing(t):
    code, text = _check(t, "rules: [{name: r, key: [client_ip], limit: 1/day, brust: 5}]\n")
    equal(code, 78)
    assert "E0312" in text and "did you mean `burst`?" in text, text
    rules = [{"name": "r", "key": ["client_ip"], "limit": "1/day"}]
    weir = _weir(t, rules)
    weir.get()
    weir.reload({**WEB, "rules": [{**rules[0], "limt": "100/day"}]})
    equal(weir.metrics().sum("weir_config_last_reload_successful"), 0)
    equal(weir.get().status, 429)
    wait_until("the log names the place", lambda: "E0312" in weir.stderr() and "limt" in weir.stderr())


def a_rule_can_be_watched_before_it_is_enforced(t):
    weir = _weir(t, [{"name": "trial", "key": ["client_ip"], "limit": "1/day", "mode": "shadow"}])
    equal(_statuses(weir, 3), [200] * 3)
    equal(weir.metrics().sum("weir_decisions_total", rule="trial", decision="shadow_deny"), 2)
    equal([(r["decision"], r.get("shadow")) for r in weir.records(3)],
          [("allow", None)] + [("shadow_deny", ["trial"])] * 2)
    equal([n for n, _ in weir.get().fields if "ratelimit" in n.lower()], [])
    assert "1 shadow" in weir.stderr(), weir.stderr()
