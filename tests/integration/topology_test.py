# SPDX-License-Identifier: Apache-2.0
"""A store of several servers, or behind TLS: clusters, sentinels, certificates, and what happens when they change."""

import collections
import os
import shutil
import time

from support import client
from support.check import equal
from support.context import Skip
from support.load import Load
from support.ports import free_port
from support.redis import RedisServer
from support.redis_cluster import SLOTS, RedisCluster
from support.redis_sentinel import RedisSentinel
from support.tls import Authority, redis_options
from support.weir import wait_until

TRUST = {"client_ip": {"trusted_proxies": ["127.0.0.0/8"]}}


def _cluster(t, **kwargs):
    if not shutil.which("redis-server"):
        raise Skip("redis-server is not installed")
    return t.keep(RedisCluster(t.folder("cluster"), **kwargs)).start()


def _store(topology, addresses, **more):
    """Patient, so that a busy machine does not turn an exact test into one of the failure mode."""
    return {"url": "redis://in-nodes", "topology": topology, "nodes": addresses, "failure_mode": "deny",
            "pool": {"command_timeout": "5s", "connect_timeout": "2s"}, **more}


def _weir(t, store, rules):
    u = t.upstream()
    return t.weir({"upstreams": {"app": {"url": u.url}}, "store": store, "rules": rules, **TRUST})


def _ask(weir, address="10.0.0.1", user=None):
    headers = {"X-Forwarded-For": address, **({"X-User": user} if user else {})}
    return weir.get("/", headers)


def a_cluster_counts_every_subject_on_its_node(t):
    cluster = _cluster(t)
    weir = _weir(t, _store("cluster", cluster.addresses[:1]),
                 [{"name": "per-ip", "key": ["client_ip"], "limit": "3/hour"}])
    for i in range(30):
        answers = [_ask(weir, f"10.1.0.{i}").status for _ in range(4)]
        equal(answers, [200, 200, 200, 429])
    assert len(cluster.keys()) == 30
    owners = [node for node in cluster.nodes[:3] if any(b"{members}" not in key for key in node.call("KEYS", "*"))]
    equal(len(owners), 3)


def a_request_over_two_slots_is_all_or_nothing(t):
    cluster = _cluster(t)
    weir = _weir(t, _store("cluster", cluster.addresses),
                 [{"name": "per-ip", "key": ["client_ip"], "limit": "1000/hour"},
                  {"name": "per-user", "key": ["header:x-user"], "missing": "skip", "limit": "5/hour"}])
    statuses = [_ask(weir, "10.0.0.1", f"user-{i % 8}").status for i in range(80)]
    equal(statuses.count(200), 40)
    # what the denied ones took of the address came back
    def left():
        r = _ask(weir, "10.0.0.1")
        return int(r.header("RateLimit").split('"per-ip";r=')[1].split(";")[0])
    wait_until("the refunds have arrived", lambda: left() >= 1000 - 40 - 60, 5)
    assert weir.metrics().sum("weir_store_refunds_total") > 0


def all_slots_move_under_load_without_an_error_or_an_extra_admission(t):
    """T8: every slot gets another owner while keys of all slots are made and asked for."""
    limit, turns, addresses, rate = 3, 5, 4000, 1000    # each address asks five times, then others come
    # an emptied master would become a replica of the one that got its last slot
    cluster = _cluster(t, options=("--cluster-allow-replica-migration", "no"))
    weir = _weir(t, _store("cluster", cluster.addresses),
                 [{"name": "per-ip", "key": ["client_ip"], "limit": f"{limit}/day"}])

    def address(i):
        return f"10.{i // (addresses * turns)}.{i % addresses // 250}.{i % addresses % 250}"
    load = Load(weir.port, rate=rate, connections=16,
                request=lambda i: client.request_bytes(fields={"X-Forwarded-For": address(i)})).start()
    begin, masters = time.monotonic(), cluster.nodes[:3]
    owned = [(node, cluster.slots_of(node)) for node in masters]
    moved = sum(cluster.move_all(node, masters[(i + 1) % 3], slots) for i, (node, slots) in enumerate(owned))
    took = time.monotonic() - begin
    load.stop()
    reached, m = len(load.samples) / load.elapsed, weir.metrics()
    t.note(f"{moved} slots in {took:.1f} s under {reached:.0f} requests/s, {len(load.samples)} requests, "
           f"{m.sum('weir_store_redirects_total'):.0f} redirections, {m.sum('weir_store_retries_total'):.0f} retries")
    equal(moved, SLOTS)
    equal(load.failed(ok=(200, 429)), [], "client-visible errors")
    assert m.sum("weir_store_redirects_total") > 0
    asked, admitted = collections.Counter(), collections.Counter()
    for sample in load.samples:
        asked[address(sample.index)] += 1
        admitted[address(sample.index)] += sample.status == 200
    wrong = {a: (asked[a], admitted[a]) for a in asked if admitted[a] != min(asked[a], limit)}
    equal(wrong, {}, "addresses with (requests, admissions)")
    equal(m.sum("weir_failure_mode_decisions_total"), 0, "decisions without Redis")
    assert not t.thorough or reached >= 0.99 * rate, f"only {reached:.0f} requests/s"


