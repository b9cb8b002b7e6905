"""Where the daemon listens, who listens there, and what others than its clients ask it: its status, its tor, its end.

Decides nothing: `cli/daemon_serve.py` answers. Sources: unix(7), SO_PEERCRED; sd_listen_fds(3).
"""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..orchestrator.errors import EXIT_USAGE, OperatorError
from ..shim import bindings
from ..shim.bindings import Lease, LeaseKind
from .lease import CREDENTIALS, FDS_MAX, PACKET_MAX, close_all
from .runtime import DAEMONS, private_directory, runtime_directory

ANSWER_S = 10.0

NAMED = "EXITPIN_DAEMON"
"""The socket of a daemon of somebody's own, which is asked and no other. Read by find.c, too."""


def daemon_socket(kind: str, name: str = "") -> Path:
    """Where the daemon listens that is asked for a vantage, whether there is one or not. Raises OperatorError."""
    named = os.environ.get(NAMED)
    if not named:
        return usual_socket(kind, name)
    if not named.startswith("/"):
        raise OperatorError(f"{NAMED} names no socket.", "It is a path that begins with /.", EXIT_USAGE)
    with contextlib.suppress(OSError):
        found = os.lstat(named)
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise OperatorError(f"{named} ({NAMED}) is no socket of yours alone (0600).", "", EXIT_USAGE)
    return Path(named)


def usual_socket(kind: str, name: str = "") -> Path:
    """Where the daemon of a vantage listens if nobody names another one. Read by find.c, too."""
    return runtime_directory() / DAEMONS / (f"lab-{name}" if kind == "lab" else "own")


def daemon_log(kind: str, name: str = "") -> Path:
    """What a daemon that was started in the background says."""
    path = daemon_socket(kind, name)
    return path.with_name(f"{path.name}.log")


def connect_to_daemon(path: Path) -> socket.socket | None:
    """A connection; None: nobody listens, or somebody else than we."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(str(path))
        if credentials_of(connection)[1] == os.geteuid():
            return connection
    except OSError:
        pass
    connection.close()
    return None


def ask_to_lend(path: Path) -> socket.socket | None:
    """Ask the daemon there for its tor; it comes back to it when the connection is closed. None: there is no daemon."""
    connection = connect_to_daemon(path)
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.send(bindings.encode_lease(Lease(LeaseKind.BORROW)), socket.MSG_NOSIGNAL)
    return connection


def ask_daemon(path: Path, kind: int) -> tuple[int, bytes] | None:
    """The pid of the daemon there, and what it answers to one question. None: there is no daemon. Raises
    OperatorError."""
    connection = connect_to_daemon(path)
    if connection is None:
        return None
    pid, _ = credentials_of(connection)
    with contextlib.closing(connection):
        connection.settimeout(ANSWER_S)
        try:
            connection.send(bindings.encode_lease(Lease(LeaseKind(kind))), socket.MSG_NOSIGNAL)
            packet, descriptors, _, _ = socket.recv_fds(connection, PACKET_MAX, FDS_MAX, socket.MSG_CMSG_CLOEXEC)
        except TimeoutError as error:
            why = f"the daemon (pid {pid}) does not answer within {ANSWER_S:g} s."
            raise OperatorError(why, f"`kill -9 {pid}` ends it and its runs.") from error
        except OSError:
            return None
    try:
        answer = os.pread(descriptors[0], os.fstat(descriptors[0]).st_size, 0) if packet and descriptors else None
        return None if answer is None else (pid, answer)
    finally:
        close_all(descriptors)


def stop_daemon(path: Path, timeout_s: float) -> bool | None:
    """Ask the daemon there to end, and wait until it has: whether it did. None: there is no daemon."""
    connection = connect_to_daemon(path)
    if connection is None:
        return None
    with contextlib.closing(connection):
        connection.settimeout(timeout_s)
        try:
            connection.send(bindings.encode_lease(Lease(LeaseKind.STOP)), socket.MSG_NOSIGNAL)
            return not connection.recv(1)
        except TimeoutError:
            return False
        except OSError:
            return True


def credentials_of(connection: socket.socket) -> tuple[int, int]:
    """pid and uid of who connected, or of who listens: SO_PEERCRED."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    pid, uid, _ = CREDENTIALS.unpack(raw)
    return pid, uid


def is_activated() -> bool:
    """Whether a service manager listens for us."""
    return os.environ.get("LISTEN_PID") == str(os.getpid())


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """The daemon's socket, for as long as the block lasts: 0600, in a folder that is the user's alone; or the one that
    a service manager listens on. Raises OperatorError when a daemon listens there."""
    if is_activated():
        yield _from_the_service_manager()
        return
    private_directory(path.parent)
    other = connect_to_daemon(path)
    if other is not None:
        with contextlib.closing(other):
            raise OperatorError(
                f"a daemon is running already (pid {credentials_of(other)[0]}).", "`exitpin daemon stop` ends it."
            )
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)) as listener:
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)  # for what is sent before we accept, too
        listener.bind(str(fresh))
        fresh.chmod(0o600)
        listener.listen(socket.SOMAXCONN)
        listener.setblocking(False)
        fresh.replace(path)  # of one that was killed, if there is any
        own = path.stat().st_ino
        try:
            yield listener
        finally:
            with contextlib.suppress(OSError):
                if path.stat().st_ino == own:
                    path.unlink()


def _from_the_service_manager() -> socket.socket:
    """The socket that it listens on for us (sd_listen_fds(3)): it stays there when we end."""
    listener = socket.socket(fileno=3)
    is_ours = listener.family == socket.AF_UNIX and listener.type == socket.SOCK_SEQPACKET
    if os.environ.pop("LISTEN_FDS", "") != "1" or not is_ours:
        raise OperatorError(
            "the service manager gives another socket.", "ListenSequentialPacket=%t/exitpin/daemons/own"
        )
    del os.environ["LISTEN_PID"]
    os.set_inheritable(3, False)
    listener.setblocking(False)
    return listener
