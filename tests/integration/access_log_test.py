# SPDX-License-Identifier: Apache-2.0
"""The access log: five formats, what is shown, what never is, what is left out."""

import json
import os
import re
import signal
import subprocess

from support.check import equal
from support.context import Skip
from support.weir import wait_until

RULES = [{"name": "per-user", "key": ["user"], "missing": "fallback", "limit": "3/day"}]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PLACE = {"POD_NAME": "app-7", "POD_NAMESPACE": "shop", "NODE_NAME": "n1"}
SECRETS = ("s3cr3t-header", "s3cr3t-query", "s3cr3t-cookie", "s3cr3t-bearer", "s3cr3t-own", "s3cr3t-param")


def _weir(t, log, env=None, **policy):
    u = t.upstream()
    return t.weir({"upstreams": {"app": {"url": u.url}}, "workers": 1, "rules": RULES,
                   "identity": {"user": [{"header": "X-API-Key"}, {"query": "key"}]}, "access_log": log, **policy},
                  env=env)


def _drive(weir):
    """Four requests of one user, the last denied; then the lines they left."""
    for i in range(4):
        weir.get(f"/v1/a?x={i}", {"X-API-Key": "acme", "X-Request-ID": f"r{i}", "User-Agent": "curl/8 \"q\"",
                                  "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    wait_until("four lines", lambda: len(weir.log_lines()) == 4)
    return weir.log_lines()


def _at(record, path):
    for name in path.split("."):
        record = record.get(name) if isinstance(record, dict) else None
    return record


# Where each format keeps what a reader asks first; None: nowhere.
COLUMNS = {
    "json": {"client": "client_ip", "status": "status", "method": "method", "path": "path", "rule": "rule",
             "decision": "decision", "reason": "reason", "id": "request_id", "trace": "trace_id", "pod": "pod",
             "key": "key_hash", "user": "user_hash", "out": "bytes_out", "attempts": "attempts"},
    "ecs": {"client": "client.ip", "status": "http.response.status_code", "method": "http.request.method",
            "path": "url.path", "rule": "rule.name", "decision": "weir.decision", "reason": "event.reason",
            "id": "http.request.id", "trace": "trace.id", "pod": "weir.pod", "key": "weir.key_hash",
            "user": "weir.user_hash", "out": "http.response.bytes", "attempts": "weir.attempts"},
    "envoy": {"client": "x_forwarded_for", "status": "response_code", "method": "method", "path": "path",
              "rule": "weir.rule", "decision": "weir.decision", "reason": "weir.reason", "id": "request_id",
              "trace": "weir.trace_id", "pod": "weir.pod", "key": "weir.key_hash", "user": "weir.user_hash",
              "out": "bytes_sent", "attempts": "weir.attempts"},
    "caddy": {"client": "request.client_ip", "status": "status", "method": "request.method", "path": "request.uri",
              "rule": "weir.rule", "decision": "weir.decision", "reason": "weir.reason", "id": "weir.request_id",
              "trace": "weir.trace_id", "pod": "weir.pod", "key": "weir.key_hash", "user": "weir.user_hash",
              "out": "size", "attempts": "weir.attempts"},
}


def every_json_format_tells_the_same_of_a_request(t):
    told = {}
    for name, columns in COLUMNS.items():
        weir = _weir(t, {"format": name, "headers": ["User-Agent"]}, env=PLACE)
        records = [json.loads(line) for line in _drive(weir)]
        assert all("null" not in line for line in weir.log_lines())
        told[name] = [{k: _at(r, where) for k, where in columns.items()} for r in records]
        for i, row in enumerate(told[name]):
            row["path"] = row["path"].partition("?")[0]
            equal((row["status"], row["decision"]), (429, "deny") if i == 3 else (200, "allow"), name)
            equal((row["id"], row["trace"], row["pod"], row["rule"]), (f"r{i}", TRACE, "app-7", "per-user"), name)
            assert len(row.pop("key")) == len(row.pop("user")) == 16     # keyed at random by each process
        assert 'curl/8 \\"q\\"' in weir.log_lines()[0], weir.log_lines()[0]
        equal(weir.metrics().sum("weir_build_info", pod="app-7", namespace="shop", node="n1"), 1)
        weir.terminate()
    for name in COLUMNS:
        equal(told[name], told["json"], name)


def clf_is_read_by_what_reads_it(t):
    weir = _weir(t, {"format": "clf"})
    line = _drive(weir)[3]
    match = re.fullmatch(r'127\.0\.0\.1 - ([0-9a-f]{16}) \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] '
                         r'"GET /v1/a\?x=3 HTTP/1\.1" 429 \d+ "-" "curl/8 \\x22q\\x22" "deny" "per-user" '
                         r'\d+\.\d{3} "r3"', line)
    assert match, line


def goaccess_takes_every_line_of_caddy_and_clf(t):
    t.need("goaccess")
    for name, log_format in (("caddy", "CADDY"), ("clf", "COMBINED")):
        weir = _weir(t, {"format": name, "headers": ["user-agent", "referer"]})
        _drive(weir)
        out = subprocess.run(["goaccess", weir.stdout_path, f"--log-format={log_format}", "-o", "json", "--no-global-config"],
                             capture_output=True, text=True, timeout=60, check=False)
        if "parse" in out.stderr and not out.stdout:
            raise Skip(f"this goaccess reads no {log_format}")
        general = json.loads(out.stdout)["general"]
        equal((general["valid_requests"], general["failed_requests"]), (4, 0), name)
        weir.terminate()


def _lnav(home, *arguments):
    result = subprocess.run(["lnav", *arguments], capture_output=True, text=True, timeout=60, check=False,
                            env={**os.environ, "HOME": home, "XDG_CONFIG_HOME": home, "TERM": "dumb"})
    equal(result.returncode, 0, result.stderr)
    return result.stdout


def lnav_takes_every_line_by_the_format_in_deploy(t):
    t.need("lnav")
    home = t.folder("home")
    _lnav(home, "-i", os.path.join(os.path.dirname(__file__), "../../deploy/lnav/weir_log.json"))
    weir = _weir(t, {"format": "json"})
    _drive(weir)
    rows = json.loads(_lnav(home, "-n", "-c", ";SELECT decision, rule, status, log_level, count(*) AS n FROM weir_log GROUP BY 1",
                            "-c", ":write-json-to -", weir.stdout_path))
    equal([(r["decision"], r["rule"], r["status"], r["log_level"], r["n"]) for r in rows],
          [("allow", "per-user", 200, "info", 3), ("deny", "per-user", 429, "warning", 1)])
    weir.terminate()
    weir = _weir(t, {"format": "clf"})
    _drive(weir)
    rows = json.loads(_lnav(home, "-n", "-c", ";SELECT sc_status, count(*) AS n FROM access_log GROUP BY 1",
                            "-c", ":write-json-to -", weir.stdout_path))
    equal([(r["sc_status"], r["n"]) for r in rows], [(200, 3), (429, 1)])


def jq_takes_every_line_of_the_json_formats(t):
    t.need("jq")
    for name, columns in COLUMNS.items():
        weir = _weir(t, {"format": name})
        _drive(weir)
        out = subprocess.run(["jq", "-c", f"[.{columns['status']}, .{columns['decision']}]", weir.stdout_path],
                             capture_output=True, text=True, timeout=60, check=True)
        equal(out.stdout, '[200,"allow"]\n' * 3 + '[429,"deny"]\n', name)
        weir.terminate()


def secrets_reach_no_format_of_the_log(t):
    for name in [*COLUMNS, "clf"]:
        weir = _weir(t, {"format": name, "redact": ["X-Own", "token"],
                         "headers": ["authorization", "Cookie", "X-API-Key", "x-own", "referer", "accept"]})
        weir.get("/a?key=s3cr3t-query&token=s3cr3t-param&shown=1&k%65y2=2",
                 {"Authorization": "Bearer s3cr3t-bearer", "Cookie": "a=s3cr3t-cookie", "X-Own": "s3cr3t-own",
                  "Referer": "http://h/p?k%65y=s3cr3t-query&to%6ben=s3cr3t-param&ref=1", "Accept": "text/seen"})
        weir.get("/b?x-api-key=s3cr3t-header", {"X-API-Key": "s3cr3t-header"})
        wait_until("two lines", lambda: len(weir.log_lines()) == 2)
        text = "\n".join(weir.log_lines())
        for secret in SECRETS:
            assert secret not in text, (name, secret, text)
        assert "shown=1" in text and "ref=1" in text, (name, text)
        if name != "clf":
            assert "text/seen" in text and text.count("[redacted]") >= 6, (name, text)
        assert all(secret not in weir.stderr() for secret in SECRETS)
        weir.terminate()


def a_user_source_without_hash_is_shown_as_was_asked(t):
    weir = _weir(t, {"headers": ["x-id"]}, identity={"user": [{"header": "X-Id", "hash": False}]})
    weir.get("/", {"X-Id": "acme"})
    record, = weir.records(1)
    equal((record["user_hash"], record["headers"]), ("acme", {"x-id": "acme"}))


def a_filter_keeps_what_fits_every_key_of_it(t):
    weir = _weir(t, {"filter": {"statuses": ["4xx", 503], "decisions": ["deny", "rejected"]}})
    for i in range(4):
        weir.get(f"/{i}", {"X-API-Key": "acme"})
    weir.get("/%zz", {"X-Request-ID": "bad"})
    records = weir.records(2)
    equal([(r["status"], r["decision"]) for r in records], [(429, "deny"), (400, "rejected")])
    equal(weir.metrics().sum("weir_log_dropped_total"), 0)      # nothing was lost
    weir.reload({"upstreams": {"app": {"url": "http://127.0.0.1:1"}}, "workers": 1,
                 "access_log": {"filter": {"min_attempts": 2, "min_duration": "1ms"}}})
    weir.get("/once")                                            # a connect error: tried again
    equal([r["attempts"] for r in weir.records(3)][2:], [3])


def a_format_may_change_while_weir_runs_and_its_place_may_not(t):
    weir = _weir(t, {"format": "json"})
    weir.get()
    weir.records(1)
    u = t.upstream()
    policy = {"upstreams": {"app": {"url": u.url}}, "workers": 1}
    weir.reload({**policy, "access_log": {"format": "ecs"}})
    weir.get()
    assert "@timestamp" in weir.records(2)[1]
    weir.reload({**policy, "access_log": {"to": "stderr"}})
    assert "E0406" in weir.stderr() and "access_log.to" in weir.stderr(), weir.stderr()


def an_own_log_that_cannot_be_opened_or_is_not_read_ends_the_start(t):
    folder = t.folder("own")
    fifo = os.path.join(folder, "fifo")
    os.mkfifo(fifo)
    for path, why in ((fifo, "No such device or address"), (f"{folder}/none/own.log", "No such file or directory")):
        for form in ("text", "json"):
            weir = t.weir({"upstreams": {"app": {"url": "http://127.0.0.1:1"}}, "log": {"to": path, "format": form}},
                          start=False)
            weir.expected_exit = 1
            equal(weir.spawn().wait(10), 1)
            assert f"log.to: cannot open {path}: {why}" in weir.stderr(), weir.stderr()
            assert "SIGABRT" not in weir.stderr(), weir.stderr()


def the_own_log_may_be_a_file_that_sigusr1_reopens(t):
    path = os.path.join(t.folder("own"), "own.log")
    u = t.upstream()
    weir = t.weir({"upstreams": {"app": {"url": u.url}}, "log": {"to": path, "format": "json"}})

    def lines():
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as f:
            return [json.loads(line)["msg"] for line in f]

    wait_until("the start is logged", lambda: "serving" in lines())
    os.rename(path, path + ".1")
    weir.signal(signal.SIGUSR1)
    wait_until("the file is there again", lambda: os.path.exists(path))
    weir.reload({"upstreams": {"app": {"url": u.url}}, "log": {"to": path, "level": "debug"}, "via": "other"})
    wait_until("the reload is in the new file", lambda: os.path.getsize(path) > 0)
    equal(weir.get().status, 200)
