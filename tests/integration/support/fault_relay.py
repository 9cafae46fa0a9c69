# SPDX-License-Identifier: Apache-2.0
"""A relay between weir and a real Redis that understands RESP and does what a script says to every command.

A script is a function of an Exchange (one command on one connection). The functions at the end return ready-made ones.
Commands of one connection are handled one after the other, also when they came in one write; that is how Redis answers
them. Everything is recorded: `decisions` lists each EVALSHA and EVAL with its keys and what became of it."""

import base64
import hashlib
import socket
import threading
import time

from .ports import free_port

RST = b"\x01\0\0\0\0\0\0\0"  # struct linger {1, 0}
DECISIONS = {b"EVALSHA", b"EVAL"}
# replies after which a command may be sent again: the server says that it did not execute it
NOT_EXECUTED = (b"-NOSCRIPT", b"-MOVED", b"-ASK", b"-TRYAGAIN", b"-CLUSTERDOWN", b"-LOADING", b"-READONLY",
                b"-MASTERDOWN")


class EndConnection(Exception):
    """The connection of this exchange is over."""


def subject_key(*parts, prefix="rl:"):
    """The Redis key of a subject: parts are selector, value, selector, value ..."""
    encoding = b"".join(b"%d:%s" % (len(p), p) for p in
                        (p if isinstance(p, bytes) else p.encode() for p in parts))
    digest = base64.urlsafe_b64encode(hashlib.sha256(encoding).digest()[:16]).rstrip(b"=")
    return prefix.encode() + b"1:{" + digest + b"}"


def resp(*args):
    """A command as an array of bulk strings."""
    parts = [a if isinstance(a, bytes) else str(a).encode() for a in args]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


class Stream:
    """Reads whole RESP items from a socket and keeps their bytes."""

    def __init__(self, sock):
        self.sock, self.buffer, self.at = sock, bytearray(), 0

    def _fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise EndConnection
        self.buffer += data

    def _line(self):
        while (end := self.buffer.find(b"\r\n", self.at)) < 0:
            self._fill()
        line = bytes(self.buffer[self.at:end])
        self.at = end + 2
        return line

    def _item(self):
        line = self._line()
        kind = line[:1]
        if kind == b"$":
            size = int(line[1:])
            if size < 0:
                return None
            while len(self.buffer) < self.at + size + 2:
                self._fill()
            value = bytes(self.buffer[self.at:self.at + size])
            self.at += size + 2
            return value
        if kind == b"*":
            return [self._item() for _ in range(max(0, int(line[1:])))]
        if kind == b":":
            return int(line[1:])
        return line

    def next(self):
        """(value, bytes) of the next item."""
        value = self._item()
        data = bytes(self.buffer[:self.at])
        del self.buffer[:self.at]
        self.at = 0
        return value, data


