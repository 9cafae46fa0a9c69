# SPDX-License-Identifier: Apache-2.0
"""The PROXY protocol: who may announce a client, what an announcement must look like, and what follows from it."""

import socket
import struct
import time

from support import client
from support.check import equal
from support.tls import client_context
from support.weir import wait_until

HERE = ["127.0.0.0/8"]


def _weir(t, url, expected, tls=None, **policy):
    weir = t.weir({}, start=False, tls=None)
    weir.write_policy({"listen": [{"name": "edge", "address": f"127.0.0.1:{weir.port}", "proxy_protocol": expected,
                                   **({"tls": tls} if tls else {})}],
                       "upstreams": {"app": {"url": url}}, **policy})
    return weir.start()


def v1(line):
    return line.encode() + b"\r\n"


def v2(source, destination="10.0.0.1", command=0x21, extensions=b"", family=None):
    if source is None:
        addresses, kind = b"", 0x00
    else:
        v6 = ":" in source
        form = socket.AF_INET6 if v6 else socket.AF_INET
        addresses = socket.inet_pton(form, source) + socket.inet_pton(form, "::1" if v6 else destination)
        addresses, kind = addresses + struct.pack(">HH", 4711, 443), 0x21 if v6 else 0x11
    rest = addresses + extensions
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([command, kind if family is None else family]) + \
        struct.pack(">H", len(rest)) + rest


def _crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def checksummed(right=True):
    header = v2("203.0.113.7", extensions=b"\x02\x00\x09a.example" + b"\x03\x00\x04\0\0\0\0")
    return header[:-4] + struct.pack(">I", _crc32c(header) ^ (not right))


def _closed_without_a_word(weir, data, half_close=False):
    c = client.Connection(weir.port)
    try:
        c.send(data)
        if half_close:
            c.half_close()
    except OSError:
        pass
    equal(c.read_until_close(5), b"")
    c.close()


def the_announced_client_is_the_peer(t):
    u = t.upstream(tls=None)
    weir = _weir(t, u.url, {"from": HERE}, rules=[{"name": "few", "key": ["client_ip"], "limit": "2/hour"}])
    for preface, peer in ((v1("PROXY TCP4 192.0.2.1 10.0.0.1 4711 80"), "192.0.2.1"),
                          (v1("PROXY TCP6 2001:db8::1 ::1 4711 80"), "2001:db8::1"),
                          (v1("PROXY UNKNOWN"), "127.0.0.1"),
                          (v1("PROXY UNKNOWN whatever 1 2"), "127.0.0.1"),
                          (v2("192.0.2.2"), "192.0.2.2"),
                          (v2("2001:db8:0:1::2"), "2001:db8:0:1::2"),
                          (v2("192.0.2.3", command=0x20), "127.0.0.1"),
                          (v2(None, command=0x20), "127.0.0.1"),
                          (v2(None), "127.0.0.1"),
                          (v2("192.0.2.4", extensions=b"\x04\x00\x05space"), "192.0.2.4"),
                          (checksummed(), "203.0.113.7")):
        with weir.connect(preface=preface) as c:
            r = c.request(fields={"X-Forwarded-For": "198.51.100.1"})
            if peer == "127.0.0.1":
                assert r.status in (200, 429)
                continue
            equal(r.status, 200, peer)
            record = weir.record(r.header("X-Request-ID"))
            equal((record["client_ip"], record["peer_ip"]), (peer, peer))
            equal(u.requests[-1].header("X-Forwarded-For"), peer)
    with weir.connect(preface=v2("192.0.2.1")) as c:   # the same client, announced otherwise, has one bucket
        equal([c.request().status for _ in range(2)], [200, 429])


def an_announced_proxy_may_be_trusted_like_any_peer(t):
    u = t.upstream(tls=None)
    weir = _weir(t, u.url, {"from": HERE}, client_ip={"trusted_proxies": ["192.0.2.0/24"]})
    for source, wanted in (("192.0.2.9", "198.51.100.1"), ("203.0.113.9", "203.0.113.9")):
        with weir.connect(preface=v2(source)) as c:
            r = c.request(fields={"X-Forwarded-For": "198.51.100.1"})
            record = weir.record(r.header("X-Request-ID"))
            equal((record["client_ip"], record["peer_ip"]), (wanted, source))


