# SPDX-License-Identifier: Apache-2.0
"""Ports for servers that must know theirs before they start.

They lie below the ephemeral range, so that no outgoing connection of the test run can take one in between."""

import os
import socket
import threading

_lock = threading.Lock()
_next = 20000 + (os.getpid() * 37) % 9000


def free_port():
    with _lock:
        return _take()


def _take():
    global _next
    for _ in range(2000):
        _next = _next + 1 if _next < 31000 else 20000
        probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            probe.bind(("127.0.0.1", _next))
            return _next
        except OSError:
            continue
        finally:
            probe.close()
    raise RuntimeError("no free port")
