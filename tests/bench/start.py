"""(a) How long /bin/true takes, from the spawn until it is reaped: bare, under torsocks, under our launcher and shim.

All sides are spawned by this process with posix_spawn. Ours is what stands between an orchestrator and a tool: the
launcher, the preload library, its hello over the report socket and the answer, which this process gives by the same
records that the orchestrator uses. No circuit and no network on any side; a run's Python is measured under load.
"""

import os
import socket
import subprocess
import sys
import time
from statistics import median

from figures import Measure
from place import Place

from exitpin.shim import bindings

TRUE = "/bin/true"
NONCE = bytes(range(bindings.NONCE_SIZE))


def measure(place: Place, rounds: int, times: int) -> list[Measure]:
    """`rounds` times the medians of `times` starts of each side, in turn."""
    row = Measure("start of /bin/true", "ms", figure="{} of torsocks' time", goal="at most 0.33")
    reports = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    path = place.directory / "start.s"
    reports.bind(str(path))
    reports.listen(8)
    reports.settimeout(5)
    preload = place.directory / bindings.PRELOAD.name
    preload.symlink_to(bindings.PRELOAD)
    config = bindings.shim_config(NONCE, "127.64.0.1", path)
    launch = [str(bindings.LAUNCHER), "--control", "3", "--preload", str(preload), "--shim", config, "--", TRUE]
    for _ in range(rounds):
        took: dict[str, list[float]] = {"bare": [], "torsocks": [], "ours": []}
        for _ in range(times):
            took["bare"].append(_spawn([TRUE]))
            took["torsocks"].append(_spawn(["/usr/bin/torsocks", TRUE]))
            took["ours"].append(_launched(launch, reports))
        for side, values in took.items():
            row.add(side, median(values))
    row.compare("ratio", "ours", "torsocks")
    reports.close()
    return [row, _command_line(rounds)]


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


def _launched(command: list[str], reports: socket.socket) -> float:
    began = time.monotonic()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    theirs.close()
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