def a_missing_or_malformed_announcement_closes_without_an_answer(t):
    u = t.upstream(tls=None)
    weir = _weir(t, u.url, {"from": HERE})
    get = client.request_bytes()
    wrong = [get, b"\r\n" + get, v1("PROXY TCP4 192.0.2.1 10.0.0.1 4711"), v1("PROXY TCP5 1.1.1.1 2.2.2.2 1 2"),
             v1("PROXY TCP4 192.0.2.01 10.0.0.1 1 2"), v1("PROXY TCP4 ::1 ::2 1 2"), v1("PROXY  TCP4 1.1.1.1 2.2.2.2 1 2"),
             b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n", v1("PROXY UNKNOWN " + "x" * 100), b"PROXY UNKNOWN " + b"x" * 200,
             v2("192.0.2.1", command=0x22), v2("192.0.2.1", command=0x11), v2("192.0.2.1", family=0x12),
             v2("192.0.2.1", family=0x21), v2("192.0.2.1", extensions=b"\x04\x00\x06space"),
             v2("192.0.2.1", extensions=b"\x04"), v2("192.0.2.1", extensions=b"\x04\x0f\xff" + b"x" * 4095),
             checksummed(right=False), b"\x16\x03\x01\x02\x00" + b"x" * 512]
    for data in wrong:
        _closed_without_a_word(weir, data + get)
    for data in (b"", v1("PROXY TCP4 1.1.1.1 2.2.2.2 1 2")[:-1], v2("192.0.2.1")[:-1]):
        _closed_without_a_word(weir, data, half_close=True)
    equal(u.requests, [])
    equal(weir.records(), [])
    wait_until("each is counted", lambda: weir.metrics().sum(
        "weir_connections_rejected_total", reason="proxy_protocol") == len(wrong) + 3)
    with weir.connect(preface=v2("192.0.2.1")) as c:    # and what follows a right one is judged as ever
        c.send(v2("192.0.2.1"))
        equal(c.read().status, 400)


def only_named_peers_may_announce_and_nobody_else_may_connect(t):
    u = t.upstream(tls=None)
    weir = _weir(t, u.url, {"from": ["10.0.0.0/8", "127.0.0.2"]})
    for data in (v2("192.0.2.1") + client.request_bytes(), client.request_bytes()):
        _closed_without_a_word(weir, data)
    equal(u.requests, [])
    sock = socket.create_connection(("127.0.0.1", weir.port), 5, source_address=("127.0.0.2", 0))
    sock.sendall(v2("192.0.2.1") + client.request_bytes())
    assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
    sock.close()


def without_it_an_announcement_is_a_malformed_request(t):
    weir = t.weir({"upstreams": {"app": {"url": t.upstream(tls=None).url}}}, tls=None)
    for preface in (v1("PROXY TCP4 192.0.2.1 10.0.0.1 1 2"), v2("192.0.2.1")):
        with weir.connect() as c:
            c.send(preface + client.request_bytes())
            equal(c.read().status, 400)


def only_the_versions_of_the_policy_are_taken(t):
    u = t.upstream(tls=None)
    first, second = v1("PROXY TCP4 192.0.2.1 10.0.0.1 1 2"), v2("192.0.2.1")
    for versions, good, bad in ((["v1"], first, second), (["v2"], second, first)):
        weir = _weir(t, u.url, {"from": HERE, "versions": versions})
        with weir.connect(preface=good) as c:
            equal(c.request().status, 200)
        _closed_without_a_word(weir, bad + client.request_bytes())


def an_announcement_may_be_cut_at_every_byte(t):
    weir = _weir(t, t.upstream(tls=None).url, {"from": HERE})
    for preface in (v1("PROXY TCP6 2001:db8::1 ::1 4711 80"), v2("2001:db8::1"), checksummed()):
        for cut in range(1, len(preface) + 1):
            with client.Connection(weir.port) as c:
                c.send(preface[:cut])
                if cut % 8 == 0 or t.thorough:
                    time.sleep(0.002)                       # let it be seen alone
                c.send(preface[cut:] + client.request_bytes())
                equal(c.read().status, 200)
        with client.Connection(weir.port) as c:
            c.send(preface + client.request_bytes(), pieces=1)
            equal(c.read().status, 200)


def tls_comes_behind_the_announcement(t):
    ca = t.authority()
    server = ca.server()
    u = t.upstream(tls=None)
    weir = _weir(t, u.url, {"from": HERE}, {"certificate": server.certificate, "key": server.key})
    trusting = client_context(ca.ca)
    for preface, peer in ((v1("PROXY TCP4 192.0.2.1 10.0.0.1 1 2"), "192.0.2.1"), (checksummed(), "203.0.113.7")):
        with weir.connect(preface=preface, tls=trusting) as c:
            for _ in range(2):
                equal(c.request().status, 200)
        equal(u.requests[-1].header("X-Forwarded-For"), peer)
        equal(u.requests[-1].header("X-Forwarded-Proto"), "https")
    try:
        weir.connect(tls=trusting)
        raise AssertionError("a handshake without an announcement succeeded")
    except OSError:
        pass


def an_announcement_has_the_time_of_a_head(t):
    weir = _weir(t, t.upstream(tls=None).url, {"from": HERE}, limits={"header_timeout": "500ms"})
    begin = time.monotonic()
    silent, dripping = client.Connection(weir.port), client.Connection(weir.port)
    for byte in v2("192.0.2.1"):
        try:
            dripping.sock.sendall(bytes([byte]))
        except OSError:
            break
        time.sleep(0.05)
    equal(silent.read_until_close(5) + dripping.read_until_close(5), b"")
    assert 0.45 < time.monotonic() - begin < 1.4 + t.slack


def who_announces_clients_is_not_limited_as_one_address(t):
    u = t.upstream()
    weir = _weir(t, u.url, {"from": HERE}, limits={"connections_per_address": 2})
    held = [client.Connection(weir.port) for _ in range(5)]
    for i, c in enumerate(held):
        c.send(v1(f"PROXY TCP4 203.0.113.{i + 1} 10.0.0.1 4711 80"))
        equal(c.request("GET", "/").status, 200)
    for c in held:
        c.close()
