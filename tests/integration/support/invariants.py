# SPDX-License-Identifier: Apache-2.0
"""What must be as before when a fault is over."""

from .weir import wait_until


class Before:
    """Taken of a weir at rest, when its idle connections to upstreams have gone."""

    def __init__(self, t, weir):
        self.t, self.weir = t, weir
        wait_until("no idle upstream connection is left",
                   lambda: weir.metrics().sum("weir_upstream_pool_connections", state="idle") == 0, 15)
        self.descriptors, self.resident = weir.descriptors(), weir.resident_bytes()
        self.memory = weir.memory_bytes()
        weir.forget_peak()

    def assert_again(self, within=10.0, memory=0.10, spare=2 << 20):
        """Descriptors within 5 of the baseline, memory within `memory` and `spare` bytes (builds without sanitizers:
        their allocators keep what was freed), the process alive and answering."""
        weir = self.weir
        assert weir.running(), f"weir ended with {weir.process.returncode}:\n{weir.stderr()[-2000:]}"
        wait_until(f"the descriptors are {self.descriptors} again",
                   lambda: abs(weir.descriptors() - self.descriptors) <= 5, within)
        if not self.t.build.sanitized:
            wait_until(f"the memory is {self.memory >> 10} KiB again",
                       lambda: self.growth() <= self.resident * memory + spare, within)
        assert weir.admin("/livez").status == 200
        return self.growth()

    def growth(self):
        """Bytes of memory more than before."""
        return self.weir.memory_bytes() - self.memory
