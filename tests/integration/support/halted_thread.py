# SPDX-License-Identifier: Apache-2.0
"""One thread of a running process stands still in the middle of its work while the others run on, by the means of
debuggers."""

import contextlib
import ctypes
import os
import platform
import signal
import struct

OPENAT = {"x86_64": 257}.get(platform.machine(), 56)        # the number of the system call

_SYSCALL, _DETACH, _SEIZE, _INTERRUPT, _GET_SYSCALL_INFO = 24, 17, 0x4206, 0x4207, 0x420E
_MARK_SYSCALLS = 1                                          # PTRACE_O_TRACESYSGOOD
_SYSCALL_STOP = signal.SIGTRAP | 0x80
_ENTRY = 1                                                  # PTRACE_SYSCALL_INFO_ENTRY
_ALL = 0x40000000                                           # __WALL: threads too

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request, thread, address=None, data=None):
    if _libc.ptrace(request, thread, address, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace({request:#x}): {os.strerror(ctypes.get_errno())}")


def _enters(thread, call):
    info = ctypes.create_string_buffer(88)
    _ptrace(_GET_SYSCALL_INFO, thread, len(info), ctypes.addressof(info))
    kind, number = struct.unpack_from("=B23xQ", info.raw)
    return kind == _ENTRY and number == call


@contextlib.contextmanager
def halted_at(thread, call, cause):
    """Before the first system call of this number that the thread makes after `cause()`, until the block ends. The
    thread whose number is that of the process is the main thread."""
    _ptrace(_SEIZE, thread, data=_MARK_SYSCALLS)
    try:
        _ptrace(_INTERRUPT, thread)
        os.waitpid(thread, _ALL)
        cause()
        passed_on = 0
        while True:
            _ptrace(_SYSCALL, thread, data=passed_on)
            status = os.waitpid(thread, _ALL)[1]
            stop = os.WSTOPSIG(status)
            if stop == _SYSCALL_STOP and _enters(thread, call):
                break
            passed_on = stop if stop != _SYSCALL_STOP and status >> 16 == 0 else 0      # a signal for the thread
        yield
    finally:
        _ptrace(_DETACH, thread)
