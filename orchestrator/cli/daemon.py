"""`exitpin daemon`: tor, its consensus and warm circuits held open, so that loops of `exitpin run` are fast."""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ..errors import EXIT_FAILED, EXIT_USAGE, OperatorError
from ..network import Vantage
from .vantage import add_vantage, inside, is_of_a_lab

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
  EXITPIN_DAEMON=/run/user/1000/mine exitpin daemon run       on a socket that its clients name in the same way
  EXITPIN_NO_DAEMON=1 exitpin run --lab -e exit01 -- true     without it, this once
"""

NOT_RUNNING = 3
STOP_TIMEOUT_S = 30.0


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
    from ...wrappers.daemon_start import LIFE, on_serving

    ready, life = on_serving(), os.environ.pop(LIFE, "")

    def work(vantage: Vantage) -> int:
        from .daemon_serve import Daemon
        from .politeness import pace_of, settings_in_force

        _refuse_control(vantage)
        args.timeout = args.jobs = None
        settings = settings_in_force(args, os.environ, vantage)

        async def serve() -> int:
            pace = pace_of(settings, vantage)
            return await Daemon(vantage, settings, pace, ready, int(life) if life else None).run()

        return asyncio.run(serve())

    return inside(args, work)


def _start(args: argparse.Namespace) -> int:
    from ...wrappers.daemon_socket import daemon_log
    from ...wrappers.daemon_start import serves, start_daemon
    from ...wrappers.runtime import private_directory

    pid = _pid_of_daemon(args)
    if pid is not None:
        raise OperatorError(f"a daemon is running already (pid {pid}).", "`exitpin daemon stop` ends it.")
    path = daemon_log("lab" if _lab_of(args) else "own", _lab_of(args))
    private_directory(path.parent)
    with path.open("w+b") as log:
        child, word = start_daemon(_again(args), log, os.environ)
        late = f"exitpin: waiting for tor; what the daemon says stands in {path}"
        if serves(word, lambda: print(late, file=sys.stderr)):
            child.returncode = 0  # it stays, and is nobody's to wait for
            return 0
        child.terminate()
        status = child.wait()
        log.seek(0)
        sys.stderr.write(log.read().decode(errors="replace"))  # its name may be gone: `lab down` takes it
    return status if status > 0 else EXIT_FAILED


def _status(args: argparse.Namespace) -> int:
    from ...shim.bindings import LeaseKind
    from ...wrappers.daemon_socket import ask_daemon

    answered = ask_daemon(_socket(args), LeaseKind.STATUS)
    if answered is None:
        print("exitpin: no daemon is running", file=sys.stderr)
        return NOT_RUNNING
    pid, answer = answered
    told = {**json.loads(answer), "pid": pid}  # as it is seen from here: a lab has numbers of its own
    if args.json:
        print(json.dumps(told))
        return 0
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(told["started"]))
    counts = ", ".join(f"{told[name]} {name.replace('_', ' ')}" for name in ("served", "running", "waiting"))
    print(f"{told['state']} (pid {pid}) since {since}; runs: {counts}; warm circuits: {told['warm_circuits']}")
    print(f"tor {told['tor'] or '-'}, consensus {told['consensus'] or '-'}")
    if told["problem"]:
        print(f"tor can't be used: {told['problem']}")
    return 0


def _stop(args: argparse.Namespace) -> int:
    from ...wrappers.daemon_socket import daemon_log, stop_daemon

    path = _socket(args)
    pid = _pid_of_daemon(args)
    has_ended = stop_daemon(path, STOP_TIMEOUT_S)
    if has_ended is None:
        print("exitpin: no daemon is running", file=sys.stderr)
    elif not has_ended:
        raise OperatorError(
            f"the daemon has not ended within {STOP_TIMEOUT_S:g} s.", f"`kill -9 {pid}` ends its runs, too."
        )
    log = daemon_log("lab" if _lab_of(args) else "own", _lab_of(args))
    with contextlib.suppress(OSError):
        if log.stat().st_size == 0:
            log.unlink()
    return 0


def _socket(args: argparse.Namespace) -> Path:
    """Where the daemon of this vantage listens."""
    from ...wrappers.daemon_socket import daemon_socket

    if args.control:
        raise OperatorError("a daemon holds an own tor, or the lab's.", "Leave --control away.", EXIT_USAGE)
    name = _lab_of(args)
    return daemon_socket("lab" if name else "own", name)


def _refuse_control(vantage: Vantage) -> None:
    if vantage.kind == "control":
        raise OperatorError("a daemon holds an own tor, or the lab's.", "Leave --control (or `control`) away.")


def _lab_of(args: argparse.Namespace) -> str:
    """The name of the lab that is meant; empty: none is."""
    return args.name or os.environ.get("EXITPIN_LAB") or "default" if is_of_a_lab(args) else ""


def _pid_of_daemon(args: argparse.Namespace) -> int | None:
    """None: there is none."""
    from ...wrappers.daemon_socket import connect_to_daemon, credentials_of

    connection = connect_to_daemon(_socket(args))
    if connection is None:
        return None
    with contextlib.closing(connection):
        return credentials_of(connection)[0]


def _again(args: argparse.Namespace) -> Sequence[str]:
    """The options, as they were given."""
    options = {"--build-delay": args.build_delay, "--build-jitter": args.build_jitter, "--name": args.name}
    words = [word for option, value in options.items() if value for word in (option, value)]
    return [*words, *(["--lab"] if args.lab else [])]
