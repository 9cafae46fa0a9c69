# SPDX-License-Identifier: Apache-2.0
"""One weir that is measured, with its upstream and store, perhaps under a tool; and clients that stay connected."""

import asyncio
import pathlib
import re
import resource
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

from support.ports import free_port  # noqa: E402
from support.redis import RedisServer  # noqa: E402
from support.weir import Helper, Weir, listening, wait_until  # noqa: E402

PER_USER = {"name": "per-user", "key": ["user"], "missing": "skip", "limit": "1000000/second"}
DENYING = {"name": "per-user", "key": ["user"], "missing": "skip", "limit": "1/day"}
FOUR = [{**PER_USER, "name": f"per-user-{i}", "limit": f"{i}00000/second"} for i in range(1, 5)]
LOGGED = {"to": "access.log", "buffer": "8MiB"}


def policy(rules=(), log=None, **more):
    """What is measured: one worker, connections for as long as they like, and a log where there are rules."""
    made = {"workers": 1, "limits": {"requests_per_connection": 1000000, "connections": 15000}}
    if rules:
        made |= {"identity": {"user": [{"header": "X-User-Id"}]}, "rules": list(rules)}
    return made | {"access_log": log or (LOGGED if rules else {"to": "none"})} | more


class Subject:
    """`in_redis`: a Redis of its own decides. `through`: a command that becomes weir."""

    def __init__(self, binary, directory, made, in_redis=False, through=(), env=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=directory))
        self.redis = RedisServer(str(self.directory)).start() if in_redis else None
        listen = f"127.0.0.1:{free_port()}"
        self.upstream = Helper([binary, "echo", "--listen", listen, "--size", "1KiB"])
        wait_until("the upstream listens", lambda: listening(listen))
        made = {"upstreams": {"up": {"url": f"http://{listen}", "pool": {"size": 512}}}} | made
        if in_redis:
            made["store"] = {"url": self.redis.url, "pool": {"command_timeout": "5s"}}
        self.weir = Weir(binary, str(self.directory / "weir"), made, env=env, through=through)
        self.weir.start(120)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        complaints = self.weir.stop()
        self.upstream.stop()
        if self.redis:
            self.redis.stop()
        assert not complaints, complaints


def request(path, user):
    return (f"GET {path} HTTP/1.1\r\nHost: bench.local\r\nUser-Agent: bench\r\nAccept: */*\r\n"
            f"X-User-Id: {user}\r\n\r\n").encode()


def user_in_turn(number, i):
    return request(f"/bench/{i % 7}", f"user-{(number * 131 + i) % 10000}")


class Clients:
    """Connections that are kept; each asks one request after the other, all at once."""

    def __init__(self, port, connections):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, connections + 1000)), hard))
        self.runner = asyncio.Runner()
        self.streams = self.runner.run(self._connect(port, connections))

    async def _connect(self, port, connections):
        made = []
        while len(made) < connections:      # a hundred at a time: no backlog overflows
            part = range(min(100, connections - len(made)))
            made += await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in part))
        return made

    def ask(self, each, statuses, make=user_in_turn, at_once=None):
        """`each` requests per connection; make(connection, i) gives their bytes, `statuses` are the allowed answers.
        `at_once`: so many connections at a time; None = all."""
        async def one(number):
            reader, writer = self.streams[number]
            for i in range(each):
                writer.write(make(number, i))
                head = await reader.readuntil(b"\r\n\r\n")
                assert int(head[9:12]) in statuses, head
                await reader.readexactly(int(re.search(rb"(?i)content-length: (\d+)", head)[1]))

        async def all_of_them():
            size = at_once or len(self.streams)
            for first in range(0, len(self.streams), size):
                await asyncio.gather(*(one(n) for n in range(first, min(first + size, len(self.streams)))))
        self.runner.run(all_of_them())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        async def close():
            for _, writer in self.streams:
                writer.close()
        self.runner.run(close())
        self.runner.close()
