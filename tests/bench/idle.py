# SPDX-License-Identifier: Apache-2.0
"""Memory of a proxy without load, and per connection that is kept after its first request."""

import contextlib
import re
import socket
import subprocess
import time

from peers import Peer, listening, wait_until

CONNECTIONS = 4000


@contextlib.contextmanager
def upstream(load, port):
    process = subprocess.Popen([load, "--upstream", str(port)])
    try:
        wait_until("the upstream listens", lambda: listening(f"127.0.0.1:{port}"))
        yield
    finally:
        process.kill()
        process.wait()


def ask_once(sock):
    sock.sendall(b"GET /idle HTTP/1.1\r\nHost: bench.local\r\nX-User-Id: user\r\n\r\n")
    got = b""
    while b"\r\n\r\n" not in got:
        got += sock.recv(65536)
    head, _, body = got.partition(b"\r\n\r\n")
    left = int(re.search(rb"(?i)content-length: (\d+)", head)[1]) - len(body)
    while left > 0:
        left -= len(sock.recv(left))


def resident_with(port, resident_bytes, connections=CONNECTIONS):
    """{rss, own, per_connection} of whoever listens on `port`; its first hundred connections count as its start."""
    held = []
    try:
        def hold(count):
            for _ in range(count):
                held.append(socket.create_connection(("127.0.0.1", port), 10))
                ask_once(held[-1])
            time.sleep(0.3)     # what is freed after a response is freed by then
            return resident_bytes()[0]
        resident, own = resident_bytes()
        first = hold(100)
        last = hold(connections)
        return {"rss": resident, "own": own, "per_connection": (last - first) / connections}
    finally:
        for sock in held:
            sock.close()


def measure_idle(stage, load, kind):
    with upstream(load, stage.upstream_port), Peer(stage, kind, "plain") as peer:
        return {"peer": kind, **resident_with(peer.port, peer.resident_bytes)}
