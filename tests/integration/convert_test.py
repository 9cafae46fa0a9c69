# SPDX-License-Identifier: Apache-2.0
"""`weir convert`: what becomes of the files of convert/, that it behaves as there, and that nothing is dropped silently."""

import json
import pathlib
import re
import subprocess

from support.check import equal
from support.context import Skip

SAMPLES = pathlib.Path(__file__).resolve().parent / "convert"
FILES = {"nginx": "nginx.conf", "traefik": "traefik.yaml", "kong": "kong.yaml", "envoy-rls": "envoy-rls.yaml"}


def _run(t, *arguments, stdin=""):
    done = subprocess.run([t.build.path, *arguments], input=stdin, capture_output=True, text=True, timeout=60,
                          cwd=SAMPLES)
    return done.returncode, done.stdout, done.stderr


def _convert(t, origin, text=None):
    """(policy, notes): notes as (line, text)."""
    code, policy, errors = _run(t, "convert", origin, "-" if text is not None else FILES[origin], stdin=text or "")
    equal(code, 0, errors)
    notes = [re.fullmatch(r"(?:<stdin>|[^:]+?)(?::(\d+))?: note: (.*)", line) for line in errors.splitlines()]
    assert all(notes), errors
    return policy, [(int(note[1] or 0), note[2]) for note in notes]


def _check(t, policy):
    path = pathlib.Path(t.directory, "policy.yaml")
    path.write_text(policy, encoding="utf-8")
    code, text, _ = _run(t, "check", "--format", "json", str(path))
    equal(code, 0, text)
    return json.loads(text)[0]


def _behaves(t, origin, tests):
    """The policy of a sample file passes `tests` on a virtual clock."""
    policy, _ = _convert(t, origin)
    path = pathlib.Path(t.directory, "tested.yaml")
    path.write_text(policy + "tests:\n" + tests, encoding="utf-8")
    code, text, errors = _run(t, "test", str(path))
    if code == 64:
        raise Skip("this weir has no `test`")
    equal(code, 0, text + errors)
    equal(text.count("\nok") + text.startswith("ok"), tests.count("- name:"), text)


def every_sample_becomes_a_policy_in_canonical_layout(t):
    for origin in FILES:
        policy, notes = _convert(t, origin)
        _check(t, policy)
        equal(_run(t, "fmt", "-", stdin=policy)[1], policy, origin)
        comments = re.sub(r"\s*\n *#   ", " ", policy)
        for line, text in notes:
            wanted = f"{FILES[origin]}:{line}: {text}" if line else text
            assert wanted in comments, f"{origin}: no comment says {wanted!r}\n{policy}"


def every_line_with_something_foreign_is_named(t):
    """Lines that mean something weir has not, marked in the copies by the word LOST, are all noted."""
    lost = {
        "nginx": ("http { server { listen 80;\n location / {\n proxy_pass http://127.0.0.1:1;\n gzip on; # LOST\n"
                  " auth_request /a; # LOST\n limit_rate 1k; # LOST\n } } include x; # LOST\n}\nevents {} # LOST\n"),
        "traefik": ("http:\n  routers:\n    r:\n      rule: PathPrefix(`/`)\n      service: s\n      tls: {} # LOST\n"
                    "      middlewares: [m]\n  services:\n    s:\n      loadBalancer:\n        serversTransport: x # LOST\n"
                    "        servers: [{url: 'http://127.0.0.1:1'}]\n  middlewares:\n    m:\n      rateLimit:\n"
                    "        average: 5\n        mystery: 1 # LOST\n    c:\n      compress: {} # LOST\ntcp: {} # LOST\n"),
        "kong": ("_format_version: '3.0'\nservices:\n- name: s\n  url: http://127.0.0.1:1\n  retries: 3 # LOST\n  routes:\n"
                 "  - name: r\n    paths: [/]\n    regex_priority: 1 # LOST\n  plugins:\n  - name: rate-limiting\n    config:\n"
                 "      minute: 5\n      mystery: 1 # LOST\n  - name: acl # LOST\nvaults: [] # LOST\n"),
        "envoy-rls": ("domain: d\ndescriptors:\n- key: remote_address\n  detailed_metric: true # LOST\n  rate_limit:\n"
                      "    unit: minute\n    requests_per_unit: 5\n    mystery: 1 # LOST\n- key: path\n  value: /a*  # LOST\n"
                      "  rate_limit: {unit: minute, requests_per_unit: 5}\nstatsd: 1 # LOST\n")}
    for origin, text in lost.items():
        _, notes = _convert(t, origin, text)
        wanted = {number for number, line in enumerate(text.splitlines(), 1) if "LOST" in line}
        missing = wanted - {line for line, _ in notes}
        equal(missing, set(), f"{origin}: lines without a note among {notes}")


def nginx_behaves_as_there(t):
    _behaves(t, "nginx", """\
  - name: without burst the second request within 10ms is refused
    send: {path: /login, times: 2, over: 9ms}
    expect: {allowed: 1, denied_by: strict, status: 429}
  - name: and the next one 10ms later is not
    send: {path: /login, times: 3, over: 20ms}
    expect: {allowed: 3}
  - name: burst 20 nodelay lets 21 through at once
    send: {path: /, times: 30}
    expect: {allowed: 21, denied_by: perip}
  - name: then one every 100ms
    send: [{path: /, times: 21}, {path: /, wait: 100ms, times: 2}]
    expect: {allowed: 22, denied_by: perip}
  - name: requests without the header are not counted by it
    send: {path: /api/x, times: 21}
    expect: {allowed: 21}
  - name: requests with it are
    send: {path: /api/x, headers: {X-API-Key: k}, times: 8}
    expect: {allowed: 6, denied_by: perkey}
  - name: the client is who the balancer says
    send: [{path: /, client_ip: 10.0.0.9, headers: {X-Forwarded-For: 203.0.113.1}, times: 21},
           {path: /, client_ip: 10.0.0.9, headers: {X-Forwarded-For: 203.0.113.2}, times: 21}]
    expect: {allowed: 42}
""")


