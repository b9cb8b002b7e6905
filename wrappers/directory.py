"""One snapshot of consensus and descriptors, read from our tor: GETINFO ns/all and desc/all-recent, parsed by stem.

Descriptors are parsed one by one and only as far as a selection needs; policies are ours
(`orchestrator/policy.py`). The documents themselves go with the snapshot: they are evidence.
"""

import re
from dataclasses import replace

from ..orchestrator.model import Fingerprint, Relay, Snapshot
from ..orchestrator.policy import ExitPolicy, parse_descriptor_policy
from .tor import ControlChannel, ControlError

_DESCRIPTOR = re.compile(r"^router ", re.MULTILINE)
_FINGERPRINT = re.compile(r"^(?:opt )?fingerprint ([0-9A-F ]+)$", re.MULTILINE)
_POLICY = re.compile(r"^(?:accept|reject) .*$", re.MULTILINE)
_IPV6_POLICY = re.compile(r"^ipv6-policy ((?:accept|reject) \S+)", re.MULTILINE)
_ACCEPTS = re.compile(r"^(?:accept |ipv6-policy accept )", re.MULTILINE)
_FAMILY = re.compile(r"^family (.*)$", re.MULTILINE)
_CONTACT = re.compile(r"^contact (.*)$", re.MULTILINE)


async def read_snapshot(channel: ControlChannel) -> Snapshot:
    """The snapshot that this tor has now. Raises ControlError."""
    status = (await channel.ask("GETINFO ns/all"))[0].partition("=")[2]
    descriptors = (await channel.ask("GETINFO desc/all-recent"))[0].partition("=")[2]
    valid_after = await _time(channel, "valid-after")
    distinct = (await channel.ask("GETCONF EnforceDistinctSubnets"))[0].partition("=")[2]
    snapshot = parse_snapshot(status, descriptors, valid_after, distinct != "0")
    fresh, valid = await _time(channel, "fresh-until"), await _time(channel, "valid-until")
    return replace(snapshot, consensus=await _signed_consensus(channel) or status, fresh_until=fresh, valid_until=valid)


async def read_fresh_until(channel: ControlChannel) -> str:
    """Until when tor's consensus is the newest that there should be. Raises ControlError."""
    return await _time(channel, "fresh-until")


async def _time(channel: ControlChannel, name: str) -> str:
    return (await channel.ask(f"GETINFO consensus/{name}"))[0].partition("=")[2].strip('"')


async def _signed_consensus(channel: ControlChannel) -> str:
    """The consensus with its signatures; empty for a tor that does not hand it out."""
    try:
        return (await channel.ask("GETINFO dir/status-vote/current/consensus"))[0].partition("=")[2].lstrip("\n")
    except ControlError:
        return ""


def parse_snapshot(status: str, descriptors: str, valid_after: str, distinct_subnets: bool) -> Snapshot:
    """Router status entries and server descriptors -> a snapshot, in the consensus' order."""
    from stem.descriptor.router_status_entry import RouterStatusEntryV3

    parsed, published = _descriptors(descriptors)
    relays: dict[Fingerprint, Relay] = {}
    for text in re.split(r"(?m)^(?=r )", status.strip("\n")):
        if not text.startswith("r "):
            continue
        entry = RouterStatusEntryV3(text.encode("utf-8", "surrogateescape"), validate=False)
        fingerprint = Fingerprint(str(entry.fingerprint))
        policy, family, contact = parsed.get(fingerprint, (None, frozenset(), ""))
        relays[fingerprint] = Relay(
            fingerprint, entry.nickname, entry.address, entry.or_port, frozenset(entry.flags), policy, family, contact,
            entry.bandwidth or 0,
        )  # fmt: skip
    return Snapshot(valid_after, relays, distinct_subnets, status, descriptors=published)


def _descriptors(
    text: str,
) -> tuple[dict[Fingerprint, tuple[ExitPolicy | None, frozenset[str], str]], dict[Fingerprint, str]]:
    """By fingerprint (policy, family, contact) of each server descriptor (dir-spec 2.1.1), and the text of those that
    let anything out."""
    found: dict[Fingerprint, tuple[ExitPolicy | None, frozenset[str], str]] = {}
    published: dict[Fingerprint, str] = {}
    for part in _DESCRIPTOR.split(text)[1:]:
        fingerprint = _FINGERPRINT.search(part)
        if fingerprint is None:
            continue
        family = _FAMILY.search(part)
        contact = _CONTACT.search(part)
        members = (
            frozenset(word.removeprefix("$")[:40].upper() for word in family[1].split()) if family else frozenset()
        )
        ipv6 = _IPV6_POLICY.search(part)
        policy: ExitPolicy | None
        try:
            policy = parse_descriptor_policy("\n".join(_POLICY.findall(part)), ipv6[1] if ipv6 else "")
        except ValueError:
            policy = None  # one odd descriptor: that relay is dropped and accounted for, the scan goes on
        name = Fingerprint(fingerprint[1].replace(" ", ""))
        found[name] = policy, members, contact[1] if contact else ""
        if _ACCEPTS.search(part) is not None:
            published[name] = f"router {part}"
    return found, published
