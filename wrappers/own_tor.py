"""exitpin's own tor on the real network: started when it is not there, kept for ten minutes after its last use.

A keeper process (`python -m exitpin.wrappers.own_tor`) owns tor: tor watches the keeper's pid, so it can't outlive
the keeper, and the keeper watches the lock that every command holds while it uses this tor. Its cache stays on
disk, so that the next start needs seconds. Called under that lock, by `orchestrator/network.py` alone.
"""

import asyncio
import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ..orchestrator.errors import OperatorError
from .runtime import TOR, is_locked, private_directory, runtime_directory
from .runtime import data_directory as data_directory
from .tor import ControlChannel
from .torrc import Line, client_torrc

KEPT_S = 600.0
START_TIMEOUT_S = 30.0
STUCK_S = 180.0
LOCK_WAIT_S = 0.2
_PHASE = re.compile(r'PROGRESS=(\d+).*SUMMARY="([^"]*)"')


def control_socket() -> Path:
    """Where the own tor listens, whether it runs or not."""
    return runtime_directory() / TOR / "control"


def ensure_tor() -> None:
    """Start the keeper unless it runs; return when tor's control socket answers. Raises OperatorError."""
    keeper = None if _is_kept() else _start_keeper()
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ((is_kept := _is_kept()) and _answers()):
        if keeper is None and not is_kept:  # the one that was there has ended, as its tor did
            keeper = _start_keeper()
        if (keeper is not None and keeper.poll() is not None) or time.monotonic() > deadline:
            raise OperatorError("the own tor did not start.", f"Read {data_directory()}/notice.log and keeper.log.")
        time.sleep(0.05)


def _start_keeper() -> "subprocess.Popen[bytes]":
    """Our child, until we end: whoever ends children of this process has to know those that were there before."""
    if shutil.which("tor") is None and not Path("/usr/sbin/tor").exists():
        raise OperatorError(
            "tor is not installed.",
            "On Debian and Ubuntu: `systemctl mask tor tor@default`, then `apt-get install tor`.",
        )
    private_directory(control_socket().parent)
    private_directory(data_directory())
    with (data_directory() / "keeper.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", __spec__.name if __spec__ else __name__],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _is_kept() -> bool:
    return is_locked(_keeper_lock())


def _answers() -> bool:
    """Whether somebody listens on the control socket: a socket that a killed tor left is not enough."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(control_socket()))
        except OSError:
            return False
    return True


def _keeper_lock() -> Path:
    return control_socket().with_name("keeper.lock")


async def wait_bootstrapped(channel: ControlChannel, show: Callable[[str], None]) -> None:
    """Return when this tor has the directory that circuits need; `show` gets progress. OperatorError if stuck."""
    seen, since = "", time.monotonic()
    while True:
        enough = (await channel.ask("GETINFO status/enough-dir-info"))[0].endswith("=1")
        if enough:
            return
        phase = _PHASE.search((await channel.ask("GETINFO status/bootstrap-phase"))[0])
        now = f"{phase[1]} % ({phase[2]})" if phase else "?"
        if now != seen:
            seen, since = now, time.monotonic()
            show(f"tor is at {now}")
        elif time.monotonic() - since > STUCK_S:
            raise OperatorError(
                f"tor has been at {now} for {STUCK_S:g} s.",
                f"Is the Tor network reachable from here? Its log: {data_directory()}/notice.log",
            )
        await asyncio.sleep(0.25)


def keep(network: Sequence[Line] = (), kept_s: float = KEPT_S) -> int:
    """The keeper: start tor, and end with it when nobody has used it for `kept_s` seconds. `network`: a private one."""
    lock = os.open(_keeper_lock(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not _take(lock):
        return 0  # another keeper was quicker
    control_socket().unlink(missing_ok=True)  # of a tor that was killed
    torrc = data_directory() / "torrc"
    torrc.write_text(client_torrc(data_directory(), control_socket=control_socket(), network=network))
    command = [shutil.which("tor") or "/usr/sbin/tor", "--quiet", "-f", str(torrc), "--defaults-torrc", os.devnull]
    tor = subprocess.Popen([*command, "__OwningControllerProcess", str(os.getpid())], stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: tor.terminate())
    in_use = os.open(control_socket().with_name("exitpin.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    idle_since = time.monotonic()
    while tor.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            tor.wait(timeout=min(2.0, kept_s))
        try:
            fcntl.flock(in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            idle_since = time.monotonic()
            continue
        if time.monotonic() - idle_since >= kept_s:
            tor.terminate()  # under the lock: nobody can begin to use it now
            tor.wait()
            break
        fcntl.flock(in_use, fcntl.LOCK_UN)
    control_socket().unlink(missing_ok=True)
    return tor.returncode


def _take(lock: int) -> bool:
    """Lock it; somebody who only looks whether it is locked (`_is_kept`) is waited for."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        else:
            return True


if __name__ == "__main__":
    sys.exit(keep())
