"""What a supervised tool asks of the kernel: its calls read, judged by the launcher's own rules, carried out, answered.

The Python side of notify.h and rules.h. Called by `wrappers/supervisor.py` and by tests. Source: seccomp_unotify(2).
"""

import os
import socket
from typing import NamedTuple

from ._bindings import ffi, lib
from .records import Reason

ASKS, APART = 1, 4


class Call(NamedTuple):
    """A system call that waits for our answer. `tid`: the thread that makes it."""

    id: int
    tid: int
    number: int
    arguments: tuple[int, ...]


def is_alive(listener: int, call: Call) -> bool:
    """Whether its maker still waits: only then is what was read of it by its number its own."""
    return bool(lib.exitpin_call_is_alive(listener, call.id))


def answer(listener: int, call: Call, error: int) -> None:
    """The call returns 0, or -1 with this errno. Nothing happens when its maker has gone."""
    lib.exitpin_call_answer(listener, call.id, error)


def give(listener: int, call: Call, ours: socket.socket, *, is_cloexec: bool) -> None:
    """The call, which makes a socket, returns `ours`. Raises OSError."""
    _check(lib.exitpin_call_give(listener, call.id, ours.fileno(), is_cloexec))


def connect_at_once(tool_socket: socket.socket, address: bytes) -> int:
    """connect(2) that waits for nobody: of a datagram or netlink socket, or of any to no address; its errno."""
    return -int(lib.exitpin_connect_at_once(tool_socket.fileno(), address, len(address)))


class ConnectAside:
    """connect(2) of a Unix socket in a thread of its own, for its other owners may let it wait (aside.h): to the one
    that `handle` is of, by O_PATH, or, None, to the abstract `name`. `done` becomes readable when it is over, or is
    broken off. Raises OSError when there can be no thread."""

    def __init__(self, tool_socket: socket.socket, handle: int | None, name: bytes) -> None:
        self.done = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        place = -1 if handle is None else handle
        self._aside = lib.exitpin_aside_start(tool_socket.fileno(), place, name, len(name), self.done)
        if self._aside == ffi.NULL:
            error = ffi.errno
            os.close(self.done)
            raise OSError(error, os.strerror(error))

    def is_over(self) -> bool:
        """Whether its thread has said so since this was asked."""
        try:
            return os.eventfd_read(self.done) > 0
        except BlockingIOError:
            return False

    def break_off(self) -> None:
        """Let it be over soon, most likely; waits for nothing."""
        lib.exitpin_aside_break_off(self._aside)

    def end(self) -> int:
        """Once, and whether it is over or not: its errno; ECANCELED when it was not, or had been broken off."""
        error: int = lib.exitpin_aside_end(self._aside)
        os.close(self.done)
        return error


def kind_reason(domain: int, kind: int, protocol: int) -> Reason:
    """Why there can be no socket of this kind."""
    flags = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    return Reason(lib.exitpin_kind_reason(ffi.new("struct exitpin_kind *", [domain, kind & ~flags, protocol])))


def connect_report(
    tool_socket: socket.socket, address: bytes, run_address: str, nonce: bytes, pid: int, tid: int
) -> tuple[int, Reason, bytes]:
    """The errno with which the connect is refused, why, if it is we who refuse it, and the report that the hook would
    have sent about it, CONNECT or DENIED; the socket is then bound as the hook would have bound it."""
    run = ffi.new("struct exitpin_endpoint *", {"family": socket.AF_INET})
    run.address[0:4] = list(socket.inet_aton(run_address))
    report = ffi.new("struct exitpin_report *", {"pid": pid, "tid": tid})
    report.nonce[0 : len(nonce)] = list(nonce)
    reason = ffi.new("int *")
    error = lib.exitpin_report_connect(tool_socket.fileno(), address, len(address), run, report, reason)
    return -error, Reason(reason[0]), bytes(ffi.buffer(report))


def _check(result: int) -> None:
    if result < 0:
        raise OSError(-result, os.strerror(-result))
