"""Which exits an audit asks, and which of them first: those that the options name, or those of a scan that goes on.

Called by `audit_scan.py`, with the snapshot that it judges by.
"""

import argparse
import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from ..audit.need import NEED, Past, by_need
from ..errors import OperatorError
from ..model import Fingerprint, Relay, Snapshot
from ..network import Network
from ..report.fields import text
from ..results.changed_exits import is_known_to
from ..results.exhibit import BlobError, exhibits
from ..results.sightings import first_seen_of
from ..results.standing import pasts_of
from ..results.stored import open_store
from .audit_resume import Resumed
from .report_options import age_s
from .say import say
from .selectors import choose, history_of, known_to


@dataclass(frozen=True, slots=True)
class Exits:
    """`relays`: those that are asked; `gone`: those that have left the network since the scan began; `ranks`: who comes
    first (`Schedule`)."""

    relays: Sequence[Relay]
    gone: Sequence[Fingerprint] = ()
    ranks: Mapping[Fingerprint, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the past of exits is known: a store, and whose relays they are (`Vantage.network`)."""

    store: Path
    network: str


async def exits_of(
    args: argparse.Namespace,
    network: Network,
    place: Place,
    rng: Random,
    environment: Mapping[str, str],
    resumed: Resumed | None,
) -> Exits:
    """Whom the scan asks. Raises OperatorError when that is nobody; of one that goes on, when it is none of theirs."""
    if resumed is None:
        return await _chosen_exits(args, network, place, rng, environment)
    return await asyncio.to_thread(_known_exits, args, network.snapshot, resumed, place, rng)


async def _chosen_exits(
    args: argparse.Namespace, network: Network, place: Place, rng: Random, environment: Mapping[str, str]
) -> Exits:
    """Those that the options name. Raises OperatorError when none is left; of a watch nobody may be new this time."""
    snapshot = network.snapshot
    known = await known_to(args, network.channel, snapshot, history_of(place.network, environment, place.store))

    def in_order(exits: Sequence[Relay]) -> Sequence[Relay]:
        return _in_order(args, exits, place, rng)

    selection = await asyncio.to_thread(choose, args, snapshot, rng, known=known, in_order=in_order)
    say(selection.account())
    if not selection.exits and args.iteration is None:
        raise OperatorError("the selection is empty.", "`exitpin exits` shows what each option leaves.")
    return Exits(selection.exits, ranks=_ranks(args, selection.exits))


def _known_exits(args: argparse.Namespace, snapshot: Snapshot, resumed: Resumed, place: Place, rng: Random) -> Exits:
    """Those of a scan that goes on: there may be none any more. Raises OperatorError when it is another network."""
    names = [Fingerprint(name) for name in resumed.scan["exits"]]
    there = [snapshot.relays[name] for name in names if name in snapshot.relays]
    if not there and not _is_its_network(snapshot, resumed, place.store):
        hint = "Is it the same? A lab that was started anew has other relays: begin a new scan."
        raise OperatorError(f"no exit of scan {resumed.scan_id} is in this network.", hint)
    gone = [name for name in names if name not in snapshot.relays]
    return Exits(there, gone, _ranks(args, _in_order(args, there, place, rng)))


def _is_its_network(snapshot: Snapshot, resumed: Resumed, store: Path) -> bool:
    """Whether any relay is here of those that a consensus of the scan has. Of one that was not kept nobody can tell."""
    reader = open_store(store)
    if reader is None:
        return False
    with reader:
        kept = [text(item, "sha256") for item in exhibits(resumed.scan) if text(item, "name") == "consensus"]
        with suppress(BlobError):
            return any(is_known_to(reader.blobs.read(name), snapshot.relays.keys()) for name in reversed(kept))
    return False


def _in_order(args: argparse.Namespace, exits: Sequence[Relay], place: Place, rng: Random) -> Sequence[Relay]:
    """Who needs it most first, if that is asked for."""
    if args.order != NEED:
        return exits
    seen, pasts = first_seen_of(place.store, place.network), _pasts(exits, place.store)
    newcomers_since = time.time() - age_s(args.newcomers, "--newcomers")
    return by_need(exits, seen, pasts, newcomers_since=newcomers_since, rng=rng)


def _ranks(args: argparse.Namespace, exits: Sequence[Relay]) -> dict[Fingerprint, int]:
    """Who comes first; nobody, if that is left to chance."""
    return {relay.fingerprint: rank for rank, relay in enumerate(exits)} if args.order == NEED else {}


def _pasts(exits: Sequence[Relay], store: Path) -> dict[Fingerprint, Past]:
    reader = open_store(store)
    if reader is None:
        return {}
    with reader:
        told = pasts_of(reader, [relay.fingerprint for relay in exits])
    return {Fingerprint(name): Past(*past) for name, past in told.items()}
