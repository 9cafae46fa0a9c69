# SPDX-License-Identifier: Apache-2.0
"""A weir process: started with a policy, watched through its admin port, its access log and its stderr."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

from . import client
from .ports import free_port

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


def wait_until(what, check, timeout=20.0, interval=0.02):
    """Polls until check() is true and returns its value; fails by naming `what`."""
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain until {what}; last value: {value!r}")
        time.sleep(interval)


def listening(address):
    """True when something accepts on HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 1.0).close()
        return True
    except OSError:
        return False


class Helper:
    """A process beside weir."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)

    def running(self):
        return self.process.poll() is None

    def terminate(self):
        """SIGTERM and the exit code."""
        self.process.terminate()
        return self.process.wait(20)

    def stop(self):
        if self.running():
            self.process.kill()
            self.process.wait(10)


class Metrics(dict):
    """{(name, ((label, value), ...)): number} of one scrape."""

    @classmethod
    def parse(cls, text):
        samples = cls()
        for line in text.splitlines():
            if line and not line.startswith("#"):
                match = SAMPLE.match(line)
                assert match, f"not a sample: {line!r}"
                labels = tuple(sorted((k, v) for k, v in LABEL.findall(match[2] or "")))
                samples[(match[1], labels)] = float(match[3])
        return samples

    def sum(self, name, /, **labels):
        """Sum of all series of `name` that carry these labels; 0 when there is none."""
        wanted = set(labels.items())
        return sum(v for (n, ls), v in self.items() if n == name and wanted <= set(ls))

    def has(self, name):
        return any(n == name for n, _ in self)


class Weir:
    """`policy` is a dict (listen and admin are filled in unless given) or the text of a file."""

    def __init__(self, binary, directory, policy, env=None, stdout=None, args=(), tls=None, through=()):
        """`through`: a command that becomes weir, such as prlimit with its options."""
        self.tls = tls      # support.tls.Defaults: listener and upstreams use TLS where the policy does not say
        self.binary, self.directory, self.through = binary, directory, list(through)
        os.makedirs(directory, exist_ok=True)
        self.port, self.admin_port = free_port(), free_port()
        self.policy_path = os.path.join(directory, "weir.yaml")
        self.stdout_path = os.path.join(directory, "access.log")
        self.stderr_path = os.path.join(directory, "stderr.log")
        self.env = {**os.environ, **(env or {})}
        self.env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99")
        self.env.setdefault("TSAN_OPTIONS", "exitcode=99:halt_on_error=0")
        self.env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        self.args, self.stdout = list(args), stdout
        self.process = None
        self.expected_exit = 0
        self.write_policy(policy)

    # ---- policy --------------------------------------------------------------------------------------------------
    def write_policy(self, policy):
        """A dict is written as JSON, which is YAML. The file is replaced as a whole, as an editor does."""
        if isinstance(policy, dict):
            full = {"version": 1, "listen": f"127.0.0.1:{self.port}", "admin": f"127.0.0.1:{self.admin_port}",
                    "drain": {"delay": "0s", "timeout": "10s"}, **policy}
            if self.tls:
                full = self.tls.applied(full, "listen" not in policy, self.port)
            policy = json.dumps(full, indent=1) + "\n"
        self.policy = policy
        with open(self.policy_path + ".new", "w", encoding="utf-8") as f:
            f.write(policy)
        os.replace(self.policy_path + ".new", self.policy_path)

    # ---- life ----------------------------------------------------------------------------------------------------
    def spawn(self):
        out = self.stdout if self.stdout is not None else open(self.stdout_path, "ab")
        err = open(self.stderr_path, "ab")
        self.process = subprocess.Popen([*self.through, self.binary, "run", "-c", self.policy_path, *self.args],
                                        cwd=self.directory, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                        env=self.env)
        err.close()
        if self.stdout is None:
            out.close()
        return self

    def start(self, timeout=30.0):
        self.spawn()

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"weir ended with {self.process.returncode} instead of starting:\n{self.stderr()}")
            try:
                return self.admin("/readyz", timeout=5.0).status == 200
            except (OSError, TimeoutError, client.http1.Closed):
                return False
        def store_connected():
            return not re.search(r'"(rediss?|unix):|"topology"', self.policy) or \
                self.metrics().sum("weir_store_up") == 1
        try:
            wait_until("/readyz answers 200", ready, timeout)
            wait_until("every worker is connected to Redis", store_connected, timeout)
        except AssertionError as e:
            raise AssertionError(f"{e}\nstderr:\n{self.stderr()}\npolicy:\n{self.policy}") from None
        return self

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def halt(self):
        """SIGSTOP, until every thread stands: one of them passes it on, and the others run on until it does."""
        self.signal(signal.SIGSTOP)
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task")
        wait_until("every thread stands", lambda: all(
            (t / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T" for t in tasks.iterdir()),
            interval=0.001)

    def wait(self, timeout=30.0):
        return self.process.wait(timeout)

    def terminate(self, timeout=30.0):
        """SIGTERM and the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def _what_its_threads_do(self):
        """The stacks of a process that hangs: without them nobody can say why."""
        if shutil.which("gdb") is None:
            return "no gdb to ask for its stacks"
        asked = subprocess.run(["gdb", "-p", str(self.process.pid), "-batch", "-ex", "thread apply all backtrace 30"],
                               capture_output=True, text=True, timeout=60)
        return asked.stdout[-6000:]

    def stop(self):
        """Ends the process whatever its state; returns complaints (a list of text)."""
        if self.process is None:
            return []
        complaints = []
        if self.running():
            self.signal(signal.SIGTERM)
            try:
                self.wait(20)
            except subprocess.TimeoutExpired:
                complaints.append("weir did not end within 20 s of SIGTERM\n" + self._what_its_threads_do())
                self.process.kill()
                self.wait(10)
        code, text = self.process.returncode, self.stderr()
        if "Sanitizer" in text or "runtime error:" in text:
            complaints.append("sanitizer report:\n" + text[-6000:])
        if code not in (self.expected_exit, -9) or (code == -9 and self.expected_exit != -9 and not complaints):
            complaints.append(f"weir exited with {code} instead of {self.expected_exit}:\n{text[-3000:]}")
        return complaints

    def kill(self):
        """SIGKILL, as wanted by a test."""
        self.expected_exit = -9
        self.process.kill()
        self.wait(10)

    # ---- reload --------------------------------------------------------------------------------------------------
    def reloads(self):
        m = self.metrics()
        return sum(m.sum("weir_config_reloads_total", result=r) for r in ("ok", "rejected", "unchanged"))

    def reload(self, policy=None, timeout=20.0):
        """Writes `policy`, sends SIGHUP and waits until the reload was counted."""
        before = self.reloads()
        if policy is not None:
            self.write_policy(policy)
        self.signal(signal.SIGHUP)
        wait_until("the reload is counted", lambda: self.reloads() > before, timeout)
        time.sleep(0.1)     # the workers take the new settings over a moment after they were counted

    # ---- what it says ----------------------------------------------------------------------------------------------
    def admin(self, target, timeout=10.0, **kwargs):
        return client.fetch(self.admin_port, "GET", target, timeout=timeout, host="localhost", **kwargs)

    def metrics_text(self):
        response = self.admin("/metrics")
        assert response.status == 200, response
        return response.body.decode()

    def metrics(self):
        return Metrics.parse(self.metrics_text())

    def stderr(self):
        with open(self.stderr_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def log_lines(self):
        """Complete lines of the access log so far."""
        with open(self.stdout_path, encoding="utf-8") as f:
            text = f.read()
        return text[:text.rfind("\n") + 1].splitlines()

    def records(self, count=None, timeout=20.0):
        """Parsed access records; waits until there are `count`."""
        if count is not None:
            wait_until(f"the access log has {count} lines", lambda: len(self.log_lines()) >= count, timeout)
        return [json.loads(line) for line in self.log_lines()]

    def record(self, request_id, timeout=20.0):
        """The one record of this request id."""
        def find():
            return [r for r in self.records() if r.get("request_id") == request_id]
        found = wait_until(f"a record of {request_id}", find, timeout)
        assert len(found) == 1, found
        return found[0]

    def resident_bytes(self):
        return self._status_bytes("VmRSS")

    def peak_resident_bytes(self):
        return self._status_bytes("VmHWM")

    def memory_bytes(self):
        """Without the pages of program and libraries, which come and go with what is used of them."""
        return self._status_bytes("RssAnon")

    def forget_peak(self):
        """What is resident now is the peak."""
        with open(f"/proc/{self.process.pid}/clear_refs", "w", encoding="ascii") as f:
            f.write("5")

    def _status_bytes(self, name):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return int(re.search(rf"{name}:\s+(\d+) kB", f.read())[1]) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    # ---- requests --------------------------------------------------------------------------------------------------
    def connect(self, **kwargs):
        return client.Connection(self.port, **kwargs)

    def get(self, target="/", fields=(), **kwargs):
        return client.fetch(self.port, "GET", target, fields, **kwargs)

    def fetch(self, method, target="/", fields=(), body=None, **kwargs):
        return client.fetch(self.port, method, target, fields, body, **kwargs)
