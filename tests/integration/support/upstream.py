# SPDX-License-Identifier: Apache-2.0
"""A scripted upstream: records every byte it gets and plays what a script says.

A script is a function of an Exchange. It is called as soon as a request head is complete, so it decides whether the
body is read before, after or never. The functions below return ready-made scripts."""

import itertools
import select
import socket
import threading
import time

from . import http1
from .tls_socket import TlsSocket

RST = b"\x01\0\0\0\0\0\0\0"  # struct linger {1, 0}


class EndConnection(Exception):
    """A script is done with its connection."""


class Request:
    def __init__(self, method, target, version, fields, at, connection):
        self.method, self.target, self.version, self.fields = method, target, version, fields
        self.at, self.connection = at, connection
        self.body = None        # None until it was read completely
        self.trailers = None

    def header(self, name, default=None):
        return self.fields.get(name, default)

    def __repr__(self):
        return f"<{self.method} {self.target} {list(self.fields)} body={self.body and len(self.body)}>"


PATIENCE = {"connect": "10s", "first_byte": "30s", "total": "60s"}   # where a test is not about the upstream


class UpstreamConnection:
    """What is known of one accepted connection."""

    def __init__(self, number):
        self.number = number
        self.opened_at = time.monotonic()
        self.closed_at = None       # when the peer's FIN or RST was seen (or our own close)
        self.closed_by_peer = False
        self.reset = False
        self.received = bytearray()
        self.requests = []
        self.resumed = None         # over TLS: the handshake resumed an earlier one


class Exchange:
    """One request on one connection, in the hands of a script."""

    def __init__(self, upstream, sock, reader, connection, request):
        self.upstream, self.sock, self.reader = upstream, sock, reader
        self.connection, self.request = connection, request

    def read_body(self, timeout=30.0):
        """Reads the whole body; raises http1.Closed when it is cut."""
        if self.request.body is None:
            deadline = time.monotonic() + timeout
            length, is_chunked = http1.framing(self.request.fields, "in a request")
            if is_chunked:
                self.request.body, self.request.trailers = http1.read_chunked(
                    self.reader, deadline, "in a request body")
            else:
                self.request.body = self.reader.exactly(length or 0, deadline, "in a request body")
        return self.request.body

    def send(self, data):
        try:
            self.sock.settimeout(60.0)
            self.sock.sendall(data)
        except OSError:
            self.connection.closed_by_peer = True
            raise EndConnection from None

    def respond(self, status=200, body=b"", fields=(), chunk_sizes=None, reason="Because"):
        """Content-Length unless `chunk_sizes` (a list) is given."""
        fields = list(fields)
        no_body = self.request.method == "HEAD" or status in (204, 304)
        if chunk_sizes is not None:
            fields.append(("Transfer-Encoding", "chunked"))
            payload = http1.chunked(body, chunk_sizes)
        else:
            if status != 204 and not any(n.lower() == "content-length" for n, _ in fields):
                fields.append(("Content-Length", str(len(body))))
            payload = body
        self.send(http1.head(f"HTTP/1.1 {status} {reason}", fields) + (b"" if no_body else payload))

    def close(self):
        raise EndConnection

    def reset(self):
        self.connection.reset = True
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
        raise EndConnection

    def wait_for_peer_close(self, timeout=30.0):
        """Blocks until weir closes this connection; True if it did."""
        deadline = time.monotonic() + timeout
        try:
            while True:
                self.reader.fill(deadline, "while waiting for the peer")
        except http1.Closed:
            self.connection.closed_by_peer = True
            self.connection.closed_at = time.monotonic()
            return True
        except TimeoutError:
            return False