def _whole(brief, arguments):
    """The integers of a call of its own from those of plain buckets in a pack."""
    states = []
    for used, i in zip(brief, range(0, len(arguments), 7)):
        cost, _, each, capacity = map(int, arguments[i + 3:i + 7])
        allowed, used = used >= 0, used if used >= 0 else -1 - used
        wait = 0 if allowed else -1 if cost * each > capacity else cost * each - (capacity - used)
        states += [int(allowed), (capacity - used) // each, wait, used, used]
    return [int(all(states[::5])), *states]


class Decision:
    """One EVALSHA or EVAL that came to the relay."""

    def __init__(self, command, connection):
        self.at = time.monotonic()
        self.connection = connection
        count = int(command[2])
        self.sha = command[1]       # of the script, or its text
        self.keys, self.args = command[3:3 + count], command[3 + count:]
        self.forwarded = False      # reached the real Redis
        self.reply = None           # what Redis said, as a value; None = never forwarded or never answered
        self.replied = False        # the whole reply, unchanged, was sent on to weir

    def each(self):
        """(its keys, how many equal requests, [now, m, integers of each rule ...]) of every decision of the call: of a
        pack several, see lua/README.md."""
        if not self.args[0].isupper():
            yield self.keys, int(self.args[1]) if self.args[1].isdigit() else 1, self.reply
            return
        shapes, at = [], 2
        for _ in range(int(self.args[1])):
            kind, (keys, arguments, rules) = self.args[at], map(int, self.args[at + 1:at + 4])
            shapes.append((kind, keys, rules, self.args[at + 4:at + 4 + arguments]))
            at += 4 + arguments
        key, said, now = 0, 1, self.reply[0]
        for letter in self.args[0]:
            kind, keys, rules, arguments = shapes[letter - ord("A")]
            integers = rules if kind == b"b" else 1 + 5 * rules
            reply = self.reply[said:said + integers]
            yield self.keys[key:key + keys], 1, [now, *(_whole(reply, arguments[2:]) if kind == b"b" else reply)]
            key, said = key + keys, said + integers

    @property
    def may_be_repeated(self):
        return isinstance(self.reply, bytes) and self.reply.startswith(NOT_EXECUTED)


class Exchange:
    """One command in the hands of a script."""

    def __init__(self, relay, link, command, data):
        self.relay, self.link, self.command, self.data = relay, link, command, data
        self.name = command[0].upper()
        self.is_decision = self.name in DECISIONS
        self.decision = None

    def forward(self):
        """Asks Redis and returns the bytes of its reply."""
        server = self.link.server_stream()
        if self.decision:
            self.decision.forwarded = True
        server.sock.sendall(self.data)
        value, data = server.next()
        if self.decision:
            self.decision.reply = value
        return data

    def send(self, data):
        self.link.client.sendall(data)

    def answer(self):
        """What a relay does that does nothing: the reply of Redis, whole."""
        self.send(self.forward())
        if self.decision:
            self.decision.replied = True

    def say(self, data):
        """An answer of the relay's own; Redis never sees the command."""
        if self.decision:
            self.decision.reply = data
        self.send(data)

    def wait(self, seconds):
        """Sleeps, but not beyond the end of the connection or of the relay's current script."""
        self.link.wait(seconds)

    def hang(self):
        """Until the script is replaced or the connection ends; then the command is lost with its connection."""
        self.link.hang()

    def close(self):
        raise EndConnection

    def reset(self):
        self.link.ends_with_reset = True
        raise EndConnection

    def half_close(self):
        """FIN towards weir while its commands are still read."""
        self.link.client.shutdown(socket.SHUT_WR)


class Link:
    """One accepted connection and its own connection to Redis."""

    def __init__(self, relay, client, number):
        self.relay, self.client, self.number = relay, client, number
        self.server = None
        self.over = threading.Event()
        self.ends_with_reset = False

    def server_stream(self):
        if self.server is None:
            sock = socket.create_connection(("127.0.0.1", self.relay.target), 5)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(60)
            self.server = Stream(sock)
        return self.server

    def run(self):
        commands = Stream(self.client)
        try:
            while not self.over.is_set():
                command, data = commands.next()
                if self.over.is_set():
                    break
                exchange = Exchange(self.relay, self, command, data)
                if exchange.is_decision:
                    exchange.decision = self.relay.record(Decision(command, self.number))
                self.relay.script(exchange)
        except (OSError, EndConnection, ValueError, IndexError):
            pass
        finally:
            self.end(self.ends_with_reset)

    def wait(self, seconds):
        deadline, script = time.monotonic() + seconds, self.relay.script
        while (left := deadline - time.monotonic()) > 0 and self.relay.script is script:
            if self.over.wait(min(left, 0.02)):
                raise EndConnection

    def hang(self):
        script = self.relay.script
        while self.relay.script is script:
            if self.over.wait(0.02) or self._client_left():
                break
        raise EndConnection

    def _client_left(self):
        try:
            return self.client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def end(self, reset=False):
        self.over.set()
        if reset:
            try:
                self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
            except OSError:
                pass
        for sock in [self.client] + ([self.server.sock] if self.server else []):
            try:
                sock.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)   # wakes a thread that reads
            except OSError:
                pass
            sock.close()
        self.relay.forget(self)


class FaultRelay:
    """Listens on a port of its own. `script` may be replaced at any time; `door` says what happens to connects:
    "open", "shut" (refused), "reset", "close" (FIN at once) or "silent" (accepted, never read)."""

    def __init__(self, target):
        self.target = target            # port of the real Redis; None: scripts never forward
        self.script = passed
        self.door = "open"
        self.decisions, self.accepted = [], 0
        self.lock = threading.Lock()
        self.links, self.doomed = set(), []
        self.stopping = False
        self.listener = None
        self.port = 0
        self._listen()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    # ---- what tests do -------------------------------------------------------------------------------------------
    def play(self, script=None, door="open", cut=None):
        """Sets script and door; `cut` ends the connections there are: "close" or "reset"."""
        self.script, self.door = script or passed, door
        if door == "shut" and self.listener:
            self._close_listener()
        elif door != "shut" and self.listener is None:
            self._listen()
        if cut:
            self.cut(reset=cut == "reset")

    def cut(self, reset=False):
        with self.lock:
            links, doomed, self.doomed = list(self.links), self.doomed, []
        for link in links:
            link.end(reset)
        for sock in doomed:
            sock.close()

    def heal(self):
        """Passes everything from now on; connections that hang are ended by their scripts."""
        self.play()
        with self.lock:
            doomed, self.doomed = self.doomed, []
        for sock in doomed:
            sock.close()

    def record(self, decision):
        with self.lock:
            self.decisions.append(decision)
        return decision

    def of(self, key):
        """The decisions about one key, in order."""
        with self.lock:
            return [d for d in self.decisions if key in d.keys]

    def forget(self, link):
        with self.lock:
            self.links.discard(link)

    def stop(self):
        self.stopping = True
        self._close_listener()
        self.thread.join(5)
        self.script = closed
        self.cut()

    # ---- inside --------------------------------------------------------------------------------------------------
    def _listen(self):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port or free_port()))
        listener.listen(128)
        listener.settimeout(0.05)
        self.port = listener.getsockname()[1]
        self.listener = listener

    def _close_listener(self):
        listener, self.listener = self.listener, None
        if listener:
            try:
                listener.shutdown(socket.SHUT_RDWR)     # refuses at once, even while accept() holds it
            except OSError:
                pass
            listener.close()

    def _accept(self):
        while not self.stopping:
            listener = self.listener
            if listener is None:
                time.sleep(0.01)
                continue
            try:
                sock, _ = listener.accept()
            except OSError:
                continue
            self.accepted += 1
            sock.settimeout(None)
            if self.door in ("reset", "close", "shut"):
                if self.door == "reset":
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
                sock.close()
            elif self.door == "silent":
                with self.lock:
                    self.doomed.append(sock)
            else:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self.lock:
                    link = Link(self, sock, self.accepted)
                    self.links.add(link)
                threading.Thread(target=link.run, daemon=True).start()


