# SPDX-License-Identifier: Apache-2.0
"""Bodies too large to hold: made, sent, read and compared piece by piece."""

import hashlib
import random
import time

from . import http1

PIECE = 1 << 20
_PATTERN = random.Random(7).randbytes(2 * PIECE)


def pieces(size):
    """`size` bytes that differ from megabyte to megabyte, so that a lost, doubled or moved piece shows."""
    number = 0
    while size > 0:
        start = number * 4099 % PIECE
        piece = _PATTERN[start:start + min(PIECE, size)]
        yield piece
        size -= len(piece)
        number += 1


def digest(parts):
    """"SIZE SHA256" of an iterable of pieces."""
    size, state = 0, hashlib.sha256()
    for part in parts:
        size += len(part)
        state.update(part)
    return f"{size} {state.hexdigest()}"


class PieceFile:
    """The same bytes as a file that is read once."""

    def __init__(self, size):
        self.source, self.rest = pieces(size), b""

    def read(self, size=-1):
        if not self.rest:
            self.rest = next(self.source, b"")
        if size < 0:
            size = len(self.rest)
        out, self.rest = self.rest[:size], self.rest[size:]
        return out


def request_body(x, timeout=300.0):
    """The pieces of a request body at the scripted upstream, as they come."""
    deadline = time.monotonic() + timeout
    length, is_chunked = http1.framing(x.request.fields, "in a request")
    if is_chunked:
        while size := int(x.reader.line(deadline, "at a chunk size"), 16):
            yield from _exactly(x, size, deadline)
            assert x.reader.line(deadline, "behind a chunk") == b""
        assert x.reader.line(deadline, "in trailers") == b"", "trailers came"
    else:
        yield from _exactly(x, length or 0, deadline)
    x.request.body = b""    # read: the upstream need not


def _exactly(x, size, deadline):
    while size > 0:
        if not x.reader.buffer:
            x.reader.fill(deadline, "in a request body")
        part = bytes(x.reader.buffer[:size])
        del x.reader.buffer[:len(part)]
        size -= len(part)
        yield part


def big(x):
    """A script: PUT and POST answer the digest of the body; GET /N and /chunked/N send N bytes."""
    x.connection.received.clear()
    x.reader.received = None    # not to be recorded
    if x.request.method in ("PUT", "POST"):
        x.respond(200, digest(request_body(x)).encode())
        return
    x.read_body()
    path, _, size = x.request.target.rpartition("/")
    is_chunked = path == "/chunked"
    framing = ("Transfer-Encoding", "chunked") if is_chunked else ("Content-Length", size)
    x.send(http1.head("HTTP/1.1 200 OK", [framing]))
    for piece in pieces(int(size)):
        x.send(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
    if is_chunked:
        x.send(b"0\r\n\r\n")