class Upstream:
    """Listens on `host`; one thread per connection, all of them ended by stop()."""

    def __init__(self, script=None, port=0, keepalive=True, tls=None, host="127.0.0.1"):
        self.script = script or ok()
        self.tls = tls                  # an ssl.SSLContext, or None
        self.handshakes_failed = 0
        self.keepalive = keepalive      # False: closes after each response without saying so
        self.connections = []
        self.requests = []
        self.lock = threading.Lock()
        self.sockets = set()
        self.stopping = False
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, port))
        self.listener.listen(1024)
        self.port = self.listener.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://{host}:{self.port}"
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def stop(self):
        self.stopping = True
        self.listener.close()
        self.thread.join(5)
        with self.lock:
            sockets = list(self.sockets)
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def open_connections(self):
        with self.lock:
            return len(self.sockets)

    def _accept(self):
        while not self.stopping:
            try:
                ready, _, _ = select.select([self.listener], [], [], 0.2)
                if not ready:
                    continue
                sock, _ = self.listener.accept()
            except (OSError, ValueError):
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                connection = UpstreamConnection(len(self.connections))
                self.connections.append(connection)
                self.sockets.add(sock)
            threading.Thread(target=self._serve, args=(sock, connection), daemon=True).start()

    def _handshake(self, sock):
        """The socket to go on with; None when the handshake failed."""
        if not self.tls:
            return sock
        try:
            sock.settimeout(30)
            secured = TlsSocket(self.tls, sock, server_side=True)
        except OSError:
            self.handshakes_failed += 1
            return None
        with self.lock:
            self.sockets.discard(sock)
            self.sockets.add(secured)
        return secured

    def _serve(self, sock, connection):
        plain = sock
        sock = self._handshake(sock)
        if not sock:
            with self.lock:
                self.sockets.discard(plain)
            return
        if self.tls:
            connection.resumed = sock.tls.session_reused
        reader = http1.Reader(sock)
        reader.received = connection.received
        try:
            while not self.stopping:
                request = self._read_request(reader, connection)
                exchange = Exchange(self, sock, reader, connection, request)
                self.script(exchange)
                exchange.read_body()
                if not self.keepalive:
                    break
        except EndConnection:
            pass
        except (http1.Closed, TimeoutError):
            connection.closed_by_peer = True
        except OSError:
            pass
        finally:
            connection.closed_at = connection.closed_at or time.monotonic()
            with self.lock:
                self.sockets.discard(sock)
            if self.tls and not connection.reset:
                sock.say_goodbye()
            sock.close()

    def _read_request(self, reader, connection):
        deadline = time.monotonic() + 120
        line = reader.line(deadline, "at the request line")
        match = http1.REQUEST_LINE.match(line)
        if not match:
            raise http1.ProtocolError(f"request line {line!r}")
        request = Request(match[1].decode(), match[2].decode("latin-1"), match[3].decode(),
                          http1.read_fields(reader, deadline, "in a request head"), time.monotonic(), connection)
        with self.lock:
            self.requests.append(request)
            connection.requests.append(request)
        return request


# ---- scripts -------------------------------------------------------------------------------------------------------

def ok(body=b"ok", fields=(), status=200, chunk_sizes=None):
    """Reads the request, answers."""
    def script(x):
        x.read_body()
        x.respond(status, body, fields, chunk_sizes)
    return script


def echo(chunk_sizes=None):
    """Answers with the body it got."""
    def script(x):
        x.respond(200, x.read_body(), (), chunk_sizes)
    return script


def delayed(seconds, then=None):
    """Waits before `then`. A peer that leaves meanwhile ends the connection."""
    then = then or ok()

    def script(x):
        x.read_body()
        if x.wait_for_peer_close(seconds):
            x.close()
        then(x)
    return script


def raw(data, close=False, reset=False):
    """Reads the request, then writes these bytes."""
    def script(x):
        x.read_body()
        x.send(data)
        if reset:
            time.sleep(0.05)  # an RST may overtake the data it follows
            x.reset()
        if close:
            x.close()
    return script


def reset_at_head(x):
    """RST as soon as the head is there."""
    x.reset()


def reset_after_body(x):
    x.read_body()
    x.reset()


def close_after_body(x):
    """FIN instead of an answer."""
    x.read_body()
    x.close()


def silent(x):
    """Never answers."""
    x.read_body()
    x.wait_for_peer_close(60)
    x.close()


def drip(data, interval, size=1):
    """Writes `data` in small pieces."""
    def script(x):
        x.read_body()
        for at in range(0, len(data), size):
            x.send(data[at:at + size])
            if x.wait_for_peer_close(interval):
                x.close()
    return script


def sequence(*scripts):
    """One script per request, over all connections; the last one is repeated."""
    lock, counter = threading.Lock(), itertools.count()

    def script(x):
        with lock:
            index = min(next(counter), len(scripts) - 1)
        scripts[index](x)
    return script


def by_path(table, default=None):
    """Chooses by the path of the target."""
    default = default or ok()

    def script(x):
        table.get(x.request.target.partition("?")[0], default)(x)
    return script


# ---- sockets that are not servers ----------------------------------------------------------------------------------

class BlackHole:
    """A port whose accept queue is full: connects neither succeed nor fail."""

    def __init__(self, host="127.0.0.1", port=0):
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.bind((host, port))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        self.fillers = []
        for _ in range(4):
            filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            filler.setblocking(False)
            filler.connect_ex((host, self.port))
            self.fillers.append(filler)
        time.sleep(0.05)

    def stop(self):
        for filler in self.fillers:
            filler.close()
        self.listener.close()