def traefik_behaves_as_there(t):
    _behaves(t, "traefik", """\
  - name: average 6 per minute without burst is one every 10s
    send: {path: /, client_ip: 10.0.0.9, headers: {X-Forwarded-For: 203.0.113.1}, times: 3, over: 9s}
    expect: {allowed: 1, denied_by: limit}
  - name: and one after 10s
    send: {path: /, client_ip: 10.0.0.9, headers: {X-Forwarded-For: 203.0.113.1}, times: 3, over: 20s}
    expect: {allowed: 3}
  - name: each router counts by itself
    send: [{path: /, client_ip: 10.0.0.9}, {path: /v1/x, host: api.example.com, client_ip: 10.0.0.9}]
    expect: {allowed: 2}
  - name: depth 1 is the last address of X-Forwarded-For
    send: [{path: /, client_ip: 10.0.0.9, headers: {X-Forwarded-For: "203.0.113.1, 203.0.113.2"}},
           {path: /, client_ip: 10.0.0.9, headers: {X-Forwarded-For: "203.0.113.3, 203.0.113.2"}}]
    expect: {allowed: 1, denied_by: limit}
""")


def kong_behaves_as_there(t):
    _behaves(t, "kong", """\
  - name: the window of a minute begins with the minute
    given: {at: 2026-01-01T00:00:59Z}
    send: [{path: /reports/x, times: 25}, {path: /reports/x, wait: 1s, times: 25}]
    expect: {allowed: 40, denied_by: orders-per-minute}
  - name: the plugin of a route counts instead of the one of its service
    send: {path: /orders/1, times: 8}
    expect: {allowed: 5, denied_by: orders-api-per-second}
  - name: the plugin of a consumer counts instead of both
    send: {path: /orders/1, headers: {X-API-Key: acme-key}, times: 90}
    expect: {allowed: 90}
  - name: the global one is of another kind and counts, too
    send: {path: /orders/1, headers: {X-API-Key: acme-key}, times: 120}
    expect: {allowed: 100, denied_by: all-per-60s}
""")


def envoys_rate_limit_service_behaves_as_there(t):
    _behaves(t, "envoy-rls", """\
  - name: a window of a minute
    send: {path: /, client_ip: 203.0.113.1, times: 70}
    expect: {allowed: 60, denied_by: remote-address}
  - name: an unlimited value is counted by no other descriptor of its key
    send: {path: /, client_ip: 10.0.0.1, times: 90}
    expect: {allowed: 90}
  - name: nested entries are one key
    send: {path: /login, client_ip: 203.0.113.1, times: 7}
    expect: {allowed: 5, denied_by: path-login-remote-address}
  - name: a limit of 0 requests admits none
    send: {path: /, client_ip: 203.0.113.1, headers: {agent: scraper}, times: 3}
    expect: {denied: 3, status: 429}
  - name: a limit for a value takes the place of the one for all values
    send: {path: /, client_ip: 10.0.0.1, headers: {plan: gold}, times: 90}
    expect: {allowed: 90}
  - name: all other values
    send: {path: /, client_ip: 10.0.0.1, headers: {plan: silver}, times: 90}
    expect: {allowed: 70, denied_by: plan}
""")


def shadow_mode_refuses_nobody(t):
    if '"rules[].mode"' not in _run(t, "schema")[1]:
        raise Skip("this weir has no `mode`")
    policy, _ = _convert(t, "envoy-rls", "domain: d\ndescriptors:\n- key: remote_address\n  shadow_mode: true\n"
                         "  rate_limit: {unit: minute, requests_per_unit: 5}\n")
    assert "mode: shadow" in policy, policy
    _check(t, policy)


def a_converted_policy_serves(t):
    u = t.upstream()
    weir = t.weir({}, start=False)
    policy, _ = _convert(t, "nginx", "limit_req_zone $remote_addr zone=few:1m rate=1r/m; limit_req_status 429;\n"
                         f"server {{ listen 127.0.0.1:{weir.port}; location / {{ limit_req zone=few burst=2 nodelay;\n"
                         f"proxy_pass {u.url}; }} }}")
    weir.write_policy(policy + f"admin: 127.0.0.1:{weir.admin_port}\n")
    weir.start()
    equal([weir.get("/").status for _ in range(5)], [200, 200, 200, 429, 429])


def what_is_no_such_file_is_refused_with_its_line(t):
    for origin, text, wanted in (("nginx", "http {\n  server { listen 80 }\n}\n", "does not end with `;`"),
                                 ("nginx", "http {\n", "not closed"), ("traefik", "a: 1\n", "no `http`"),
                                 ("kong", "services: []\n", "_format_version"), ("envoy-rls", "a: [\n", "error[E0101]"),
                                 ("envoy-rls", "x: 1\n", "no `domain`")):
        code, policy, errors = _run(t, "convert", origin, "-", stdin=text)
        equal((code, policy), (78, ""), (origin, text))
        assert wanted in errors and "--> <stdin>" in errors, errors
    equal(_run(t, "convert", "nginx", "/no/such/file")[0], 78)
    code, _, errors = _run(t, "convert", "ngnix", "-")
    equal(code, 64)
    assert "did you mean `nginx`?" in errors, errors


def the_note_of_a_missing_burst_names_the_interval(t):
    _, notes = _convert(t, "nginx")
    (text,) = [text for line, text in notes if line == 29]
    assert "second request within 10ms" in text, text