def a_dead_shard_fails_only_its_rules_by_their_failure_mode(t):
    cluster = _cluster(t, replicas=0, options=("--cluster-require-full-coverage", "no"))
    store = _store("cluster", cluster.addresses)
    store["pool"] = {"command_timeout": "1s", "connect_timeout": "1s"}
    weir = _weir(t, store,
                 [{"name": "per-ip", "key": ["client_ip"], "limit": "1000/hour", "failure_mode": "deny"},
                  {"name": "per-user", "key": ["header:x-user"], "missing": "skip", "limit": "1000/hour",
                   "failure_mode": "allow"}])
    users = [f"user-{i}" for i in range(12)]
    for user in users:
        equal(_ask(weir, "10.0.0.1", user).status, 200)
    # the address lives on one node; kill one of the others
    victims = [node for node in cluster.nodes if not _holds_address(node, weir)]
    assert victims
    victims[0].kill()
    wait_until("the shard is missed", lambda: weir.metrics().sum("weir_store_up") == 0, 10)
    statuses = [_ask(weir, "10.0.0.1", user).status for user in users]
    equal(set(statuses), {200})
    assert weir.metrics().sum("weir_failure_mode_decisions_total", rule="per-user", mode="allow") > 0


def a_denial_by_a_dead_shard_gives_back_what_the_living_one_took(t):
    cluster = _cluster(t, replicas=0, options=("--cluster-require-full-coverage", "no"))
    store = _store("cluster", cluster.addresses)
    store["pool"] = {"command_timeout": "1s", "connect_timeout": "1s"}
    weir = _weir(t, store,
                 [{"name": "per-ip", "key": ["client_ip"], "limit": "1000/day", "failure_mode": "allow"},
                  {"name": "per-user", "key": ["header:x-user"], "missing": "skip", "limit": "1000/day",
                   "failure_mode": "deny"}])

    def left():
        return int(_ask(weir, "10.0.0.1").header("RateLimit").split('"per-ip";r=')[1].split(";")[0])
    victim = next(node for node in cluster.nodes if not _holds_address(node, weir))
    victim.kill()
    wait_until("the shard is missed", lambda: weir.metrics().sum("weir_store_up") == 0, 10)
    users = [f"user-{i}" for i in range(24)]
    dead = [user for user in users if _ask(weir, "10.0.0.1", user).status == 503]
    assert 0 < len(dead) < len(users), dead
    before = left()
    equal([_ask(weir, "10.0.0.1", user).status for user in dead * 5], [503] * 5 * len(dead))
    # each look takes a unit, and a refund arrives a moment after its denial
    looks = [left()]
    wait_until("the refunds have arrived", lambda: looks.append(left()) or looks[-1] == before - len(looks), 5)
    alive = next(user for user in users if user not in dead)
    equal(_ask(weir, "10.0.0.1", alive).status, 200)
    equal(left(), looks[-1] - 2, "what an admitted request leaves")


def _holds_address(node, weir):
    """True when a request of the address alone reaches this node."""
    before = node.command_calls().get("evalsha", 0)
    equal(_ask(weir, "10.0.0.1").status, 200)
    return node.command_calls().get("evalsha", 0) > before


def a_failover_of_the_cluster_is_followed(t):
    cluster = _cluster(t)
    weir = _weir(t, {**_store("cluster", cluster.addresses), "pool": {"command_timeout": "500ms",
                                                                      "connect_timeout": "500ms"}},
                 [{"name": "per-ip", "key": ["client_ip"], "limit": "1000/hour"}])
    for i in range(12):
        equal(_ask(weir, f"10.0.0.{i}").status, 200)
    victim = cluster.nodes[0]
    victim.kill()
    wait_until("the replica has taken over", lambda: cluster.nodes[3].role() == "master", 30)
    begin = time.monotonic()
    wait_until("every subject is decided", lambda: all(_ask(weir, f"10.0.0.{i}").status == 200 for i in range(12)), 20)
    took = time.monotonic() - begin
    t.note(f"{took:.2f} s after the failover")
    assert took <= 2.0, took
    equal(weir.metrics().sum("weir_store_up"), 1)


def a_demoted_master_of_a_cluster_is_left_without_an_error(t):
    cluster = _cluster(t)
    weir = _weir(t, _store("cluster", cluster.addresses),
                 [{"name": "per-ip", "key": ["client_ip"], "limit": "1000/hour"}])
    load = Load(weir.port, rate=300, connections=8, request=lambda i: client.request_bytes(
        fields={"X-Forwarded-For": f"10.0.0.{i % 200}"})).start()
    time.sleep(0.5)
    for _ in range(2):      # there and back again
        replica = next(node for node in cluster.nodes if node.role() == "slave")
        cluster.fail_over(replica)
        time.sleep(1.5)
    load.stop()
    t.note(f"{len(load.samples)} requests, {weir.metrics().sum('weir_store_redirects_total'):.0f} redirections")
    equal(load.failed(), [])
    equal(weir.metrics().sum("weir_store_up"), 1)


