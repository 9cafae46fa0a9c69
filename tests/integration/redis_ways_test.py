# SPDX-License-Identifier: Apache-2.0
"""The ways to a Redis: exact over each of them, and each way's own failures in every failure mode (T4, T16, T24)."""

import os
import re
import subprocess

from support import client
from support.bounds import accepts, algorithms
from support.check import equal
from support.context import Skip
from support.fault_bench import MODES
from support.load import Load
from support.upstream import PATIENCE
from support.weir import wait_until

PATIENT = {"failure_mode": "deny", "pool": {"command_timeout": "10s", "connect_timeout": "5s"}}


def _rules(names):
    return [{"name": n.replace("_", "-"), "match": {"path": f"/{n}"}, "key": ["header:X-Id"], "missing": "skip",
             "algorithm": n, "limit": "100/day"} for n in names]


def _exactly_100(t, store):
    """Two processes, 64 connections, one key: 100."""
    u, names = t.upstream(), algorithms(t)
    upstreams = {"app": {"url": u.url, "timeout": PATIENCE}}
    weirs = [t.weir({"upstreams": upstreams, "rules": _rules(names), "store": {**PATIENT, **store}})
             for _ in range(2)]
    for name in names:
        for number in range(max(3, t.rounds)):
            request = client.request_bytes(target=f"/{name}", fields={"X-Id": f"k{number}"})
            load = Load([w.port for w in weirs], total=160, connections=64, request=lambda i, r=request: r)
            equal(load.start().join().counts(), {200: 100, 429: 60}, f"{name}, round {number + 1}")
    return weirs


def _need_tls(t):
    authority = t.authority()
    certificate = authority.client()
    tls = {"ca_file": authority.ca, "certificate": certificate.certificate, "key": certificate.key}
    if not accepts(t, {"store": {"url": "rediss://127.0.0.1:1", "tls": tls}}):
        raise Skip("this build has no TLS towards Redis")
    return authority, tls


def two_processes_are_exact_over_tls_with_client_certificates(t):
    authority, tls = _need_tls(t)
    redis = t.redis_with_tls(authority)
    _exactly_100(t, {"url": redis.tls_url, "tls": tls})


def two_processes_are_exact_over_a_unix_socket(t):
    redis = t.redis()
    _exactly_100(t, {"url": f"unix:{redis.socket_path}"})


def _printed_rights(t, url):
    path = os.path.join(t.folder("check"), "weir.yaml")
    with open(path, "w", encoding="ascii") as f:
        f.write('{"version": 1, "upstreams": {"app": {"url": "http://127.0.0.1:1"}}, "store": {"url": "%s"},\n'
                '"rules": [{"name": "r", "key": ["client_ip"], "limit": "5/minute"}]}\n' % url)
    done = subprocess.run([t.build.path, "check", path], capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r"^store: a Redis user needs (.*)$", done.stdout, re.M)
    if not found:
        raise Skip("`weir check` does not print the rights of the Redis user")
    return found[1].split()


def the_printed_rights_of_the_redis_user_suffice_and_no_more(t):
    """T24: an ACL user made from the line of `weir check` decides everything, and may touch nothing else."""
    redis = t.redis()
    redis.call("ACL", "SETUSER", "weir", "on", ">secret", *_printed_rights(t, redis.url))
    _exactly_100(t, {"url": f"redis://weir:secret@127.0.0.1:{redis.port}"})
    stats = redis.call("INFO", "errorstats").decode()
    assert "NOPERM" not in stats, stats
    for command in (["FLUSHALL"], ["KEYS", "*"], ["GET", "other"], ["CONFIG", "GET", "*"], ["SET", "other", "x"]):
        found = redis.call("ACL", "DRYRUN", "weir", *command)
        assert found != b"OK", f"{command} is allowed"


