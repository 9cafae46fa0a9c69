# SPDX-License-Identifier: Apache-2.0
"""weir and what a user would pick instead, each set up to do the same: keep connections on both sides, forward, tell the
upstream who asks and give the request an id. A peer is started for one measurement and ended by its process id."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from subject import DENYING, FOUR, HERE, PER_USER, free_port, listening, policy, wait_until

from support.redis import RedisServer

MODULES = pathlib.Path("/usr/lib/nginx/modules")
SCRIPT = (HERE / "peers" / "token_bucket.lua").read_text(encoding="ascii")
PACKAGES = {"nginx": ("nginx", "nginx"), "haproxy": ("haproxy", "haproxy"), "redis-server": ("redis-server", "redis-server"),
            "h2load": ("h2load", "nghttp2-client"), "openssl": ("openssl", "openssl")}
LUA_FILES = {MODULES / "ngx_http_lua_module.so": "libnginx-mod-http-lua",
             pathlib.Path("/usr/share/lua/5.1/nginx/redis.lua"): "lua-nginx-redis"}


def missing_packages():
    """Debian packages that a comparison needs and this machine lacks."""
    lacking = [package for program, package in PACKAGES.values() if not shutil.which(program)]
    return lacking + [package for path, package in LUA_FILES.items() if not path.exists()]


class Stage:
    """What all peers share: a folder, the port of the upstream, one Redis, a certificate."""

    def __init__(self, binary, directory, upstream_core, other=None):
        """`other`: a second weir, to be compared with the first as the peer "other"."""
        self.binary, self.other, self.directory = binary, other, pathlib.Path(directory)
        self.upstream_port = free_port()
        self.redis = RedisServer(str(directory)).start()
        os.sched_setaffinity(self.redis.process.pid, {upstream_core})
        self.redis.call("SCRIPT", "LOAD", SCRIPT)
        self.certificate, self.key = self.directory / "tls.crt", self.directory / "tls.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "30", "-subj", "/CN=localhost", "-keyout", str(self.key), "-out", str(self.certificate)],
                       check=True, capture_output=True)
        (self.directory / "both.pem").write_text(self.certificate.read_text() + self.key.read_text())

    def close(self):
        self.redis.stop()


# ---- Configurations --------------------------------------------------------------------------------------------------
def weir_files(stage, port, does, workers, tls):
    rules, store = {"plain": ([], False), "limit": ([PER_USER], False), "full": ([PER_USER], True), "four": (FOUR, True),
                    "deny": ([DENYING], True), "deny in redis": ([DENYING], True)}[does]
    listen = {"address": f"127.0.0.1:{port}"}
    if tls:
        listen["tls"] = {"certificate": str(stage.certificate), "key": str(stage.key)}
    log = {"to": "access.log", "buffer": "8MiB"} if does in ("full", "four") else {"to": "none"}
    made = policy(rules, log, listen=[listen], version=1, admin=f"127.0.0.1:{free_port()}", workers=workers,
                  drain={"delay": "0s", "timeout": "2s"},
                  upstreams={"up": {"url": f"http://127.0.0.1:{stage.upstream_port}", "pool": {"size": 512}}})
    if store:
        made["store"] = {"url": stage.redis.url, "pool": {"command_timeout": "1s"},
                         "key_prefix": does.replace(" ", "-") + ":"}    # the same rule has another limit elsewhere
    return {"weir.yaml": json.dumps(made, indent=1)}, [stage.binary, "run", "-c", "weir.yaml"]


def nginx_files(stage, port, does, workers, tls):
    digest = hashlib.sha1(SCRIPT.encode()).hexdigest()
    limits = {"plain": "", "limit": "limit_req zone=allow burst=1000000 nodelay;", "deny": "limit_req zone=deny;",
              "full": 'access_by_lua_block { limit("rl:", 1, 1000000) }',
              "four": 'access_by_lua_block { limit("rl:", 4, 1000000) }',
              "deny in redis": 'access_by_lua_block { limit("deny:", 1, 1) }'}
    text = (HERE / "peers" / "nginx.conf").read_text(encoding="ascii")
    values = {"LISTEN": f"127.0.0.1:{port}" + (" ssl" if tls else ""), "WORKERS": workers, "UPSTREAM": stage.upstream_port,
              "TLS": f"ssl_certificate {stage.certificate}; ssl_certificate_key {stage.key};" if tls else "",
              "LIMIT": limits[does], "LOG": "logs/access.log as_json buffer=64k flush=1s" if does in ("full", "four") else "off",
              "LUA": "" if "access_by_lua" not in limits[does] else
              f'init_by_lua_block {{ digest = "{digest}"; store_port = {stage.redis.port}; dofile("{HERE}/peers/limit.lua") }}',
              "MODULES": MODULES}
    return {"nginx.conf": fill(text, values)}, ["nginx", "-p", ".", "-c", "nginx.conf"]


def haproxy_files(stage, port, does, workers, tls):
    over = {"limit": "100000000", "full": "100000000", "deny": "1"}.get(does)
    text = (HERE / "peers" / "haproxy.cfg").read_text(encoding="ascii")
    values = {"LISTEN": f"127.0.0.1:{port}" + (f" ssl crt {stage.directory}/both.pem" if tls else ""), "WORKERS": workers,
              "UPSTREAM": stage.upstream_port, "OVER": over or "0", "LIMITED": "" if over else "#",
              "LOGGED": "" if does == "full" else "#"}
    return {"haproxy.cfg": fill(text, values)}, ["haproxy", "-db", "-f", "haproxy.cfg"]


def fill(text, values):
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text


def other_weir_files(stage, *what):
    files, command = weir_files(stage, *what)
    return files, [stage.other, *command[1:]]


FILES = {"weir": weir_files, "other": other_weir_files, "nginx": nginx_files, "haproxy": haproxy_files}


# ---- Processes -------------------------------------------------------------------------------------------------------
class Peer:
    """One running peer; its CPU time and memory are those of its process and that one's children."""

    def __init__(self, stage, kind, does, workers=1, tls=False, cores=(1,)):
        self.port = free_port()
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=stage.directory, prefix=f"{kind}-"))
        (self.directory / "logs").mkdir()
        files, command = FILES[kind](stage, self.port, does, workers, tls)
        for name, text in files.items():
            (self.directory / name).write_text(text, encoding="utf-8")
        with open(self.directory / "stdout", "wb") as out, open(self.directory / "stderr", "wb") as err:
            self.process = subprocess.Popen(["taskset", "-c", ",".join(map(str, cores)), *command], cwd=self.directory,
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            wait_until(f"{kind} ({does}) listens", self._up, 20)
        except AssertionError as e:
            self.stop()
            sys.exit(f"{e}\n{(self.directory / 'stderr').read_text(errors='replace')}")

    def _up(self):
        assert self.process.poll() is None, "it ended"
        return listening(f"127.0.0.1:{self.port}")

    def pids(self):
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return [pid, *map(int, children)]

    def cpu_us(self):
        return sum(cpu_us(pid) for pid in self.pids())

    def resident_bytes(self):
        return tuple(map(sum, zip(*(resident_bytes(pid) for pid in self.pids()))))

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def cpu_us(pid):
    """CPU time of all threads of a process, by the scheduler's nanoseconds."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text(encoding="ascii").split()[0])
        except FileNotFoundError:
            pass    # it has just ended
    return total / 1000


def resident_bytes(pid):
    """(resident, of it without shared libraries, which other programs map as well)"""
    resident = own = 0
    library = False
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            library = ".so" in line
        elif line.startswith("Rss:"):
            resident += 1024 * int(line.split()[1])
            own += 0 if library else 1024 * int(line.split()[1])
    return resident, own
