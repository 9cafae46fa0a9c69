# SPDX-License-Identifier: Apache-2.0
"""Upgrades: the handshake, what refuses it, and the tunnel behind a 101."""

import socket
import threading
import time

from support import client, upstream
from support.check import alone, envelope, equal
from support.upstream import by_path, ok
from support.weir import wait_until

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", KEY),
             ("Sec-WebSocket-Version", "13")]
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Mine: 1\r\n\r\n"


def _changed(**changes):
    """The handshake with some values replaced; None takes the field away."""
    names = {name.lower().replace("-", "_"): name for name, _ in HANDSHAKE}
    wanted = {names[key]: value for key, value in changes.items()}
    return [(n, wanted.get(n, v)) for n, v in HANDSHAKE if wanted.get(n, v) is not None]


class Raw:
    """One side of a tunnel: bytes in and out, nothing parsed."""

    def __init__(self, sock, early=b"", timeout=20.0):
        self.sock, self.buffer = sock, bytearray(early)
        sock.settimeout(timeout)

    def send(self, data):
        self.sock.sendall(data)
        return self

    def exactly(self, size):
        while len(self.buffer) < size:
            data = self.sock.recv(1 << 16)
            assert data, f"the end after {bytes(self.buffer)!r}"
            self.buffer += data
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def end(self):
        """How the other side ended: 'fin' or 'reset', after `rest`."""
        rest = bytes(self.buffer)
        try:
            while data := self.sock.recv(1 << 16):
                rest += data
        except ConnectionResetError:
            return "reset", rest
        return "fin", rest

    def finish(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, upstream.RST)
        self.sock.close()


class Switching:
    """An upstream script that grants every upgrade and hands its side of the tunnel to the test."""

    def __init__(self, talk=None, answer=SWITCH):
        self.talk, self.answer = talk, answer
        self.tunnels, self.lock = [], threading.Lock()

    def __call__(self, x):
        x.read_body()
        x.send(self.answer)
        side = Raw(x.sock, x.reader.buffer, timeout=60.0)
        side.over = threading.Event()
        with self.lock:
            self.tunnels.append(side)
        if self.talk is None:
            side.over.wait(60)
        else:
            self.talk(side)
        x.close()

    def newest(self):
        wait_until("the upstream is in the tunnel", lambda: self.tunnels)
        return self.tunnels[-1]


def _echo(side):
    try:
        while data := side.sock.recv(1 << 16):
            side.sock.sendall(data)
    except OSError:
        pass


def _weir(t, script, routes=None, **policy):
    u = t.upstream(script)
    policy.setdefault("upstreams", {"app": {"url": u.url, "timeout": {"connect": "10s", "first_byte": "20s"}}})
    if routes:
        policy["routes"] = [{"match": {"path": "/**"}, "upstream": "app", **r} for r in routes]
    return t.weir(policy), u


def _open(weir, fields=None, target="/chat", **kwargs):
    """A granted handshake: the client's side and the 101."""
    c = weir.connect(**kwargs)
    r = c.request("GET", target, fields or HANDSHAKE)
    equal(r.status, 101, repr(r))
    side = Raw(c.sock, c.reader.buffer)
    side.connection = c
    return side, r


def a_handshake_is_forwarded_anew_and_the_101_is_relayed(t):
    weir, u = _weir(t, Switching(_echo), rules=[{"name": "r", "key": ["client_ip"], "limit": "9/minute"}])
    side, r = _open(weir, [("Connection", "keep-alive, Upgrade, X-Gone"), ("Upgrade", "WebSocket"), ("X-Gone", "1"),
                           ("HTTP2-Settings", "AA"), ("Sec-WebSocket-Protocol", "chat"), *HANDSHAKE[2:]])
    equal((r.header("Upgrade"), r.header("Connection"), r.header("X-Mine")), ("websocket", "Upgrade", "1"))
    assert r.header("Via") == "1.1 weir" and r.header("RateLimit") and r.header("X-Request-ID"), r
    assert "Content-Length" not in r.fields and "Transfer-Encoding" not in r.fields, r
    q = u.requests[0]
    equal((q.header("Upgrade"), q.header("Connection")), ("websocket", "Upgrade"))
    equal((q.header("Sec-WebSocket-Key"), q.header("Sec-WebSocket-Version")), (KEY, "13"))
    equal(q.header("Sec-WebSocket-Protocol"), "chat")
    assert "X-Gone" not in q.fields and "HTTP2-Settings" not in q.fields, q.fields
    said = b"\x00\r\n\r\nGET / HTTP/1.1\r\n\r\n\xff"
    equal(side.send(said).exactly(len(said)), said)
    side.finish()
    equal(side.end(), ("fin", b""))
    record = weir.record(r.header("X-Request-ID"))
    equal((record["status"], record["bytes_in"], record["bytes_out"], record["decision"]), (101, len(said), len(said), "allow"))
    equal(len(weir.records()), 1)


