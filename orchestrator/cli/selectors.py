"""The options that choose exits, shared by every verb that takes exits; what they mean; and the same as a table of a
plan (`selector_arguments`)."""

import argparse
import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from ...wrappers.tor import ControlChannel
from ..criteria import NOTHING_MORE, Known
from ..errors import EXIT_USAGE, OperatorError
from ..model import Destination, Fingerprint, Snapshot
from ..selection import InOrder, Selection, select
from .option_tables import OptionsParser, option_arguments
from .selector_values import exit_names, parse_destination, wanted

__all__ = [
    "add_selectors", "choose", "history_of", "known_to", "parse_destination", "selector_arguments", "selectors_given",
]  # fmt: skip


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
        "--ipv6", action="store_true",
        help="only exits whose ipv6-policy allows something; with --to NAME:PORT, this port",
    )  # fmt: skip
    group.add_argument(
        "--flag", action="append", default=[], metavar="FLAG", help="only relays with this flag, e.g. Stable"
    )
    group.add_argument("--not-flag", action="append", default=[], metavar="FLAG", help="only relays without this flag")
    group.add_argument(
        "--bad-exits", action="store_true", help="keep relays with the flag BadExit (only those: --flag BadExit)"
    )
    _add_origin(group)
    group.add_argument(
        "--bandwidth-min", type=int, metavar="N", help="only relays with this consensus weight or more, in kilobytes/s"
    )
    group.add_argument("--bandwidth-max", type=int, metavar="N", help="only relays with this weight or less")
    group.add_argument(
        "--measured", choices=("yes", "no"), help="only relays whose bandwidth three authorities have measured, or not"
    )
    group.add_argument(
        "--first-seen", metavar="TIME", help="only relays that you have not known for longer than that, e.g. 48h"
    )
    group.add_argument("--sample", type=int, metavar="N", help="N of them, drawn at random")
    group.add_argument("--limit", type=int, metavar="N", help="the first N of what is left")
    group.add_argument("--seed", type=int, metavar="N", help="makes every random choice repeatable")


def _add_origin(group: "argparse._ArgumentGroup") -> None:
    """Add what asks whose a relay is, and where."""
    group.add_argument(
        "--family", action="append", default=[], metavar="FP",
        help="only this relay and its family, or those with this family key (ed25519:...)",
    )  # fmt: skip
    group.add_argument("--contact", metavar="RE", help="only relays whose contact line matches this regular expression")
    group.add_argument(
        "--country", dest="countries", action="append", default=[], metavar="CC",
        help="only relays in these countries, by the GeoIP file of tor, e.g. de,nl (??: not known)",
    )  # fmt: skip
    group.add_argument(
        "--not-country", dest="not_countries", action="append", default=[], metavar="CC",
        help="only relays that are known to be in none of these",
    )  # fmt: skip
    group.add_argument(
        "--as", dest="systems", action="append", default=[], metavar="ASN",
        help="only relays in these autonomous systems, by --as-file, e.g. 64496,64511",
    )  # fmt: skip
    group.add_argument(
        "--not-as", dest="not_systems", action="append", default=[], metavar="ASN",
        help="only relays that are known to be in none of these",
    )  # fmt: skip
    group.add_argument(
        "--as-file", metavar="FILE",
        help="which AS announces what: lines of pyasn, RouteViews or GeoLite2 (default: as_file of config.toml)",
    )  # fmt: skip


def history_of(
    network: str, environment: Mapping[str, str], store: Path | None = None
) -> Callable[[], Mapping[Fingerprint, float]]:
    """What asks a store (by default the user's own) when which relay of a network (`Vantage.network`) was seen
    first."""

    def read() -> Mapping[Fingerprint, float]:
        from ..results.sightings import first_seen_of
        from ..results.store import store_path

        return first_seen_of(store or store_path(environment), network)

    return read


async def known_to(
    args: argparse.Namespace,
    channel: ControlChannel,
    snapshot: Snapshot,
    history: Callable[[], Mapping[Fingerprint, float]],
) -> Known:
    """What the options ask of relays that no snapshot says; nothing else is looked up. `history`: when the user saw
    which relay first. Raises OperatorError where there is nothing to look it up in."""
    names = {word for text in args.exits for word in text.split(",")}
    is_named = bool(names) and names.isdisjoint({"all", "any"})
    addresses = [relay.address for relay in snapshot.relays.values() if is_named or relay.could_exit]
    countries: Mapping[str, str] = {}
    if args.countries or args.not_countries:
        from ...wrappers.countries import countries_of

        countries = await countries_of(channel, addresses)
    systems: Mapping[str, frozenset[int]] = {}
    if args.systems or args.not_systems or args.as_file:
        from ...wrappers.as_file import read_systems

        systems = await asyncio.to_thread(read_systems, _as_file(args), addresses)
    seen: Mapping[Fingerprint, float] = {}
    if args.first_seen is not None:
        seen = await asyncio.to_thread(history)
        if not seen:
            hint = "The first scan sees them all: leave --first-seen out once, and every later one can tell."
            raise OperatorError("no relay was ever seen yet, so all would be new.", hint, EXIT_USAGE)
    return Known(countries, systems, seen, time.time())


def choose(
    args: argparse.Namespace,
    snapshot: Snapshot,
    rng: Random,
    either: tuple[Destination, ...] = (),
    known: Known = NOTHING_MORE,
    in_order: InOrder = list,
) -> Selection:
    """The exits that the options name; `either`: that allow one of these, if there are any; `known`: of `known_to`.
    With --seed nothing that was drawn from `rng` before matters. Raises OperatorError for a name or a filter that can't
    be understood."""
    asked = wanted(args, exit_names(args.exits or ["all"]), either)
    return select(snapshot, asked, rng if args.seed is None else Random(args.seed), known, in_order)


def selectors_given(args: argparse.Namespace) -> list[str]:
    """The options that say something about which exits, as far as they were given."""
    return [one.option_strings[-1] for one in _parser()._actions if getattr(args, one.dest) != one.default]


def _as_file(args: argparse.Namespace) -> Path:
    from ..settings import load_settings

    path = args.as_file or load_settings(os.environ).as_file
    if not path:
        raise OperatorError(
            "which AS an address is in, no file says.",
            'Give --as-file FILE, or as_file = "/path/of/it" in config.toml: lines of pyasn, RouteViews or GeoLite2.',
            EXIT_USAGE,
        )
    return Path(path)


def selector_arguments(table: Mapping[str, object]) -> list[str]:
    """The options that a table of a plan stands for (`to = ["example.org:443"]`, `limit = 10`, `ipv6 = true`); -e is
    `exits` there. Raises OperatorError with a line for all that is wrong."""
    return option_arguments(table, _parser(), _check)


def _parser() -> OptionsParser:
    parser = OptionsParser({"exit": "exits"})
    add_selectors(parser, required=False)
    return parser


def _check(args: argparse.Namespace) -> None:
    """Raises OperatorError or ValueError for values that the options would refuse."""
    if any(word == "-" for text in args.exits for word in text.split(",")):
        raise ValueError("- is what a command line's input says; write @FILE")
    wanted(args, ("all",))
