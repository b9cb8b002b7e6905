"""The part that runs inside the lab: lays the wire, starts sniffer, errands and holder, and runs all cells, way by way.

python -m leaks.inside SPEC    (a JSON file: see run.py). Writes `cells.json` into the spec's directory; judges nothing.
"""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from exitpin.orchestrator.lab.state import LabState, load

from . import cells, wire
from .judging import PORT_FIRST
from .packets import PORTS_OWN
from .vectors import LISTENERS, NUMBERS, VECTORS, Vector
from .ways import BARE, EXIT, LEVELS, RIVALS, Way, level, order, rival, why_not
from .weakened import built_without

PAUSE_S = 1.2
EXITPIN_FAILED = 125


class Servant:
    """A process of ours that says when it is ready and ends with its stdin: not with a Ctrl-C, of which we hear."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.argv = tuple(argv)
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def hears(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def said(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.argv} did not start")
        return line.strip()

    def __enter__(self) -> "Servant":
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(10)


def servant(module: str, *words: str, before: Sequence[str] = ()) -> Servant:
    return Servant([*before, sys.executable, "-m", f"leaks.{module}", *words])


def furnish(stack: ExitStack, lab: LabState, directory: Path) -> tuple[cells.Stage, Servant]:
    """Wire, sniffer (returned, too), errands and holder, for as long as the stack lasts."""
    listeners = [str(PORTS_OWN + NUMBERS[name]) for name in LISTENERS]
    sniffer = servant("sniffer", str(directory / "wire.ndjson"), *listeners, before=("unshare", "-n"))
    stack.enter_context(sniffer)
    wait_for_namespace(sniffer.process.pid)
    socket.sethostname(f"198-51-100-{NUMBERS['own-name']}.ip.test")
    wire.lay(sniffer.process.pid, lab.directory / "resolv.conf")
    sniffer.hears("go")
    sniffer.said()
    sockets = directory / "s"
    sockets.mkdir()
    wire.leave_tap(sockets / "tap")
    abstract = f"exitpin-leaks-{lab.name}"
    errands = stack.enter_context(servant("errands", str(sockets), abstract))
    programs = directory / "programs"
    holder = stack.enter_context(Servant([str(programs / "holder")]))
    words = holder.said().split()
    return cells.Stage(programs, sockets, abstract, int(errands.said()), (words[0], words[1], words[2])), sniffer


def wait_for_namespace(pid: int) -> None:
    """Until unshare(1) has made it."""
    own, deadline = Path("/proc/self/ns/net").readlink(), time.monotonic() + 10
    while Path(f"/proc/{pid}/ns/net").readlink() == own:
        if time.monotonic() > deadline:
            raise RuntimeError("no network namespace for the sniffer")
        time.sleep(0.01)


def chosen_ways(lab: LabState, names: Sequence[str], directory: Path, without: str) -> tuple[list[Way], dict[str, str]]:
    """The ways that are there, and why the others are not."""
    launcher = built_without(without, directory / "exitpin-launch") if without else None
    there: list[Way] = []
    absent: dict[str, str] = {}
    for name in order(names):
        if name == BARE:
            there.append(Way(BARE))
        elif name in LEVELS:
            way = level(lab, name, launcher)
            reason = why_not(way)
            if reason:
                absent[name] = reason
            else:
                there.append(way)
        else:
            found = rival(lab, name, directory)
            if found is None:
                absent[name] = f"{name} is not installed"
            else:
                there.append(found)
    return there, absent


def run_phase(way: Way, port: int, vectors: Sequence[Vector], stage: cells.Stage, jobs: int) -> dict[str, Any]:
    """All vectors in one way."""
    started = time.time()

    def one(vector: Vector) -> tuple[str, dict[str, Any]]:
        began = time.monotonic()
        ended = cells.run(vector, way, port, stage)
        if way.is_alone and ended.status == EXITPIN_FAILED and not ended.output:
            ended = cells.run(vector, way, port, stage)  # what never ran proves nothing
        return vector.name, {**asdict(ended), "took_s": round(time.monotonic() - began, 2)}

    with ThreadPoolExecutor(1 if way.is_alone else jobs) as pool:
        found = dict(pool.map(one, vectors))
    time.sleep(PAUSE_S)  # what comes late is still of this phase
    print(f"leaks: {way.name}: {len(found)} vectors in {time.time() - started:.0f} s", file=sys.stderr, flush=True)
    return {"way": way.name, "port": port, "started": started, "ended": time.time(), "cells": found}


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text())
    directory, lab = Path(spec["directory"]), load(spec["lab"])
    vectors = [vector for vector in VECTORS if vector.name in spec["vectors"]]
    ways, absent = chosen_ways(lab, spec["ways"], directory, spec["without"])
    phases = []
    with ExitStack() as stack:
        stage, sniffer = furnish(stack, lab, directory)
        attaching = None
        for place, way in enumerate(ways):
            if way.name in RIVALS and attaching is None:
                middle, exit_ = lab.relay("mid1").fingerprint, lab.relay(EXIT).fingerprint
                attaching = servant("attach", str(lab.control_socket), str(lab.cookie_file), middle, exit_)
                stack.enter_context(attaching)
                attaching.said()
            phases.append(run_phase(way, PORT_FIRST + place, vectors, stage, spec["jobs"]))
        sniffer.hears("end")
        missed = int(sniffer.said())
    (directory / "cells.json").write_text(json.dumps({"phases": phases, "absent": absent, "missed": missed}))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
