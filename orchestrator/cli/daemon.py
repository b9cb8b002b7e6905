"""`exitpin daemon`: tor, its consensus and warm circuits held open, so that loops of `exitpin run` are fast."""

import argparse
import asyncio
import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from ..errors import EXIT_FAILED, OperatorError
from ..network import Vantage
from .vantage import add_vantage, inside

HELP = """\
Hold tor, its consensus and warm circuits open: then a loop of `exitpin run` (or `sh`) through one exit each pays for
none of them. They find the daemon by themselves. The client runs the command: its directory, limits, terminal and
environment are the caller's, and a run ends with its client.

What a daemon is not for (several exits in one command, --events, --joblog, `exitpin audit`) borrows tor from it: it
waits until the runs under way have ended, and the daemon goes on after it.
"""

EPILOG = """\
exit status: 0; 3 of `status`: no daemon is running; 125 it could not be started, or ended

examples:
  exitpin daemon start --lab
  exitpin exits --lab --fp | xargs -P8 -I{} exitpin run --lab -e {} -- curl -sS http://web.test/ip
  exitpin daemon status --lab
  exitpin daemon stop --lab
  exitpin daemon run                                          what a service manager starts
  EXITPIN_NO_DAEMON=1 exitpin run --lab -e exit01 -- true     without it, this once
"""

NOT_RUNNING = 3
NOTICE_S, START_TIMEOUT_S = 3.0, 300.0
STOP_TIMEOUT_S = 30.0
READY = "EXITPIN_READY_FD"
"""The descriptor on which a daemon that was started in the background says that it serves."""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "daemon", help="hold tor and circuits open for loops", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    verbs = parser.add_subparsers(title="verbs", dest="daemon_verb", metavar="VERB", required=True)
    for name, what, execute in (
        ("run", "serve in the foreground, until a signal ends it (this is what a service manager starts)", _run),
        ("start", "start one in the background; returns when it serves", _start),
        ("status", "what it does; 3 if there is none", _status),
        ("stop", "end it, and the runs that it serves", _stop),
    ):
        sub = verbs.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        if name == "status":
            sub.add_argument("--json", action="store_true", help="one JSON object")
        if name in ("run", "start"):
            sub.add_argument("--build-delay", metavar="TIME", help="between two circuits, e.g. 3s")
            sub.add_argument("--build-jitter", metavar="TIME", help="added to it at random, at most")
        add_vantage(sub)
        sub.set_defaults(execute=execute)


def _run(args: argparse.Namespace) -> int:
    ready = _ready_descriptor()

    def work(vantage: Vantage) -> int:
        from .daemon_serve import Daemon
        from .politeness import pace_of, settings_in_force

        _refuse_control(vantage)
        args.timeout = args.jobs = None
        settings = settings_in_force(args, os.environ, vantage)

        async def serve() -> int:
            return await Daemon(vantage, settings, pace_of(settings, vantage), ready).run()

        return asyncio.run(serve())

    return inside(args, work)


def _start(args: argparse.Namespace) -> int:
    from ...wrappers.runtime import private_directory, runtime_directory

    pid = _pid_of_daemon(args)
    if pid is not None:
        raise OperatorError(f"a daemon is running already (pid {pid}).", "`exitpin daemon stop` ends it.")
    name = f"daemon-lab-{_lab_of(args)}.log" if _lab_of(args) else "daemon.log"
    path = private_directory(runtime_directory()) / name
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "exitpin", "daemon", "run", *_again(args)]
    environment = {**os.environ, READY: str(writing)}
    with path.open("wb") as log, contextlib.closing(os.fdopen(reading, "rb")) as word:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, pass_fds=(writing,),
            env=environment,
        )  # fmt: skip
        os.close(writing)
        if not select.select([word], [], [], NOTICE_S)[0]:
            print(f"exitpin: waiting for tor; what the daemon says stands in {path}", file=sys.stderr)
        is_ready = bool(select.select([word], [], [], START_TIMEOUT_S)[0]) and word.read(1) == b"1"
    if is_ready:
        child.returncode = 0  # it stays, and is nobody's to wait for
        return 0
    child.terminate()
    status = child.wait()
    sys.stderr.write(path.read_text(errors="replace"))
    return status if status > 0 else EXIT_FAILED


