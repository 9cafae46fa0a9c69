# SPDX-License-Identifier: Apache-2.0
"""`weir replay`: an access log through a policy, compared with the model, with the live proxy, and with another policy."""

import gzip
import json
import os
import pty
import re
import select
import subprocess
import threading
import time

from support import access_logs, client
from support.access_logs import Bucket, Counter, Fixed, Log, Logged, Rule
from support.check import equal

WEB = 'version: 1\nupstreams: {web: {url: "http://127.0.0.1:3000"}}\n'
PER_IP = WEB + "rules: [{name: per-ip, key: [client_ip], limit: 5/minute}]\n"


def _write(t, name, text):
    path = os.path.join(t.directory, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def _log(t, requests, render=access_logs.weir, name="access.log"):
    return _write(t, name, "".join(render(r) + "\n" for r in requests))


def _replay(t, *arguments, stdin=None, timeout=150):
    result = subprocess.run([t.build.path, "replay", *arguments], input=stdin, capture_output=True, text=True,
                            timeout=timeout)
    return result.returncode, result.stdout, result.stderr


def _json(t, *arguments, **kwargs):
    code, text, errors = _replay(t, "--format", "json", *arguments, **kwargs)
    assert code == 0, (code, errors)
    return json.loads(text)


def _each(t, *arguments):
    code, text, errors = _replay(t, "--each", *arguments)
    assert code == 0, (code, errors)
    return [json.loads(line) for line in text.splitlines()]


def _rules(report, side="policy"):
    return {rule["name"]: rule for rule in report[side]["rules"]}


def every_format_is_recognised_and_judged_alike(t):
    """Eight requests of one client within a second, three of another: three over a limit of five."""
    policy = _write(t, "weir.yaml", PER_IP)
    requests = [Logged(access_logs.START_MS + 1000 + i, "203.0.113.9", target=f"/a?n={i}") for i in range(8)]
    requests += [Logged(access_logs.START_MS + 1010 + i, "2001:db8::7") for i in range(3)]
    shown = {"weir": "weir", "combined": "combined", "clf": "clf", "envoy": "envoy", "caddy": "caddy", "ecs": "ecs"}
    for name, render in access_logs.FORMATS.items():
        report = _json(t, policy, _log(t, requests, render))
        equal(report["log"]["format"], shown[name])
        equal((report["log"]["requests"], report["log"]["bad_lines"], report["policy"]["denied"]), (11, 0, 3), name)
        (key,) = _rules(report)["per-ip"]["top_keys"]
        equal(key, {"key": "203.0.113.9", "denied": 3}, name)
        equal(report, _json(t, "--log-format", name, policy, _log(t, requests, render)), name)
    v4 = [r for r in requests if ":" not in r.client]
    report = _json(t, "--log-format", access_logs.BALANCER_FORMAT, policy, _log(t, v4, access_logs.balancer))
    equal((report["log"]["requests"], report["log"]["bad_lines"], report["policy"]["denied"]), (8, 0, 3))


def the_log_may_come_through_a_pipe_and_out_of_order(t):
    policy = _write(t, "weir.yaml", PER_IP)
    requests = [Logged(access_logs.START_MS + 1000 * i, "203.0.113.9") for i in range(20)]
    text = "".join(access_logs.weir(r) + "\n" for r in requests)
    shuffled = "".join(access_logs.weir(r) + "\n" for r in requests[::-1])
    equal(_json(t, policy, "-", stdin=text)["policy"], _json(t, policy, "-", stdin=shuffled)["policy"])


def requests_behind_proxies_are_charged_to_whom_the_policy_believes(t):
    policy = _write(t, "weir.yaml", PER_IP + "client_ip: {trusted_proxies: [10.0.0.0/8]}\n")
    lines = []
    for i in range(8):
        lines.append(f'10.0.0.1 [28/Nov/2026:10:00:0{i} +0000] "GET / HTTP/1.1" 200 0 "198.51.100.{i}, 203.0.113.9"\n')
        lines.append(f'192.0.2.66 [28/Nov/2026:10:00:0{i} +0000] "GET / HTTP/1.1" 200 0 "198.51.100.{i}"\n')
    log = _write(t, "access.log", "".join(lines))
    form = '$remote_addr [$time_local] "$request" $status $bytes_out "$http_x_forwarded_for"'
    report = _json(t, "--log-format", form, policy, log)
    keys = {k["key"]: k["denied"] for k in _rules(report)["per-ip"]["top_keys"]}
    equal(keys, {"203.0.113.9": 3, "192.0.2.66": 3})


def bad_lines_are_counted_and_the_first_ones_named(t):
    policy = _write(t, "weir.yaml", PER_IP)
    good = access_logs.weir(Logged(access_logs.START_MS, "203.0.113.9"))
    log = _write(t, "access.log", "\n".join([good, "rubbish", good, '{"ts":"x"}', "", good[:40], good] + ["no"] * 9))
    report = _json(t, policy, log)
    equal((report["log"]["requests"], report["log"]["bad_lines"], report["log"]["lines"]), (3, 12, 16))
    equal(report["log"]["first_bad_lines"][:3], [{"line": 2, "problem": "no JSON object"},
                                                 {"line": 4, "problem": "`ts` is of another form than expected"},
                                                 {"line": 6, "problem": "JSON that ends early"}])
    equal(len(report["log"]["first_bad_lines"]), 5)
    _, text, _ = _replay(t, policy, log)
    assert "12 lines could not be read:\n    line 2: no JSON object\n" in text, text


def exit_codes_tell_what_was_wrong(t):
    policy, log = _write(t, "weir.yaml", PER_IP), _log(t, [Logged(access_logs.START_MS, "203.0.113.9")])

    def refused(code, words, *arguments, **kwargs):
        got, text, errors = _replay(t, *arguments, **kwargs)
        equal((got, text), (code, ""), str(arguments))
        assert words in errors and errors.startswith("error"), errors
    refused(1, "No such file", policy, log + ".none")
    refused(1, "is a directory", policy, t.directory)
    refused(1, "have no format that is known", policy, "-", stdin="hello\n")
    refused(1, "have no format that is known", policy, "-", stdin="")
    refused(1, "no request in 1 lines", "--log-format", "caddy", policy, log)
    packed = os.path.join(t.directory, "access.log.gz")
    with open(log, "rb") as plain, gzip.open(packed, "wb") as f:
        f.write(plain.read())
    refused(1, "zcat", policy, packed)
    refused(64, "did you mean `envoy`?", "--log-format", "envoi", policy, log)
    refused(64, "no time in it", "--log-format", '$remote_addr "$request"', policy, log)
    refused(78, "E0312", _write(t, "bad.yaml", PER_IP + "x: 1\n"), log)
    refused(78, "E0501", policy, log, "--against", log + ".none")
    equal(_replay(t, policy)[0], 64)
    equal(_replay(t, policy, log, "--format", "xml")[0], 64)


# ---- the model

MODELLED = WEB + """
identity: {user: [{header: X-User}]}
routes:
  - {name: items, match: {path: "/v1/**"}, upstream: web}
  - {name: login, match: {path: /login}, upstream: web}
  - {name: rest, match: {path: "/**"}, upstream: web}
block: [{match: {client_ip: [203.0.1.0/24]}, reason: abuse}]
exempt: [{match: {path: /healthz}, reason: probes}]
rules:
  - {name: per-ip, match: {not: {path: "/img/**"}}, key: [client_ip], limit: 400/minute, burst: 40, cost: {default: 1, items: 2}}
  - {name: steady, match: {path: "/v1/**"}, key: [client_ip, route], limit: 33/10s, algorithm: sliding_window_log}
  - {name: users, key: [user], missing: skip, limit: 28/minute, algorithm: fixed_window}
  - {name: failures, match: {route: login}, key: [client_ip], limit: 6/minute, algorithm: sliding_window_counter,
     count: {status: [401]}}
  - {name: egress, match: {path: "/img/**"}, key: [client_ip], limit: 1200/minute, burst: 200,
     response_cost: {reserve: 5, actual: {bytes: response}, unit: 1KiB}}
  - {name: everyone, key: ["constant:all"], limit: 350/second, burst: 120}
"""


def _image(r):
    return r.target.startswith("/img/")


class _PerIp(Rule):
    """Requests of the route items cost two."""

    def __init__(self, cost, routes):
        super().__init__("per-ip", Bucket, 400, 60, lambda r: r.client if r.route in routes and not _image(r) else None, burst=40, cost=cost)


def _model():
    one, two = _PerIp(1, ("login", "rest")), _PerIp(2, ("items",))
    two.buckets = one.buckets
    return [one, two,
            Rule("steady", Log, 33, 10, lambda r: (r.client, r.route) if r.route == "items" else None),
            Rule("users", Fixed, 28, 60, lambda r: r.user),
            Rule("failures", Counter, 6, 60, lambda r: r.client if r.route == "login" else None,
                 final=lambda r, cost: cost if r.status == 401 else 0),
            Rule("egress", Bucket, 1200, 60, lambda r: r.client if _image(r) else None, burst=200, cost=5, final=lambda r, _: -(-r.size // 1024)),
            Rule("everyone", Bucket, 350, 1, lambda r: "all", burst=120)]


def _skips(r):
    if r.client.startswith("203.0.1."):
        return "blocked"
    return "exempt" if r.target == "/healthz" else None


def every_decision_is_the_models(t):
    """50,000 lines, a million with --thorough: algorithms, costs, refunds and lists together, one by one."""
    count = 1_000_000 if t.thorough else 50_000
    requests = access_logs.traffic(count)
    policy, log = _write(t, "weir.yaml", MODELLED), _log(t, requests)
    begin = time.monotonic()
    process = subprocess.Popen([t.build.path, "replay", "--each", policy, log], stdout=subprocess.PIPE)
    decisions, deniers = {}, {}
    seen = 0
    for (line, decision, over), text in zip(access_logs.judge(requests, _model(), _skips), process.stdout):
        got = json.loads(text)
        seen += 1
        decisions[decision] = decisions.get(decision, 0) + 1
        for rule in over:
            deniers[rule] = deniers.get(rule, 0) + 1
        equal((got["line"], got["decision"], got.get("over", [])), (line, decision, over), f"decision {seen}")
    equal((process.wait(60), seen), (0, count))
    equal(set(decisions), {"allow", "deny", "exempt", "blocked"})
    equal(set(deniers), {rule.name for rule in _model()})
    assert min(deniers.values()) > count // 1000, f"a rule that hardly ever denies: {deniers}"
    t.note(f"{seen} decisions, {decisions['deny']} denied ({deniers}), {time.monotonic() - begin:.0f} s with the model's")


def a_large_log_is_replayed_fast(t):
    """Reports how many lines a second; what they say is the business of the other tests."""
    requests = access_logs.traffic(100_000 if t.thorough else 20_000)
    log = _write(t, "access.log", "".join(access_logs.weir(r) + "\n" for r in requests) * (10 if t.thorough else 1))
    examples = os.path.join(os.path.dirname(__file__), "../../config/examples/full.yaml")
    begin = os.times()
    report = _json(t, examples, log)
    end = os.times()
    seconds = (end.children_user - begin.children_user) + (end.children_system - begin.children_system)
    equal(report["log"]["requests"], len(requests) * (10 if t.thorough else 1))
    t.note(f"{report['log']['requests'] / seconds:,.0f} lines/s of processor time with every key of a policy")


def what_the_proxy_denied_is_denied_again(t):
    """Clients one request at a time, over one connection each: the replay of the log says the same of every line."""
    upstream = t.upstream()
    policy = {"workers": 1, "upstreams": {"web": {"url": f"http://127.0.0.1:{upstream.port}"}},
              "client_ip": {"trusted_proxies": ["127.0.0.0/8"]},
              "identity": {"user": [{"header": "X-User"}]},
              "exempt": [{"match": {"path": "/healthz"}, "reason": "probes"}],
              "block": [{"match": {"client_ip": ["192.0.2.13/32"]}, "reason": "abuse"}],
              "rules": [{"name": "per-ip", "key": ["client_ip"], "limit": "40/hour"},
                        {"name": "users", "key": ["user"], "missing": "skip", "limit": "25/day",
                         "algorithm": "fixed_window"},
                        {"name": "pages", "match": {"path": "/p/**"}, "key": ["client_ip", "query:n"], "missing": "fallback",
                         "fallback": ["client_ip"], "limit": "4/hour", "algorithm": "sliding_window_log"}]}
    weir = t.weir(policy)
    each = 400 if t.thorough else 120
    statuses = []

    def run(number):
        with client.Connection(weir.port) as c:
            for i in range(each):
                target = ("/", f"/p/{i}?n={i % 7}", "/p/x", "/healthz")[i % 4]
                fields = [("X-Forwarded-For", f"192.0.2.{10 + number}")]
                if i % 3 == 0:
                    fields.append(("X-User", f"user-{number % 3}-{i % 5}"))
                c.send(client.request_bytes("GET", target, fields))
                statuses.append(c.read().status)
    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    weir.terminate()
    lines = [json.loads(line) for line in open(weir.stdout_path, encoding="utf-8")]
    equal(len(lines), len(statuses))
    denied = sum(line["decision"] == "deny" for line in lines)
    equal(denied, statuses.count(429))
    assert denied > each, denied
    for got in _each(t, weir.policy_path, weir.stdout_path):
        line = lines[got["line"] - 1]
        equal((got["decision"], got.get("rule")), (line["decision"], line["rule"] if line["decision"] == "deny" else None),
              str(line))
    report = _json(t, weir.policy_path, weir.stdout_path)
    equal(report["policy"]["logged"], {"denied": denied, "denied_in_both": denied, "denied_only_in_log": 0,
                                       "denied_only_in_replay": 0})
    equal(report["policy"]["not_replayed"], [])
    assert "hash_key_file" in report["policy"]["notes"][0], report["policy"]["notes"]


WRITTEN = {"json": "weir", "ecs": "ecs", "envoy": "envoy", "caddy": "caddy", "clf": "clf"}    # what replay calls it


def every_format_that_weir_writes_is_replayed_as_it_was_decided(t):
    """Five clients at once, each one request at a time: line by line the decision is the one that its client saw. A clf
    line holds the second in which its request began, and lies where it ended: windows here are longer than that."""
    upstream = t.upstream(lambda e: e.respond(401 if e.request.target == "/login" else 200, b"x" * 600))
    policy = {"workers": 2, "upstreams": {"web": {"url": upstream.url}},
              "client_ip": {"trusted_proxies": ["127.0.0.0/8"]},
              "exempt": [{"match": {"path": "/healthz"}, "reason": "probes"}],
              "block": [{"match": {"client_ip": ["192.0.2.14/32"]}, "reason": "abuse"}],
              "rules": [{"name": "per-ip", "key": ["client_ip"], "limit": "20/day", "burst": 30},
                        {"name": "logins", "match": {"path": "/login"}, "key": ["client_ip"], "limit": "3/day",
                         "algorithm": "sliding_window_counter", "count": {"status": [401]}},
                        {"name": "egress", "match": {"path": "/big"}, "key": ["client_ip"], "limit": "4000/day",
                         "response_cost": {"reserve": 1, "actual": {"bytes": "response"}}},
                        {"name": "pages", "match": {"path": "/p/**"}, "key": ["client_ip", "query:n"], "missing": "skip",
                         "limit": "2/day", "algorithm": "sliding_window_log"}]}
    targets = ("/", "/p/1?n=1", "/p/2?n=1", "/login", "/healthz", "/big", "/p/x")

    def run(weir, number, seen):
        with client.Connection(weir.port) as c:
            for i in range(400 if t.thorough else 70):
                target = targets[i % len(targets)]
                seen.append((f"192.0.2.{10 + number}", target, c.request("GET", target, [
                    ("X-Forwarded-For", f"192.0.2.{10 + number}")]).status))
    for written, called in WRITTEN.items():
        weir = t.weir({**policy, "access_log": {"format": written}})
        seen = [[] for _ in range(5)]
        threads = [threading.Thread(target=run, args=(weir, n, seen[n])) for n in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        weir.terminate()
        statuses = {f"192.0.2.{10 + n}": iter(seen[n]) for n in range(5)}
        judged = {got["line"]: got["decision"] for got in _each(t, weir.policy_path, weir.stdout_path)}
        lines = weir.log_lines()
        equal(len(lines), sum(map(len, seen)))
        decisions = set()
        for number, line in enumerate(lines, 1):     # a client's lines are in the order of its requests
            who = re.search(r"192\.0\.2\.1[0-4]", line)[0]
            _, target, status = next(statuses[who])
            expected = {429: "deny", 403: "blocked"}.get(status, "exempt" if target == "/healthz" else "allow")
            equal(judged[number], expected, f"{written}: {line}")
            decisions.add(expected)
        equal(decisions, {"allow", "deny", "exempt", "blocked"})
        report = _json(t, weir.policy_path, weir.stdout_path)
        equal((report["log"]["format"], report["log"]["bad_lines"]), (called, 0))
        denied = sum(status == 429 for one in seen for _, _, status in one)
        equal(report["policy"]["logged"], {"denied": denied, "denied_in_both": denied, "denied_only_in_log": 0,
                                           "denied_only_in_replay": 0}, written)
        equal(report["policy"]["not_replayed"], [], written)


# ---- two policies, limits to paste, what cannot be known

def two_policies_differ_where_they_should(t):
    """A gentler limit for all, a stricter one for logins: each change appears with its rule, its keys and its lines."""
    requests = [Logged(access_logs.START_MS + i * 100, "203.0.113.1", target="/a") for i in range(12)]
    requests += [Logged(access_logs.START_MS + i * 100 + 50, "203.0.113.2", target="/login", route="login") for i in range(6)]
    requests.sort(key=lambda r: r.end_ms)
    new = _write(t, "new.yaml", WEB + """rules:
  - {name: per-ip, key: [client_ip], limit: 10/hour}
  - {name: logins, match: {path: /login}, key: [client_ip], limit: 3/hour}
""")
    old = _write(t, "old.yaml", WEB + "rules: [{name: per-ip, key: [client_ip], limit: 7/hour}]\n")
    log = _log(t, requests)
    report = _json(t, new, log, "--against", old)
    equal((report["policy"]["denied"], report["against"]["denied"]), (2 + 3, 5))
    changes = report["changes"]
    equal(changes["newly_denied"]["by_rule"], {"logins": 3})
    equal(changes["newly_denied"]["top_keys"], [{"key": "logins 203.0.113.2", "requests": 3}])
    equal(changes["newly_allowed"]["by_rule"], {"per-ip": 3})
    equal(changes["newly_allowed"]["top_keys"], [{"key": "per-ip 203.0.113.1", "requests": 3}])
    equal(changes["denied_by_another_rule"], 0)
    for number in changes["newly_denied"]["lines"]:
        equal(requests[number - 1].target, "/login")
    _, text, _ = _replay(t, new, log, "--against", old)
    assert re.search(r"against .*old.yaml, which denies 5 .*\n  3 newly denied\n +3  by logins\n", text), text
    same = _json(t, new, log, "--against", new)["changes"]
    equal((same["newly_denied"]["requests"], same["newly_allowed"]["requests"]), (0, 0))


def suggested_limits_hold_when_they_are_pasted(t):
    requests = access_logs.traffic(8_000, seed=3)
    log = _log(t, requests)
    policy = _write(t, "weir.yaml", WEB + """rules:
  - {name: per-ip, key: [client_ip], limit: 3/10s}
  - {name: yearly, key: [client_ip], limit: 3/365d}
""")
    code, text, _ = _replay(t, policy, log, "--suggest")
    equal(code, 0)
    pasted = text[text.index("\nrules:\n"):]
    limit = re.search(r"- name: per-ip\n    limit: (\S+)", pasted)[1]
    assert "# - name: yearly, but the log is shorter than its window" in pasted, pasted
    again = _write(t, "pasted.yaml", WEB + pasted.replace("- name: per-ip\n", "- name: per-ip\n    key: [client_ip]\n"))
    keys = len({r.client for r in requests})
    report = _json(t, again, log)
    equal([rule["name"] for rule in report["policy"]["rules"]], ["per-ip"])
    denied = _rules(report)["per-ip"]["keys_denied"]
    assert denied <= keys // 100, f"{denied} of {keys} keys are denied with {limit}"
    strict = _rules(_json(t, policy, log))["per-ip"]["keys_denied"]
    assert strict > keys // 10, f"the policy's own limit denies {strict} keys only"
    (measured, _) = _json(t, policy, log, "--suggest")["suggestions"]
    equal((measured["limit_1_percent"], measured["keys"], measured["log_covers_a_window"]), (limit, keys, True))
    assert measured["p50"] <= measured["p95"] <= measured["p99"] <= measured["p99_9"] <= measured["max"], measured


UNKNOWN = WEB + """
identity:
  jwt: {secret_file: secret, algorithms: [HS256]}
  user: [{query: api_key}, {claim: sub}]
  tier: [{claim: plan}, {constant: free}]
routes:
  - {name: beta, match: {path: /beta, header: {X-Beta: "*"}}, upstream: web}
  - {name: rest, match: {path: "/**"}, upstream: web}
block: [{match: {header: {User-Agent: bad}}, reason: bots}]
rules:
  - {name: known, key: [client_ip, method, route, "constant:x"], limit: 2/minute}
  - {name: by-user, key: [user], missing: skip, limit: 2/minute}
  - {name: by-host, key: [host], limit: 1000/minute}
  - {name: by-header, key: ["header:X-Org"], missing: skip, limit: 2/minute}
  - {name: by-claim, key: ["claim:org"], missing: skip, limit: 2/minute}
  - {name: by-cookie, key: ["cookie:session"], missing: skip, limit: 2/minute}
  - {name: by-query, key: ["query:q"], missing: skip, limit: 2/minute}
  - {name: by-secret, key: ["query:api_key"], missing: skip, limit: 2/minute}
  - {name: for-acme, match: {user: acme}, key: [client_ip], limit: 2/minute}
  - {name: for-free, match: {tier: free}, key: [client_ip], limit: 2/minute}
  - {name: sized, key: [client_ip], limit: 9/minute, cost_from: {header: X-Size, min: 1, max: 3}}
  - {name: tokens, key: [client_ip], limit: 9/minute, response_cost: {reserve: 1, actual: {json_pointer: /n}}}
  - {name: bytes, key: [client_ip], limit: 5000/minute, burst: 700, response_cost: {reserve: 1, actual: {bytes: both}, unit: 1KiB}}
concurrency: [{name: inflight, key: [client_ip], max: 3}]
"""


def what_the_log_does_not_tell_is_left_out_and_named(t):
    _write(t, "secret", "0123456789abcdef0123456789abcdef")
    policy = _write(t, "weir.yaml", UNKNOWN)
    requests = [Logged(access_logs.START_MS + i, "203.0.113.9", target="/s?q=1&api_key=[redacted]", user="0123456789abcdef")
                for i in range(4)]

    def left_out(render):
        report = _json(t, policy, _log(t, requests, render))
        missing = {m["what"]: m for m in report["policy"]["not_replayed"]}
        for m in missing.values():
            assert m["reason"] and m["assumed"] and (m["remedy"] or "concurrency" in m["what"]), m
        return report, missing
    report, missing = left_out(access_logs.weir)
    always = {"route beta", "rule by-header", "rule by-claim", "rule by-cookie", "rule for-acme", "rule for-free",
              "rule sized", "rule tokens", "concurrency inflight"}
    equal(set(missing), always | {"rule by-secret", "block bots"})
    assert "access_log.headers" in missing["rule by-header"]["remedy"], missing
    assert "hash_key_file" in missing["rule for-acme"]["remedy"], missing
    assert "redacted" in missing["rule by-secret"]["reason"], missing
    equal({name: rule["matched"] for name, rule in _rules(report).items()},
          {"known": 4, "by-user": 4, "by-host": 4, "by-query": 4, "bytes": 4})
    equal(_rules(report)["by-user"]["top_keys"], [{"key": "0123456789abcdef", "denied": 2}])
    (query,) = _rules(report)["by-query"]["top_keys"]
    assert re.fullmatch("[0-9a-f]{16}", query["key"]), query    # what clients choose is shown as a hash

    def with_header(r):
        return access_logs.weir(r)[:-1] + ',"headers":{"x-org":"a"}}'
    report, missing = left_out(with_header)
    equal(set(missing), always - {"rule by-header"} | {"rule by-secret", "block bots"})
    equal(_rules(report)["by-header"]["denied"], 2)

    _, missing = left_out(access_logs.combined)    # no host, no users, no sizes of requests; but the agent, and the query
    equal(set(missing), always | {"rule by-user", "rule by-host", "rule bytes"})
    _, missing = left_out(access_logs.caddy)       # every header but secret ones
    equal(set(missing), always - {"route beta", "rule by-header", "rule sized"} | {"rule by-user"})
    _, text, _ = _replay(t, policy, _log(t, requests, access_logs.combined))
    assert "rule by-host: the log does not hold the host; taken for granted: it lets everything through\n    = help: " in text, \
        text


def users_that_a_policy_names_are_found_by_their_hashes(t):
    """With a key that is kept, a match on a user finds it in the log."""
    _write(t, "hash.key", "k" * 32)
    policy = {"hash_key_file": os.path.join(t.directory, "hash.key"), "identity": {"user": [{"header": "X-User"}]},
              "upstreams": {"web": {"url": f"http://127.0.0.1:{t.upstream().port}"}},
              "rules": [{"name": "for-acme", "match": {"user": ["acme"]}, "key": ["client_ip"], "limit": "2/hour"}]}
    weir = t.weir(policy)
    for user in ("acme", "acme", "other", "acme", "other", "other"):
        client.get(weir.port, fields=[("X-User", user)])
    weir.terminate()
    report = _json(t, weir.policy_path, weir.stdout_path)
    equal((_rules(report)["for-acme"]["matched"], _rules(report)["for-acme"]["denied"]), (3, 1))
    equal((report["policy"]["not_replayed"], report["policy"]["notes"]), ([], []))


def a_refused_request_of_the_log_keeps_its_reserve(t):
    """Nobody knows what the response to it would have cost."""
    policy = _write(t, "weir.yaml", WEB + "rules: [{name: failures, key: [client_ip], limit: 3/hour, count: {status: [401]}}]\n")
    lines = [access_logs.weir(Logged(access_logs.START_MS + 1000 * i, "203.0.113.9", status=200)) for i in range(5)]
    equal(_json(t, policy, "-", stdin="\n".join(lines))["policy"]["denied"], 0)
    refused = [line.replace('"status":200,"decision":"allow"', '"status":429,"decision":"deny"') for line in lines]
    assert refused != lines
    equal(_json(t, policy, "-", stdin="\n".join(refused))["policy"]["denied"], 2)


# ---- terminals

def _on_terminal(command, env=None):
    """(output on the terminal, exit code) of a command whose stdout and stderr are one."""
    master, slave = pty.openpty()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave,
                               env={**os.environ, "TERM": "xterm", **(env or {})})
    os.close(slave)
    output = b""
    while True:
        ready, _, _ = select.select([master], [], [], 60)
        assert ready, "the command is silent"
        try:
            piece = os.read(master, 65536)
        except OSError:     # the other side is closed
            break
        if not piece:
            break
        output += piece
    os.close(master)
    return output.decode(), process.wait(20)


def progress_and_block_characters_are_for_terminals(t):
    policy = _write(t, "weir.yaml", PER_IP)
    requests = access_logs.traffic(5_000)
    log = _log(t, requests)
    command = [t.build.path, "replay", policy, log]
    text, code = _on_terminal(command, {"NO_COLOR": ""})
    equal(code, 0)
    shown = re.findall(r"\r *(\d+) % \[(#*)(\.*)\] ([\d,]+) lines, [\d,]+/s\x1b\[K", text)
    assert shown, repr(text[:500])
    for percent, done, left, _ in shown:
        assert int(percent) <= 100 and len(done) + len(left) == 30, shown
    erased = text.rindex("\r\x1b[K")
    assert "\r" not in text[erased + 4:].replace("\r\n", ""), repr(text[erased:])
    assert "█" in text, text
    plain, code = _on_terminal(command, {"NO_COLOR": "1"})
    assert code == 0 and "█" not in plain and re.search(r"requests +\|[ .:=+*#%@-]*@", plain), plain
    dumb, code = _on_terminal(command, {"TERM": "dumb"})
    assert code == 0 and "lines/s" not in dumb and " % [" not in dumb, repr(dumb[:300])
    code, piped, errors = _replay(t, policy, log)
    equal((code, errors), (0, ""))
    assert piped.isascii(), piped
