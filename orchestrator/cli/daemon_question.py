"""What a client of the daemon asks, read as `exitpin run` and `exitpin sh` read it; and what is none of the daemon's.

All that is looked at here is the client's word: nothing is opened that could hold up the loop.
"""

import argparse
import contextlib
import importlib
import io
import os
import stat
from functools import cache

from ...shim.bindings import Lease
from ...wrappers.lease import close_all, unpacked
from ..network import Vantage
from ..settings import Settings
from .asked import Caller
from .lab_place import OF_THE_PROCESS

VERBS = ("run", "sh")

UNSET: dict[str, object] = {
    "events": None, "joblog": None, "control": None, "contact": None, "build_delay": None, "build_jitter": None,
    "repeat": 1, "countries": [], "not_countries": [], "systems": [], "not_systems": [], "as_file": None,
    "first_seen": None, "hops": None, "network_wait": None,
}  # fmt: skip
"""Options that no lease has, and their values when nobody gave them: files of the client's, a tor or a pace of its own,
several runs, a pattern that may take its time, what has to be looked up first."""
OF_THE_DAEMON = (
    *("first_hops", "first_hops_fallback", "hops", "network_wait_s", "build_delay_s", "build_jitter_s", "rate"),
    "control",
)
"""Settings that hold for all runs of a daemon."""
OF_THE_CALLER = ("TORSOCKS_CONF_FILE",)
"""Variables that name files of the client's."""


class Declined(Exception):
    """That is not for a daemon: the client does without."""


def read_question(ask: Lease, descriptors: list[int], vantage: Vantage) -> tuple[argparse.Namespace, Caller]:
    """The options of a command line, and whose it is. The descriptors are closed. Raises Declined."""
    try:
        (descriptor,) = descriptors
        directory, *words = unpacked(descriptor, 1 + ask.arguments + ask.variables)
    except (OSError, ValueError) as error:
        raise Declined from error
    finally:
        close_all(descriptors)
    variables = (word.partition("=") for word in words[ask.arguments :])
    environment = {name: value for name, equals, value in variables if equals}
    caller = Caller(environment, directory, frozenset(number for number in range(3) if ask.terminals >> number & 1))
    args = _parsed(words[: ask.arguments])
    _decline_what_is_no_lease(args, caller, vantage)
    return args, caller


def decline_other_settings(settings: Settings, of_the_daemon: Settings) -> None:
    """Raises Declined where a client has set what holds for all runs of a daemon."""
    if any(getattr(settings, name) != getattr(of_the_daemon, name) for name in OF_THE_DAEMON):
        raise Declined


@cache
def _parser(verb: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="exitpin")
    subparsers = parser.add_subparsers(dest="verb", required=True)
    importlib.import_module(f".{verb}", __package__).register(subparsers)
    return parser


def _parsed(words: list[str]) -> argparse.Namespace:
    """Raises Declined for what its own parser will explain better, to the client's own terminal."""
    if not words or words[0] not in VERBS:
        raise Declined
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            return _parser(words[0]).parse_args(words)
    except SystemExit:
        raise Declined from None


def _decline_what_is_no_lease(args: argparse.Namespace, caller: Caller, vantage: Vantage) -> None:
    name = args.name or caller.environment.get("EXITPIN_LAB") or "default"
    is_lab = args.lab or bool(caller.environment.get("EXITPIN_LAB"))
    is_odd = args.name is not None and not is_lab  # its own parser says so
    if is_odd or is_lab != vantage.is_lab or (is_lab and name != vantage.name):
        raise Declined
    if any(getattr(args, option) != value for option, value in UNSET.items()):
        raise Declined
    if not set(OF_THE_CALLER).isdisjoint(caller.environment):
        raise Declined
    if any(word == "-" or word.startswith("@") for text in args.exits for word in text.split(",")):
        raise Declined  # its input, and its files
    if args.record:
        _decline_what_is_no_file(caller.place(args.record))
    words = args.command if args.verb == "run" else args.words
    program = next((word for word in words if word != "--"), "")
    if "/" in program or (args.verb == "sh" and program and args.code is None):
        _decline_what_is_no_file(caller.place(program))


def _decline_what_is_no_file(path: str) -> None:
    """A pipe would be read for the client, and what stands below /dev is another process's."""
    if path.startswith(OF_THE_PROCESS):
        raise Declined
    with contextlib.suppress(OSError):
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise Declined
