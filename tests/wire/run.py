#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plays every case against weir, and against other proxies for comparison when asked. See README.md."""

import argparse
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

from bench import BYTEWISE, WHOLE, Bench, Recorder  # noqa: E402
from case import Dialogue  # noqa: E402
from cases import all_cases  # noqa: E402
from naive import Naive  # noqa: E402
from peers import PEERS  # noqa: E402
from relay import relay  # noqa: E402
from support.weir import Weir  # noqa: E402
from support import client  # noqa: E402

RULES = [{"name": "no-entry", "match": {"path": "/denied"}, "key": ["client_ip"], "limit": "1/day"},
         {"name": "per-key", "match": {"path": "/keyed"}, "key": ["user"], "missing": "skip", "limit": "1/day"}]


def policy(upstream, hasty):
    plain = {
        "workers": 1,
        "upstreams": {"app": {"url": upstream.url, "retry": {"attempts": 0}, "pool": {"idle_timeout": "60s"}}},
        "routes": [{"name": "small", "match": {"path": "/small"}, "upstream": "app", "body_size": "1000B"},
                   {"name": "hosted", "match": {"path": "/**", "host": ["keyed.example"]}, "upstream": "app",
                    "body_size": "10B"},
                   {"name": "all", "match": {"path": "/**"}, "upstream": "app"}],
        "identity": {"user": [{"header": "X-API-Key"}]}, "rules": RULES,
        "deny": {"headers_on": "denied"}, "limits": {"body_size": "1MiB", "requests_per_connection": 1000000}}
    if hasty:
        plain["limits"] |= {"header_timeout": "800ms", "keepalive_timeout": "800ms", "body_idle_timeout": "800ms"}
        plain["upstreams"]["app"]["timeout"] = {"first_byte": "800ms", "body_idle": "800ms", "total": "10s"}
    return plain


def name_of(case):
    return f"{case.rule} {case.sentence}".encode("unicode_escape").decode("ascii")


def play_all(cases, benches, deliveries, quiet=False):
    """(passed, failed) numbers; prints each failure. A conversation cuts its bytes itself."""
    passed = failed = 0
    for case in cases:
        problems = []
        for delivery in [WHOLE] if isinstance(case, Dialogue) else deliveries:
            try:
                benches[case.where].play(case, delivery)
            except Exception as e:  # noqa: BLE001 - whatever a case throws is its failure
                problems.append(f"{delivery}: {type(e).__name__}: {str(e)[:1500]}")
        passed, failed = (passed + 1, failed) if not problems else (passed, failed + 1)
        if problems and not quiet:
            print(f"FAILED  {name_of(case)}\n" + "\n".join(f"        {p}" for p in problems), flush=True)
    return passed, failed


def run_weir(args, cases, directory):
    recorder = Recorder()
    weirs = {where: Weir(os.path.abspath(args.weir), os.path.join(directory, where), policy(recorder, where == "hasty"))
             for where in ("plain", "hasty")}
    complaints = []
    try:
        benches = {}
        for where, weir in weirs.items():
            weir.start()
            client.get(weir.port, "/denied")    # uses up what /denied grants
            benches[where] = Bench(weir.port, recorder, hasty=where == "hasty")
        passed, failed = play_all(
            cases, benches, [WHOLE, BYTEWISE, *range(args.seed, args.seed + (5 if args.thorough else 1))])
        if not args.only or "relay" in args.only:
            more = relay(benches["plain"], args.seed, 10_000 if args.thorough else 300)
            passed, failed = passed + more[0], failed + more[1]
        if not args.only:
            more = naive_is_found(cases)
            passed, failed = passed + more[0], failed + more[1]
        played, sung, poisoned = (sum(getattr(b, what) for b in benches.values())
                                  for what in ("deliveries", "canaries", "poisoned"))
        print(f"{played} deliveries, {sung} canaries, {poisoned} poisoned")
    finally:
        for weir in weirs.values():
            complaints += weir.stop()
        recorder.stop()
    if complaints:
        print("\n".join(complaints))
    return passed, failed + len(complaints)


def naive_is_found(cases):
    """The suite's own test: connections that a naive proxy poisons are found."""
    recorder = Recorder()
    naive = Naive(None, recorder.port)
    naive.start()
    bench = Bench(naive.port, recorder, strict=False)
    play_all([c for c in cases if c.rule == "2.8" and not isinstance(c, Dialogue)], {"plain": bench}, [WHOLE],
             quiet=True)
    naive.stop()
    recorder.stop()
    if bench.poisoned == 0:
        print("FAILED  the canaries do not notice what a naive proxy does")
    return (1, 0) if bench.poisoned else (0, 1)


def run_peer(name, cases, directory, quiet):
    """One line of score; whole deliveries only, and only what is not about weir's own policy."""
    recorder = Recorder()
    peer = PEERS[name](directory, recorder.port)
    try:
        peer.start()
        bench = Bench(peer.port, recorder, strict=False)
        score = {}
        for side in ("requests", "responses"):
            asked = [c for c in cases if c.peers and c.side == side]
            score[side] = play_all(asked, {"plain": bench}, [WHOLE], quiet)[0], len(asked)
        (a, b), (c, d) = score["requests"], score["responses"]
        print(f"{peer.name}: {a + c} of {b + d} strict (requests {a} of {b}, responses {c} of {d}), "
              f"{bench.poisoned} poisoned", flush=True)
    finally:
        peer.stop()
        recorder.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weir", help="the program under test")
    parser.add_argument("--peer", default="", help=f"comma separated, for comparison: {', '.join(PEERS)}")
    parser.add_argument("--only", default="",
                        help="comma separated: rules, or parts of sentences; `relay` for the bodies")
    parser.add_argument("--list", action="store_true", help="print the cases and stop")
    parser.add_argument("--seed", type=int, default=1, help="of the random cuts")
    parser.add_argument("--thorough", action="store_true", help="five random cuts of every case, 10,000 bodies")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))   # so that the processes are ended too

    words = [w for w in args.only.split(",") if w]
    cases = [c for c in all_cases() if not words or any(w == c.rule or w in name_of(c) for w in words)]
    if args.list:
        print("\n".join(name_of(c) for c in cases))
        return 0
    directory = tempfile.mkdtemp(prefix="weir-wire-")
    failed = 0
    try:
        peers = [threading.Thread(target=run_peer, args=(name, cases, os.path.join(directory, name), not words))
                 for name in filter(None, args.peer.split(","))]
        for peer in peers:
            peer.start()
        for peer in peers:
            peer.join()
        if args.weir:
            begin = time.monotonic()
            passed, failed = run_weir(args, cases, directory)
            counts = {side: sum(c.side == side for c in cases) for side in ("requests", "responses")}
            print(f"{counts['requests']} request cases, {counts['responses']} response cases, "
                  f"{time.monotonic() - begin:.0f} s")
            print(f"{passed} passed, {failed} failed")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
