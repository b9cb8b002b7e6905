"""The options that choose exits, shared by every verb that takes exits; and what they mean."""

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random

from ..errors import EXIT_USAGE, OperatorError
from ..model import Destination, Snapshot
from ..selection import Selection, Wanted, select
from .option_tables import OptionsParser, option_arguments


def add_selectors(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add -e and the filters."""
    group = parser.add_argument_group("which exits")
    group.add_argument(
        "-e", "--exit", dest="exits", action="append", metavar="EXITS", required=required, default=[],
        help="fingerprints or nicknames (comma-separated, repeatable), `all`, `any` (a random one), @FILE or - (stdin)",
    )  # fmt: skip
    group.add_argument(
        "--to", dest="destinations", action="append", metavar="HOST:PORT", default=[],
        help="only exits whose policy allows this destination (repeatable)",
    )  # fmt: skip
    group.add_argument(
        "--flag", action="append", default=[], metavar="FLAG", help="only relays with this flag, e.g. Stable"
    )
    group.add_argument("--not-flag", action="append", default=[], metavar="FLAG", help="only relays without this flag")
    group.add_argument("--family", action="append", default=[], metavar="FP", help="only this relay and its family")
    group.add_argument("--contact", metavar="RE", help="only relays whose contact line matches this regular expression")
    group.add_argument("--bad-exits", action="store_true", help="keep relays that carry the BadExit flag")
    group.add_argument("--sample", type=int, metavar="N", help="N of them, drawn at random")
    group.add_argument("--seed", type=int, metavar="N", help="makes every random choice repeatable")


def parse_destination(text: str) -> Destination:
    """`host:port` or `[v6]:port`. Raises OperatorError."""
    host, colon, port = text.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise OperatorError(f"{text!r} is no destination.", "Write HOST:PORT, e.g. example.org:443.", EXIT_USAGE)
    return Destination(host, int(port))


def choose(
    args: argparse.Namespace, snapshot: Snapshot, rng: Random, either: tuple[Destination, ...] = ()
) -> Selection:
    """The exits that the options name; `either`: that allow one of these, if there are any. Raises OperatorError for a
    name or a filter that can't be understood."""
    if args.sample is not None and args.sample < 1:
        raise OperatorError("--sample wants a number from 1.", "", EXIT_USAGE)
    wanted = Wanted(
        names=_names(args.exits or ["all"]),
        destinations=tuple(parse_destination(text) for text in args.destinations),
        either=either,
        flags=tuple(args.flag),
        not_flags=tuple(args.not_flag),
        families=tuple(args.family),
        contact=_pattern(args.contact),
        with_bad_exits=args.bad_exits,
        sample=args.sample,
    )
    return select(snapshot, wanted, rng)


def selector_arguments(table: Mapping[str, object]) -> list[str]:
    """The options that a table of a plan stands for. Raises OperatorError."""
    parser = OptionsParser()
    add_selectors(parser, required=False)
    return option_arguments({"exit" if key == "exits" else key: value for key, value in table.items()}, parser)


def _names(given: list[str]) -> tuple[str, ...]:
    names: list[str] = []
    for text in given:
        for word in text.split(","):
            if word == "-":
                names += sys.stdin.read().split()
            elif word.startswith("@"):
                try:
                    names += Path(word[1:]).read_text(errors="replace").split()
                except OSError as error:
                    raise OperatorError(f"{word[1:]}: {error.strerror}.", "", EXIT_USAGE) from error
            elif word:
                names.append(word)
    if not names:
        raise OperatorError("no exit is named.", "Give -e FINGERPRINT, -e all or -e any.", EXIT_USAGE)
    return tuple(names)


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise OperatorError(f"--contact {text!r} is no regular expression: {error}.", "", EXIT_USAGE) from error
