#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weir beside nginx, HAProxy and nginx+Lua+Redis: what a request costs each of them, and what clients wait.

    tests/bench/compare.py --build build/release --out build/compare.json           # some 8 minutes
    tests/bench/compare.py --build build/release --out build/compare.json --quick   # some 2 minutes
    tests/bench/compare.py --build build/release --out build/compare.json --only "plain;full" --other BUILD-BEFORE

The proxy has core 1; load, upstream and Redis share core 0. Cost is CPU time of the proxy per request, by the scheduler's
own account, in a closed loop that keeps it busy. The peers of a case run one after the other in an order that is drawn
anew for each repetition, so that a noisy moment hits none of them every time. Compare within one run only."""

import argparse
import datetime
import json
import os
import pathlib
import platform
import random
import re
import subprocess
import sys
import tempfile

from idle import measure_idle
from peers import Peer, Stage, cpu_us, missing_packages

LOAD_CORE, PROXY_CORE = 0, 1
ALL = ("weir", "nginx", "haproxy")
SHARED = ("weir", "nginx")      # limits in Redis

# name: what each peer does, which peers, connections, and what differs
CASES = {
    "plain": {"does": "plain", "peers": ALL},
    "plain, 1 connection": {"does": "plain", "peers": ALL, "connections": 1},
    "plain, 1000 connections": {"does": "plain", "peers": ALL, "connections": 1000},
    "plain, two workers": {"does": "plain", "peers": ALL, "workers": 2},
    "plain, by h2load": {"does": "plain", "peers": ALL, "tool": "h2load"},
    "TLS, by h2load": {"does": "plain", "peers": ALL, "tool": "h2load", "tls": True},
    "responses of 100 KiB": {"does": "plain", "peers": ALL, "response": 102400},
    "POST of 10 KiB": {"does": "plain", "peers": ALL, "body": 10240},
    "one local limit": {"does": "limit", "peers": ALL},
    "full": {"does": "full", "peers": ALL, "redis": SHARED},
    "four limits in Redis": {"does": "four", "peers": SHARED, "redis": SHARED},
    "denied locally": {"does": "deny", "peers": ALL, "users": 16},
    "denied by Redis": {"does": "deny in redis", "peers": SHARED, "redis": SHARED, "users": 120000, "once": True},
}
QUICK_CASES = ("plain", "full", "denied locally", "plain, by h2load")
LATENCY_PEERS = (("weir", "plain"), ("nginx", "plain"), ("haproxy", "plain"), ("weir", "full"), ("nginx", "full"))
RATES, QUICK_RATES = (2000, 5000, 10000, 15000, 20000), (2000, 8000)
H2LOAD_REQUESTS = 20000


class Bench:
    def __init__(self, build, directory, repetitions, seconds, other):
        self.load = f"{build}/bench_load"
        self.stage = Stage(f"{build}/weir", directory, LOAD_CORE, other and f"{os.path.abspath(other)}/weir")
        self.repetitions, self.seconds = repetitions, seconds

    # ---- Load --------------------------------------------------------------------------------------------------------
    def by_our_tool(self, peer, case, redis_pid, rate=0):
        """The proxy's CPU time is read when the warm-up is over and at the end."""
        command = ["taskset", "-c", str(LOAD_CORE), self.load, "--port", str(peer.port),
                   "--upstream", str(self.stage.upstream_port), "--connections", str(case.get("connections", 64)),
                   "--users", str(case.get("users", 10000)), "--body", str(case.get("body", 0)),
                   "--response", str(case.get("response", 1024)), "--rate", str(rate), "--seconds", str(self.seconds)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            marks = []
            for line in process.stdout:
                marks.append((peer.cpu_us(), cpu_us(redis_pid)))
                result = {} if line == "begin\n" else json.loads(line)
        if process.returncode != 0:
            raise RuntimeError(f"bench_load ended with {process.returncode}")
        self._add_cost(result, *marks)
        return result

    def by_h2load(self, peer, case, redis_pid):
        """A fixed number of requests after a first run; that of connecting is in it: 64 connects for 20,000 requests."""
        address = f"{'https' if case.get('tls') else 'http'}://127.0.0.1:{peer.port}/bench/get"
        command = ["taskset", "-c", str(LOAD_CORE), "h2load", "--h1", "-t", "1", "-c", str(case.get("connections", 64))]
        upstream = subprocess.Popen(["taskset", "-c", str(LOAD_CORE), self.load, "--upstream", str(self.stage.upstream_port)])
        try:
            subprocess.run([*command, "-n", "2000", address], check=True, capture_output=True, timeout=60)
            before = (peer.cpu_us(), cpu_us(redis_pid))
            text = subprocess.run([*command, "-n", str(H2LOAD_REQUESTS), address], check=True, capture_output=True, text=True,
                                  timeout=120).stdout
            after = (peer.cpu_us(), cpu_us(redis_pid))
        finally:
            upstream.kill()
            upstream.wait()
        done = re.search(r"finished in ([\d.]+)(m?s), ([\d.]+) req/s", text)
        ok = int(re.search(r"status codes: (\d+) 2xx", text)[1])
        result = {"requests": H2LOAD_REQUESTS, "ok": ok, "limited": 0, "other": H2LOAD_REQUESTS - ok, "lost": 0,
                  "seconds": H2LOAD_REQUESTS / float(done[3])}
        self._add_cost(result, before, after)
        return result

    @staticmethod
    def _add_cost(result, before, after):
        requests = max(1, result["requests"])
        result["cpu_us"] = (after[0] - before[0]) / requests
        result["redis_us"] = (after[1] - before[1]) / requests

    # ---- Measurements ------------------------------------------------------------------------------------------------
    def one(self, name, case, kind, rate=0):
        workers = case.get("workers", 1)
        cores = (PROXY_CORE,) if workers == 1 else (LOAD_CORE, PROXY_CORE)
        redis_pid = self.stage.redis.process.pid
        with Peer(self.stage, kind, case["does"], workers, case.get("tls", False), cores) as peer:
            measure = self.by_h2load if case.get("tool") == "h2load" else self.by_our_tool
            result = measure(peer, case, redis_pid, **({"rate": rate} if rate else {}))
            result["rss"] = peer.resident_bytes()[0]
        denied = case["does"].startswith("deny")
        wanted = result["limited"] if denied else result["ok"]
        if wanted < 0.99 * result["requests"] or result["lost"] > 0:
            raise RuntimeError(f"{name}, {kind}: not what was to be measured: {result}")
        return {"case": name, "peer": kind, "rate": rate, **result}

    def take_every_user(self, kind, case):
        """Every user's one request of the day, so that whoever starts next hears from Redis that it is gone."""
        with Peer(self.stage, kind, case["does"]) as peer:
            subprocess.run(["taskset", "-c", str(LOAD_CORE), self.load, "--port", str(peer.port), "--upstream",
                            str(self.stage.upstream_port), "--users", str(case["users"]), "--warm-up", "0", "--seconds",
                            "8", "--connections", "64"], check=True, capture_output=True)

    def cases(self, names):
        for name in names:
            if CASES[name].get("once"):
                for kind in CASES[name]["peers"]:
                    self.take_every_user(kind, CASES[name])
        for repetition in range(self.repetitions):
            for name in names:
                order = [*CASES[name]["peers"], *(["other"] if self.stage.other else [])]
                random.Random(f"{repetition} {name}").shuffle(order)
                for kind in order:
                    result = self.one(name, CASES[name], kind)
                    print(f"{repetition + 1} {name:24} {kind:8} {result['cpu_us']:7.1f} us/request "
                          f"{result['requests'] / result['seconds']:8.0f} requests/s", flush=True)
                    yield result

    def latencies(self, rates):
        for repetition in range(min(3, self.repetitions)):
            for rate in rates:
                order = list(LATENCY_PEERS)
                random.Random(f"{repetition} {rate}").shuffle(order)
                for kind, does in order:
                    result = self.one(f"{does} at a fixed rate", {"does": does}, kind, rate)
                    print(f"{repetition + 1} {does:5} at {rate:6}/s {kind:8} p50 {result['p50']:8.0f} us "
                          f"p99 {result['p99']:8.0f} us", flush=True)
                    yield result


def output_of(*command):
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    return (made.stdout + made.stderr).strip().splitlines()[0]


def about(build):
    """The machine and the versions, for whoever reads the figures later."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(encoding="ascii"))
    system = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text(encoding="utf-8"))
    return {"date": datetime.date.today().isoformat(), "cpu": cpu[1] if cpu else platform.machine(),
            "cores": os.cpu_count(), "memory_gib": round(int(memory[1]) / 2**20), "kernel": platform.release().split("-")[0],
            "system": system[1], "load_before": os.getloadavg()[0],
            "versions": {"weir": output_of(f"{build}/weir", "--version"), "nginx": output_of("nginx", "-v"),
                         "HAProxy": output_of("haproxy", "-v"), "Redis": output_of("redis-server", "--version"),
                         "h2load": output_of("h2load", "--version")}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="folder of a release build, with weir and bench_load")
    parser.add_argument("--out", required=True, help="file of the results, for report.py")
    parser.add_argument("--quick", action="store_true", help="fewer cases, rates and repetitions")
    parser.add_argument("--other", help="folder of another build of weir, to be measured beside this one")
    parser.add_argument("--repetitions", type=int, help="5; with --quick 3")
    parser.add_argument("--only", help="cases, separated by `;`, and no latencies")
    args = parser.parse_args()
    if lacking := missing_packages():
        sys.exit("compare.py needs more Debian packages: apt-get install " + " ".join(lacking))
    if os.cpu_count() < 2:
        sys.exit("compare.py needs two cores: one for the proxy, one for the rest")
    build = os.path.abspath(args.build)
    names = args.only.split(";") if args.only else QUICK_CASES if args.quick else list(CASES)
    os.sched_setaffinity(0, {LOAD_CORE})
    results = {"about": about(build), "quick": args.quick}
    with tempfile.TemporaryDirectory(prefix="weir-compare.") as directory:
        bench = Bench(build, directory, args.repetitions or (3 if args.quick else 5), 0.8, args.other)
        try:
            results["cases"] = list(bench.cases(names))
            if not args.only:
                results["latencies"] = list(bench.latencies(QUICK_RATES if args.quick else RATES))
                results["idle"] = [measure_idle(bench.stage, bench.load, kind) for kind in ALL]
        finally:
            bench.stage.close()
    pathlib.Path(args.out).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
