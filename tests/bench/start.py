"""(a) How long /bin/true takes, from the spawn until it is reaped: bare, under torsocks and proxychains, and
under our launcher at each level of containment.

All sides are spawned by this process with posix_spawn. Ours is what stands between an orchestrator and a tool: the
launcher, the preload library, its hello over the report socket and the answer, which this process gives by the same
records that the orchestrator uses. No circuit and no network on any side; a run's Python is measured under load.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from statistics import median

from figures import Measure
from place import Place

from exitpin.shim import bindings
from exitpin.shim.tickets import CallDoor
from exitpin.wrappers.daemons import sockets_of_others

TRUE = "/bin/true"
OTHERS = {"torsocks": ["/usr/bin/torsocks"], "proxychains": ["/usr/bin/proxychains4", "-q"]}
FLAGS: dict[str, list[str]] = {"shim": [], "guard": ["--guard"], "notify": ["--notify"]}
NONCE = bytes(range(bindings.NONCE_SIZE))


def measure(place: Place, rounds: int, times: int) -> list[Measure]:
    """`rounds` times the medians of `times` starts of each side, in turn; ours at each level."""
    levels = {level: [*flags, *_hiding(level, place)] for level, flags in FLAGS.items()}
    rows = {level: Measure(f"start of /bin/true, {level}", "ms", figure="{} of torsocks' time") for level in levels}
    rows["shim"].goal = "at most 0.33"
    reports = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    path = place.directory / "start.s"
    reports.bind(str(path))
    reports.listen(8)
    reports.settimeout(5)
    preload = place.directory / bindings.PRELOAD.name
    preload.symlink_to(bindings.PRELOAD)
    config = bindings.shim_config(NONCE, "127.64.0.1", path)
    launch = [str(bindings.LAUNCHER), "--control", "3", "--preload", str(preload)]
    others = {side: words for side, words in OTHERS.items() if shutil.which(words[0])}
    for _ in range(rounds):
        took: dict[str, list[float]] = {side: [] for side in ("bare", *others, *levels)}
        for _ in range(times):
            took["bare"].append(_spawn([TRUE]))
            for side, words in others.items():
                took[side].append(_spawn([*words, TRUE]))
            for level, flags in levels.items():
                took[level].append(_launched([*launch, *flags, "--", TRUE], config, reports))
        for level, row in rows.items():
            row.add("ours", median(took[level]))
            for side in ("bare", *others):
                row.add(side, median(took[side]))
    for row in rows.values():
        row.compare("ratio", "ours", "torsocks")
    reports.close()
    return [*rows.values(), _command_line(rounds)]


def _hiding(level: str, place: Place) -> list[str]:
    """What a session would hide."""
    if level != "guard":
        return []
    return [word for path in sockets_of_others(str(place.directory), ()).paths for word in ("--hide", path)]


def _command_line(rounds: int) -> Measure:
    """What a user waits for before the first run: paid once a command, not once a run."""
    row = Measure("start of the command line", "ms", note="exitpin --version; once a command, not once a run")
    for _ in range(rounds):
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "exitpin", "--version"], stdout=subprocess.DEVNULL, check=True)
        row.add("ours", (time.monotonic() - began) * 1e3)
    return row


def _spawn(command: list[str]) -> float:
    began = time.monotonic()
    pid = os.posix_spawn(command[0], command, os.environ)
    _, status = os.waitpid(pid, 0)
    took_ms = (time.monotonic() - began) * 1e3
    if status != 0:
        raise RuntimeError(f"{command} ended with {status}")
    return took_ms


def _launched(command: list[str], config: str, reports: socket.socket) -> float:
    began = time.monotonic()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)]
    pid = os.posix_spawn(command[0], command, {**os.environ, "EXITPIN_SHIM": config}, file_actions=actions)
    theirs.close()
    if "--notify" in command:
        hook = _handed_over(ours, reports.getsockname())
    else:
        hook, _ = reports.accept()
    report = bindings.decode_report(hook.recv(1024))
    if report.nonce != NONCE or report.op != bindings.Op.HELLO:
        raise RuntimeError(f"not a hello: {report}")
    hook.send(bindings.encode_answer())
    hook.close()
    _, status = os.waitpid(pid, 0)
    took_ms = (time.monotonic() - began) * 1e3
    notices = [bindings.decode_notice(packet) for packet in iter(lambda: ours.recv(256), b"")]
    ours.close()
    if status != 0 or [notice.status for notice in notices if notice.kind == bindings.NoticeKind.EXITED] != [0]:
        raise RuntimeError(f"the launcher ended with {status}: {notices}")
    return took_ms


def _handed_over(control: socket.socket, path: str) -> socket.socket:
    """The hook's connection to the report socket, as the run's thread for its calls makes it."""
    descriptors: list[int] = []
    while not descriptors:
        _, descriptors, _, _ = socket.recv_fds(control, 256, 1)
    (listener,) = descriptors
    never = os.eventfd(0)
    taken = CallDoor(os.fsencode(path)).wait(listener, never, is_apart=False, may_listen=False)
    os.close(never)
    os.close(listener)
    assert taken is not None
    return socket.socket(fileno=taken.connection)
