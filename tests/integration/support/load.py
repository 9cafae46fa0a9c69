# SPDX-License-Identifier: Apache-2.0
"""Load: N requests a second over a few keep-alive connections, or a fixed number of requests over many connections.

Only GET without a body. A reused connection that turns out to be closed before any response byte is replaced and the
request is sent again, as RFC 9112 9.3.1 wants of a client; `stale` counts how often."""

import collections
import socket
import threading
import time

from . import client
from .tls_socket import TlsSocket


class Sample:
    __slots__ = ("index", "at", "wall", "status", "seconds", "port")

    def __init__(self, index, at, wall, status, seconds, port):
        self.index, self.at, self.wall, self.status, self.seconds, self.port = index, at, wall, status, seconds, port


class Stale(Exception):
    pass


class FastConnection:
    """Reads just enough of a response: status, framing by Content-Length or chunked, Connection: close."""

    def __init__(self, port, timeout):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if port in client.TLS_PORTS:
            self.sock = TlsSocket(client.TLS_PORTS[port], self.sock, "localhost")
        self.used = False

    def ask(self, request):
        fresh = not self.used
        self.used = True
        try:
            self.sock.sendall(request)
            data = self.sock.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            if fresh:
                raise
            raise Stale from None
        if not data:
            if fresh:
                raise ConnectionError("closed without an answer")
            raise Stale
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        lower = head.lower()
        status = int(head[9:12])
        at = lower.find(b"\r\ncontent-length:")
        if at >= 0:
            length = int(lower[at + 17:].split(b"\r\n", 1)[0])
            have = len(body)
            while have < length:
                have += len(self._more())
        elif b"\r\ntransfer-encoding: chunked" in lower:
            while not body.endswith(b"0\r\n\r\n"):
                body += self._more()
        return status, b"\r\nconnection: close" in lower

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("closed inside a response")
        return data

    def close(self):
        self.sock.close()


class Load:
    """Runs in threads; start(), then stop() or join()."""

    def __init__(self, ports, rate=None, total=None, connections=8, request=None, timeout=15.0):
        """`ports`: connections are spread over them. `rate` requests/s until stop(), or `total` as fast as it goes.
        `request(i)` gives the bytes of request i."""
        self.ports = [ports] if isinstance(ports, int) else list(ports)
        self.rate, self.total, self.timeout = rate, total, timeout
        default = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
        self.request = request or (lambda i: default)
        self.samples, self.stale, self.late = [], 0, 0
        self.lock = threading.Lock()
        self.next_index = 0
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(self.ports[i % len(self.ports)],), daemon=True)
                        for i in range(connections)]

    def start(self):
        self.started = time.monotonic()
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        """No further request is begun; waits for those under way."""
        self.ending.set()
        return self.join()

    def join(self, timeout=120.0):
        deadline = time.monotonic() + timeout
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        assert not any(t.is_alive() for t in self.threads), "the load did not end"
        self.elapsed = time.monotonic() - self.started
        return self

    def run_for(self, seconds):
        self.start()
        time.sleep(seconds)
        return self.stop()

    def _take(self):
        with self.lock:
            index = self.next_index
            if self.total is not None and index >= self.total:
                return None
            self.next_index += 1
        if self.rate:
            due = self.started + index / self.rate
            while not self.ending.is_set():
                left = due - time.monotonic()
                if left <= 0:
                    return index
                self.ending.wait(left)
        return None if self.ending.is_set() else index

    def _run(self, port):
        connection = None
        while (index := self._take()) is not None:
            request = self.request(index)
            wall, begin, status, tries = time.time(), time.monotonic(), None, 0
            while status is None:
                try:
                    connection = connection or FastConnection(port, self.timeout)
                    status, closes = connection.ask(request)
                    if closes:
                        connection.close()
                        connection = None
                except Stale:
                    connection.close()
                    connection = None
                    tries += 1
                    with self.lock:
                        self.stale += 1
                    if tries > 2:
                        status = "stale"
                except (OSError, ValueError) as e:
                    if connection:
                        connection.close()
                    connection = None
                    status = f"{type(e).__name__}: {e}"
            sample = Sample(index, begin, wall, status, time.monotonic() - begin, port)
            with self.lock:
                self.samples.append(sample)
        if connection:
            connection.close()

    def counts(self):
        return collections.Counter(s.status for s in self.samples)

    def failed(self, ok=(200,)):
        return [s for s in self.samples if s.status not in ok]

    def quantile(self, q):
        times = sorted(s.seconds for s in self.samples)
        return times[min(len(times) - 1, int(q * len(times)))] if times else 0.0
