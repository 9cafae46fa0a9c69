# SPDX-License-Identifier: Apache-2.0
"""One proxy between a byte-level client and a recording upstream, and how a case is played on it."""

import fcntl
import os
import random
import struct
import termios

from case import KEPT, Dialogue, RequestCase, get, raw
from support import client, http1, upstream
from support.weir import wait_until
from verdict import Wrong, judge_request, judge_response

AFTER, CANARY = "/after", "/canary/"
WHOLE, BYTEWISE = "whole", "byte by byte"
MAX_PIECES = 3000           # longer messages go in pieces larger than a byte
PATIENCE_S = 10.0           # a wait that long has failed
PEER_PATIENCE_S = 0.2       # a proxy under comparison is not waited for: what it says late counts as wrong


class Recorder(upstream.Upstream):
    """Keeps the bytes of every head; one that is not HTTP/1.1 by the letter is kept as an anomaly."""

    def __init__(self):
        self.anomalies = []
        super().__init__(lambda x: self.play(x))
        self.case_script = None

    def play(self, x):
        if self.case_script and not x.request.target.startswith((CANARY, AFTER)):
            self.case_script(x)
        else:
            x.read_body()
            x.respond(200, x.request.target.encode("latin-1"))

    def _read_request(self, reader, connection):
        begin = len(connection.received) - len(reader.buffer)
        try:
            request = super()._read_request(reader, connection)
            request.raw = bytes(connection.received[begin:len(connection.received) - len(reader.buffer)])
            return request
        except http1.ProtocolError as e:
            self.anomalies.append(f"{e}: {bytes(connection.received[begin:])[:300]!r}")
            raise upstream.EndConnection from None

    def _serve(self, sock, connection):
        try:
            super()._serve(sock, connection)
        except http1.ProtocolError as e:
            self.anomalies.append(str(e))


