# SPDX-License-Identifier: Apache-2.0
"""Ordinary HTTP and WebSocket clients through weir."""

import concurrent.futures
import functools
import gzip
import http.client
import json
import os
import random
import ssl
import subprocess
import sys
import threading
import time

from support import streams, upstream
from support.check import alone, equal
from support.context import Skip
from support.ports import free_port
from support.upstream import PATIENCE, by_path
from support.weir import wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
SCHEMES = ("http", "https")
RULES = [{"name": "few", "match": {"path": "/few"}, "key": ["client_ip"], "limit": "1/day"}]
TEXT = b"the same text again and again " * 400


def over_every_scheme(test):
    """Runs it for each of SCHEMES; the Front it makes follows `t.client_scheme`."""
    @functools.wraps(test)
    def each(t):
        for t.client_scheme in SCHEMES:
            test(t)
    return each


class Front:
    """weir as its clients see it, and the clients."""

    def __init__(self, t, script=None, upstream_port=None, **policy):
        self.t, self.upstream = t, None
        if upstream_port is None:
            self.upstream = t.upstream(script or upstream.echo([1000]))
            upstream_port = self.upstream.port
        policy = {"upstreams": {"app": {"url": f"http://127.0.0.1:{upstream_port}", "timeout": PATIENCE}},
                  "rules": RULES, **policy}
        self.weir = t.weir(policy, start=False)
        self.env = dict(os.environ)
        self.context = None
        if t.client_scheme == "https":
            self.weir.write_policy({**policy, "listen": [self._tls_listener(t.authority())]})
        self.weir.start()
        self.base = f"{t.client_scheme}://127.0.0.1:{self.weir.port}"

    def _tls_listener(self, authority):
        server = authority.server()
        self.context = ssl.create_default_context(cafile=authority.ca)
        for name in ("CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            self.env[name] = authority.ca
        return {"name": "tls", "address": f"127.0.0.1:{self.weir.port}",
                "tls": {"certificate": server.certificate, "key": server.key}}

    @property
    def websocket_base(self):
        return self.base.replace("http", "ws", 1)

    def connection(self):
        if self.context:
            return http.client.HTTPSConnection("127.0.0.1", self.weir.port, timeout=60, context=self.context)
        return http.client.HTTPConnection("127.0.0.1", self.weir.port, timeout=60)

    def run(self, *command, env=None):
        done = subprocess.run(command, capture_output=True, timeout=150, env={**self.env, **(env or {})})
        equal(done.returncode, 0, f"{command[0]}: {done.stderr.decode()[-2000:]}")
        return done.stdout

    def curl(self, *args):
        return self.run(self.t.need("curl"), "-sS", "--max-time", "120", *args)

    def start_curl(self, *args, **streams_of_it):
        return subprocess.Popen([self.t.need("curl"), "-sSN", *args], env=self.env, stdout=subprocess.PIPE, **streams_of_it)

    def node(self, script, *args, module=None):
        """One of the programs in clients/. Debian's modules lie where only Debian's own node looks."""
        node, modules = self.t.need("node"), "/usr/share/nodejs"
        if module and not os.path.isdir(f"{modules}/{module}"):
            raise Skip(f"node-{module} is not installed")
        return json.loads(self.run(node, os.path.join(HERE, "clients", script), *map(str, args), env={"NODE_PATH": modules}))

    def python(self, script, *args, module):
        """One of the programs in clients/, by a Python that has `module`: perhaps only Debian's own has it."""
        for python in (sys.executable, "/usr/bin/python3"):
            if subprocess.run([python, "-c", f"import {module}"], capture_output=True, timeout=60).returncode == 0:
                return json.loads(self.run(python, os.path.join(HERE, "clients", script), *map(str, args)))
        raise Skip(f"python3-{module} is not installed")


# ---- curl ----------------------------------------------------------------------------------------------------------

@over_every_scheme
def curl_is_served(t):
    front = Front(t)
    folder = t.folder("curl")
    body = os.path.join(folder, "body")
    with open(body, "wb") as f:
        f.write(random.Random(8).randbytes(3_000_000))
    with open(body, "rb") as f:
        content = f.read()

    run = front.curl
    equal(run(f"{front.base}/few", "-o", "/dev/null", "-w", "%{http_code}"), b"200")
    equal(run(f"{front.base}/few", "-o", "/dev/null", "-w", "%{http_code}"), b"429")
    assert b"Retry-After: " in run("-i", f"{front.base}/few")
    for extra in ((), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect: 100-continue"), ("-H", "Expect:")):
        assert run("-X", "PUT", "-T", body, *extra, f"{front.base}/up") == content, f"bytes differ with {extra}"
    equal(run("--http1.0", f"{front.base}/old"), b"")
    equal(run("-I", f"{front.base}/head").split(b"\r\n")[0], b"HTTP/1.1 200 Because")
    # 10 requests of one curl use one connection
    run(*(f"{front.base}/{i}" for i in range(10)))
    equal([r.target for r in front.upstream.requests[-10:]], [f"/{i}" for i in range(10)])


@over_every_scheme
def curl_waits_for_100_and_a_denial_saves_its_upload(t):
    front = Front(t, rules=[{"name": "few", "match": {"methods": ["PUT"]}, "key": ["client_ip"], "limit": "1/day"}])
    body = os.path.join(t.folder("curl"), "body")
    with open(body, "wb") as f:
        f.write(b"z" * 8_000_000)
    sent = ("-o", "/dev/null", "-w", "%{http_code} %{size_upload}", "-X", "PUT", "-T", body, "-H",
            "Expect: 100-continue", "--expect100-timeout", "60")
    equal(front.curl(*sent, f"{front.base}/up"), b"200 8000000")
    equal(front.curl(*sent, f"{front.base}/up"), b"429 0")
    equal(len(front.upstream.requests), 1)
    assert "Expect" not in front.upstream.requests[0].fields


@over_every_scheme
def curl_stops_its_upload_when_the_answer_comes_early(t):
    def refusing(x):
        x.respond(413, b"too much")
        if not x.wait_for_peer_close(20):
            raise AssertionError("weir keeps a connection in the middle of a message")
        x.close()
    front = Front(t, by_path({"/up": refusing}, upstream.ok(b"canary")))
    body = os.path.join(t.folder("curl"), "body")
    with open(body, "wb") as f:
        f.truncate(60 << 20)
    for framing in ("Transfer-Encoding:", "Transfer-Encoding: chunked"):
        said = front.curl("-w", " %{http_code} %{size_upload}", "-X", "PUT", "-T", body, "-H", "Expect:", "-H", framing,
                     f"{front.base}/up")
        text, status, sent = said.rsplit(b" ", 2)
        equal((text, status), (b"too much", b"413"), framing)
        assert int(sent) < 50 << 20, f"{sent} bytes were still sent"
        equal(front.curl(f"{front.base}/canary"), b"canary")
    wait_until("both upstream connections are closed",
               lambda: all(c.closed_by_peer for c in front.upstream.connections if c.requests[0].target == "/up"))


@over_every_scheme
def heads_conditionals_encodings_and_trailers_pass_through_curl(t):
    def cached(x):
        x.read_body()
        known = x.request.header("If-None-Match") == '"v1"'
        x.respond(304 if known else 200, b"" if known else TEXT, [("ETag", '"v1"')])

    def packed(x):
        x.read_body()
        x.respond(200, gzip.compress(TEXT), [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")])

    def with_trailers(x):
        x.read_body()
        x.send(b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"5;note=a\r\nhello\r\n0\r\nX-Sum: 1\r\nSet-Cookie: stolen=1\r\n\r\n")
    front = Front(t, by_path({"/cached": cached, "/packed": packed, "/trailers": with_trailers}))
    folder = t.folder("curl")
    etag = os.path.join(folder, "etag")
    equal(front.curl("--etag-save", etag, f"{front.base}/cached"), TEXT)
    equal(front.curl("--etag-compare", etag, "-w", "%{http_code}", f"{front.base}/cached"), b"304")
    head = front.curl("-I", f"{front.base}/cached")
    assert b"Content-Length: %d\r\n" % len(TEXT) in head, head
    equal(front.curl("--compressed", f"{front.base}/packed"), TEXT)
    equal(gzip.decompress(front.curl("-H", "Accept-Encoding: gzip", f"{front.base}/packed")), TEXT)
    said = front.curl("-i", "--raw", f"{front.base}/trailers")
    assert said.endswith(b"\r\n0\r\n\r\n") and b"hello" in said, said
    assert b"X-Sum" not in said and b"note" not in said and b"Set-Cookie" not in said, said


@over_every_scheme
def fifty_curl_transfers_at_once_get_their_own_answers(t):
    front = Front(t, lambda x: (x.read_body(), x.respond(200, x.request.target.encode() * 1000)))
    folder = t.folder("curl")
    jobs = [arg for i in range(50) for arg in ("-o", os.path.join(folder, str(i)), f"{front.base}/item-{i}")]
    front.curl("-Z", "--parallel-max", "50", *jobs)
    for i in range(50):
        with open(os.path.join(folder, str(i)), "rb") as f:
            equal(f.read(), f"/item-{i}".encode() * 1000, f"answer {i}")


# ---- bodies of every size ------------------------------------------------------------------------------------------

@alone
@over_every_scheme
def curl_streams_bodies_of_every_size_at_flat_memory(t):
    largest = 1 << 30 if t.thorough else 64 << 20
    front = Front(t, streams.big, limits={"body_size": "unlimited"},
                  routes=[{"name": "all", "match": {"path": "/**"}, "upstream": "app", "stream": True}])
    peaks = []
    for size in (0, 1, 1 << 16, 5_000_001, largest):
        expected = streams.digest(streams.pieces(size))
        for framed in ("", "chunked/"):
            curl = front.start_curl(f"{front.base}/{framed}{size}")
            equal(streams.digest(iter(lambda: curl.stdout.read(1 << 20), b"")), expected, f"down {framed}{size}")
            equal(curl.wait(30), 0)
        for extra in (("-H", f"Content-Length: {size}", "-H", "Transfer-Encoding:"), ()):
            curl = front.start_curl("-X", "PUT", "-T", "-", *extra, f"{front.base}/up", stdin=subprocess.PIPE)
            for piece in streams.pieces(size):
                curl.stdin.write(piece)
            answer = curl.communicate()[0].decode()
            equal((curl.returncode, answer), (0, expected), f"up {size} {extra}")
        peaks.append(front.weir.peak_resident_bytes())
    t.note(f"up to {largest >> 20} MiB, peak RSS {peaks[-2] >> 10} -> {peaks[-1] >> 10} KiB")
    if not t.build.sanitized:
        assert peaks[-1] - peaks[-2] < 1 << 20, f"weir grew by {peaks[-1] - peaks[-2]} bytes"


# ---- Python --------------------------------------------------------------------------------------------------------

@over_every_scheme
def python_http_client_is_served(t):
    front = Front(t)
    c = front.connection()
    for body in (b"", b"abc", random.Random(9).randbytes(500_000)):
        c.request("POST", "/x?y=1", body=body, headers={"X-A": "1"})
        r = c.getresponse()
        equal((r.status, r.read() == body), (200, True))
    c.request("POST", "/chunks", body=iter([b"one", b"two"]), encode_chunked=True,
              headers={"Transfer-Encoding": "chunked"})
    equal(c.getresponse().read(), b"onetwo")
    for status in (200, 429):
        c.request("GET", "/few")
        r = c.getresponse()
        r.read()
        equal(r.status, status)
    assert r.getheader("RateLimit").startswith('"few";r=0;t='), r.getheaders()
    c.close()


@over_every_scheme
def python_requests_is_served_on_one_kept_connection(t):
    def script(x):
        body = x.read_body()
        if x.request.target == "/packed":
            x.respond(200, gzip.compress(TEXT), [("Content-Encoding", "gzip")])
        else:
            x.respond(200, body or x.request.target.encode(), [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    front = Front(t, script)
    equal(front.python("session.py", front.base, module="requests"),
          {"plain": True, "unpacked": len(TEXT), "cookies": {"a": "1", "b": "2"}, "chunked": "0,1,2,3,4,",
           "head": "5", "few": [200, 429]})
    equal(len(front.upstream.connections), 1, "upstream connections for a client that asks in turn")


@over_every_scheme
def fifty_python_clients_at_once_get_their_own_answers(t):
    front = Front(t)

    def one(number):
        body = random.Random(number).randbytes(100_000 + number)
        c = front.connection()
        for _ in range(3):
            c.request("PUT", f"/{number}", body=body)
            if c.getresponse().read() != body:
                return False
        c.close()
        return True
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        assert all(pool.map(one, range(50))), "bytes differ"


@over_every_scheme
def each_event_of_a_stream_arrives_before_the_next_is_sent(t):
    seen = [threading.Event() for _ in range(20)]
    sent = []

    def script(x):
        x.read_body()
        x.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i, event in enumerate(seen):
            data = b"data: %d\n\n" % i
            sent.append(time.monotonic())
            x.send(b"%x\r\n%b\r\n" % (len(data), data))
            if not event.wait(20):
                x.close()   # held back: the client gets no clean end
        x.send(b"0\r\n\r\n")
    front = Front(t, script, routes=[{"name": "events", "match": {"path": "/**"}, "upstream": "app", "stream": True}])
    curl = front.start_curl(f"{front.base}/events")
    delays = []
    for i, event in enumerate(seen):
        equal(curl.stdout.readline(), b"data: %d\n" % i)
        delays.append(time.monotonic() - sent[i])
        equal(curl.stdout.readline(), b"\n")
        event.set()
    equal(curl.wait(20), 0, "the end of the stream")
    t.note(f"median {sorted(delays)[len(delays) // 2] * 1000:.1f} ms from upstream to client")


# ---- Node ----------------------------------------------------------------------------------------------------------

@over_every_scheme
def node_fetch_is_served(t):
    front = Front(t)
    equal(front.node("fetch.mjs", front.base), [[200, True]] * 3 + [True, [429, True, "rate_limited"]])


@over_every_scheme
def node_undici_is_served_pipelined_and_in_parallel(t):
    def packed(x):
        x.read_body()
        x.respond(200, gzip.compress(TEXT), [("Content-Encoding", "gzip")])
    front = Front(t, by_path({"/packed": packed}, upstream.echo([1000])))
    got = front.node("undici.js", front.base, module="undici")
    equal(got, {"bodies": [True] * 4, "pipelined": True, "parallel": True, "head": [200, ""],
                "packed": "gzip", "denied": 429, "streamed": True})


@over_every_scheme
def a_node_client_that_aborts_cancels_the_upstream(t):
    front = Front(t, upstream.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 900, 0.02, size=60))
    equal(front.node("abort.js", front.base, module="undici"), "AbortError")
    wait_until("the attempt is cancelled", lambda: front.upstream.open_connections() == 0, 5)
    equal(front.weir.records(1)[0]["status"], 499)


# ---- WebSocket -----------------------------------------------------------------------------------------------------

SAID = {"text": "grüße", "big": True, "many": True, "server_ping": True, "close": [4000, "bye"]}


@over_every_scheme
def a_node_websocket_client_and_server_talk(t):
    port = free_port()
    front = Front(t, upstream_port=port, rules=[
        {"name": "few", "match": {"path": "/chat"}, "key": ["client_ip"], "limit": "3/day"}])
    equal(front.node("websocket.js", port, front.websocket_base, module="ws"), {**SAID, "protocol": "chat", "extensions": "permessage-deflate",
                                                "denied": 429, "refused": 401})
    statuses = [r["status"] for r in front.weir.records(4)]
    equal(sorted(statuses), [101, 101, 401, 429])


@over_every_scheme
def a_python_websocket_client_and_server_talk(t):
    port = free_port()
    front = Front(t, upstream_port=port)
    equal(front.python("websocket.py", port, front.websocket_base, module="websockets"), SAID)