def whatever_is_no_handshake_is_an_ordinary_request(t):
    weir, u = _weir(t, ok(b"plain"), routes=[{"name": "none", "match": {"path": "/none"}, "upgrade": []},
                                             {"name": "chat", "match": {"path": "/other"}, "upgrade": "chat"},
                                             {"name": "rest"}])
    cases = {
        "not nominated": ("GET", "/", _changed(connection="keep-alive"), None),
        "no Connection": ("GET", "/", _changed(connection=None), None),
        "POST": ("POST", "/", HANDSHAKE, b""),
        "a body": ("GET", "/", HANDSHAKE, b"x"),
        "a chunked body": ("GET", "/", HANDSHAKE + [("Transfer-Encoding", "chunked")], b"0\r\n\r\n"),
        "two protocols": ("GET", "/", _changed(upgrade="websocket, chat"), None),
        "another protocol": ("GET", "/", _changed(upgrade="chat"), None),
        "h2c": ("GET", "/", _changed(upgrade="h2c") + [("HTTP2-Settings", "AAMAAABkAAQAAP__")], None),
        "no key": ("GET", "/", _changed(sec_websocket_key=None), None),
        "a short key": ("GET", "/", _changed(sec_websocket_key="AAAA"), None),
        "two keys": ("GET", "/", HANDSHAKE + [HANDSHAKE[2]], None),
        "version 8": ("GET", "/", _changed(sec_websocket_version="8"), None),
        "no version": ("GET", "/", _changed(sec_websocket_version=None), None),
        "a route without upgrades": ("GET", "/none", HANDSHAKE, None),
        "a route with others": ("GET", "/other", HANDSHAKE, None),
    }
    with weir.connect() as c:   # one connection: each of them leaves it usable
        for name, (method, target, fields, body) in cases.items():
            r = c.request(method, target, fields, body)
            equal((r.status, r.body), (200, b"plain"), name)
            q = u.requests[-1]
            assert "Upgrade" not in q.fields and "Connection" not in q.fields, f"{name}: {q.fields}"
            assert "HTTP2-Settings" not in q.fields, f"{name}: {q.fields}"
    r = weir.get("/", HANDSHAKE, version="HTTP/1.0")
    equal((r.status, "Upgrade" in u.requests[-1].fields), (200, False), "HTTP/1.0")
    r = weir.get("/", [("Connection", "close"), *HANDSHAKE])
    equal((r.status, r.closes, "Upgrade" in u.requests[-1].fields), (200, True, False), "close wins")
    r = weir.get("/", HANDSHAKE + [("Upgrade", "websocket")])
    envelope(r, 400, close=True)


def another_protocol_passes_where_its_route_names_it(t):
    answer = SWITCH.replace(b"websocket", b"chat")
    weir, u = _weir(t, Switching(_echo, answer), routes=[{"name": "r", "upgrade": ["websocket", "Chat"]}])
    side, r = _open(weir, [("Connection", "upgrade"), ("Upgrade", "CHAT")])
    equal((r.header("Upgrade"), u.requests[0].header("Upgrade")), ("chat", "chat"))
    equal(side.send(b"hello").exactly(5), b"hello")


