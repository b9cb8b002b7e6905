"""What the orchestrator needs of the shim: its records, where its files are, SOCKS, and calls that Python lacks.

SOCKS and the configuration are written by the very C that the tests try. Called by the orchestrator's adapters, by
tests and by chaos tools.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ._bindings import ffi, lib
from .records import (
    ANSWERS_MAX,
    MAGIC,
    NAME_MAX,
    NONCE_SIZE,
    WIRE_VERSION,
    Endpoint,
    Flag,
    Lease,
    LeaseKind,
    Notice,
    NoticeKind,
    Op,
    OrderKind,
    Reason,
    Report,
    decode_lease,
    decode_notice,
    decode_report,
    encode_answer,
    encode_lease,
    encode_order,
    encode_report,
)

__all__ = [
    "ANSWERS_MAX",
    "CLOSED_MAX",
    "HIDDEN_MAX",
    "LAUNCHER",
    "MAGIC",
    "NAMED_PIPES_MAX",
    "NAME_MAX",
    "NONCE_SIZE",
    "PRELOAD",
    "SOCKS_CONNECT",
    "SOCKS_RESOLVE",
    "SOCKS_RESOLVE_PTR",
    "WIRE_VERSION",
    "Child",
    "Endpoint",
    "Flag",
    "Lease",
    "LeaseKind",
    "NamedPipe",
    "Notice",
    "NoticeKind",
    "Op",
    "OrderKind",
    "Reason",
    "Report",
    "decode_lease",
    "decode_notice",
    "decode_report",
    "disconnect",
    "encode_answer",
    "encode_lease",
    "encode_order",
    "encode_report",
    "has_namespaces",
    "landlock_abi",
    "mount",
    "open_path",
    "set_child_subreaper",
    "set_death_signal",
    "setns",
    "shim_config",
    "socks_auth",
    "socks_greeting",
    "socks_reply_size",
    "socks_request",
    "try_guard",
    "try_supervisor",
    "unshare",
]

HERE: Final = Path(__file__).parent
PRELOAD: Final = HERE / "exitpin-preload.so"
LAUNCHER: Final = HERE / "exitpin-launch"
HIDDEN_MAX: Final[int] = lib.EXITPIN_HIDDEN_MAX
"""As many sockets and named pipes of daemons the launcher hides."""
CLOSED_MAX: Final[int] = lib.EXITPIN_CLOSED_MAX
"""And so much that is closed off from every run."""
NAMED_PIPES_MAX: Final = 64
"""Of one process."""


def shim_config(nonce: bytes, run_address: str, report_socket: str | Path, *, is_supervised: bool = False) -> str:
    """The launcher's EXITPIN_SHIM, and its tool's. Raises ValueError for what the shim would refuse."""
    config = f"{2 if is_supervised else 1}:{nonce.hex()}:{run_address}:{report_socket}"
    raw = os.fsencode(config)
    if len(nonce) != NONCE_SIZE or not lib.exitpin_config_parse(raw, len(raw), ffi.new("struct exitpin_config *")):
        raise ValueError(f"not a shim configuration: {config!r}")
    return config


SOCKS_CONNECT: Final = 0x01
SOCKS_RESOLVE: Final = 0xF0
SOCKS_RESOLVE_PTR: Final = 0xF1


def socks_greeting() -> bytes:
    """One method: user name and password (RFC 1929). Wait for the reply: Tor drops it when auth follows at once."""
    return b"\x05\x01\x02"


def socks_auth(user: bytes, password: bytes) -> bytes:
    """RFC 1929; each 1 to 255 bytes, else ValueError."""
    out = ffi.new("uint8_t[513]")
    size = lib.exitpin_socks_auth(user, len(user), password, len(password), out)
    if size == 0:
        raise ValueError("user and password have 1 to 255 bytes each")
    return bytes(ffi.buffer(out, size))


def socks_request(command: int, host: object, port: int) -> bytes:
    """RFC 1928; host is a name or an IP address (text or ipaddress object): literals go as addresses, not names."""
    raw = str(host).encode("ascii")
    out = ffi.new("uint8_t[262]")
    size = lib.exitpin_socks_request(command, raw, len(raw), port, out)
    if size == 0:
        raise ValueError("a host has 1 to 255 bytes")
    return bytes(ffi.buffer(out, size))


def socks_reply_size(prefix: bytes) -> int | None:
    """How long the reply is that begins so; None: read more (5 bytes always tell). Not SOCKS5: ValueError."""
    size: int = lib.exitpin_socks_reply_size(prefix, len(prefix))
    if size < 0:
        raise ValueError("not a SOCKS5 reply")
    return size or None


class Child:
    """A process that executes `argv`, started without waiting for its execve (child.h). Raises OSError, ValueError.

    `descriptors` become 0, 1, 2...; each must be above that range. Its signals are blocked, for the launcher, which
    sets its own mask. Until execve it lives in our memory, which it keeps, whatever becomes of this object.
    """

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], descriptors: Sequence[int]) -> None:
        variables = [f"{name}={value}" for name, value in environment.items()]
        packed = os.fsencode("\0".join([*argv, *variables, ""]))
        if not argv or packed.count(b"\0") != len(argv) + len(variables) or min(descriptors) < len(descriptors):
            raise ValueError("an empty command, a NUL in it, or a descriptor in its own way")
        child = lib.exitpin_child_start(packed, len(packed), len(argv), len(variables), descriptors, len(descriptors))
        if child == ffi.NULL:
            raise OSError(ffi.errno, os.strerror(ffi.errno))
        self._child = ffi.gc(child, lib.exitpin_child_free)
        self.pid: int = lib.exitpin_child_pid(child)

    @property
    def error(self) -> int:
        """Why it could not execute `argv`, once it has ended; else 0."""
        error: int = lib.exitpin_child_error(self._child)
        return error


def _check(error: int) -> None:
    if error:
        raise OSError(error, os.strerror(error))


def setns(fd: int, flags: int = 0) -> None:
    """setns(2), for the calling thread."""
    _check(lib.exitpin_setns(fd, flags))


def unshare(flags: int) -> None:
    """unshare(2), for the calling thread."""
    _check(lib.exitpin_unshare(flags))


def mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    """mount(2); an empty `options` is none."""
    _check(
        lib.exitpin_mount(
            os.fsencode(source), os.fsencode(target), os.fsencode(kind), flags, os.fsencode(options) or ffi.NULL
        )
    )


def set_death_signal(signo: int) -> None:
    """prctl(2) PR_SET_PDEATHSIG: what we get when our parent ends; 0 is none."""
    _check(lib.exitpin_set_death_signal(signo))


def set_child_subreaper() -> None:
    """prctl(2) PR_SET_CHILD_SUBREAPER: orphaned descendants become ours to wait for."""
    _check(lib.exitpin_set_child_subreaper())


def open_path(directory: int, path: bytes, resolve: int) -> int:
    """openat2(2) with O_PATH and this RESOLVE_: a descriptor. Raises OSError; ENOSYS before Linux 5.6."""
    fd: int = lib.exitpin_open_path(directory, path, resolve)
    _check(-min(fd, 0))
    return fd


def disconnect(fd: int) -> None:
    """connect(2) to AF_UNSPEC: a TCP socket as new, with no error pending. Resets the connection that there was."""
    _check(lib.exitpin_disconnect(fd))


def landlock_abi() -> int:
    """landlock_create_ruleset(2): the kernel's ABI of Landlock; 0 if it has none or it is switched off."""
    abi: int = lib.exitpin_landlock_abi()
    return abi


