#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A steady load for a long time with a fault every other minute: nothing grows, nothing is lost, nothing gets slower.
30 minutes by default; a short run reports the same figures, of which the slopes and the drift then mean little."""

import argparse
import json
import os
import pathlib
import random
import signal
import statistics
import sys
import tempfile
import shutil
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import faults  # noqa: E402
import scenario  # noqa: E402
from support.context import Build, Context  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.weir import Helper, listening, wait_until  # noqa: E402

SAMPLE_S = 5
MIB = 1 << 20
FALSE_ALARMS = 0.01             # of the requests at rest, on a machine that has other things to do
LONG_ENOUGH_MINUTES = 15        # for a slope per hour and a drift


class Soak:
    def __init__(self, t, rate, seed):
        self.t, self.rng = t, random.Random(seed)
        listen = f"127.0.0.1:{free_port()}"
        t.keep(Helper([t.build.path, "echo", "--listen", listen]))
        wait_until("the upstream listens", lambda: listening(listen))
        self.stage = faults.Stage(t, scenario.Plan(0, 0, "local", []), int(listen.rpartition(":")[2]),
                                  os.path.join(t.folder("log"), "requests.log"))
        self.weir = self.stage.weir
        self.load = t.bystanders(self.weir, rate=rate, connections=16, target="/soak")
        self.seen, self.dropped = set(), 0
        self.answered = self.total = 0
        self.samples, self.quiet = [], []     # (seconds, resident, descriptors); (seconds, p99)

    def collect_log(self):
        path = self.stage.log_path
        if os.path.exists(path):
            os.rename(path, path + ".old")
            self.weir.signal(signal.SIGUSR1)
            wait_until("the log is opened anew", lambda: os.path.exists(path))
            time.sleep(0.1)
            self._read(path + ".old")

    def _read(self, path):
        with open(path, encoding="utf-8") as f:
            for line in f:
                record = json.loads(line)
                number = record.get("request_id", "").partition("bystander-")[2]
                if number:
                    assert int(number) not in self.seen, f"two records of bystander-{number}"
                    self.seen.add(int(number))
                self.dropped += record.get("dropped", 0)
        os.unlink(path)

    def finish(self):
        """Ends the load and weir, and reads the rest of the log."""
        self._count(self.load.end())
        assert self.weir.terminate() == 0, self.weir.stderr()[-2000:]
        self._read(self.stage.log_path)

    def mark(self):
        return self._count(self.load.mark())

    def _count(self, figures):
        self.total += figures.total
        self.answered += sum(n for status, n in figures.counts.items() if isinstance(status, int))
        return figures

    def quiet_time(self, begin, seconds):
        """Samples at rest; every request passes."""
        self.mark()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(min(SAMPLE_S, max(0.1, end - time.monotonic())))
            self.samples.append((time.monotonic() - begin, self.weir.resident_bytes(), self.weir.descriptors()))
        figures = self.mark()
        wrong = figures.total - figures.counts.get(200, 0)
        assert wrong <= figures.total * FALSE_ALARMS, f"at rest {figures.counts}"
        self.quiet.append((time.monotonic() - begin, figures.p99))
        self.collect_log()

    def any_fault(self, seconds):
        kind = self.rng.choice(sorted(faults.KINDS))
        self.fault(kind, self.rng.choice(names_of(kind)), seconds)

    def every_fault(self, seconds):
        """The memory that a fault needs at its first time is no leak."""
        for kind in sorted(faults.KINDS):
            for name in names_of(kind):
                self.fault(kind, name, seconds)

    def fault(self, kind, name, seconds):
        with faults.KINDS[kind][name](self.stage):
            time.sleep(seconds)
        self.stage.heal()
        wait_until("Redis decides again", lambda: self.weir.metrics().sum("weir_store_up") == 1, scenario.RECOVERY)
        time.sleep(1.0)
        figures = self.mark()
        print(f"fault {kind}:{name} for {seconds:.0f} s: {figures.counts}, {figures}", flush=True)


def names_of(kind):
    return sorted(set(faults.KINDS[kind]) - {"log_blocked"})     # a file never blocks


def slope(samples):
    """Bytes per hour of a straight line through (seconds, bytes, ...)."""
    if len(samples) < 3:
        return 0.0
    line = statistics.linear_regression([s[0] for s in samples], [s[1] for s in samples])
    return line.slope * 3600


def judge(soak, minutes):
    warm = [s for s in soak.samples if s[0] >= minutes * 60 * 0.2]
    per_hour, growth = slope(warm), warm[-1][1] - warm[0][1]
    fds = [s[2] for s in warm]
    third = max(1, len(soak.quiet) // 3)
    early = statistics.median(p for _, p in soak.quiet[:third])
    late = statistics.median(p for _, p in soak.quiet[-third:])
    print(f"{soak.total} requests, {soak.answered} answered, {len(soak.seen)} records, {soak.dropped} dropped lines")
    print(f"resident memory {warm[-1][1] / MIB:.1f} MiB, {growth / MIB:+.2f} MiB since the warm-up, "
          f"slope {per_hour / MIB:+.2f} MiB/h; descriptors {min(fds)} to {max(fds)}; "
          f"p99 {early * 1e3:.2f} -> {late * 1e3:.2f} ms")
    assert soak.answered <= len(soak.seen) + soak.dropped and len(soak.seen) <= soak.total, "a record is missing"
    assert max(fds) - min(fds) <= 40, f"descriptors {min(fds)} to {max(fds)}"     # 16 clients, their upstreams
    if minutes >= LONG_ENOUGH_MINUTES:
        assert late <= early * 1.10 + 0.002, "p99 drifts"
        assert per_hour <= MIB, "resident memory grows"
    else:
        assert growth <= 4 * MIB, "resident memory grows"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weir", required=True, help="the program under test, without sanitizers")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=int, default=300, help="requests a second")
    parser.add_argument("--every", type=float, default=120, help="seconds from one fault to the next")
    parser.add_argument("--seed", type=int, default=1, help="of the order of faults")
    args = parser.parse_args()
    every = min(args.every, args.minutes * 60 / 6)
    directory = tempfile.mkdtemp(prefix="weir-soak-")
    t = Context(Build(os.path.abspath(args.weir)), None, directory, 1, 1, False)
    failed = 0
    try:
        soak = Soak(t, args.rate, args.seed)
        if args.minutes >= LONG_ENOUGH_MINUTES:
            soak.every_fault(3)
        begin = time.monotonic()
        while time.monotonic() - begin < args.minutes * 60:
            soak.quiet_time(begin, every * 0.8)
            soak.any_fault(every * 0.15)
        soak.quiet_time(begin, every * 0.8)
        soak.finish()
        judge(soak, args.minutes)
    except BaseException as e:  # noqa: BLE001
        failed = 1
        print(f"FAILED {type(e).__name__}: {e}", t.diagnosis(), sep="\n")
        if isinstance(e, KeyboardInterrupt):
            raise
    finally:
        complaints = t.finish()
        shutil.rmtree(directory, ignore_errors=True)
    print("\n".join(complaints))
    failed = failed or int(bool(complaints))
    print(f"{1 - failed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(main())
