#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a request costs in user instructions and in system calls, against tests/bench/baseline.json.

    tests/bench/gate.py --weir build/release/weir             # compares; more than 5 % above the baseline fails
    tests/bench/gate.py --weir build/release/weir --update    # writes what was measured as the new baseline

Instructions: the difference of two runs of different length under callgrind, so that starting and ending cancel out.
System calls: strace of one connection that asks one request after the other, where no Redis answers in its own time.
Both count work, not time: a busy machine changes neither. Valgrind offers OpenSSL no SHA instructions, so hashing costs more here than on the machine itself."""

import argparse
import asyncio
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

from support.ports import free_port  # noqa: E402
from support.redis import RedisServer  # noqa: E402
from support.weir import Helper, Weir, listening, wait_until  # noqa: E402

BASELINE = HERE / "baseline.json"
SLACK = 1.05
SHORT, LONG = 1280, 5120        # requests of the two runs under callgrind
CONNECTIONS = 64
TRACED = 400                    # requests under strace

PER_USER = {"name": "per-user", "key": ["user"], "missing": "skip", "limit": "1000000/second"}
DENYING = {"name": "per-user", "key": ["user"], "missing": "skip", "limit": "1/day"}
FOUR = [{**PER_USER, "name": f"per-user-{i}", "limit": f"{i}00000/second"} for i in range(1, 5)]
TRACED_CASES = ("plain", "memory")
LOGGED = {"to": "access.log", "buffer": "8MiB"}

# name: (rules, whether Redis decides, what an answer says)
CASES = {
    "plain": ([], False, 200),
    "memory": ([PER_USER], False, 200),
    "redis": ([PER_USER], True, 200),
    "redis, four rules": (FOUR, True, 200),
    "denied locally": ([DENYING], True, 429),
}


class Bench:
    """One weir with its upstream and store, perhaps under a tool."""

    def __init__(self, binary, directory, case, through=()):
        rules, in_redis, self.status = CASES[case]
        directory = pathlib.Path(tempfile.mkdtemp(dir=directory))
        self.redis = RedisServer(str(directory)).start() if in_redis else None
        listen = f"127.0.0.1:{free_port()}"
        self.upstream = Helper([binary, "echo", "--listen", listen, "--size", "1KiB"])
        wait_until("the upstream listens", lambda: listening(listen))
        policy = {"workers": 1, "limits": {"requests_per_connection": 1000000}, "access_log": {"to": "none"},
                  "upstreams": {"up": {"url": f"http://{listen}", "pool": {"size": 512}}}}
        if rules:
            policy |= {"identity": {"user": [{"header": "X-User-Id"}]}, "rules": rules, "access_log": LOGGED}
        if in_redis:
            policy["store"] = {"url": self.redis.url, "pool": {"command_timeout": "5s"}}
        self.weir = Weir(binary, str(directory / "weir"), policy, through=through)
        self.weir.start(120)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        complaints = self.weir.stop()
        self.upstream.stop()
        if self.redis:
            self.redis.stop()
        assert not complaints, complaints

    def ask(self, total, connections):
        users = 1 if self.status == 429 else 10000

        async def one(number):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.weir.port)
            for i in range(total // connections):
                user = (number * 131 + i) % users
                writer.write(b"GET /bench/%d HTTP/1.1\r\nHost: bench.local\r\nUser-Agent: gate\r\nAccept: */*\r\n"
                             b"X-User-Id: user-%d\r\n\r\n" % (i % 7, user))
                head = await reader.readuntil(b"\r\n\r\n")
                status = int(head[9:12])
                assert status in (self.status, 200), head
                await reader.readexactly(int(re.search(rb"(?i)content-length: (\d+)", head)[1]))
            writer.close()

        async def all_of_them():
            await asyncio.gather(*(one(n) for n in range(connections)))
        asyncio.run(all_of_them())


def instructions(binary, directory, case):
    def run(total):
        callgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        with Bench(binary, directory, case, callgrind) as bench:
            bench.ask(CONNECTIONS * 4, CONNECTIONS)     # connections to the upstream, caches and pools are there
            bench.ask(total, CONNECTIONS)
        return int(re.search(r"Collected : (\d+)", bench.weir.stderr())[1])
    return round((run(LONG) - run(SHORT)) / (LONG - SHORT))


def system_calls(binary, directory, case):
    def run(total):
        out = pathlib.Path(tempfile.mkdtemp(dir=directory)) / "strace.out"
        with Bench(binary, directory, case, ["strace", "-D", "-f", "-c", "-o", str(out)]) as bench:  # -D: weir is our child
            bench.ask(20, 1)
            bench.ask(total, 1)
        wait_until("strace has counted", lambda: out.exists() and "total" in out.read_text(encoding="ascii"))
        return int(re.search(r"(\d+)\s+\d*\s*total", out.read_text(encoding="ascii"))[1])
    return round((run(TRACED * 3) - run(TRACED)) / (TRACED * 2), 2)


def judge(measured, baseline):
    failed = 0
    for kind, cases in measured.items():
        for case, value in cases.items():
            allowed = baseline.get(kind, {}).get(case)
            bad = allowed is None or value > allowed * SLACK
            failed += bad
            print(f"{'FAILED' if bad else 'ok    '} {kind:13} {case:18} {value:>9} per request, baseline {allowed}")
    total = sum(len(cases) for cases in measured.values())
    print(f"{total - failed} passed, {failed} failed")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", required=True, help="a release build")
    parser.add_argument("--only", help="cases, separated by `;`")
    parser.add_argument("--update", action="store_true", help="write the baseline instead of comparing")
    args = parser.parse_args()
    for tool in ("valgrind", "strace", "redis-server"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is not installed")
    names = args.only.split(";") if args.only else list(CASES)
    binary = os.path.abspath(args.weir)
    with tempfile.TemporaryDirectory(prefix="weir-gate.") as directory:
        measured = {"instructions": {c: instructions(binary, directory, c) for c in names},
                    "system calls": {c: system_calls(binary, directory, c) for c in TRACED_CASES if c in names}}
    if args.update:
        BASELINE.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
        print(json.dumps(measured, indent=1))
        return 0
    return 1 if judge(measured, json.loads(BASELINE.read_text(encoding="utf-8"))) else 0


if __name__ == "__main__":
    sys.exit(main())
