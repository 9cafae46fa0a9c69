#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Chaos by seed: each seed draws three faults of different kinds that overlap, plays them around a weir under load, and
checks what must hold under every fault. A failing seed prints the command that plays it again."""

import argparse
import concurrent.futures
import multiprocessing
import os
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import scenario  # noqa: E402
from support import ports  # noqa: E402
from support.context import Build, Context  # noqa: E402


def play(seed, weir, seconds):
    """(complaint or "", note) of one seed."""
    directory = tempfile.mkdtemp(prefix="weir-chaos-")
    t = Context(Build(weir), None, directory, 1, 1, False)
    complaint, plan = "", scenario.draw(seed, seconds)
    try:
        note = scenario.run(t, plan)
    except BaseException:  # noqa: BLE001 - whatever a seed throws is its failure
        complaint, note = traceback.format_exc(), ""
    left = t.finish()
    if complaint or left:
        complaint = "\n".join([complaint, *left, t.diagnosis()]).strip()
    shutil.rmtree(directory, ignore_errors=True)
    return complaint, f"{plan}: {note}"


def take_ports(number, jobs):
    """Each process at work has ports of its own."""
    with number.get_lock():
        ports.take_part(number.value, jobs)
        number.value += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weir", required=True, help="the program under test")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--seeds", type=int, default=50, help="how many, from 1 (nightly: 200)")
    parser.add_argument("--seconds", type=float, default=1.2, help="of load per seed (nightly: 60)")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1), help="seeds at the same time")
    args = parser.parse_args()
    weir, jobs = os.path.abspath(args.weir), max(1, args.jobs)
    seeds = [args.seed] if args.seed is not None else range(1, args.seeds + 1)
    begin, failed = time.monotonic(), 0
    number = multiprocessing.Value("i", 0)
    with concurrent.futures.ProcessPoolExecutor(jobs, initializer=take_ports, initargs=(number, jobs)) as pool:
        runs = [(seed, pool.submit(play, seed, weir, args.seconds)) for seed in seeds]
        for seed, run in runs:
            complaint, note = run.result()
            failed += bool(complaint)
            print(f"{'FAILED' if complaint else 'ok':7} {note}", flush=True)
            if complaint:
                print("\n".join("        " + line for line in complaint.splitlines()))
                print(f"        again: tests/chaos/run.py --weir {args.weir} --seconds {args.seconds} --seed {seed}",
                      flush=True)
    print(f"{len(runs)} seeds in {time.monotonic() - begin:.0f} s")
    print(f"{len(runs) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