# ---- scripts -------------------------------------------------------------------------------------------------------

def passed(x):
    x.answer()


def closed(x):
    x.close()


def _applies(x, everything):
    return everything or x.is_decision


def says(reply, everything=False):
    """Answers with these bytes: decisions only, or everything (then a reconnect meets it too)."""
    def script(x):
        x.say(reply) if _applies(x, everything) else x.answer()
    return script


def silent(everything=True):
    """Commands are read and never answered, nor forwarded."""
    def script(x):
        x.hang() if _applies(x, everything) else x.answer()
    return script


def executed_but_unanswered(everything=False):
    """Redis executes the command, weir never hears of it."""
    def script(x):
        if not _applies(x, everything):
            return x.answer()
        x.forward()
        x.hang()
    return script


def late(seconds, everything=False):
    """The true reply comes too late, on the same connection if that still exists."""
    def script(x):
        if not _applies(x, everything):
            return x.answer()
        data = x.forward()
        x.wait(seconds)
        x.send(data)
        if x.decision:
            x.decision.replied = True
    return script


def ends_mid_reply(keep, reset=False, half=False):
    """Redis executes the command; the first `keep` bytes of the reply come, then FIN or RST."""
    def script(x):
        if not x.is_decision:
            return x.answer()
        data = x.forward()
        x.send(data[:keep if keep >= 0 else len(data) + keep])
        if half:
            x.half_close()
            x.hang()
        if reset:
            time.sleep(0.02)    # an RST may overtake what was sent before it
            x.reset()
        x.close()
    return script


def drips(interval, everything=False):
    """The reply comes byte by byte."""
    def script(x):
        if not _applies(x, everything):
            return x.answer()
        for byte in x.forward():
            x.send(bytes([byte]))
            x.wait(interval)
        if x.decision:
            x.decision.replied = True
    return script


def split(size=1):
    """The reply comes in pieces without a pause: harmless."""
    def script(x):
        data = x.forward()
        for at in range(0, len(data), size):
            x.send(data[at:at + size])
        if x.decision:
            x.decision.replied = True
    return script


def changed(change):
    """`change(bytes of the true reply)` is sent instead of it."""
    def script(x):
        if not x.is_decision:
            return x.answer()
        x.send(change(x.forward()))
    return script


def endless(data, everything=False, most=64 << 20):
    """Writes `data` again and again, until weir closes or `most` bytes went out."""
    def script(x):
        if not _applies(x, everything):
            return x.answer()
        for _ in range(0, most, max(1, len(data))):
            x.send(data)
            if x.link.over.is_set():
                break
        x.close()
    return script


def every_nth(n, fault, others=passed):
    """`fault` for each n-th decision, over all connections."""
    lock, count = threading.Lock(), [0]

    def script(x):
        if not x.is_decision:
            return x.answer()
        with lock:
            count[0] += 1
            hit = count[0] % n == 0
        (fault if hit else others)(x)
    return script


def fake(decisions, info="redis_version:7.0.15\r\nmaxmemory_policy:noeviction\r\n"):
    """A server of the test's own (target None): plays Redis up to the decisions, which get the bytes `decisions`."""
    control = {b"PING": b"+PONG\r\n", b"AUTH": b"+OK\r\n", b"SELECT": b"+OK\r\n", b"ASKING": b"+OK\r\n",
               b"INFO": b"$%d\r\n%s\r\n" % (len(info), info.encode()),
               b"ROLE": b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"}

    def script(x):
        if x.is_decision:
            x.say(decisions)
        elif x.name == b"SCRIPT":
            x.say(b"$40\r\n%s\r\n" % hashlib.sha1(x.command[2]).hexdigest().encode())
        else:
            x.say(control.get(x.name, b"-ERR unknown command\r\n"))
    return script
