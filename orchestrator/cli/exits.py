"""`exitpin exits`: which exits a selection names, and why it does not name the others."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

from ..criteria import Known
from ..errors import OperatorError
from ..model import Relay
from .selectors import add_selectors, choose, history_of, known_to
from .vantage import add_vantage, inside

HELP = """\
List the exits of the current consensus that a selection names. How many are dropped, and why, is said on stderr;
--dropped lists those instead, each with the first reason against it.

examples:
  exitpin exits --to example.org:443 --count
  exitpin exits --country de,nl --measured yes --bandwidth-min 1000 --dropped
  exitpin exits --fp --sample 20 | xargs -I{} exitpin run -e {} -- curl -sS https://example.org/
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "exits", help="list exits", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_selectors(parser, required=False)
    parser.add_argument("--dropped", action="store_true", help="list who was dropped, and why, instead of the exits")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--fp", action="store_true", help="fingerprints only")
    form.add_argument("--count", action="store_true", help="only how many")
    add_vantage(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Print the exits; 0 even when none is left."""
    return inside(args, lambda vantage: asyncio.run(_list(args, vantage)))


async def _list(args: argparse.Namespace, vantage: object) -> int:
    from ..network import Vantage, consulted

    assert isinstance(vantage, Vantage)
    async with consulted(vantage) as (channel, snapshot):
        known = await known_to(args, channel, snapshot, history_of(vantage.network, os.environ))
        selection = choose(args, snapshot, Random(args.seed), known=known)
        shown = selection.left_out if args.dropped else tuple((relay, "") for relay in selection.exits)
        if args.json and not known.countries:
            from ...wrappers.countries import countries_of

            with suppress(OperatorError):  # nobody asked for it, and this tor has no GeoIP file
                known = replace(known, countries=await countries_of(channel, (relay.address for relay, _ in shown)))
    print(f"exitpin: {selection.account()}", file=sys.stderr)
    for line in [str(len(shown))] if args.count else _lines(args, shown, known):
        print(line)
    return 0


def _lines(args: argparse.Namespace, shown: Iterable[tuple[Relay, str]], known: Known) -> Iterable[str]:
    for relay, reason in shown:
        if args.json:
            yield json.dumps({**_object(relay, known), **({"dropped": reason} if reason else {})})
        elif args.fp:
            yield relay.fingerprint
        else:
            yield f"{relay.fingerprint}  {relay.nickname:<19}  {relay.address:<15}  {reason or _policy(relay)}"


def _object(relay: Relay, known: Known) -> dict[str, object]:
    """What is not known is null; `first_seen`, `as` and `country` are looked up when they are asked for, the last one
    whenever tor has a GeoIP file."""
    seen = known.first_seen.get(relay.fingerprint) or None  # 0: before the history began
    systems = known.systems.get(relay.address)
    return {
        "fingerprint": relay.fingerprint,
        "nickname": relay.nickname,
        "address": relay.address,
        "flags": sorted(relay.flags),
        "policy": relay.policy.text.splitlines() if relay.policy else None,
        "ipv6": (relay.policy.ipv6 or None) if relay.policy else None,
        "family": sorted(relay.family),
        "family_ids": sorted(relay.family_ids),
        "contact": relay.contact,
        "bandwidth": relay.bandwidth,
        "is_measured": relay.is_measured,
        "country": known.countries.get(relay.address),
        "as": None if systems is None else sorted(systems),
        "first_seen": None if seen is None else datetime.fromtimestamp(seen, UTC).isoformat(timespec="seconds"),
    }


def _policy(relay: Relay) -> str:
    policy = relay.policy.text.splitlines() if relay.policy else ["no descriptor that can be read"]
    return ", ".join(policy[:3]) + (f", ... ({len(policy)} rules)" if len(policy) > 3 else "")
