# SPDX-License-Identifier: Apache-2.0
"""The faults that chaos draws from: four kinds, each a table of names. Every fault is a context that ends it."""

import contextlib
import json
import os
import random
import signal
import socket
import threading
import time

import scenario
from support import client, fault_relay
from support.byte_relay import FAULTS, ByteRelay
from support.upstream import Upstream


class Stage:
    """Everything a seed plays with. The access log goes to a pipe that `reading` stops, or to `log_path`."""

    def __init__(self, t, plan, upstream_port=None, log_path=None):
        self.t, self.plan, self.count, self.log_path = t, plan, 0, log_path
        self.rng = random.Random(plan.seed * 7919)
        self.redis = t.redis()
        self.redis_relay = t.fault_relay(self.redis)
        self.relay = t.keep(ByteRelay(upstream_port or t.keep(Upstream(scenario.token_answer)).port))
        self.reader, writer = os.pipe()
        self.log, self.reading = bytearray(), threading.Event()
        self.reading.set()
        self.log_thread = threading.Thread(target=self._read_log, daemon=True)
        self.log_thread.start()
        self.weir = t.weir(self.policy(), stdout=writer)
        os.close(writer)

    def policy(self):
        policy = scenario.policy(self.relay, self.redis_relay, self.plan.mode)
        if self.log_path:   # a soak: its load is judged for what a user would see
            policy["access_log"] = {"to": self.log_path}
            del policy["upstreams"]["app"]["timeout"]
        return policy

    def _read_log(self):
        while True:
            self.reading.wait()
            data = os.read(self.reader, 65536)
            if not data:
                break
            self.log.extend(data)
        os.close(self.reader)

    def heal(self):
        self.reading.set()
        self.relay.fault = None
        self.redis_relay.heal()

    def finish_log(self):
        """Ends weir; all records, and how many the log says it dropped."""
        assert self.weir.terminate() == 0, self.weir.stderr()[-3000:]
        self.log_thread.join(10)
        records, dropped = [], 0
        for line in bytes(self.log).decode().splitlines():
            record = json.loads(line)
            if "request_id" in record:
                records.append(record)
            else:
                dropped += record["dropped"]
        return records, dropped


def perform(stage, planned, begin):
    time.sleep(max(0.0, begin + planned.start - time.monotonic()))
    with KINDS[planned.kind][planned.name](stage):
        time.sleep(max(0.0, begin + planned.end - time.monotonic()))


def _repeated(action, interval):
    """A fault that does something again and again."""
    @contextlib.contextmanager
    def fault(stage):
        ending = threading.Event()

        def loop():
            while not ending.wait(interval):
                action(stage)
        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        yield
        ending.set()
        thread.join(10)
    return fault


# ---- Redis ---------------------------------------------------------------------------------------------------------

def _redis(script=None, door="open", cut=None):
    @contextlib.contextmanager
    def fault(stage):
        stage.redis_relay.play(script, door, cut)
        yield
        stage.redis_relay.heal()
    return fault


@contextlib.contextmanager
def _redis_hangs(stage):
    stage.redis.process.send_signal(signal.SIGSTOP)
    yield
    stage.redis.process.send_signal(signal.SIGCONT)


REDIS = {"silent": _redis(fault_relay.silent()), "late": _redis(fault_relay.late(0.15)),
         "drips": _redis(fault_relay.drips(0.01)), "error": _redis(fault_relay.says(b"-ERR no\r\n")),
         "oom": _redis(fault_relay.says(b"-OOM command not allowed\r\n")),
         "readonly": _redis(fault_relay.says(b"-READONLY You can't write\r\n")),
         "noscript": _redis(fault_relay.says(b"-NOSCRIPT No matching script\r\n")),
         "garbage": _redis(fault_relay.says(b"\x00\xff$9999999999999\r\n")),
         "endless": _redis(fault_relay.endless(b"*1\r\n" * 1000)),
         "unanswered": _redis(fault_relay.executed_but_unanswered()),
         "cut_reply": _redis(fault_relay.ends_mid_reply(5)),
         "reset_reply": _redis(fault_relay.ends_mid_reply(5, reset=True)),
         "some_cut": _redis(fault_relay.every_nth(3, fault_relay.ends_mid_reply(3))),
         "refused": _redis(door="shut", cut="reset"), "reset_at_door": _redis(door="reset", cut="close"),
         "black_hole": _redis(door="silent", cut="close"), "hangs": _redis_hangs}


# ---- upstream ------------------------------------------------------------------------------------------------------

def _upstream(name):
    @contextlib.contextmanager
    def fault(stage):
        stage.relay.fault = name
        if name in ("refuse", "reset"):
            stage.relay.cut()
        yield
        stage.relay.fault = None
        if name == "blackhole":
            stage.relay.cut()
    return fault


UPSTREAM = {name: _upstream(name) for name in FAULTS}


# ---- clients -------------------------------------------------------------------------------------------------------

def _abort(stage):
    """Leaves at any moment, by FIN or RST."""
    with contextlib.suppress(OSError):
        c = client.Connection(stage.weir.port, timeout=2)
        stage.count += 1
        c.send(client.request_bytes("POST", "/load/abort", {"X-Request-ID": f"abort-{stage.count}"},
                                    b"x" * 3000)[:stage.rng.choice((1, 20, 60, 1000, 3200))])
        time.sleep(stage.rng.uniform(0, 0.01))
        c.reset() if stage.rng.random() < 0.5 else c.close()


def _hostile(stage):
    with contextlib.suppress(OSError):
        with client.Connection(stage.weir.port, timeout=2) as c:
            c.send(stage.rng.choice((b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"\x16\x03\x01\x02\x00" * 50,
                                     b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40000,
                                     b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")))
            c.read_until_close(1)


def _crowd(first, count):
    """`count` connections that stay and say `first`."""
    @contextlib.contextmanager
    def fault(stage):
        socks = []
        for _ in range(count):
            with contextlib.suppress(OSError):
                sock = socket.create_connection(("127.0.0.1", stage.weir.port), 2)
                socks.append(sock)
                sock.sendall(first)
        yield
        for sock in socks:
            sock.close()
    return fault


CLIENT = {"abort": _repeated(_abort, 0.01), "hostile": _repeated(_hostile, 0.02),
          "slow_heads": _crowd(b"GET /load/slow HTTP/1.1\r\nHost: a\r\nX", 100),
          "slow_bodies": _crowd(b"POST /load/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nx", 60),
          "idle": _crowd(b"", 200),
          "unread": _crowd(b"GET /load/unread HTTP/1.1\r\nHost: a\r\n\r\n" * 50, 20)}


# ---- the process ---------------------------------------------------------------------------------------------------

def _reload(stage):
    stage.count += 1
    policy = stage.policy()
    policy["rules"][2]["name"] = f"unused-{stage.count}"
    stage.weir.write_policy(policy if stage.count % 4 else "version: 1\nnonsense: [\n")
    stage.weir.signal(signal.SIGHUP)


def _pause(stage):
    stage.weir.signal(signal.SIGSTOP)
    time.sleep(0.05)
    stage.weir.signal(signal.SIGCONT)


@contextlib.contextmanager
def _log_blocked(stage):
    stage.reading.clear()
    yield
    stage.reading.set()


PROCESS = {"reload": _repeated(_reload, 0.06), "pause": _repeated(_pause, 0.12), "log_blocked": _log_blocked,
           "reopen": _repeated(lambda stage: stage.weir.signal(signal.SIGUSR1), 0.02)}

KINDS = {"redis": REDIS, "upstream": UPSTREAM, "client": CLIENT, "process": PROCESS}