def a_101_that_grants_something_else_is_a_502(t):
    weir, u = _weir(t, by_path({
        "/unasked": Switching(), "/other": Switching(answer=SWITCH.replace(b"websocket", b"h2c")),
        "/bare": Switching(answer=SWITCH.replace(b"Connection: Upgrade\r\n", b"")),
        "/nameless": Switching(answer=SWITCH.replace(b"Upgrade: websocket\r\n", b"")),
        "/body": Switching(answer=SWITCH.replace(b"X-Mine: 1", b"Content-Length: 5")),
        "/twice": Switching(answer=SWITCH.replace(b"X-Mine: 1", b"Upgrade: websocket")),
        "/closing": Switching(answer=SWITCH.replace(b"Connection: Upgrade", b"Connection: close, Upgrade")),
    }, ok(b"canary")))
    for path, fields in (("/unasked", ()), ("/other", HANDSHAKE), ("/bare", HANDSHAKE), ("/nameless", HANDSHAKE),
                         ("/body", HANDSHAKE), ("/twice", HANDSHAKE), ("/closing", HANDSHAKE)):
        with weir.connect() as c:
            envelope(c.request("GET", path, fields), 502)
            equal(c.request("GET", "/canary").body, b"canary", path)   # the client's connection is kept
        equal(len([r for r in u.requests if r.target == path]), 1, f"tries of {path}")


def what_comes_before_the_101_is_raw_after_it_and_a_request_after_any_other_status(t):
    go = threading.Event()
    granted = Switching(_echo)

    def late(x):
        go.wait(20)
        granted(x)

    def refusing(x):
        go.wait(20)
        x.respond(403, b"no")
    weir, u = _weir(t, by_path({"/yes": late, "/no": refusing}, ok(b"next")))
    early = client.request_bytes("GET", "/next")
    for path in ("/yes", "/no"):
        go.clear()
        with weir.connect() as c:
            c.send(client.request_bytes("GET", path, HANDSHAKE) + early)
            wait_until("the handshake is upstream", lambda p=path: u.requests and u.requests[-1].target == p)
            time.sleep(0.1)
            c.send(early)
            equal([r.target for r in u.requests if r.target == "/next"], [], "parsed before the 101")
            go.set()
            r = c.read()
            if path == "/yes":
                equal(r.status, 101)
                equal(Raw(c.sock, c.reader.buffer).exactly(2 * len(early)), 2 * early)
            else:
                equal((r.status, r.body), (403, b"no"))
                equal([c.read().body, c.read().body], [b"next", b"next"])


def bytes_behind_the_101_reach_the_client(t):
    weir, _ = _weir(t, Switching(_echo, SWITCH + b"welcome"))
    side, _ = _open(weir)
    equal(side.exactly(7), b"welcome")


def a_denied_handshake_gets_429_and_reaches_nobody(t):
    weir, u = _weir(t, Switching(_echo), rules=[{"name": "few", "key": ["client_ip"], "limit": "2/day"}])
    sides = [_open(weir)[0] for _ in range(2)]
    with weir.connect() as c:
        r = c.request("GET", "/chat", HANDSHAKE)
        envelope(r, 429, "rate_limited", close=False)
        assert int(r.header("Retry-After")) > 0 and "Upgrade" not in r.fields, r
        equal(c.request("GET", "/chat", HANDSHAKE).status, 429)     # still HTTP
    equal(len(u.requests), 2)
    equal(sides[0].send(b"x" * 100_000).exactly(100_000), b"x" * 100_000)    # open ones are not charged again


def a_handshake_is_never_sent_twice(t):
    weir, u = _weir(t, by_path({"/reset": upstream.reset_after_body, "/busy": ok(b"later", status=503)}))
    envelope(weir.get("/reset", HANDSHAKE), 502)
    equal(weir.get("/busy", HANDSHAKE).status, 503)
    equal(len(u.requests), 2, "upgrades are not repeated")
    equal(weir.get("/busy").status, 503)
    assert len(u.requests) > 3, "and a plain GET is"


