# SPDX-License-Identifier: Apache-2.0
"""A store of several servers, or behind TLS: clusters, sentinels, certificates, and what happens when they change."""

import os
import shutil
import threading
import time

from support.check import equal
from support.context import Skip
from support.load import Load
from support.ports import free_port
from support.redis import RedisServer
from support.redis_cluster import RedisCluster
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
    # an emptied master would become a replica of the one that got its last slot
    cluster = _cluster(t, replicas=0, options=("--cluster-allow-replica-migration", "no"))
    weir = _weir(t, _store("cluster", cluster.addresses),
                 [{"name": "per-ip", "key": ["client_ip"], "limit": "50/hour"}])
    stop, statuses, admitted = threading.Event(), [], {}

    def load(number):
        i = 0
        while not stop.is_set():
            address = f"10.{number}.0.{i % 40}"
            i += 1
            status = _ask(weir, address).status
            statuses.append(status)
            if status == 200:
                admitted[address] = admitted.get(address, 0) + 1
    threads = [threading.Thread(target=load, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    try:
        masters = cluster.nodes[:3]
        owned = [(node, cluster.slots_of(node)) for node in masters]
        for i, (node, slots) in enumerate(owned):
            target = masters[(i + 1) % 3]
            _move_all(cluster, node, target, slots)
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    t.note(f"{len(statuses)} requests, {weir.metrics().sum('weir_store_redirects_total'):.0f} redirections")
    equal({s for s in statuses} - {200, 429}, set())
    assert max(admitted.values()) <= 50, max(admitted.values())
    assert weir.metrics().sum("weir_store_redirects_total") > 0


def _move_all(cluster, source, target, slots):
    """As redis-cli does it, on three lasting connections instead of one per question."""
    clients = {node: node.client() for node in cluster.living()}
    source_id, target_id = source.id(), target.id()
    try:
        for slot in slots:
            clients[target].call("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
            clients[source].call("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
            while keys := clients[source].call("CLUSTER", "GETKEYSINSLOT", slot, 100):
                clients[source].call("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            for node in (target, source):
                clients[node].call("CLUSTER", "SETSLOT", slot, "NODE", target_id)
    finally:
        for client in clients.values():
            client.close()


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
    wait_until("weir is whole again", lambda: weir.metrics().sum("weir_store_up") == 1, 20)
    took = time.monotonic() - begin
    t.note(f"{took:.2f} s after the failover")
    assert took <= 2 * t.slack + 1, took     # a second for gossip to reach the node that is asked
    for i in range(12):
        equal(_ask(weir, f"10.0.0.{i}").status, 200)


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
    assert took <= 2 * t.slack, took
    equal(_ask(weir).status, 200)
    assert weir.metrics().sum("weir_store_topology_changes_total") >= 1


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
