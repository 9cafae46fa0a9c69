#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a request costs as there are more connections, keys, routes and rules: it should cost the same.

    tests/bench/growth.py --build build/release --out build/growth.json

Instructions are the difference of two runs under callgrind, as in gate.py. A million keys would take too long there:
beyond 10,000 it is CPU time under the same load, of weirs that run side by side and are measured in turn."""

import argparse
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

from idle import upstream
from peers import Peer, Stage
from subject import PER_USER, Clients, Subject, policy, request

FLAT = 0.05
AT_ONCE = 64
CONNECTIONS = (1, 64, 1000, 10000)
KEYS_COUNTED = (1, 100, 10000)
KEYS = (1, 1000, 100000, 1000000)
ROUTES = (1, 10, 100)
RULES = (2, 10, 50)
SLICES, SLICE_SECONDS = 9, 0.4      # of CPU time per number of keys


# ---- Instructions ----------------------------------------------------------------------------------------------------
def instructions(build, directory, made, connections, make, at_once=AT_ONCE, warm_up=256):
    """User instructions of a request, by the difference of two runs that ask more or less on the same connections."""
    fewer = max(1, 1280 // connections)
    more = fewer + max(1, 2560 // connections)

    def run(each):
        callgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        with Subject(f"{build}/weir", directory, made, through=callgrind) as subject:
            with Clients(subject.weir.port, connections) as clients:
                clients.ask(max(1, warm_up // connections), {200}, make, at_once)
                clients.ask(each, {200}, make, at_once)
        return int(re.search(r"Collected : (\d+)", subject.weir.stderr())[1])
    return (run(more) - run(fewer)) / ((more - fewer) * connections)


def some_user(number, i):
    return request(f"/bench/{i % 7}", f"user-{number % AT_ONCE}")


def by_connections(build, directory):
    return [(n, instructions(build, directory, policy(), n, some_user, 1)) for n in CONNECTIONS]


def by_routes(build, directory):
    """The request's route is the last but one; before it come templates, hosts and methods that it does not fit."""
    def routes(count):
        others = [{"name": f"area-{i}", "upstream": "up",
                   "match": [{"path": f"/area-{i}/{{id}}"}, {"path": "/bench/**", "host": f"h{i}.example"},
                             {"path": f"/area-{i}/**", "methods": ["PUT", "DELETE"]}][i % 3]} for i in range(count - 1)]
        return [*others, {"name": "bench", "match": {"path": "/bench/{id}"}, "upstream": "up"}]
    return [(n, instructions(build, directory, policy([PER_USER], routes=routes(n)), AT_ONCE, some_user)) for n in ROUTES]


def by_rules(build, directory):
    """Two match every request; the others are about other paths, methods, hosts, fields and users."""
    matches = [{"path": "/other-{}/**"}, {"path": "/bench/*/{}"}, {"methods": ["DELETE"], "path": "/bench/**"},
               {"host": "h{}.example"}, {"header": {"X-Plan": "plan-{}"}}, {"user": "somebody-{}"}]

    def rules(count):
        others = [{**PER_USER, "name": f"other-{i}", "match": json.loads(json.dumps(matches[i % 6]).replace("{}", str(i)))}
                  for i in range(count - 2)]
        two = [{**PER_USER, "name": "first"}, {**PER_USER, "name": "second", "key": ["user", "route"]}]
        return [two[0], *others, two[1]]
    return [(n, instructions(build, directory, policy(rules(n)), AT_ONCE, some_user)) for n in RULES]


def by_keys_counted(build, directory):
    """The warm-up asks for every key of the memory store once or more."""
    def points(keys):
        def make(number, i):
            return request("/bench/1", f"user-{(i * AT_ONCE + number) % keys}")
        return instructions(build, directory, policy([PER_USER]), AT_ONCE, make, warm_up=2 * keys + 256)
    return [(n, points(n)) for n in KEYS_COUNTED]


# ---- CPU time --------------------------------------------------------------------------------------------------------
def load(build, stage, peer, *options):
    with subprocess.Popen(["taskset", "-c", "0", f"{build}/bench_load", "--port", str(peer.port), "--connections", "64",
                           *options], stdout=subprocess.PIPE, text=True) as process:
        before = 0
        for line in process.stdout:
            before, last = peer.cpu_us(), before
            result = {} if line == "begin\n" else json.loads(line)
    return (before - last) / result["requests"], result["requests"]


def by_keys(build, directory):
    """One weir per number of keys in its memory store, all filled before the first is measured."""
    os.sched_setaffinity(0, {0})
    stage = Stage(f"{build}/weir", directory, 0)
    peers = {}
    try:
        with upstream(f"{build}/bench_load", stage.upstream_port):
            for keys in KEYS:
                peers[keys] = Peer(stage, "weir", "limit")
                asked = 0
                while asked < keys:
                    asked += load(build, stage, peers[keys], "--users", str(keys), "--first", str(asked), "--warm-up", "0",
                                  "--seconds", str(min(60, 1 + (keys - asked) / 50000)))[1]
            costs = {keys: [] for keys in KEYS}
            for number in range(SLICES):
                order = list(KEYS)
                random.Random(number).shuffle(order)
                for keys in order:
                    first = random.Random(f"{number} {keys}").randrange(keys)
                    costs[keys].append(load(build, stage, peers[keys], "--users", str(keys), "--first", str(first),
                                            "--warm-up", "0.2", "--seconds", str(SLICE_SECONDS))[0])
    finally:
        for peer in peers.values():
            peer.stop()
        stage.close()
        os.sched_setaffinity(0, range(os.cpu_count()))
    return [(keys, statistics.median(costs[keys])) for keys in KEYS]


CURVES = {"connections": (by_connections, "instructions"), "routes": (by_routes, "instructions"),
          "rules, of which 2 match": (by_rules, "instructions"), "keys": (by_keys_counted, "instructions"),
          "keys, by time": (by_keys, "CPU us")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="folder of a release build, with weir and bench_load")
    parser.add_argument("--out", help="file of the results, for report.py")
    parser.add_argument("--only", help="curves, separated by `;`")
    args = parser.parse_args()
    for tool in ("valgrind", "redis-server"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is not installed")
    build, results = os.path.abspath(args.build), {}
    with tempfile.TemporaryDirectory(prefix="weir-growth.") as directory:
        for name in args.only.split(";") if args.only else CURVES:
            curve, unit = CURVES[name]
            points = curve(build, directory)
            results[name] = {"unit": unit, "points": points}
            for count, cost in points:
                change = cost / points[0][1] - 1
                print(f"{'flat ' if abs(change) <= FLAT else 'SLOPE'} {count:>8} {name:24} {cost:10.1f} {unit} per request "
                      f"{change:+.1%}", flush=True)
    if args.out:
        pathlib.Path(args.out).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
