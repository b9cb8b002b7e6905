"""The lab's supervisor: pid 1 of the lab's PID namespace, so that its end is the end of everything in the lab.

`python -m exitpin.wrappers.lab_supervisor SPEC` makes the namespaces, boots the network and tells its progress as
JSON lines on stdout: {"phase", "done", "of"}, and at last {"ready": true} or {"error", "hint"}. Until it is ready
(and, with "stay" in the spec, for good) it dies with the process that started it. After that it only reaps, unless
the lab lives (`lab_life.py`), and exits on SIGTERM or SIGINT.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from ..orchestrator.errors import OperatorError
from ..orchestrator.lab import state as lab_state
from ..orchestrator.lab.network import of_spec
from . import lab_keys, lab_world
from .lab_boot import Boot, boot, describe, note_residents
from .lab_plant import Plant
from .namespaces import die_with_parent, outlive_parent, run_as_init


def say(**fact: Any) -> None:
    """One line for whoever started us."""
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


def reap(state: lab_state.LabState) -> NoReturn:
    """Wait for children for good; a relay that has ended gets pid 0 in the state file."""
    while True:
        found = signal.sigwait({signal.SIGCHLD, signal.SIGTERM, signal.SIGINT})
        if found != signal.SIGCHLD:
            os._exit(0)
        dead = set(_ended())
        if any(relay.pid in dead for relay in state.relays) or state.client_pid in dead:
            relays = tuple(replace(relay, pid=0 if relay.pid in dead else relay.pid) for relay in state.relays)
            state = replace(state, relays=relays, client_pid=0 if state.client_pid in dead else state.client_pid)
            lab_state.save(state)


def _ended() -> Iterator[int]:
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid


def said_ready() -> None:
    """The last word to whoever started us."""
    say(ready=True)
    with open(os.devnull, "rb+", buffering=0) as nothing:
        os.dup2(nothing.fileno(), 1)


def supervise(spec: dict[str, Any]) -> int:
    """The life of pid 1."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    outside = int(os.readlink("/proc/self"))  # the old /proc still tells our pid in the namespace outside
    start = lab_state.process_start(outside)
    assert start is not None
    try:
        directory = Path(spec["directory"])
        lab_world.furnish(directory, f"lab-{spec['name']}")
        one = Boot(spec, of_spec(spec), Plant(directory), Path(spec["cache"]), say)
        who, socks, kind = boot(one)
        state = describe(one, who, socks, kind, (outside, start))
        note_residents(state)
        lab_state.save(state)
    except OperatorError as error:
        say(error=error.message, hint=error.hint)
        return error.exit_status
    if one.voting is None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT})
    if not spec["stay"]:
        outlive_parent()
    if one.voting is not None:
        from .lab_life import live  # slow to import, for a lab that only reaps

        live(one, who, lab_keys.link_key_environment(one.cache), state, said_ready)
    said_ready()
    os.kill(os.getpid(), signal.SIGCHLD)  # what ended while nobody looked
    reap(state)


def main() -> int:
    path = Path(sys.argv[1])
    spec = {**json.loads(path.read_text()), "path": str(path)}
    die_with_parent(spec["parent"])
    try:
        return run_as_init(lambda: supervise(spec))
    except OperatorError as error:
        say(error=error.message, hint=error.hint)
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
