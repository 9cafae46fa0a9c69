# SPDX-License-Identifier: Apache-2.0
"""What an algorithm may admit, judged from outside; and which algorithms a weir has."""

import bisect
import json
import os
import shutil
import struct
import subprocess
import sys
import time

ALGORITHMS = ("token_bucket", "fixed_window", "sliding_window_counter", "sliding_window_log")
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
CONFORMANCE = os.path.join(os.path.dirname(__file__), "..", "..", "conformance")


def model():
    """tests/conformance/reference_model.py: decisions from the definitions."""
    if CONFORMANCE not in sys.path:
        sys.path.insert(0, CONFORMANCE)
    import reference_model
    return reference_model


def algorithms(t):
    """Those the program under test knows; the others are noted."""
    known = [a for a in ALGORITHMS if accepts(t, {"rules": [{"name": "r", "key": ["client_ip"], "limit": "5/minute",
                                                             "algorithm": a}]})]
    assert "token_bucket" in known, "`weir check` refuses every algorithm"
    missing = [a for a in ALGORITHMS if a not in known]
    if missing:
        t.note("not built: " + ", ".join(missing))
    return known


def accepts(t, policy):
    """True when `weir check` finds nothing wrong with this policy."""
    path = os.path.join(t.folder("check"), "weir.yaml")
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"version": 1, "upstreams": {"app": {"url": "http://127.0.0.1:1"}}, **policy}, f)
    return subprocess.run([t.build.path, "check", path], capture_output=True, timeout=30, check=False).returncode == 0


def fake_clock(offset):
    """Environment of a process whose clock of the day is wrong by `offset` ("+5s"); its stopwatch is right."""
    return {"LD_PRELOAD": FAKETIME, "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DISABLE_SHM": "1"}


class SteppingClock:
    """The clock of a redis-server, moved while it runs: `env` is for the server, step_to() for the test."""

    def __init__(self, directory):
        compiler = next((c for c in ("cc", "gcc", "clang", "clang-19") if shutil.which(c)), None)
        assert compiler, "no C compiler"
        library, self.path = os.path.join(directory, "clock_shift.so"), os.path.join(directory, "shift")
        source = os.path.join(os.path.dirname(__file__), "clock_shift.c")
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)
        with open(self.path, "wb") as f:
            f.write(struct.pack("=q", 0))
        self.env = {"LD_PRELOAD": library, "WEIR_CLOCK_FILE": self.path}

    def step_to(self, seconds):
        """From now on the server's clock differs from the true one by so much."""
        with open(self.path, "r+b") as f:
            f.write(struct.pack("=q", round(seconds * 1e6)))


def most_in_a_window(stamps, width):
    """The largest number of stamps in any half-open window of this width."""
    stamps = sorted(stamps)
    return max((i + 1 - bisect.bisect_right(stamps, s - width) for i, s in enumerate(stamps)), default=0)


def highest_level(stamps, rate, unit=1.0):
    """The highest level of a queue that each admission raises by 1 and time drains at `rate`: at most B iff
    A(t, t+w] <= B + rate*w for every window."""
    level = highest = 0.0
    last = None
    for s in sorted(stamps):
        if last is not None:
            level = max(0.0, level - (s - last) * rate / unit)
        last = s
        level += 1
        highest = max(highest, level)
    return highest


def check_stamps(algorithm, stamps_us, limit, period_us, burst=None):
    """The bound of the algorithm over admissions stamped by the store."""
    if algorithm == "token_bucket":
        level = highest_level(stamps_us, limit / period_us)
        assert level <= (burst or limit) + 1e-6, f"level {level} above {burst or limit}"
        return
    most = most_in_a_window(stamps_us, period_us)
    bound = {"fixed_window": 2 * limit, "sliding_window_counter": 2 * limit - 1, "sliding_window_log": limit}[algorithm]
    assert most <= bound, f"{algorithm}: {most} within one window, bound {bound}"
    if algorithm == "fixed_window":
        counts = {}
        for s in stamps_us:
            counts[s // period_us] = counts.get(s // period_us, 0) + 1
        assert max(counts.values(), default=0) <= limit, counts


def surely_inside(samples, rate, status=200):
    """The largest excess A(t, t+w] - rate*w over windows, counting only requests that begin and end inside."""
    spans = sorted((s.at, s.at + s.seconds) for s in samples if s.status == status)
    worst = 0.0
    for i, (begin, _) in enumerate(spans):
        ends = sorted(e for _, e in spans[i:])
        for count, end in enumerate(ends, 1):
            worst = max(worst, count - rate * (end - begin))
    return worst


def wrongly_denied(algorithm, samples, limit):
    """Denials of a limit per second that no instant within the request's duration explains, as (begin, end) by the
    clock of the day, which is the store's. Nothing for token buckets: see ideal()."""
    offset = time.time() - time.monotonic()
    spans = {status: [(s.at + offset, s.at + offset + s.seconds) for s in samples if s.status == status]
             for status in (200, 429)}

    def most(begin, end):
        return sum(1 for first, last in spans[200] if first <= end and last >= begin)

    def explained(begin, end):
        if algorithm == "sliding_window_log":
            return most(begin - 1, end) >= limit
        windows = {float(int(begin)), float(int(end))}
        if algorithm == "fixed_window":
            return any(most(w, w + 1) >= limit for w in windows)
        return any(most(w - 1, w) * (1 - (max(begin, w) - w)) + most(w, w + 1) + 1 > limit for w in windows)
    return [] if algorithm == "token_bucket" else [span for span in spans[429] if not explained(*span)]


def ideal(samples, rate, burst):
    """(fewest, most) a token bucket admits of these requests, each decided at some instant within its duration."""
    fewest = _admitted(sorted(s.at for s in samples), rate, burst)
    most = _admitted(sorted(s.at + s.seconds for s in samples), rate, burst)
    return min(fewest, most), max(fewest, most)


def _admitted(times, rate, burst):
    level, last, admitted = float(burst), None, 0
    for at in times:
        if last is not None:
            level = min(float(burst), level + (at - last) * rate)
        last = at
        if level >= 1 - 1e-9:
            level -= 1
            admitted += 1
    return admitted