def tls_failures_are_answered_by_the_failure_mode(t):
    """T16: a certificate of somebody else, one that has expired, another name, no client certificate, no TLS at all."""
    authority, tls = _need_tls(t)
    stranger = t.authority(name="somebody else")
    stray, right = stranger.client(), t.redis_with_tls(authority)
    cases = {
        "a server of somebody else": (t.redis_with_tls(stranger, client_certificates=False).tls_port, tls),
        "an expired server": (t.redis_with_tls(authority, authority.server(expired=True)).tls_port, tls),
        "a server of another name": (t.redis_with_tls(authority, authority.server(("redis.example",), ())).tls_port, tls),
        "a client without certificate": (right.tls_port, {"ca_file": authority.ca}),
        "a client of somebody else": (right.tls_port, {**tls, "certificate": stray.certificate, "key": stray.key}),
        "a server without TLS": (right.port, tls),
    }
    u = t.upstream()
    declared = {"allow": [200] * 4, "deny": [503] * 4, "local": [200, 200, 429, 429]}
    for name, (port, options) in cases.items():
        for mode in MODES:
            rules = [{"name": "per-ip", "key": ["client_ip"], "limit": "2/day"}]
            weir = t.weir({"upstreams": {"app": {"url": u.url, "timeout": PATIENCE}}, "rules": rules, "workers": 1,
                           "store": {"url": f"rediss://127.0.0.1:{port}", "tls": options, "failure_mode": mode,
                                     "pool": {"command_timeout": "1s", "connect_timeout": "1s"}}}, start=False)
            weir.spawn()
            wait_until("it listens", lambda w=weir: _listens(w), 20)
            equal([weir.get().status for _ in range(4)], declared[mode], f"{name} in mode {mode}")
            equal(weir.metrics().sum("weir_store_up"), 0, f"weir_store_up with {name}")
            equal(weir.terminate(), 0)
    # nothing but the handshake of the last case ever reached the right server
    equal(right.call("DBSIZE"), 0)
    t.note(f"{len(cases)} faults x {len(MODES)} modes")


def _listens(weir):
    try:
        return weir.running() and weir.admin("/livez", timeout=2).status == 200
    except (OSError, TimeoutError, client.http1.Closed):
        return False


def sentinels_that_are_gone_are_answered_by_the_failure_mode(t):
    """T16: all sentinels lost: the known master serves on; master lost too: the mode; all back: decisions again."""
    group = t.redis_sentinel()
    store = {"url": "redis://in-nodes", "topology": "sentinel", "nodes": group.addresses, "master": group.name,
             "replicas": 1,     # each of the three decides by itself
             "pool": {"command_timeout": "500ms", "connect_timeout": "500ms"}}
    rules = [{"name": "per-id", "key": ["header:X-Id"], "missing": "skip", "limit": "2/day"}]
    if not accepts(t, {"store": store, "rules": rules}):
        raise Skip("this build knows no sentinels")
    u = t.upstream()
    weirs = {mode: t.weir({"upstreams": {"app": {"url": u.url, "timeout": PATIENCE}}, "rules": rules, "workers": 1,
                           "store": {**store, "failure_mode": mode}}) for mode in MODES}
    for sentinel in group.sentinels:
        sentinel.kill()
    for mode, weir in weirs.items():
        equal([weir.get("/", {"X-Id": f"a-{mode}"}).status for _ in range(3)], [200, 200, 429], mode)
    group.master.kill()
    declared = {"allow": [200] * 4, "deny": [503] * 4, "local": [200, 200, 429, 429]}
    for mode, weir in weirs.items():
        wait_until("the loss is noticed", lambda w=weir: w.metrics().sum("weir_store_up") == 0, 10)
        equal([weir.get("/", {"X-Id": f"b-{mode}"}).status for _ in range(4)], declared[mode], mode)
    group.master.start()
    for sentinel in group.sentinels:
        sentinel.start()
    for mode, weir in weirs.items():
        wait_until("it decides again", lambda w=weir: w.metrics().sum("weir_store_up") == 1, 30)
        wait_until("a decision of Redis", lambda w=weir, m=mode: [w.get("/", {"X-Id": f"c-{m}-{n}"}).status
                                                                  for n in (1, 1, 1)][:2] == [200, 200], 10)


def _vectors_pass(t, *store):
    program = os.path.join(os.path.dirname(t.build.path), "limiter_conformance")
    if not os.access(program, os.X_OK):
        raise Skip("limiter_conformance is not built beside weir")
    vectors = os.path.join(os.path.dirname(__file__), "..", "conformance", "vectors")
    done = subprocess.run([program, "--vectors", vectors, "--store", *store],
                          capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0 and done.stdout.rstrip().endswith(" 0 failed"), done.stdout[-2000:] + done.stderr[-500:]
    t.note(done.stdout.rstrip().splitlines()[-1])


def the_vectors_pass_over_a_unix_socket(t):
    """T1 again, by other ways."""
    _vectors_pass(t, f"unix:{t.redis().socket_path}")


def the_vectors_pass_over_tls_with_a_client_certificate(t):
    authority, tls = _need_tls(t)
    redis = t.redis_with_tls(authority)
    _vectors_pass(t, redis.tls_url, "--ca", tls["ca_file"], "--certificate", tls["certificate"], "--key", tls["key"])


def the_vectors_pass_as_the_user_whose_rights_are_printed(t):
    redis = t.redis()
    redis.call("ACL", "SETUSER", "weir", "on", ">secret", *_printed_rights(t, redis.url))
    _vectors_pass(t, f"redis://weir:secret@127.0.0.1:{redis.port}")
