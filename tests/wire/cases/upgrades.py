# SPDX-License-Identifier: Apache-2.0
"""1.40, 1.41, 2.3: who may switch to another protocol; everybody else's wish is forwarded as an ordinary request."""

import time

from case import Chapter, get, raw
from support import http1
from support.check import envelope, equal

PATIENCE_S = 10.0
chapter = c = Chapter()
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
VERSION = "Sec-WebSocket-Version: 13"


def handshake(upgrade="Upgrade: websocket", connection="Connection: Upgrade", key=KEY, version=VERSION):
    return "\r\n".join(line for line in (connection, upgrade, key, version) if line)


for what, fields, kept in (("h2c", handshake("Upgrade: h2c"), [KEY, VERSION]),
                           ("h2c with its settings",
                            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA", []),
                           ("a protocol that is not on the list", handshake("Upgrade: irc/6.9"), [KEY, VERSION]),
                           ("two protocols", handshake("Upgrade: websocket, h2c"), [KEY, VERSION]),
                           ("two protocols, the known one last", handshake("Upgrade: h2c, websocket"), [KEY, VERSION]),
                           ("a protocol with a version", handshake("Upgrade: websocket/13"), [KEY, VERSION]),
                           ("an empty Upgrade", handshake("Upgrade:"), [KEY, VERSION]),
                           ("an Upgrade that Connection does not name", handshake(connection="Connection: keep-alive"),
                            [KEY, VERSION]),
                           ("an Upgrade without Connection", handshake(connection=None), [KEY, VERSION]),
                           ("a handshake without a key", handshake(key=None), [VERSION]),
                           ("a handshake with a short key", handshake(key="Sec-WebSocket-Key: eA=="),
                            ["Sec-WebSocket-Key: eA==", VERSION]),
                           ("a handshake with two keys", handshake(key=KEY + "\r\n" + KEY), [KEY, KEY, VERSION]),
                           ("a handshake without a version", handshake(version=None), [KEY]),
                           ("a handshake of version 8", handshake(version="Sec-WebSocket-Version: 8"),
                            [KEY, "Sec-WebSocket-Version: 8"]),
                           ("a handshake of two versions", handshake(version="Sec-WebSocket-Version: 13, 8"),
                            [KEY, "Sec-WebSocket-Version: 13, 8"])):
    c.passed("1.40", f"{what} is an ordinary request", get("/ws", fields), kept=kept, peers=False)
for method in ("POST", "PUT", "HEAD", "DELETE", "OPTIONS"):
    c.passed("1.40", f"a handshake with {method} is an ordinary request", get("/ws", handshake(), method=method),
             kept=[KEY, VERSION],
             peers=False)
c.passed("1.40", "a handshake with a body is an ordinary request", get("/ws",
                                                                       handshake() + "\r\nContent-Length: 2") + "ab",
         kept=[KEY, VERSION], peers=False)
c.passed("1.40", "a handshake with a chunked body is an ordinary request",
         get("/ws", handshake() + "\r\nTransfer-Encoding: chunked") + "2\r\nab\r\n0\r\n\r\n", kept=[KEY, VERSION],
         body="ab", peers=False)
c.passed("1.40", "a handshake in HTTP/1.0 is an ordinary request", get("/ws", handshake(), version="HTTP/1.0"),
         kept=[KEY, VERSION],
         peers=False)


# ---- 1.40, 1.41, 2.3: the switch itself ------------------------------------------------------------------------------

GRANT = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
WISH = raw(get("/ws", handshake()))

switch = c.dialogue


def tunnel(grant=GRANT, greeting=b""):
    """Grants the switch, then gives every byte back, which an HTTP reader never sees."""
    def script(x):
        x.send(raw(grant) + greeting)
        try:
            while True:
                if not x.reader.buffer:
                    x.reader.fill(time.monotonic() + PATIENCE_S, "in raw mode")
                data = bytes(x.reader.buffer)
                x.reader.buffer.clear()
                x.send(data)
        except http1.Closed:
            x.connection.closed_by_peer = True
        x.close()
    return script


def switched(bench, conn, message=WISH):
    conn.send(message)
    r = conn.read()
    equal((r.status, r.header("Upgrade").lower(), r.header("Connection").lower()), (101, "websocket", "upgrade"))
    got = bench.reached()[0]
    equal((got.header("Upgrade").lower(), got.header("Connection").lower()), ("websocket", "upgrade"))


def exactly(conn, data):
    equal(conn.reader.exactly(len(data), time.monotonic() + PATIENCE_S, "in raw mode"), data)


for name, wish in (("a handshake", WISH), ("a handshake in other case", raw(get("/ws", handshake(
        "UPGRADE: WebSocket", "connection: keep-alive, uPgRaDe"))))):
    @switch("1.40", f"{name} is forwarded as one, and the 101 relayed")
    def forwarded(bench, wish=wish):
        bench.script(tunnel())
        with bench.connect() as conn:
            switched(bench, conn, wish)
            for data in (b"\x81\x00", raw(get("/smuggled")), b"\0\r\n" * 50_000):
                conn.send(data)
                exactly(conn, data)
        bench.wait("the end of the client ends the upstream", lambda: bench.reached()[0].connection.closed_by_peer)
        equal(len(bench.reached()), 1)


@switch("1.41", "bytes behind a handshake are not read before its 101, and raw after it")
def early_bytes(bench):
    bench.script(tunnel())
    early = raw(get("/smuggled")) + b"\0\1\2"
    with bench.connect() as conn:
        switched(bench, conn, WISH + early)
        exactly(conn, early)
    equal(len(bench.reached()), 1)


@switch("1.41", "bytes glued to the 101 reach the client")
def greeting_with_the_grant(bench):
    bench.script(tunnel(greeting=b"hello"))
    with bench.connect() as conn:
        switched(bench, conn)
        exactly(conn, b"hello")


@switch("1.41", "after another status, the bytes behind a handshake are ordinary requests")
def not_granted(bench):
    with bench.connect() as conn:
        conn.send(WISH + raw(get("/2")) + raw(get("/denied")) + b"GET /a#b HTTP/1.1\r\n")
        equal([conn.read().status for _ in range(4)], [200, 200, 429, 400])
        assert conn.is_closed()
    equal([r.target for r in bench.reached()], ["/ws", "/2"])


@switch("1.41", "the end of the upstream ends the client")
def upstream_ends(bench):
    bench.script(lambda x: (x.send(raw(GRANT) + b"bye"), x.close()))
    with bench.connect() as conn:
        switched(bench, conn)
        equal(conn.read_until_close(), b"bye")


for what, grant in (("to another protocol", GRANT.replace("websocket", "h2c")),
                    ("without Upgrade", GRANT.replace("Upgrade: websocket\r\n", "")),
                    ("that Connection does not name", GRANT.replace("Connection: Upgrade", "Connection: keep-alive")),
                    ("without Connection", GRANT.replace("Connection: Upgrade\r\n", "")),
                    ("to two protocols", GRANT.replace("websocket", "websocket, h2c")),
                    ("with a length", GRANT.replace("Upgrade: w", "Content-Length: 0\r\nUpgrade: w")),
                    ("with a coding", GRANT.replace("Upgrade: w", "Transfer-Encoding: chunked\r\nUpgrade: w")),
                    ("that is malformed", GRANT.replace("Upgrade: w", "Upgrade : w"))):
    @switch("2.3", f"a 101 {what} is no grant", side="responses")
    def no_grant(bench, grant=grant):
        bench.script(lambda x: (x.send(raw(grant)), x.wait_for_peer_close(PATIENCE_S), x.close()))
        with bench.connect() as conn:
            conn.send(WISH)
            envelope(conn.read(), 502, close=False)
            bench.script(None)
            equal(conn.request("GET", "/2").body, b"/2")