@alone
def megabytes_pass_both_ways_at_the_pace_of_the_slower_side(t):
    weir, u = _weir(t, Switching(_echo))
    side, _ = _open(weir, receive_buffer=64 * 1024)
    frame = bytes(range(256)) * 4096    # 1 MiB
    frames = 64 if t.thorough else 16
    warm = side.send(frame[:65536]).exactly(65536)
    equal(warm, frame[:65536])
    before = weir.memory_bytes()
    sender = threading.Thread(target=lambda: [side.sock.sendall(frame) for _ in range(frames)], daemon=True)
    sender.start()
    time.sleep(0.5)     # the reader sleeps: everything between the two fills, and weir with it
    held = weir.memory_bytes() - before
    for _ in range(frames):
        assert side.exactly(len(frame)) == frame, "bytes differ"
    sender.join(10)
    side.finish()
    equal(side.end(), ("fin", b""))
    t.note(f"{frames} MiB each way, memory +{max(held, weir.memory_bytes() - before) // 1024} KiB")
    if not t.build.sanitized:
        assert held < 1 << 20, f"{held} bytes held for a client that does not read"
    equal(weir.records(1)[0]["bytes_in"], frames * len(frame) + 65536)


@alone
def an_idle_tunnel_is_closed_and_a_busy_one_is_not(t):
    granted = Switching(_echo)
    weir, _ = _weir(t, granted, limits={"upgraded_idle_timeout": "600ms", "keepalive_timeout": "100ms"})
    side, r = _open(weir)
    for _ in range(5):      # longer than the timeout, and never idle for as long
        time.sleep(0.25)
        equal(side.send(b"ping").exactly(4), b"ping")
    begin = time.monotonic()
    equal(side.end(), ("fin", b""))
    waited = time.monotonic() - begin
    assert 0.5 < waited < 0.8 + 0.4 * t.slack, f"closed after {waited:.2f} s"
    record = weir.record(r.header("X-Request-ID"))
    equal((record["status"], record["reason"]), (101, "upgraded_idle_timeout"))
    assert record["duration_ms"] > 1800, record


def a_tunnel_outlives_the_total_deadline_and_renews_its_slot(t):
    u = t.upstream(Switching(_echo))
    weir = t.weir({"upstreams": {"app": {"url": u.url, "timeout": {"total": "600ms", "body_idle": "100ms"}}},
                   "concurrency": [{"name": "one", "key": ["client_ip"], "max": 1, "status": 429, "lease": "300ms"}]})
    side, _ = _open(weir)
    time.sleep(1.2)
    equal(weir.get("/", HANDSHAKE).status, 429, "the slot is still held")
    equal(side.send(b"late").exactly(4), b"late")


def an_upstream_that_does_not_answer_a_handshake_costs_504(t):
    u = t.upstream(upstream.silent)
    weir = t.weir({"upstreams": {"app": {"url": u.url, "timeout": {"first_byte": "200ms"}}}})
    envelope(weir.get("/", HANDSHAKE), 504)
    equal(len(u.requests), 1)


def each_direction_ends_by_itself(t):
    granted = Switching()
    weir, _ = _weir(t, granted)
    side, _ = _open(weir)
    there = granted.newest()
    side.send(b"last words")
    side.finish()
    equal(there.end(), ("fin", b"last words"))
    there.send(b"x" * 300_000)      # the other direction is still open
    equal(side.exactly(300_000), b"x" * 300_000)
    there.finish()
    equal(side.end(), ("fin", b""))
    equal(weir.records(1)[0]["bytes_out"], 300_000)
    # and the other way round
    side, _ = _open(weir)
    wait_until("a second tunnel", lambda: len(granted.tunnels) == 2)
    there = granted.newest()
    there.send(b"bye")
    there.finish()
    equal(side.end(), ("fin", b"bye"))
    side.send(b"understood")
    side.finish()
    equal(there.end(), ("fin", b"understood"))
    weir.records(2)


