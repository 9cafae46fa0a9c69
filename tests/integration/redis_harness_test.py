# SPDX-License-Identifier: Apache-2.0
"""The Redis side of the harness itself, without weir: clusters, sentinels and certificates that do what tests ask."""

import socket
import ssl
import time

from support import fault_relay as relay_scripts
from support.check import equal, fails_with
from support.redis import RespClient, RespError
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


EVAL = ("EVAL", "redis.call('INCR', KEYS[1]) return {1,2,3}", 1, "k")


def _raw(relay, seconds=0.5):
    """All bytes that come back for one decision within the time, and whether the connection ended: "", fin, rst."""
    with socket.create_connection(("127.0.0.1", relay.port), 5) as sock:
        sock.sendall(relay_scripts.resp(*EVAL))
        sock.settimeout(seconds)
        data = b""
        try:
            while more := sock.recv(65536):
                data += more
            return data, "fin"
        except TimeoutError:
            return data, ""
        except ConnectionResetError:
            return data, "rst"


def the_relay_plays_its_scripts(t):
    redis = t.redis()
    relay = t.fault_relay(redis)
    reply = b"*3\r\n:1\r\n:2\r\n:3\r\n"
    expected = [(relay_scripts.passed, (reply, "")), (relay_scripts.split(2), (reply, "")),
                (relay_scripts.says(b"-OOM no\r\n"), (b"-OOM no\r\n", "")), (relay_scripts.silent(), (b"", "")),
                (relay_scripts.executed_but_unanswered(), (b"", "")), (relay_scripts.late(2), (b"", "")),
                (relay_scripts.ends_mid_reply(7), (reply[:7], "fin")),
                (relay_scripts.ends_mid_reply(-1, reset=True), (reply[:-1], "rst")),
                (relay_scripts.ends_mid_reply(0, half=True), (b"", "fin")),
                (relay_scripts.drips(1.0), (reply[:1], "")),
                (relay_scripts.changed(lambda b: b.replace(b":2", b":x")), (reply.replace(b":2", b":x"), "")),
                (relay_scripts.every_nth(1, relay_scripts.closed), (b"", "fin"))]
    executed = 0
    for script, outcome in expected:
        relay.play(script)
        equal(_raw(relay), outcome)
        executed += relay.decisions[-1].forwarded
        wait = time.monotonic() + 5
        while int(redis.call("GET", "k")) < executed and time.monotonic() < wait:
            time.sleep(0.01)
        equal(int(redis.call("GET", "k")), executed, "executed by Redis")
    equal(executed, 9)
    relay.heal()
    equal(len(relay.of(b"k")), len(expected))
    assert relay.decisions[0].replied and not relay.decisions[4].replied
    relay.play(relay_scripts.endless(b":1\r\n", most=3000))
    equal(_raw(relay), (b":1\r\n" * 750, "fin"))


def the_relay_opens_and_shuts_its_door(t):
    relay = t.fault_relay(t.redis())
    kept = RespClient(relay.port)
    equal(kept.call("PING"), b"PONG")
    relay.play(door="shut", cut="reset")
    with fails_with(ConnectionError):
        kept.call("PING")
    with fails_with(ConnectionRefusedError):
        RespClient(relay.port)
    for door, error in (("reset", ConnectionError), ("close", ConnectionError), ("silent", TimeoutError)):
        relay.play(door=door)
        with fails_with(error):
            RespClient(relay.port, timeout=0.5).call("PING")
    relay.heal()
    equal(RespClient(relay.port).call("PING"), b"PONG")


def a_fake_redis_is_convincing_until_the_decision(t):
    relay = t.fault_relay(None)
    relay.play(relay_scripts.fake(b"-MISCONF no\r\n"))
    client = RespClient(relay.port)
    equal(client.call("PING"), b"PONG")
    equal(client.call("SCRIPT", "LOAD", "return 1"), b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db")
    assert b"redis_version" in client.call("INFO", "server")
    with fails_with(RespError):
        client.call(*EVAL)
