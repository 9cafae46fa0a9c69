# SPDX-License-Identifier: Apache-2.0
"""A real redis-server of a test's own, a raw RESP client, and a MONITOR reader."""

import os
import shutil
import socket
import subprocess
import threading
import time

from .ports import free_port


class RespError(Exception):
    pass


class RespClient:
    def __init__(self, port, timeout=10.0, password=None):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self.file = self.sock.makefile("rb")
        if password:
            self.call("AUTH", password)

    def close(self):
        self.file.close()
        self.sock.close()

    def send(self, *args):
        parts = [a if isinstance(a, bytes) else str(a).encode() for a in args]
        self.sock.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            raise RespError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.file.read(size + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(int(rest))] if int(rest) >= 0 else None
        raise RespError(f"unknown reply {line!r}")

    def call(self, *args):
        self.send(*args)
        return self.read()


class Monitor:
    """Collects the lines of MONITOR until it is stopped."""

    def __init__(self, port, password=None):
        self.port, self.password = port, password
        self.client = RespClient(port, password=password)
        self.client.call("MONITOR")
        self.client.sock.settimeout(None)
        self.lines = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            while True:
                self.lines.append(self.client.read().decode("latin-1"))
        except (OSError, ValueError, ConnectionError, RespError):
            pass

    def stop(self):
        """Ends after everything the server has been asked so far is in `lines`."""
        try:
            marker = RespClient(self.port, password=self.password)
            marker.call("ECHO", "end-of-monitor")
            marker.sock.close()
            deadline = time.monotonic() + 5
            while not any("end-of-monitor" in line for line in list(self.lines)) and time.monotonic() < deadline:
                time.sleep(0.005)
        except (OSError, RespError):
            pass   # the server is gone: nothing more will come
        try:
            self.client.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(5)

    def commands(self, name):
        """Lines whose command is `name`, without those issued inside scripts and without heartbeats."""
        return [line for line in self.lines if f'] "{name.lower()}"' in line.lower() and " lua] " not in line
                and "{members}" not in line]


class RedisServer:
    """redis-server on a fixed port in its own folder, without persistence.

    `password` is what the test's own questions log in with; `env` is added to the server's environment."""

    def __init__(self, directory, binary="redis-server", options=(), password=None, env=None):
        if not shutil.which(binary):
            raise FileNotFoundError(binary)
        self.directory, self.binary, self.options = directory, binary, list(options)
        self.password, self.env = password, {**os.environ, **(env or {})}
        self.port = free_port()
        self.socket_path = os.path.join(directory, "redis.sock")
        self.url = f"redis://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        log = open(os.path.join(self.directory, "redis.log"), "ab")
        self.process = subprocess.Popen(
            [self.binary, "--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket", self.socket_path,
             "--save", "", "--appendonly", "no", "--dir", self.directory, "--daemonize", "no", *self.options],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.env)
        log.close()
        deadline = time.monotonic() + 20
        while True:
            try:
                client = RespClient(self.port, 1.0, self.password)
                pong = client.call("PING")
                client.close()
                if pong == b"PONG":
                    return self
            except (OSError, RespError):
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("redis-server does not start: " + self.log()[-1000:])
            time.sleep(0.02)

    def log(self):
        with open(os.path.join(self.directory, "redis.log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def kill(self):
        """SIGKILL: connections are reset, the data is lost."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    stop = kill

    def client(self):
        return RespClient(self.port, password=self.password)

    def call(self, *args):
        client = self.client()
        try:
            return client.call(*args)
        finally:
            client.close()

    def state_keys(self):
        """Every key that holds a decision's state; the heartbeat of the processes has keys of its own."""
        return [key for key in self.call("KEYS", "*") if b"{members}" not in key]

    def monitor(self):
        return Monitor(self.port, self.password)

    def command_calls(self):
        """{command: calls} of INFO commandstats, those issued by scripts included."""
        text = self.call("INFO", "commandstats").decode()
        return {line.split(":")[0].removeprefix("cmdstat_"): int(line.split("calls=")[1].split(",")[0])
                for line in text.splitlines() if line.startswith("cmdstat_")}

    def snapshot(self):
        """Every key of state with its serialised value and absolute expiry: equal snapshots = no byte changed."""
        client = self.client()
        try:
            keys = sorted(self.state_keys())
            return {k: (client.call("DUMP", k), client.call("PEXPIRETIME", k)) for k in keys}
        finally:
            client.close()
