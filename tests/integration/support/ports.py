# SPDX-License-Identifier: Apache-2.0
"""Ports for servers that must know theirs before they start.

They lie below the ephemeral range, so that no outgoing connection of the test run can take one in between."""

import os
import socket
import threading

_lock = threading.Lock()
_first, _end = 20000, 31000
_next = _first + (os.getpid() * 37) % 9000


def take_part(number, parts):
    """This process uses part `number` of the range: nobody else's server takes a port between probe and use."""
    global _first, _end, _next
    size = (_end - _first) // parts
    _first, _end = _first + number * size, _first + (number + 1) * size
    _next = _first + (os.getpid() * 37) % size


def free_port():
    with _lock:
        return _take()


def _take():
    global _next
    for _ in range(2000):
        _next = _next + 1 if _next + 1 < _end else _first
        probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            probe.bind(("127.0.0.1", _next))
            return _next
        except OSError:
            continue
        finally:
            probe.close()
    raise RuntimeError("no free port")