def try_guard() -> None:
    """seccomp(2) and landlock_restrict_self(2), as a launcher wants them, in a process of its own."""
    _check(lib.exitpin_try_guard())


def try_supervisor() -> None:
    """seccomp(2) with a listener, pidfd_open(2) and pidfd_getfd(2), as a supervisor wants them."""
    _check(lib.exitpin_try_supervisor())


class NamedPipe(NamedTuple):
    """One that a process reads. `fd`: its descriptor there; `device`, `inode`: as stat(2) has them; `links`: how many
    names there are."""

    fd: int
    device: int
    inode: int
    links: int


def named_pipes(folder: str) -> list[NamedPipe]:
    """Those that a process has open for reading, by its folder of descriptors in proc(5); no more than
    `NAMED_PIPES_MAX`. Raises OSError."""
    found = ffi.new("struct exitpin_pipe[]", NAMED_PIPES_MAX)
    count: int = lib.exitpin_named_pipes(os.fsencode(folder), found, NAMED_PIPES_MAX)
    _check(-min(count, 0))
    pipes = (found[number] for number in range(count))
    return [NamedPipe(one.fd, os.makedev(one.major, one.minor), one.inode, one.links) for one in pipes]


def has_namespaces() -> bool:
    """Whether a mount and a network namespace can be made here: unshare(2), by root or in a user namespace."""
    return bool(lib.exitpin_has_namespaces())
