# SPDX-License-Identifier: Apache-2.0
"""Thousands of clients in one thread: each a non-blocking socket that sends what it is told and notes what comes. And
an upstream that only listens to as many."""

import errno
import selectors
import socket
import threading
import time

KEPT = 512      # bytes kept of what a client receives


class Member:
    __slots__ = ("sock", "to_send", "received", "count", "opened_at", "closed_at", "reset", "sent", "reading")

    def __init__(self, sock):
        self.sock = sock
        self.to_send = memoryview(b"")
        self.received, self.count, self.sent = b"", 0, 0
        self.opened_at = self.closed_at = None
        self.reset, self.reading = False, True

    @property
    def status(self):
        """Of the first answer; None without one."""
        return int(self.received[9:12]) if self.received.startswith(b"HTTP/1.") else None


class Crowd:
    """`first` (bytes or a function of the number) is sent by each member as soon as it is connected."""

    CONNECTING = 256    # at the same time

    def __init__(self, port, source=None, receive_buffer=None, reading=True):
        self.port, self.source, self.receive_buffer, self.reading = port, source, receive_buffer, reading
        self.members = []
        self.refused = self.closed = 0
        self.selector = selectors.DefaultSelector()
        self.connecting = 0

    # ---- what tests do -------------------------------------------------------------------------------------------
    def open(self, count, first=b"", rate=None, timeout=60.0):
        """Connects `count` members, `rate` a second or as fast as it goes, and sends `first` on each."""
        begin, made = time.monotonic(), 0
        while made < count or self.connecting:
            due = count if rate is None else min(count, int((time.monotonic() - begin) * rate) + 1)
            while made < due and self.connecting < self.CONNECTING:
                self._connect(first(made) if callable(first) else first)
                made += 1
            self.turn(0.005)
            assert time.monotonic() - begin < timeout, f"{made} of {count} connections within {timeout} s"
        return self

    def turn(self, seconds=0.0):
        """Everything that can be done now; waits at most so long for something."""
        for key, events in self.selector.select(seconds):
            self._serve(key.data, events)

    def run(self, seconds, until=None, each=None, every=0.1):
        """Turns for so long, or until `until()`; calls `each(member)` once every `every` seconds for each that is
        open, one after the other: clients do not act in step."""
        begin, called = time.monotonic(), 0
        while time.monotonic() < begin + seconds and not (until and until()):
            due = int((time.monotonic() - begin) / every * len(self.members)) if each else 0
            for member in (self.members[i % len(self.members)] for i in range(called, due)):
                if member.opened_at is not None and member.closed_at is None:
                    each(member)
            called = due
            self.turn(0.005 if each else 0.02)
        return self

    def say(self, member, data):
        """Queues bytes behind those that wait."""
        if member.closed_at is None:
            member.to_send = memoryview(bytes(member.to_send) + data)
            self._write(member)

    def open_members(self):
        return [m for m in self.members if m.closed_at is None and m.opened_at is not None]

    def all_closed(self):
        return self.closed == len(self.members)

    def statuses(self):
        counts = {}
        for m in self.members:
            counts[m.status] = counts.get(m.status, 0) + 1
        return counts

    def stop(self):
        for m in self.members:
            if m.closed_at is None:
                self._closed(m)
        self.selector.close()

    # ---- inside --------------------------------------------------------------------------------------------------
    def _connect(self, first):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        if self.receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        if self.source:
            sock.setsockopt(socket.SOL_IP, 24, 1)      # IP_BIND_ADDRESS_NO_PORT: ports by pair, not by source
            sock.bind((self.source, 0))
        member = Member(sock)
        member.to_send, member.reading = memoryview(first), self.reading
        self.members.append(member)
        if sock.connect_ex(("127.0.0.1", self.port)) not in (0, errno.EINPROGRESS):
            self.refused += 1
            self._closed(member, registered=False)
            return
        self.connecting += 1
        self.selector.register(sock, selectors.EVENT_WRITE, member)

    def _serve(self, member, events):
        if member.opened_at is None:
            self.connecting -= 1
            if member.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self.refused += 1
                return self._closed(member)
            member.opened_at = time.monotonic()
            return self._write(member)
        if events & selectors.EVENT_WRITE:
            self._write(member)
        if events & selectors.EVENT_READ and member.closed_at is None:
            self._read(member)

    def _write(self, member):
        try:
            while member.to_send:
                n = member.sock.send(member.to_send[:1 << 18])
                member.sent += n
                member.to_send = member.to_send[n:]
        except BlockingIOError:
            pass
        except OSError:
            member.to_send = memoryview(b"")    # what was answered before it may still be read
        self._watch(member)

    def _watch(self, member):
        wanted = (selectors.EVENT_READ if member.reading else 0) | (selectors.EVENT_WRITE if member.to_send else 0)
        known = self.selector.get_map().get(member.sock)
        if wanted and known is None:
            self.selector.register(member.sock, wanted, member)
        elif wanted and known.events != wanted:
            self.selector.modify(member.sock, wanted, member)
        elif not wanted and known is not None:
            self.selector.unregister(member.sock)

    def read_on(self):
        """Members that did not read begin to."""
        for member in self.open_members():
            member.reading = True
            self._watch(member)

    def _read(self, member):
        try:
            data = member.sock.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            member.reset = True
            data = b""
        if not data:
            return self._closed(member)
        member.count += len(data)
        if len(member.received) < KEPT:
            member.received += data[:KEPT]

    def _closed(self, member, registered=True):
        member.closed_at = time.monotonic()
        self.closed += 1
        if registered and member.sock in self.selector.get_map():
            self.selector.unregister(member.sock)
        member.sock.close()


class Sink:
    """An upstream of one thread that reads, counts and never answers."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.accepted = self.open = 0
        self.most = 0       # bytes of one connection
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def stop(self):
        self.ending.set()
        self.thread.join(5)
        self.listener.close()

    def _run(self):
        received = {}
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            while not self.ending.is_set():
                for key, _ in selector.select(0.1):
                    if key.fileobj is self.listener:
                        sock, _ = self.listener.accept()
                        selector.register(sock, selectors.EVENT_READ)
                        self.accepted, self.open = self.accepted + 1, self.open + 1
                    else:
                        self._read(selector, key.fileobj, received)
            for sock in received:
                sock.close()

    def _read(self, selector, sock, received):
        try:
            size = len(sock.recv(1 << 16))
        except OSError:
            size = 0
        received[sock] = received.get(sock, 0) + size
        self.most = max(self.most, received[sock])
        if size == 0:
            selector.unregister(sock)
            sock.close()
            self.open -= 1
