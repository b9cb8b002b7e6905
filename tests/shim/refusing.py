"""Kernels and containers that lack or refuse a call: seccomp(2), in this thread and what comes of it, for good."""

import ctypes
import os
import struct

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 0x00050000, 0x7FFF0000
FIRST_ARGUMENT = 16
SYS_SOCKET = {"x86_64": 41, "aarch64": 198}[os.uname().machine]
SYS_CLONE = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}[os.uname().machine]
SYS_PIDFD_GETFD = 438
SYS_PROCESS_VM_READV = {"x86_64": 310, "aarch64": 270}[os.uname().machine]
SYS_LANDLOCK_RESTRICT_SELF = 446
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER = 1, 8


def refuse_sockets(family: int, error: int) -> None:
    """As a kernel does that lacks the family."""
    _filter(
        [
            (0x20, 0, 0, 0),  # A = the call's number
            (0x15, 0, 3, SYS_SOCKET),
            (0x20, 0, 0, FIRST_ARGUMENT),
            (0x15, 0, 1, family),
            (0x06, 0, 0, SECCOMP_RET_ERRNO | error),
            (0x06, 0, 0, SECCOMP_RET_ALLOW),
        ]
    )


def refuse(number: int, error: int) -> None:
    """A call, whatever its arguments."""
    _filter(
        [
            (0x20, 0, 0, 0),
            (0x15, 0, 1, number),
            (0x06, 0, 0, SECCOMP_RET_ERRNO | error),
            (0x06, 0, 0, SECCOMP_RET_ALLOW),
        ]
    )


def supervise_ourselves() -> None:
    """As in a container whose runtime has some calls for itself: here, none."""
    libc, program = _prepared([(0x06, 0, 0, SECCOMP_RET_ALLOW)])
    assert libc.syscall(SYS_SECCOMP, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, program) >= 0


def _filter(steps: list[tuple[int, int, int, int]]) -> None:
    libc, program = _prepared(steps)
    assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) == 0


def _prepared(steps: list[tuple[int, int, int, int]]) -> tuple[ctypes.CDLL, "ctypes.Array[ctypes.c_char]"]:
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("=HxxxxxxQ", len(steps), ctypes.addressof(code)))
    program.code = code  # type: ignore[attr-defined] # the kernel reads it when the call is made
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    return libc, program
