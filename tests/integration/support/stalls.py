# SPDX-License-Identifier: Apache-2.0
"""How long the loops of weir's workers run without coming back to wait, from a process of its own.

The kernel counts, per thread, the time it ran and how often it went to sleep by itself. What a thread ran while the
latter stood still is one turn of its loop: other processes that take the processor away do not prolong it."""

import json
import os
import subprocess
import sys
import time

NOT_LOOPS = ("weir-reload",)


class Stalls:
    """For t.keep(): watches from now on. `longest()`: seconds that a loop ran at a stretch, as far as seen."""

    def __init__(self, weir):
        self.process = subprocess.Popen([sys.executable, "-B", os.path.abspath(__file__), str(weir.process.pid)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def longest(self):
        self.process.stdin.write("tell\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(30)
        self.process.stdout.close()


# ---- the process ---------------------------------------------------------------------------------------------------

class Thread:
    def __init__(self, folder):
        self.schedstat = open(f"{folder}/schedstat", "rb", buffering=0)
        self.status = open(f"{folder}/status", "rb", buffering=0)
        self.sleeps, self.began = None, 0
        self.longest = 0

    def look(self):
        """Reads the sleeps on both sides of the time: they belong together when they are equal."""
        before = self._sleeps()
        ran = int(os.pread(self.schedstat.fileno(), 128, 0).split()[0])
        if before != self._sleeps():
            self.sleeps = None
        elif before != self.sleeps:
            self.sleeps, self.began = before, ran
        else:
            self.longest = max(self.longest, ran - self.began)

    def _sleeps(self):
        text = os.pread(self.status.fileno(), 8192, 0)
        at = text.index(b"\nvoluntary_ctxt_switches:") + 25
        return int(text[at:text.index(b"\n", at)])


def _threads(pid):
    """Those of the loops: not the first, which has the admin port, nor those that do what no loop should."""
    found = []
    for tid in os.listdir(f"/proc/{pid}/task"):
        folder = f"/proc/{pid}/task/{tid}"
        with open(f"{folder}/comm", encoding="ascii") as f:
            if int(tid) != pid and f.read().strip() not in NOT_LOOPS:
                found.append(Thread(folder))
    return found


def _main():
    import selectors
    threads = _threads(int(sys.argv[1]))
    orders = selectors.DefaultSelector()
    orders.register(sys.stdin, selectors.EVENT_READ)
    while True:
        try:
            for thread in threads:
                thread.look()
        except (OSError, ValueError):
            pass        # it has ended
        if orders.select(0):
            if not sys.stdin.readline():
                return
            print(json.dumps(max(t.longest for t in threads) / 1e9), flush=True)
        time.sleep(0.0005)


if __name__ == "__main__":
    _main()