def sentinels_lead_to_the_new_master(t):
    if not shutil.which("redis-server"):
        raise Skip("redis-server is not installed")
    sentinel = t.keep(RedisSentinel(t.folder("sentinel"))).start()
    weir = _weir(t, {**_store("sentinel", sentinel.addresses, master=sentinel.name),
                     "pool": {"command_timeout": "500ms", "connect_timeout": "500ms"}},
                 [{"name": "per-ip", "key": ["client_ip"], "limit": "1000/hour"}])
    equal(_ask(weir).status, 200)
    sentinel.kill_master()
    begin = time.monotonic()
    wait_until("weir uses the new master", lambda: weir.metrics().sum("weir_store_up") == 1, 20)
    took = time.monotonic() - begin
    t.note(f"{took:.2f} s after the failover")
    assert took <= 2.0, took
    equal(_ask(weir).status, 200)
    assert weir.metrics().sum("weir_store_topology_changes_total") >= 1


def sentinels_that_want_a_login_get_the_stores_and_a_demoted_master_is_left(t):
    sentinel = t.redis_sentinel(password="secret", sentinel_password="secret")
    secret = os.path.join(t.folder("secret"), "password")
    with open(secret, "w", encoding="ascii") as f:
        f.write("secret\n")
    weir = _weir(t, {**_store("sentinel", sentinel.addresses, master=sentinel.name, password_file=secret),
                     "pool": {"command_timeout": "500ms", "connect_timeout": "500ms"}},
                 [{"name": "per-ip", "key": ["client_ip"], "limit": "1000/hour"}])
    equal(_ask(weir).status, 200)
    # an operator changes the roles: no connection is cut, the master says READONLY from now on
    old, new = sentinel.master, sentinel.replica
    new.call("REPLICAOF", "NO", "ONE")
    old.call("REPLICAOF", "127.0.0.1", new.port)
    equal(_ask(weir).status, 503)
    equal(weir.metrics().sum("weir_store_errors_total", kind="readonly"), 1)
    for one in sentinel.sentinels:
        one.call("SENTINEL", "REMOVE", sentinel.name)
        one.call("SENTINEL", "MONITOR", sentinel.name, "127.0.0.1", new.port, 2)
    begin = time.monotonic()
    wait_until("the new master decides", lambda: _ask(weir).status == 200, 20)
    took = time.monotonic() - begin
    t.note(f"{took:.2f} s after the sentinels knew")
    assert took <= 2.0, took
    equal(len(new.state_keys()), 1)
    assert "secret" not in weir.stderr()


def a_redis_behind_tls_is_reached_with_a_client_certificate(t):
    t.need("redis-server")
    t.need("openssl")
    authority = Authority(t.folder("ca"))
    server, client, port = authority.server(), authority.client(), free_port()
    redis = t.keep(RedisServer(t.folder("redis"), options=redis_options(authority, server, port))).start()
    tls = {"ca_file": authority.ca, "certificate": client.certificate, "key": client.key}
    weir = _weir(t, {"url": f"rediss://127.0.0.1:{port}", "tls": tls, "failure_mode": "deny",
                     "pool": {"command_timeout": "5s", "connect_timeout": "2s"}},
                 [{"name": "per-ip", "key": ["client_ip"], "limit": "2/hour"}])
    equal([_ask(weir).status for _ in range(3)], [200, 200, 429])
    equal(len(redis.state_keys()), 1)


def a_rotated_password_is_taken_over_by_a_reload(t):
    redis = t.redis()
    redis.call("ACL", "SETUSER", "weir", "on", ">first", "~*", "+@all")
    secret = os.path.join(t.folder("secret"), "password")
    with open(secret, "w", encoding="ascii") as f:
        f.write("first\n")
    weir = _weir(t, {"url": redis.url, "username": "weir", "password_file": secret, "failure_mode": "deny",
                     "pool": {"command_timeout": "2s", "connect_timeout": "1s"}},
                 [{"name": "per-ip", "key": ["client_ip"], "limit": "1000/hour"}])
    equal(_ask(weir).status, 200)
    load = Load(weir.port, 50, connections=2)
    load.start()
    redis.call("ACL", "SETUSER", "weir", "<first", ">second")
    with open(secret, "w", encoding="ascii") as f:
        f.write("second\n")
    weir.reload()
    wait_until("every connection was replaced",
               lambda: weir.metrics().sum("weir_store_pool_closed_total", reason="recycled") >= 1, 10)
    time.sleep(0.3)
    load.stop()
    equal({s.status for s in load.samples} - {200}, set())
    equal(weir.metrics().sum("weir_store_up"), 1)
    assert "second" not in weir.stderr()
