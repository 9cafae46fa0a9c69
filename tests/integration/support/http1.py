# SPDX-License-Identifier: Apache-2.0
"""A strict HTTP/1 reader over a blocking socket, used by the raw client and by the scripted upstream.

It accepts only what RFC 9112 says without leniency: whatever weir writes has to pass it."""

import re
import socket
import time

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\Z")
REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) (HTTP/1\.[01])\Z")
STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)\Z")
CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}\Z")


class ProtocolError(Exception):
    """The peer wrote something that is not HTTP/1.1 by the letter."""


class Closed(Exception):
    """The peer closed or reset before the message was complete; `partial` holds what had come."""

    def __init__(self, where, partial=b"", reset=False):
        super().__init__(f"{'reset' if reset else 'closed'} {where}; had {partial[:200]!r}")
        self.partial = partial
        self.reset = reset


class Fields(list):
    """Field lines in order: [(name, value), ...] as text; look-ups ignore case."""

    def all(self, name):
        return [v for n, v in self if n.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        if len(values) > 1:
            raise ProtocolError(f"field {name} occurs {len(values)} times: {values}")
        return values[0] if values else default

    def __contains__(self, name):
        return bool(self.all(name))


class Reader:
    """Buffered reads from a socket with one deadline per call."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = bytearray()
        self.received = None  # a bytearray that gets a copy of everything read, when recording

    def fill(self, deadline, where):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"nothing more came {where}; had {bytes(self.buffer[:200])!r}")
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(1 << 16)
        except socket.timeout:
            raise TimeoutError(f"nothing more came {where}; had {bytes(self.buffer[:200])!r}") from None
        except (ConnectionError, OSError):
            raise Closed(where, bytes(self.buffer), reset=True) from None
        if not data:
            raise Closed(where, bytes(self.buffer))
        self.buffer += data
        if self.received is not None:
            self.received += data

    def line(self, deadline, where, limit=1 << 16):
        scanned = 0
        while True:
            end = self.buffer.find(b"\n", scanned)
            if end >= 0:
                break
            scanned = len(self.buffer)
            if scanned > limit:
                raise ProtocolError(f"line longer than {limit} bytes {where}")
            self.fill(deadline, where)
        line = bytes(self.buffer[:end + 1])
        del self.buffer[:end + 1]
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise ProtocolError(f"bare CR or LF {where}: {line!r}")
        return line[:-2]

    def exactly(self, size, deadline, where):
        parts, have = [], 0
        while have < size:
            if not self.buffer:
                try:
                    self.fill(deadline, where)
                except Closed as e:
                    raise Closed(where, b"".join(parts), e.reset) from None
            take = bytes(self.buffer[:size - have])
            del self.buffer[:len(take)]
            parts.append(take)
            have += len(take)
        return b"".join(parts)

    def until_close(self, deadline, where):
        """Everything up to FIN; a reset raises Closed."""
        parts = []
        while True:
            parts.append(bytes(self.buffer))
            self.buffer.clear()
            try:
                self.fill(deadline, where)
            except Closed as e:
                if e.reset:
                    raise Closed(where, b"".join(parts), True) from None
                return b"".join(parts)


def read_fields(reader, deadline, where):
    fields = Fields()
    while True:
        line = reader.line(deadline, where)
        if not line:
            return fields
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        if not colon or not TOKEN.match(name) or not VALUE.match(value):
            raise ProtocolError(f"field line {where}: {line!r}")
        fields.append((name.decode("latin-1"), value.decode("latin-1")))


def framing(fields, where):
    """(length or None, chunked) of a message; refuses everything ambiguous."""
    lengths, codings = fields.all("Content-Length"), fields.all("Transfer-Encoding")
    if len(lengths) > 1 or len(codings) > 1 or (lengths and codings):
        raise ProtocolError(f"ambiguous framing {where}: {lengths} {codings}")
    if codings:
        if codings[0].lower() != "chunked":
            raise ProtocolError(f"transfer coding {where}: {codings[0]}")
        return None, True
    if lengths:
        if not lengths[0].isascii() or not lengths[0].isdigit():
            raise ProtocolError(f"content length {where}: {lengths[0]!r}")
        return int(lengths[0]), False
    return None, False


def read_chunked(reader, deadline, where):
    """The decoded body. Trailers are returned too; chunk extensions are refused (weir never writes one)."""
    parts = []
    try:
        while True:
            size_line = reader.line(deadline, where)
            if not CHUNK_SIZE.match(size_line):
                raise ProtocolError(f"chunk size {where}: {size_line!r}")
            size = int(size_line, 16)
            if size == 0:
                return b"".join(parts), read_fields(reader, deadline, where + " (trailers)")
            parts.append(reader.exactly(size, deadline, where))
            if reader.exactly(2, deadline, where) != b"\r\n":
                raise ProtocolError(f"chunk data is not followed by CRLF {where}")
    except Closed as e:
        raise Closed(where, b"".join(parts) + e.partial, e.reset) from None


def chunked(body, sizes=()):
    """`body` in chunked coding; `sizes` gives the first chunk sizes, the rest is one chunk."""
    out, at = bytearray(), 0
    for size in list(sizes) + [len(body)]:
        piece = body[at:at + size]
        if piece:
            out += b"%x\r\n" % len(piece) + piece + b"\r\n"
            at += len(piece)
    return bytes(out + b"0\r\n\r\n")


def head(first_line, fields=()):
    """A head from a line and (name, value) pairs, as bytes."""
    lines = [first_line] + [f"{n}: {v}" for n, v in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