def whoever_dies_ends_the_other_side_and_frees_the_slot(t):
    granted = Switching()
    weir, u = _weir(t, granted, concurrency=[{"name": "one", "key": ["client_ip"], "max": 1, "status": 429}])

    def opened():
        count = len(granted.tunnels)
        # the other side may learn of an end a moment before the slot is back
        wait_until("the slot is free", lambda: weir.metrics().sum("weir_concurrency_in_flight") == 0, 5)
        side, _ = _open(weir)
        wait_until("the tunnel", lambda: len(granted.tunnels) > count)
        equal(client.fetch(weir.port, "GET", "/", HANDSHAKE).status, 429, "the tunnel holds its slot")
        equal(weir.metrics().sum("weir_concurrency_in_flight"), 1, "slots")
        return side, granted.newest()
    side, there = opened()
    side.reset()
    equal(there.end()[0], "reset", "the upstream of a client that died")
    side, there = opened()
    there.reset()
    equal(side.end()[0], "reset", "the client of an upstream that died")
    # a client that dies while nobody reads what it sent
    side, there = opened()
    side.sock.settimeout(0.5)
    try:
        while True:
            side.send(b"x" * 65536)
    except TimeoutError:
        pass
    side.reset()
    wait_until("the slot is free", lambda: client.fetch(weir.port, "GET", "/x", ()).status != 429, 5)
    there.over.set()
    side, there = opened()
    there.finish()
    side.finish()
    equal((side.end()[0], there.end()[0]), ("fin", "fin"))
    ended = wait_until("four tunnels are recorded",
                       lambda: len(found := [r for r in weir.records() if r["status"] == 101]) == 4 and found)
    equal(sorted(r.get("reason", "") for r in ended), ["", "client_gone", "client_gone", "upstream_aborted"])
    equal(weir.metrics().sum("weir_concurrency_in_flight"), 0, "slots")
    for tunnel in granted.tunnels:
        tunnel.over.set()
    busy = "weir_upstream_connections"
    wait_until("nothing is leased", lambda: weir.metrics().sum(busy, state="busy") == 0)


def a_reload_keeps_open_tunnels(t):
    weir, u = _weir(t, Switching(_echo))
    side, _ = _open(weir)
    other = t.upstream(ok(b"new"))
    weir.reload({"upstreams": {"app": {"url": other.url}}, "routes": [
        {"name": "r", "match": {"path": "/**"}, "upstream": "app", "upgrade": []}]})
    equal(weir.get("/", HANDSHAKE).body, b"new")    # and a new handshake follows the new file
    equal(side.send(b"still").exactly(5), b"still")


@alone
def tunnels_live_until_the_drain_deadline(t):
    weir, _ = _weir(t, Switching(_echo), drain={"delay": "0s", "timeout": "1s"})
    side, r = _open(weir)
    begin = time.monotonic()
    weir.signal(15)
    time.sleep(0.4)
    equal(side.send(b"still").exactly(5), b"still")
    equal(side.end(), ("fin", b""))
    lasted = time.monotonic() - begin
    assert 0.9 < lasted < 1.5 * t.slack, f"ended {lasted:.2f} s after SIGTERM"
    weir.wait()
    record = weir.record(r.header("X-Request-ID"))
    equal((record["status"], record["reason"], record["bytes_in"]), (101, "drain_timeout", 5))


def a_drain_ends_at_once_when_the_tunnels_do(t):
    weir, _ = _weir(t, Switching(_echo), drain={"delay": "0s", "timeout": "20s"})
    side, _ = _open(weir)
    weir.signal(15)
    side.finish()
    equal(side.end(), ("fin", b""))
    weir.wait(5 * t.slack)


@alone
def a_thousand_tunnels_are_open_at_once(t):
    count = 1000 if t.thorough else 200
    weir, u = _weir(t, Switching(_echo), workers=1)
    _open(weir)[0].connection.close()
    before = weir.memory_bytes()
    sides = [_open(weir)[0] for _ in range(count)]
    for n, side in enumerate(sides):
        side.send(b"%06d" % n)
    for n, side in enumerate(sides):
        equal(side.exactly(6), b"%06d" % n)
    each = (weir.memory_bytes() - before) / count
    t.note(f"{count} tunnels, {each / 1024:.1f} KiB each")
    if not t.build.sanitized:
        assert each < 48 * 1024, f"{each:.0f} bytes for an idle tunnel"
    for side in sides:
        side.sock.close()
    wait_until("all are recorded", lambda: len(weir.log_lines()) == count + 1)
    equal({r["status"] for r in weir.records()}, {101})
    wait_until("no connection is left", lambda: u.open_connections() == 0)
