#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a request costs in user instructions and in system calls, against tests/bench/baseline.json; memory at rest and
of idle connections, against its bounds.

    tests/bench/gate.py --weir build/release/weir             # compares; more than 5 % above the baseline fails
    tests/bench/gate.py --weir build/release/weir --update    # writes what was measured as the new baseline

Instructions: the difference of two runs of different length under callgrind, so that starting and ending cancel out.
System calls: strace of one connection that asks one request after the other, where no Redis answers in its own time.
Both count work, not time: a busy machine changes neither. Valgrind offers OpenSSL no SHA instructions, so hashing costs more here than on the machine itself."""

import argparse
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile

from idle import resident_with
from peers import resident_bytes
from subject import DENYING, FOUR, HERE, PER_USER, Clients, Subject, policy, request, wait_until

BASELINE = HERE / "baseline.json"
SLACK = 1.05
SHORT, LONG = 1280, 5120        # requests of the two runs under callgrind
CONNECTIONS = 64
TRACED = 400                    # requests under strace

TRACED_CASES = ("plain", "memory")
MEMORY = {"MiB at rest": 8, "bytes per idle connection": 1229}      # at most

# name: (rules, whether Redis decides, what an answer says, the log if not the usual one)
NO_LOG = {"to": "none"}                 # as the peers of a local denial
CASES = {
    "plain": ([], False, 200, None),
    "memory": ([PER_USER], False, 200, None),
    "redis": ([PER_USER], True, 200, None),
    "redis, four rules": (FOUR, True, 200, None),
    "denied locally": ([DENYING], True, 429, None),
    "denied locally, no log": ([DENYING], True, 429, NO_LOG),
}


def subject(binary, directory, case, through):
    rules, in_redis, _, log = CASES[case]
    return Subject(binary, directory, policy(rules, log), in_redis, through)


def ask(measured, case, total, connections):
    status = CASES[case][2]
    with Clients(measured.weir.port, connections) as clients:
        if status == 429:
            clients.ask(total // connections, {200, status}, lambda _, i: request(f"/bench/{i % 7}", "user-0"))
        else:
            clients.ask(total // connections, {status})


def instructions(binary, directory, case):
    def run(total):
        callgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        with subject(binary, directory, case, callgrind) as measured:
            ask(measured, case, CONNECTIONS * 4, CONNECTIONS)   # connections to the upstream, caches and pools are there
            ask(measured, case, total, CONNECTIONS)
        return int(re.search(r"Collected : (\d+)", measured.weir.stderr())[1])
    return round((run(LONG) - run(SHORT)) / (LONG - SHORT))


def system_calls(binary, directory, case):
    def run(total):
        out = pathlib.Path(tempfile.mkdtemp(dir=directory)) / "strace.out"
        strace = ["strace", "-D", "-f", "-c", "-o", str(out)]   # -D: weir is our child
        with subject(binary, directory, case, strace) as measured:
            ask(measured, case, 20, 1)
            ask(measured, case, total, 1)
        wait_until("strace has counted", lambda: out.exists() and "total" in out.read_text(encoding="ascii"))
        return int(re.search(r"(\d+)\s+\d*\s*total", out.read_text(encoding="ascii"))[1])
    return round((run(TRACED * 3) - run(TRACED)) / (TRACED * 2), 2)


def memory(binary, directory):
    with subject(binary, directory, "plain", ()) as measured:
        found = resident_with(measured.weir.port, lambda: resident_bytes(measured.weir.process.pid))
    return {"MiB at rest": round(found["rss"] / 2**20, 1), "bytes per idle connection": round(found["per_connection"])}


def judge_memory(found):
    for what, value in found.items():
        print(f"{'FAILED' if value > MEMORY[what] else 'ok    '} {what:32} {value:>9}, at most {MEMORY[what]}")
    return sum(value > MEMORY[what] for what, value in found.items())


def judge(measured, baseline):
    failed = 0
    for kind, cases in measured.items():
        for case, value in cases.items():
            allowed = baseline.get(kind, {}).get(case)
            bad = allowed is None or value > allowed * SLACK
            failed += bad
            print(f"{'FAILED' if bad else 'ok    '} {kind:13} {case:22} {value:>9} per request, baseline {allowed}")
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
        at_rest = memory(binary, directory) if "plain" in names else {}
    if args.update:
        BASELINE.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
        print(json.dumps(measured, indent=1))
        return 0
    failed = judge(measured, json.loads(BASELINE.read_text(encoding="utf-8"))) + judge_memory(at_rest)
    total = len(at_rest) + sum(len(cases) for cases in measured.values())
    print(f"{total - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
