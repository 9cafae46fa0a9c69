# SPDX-License-Identifier: Apache-2.0
"""Those who did nothing wrong: a steady load and a health check from a process of their own, so that what a test does
meanwhile in Python slows neither. `mark()` gives the figures since the last one."""

import json
import os
import subprocess
import sys
import threading
import time


class Figures:
    """Of one phase: requests by status, their quantiles, those of the health check (seconds)."""

    def __init__(self, told):
        self.counts = {int(k) if k.isdigit() else k: v for k, v in told["counts"].items()}
        self.total = sum(self.counts.values())
        self.p50, self.p99, self.stale = told["p50"], told["p99"], told["stale"]
        self.health_failed, self.health_p90 = told["health_failed"], told["health_p90"]

    def assert_served(self, *ok):
        """Every request got an answer that is fine, and the health check never failed."""
        wrong = {k: v for k, v in self.counts.items() if k not in (ok or (200,))}
        assert not wrong, f"bystanders got {wrong} of {self.total}"
        assert self.health_failed == 0, f"{self.health_failed} health checks failed"

    def __str__(self):
        return f"p99 {self.p99 * 1e3:.1f} ms, health {self.health_p90 * 1e3:.1f} ms"


class Bystanders:
    """For t.keep(): a running load of `rate` requests/s on weir's port beside a health check every 50 ms."""

    def __init__(self, weir, rate=100, connections=4, target="/", timeout=15.0):
        options = {"port": weir.port, "admin_port": weir.admin_port, "rate": rate, "connections": connections,
                   "target": target, "timeout": timeout}
        self.process = subprocess.Popen([sys.executable, "-B", os.path.abspath(__file__), json.dumps(options)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def mark(self, after=0.0):
        """The figures since the last mark, taken `after` seconds from now."""
        time.sleep(after)
        return self._ask("mark")

    def end(self):
        """The last figures, when no request is under way any more."""
        last = self._ask("end")
        self.stop()
        return last

    def _ask(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return Figures(json.loads(self.process.stdout.readline()))

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(30)
        self.process.stdout.close()


# ---- the process ---------------------------------------------------------------------------------------------------

def _quantile(times, q):
    times = sorted(times)
    return times[min(len(times) - 1, int(q * len(times)))] if times else 0.0


def _probe(port, results, ending):
    from support import client
    while not ending.wait(0.05):
        begin = time.monotonic()
        try:
            good = client.fetch(port, "GET", "/livez", timeout=5.0, host="localhost").status == 200
        except Exception:  # noqa: BLE001 - whatever kept the answer away
            good = False
        results.append((good, time.monotonic() - begin))


def _main():
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from support import client
    from support.load import Load
    o = json.loads(sys.argv[1])
    load = Load(o["port"], rate=o["rate"], connections=o["connections"], timeout=o["timeout"],
                request=lambda i: client.request_bytes("GET", o["target"], {"X-Request-ID": f"bystander-{i}"})).start()
    health, ending = [], threading.Event()
    prober = threading.Thread(target=_probe, args=(o["admin_port"], health, ending), daemon=True)
    prober.start()
    seen_samples = seen_health = seen_stale = 0
    for word in sys.stdin:
        if word == "end\n":
            load.stop()
        samples, checks, stale = load.samples[seen_samples:], health[seen_health:], load.stale - seen_stale
        seen_samples, seen_health, seen_stale = seen_samples + len(samples), seen_health + len(checks), load.stale
        counts = {}
        for s in samples:
            counts[str(s.status)] = counts.get(str(s.status), 0) + 1
        times, checked = [s.seconds for s in samples], [seconds for _, seconds in checks]
        print(json.dumps({"counts": counts, "p50": _quantile(times, 0.5), "p99": _quantile(times, 0.99),
                          "stale": stale, "health_failed": sum(not good for good, _ in checks),
                          "health_p90": _quantile(checked, 0.9)}), flush=True)
    ending.set()
    load.ending.set()
    prober.join(10)


if __name__ == "__main__":
    _main()
