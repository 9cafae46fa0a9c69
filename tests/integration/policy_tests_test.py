# SPDX-License-Identifier: Apache-2.0
"""`weir test`: exit codes, and what a failure shows."""

import subprocess

from support.check import equal

POLICY = """version: 1
upstreams: {web: {url: "http://127.0.0.1:3000"}}
rules: [{name: per-ip, key: [client_ip], limit: 2/minute}]
tests: [{name: two of three, send: {times: 3}, expect: {allowed: %s, retry_after: 30s}}]
"""


def _test(t, policy):
    result = subprocess.run([t.build.path, "test", "-"], input=policy, capture_output=True, text=True, timeout=20)
    return result.returncode, result.stdout, result.stderr


def a_test_passes_fails_or_cannot_be_read(t):
    equal(_test(t, POLICY % 2), (0, "ok      two of three\n-: 1 test, 0 failed\n", ""))
    code, told, _ = _test(t, POLICY % 3)
    equal(code, 3)
    for part in ("FAILED  two of three (-:4)", "allowed  expected 3  got 2", "request 3 at once: GET / from 127.0.0.1",
                 "deny 429 (over_limit) by per-ip", "-: 1 test, 1 failed"):
        assert part in told, told
    code, told, complaint = _test(t, POLICY % "many")
    equal((code, told), (78, ""))
    assert "error[E0205]" in complaint, complaint


WATCHED = """version: 1
upstreams: {web: {url: "http://127.0.0.1:3000"}}
rules:
  - {name: now, key: [client_ip], limit: 9/minute}
  - {name: next, key: [client_ip], limit: 2/minute, mode: shadow}
tests: [{name: three, send: {times: 3}, expect: {allowed: 3, shadow_denied_by: %s}}]
"""


def a_shadow_rule_is_expected_by_its_name(t):
    equal(_test(t, WATCHED % "next")[0], 0)
    code, told, _ = _test(t, WATCHED % "now")
    equal(code, 3)
    assert "shadow_denied_by" in told and "next" in told, told
