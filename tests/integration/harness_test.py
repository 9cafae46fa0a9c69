# SPDX-License-Identifier: Apache-2.0
"""The harness itself, without weir in between: a test that cannot fail is worth nothing."""

import random
import socket
import threading
import time

from support import client, http1, upstream
from support.check import equal, fails_with
from support.load import Load
from support.weir import Metrics


def _answered_by(data, method="GET"):
    """What the strict client makes of a server that answers with these bytes and closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        sock, _ = listener.accept()
        sock.recv(65536)
        sock.sendall(data)
        sock.close()
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        return client.fetch(listener.getsockname()[1], method, timeout=5)
    finally:
        thread.join(5)
        listener.close()


def the_client_refuses_what_is_not_http_by_the_letter(t):
    for data in (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
                 b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
                 b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
                 b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                 b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
                 b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n"):
        with fails_with(http1.ProtocolError):
            _answered_by(data)


def the_client_notices_every_truncation(t):
    for data in (b"HTTP/1.1 200 O", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1234",
                 b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n"):
        with fails_with(http1.Closed):
            _answered_by(data)


def the_client_reads_every_framing(t):
    equal(_answered_by(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").framing, "length")
    equal(_answered_by(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n").body, b"ok")
    equal(_answered_by(b"HTTP/1.1 200 OK\r\n\r\nok").framing, "close")
    equal(_answered_by(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\n\r\n").interim[0][0], 100)
    equal(_answered_by(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD").body, b"")


def the_scripted_upstream_echoes_bodies_in_any_split(t):
    u = t.upstream(upstream.echo(chunk_sizes=[1, 2, 3]))
    rng = random.Random(7)
    body = rng.randbytes(100_000)
    with client.Connection(u.port) as c:
        for data in (client.request_bytes("POST", "/a", body=body),
                     client.request_bytes("POST", "/b", {"Transfer-Encoding": "chunked"}, body=None)
                     + http1.chunked(body, [1, 10, 1000])):
            c.send(data, pieces=rng)
            equal(c.read().body, body)
    equal([r.target for r in u.requests], ["/a", "/b"])
    equal(len(u.connections), 1)


def the_scripted_upstream_plays_its_scripts(t):
    u = t.upstream(upstream.sequence(upstream.reset_at_head, upstream.close_after_body,
                                     upstream.delayed(0.2, upstream.ok(b"late")), upstream.ok(status=503)))
    for reset in (True, False):
        try:
            client.get(u.port)
            raise AssertionError("an answer came")
        except http1.Closed as e:
            equal(e.reset, reset)
    begin = time.monotonic()
    equal(client.get(u.port).body, b"late")
    assert time.monotonic() - begin >= 0.2
    equal(client.get(u.port).status, 503)
    equal(client.get(u.port).status, 503)


def a_black_hole_never_accepts(t):
    hole = t.black_hole()
    with fails_with(TimeoutError):
        client.Connection(hole.port, timeout=0.5)


def the_load_generator_keeps_its_rate_and_counts_statuses(t):
    u = t.upstream(upstream.sequence(*[upstream.ok()] * 100, upstream.ok(status=429)))
    load = Load(u.port, rate=500, connections=8).run_for(2.0)
    counts = load.counts()
    equal(set(counts), {200, 429})
    equal(counts[200], 100)
    assert len(load.samples) > 800, counts
    equal(len(u.requests), len(load.samples))
    t.note(f"{len(load.samples) / load.elapsed:.0f} requests/s")


def the_load_generator_reports_refusals_and_replaces_stale_connections(t):
    u = t.upstream(keepalive=False)
    load = Load(u.port, total=50, connections=2).start().join()
    equal(load.counts()[200], 50)
    assert load.stale > 0
    port = u.port
    u.stop()
    failed = Load(port, total=5, connections=1, timeout=2).start().join().failed()
    equal(len(failed), 5)


def metrics_text_is_parsed(t):
    m = Metrics.parse('# HELP a b\na_total{rule="x",decision="allow"} 3\na_total{rule="y",decision="allow"} 4\nb 1.5\n')
    equal(m.sum("a_total"), 7)
    equal(m.sum("a_total", rule="x"), 3)
    equal(m.sum("b"), 1.5)
    assert not m.has("c")


def redis_is_started_monitored_and_compared(t):
    r = t.redis()
    monitor = r.monitor()
    before = r.snapshot()
    r.call("SET", "k", "v", "PX", "100000")
    assert r.snapshot() != before
    equal(r.call("EVAL", "return redis.call('GET', KEYS[1])", 1, "k"), b"v")
    monitor.stop()
    equal(len(monitor.commands("eval")), 1)
    equal(len(monitor.commands("get")), 0)  # issued inside the script
