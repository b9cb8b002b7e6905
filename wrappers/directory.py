"""One snapshot of consensus and descriptors, read from our tor, all of it of one consensus.

The signed consensus is read where tor hands it out (`dir/status-vote/current/consensus`), else what it makes of it
(`ns/all`), which does not say whose bandwidth was measured. Documents stay bytes until they are parsed: they are large,
and evidence. Parsed in a thread, since a loop that carries runs may be waiting.
"""

import asyncio
from dataclasses import replace
from functools import cache

from ..orchestrator.model import Fingerprint, Relay, Snapshot
from ..orchestrator.policy import ExitPolicy
from . import consensus, descriptors
from .tor import ControlChannel, ControlError

TRIES = 3
UNRECOGNIZED = ": 552 "


async def read_snapshot(channel: ControlChannel) -> Snapshot:
    """The snapshot that this tor has now. Raises ControlError."""
    distinct = (await channel.ask("GETCONF EnforceDistinctSubnets"))[0].partition("=")[2]
    valid_after = await _time(channel, "valid-after")
    for _ in range(TRIES):
        status = await _signed_consensus(channel, valid_after) or await channel.ask_data("GETINFO ns/all")
        described = await channel.ask_data("GETINFO desc/all-recent")
        fresh, valid = await _time(channel, "fresh-until"), await _time(channel, "valid-until")
        before, valid_after = valid_after, await _time(channel, "valid-after")
        if before == valid_after:  # else tor has taken a new consensus meanwhile
            try:
                found = await asyncio.to_thread(parse_snapshot, status, described, valid_after, distinct != "0")
            except ValueError as error:
                raise ControlError(f"the consensus of {valid_after} can't be read: {error}.") from error
            return replace(found, fresh_until=fresh, valid_until=valid)
    raise ControlError(f"tor took a new consensus {TRIES} times while it was asked for one.", "Try again.")


async def read_fresh_until(channel: ControlChannel) -> str:
    """Until when tor's consensus is the newest that there should be. Raises ControlError."""
    return await _time(channel, "fresh-until")


async def read_policy(channel: ControlChannel, fingerprint: Fingerprint) -> ExitPolicy | None:
    """The exit policy by the newest descriptor of a relay that this tor has; None: it has none that can be read. Raises
    ControlError."""
    try:
        text = await channel.ask_data(f"GETINFO desc/id/{fingerprint}")
    except ControlError as error:
        if UNRECOGNIZED in error.message:  # how tor says that it knows no such relay
            return None
        raise
    return descriptors.descriptors(text, dict).get(fingerprint, NOT_DESCRIBED).policy


async def _time(channel: ControlChannel, name: str) -> str:
    return (await channel.ask(f"GETINFO consensus/{name}"))[0].partition("=")[2].strip('"')


async def _signed_consensus(channel: ControlChannel, valid_after: str) -> bytes:
    """The consensus with its signatures; empty for a tor that does not hand it out, or whose disk has another one."""
    try:
        signed = (await channel.ask_data("GETINFO dir/status-vote/current/consensus")).lstrip(b"\n")
    except ControlError:
        return b""
    return signed if consensus.valid_after(signed) == valid_after else b""


def parse_snapshot(status: bytes, described: bytes, valid_after: str, distinct_subnets: bool) -> Snapshot:
    """Router status entries and server descriptors -> a snapshot, in the consensus' order. Raises ValueError."""
    published = descriptors.Texts()
    known = descriptors.descriptors(described, cache(lambda: consensus.digests(status)))
    relays: dict[Fingerprint, Relay] = {}
    for entry in consensus.entries(status):
        own = known.get(entry.fingerprint, NOT_DESCRIBED)
        if own.text:
            published.add(entry.fingerprint, own.text)
        relays[entry.fingerprint] = Relay(
            entry.fingerprint, entry.nickname, entry.address, entry.or_port, entry.flags, own.policy, own.family,
            own.contact, entry.bandwidth, entry.is_measured, own.family_ids,
        )  # fmt: skip
    consensus_text = status.decode("utf-8", "surrogateescape")
    return Snapshot(valid_after, relays, distinct_subnets, consensus_text, descriptors=published)


NOT_DESCRIBED = descriptors.Described(None, frozenset(), frozenset(), "")
