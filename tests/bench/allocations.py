#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Heap allocations per request in the steady state: none.

    tests/bench/allocations.py --weir build/release/weir --counter build/release/tests/liballocation_counter.so

Connections are kept, users and paths are those of the warm-up. The counter is preloaded (allocation_counter.cpp) and
counts in every thread but the main one. What a worker does by the clock and not by requests, such as its heartbeat, may
allocate: a case fails from one allocation in 40 requests on, and prints where its allocations came from."""

import argparse
import mmap
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile

from subject import DENYING, FOUR, PER_USER, Clients, Subject, policy, request, wait_until

FRAMES, SITES = 24, 256                         # as in allocation_counter.cpp
HEADER, SITE = struct.Struct("=QQQ"), struct.Struct(f"=QQQ{FRAMES}Q")
CONNECTIONS, WARM_UP, MEASURED = 20, 100, 100   # requests per connection: 2,000 of them are counted
ALLOWED = CONNECTIONS * MEASURED // 40
SITES_SHOWN, FRAMES_SHOWN = 6, 9

# name: (rules, whether Redis decides, what an answer says)
CASES = {
    "plain": ([], False, 200),
    "memory": ([PER_USER], False, 200),
    "denied in memory": ([DENYING], False, 429),
    "denied locally": ([DENYING], True, 429),
    "redis": ([PER_USER], True, 200),
    "redis, four rules": (FOUR, True, 200),
}


class Ledger:
    """The file that the counter writes."""

    def __init__(self, path):
        path.write_bytes(bytes(HEADER.size + SITE.size * SITES))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)

    def record(self, on):
        self.map[0:8] = struct.pack("=Q", on)

    def total(self):
        return HEADER.unpack_from(self.map)[1]

    def sites(self):
        """[(calls, bytes, frames)], the most frequent first."""
        found = []
        for i in range(HEADER.unpack_from(self.map)[2]):
            calls, size, depth, *frames = SITE.unpack_from(self.map, HEADER.size + i * SITE.size)
            found.append((calls, size, frames[:depth]))
        return sorted(found, reverse=True)


def objects_of(pid):
    """[(first address, end, offset in the file, file)] of what is mapped executable."""
    lines = pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="ascii").splitlines()
    found = [re.match(r"(\w+)-(\w+) r-xp (\w+) \S+ \d+\s+(/.*)", line) for line in lines]
    return [(int(m[1], 16), int(m[2], 16), int(m[3], 16), m[4]) for m in found if m]


def names_of(objects, frames):
    """Functions and lines of return addresses, inlined ones included where the build has debug information."""
    told = []
    for frame in frames:
        place = next(((frame - 1 - first + offset, path) for first, end, offset, path in objects if first <= frame < end),
                     None)
        if place is None:
            continue
        address, path = place
        text = subprocess.run(["addr2line", "-Cfipe", path, hex(address)], capture_output=True, text=True,
                              check=False).stdout
        for line in text.splitlines():
            name, _, where = line.removeprefix(" (inlined by) ").partition(" at ")
            told.append(re.sub(r"\(.*", "", name)[:90] + ("" if where.startswith("??") else f"  {where}"))
    return told


def measure(binary, counter, directory, case):
    rules, in_redis, status = CASES[case]
    path = pathlib.Path(tempfile.mkdtemp(dir=directory)) / "allocations"
    ledger = Ledger(path)
    through = ["env", f"LD_PRELOAD={counter}", f"ALLOCATIONS_FILE={path}"]

    def make(number, i):
        return request(f"/bench/{i % 7}", "user" if status == 429 else f"user-{number}")
    with Subject(binary, directory, policy(rules), in_redis, through) as subject:
        with Clients(subject.weir.port, CONNECTIONS) as clients:
            clients.ask(WARM_UP, {200, status}, make)
            ledger.record(1)
            clients.ask(MEASURED, {status}, make)
            ledger.record(0)
        objects = objects_of(subject.weir.process.pid)
        sites = [(calls, size, names_of(objects, frames)) for calls, size, frames in ledger.sites()[:SITES_SHOWN]]
    return ledger.total(), sites


def check_the_counter(counter, directory):
    """A program that allocates must be seen: otherwise every case passes."""
    ledger = Ledger(pathlib.Path(directory) / "of-another")
    ledger.record(1)
    subprocess.run(["env", f"LD_PRELOAD={counter}", f"ALLOCATIONS_FILE={directory}/of-another", sys.executable, "-c",
                    "import threading; t = threading.Thread(target=lambda: bytearray(1 << 20)); t.start(); t.join()"],
                   check=True)
    assert ledger.total() > 0, "the counter counts nothing"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weir", required=True, help="a build without sanitizers")
    parser.add_argument("--counter", required=True, help="liballocation_counter.so of the same build")
    parser.add_argument("--only", help="cases, separated by `;`")
    args = parser.parse_args()
    for tool in ("addr2line", "redis-server"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is not installed")
    binary, counter = os.path.abspath(args.weir), os.path.abspath(args.counter)
    requests, failed = CONNECTIONS * MEASURED, 0
    names = args.only.split(";") if args.only else list(CASES)
    with tempfile.TemporaryDirectory(prefix="weir-allocations.") as directory:
        check_the_counter(counter, directory)
        for case in names:
            total, sites = measure(binary, counter, directory, case)
            bad = total >= ALLOWED
            failed += bad
            print(f"{'FAILED' if bad else 'ok    '} {case:18} {total} allocations in {requests} requests")
            for calls, size, told in sites if bad else ():
                print(f"    {calls} x {size / calls:.0f} bytes")
                for line in told[:FRAMES_SHOWN]:
                    print(f"        {line}")
    print(f"{len(names) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
