#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the integration tests against a weir binary. Needs nothing but Python 3.11; see README.md."""

import argparse
import faulthandler
import importlib
import inspect
import multiprocessing
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from support import ports  # noqa: E402
from support.context import Build, Context, Skip  # noqa: E402


class TooLong(Exception):
    pass


def _alarm(_signal, _frame):
    raise TooLong("the test exceeded its time")


def _terminate(_signal, _frame):
    raise KeyboardInterrupt


def tests():
    """(theme, name, function) of every public function `f(t)` in the files named *_test.py, in file order."""
    found = []
    for path in sorted(HERE.glob("*_test.py")):
        module = importlib.import_module(path.stem)
        functions = [f for n, f in vars(module).items()
                     if inspect.isfunction(f) and f.__module__ == module.__name__ and not n.startswith("_")
                     and list(inspect.signature(f).parameters) == ["t"]]
        functions.sort(key=lambda f: f.__code__.co_firstlineno)
        found += [(path.stem.removesuffix("_test"), f.__name__, f) for f in functions]
    return found


def run_one(function, make_context, limit):
    """(outcome, detail, notes): outcome is ok, skipped or FAILED."""
    directory = tempfile.mkdtemp(prefix="weir-it-")
    context = make_context(directory)
    outcome, detail = "ok", ""
    signal.alarm(limit)
    try:
        function(context)
    except Skip as e:
        outcome, detail = "skipped", str(e)
    except KeyboardInterrupt:
        context.finish()
        shutil.rmtree(directory, ignore_errors=True)
        raise
    except BaseException:  # noqa: BLE001 - whatever a test throws is its failure
        outcome, detail = "FAILED", traceback.format_exc()
    finally:
        signal.alarm(0)
    complaints = context.finish()
    if complaints and outcome != "skipped":
        outcome, detail = "FAILED", "\n".join([detail] + complaints).strip()
    if outcome == "FAILED":
        detail += "\n" + context.diagnosis()
    shutil.rmtree(directory, ignore_errors=True)
    return outcome, detail, context.notes


class Runner:
    """Runs tests by their index in `chosen`, here or in processes of its own."""

    def __init__(self, chosen, make_context, limit):
        self.chosen, self.make_context, self.limit = chosen, make_context, limit
        self.counts = {"ok": 0, "FAILED": 0, "skipped": 0}

    def run(self, jobs):
        together = [i for i, test in enumerate(self.chosen) if not getattr(test[2], "alone", False)] if jobs > 1 else []
        if together:
            numbers = multiprocessing.SimpleQueue()
            for number in range(jobs):
                numbers.put(number)
            with multiprocessing.Pool(jobs, _begin_job, (numbers, jobs, self)) as pool:
                for report in pool.imap_unordered(_job, together):
                    self._show(*report)
                pool.close()
                pool.join()     # leaving the block ends what still runs
        for index in sorted(set(range(len(self.chosen))) - set(together)):
            self._show(*self.one(index))

    def one(self, index):
        theme, name, function = self.chosen[index]
        begin = time.monotonic()
        outcome, detail, notes = run_one(function, self.make_context, self.limit)
        line = f"{outcome:7} {time.monotonic() - begin:6.2f} s  {theme}: {name.replace('_', ' ')}"
        if outcome == "skipped":
            line += f" [{detail}]"
        elif notes:
            line += f" [{notes}]"
        if outcome == "FAILED":
            line += "\n" + "\n".join("        " + text for text in detail.splitlines())
        return outcome, line

    def _show(self, outcome, text):
        self.counts[outcome] += 1
        print(text, flush=True)


_runner = None      # of a job's process


def _begin_job(numbers, jobs, runner):
    global _runner
    _runner = runner
    ports.take_part(numbers.get(), jobs)


def _job(index):
    return _runner.one(index)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weir", help="the program under test")
    parser.add_argument("--weir-release", help="a build without sanitizers, used where LD_PRELOAD is needed")
    parser.add_argument("--only", default="", help="comma separated: themes, names, or parts of names")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("WEIR_ROUNDS", "3")),
                        help="repetitions of the races (WEIR_ROUNDS; default 3, thorough 20)")
    parser.add_argument("--tries", type=int, default=int(os.environ.get("WEIR_TRIES", "200")),
                        help="requests of the never-twice tests (WEIR_TRIES; default 200, thorough 1000)")
    parser.add_argument("--jobs", type=int, default=1,
                        help="tests at a time; those that measure (support/check.py: alone) follow one by one")
    parser.add_argument("--limit", type=int, default=180, help="seconds a test may take")
    parser.add_argument("--thorough", action="store_true", help="rounds 20, tries 1000, longer loads")
    args = parser.parse_args()

    wanted = [w for w in args.only.split(",") if w]
    known = tests()
    themes = {theme for theme, _, _ in known}

    def is_wanted(theme, name):
        return not wanted or any(w == theme if w in themes else w.replace(" ", "_") in name for w in wanted)
    chosen = [test for test in known if is_wanted(test[0], test[1])]
    if args.list:
        for theme, name, _ in chosen:
            print(f"{theme}: {name.replace('_', ' ')}")
        return 0
    if not args.weir or not os.access(args.weir, os.X_OK):
        parser.error("--weir PATH must name a program")
    if not chosen:
        parser.error(f"no test matches {args.only!r}")
    if args.thorough:
        args.rounds, args.tries = max(args.rounds, 20), max(args.tries, 1000)

    build = Build(os.path.abspath(args.weir))
    release = Build(os.path.abspath(args.weir_release)) if args.weir_release else (None if build.sanitized else build)
    signal.signal(signal.SIGALRM, _alarm)
    signal.signal(signal.SIGTERM, _terminate)   # so that a test's processes are ended too
    faulthandler.enable()
    runner = Runner(chosen, lambda d: Context(build, release, d, args.rounds, args.tries, args.thorough), args.limit)
    runner.run(args.jobs)
    counts = runner.counts
    if counts["skipped"]:
        print(f"{counts['skipped']} skipped")
    print(f"{counts['ok']} passed, {counts['FAILED']} failed", flush=True)
    return 1 if counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
