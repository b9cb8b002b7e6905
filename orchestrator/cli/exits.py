"""`exitpin exits`: which exits a selection names."""

import argparse
import asyncio
import json
import sys
from random import Random

from ..model import Relay
from .selectors import add_selectors, choose
from .vantage import add_vantage, inside

HELP = """\
List the exits of the current consensus that a selection names. What is dropped, and why, is said on stderr.

examples:
  exitpin exits --to example.org:443 --count
  exitpin exits --fp --sample 20 | xargs -I{} exitpin run -e {} -- curl -sS https://example.org/
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "exits", help="list exits", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_selectors(parser, required=False)
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
    from ..network import Vantage, read_consensus

    assert isinstance(vantage, Vantage)
    selection = choose(args, await read_consensus(vantage), Random(args.seed))
    print(f"exitpin: {selection.account()}", file=sys.stderr)
    if args.count:
        print(len(selection.exits))
    for relay in () if args.count else selection.exits:
        print(relay.fingerprint if args.fp else json.dumps(_object(relay)) if args.json else _line(relay))
    return 0


def _object(relay: Relay) -> dict[str, object]:
    return {
        "fingerprint": relay.fingerprint,
        "nickname": relay.nickname,
        "address": relay.address,
        "flags": sorted(relay.flags),
        "policy": relay.policy.text.splitlines() if relay.policy else None,
        "family": sorted(relay.family),
        "contact": relay.contact,
        "bandwidth": relay.bandwidth,
    }


def _line(relay: Relay) -> str:
    policy = relay.policy.text.splitlines() if relay.policy else ["no descriptor"]
    shown = ", ".join(policy[:3]) + (f", ... ({len(policy)} rules)" if len(policy) > 3 else "")
    return f"{relay.fingerprint}  {relay.nickname:<19}  {relay.address:<15}  {shown}"
