#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the integration tests against a weir binary. Needs nothing but Python 3.11; see README.md."""

import argparse
import faulthandler
import importlib
import inspect
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
    parser.add_argument("--limit", type=int, default=180, help="seconds a test may take")
    parser.add_argument("--thorough", action="store_true", help="rounds 20, tries 1000, longer loads")
    parser.add_argument("--over-tls", action="store_true",
                        help="clients and upstreams of every test speak TLS with weir, where the test allows it")
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
    counts = {"ok": 0, "FAILED": 0, "skipped": 0}
    for theme, name, function in chosen:
        begin = time.monotonic()
        outcome, detail, notes = run_one(
            function, lambda d: Context(build, release, d, args.rounds, args.tries, args.thorough, args.over_tls), args.limit)
        counts[outcome] += 1
        line = f"{outcome:7} {time.monotonic() - begin:6.2f} s  {theme}: {name.replace('_', ' ')}"
        if outcome == "skipped":
            line += f" [{detail}]"
        elif notes:
            line += f" [{notes}]"
        print(line, flush=True)
        if outcome == "FAILED":
            print("\n".join("        " + text for text in detail.splitlines()), flush=True)
    if counts["skipped"]:
        print(f"{counts['skipped']} skipped")
    print(f"{counts['ok']} passed, {counts['FAILED']} failed", flush=True)
    return 1 if counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