class Bench:
    """`port` is where the proxy listens, `strict` whether it is weir, whose own fields are known."""

    tick = 0.03     # between the bytes of something that drips

    def __init__(self, port, recorder, strict=True, hasty=False):
        self.port, self.recorder, self.strict = port, recorder, strict
        self.patience_s = PATIENCE_S if strict else PEER_PATIENCE_S
        self.hasty = hasty      # idle connections end soon: a canary cannot keep its own
        self.canary = None
        self.canaries = self.poisoned = self.deliveries = 0
        self.mark = 0

    # ---- for dialogues --------------------------------------------------------------------------------------------
    def connect(self, **more):
        return client.Connection(self.port, timeout=more.pop("timeout", self.patience_s), **more)

    def script(self, script):
        self.recorder.case_script = script

    def reached(self):
        """What came to the upstream since the case began, without canaries."""
        return [r for r in self.recorder.requests[self.mark:] if not r.target.startswith(CANARY)]

    def wait(self, what, check):
        return wait_until(what, check, self.patience_s, interval=0.001)

    # ---- cases ----------------------------------------------------------------------------------------------------
    def play(self, case, delivery):
        """Raises Wrong or whatever a conversation raises."""
        self.deliveries += 1
        self.mark = len(self.recorder.requests)
        del self.recorder.anomalies[:]
        judge = None
        try:
            if isinstance(case, Dialogue):
                case.play(self)
            elif isinstance(case, RequestCase):
                judge = self.play_request(case, delivery)
            else:
                judge = self.play_response(case, delivery)
        finally:
            self.script(None)
            self.sing()
        if self.recorder.anomalies:
            raise Wrong(f"the upstream got something malformed: {self.recorder.anomalies}")
        if judge:
            judge()     # behind the canaries: what was smuggled has arrived by then

    def play_request(self, case, delivery):
        together = delivery == WHOLE and case.end is None
        tail = raw(get(AFTER)) if together else b""
        with self.connect() as conn:
            deliver(conn.sock, case.sent + tail, delivery)
            if case.end == "fin":
                conn.half_close()
            answers = [conn.read(method) for method in methods_of(case)]
            self.judge_fate(conn, case.fate, together)
        return lambda: judge_request(case, answers, self.own_of(case), delivery == WHOLE, self)

    def own_of(self, case):
        """What reached the upstream of this case; the request behind it belongs there only on a kept connection."""
        return [r for r in self.reached() if r.target != AFTER or case.fate != KEPT]

    def judge_fate(self, conn, fate, asked=False):
        """`asked`: the request that a kept connection answers was sent already."""
        if fate == KEPT:
            if not asked:
                conn.send(raw(get(AFTER)))
            r = conn.read()
            if (r.status, r.body) != (200, AFTER.encode()):
                raise Wrong(f"the connection was kept, but the next request got {r}")
            return
        rest = conn.read_until_close(self.patience_s)
        if rest:
            raise Wrong(f"after the last answer came {rest[:300]!r}")

    def play_response(self, case, delivery):
        exchanges = []

        def script(x):
            exchanges.append(x)
            x.read_body()
            try:
                deliver(x.sock, case.sent, delivery)
            except OSError:
                pass
            if case.end == "rst":
                # an RST may overtake the data it follows: the peer has them when it has acknowledged them
                self.wait("the data are delivered", lambda: unsent(x.sock) == 0)
                x.reset()
            if case.end == "fin":
                x.close()
            if not case.pooled:
                x.wait_for_peer_close(self.patience_s)
                x.close()
        self.script(script)
        with self.connect() as conn:
            conn.send(raw(get(f"/r?{self.deliveries}", method=case.method, version=f"HTTP/{case.version}")))
            answer = broken = None
            try:
                answer = conn.read(case.method)
            except http1.Closed as e:
                broken = e
            self.script(None)
            if not case.pooled and case.end is None:
                # what comes after a connection was lent again cannot be told from an answer: let it come before
                self.wait("the upstream's connection is closed", lambda: exchanges[-1].connection.closed_by_peer)
            if answer and not case.aborted:
                self.judge_fate(conn, case.fate)
        return lambda: self.judge_response(case, answer, broken, exchanges)

    def judge_response(self, case, answer, broken, exchanges):
        judge_response(case, answer, broken, self)
        if case.pooled and self.strict:
            last = self.recorder.requests[-1].connection
            if last is not exchanges[-1].connection:
                raise Wrong("the upstream's connection was not used again")

    def sing(self):
        """Two canaries on a connection of their own: each must get its own song back."""
        if self.hasty:
            self.canary = None
        for _ in range(2):
            self.canaries += 1
            target = f"{CANARY}{self.canaries}"
            try:
                self.canary = self.canary or self.connect(timeout=PATIENCE_S)
                r = self.canary.request("GET", target)
                song, is_its_own = (r.status, r.body), r.status >= 500 or r.body == target.encode()
            except http1.ProtocolError as e:
                song, is_its_own = repr(e), False
            except (OSError, http1.Closed) as e:
                song, is_its_own = repr(e), True    # nobody's: it counts against the case alone
            self.poisoned += not is_its_own
            if song != (200, target.encode()):
                self.canary = None
                raise Wrong(f"the canary {target} got {song}")


def methods_of(case):
    """The method of each request that is to be answered; "GET" where there is none to know."""
    if case.status is None:
        return []
    known = [r.line.split(" ")[0] if r else "GET" for r in case.reached]
    first = split_method(case.sent)
    return (known + [first if case.answers == 1 else "GET"])[:case.answers] if known else [first]


def split_method(sent):
    word = sent.lstrip(b"\r\n").partition(b" ")[0].decode("latin-1")
    return word if word == "HEAD" else "GET"


def deliver(sock, data, delivery):
    """`delivery` is whole, bytewise, or a number: the seed of random cuts. Gives up when the peer has closed."""
    sock.settimeout(PATIENCE_S)
    if delivery == WHOLE:
        sizes = iter(lambda: len(data), None)
    elif delivery == BYTEWISE:
        size = 1 + len(data) // MAX_PIECES
        sizes = iter(lambda: size, None)
    else:
        rng = random.Random(delivery * 1_000_003 + len(data))
        largest = rng.choice((4, 40, 1 + len(data) // 3))
        least = 1 + len(data) // MAX_PIECES
        sizes = iter(lambda: least + rng.randrange(largest), None)
    view = memoryview(data)
    try:
        while view:
            size = next(sizes)
            sock.sendall(view[:size])
            view = view[size:]
            os.sched_yield()    # the proxy reads what is there
    except OSError:
        pass


def unsent(sock):
    """Bytes the peer's kernel has not acknowledged."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0\0\0\0"))[0]

