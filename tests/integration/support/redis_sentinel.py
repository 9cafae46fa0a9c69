# SPDX-License-Identifier: Apache-2.0
"""A master, a replica and three sentinels on loopback."""

import os
import subprocess
import time

from .ports import free_port
from .redis import RedisServer, RespClient, RespError
from .weir import wait_until


class Sentinel:
    """One `redis-server --sentinel`. It rewrites its own configuration file. `password` is that of the servers it
    watches, `own_password` what it wants itself."""

    def __init__(self, directory, name, master_port, quorum, down_after, password=None, own_password=None):
        os.makedirs(directory, exist_ok=True)
        self.directory, self.port, self.process, self.own_password = directory, free_port(), None, own_password
        self.config = os.path.join(directory, "sentinel.conf")
        lines = ["bind 127.0.0.1", f"port {self.port}", f"dir {directory}", "protected-mode no",
                 f"sentinel monitor {name} 127.0.0.1 {master_port} {quorum}",
                 f"sentinel down-after-milliseconds {name} {down_after}",
                 f"sentinel failover-timeout {name} 3000", f"sentinel parallel-syncs {name} 1"]
        if password:
            lines.append(f"sentinel auth-pass {name} {password}")
        if own_password:
            lines += [f"requirepass {own_password}", f"sentinel sentinel-pass {own_password}"]
        with open(self.config, "w", encoding="ascii") as f:
            f.write("\n".join(lines) + "\n")

    def start(self):
        with open(os.path.join(self.directory, "sentinel.log"), "ab") as log:
            self.process = subprocess.Popen(["redis-server", self.config, "--sentinel"], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        wait_until("the sentinel answers", self._answers, 20)
        return self

    def _answers(self):
        assert self.process.poll() is None, "the sentinel ended"
        try:
            return self.call("PING") == b"PONG"
        except (OSError, RespError):
            return False

    def call(self, *args):
        client = RespClient(self.port, password=self.own_password)
        try:
            return client.call(*args)
        finally:
            client.close()

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


class RedisSentinel:
    """`master` and `replica` are the servers as they started; current_master() tells who it is now."""

    def __init__(self, directory, name="weir-master", sentinels=3, down_after=500, password=None, options=(),
                 sentinel_password=None):
        self.name, self.password = name, password
        secret = ["--requirepass", password, "--masterauth", password] if password else []
        folders = [os.path.join(directory, n) for n in ("master", "replica")]
        for folder in folders:
            os.makedirs(folder, exist_ok=True)
        self.master = RedisServer(folders[0], options=[*secret, *options], password=password)
        self.replica = RedisServer(folders[1], options=[*secret, "--replicaof", f"127.0.0.1 {self.master.port}",
                                                        *options], password=password)
        self.servers = [self.master, self.replica]
        self.sentinels = [Sentinel(os.path.join(directory, f"sentinel-{i}"), name, self.master.port,
                                   sentinels // 2 + 1, down_after, password, sentinel_password) for i in range(sentinels)]

    @property
    def addresses(self):
        """What `store.nodes` wants: the sentinels."""
        return [f"127.0.0.1:{s.port}" for s in self.sentinels]

    def start(self):
        for server in self.servers:
            server.start()
        wait_until("the replica is in sync", lambda: self.replica.call("ROLE")[3] == b"connected", 20)
        for sentinel in self.sentinels:
            sentinel.start()
        wait_until("the sentinels know each other and the replica", self._complete, 30)
        return self

    def _complete(self):
        def facts(sentinel):
            flat = sentinel.call("SENTINEL", "MASTER", self.name)
            return dict(zip(flat[::2], flat[1::2]))
        return all(f[b"num-slaves"] == b"1" and f[b"num-other-sentinels"] == b"%d" % (len(self.sentinels) - 1)
                   for f in map(facts, self.sentinels))

    def current_master(self):
        """The server most living sentinels name."""
        ports = [int(s.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)[1])
                 for s in self.sentinels if s.process.poll() is None]
        port = max(set(ports), key=ports.count)
        return next(s for s in self.servers if s.port == port)

    def wait_for_failover(self, old, timeout=30):
        """Until all living sentinels name another master than `old` and it says of itself that it is one."""
        begin = time.monotonic()

        def moved():
            new = self.current_master()
            return new if new is not old and new.call("ROLE")[0] == b"master" else None
        new = wait_until("a new master is named", moved, timeout)
        return new, time.monotonic() - begin

    def kill_master(self, timeout=30):
        """SIGKILL; returns the new master."""
        old = self.current_master()
        old.kill()
        return self.wait_for_failover(old, timeout)[0]

    def stop(self):
        for sentinel in self.sentinels:
            sentinel.kill()
        for server in self.servers:
            server.kill()
