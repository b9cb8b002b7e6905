"""`--lab` and `--control`: where a verb's tor comes from, and entering the lab's namespaces when it is the lab's."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from ..errors import EXIT_USAGE, OperatorError
from ..network import Vantage
from ..settings import load_settings
from .ending import exit_status_of


def add_vantage(parser: argparse.ArgumentParser) -> None:
    """Add --lab, --name and --control."""
    group = parser.add_argument_group("which Tor network")
    group.add_argument("--lab", action="store_true", help="the private network of `exitpin lab up`")
    group.add_argument("--name", default=None, help="the lab's name, when there are several")
    group.add_argument(
        "--control", metavar="SOCKET",
        help="control socket (path, or 127.0.0.1:PORT) of a running tor that serves exitpin alone; default: an own tor",
    )  # fmt: skip


def inside(args: argparse.Namespace, work: Callable[[Vantage], int]) -> int:
    """Run `work` where the chosen tor is: in the lab's namespaces, or here. Returns its exit status."""
    if os.environ.get("EXITPIN") == "1":
        hint = "What this command starts is pinned to the run's own exit already."
        raise OperatorError("this is the inside of a run, and a run can't hold another one.", hint)
    if is_of_a_lab(args):
        from ...wrappers.namespaces import run_inside
        from ..lab.state import DEFAULT_NAME, load

        state = load(args.name or os.environ.get("EXITPIN_LAB") or DEFAULT_NAME)
        vantage = Vantage("lab", state.control_socket, state.name, is_voted_on=state.voting is not None)
        return run_inside(state.supervisor_pid, lambda: exit_status_of(lambda: work(vantage)), _say_killed)
    control = args.control or load_settings(os.environ).control
    if control:
        return work(Vantage("control", _control(control)))
    from ...wrappers.own_tor import control_socket

    return work(Vantage("own", control_socket()))


def is_of_a_lab(args: argparse.Namespace) -> bool:
    """Whether a lab is meant, by the options or by EXITPIN_LAB. Raises OperatorError for options that contradict each
    other: a lab that is named must not be the real network."""
    if args.lab and args.control:
        raise OperatorError("--lab and --control exclude each other.", "", EXIT_USAGE)
    is_meant = bool(args.lab or (os.environ.get("EXITPIN_LAB") and not args.control))
    if args.name is not None and not is_meant:
        raise OperatorError(f"--name {args.name} names a lab, and no lab is asked for.", "Add --lab.", EXIT_USAGE)
    return is_meant


def _say_killed() -> None:
    print("exitpin: killed: the lab has ended, or somebody ended this process inside it.", file=sys.stderr)


def _control(text: str) -> Path | tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if colon and port.isdigit() and not text.startswith("/"):
        if not host.startswith("127."):
            raise OperatorError("--control must be on this machine (127.0.0.1).", "", EXIT_USAGE)
        return host, int(port)
    return Path(text)
