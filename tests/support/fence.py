"""A fence that the kernel keeps: a process within it, and every child, dies at its first socket but AF_UNIX's.

For the tests of P18. Its death is SIGSYS, so that a library which swallows errors is caught as well. Linux only.
"""

from __future__ import annotations

import ctypes
import platform
import socket
import subprocess
import sys

_SOCKET = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""Machine -> its audit architecture and its number of the call `socket`."""
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
_ARCHITECTURE, _CALL, _FAMILY = 4, 0, 16  # offsets in struct seccomp_data
_ALLOW, _KILL_PROCESS = 0x7FFF0000, 0x80000000
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2


class _Step(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("yes", ctypes.c_uint8),
        ("no", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("steps", ctypes.POINTER(_Step)))


def known() -> bool:
    """Whether this module knows the calls of this system."""
    return sys.platform == "linux" and platform.machine() in _SOCKET


def fence_in() -> None:
    """Put this process and all that it starts behind the fence, for good. OSError where there is none."""
    if not known():
        raise OSError("no fence is known for this system")
    architecture, call = _SOCKET[platform.machine()]
    steps = (_Step * 8)(
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 0, 4, architecture),
        (_LOAD, 0, 0, _CALL),
        (_EQUAL, 0, 2, call),
        (_LOAD, 0, 0, _FAMILY),
        (_EQUAL, 0, 1, socket.AF_UNIX),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _KILL_PROCESS),
    )
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(steps), steps)
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0),
    ):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), "this kernel keeps no fence")


def works() -> bool:
    """Whether a process that asks for a network socket dies here, and one that asks for another lives."""
    script = (
        "import socket\nfrom tests.support.fence import fence_in\n"
        "fence_in()\nsocket.socketpair()\nprint('lives', flush=True)\nsocket.socket(socket.AF_INET)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    return done.stdout == "lives\n" and done.returncode < 0