def _status(args: argparse.Namespace) -> int:
    return inside(args, lambda vantage: _tell_status(args, vantage))


def _tell_status(args: argparse.Namespace, vantage: Vantage) -> int:
    from ...shim.bindings import LeaseKind

    answer = _ask(vantage, LeaseKind.STATUS)
    if answer is None:
        print("exitpin: no daemon is running", file=sys.stderr)
        return NOT_RUNNING
    if args.json:
        print(answer.decode().strip())
        return 0
    told = json.loads(answer)
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(told["started"]))
    counts = ", ".join(f"{told[name]} {name.replace('_', ' ')}" for name in ("served", "running", "waiting"))
    print(f"{told['state']} (pid {told['pid']}) since {since}; runs: {counts}; warm circuits: {told['warm_circuits']}")
    print(f"tor {told['tor'] or '-'}, consensus {told['consensus'] or '-'}")
    if told["problem"]:
        print(f"tor can't be used: {told['problem']}")
    return 0


def _stop(args: argparse.Namespace) -> int:
    return inside(args, _tell_to_stop)


def _tell_to_stop(vantage: Vantage) -> int:
    from ...wrappers.lease import daemon_socket, stop_daemon

    _refuse_control(vantage)
    has_ended = stop_daemon(daemon_socket(vantage.kind, vantage.name), STOP_TIMEOUT_S)
    if has_ended is None:
        print("exitpin: no daemon is running", file=sys.stderr)
    elif not has_ended:
        raise OperatorError(f"the daemon has not ended within {STOP_TIMEOUT_S:g} s.", "`kill -9` ends its tools, too.")
    return 0


def _ask(vantage: Vantage, kind: int) -> bytes | None:
    """What the daemon answers; None: there is none."""
    from ...wrappers.lease import ask_daemon, daemon_socket

    _refuse_control(vantage)
    return ask_daemon(daemon_socket(vantage.kind, vantage.name), kind)


def _refuse_control(vantage: Vantage) -> None:
    if vantage.kind == "control":
        raise OperatorError("a daemon holds an own tor, or the lab's.", "Leave --control (or `control`) away.")


def _lab_of(args: argparse.Namespace) -> str:
    """The name of the lab that is meant; empty: none is."""
    given = os.environ.get("EXITPIN_LAB", "")
    return args.name or given or "default" if args.lab or (given and not args.control) else ""


def _pid_of_daemon(args: argparse.Namespace) -> int | None:
    """None: there is none."""
    from ...wrappers.lease import connect_to_daemon, credentials_of, daemon_socket

    connection = connect_to_daemon(daemon_socket("lab" if _lab_of(args) else "own", _lab_of(args)))
    if connection is None:
        return None
    with contextlib.closing(connection):
        return credentials_of(connection)[0]


def _again(args: argparse.Namespace) -> Sequence[str]:
    """The options, as they were given."""
    options = {"--build-delay": args.build_delay, "--build-jitter": args.build_jitter, "--name": args.name}
    words = [word for option, value in options.items() if value for word in (option, value)]
    return [*words, *(["--lab"] if args.lab else []), *(["--control", args.control] if args.control else [])]


def _ready_descriptor() -> Callable[[], None]:
    """What to call when clients are served: whoever started us in the background waits for that."""
    descriptor = os.environ.pop(READY, "")

    def tell() -> None:
        nonlocal descriptor
        if descriptor:
            os.write(int(descriptor), b"1")
            os.close(int(descriptor))
            descriptor = ""

    return tell
