# SPDX-License-Identifier: Apache-2.0
"""What a test gets as `t`: makes servers, ends them all afterwards, and knows what kind of build is tested."""

import os
import shutil

from .bystanders import Bystanders
from .crowd import Crowd
from .fault_relay import FaultRelay
from .ports import free_port
from .redis import RedisServer
from .redis_cluster import RedisCluster
from .redis_sentinel import RedisSentinel
from .tls import Authority, Defaults, redis_options
from .upstream import BlackHole, Upstream
from .weir import Weir


class Skip(Exception):
    """The machine or the build lacks what the test needs; the text says what."""


class Build:
    """Facts read from the program file itself."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            content = f.read()
        self.sanitized = any(name in content for name in (b"__asan_init", b"__tsan_init", b"__ubsan_handle"))
        self.has_hooks = b"X-Weir-Test-Throw" in content or b"thrown by a test" in content


class Context:
    def __init__(self, build, release, directory, rounds, tries, thorough, over_tls=False):
        self.build = build              # Build under test
        self.release = release          # Build without sanitizers, for LD_PRELOAD
        self.directory = directory
        self.rounds, self.tries, self.thorough = rounds, tries, thorough
        self.slack = 4.0 if build.sanitized else 1.0    # multiplies tolerances, never limits
        self._things = []
        self._tls = None
        self._over_tls = over_tls
        self._names = {}
        self._notes = []

    def folder(self, name):
        number = self._names[name] = self._names.get(name, 0) + 1
        path = os.path.join(self.directory, f"{name}-{number}")
        os.makedirs(path)
        return path

    def _tls_defaults(self):
        """None unless everything goes over TLS."""
        if self._over_tls and not self._tls:
            self._tls = Defaults(self.authority())
        return self._tls

    @property
    def scheme(self):
        """Of both sides of weir."""
        return "https" if self._over_tls else "http"

    def upstream(self, script=None, **kwargs):
        if self._over_tls:
            kwargs.setdefault("tls", self._tls_defaults().server)
        return self.keep(Upstream(script, **kwargs))

    def black_hole(self, **kwargs):
        return self.keep(BlackHole(**kwargs))

    def redis(self, start=True, options=(), **kwargs):
        self.need("redis-server")
        server = self.keep(RedisServer(self.folder("redis"), options=options, **kwargs))
        return server.start() if start else server

    def fault_relay(self, redis):
        """A relay in front of `redis` (support/fault_relay.py); None: its scripts answer everything themselves."""
        return self.keep(FaultRelay(redis.port if redis else None))

    def redis_cluster(self, **kwargs):
        self.need("redis-server")
        return self.keep(RedisCluster(self.folder("cluster"), **kwargs)).start()

    def redis_sentinel(self, **kwargs):
        self.need("redis-server")
        return self.keep(RedisSentinel(self.folder("sentinel"), **kwargs)).start()

    def authority(self, **kwargs):
        """A certificate authority (support/tls.py)."""
        self.need("openssl")
        return Authority(self.folder("authority"), **kwargs)

    def redis_with_tls(self, authority, certificate=None, client_certificates=True, only=None, **kwargs):
        """A Redis that has a TLS port too: `.tls_port`, `.tls_url`."""
        port = free_port()
        options = redis_options(authority, certificate or authority.server(), port, client_certificates, only)
        server = self.redis(options=options, **kwargs)
        server.tls_port, server.tls_url = port, f"rediss://127.0.0.1:{port}"
        return server

    def weir(self, policy, start=True, build=None, **kwargs):
        kwargs.setdefault("tls", self._tls_defaults())
        weir = self.keep(Weir((build or self.build).path, self.folder("weir"), policy, **kwargs))
        return weir.start() if start else weir

    def bystanders(self, weir, **kwargs):
        """A steady load and a health check in a process of their own (support/bystanders.py)."""
        return self.keep(Bystanders(weir, **kwargs))

    def crowd(self, weir, **kwargs):
        """Thousands of clients in one thread (support/crowd.py)."""
        return self.keep(Crowd(weir.port, **kwargs))

    def keep(self, thing):
        """`thing.stop()` is called at the end, newest first; what it returns are complaints."""
        self._things.append(thing)
        return thing

    def note(self, text):
        """A figure worth showing beside the test's name."""
        self._notes.append(text)

    @property
    def notes(self):
        return "; ".join(self._notes)

    def finish(self):
        complaints = []
        for thing in reversed(self._things):
            try:
                complaints += thing.stop() or []
            except Exception as e:  # noqa: BLE001 - the other things must be stopped all the same
                complaints.append(f"stopping {thing!r}: {e!r}")
        return complaints

    def diagnosis(self):
        """The own logs of the weirs of a failed test."""
        out = []
        for thing in self._things:
            if isinstance(thing, Weir) and os.path.exists(thing.stderr_path):
                out.append(f"--- stderr of {thing.directory} (last lines)\n" + thing.stderr()[-2500:])
        return "\n".join(out)

    def skip(self, why):
        raise Skip(why)

    def need(self, program):
        path = shutil.which(program)
        if not path:
            raise Skip(f"{program} is not installed")
        return path
