# SPDX-License-Identifier: Apache-2.0
"""The Redis side of the harness itself, without weir: clusters, sentinels and certificates that do what tests ask."""

import socket
import ssl

from support.check import equal, fails_with
from support.redis import RespError
from support.redis_cluster import SLOTS, key_slot
from support.weir import wait_until


def slots_are_computed_as_redis_does(t):
    equal(key_slot("123456789"), 12739)
    equal(key_slot("{user1000}.following"), key_slot("user1000"))
    equal(key_slot("foo{}{bar}"), t.redis_cluster().nodes[0].call("CLUSTER", "KEYSLOT", "foo{}{bar}"))


def a_cluster_moves_slots_and_fails_over(t):
    cluster = t.redis_cluster()
    equal(len(cluster.addresses), 4)
    equal(sum(len(cluster.slots_of(n)) for n in cluster.nodes[:3]), SLOTS)
    key = "rl:1:abc"
    slot, source = key_slot(key), cluster.master_of(key)
    target = next(n for n in cluster.nodes[:3] if n is not source)
    source.call("SET", key, "v", "PX", 60000)
    with fails_with(RespError):
        target.call("GET", key)
    cluster.begin_move(slot, target)
    equal(source.call("GET", key), b"v")
    cluster.move_keys(slot, source, target)
    try:
        source.call("GET", key)
        raise AssertionError("the source still has it")
    except RespError as e:
        assert str(e).startswith("ASK "), e
    cluster.end_move(slot, source, target)
    equal(target.call("GET", key), b"v")
    wait_until("everybody has heard of it", lambda: cluster.owner(slot) is target, 5)
    begin, end = cluster.slots_of(source)[0], cluster.slots_of(source)[0] + 200
    equal(cluster.move_all(source, target, range(begin, end)), 200)
    new = cluster.kill_and_wait(cluster.nodes[0])
    equal(new.role(), "master")


def sentinels_name_a_new_master(t):
    group = t.redis_sentinel(password="s3cret")
    equal(len(group.addresses), 3)
    old = group.current_master()
    old.call("SET", "k", "v")
    new = group.kill_master()
    assert new is group.replica
    equal(new.call("ROLE")[0], b"master")


def certificates_are_what_their_names_say(t):
    authority, other = t.authority(), t.authority(name="somebody else")
    redis = t.redis_with_tls(authority)

    def ping(client=None, trust=authority, name="127.0.0.1", port=redis.tls_port):
        context = ssl.create_default_context(cafile=trust.ca)
        if client:
            context.load_cert_chain(client.certificate, client.key)
        with socket.create_connection(("127.0.0.1", port), 5) as sock, \
                context.wrap_socket(sock, server_hostname=name) as tls:
            tls.sendall(b"PING\r\n")
            return tls.recv(100)
    equal(ping(authority.client()), b"+PONG\r\n")
    equal(ping(authority.client(), name="localhost"), b"+PONG\r\n")
    for wrong in ({"name": "redis.example"}, {"trust": other}):
        with fails_with(ssl.SSLCertVerificationError):
            ping(authority.client(), **wrong)
    for client in (None, other.client(), authority.client(expired=True)):
        try:
            assert ping(client) == b"", "Redis accepted the client"
        except (ssl.SSLError, ConnectionError):
            pass
    expired = t.redis_with_tls(authority, authority.server(expired=True))
    with fails_with(ssl.SSLCertVerificationError):
        ping(authority.client(), port=expired.tls_port)
