# SPDX-License-Identifier: Apache-2.0
"""A raw-bytes HTTP client: sends exactly what it is told, in the pieces it is told, and reads strictly."""

import json
import random
import socket
import time

from . import http1
from .tls_socket import TlsSocket


class Response:
    def __init__(self, version, status, reason, fields, body, interim, framing):
        self.version, self.status, self.reason = version, status, reason
        self.fields, self.body, self.interim = fields, body, interim
        self.framing = framing  # "length", "chunked", "close" or "none"

    def header(self, name, default=None):
        return self.fields.get(name, default)

    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """The `error` member of weir's envelope."""
        return self.json()["error"]

    @property
    def closes(self):
        return "close" in (self.header("Connection") or "").lower()

    def __repr__(self):
        return f"<{self.status} {self.reason} {list(self.fields)} {self.body[:200]!r}>"


TLS_PORTS = {}  # port: the ssl.SSLContext that connections to it use unless they bring their own


class Connection:
    """One connection to weir (or to anything else). `tls`: an ssl.SSLContext; `preface`: bytes that go in front of
    its handshake."""

    def __init__(self, port, timeout=20.0, receive_buffer=None, tls=None, server_name="localhost", preface=b""):
        self.timeout = timeout
        tls = tls or TLS_PORTS.get(port)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(timeout)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if preface:
            self.sock.sendall(preface)
        if tls:
            self.sock = TlsSocket(tls, self.sock, server_name)
        self.reader = http1.Reader(self.sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Closes with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.sock.close()

    def half_close(self):
        if isinstance(self.sock, TlsSocket):
            self.sock.say_goodbye()
        else:
            self.sock.shutdown(socket.SHUT_WR)

    def send(self, data, pieces=None, pause=0.0):
        """Sends `data`; `pieces` is None (at once), an int (pieces of that size) or a random.Random (random cuts)."""
        self.sock.settimeout(self.timeout)
        view = memoryview(data)
        while view:
            if pieces is None:
                size = len(view)
            elif isinstance(pieces, random.Random):
                size = pieces.choice((1, 2, 3, 7, 100, 1460, 4096, 20000, 65536))
            else:
                size = pieces
            self.sock.sendall(view[:size])
            view = view[size:]
            if pause and view:
                time.sleep(pause)
        return self

    def request(self, method="GET", target="/", fields=(), body=None, host="a.example", version="HTTP/1.1"):
        """Sends a well-formed request and reads the answer."""
        self.send(request_bytes(method, target, fields, body, host, version))
        return self.read(method)

    def read(self, method="GET", timeout=None):
        """The next final response; interim ones are collected in `.interim` as (status, fields)."""
        deadline = time.monotonic() + (timeout or self.timeout)
        interim = []
        while True:
            version, status, reason, fields = self.read_head(deadline)
            if status >= 200 or status == 101:
                break
            interim.append((status, fields))
        length, is_chunked = http1.framing(fields, "in a response")
        if method == "HEAD" or status in (204, 304) or status == 101:
            if status == 204 and (length is not None or is_chunked):
                raise http1.ProtocolError("204 with a body framing")
            return Response(version, status, reason, fields, b"", interim, "none")
        if is_chunked:
            body, trailers = http1.read_chunked(self.reader, deadline, "in a chunked body")
            if trailers:
                raise http1.ProtocolError(f"trailers were forwarded: {trailers}")
            return Response(version, status, reason, fields, body, interim, "chunked")
        if length is not None:
            body = self.reader.exactly(length, deadline, "in a body")
            return Response(version, status, reason, fields, body, interim, "length")
        body = self.reader.until_close(deadline, "in a close-delimited body")
        return Response(version, status, reason, fields, body, interim, "close")

    def read_head(self, deadline=None):
        deadline = deadline or time.monotonic() + self.timeout
        line = self.reader.line(deadline, "at the status line")
        match = http1.STATUS_LINE.match(line)
        if not match:
            raise http1.ProtocolError(f"status line {line!r}")
        fields = http1.read_fields(self.reader, deadline, "in a response head")
        return match[1].decode(), int(match[2]), match[3].decode("latin-1"), fields

    def read_interim(self):
        """The next head, which must be an interim response."""
        _, status, _, fields = self.read_head()
        if status >= 200:
            raise http1.ProtocolError(f"expected an interim response, got {status}")
        return status, fields

    def read_until_close(self, timeout=None):
        """Raw bytes up to FIN; a reset counts as an end too."""
        try:
            return self.reader.until_close(time.monotonic() + (timeout or self.timeout), "while waiting for the close")
        except http1.Closed as e:
            return e.partial

    def is_closed(self, timeout=5.0):
        """True when the peer closes within `timeout` without sending anything more."""
        try:
            return self.read_until_close(timeout) == b""
        except TimeoutError:
            return False

    def is_silent(self, seconds):
        """True when nothing comes and the connection stays open for so long."""
        if self.reader.buffer:
            return False
        try:
            self.reader.fill(time.monotonic() + seconds, "")
            return False
        except TimeoutError:
            return True
        except http1.Closed:
            return False


def request_bytes(method="GET", target="/", fields=(), body=None, host="a.example", version="HTTP/1.1"):
    fields = list(fields.items()) if isinstance(fields, dict) else list(fields)
    names = {n.lower() for n, _ in fields}
    if host is not None and "host" not in names:
        fields.insert(0, ("Host", host))
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        fields.append(("Content-Length", str(len(body))))
    return http1.head(f"{method} {target} {version}", fields) + (body or b"")


def fetch(port, method="GET", target="/", fields=(), body=None, timeout=20.0, **kwargs):
    """One request on a connection of its own."""
    with Connection(port, timeout) as c:
        return c.request(method, target, fields, body, **kwargs)


def get(port, target="/", fields=(), timeout=20.0):
    return fetch(port, "GET", target, fields, timeout=timeout)
