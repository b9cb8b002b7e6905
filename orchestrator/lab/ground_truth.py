"""Judges attributions by what the targets saw, and by nothing else: the records say who, the targets' log says whether.

Theory. Every run has target addresses of its own (`owners`), and every exit leaves from an address of its own
(`relays`). So a connection that a target saw names its run by the address that it came *to*, and its exit by the
address that it came *from*; neither name passes through exitpin. The record of a run claims streams: a target endpoint
and an exit each. The two lists must be the same, one to one both ways:

  right     a claimed stream and a connection to that endpoint from that exit
  wrong     a connection that only another exit's stream, or another run's, could explain
  unknown   a connection that no record explains
  missing   a stream that the record calls succeeded and no target saw

In a lab that lives an address may have had several relays: then the time of the connection says which (`residents.py`).
A stream that was sent and did not succeed as far as the tool could see may have arrived all the same: it explains a
connection, but is not missing without one. Pure; called by the demo and by tests.
"""

import ipaddress
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .residents import Residents, settled

NO_TCP, ONWARD = "dns-udp", "onward"


@dataclass(frozen=True, slots=True, order=True)
class Arrival:
    """A connection that a target saw: where it came to (own) and where it came from (peer), and when (unix time)."""

    own: tuple[str, int]
    peer: tuple[str, int]
    t: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True, order=True)
class Claimed:
    """A stream of a record. `is_open`: the record says that it succeeded."""

    run_id: str
    exit: str
    target: tuple[str, int]
    is_open: bool


@dataclass(frozen=True, slots=True)
class Score:
    """What came of it. `problems` has a sentence for each connection that is not right."""

    claimed: int
    arrived: int
    right: int
    wrong: int
    unknown: int
    missing: int
    problems: tuple[str, ...]

    def is_perfect(self, expected: int) -> bool:
        """Whether all connections that were planned, and no others, left through the claimed exit."""
        return self.right == expected and not (self.wrong or self.unknown or self.missing)

    def summary(self, expected: int) -> str:
        """One line; `expected` is what the plan fixed before anything was started."""
        word = "OK" if self.is_perfect(expected) else "FAILED"
        missing = f", {self.missing} missing" if self.missing else ""
        return (
            f"attribution: {word} {self.right}/{expected} connections left through the claimed exit"
            f" ({self.wrong} wrong, {self.unknown} unknown{missing})"
        )


def read_arrivals(lines: Iterable[str | bytes], ignored: frozenset[str] = frozenset()) -> list[Arrival]:
    """The TCP connections of a log, but those to the `ignored` target addresses (the lab's own probe).

    What a man in the middle opened in an exit's name is none of the exit's; what he met is.
    """
    arrivals: list[Arrival] = []
    onward: set[Arrival] = set()
    for line in lines:
        seen = json.loads(line)
        own, peer = seen["own"], seen["peer"]
        if seen["service"] == NO_TCP or own[0] in ignored:
            continue
        arrival = Arrival((plain(own[0]), own[1]), (plain(peer[0]), peer[1]), seen.get("t", 0.0))
        if seen["service"] == ONWARD:
            onward.add(arrival)
        else:
            arrivals.append(arrival)
    return [arrival for arrival in arrivals if arrival not in onward]


def read_claims(records: Iterable[Mapping[str, Any]]) -> list[Claimed]:
    """The streams of `exitpin.run/1` records that Tor sent to their exit, look-ups left out."""
    claims = []
    for record in records:
        for stream in record["streams"]:
            is_sent = stream["stream_id"] is not None and stream["status"] in ("succeeded", "sent", "failed")
            if stream["is_lookup"] or not is_sent:
                continue
            host, _, port = stream["destination"].rpartition(":")
            host = host.strip("[]")
            where = host if _is_address(host) else stream["resolved"] or host
            is_open = stream["status"] == "succeeded"
            claims.append(Claimed(record["run_id"], record["exit"]["fingerprint"], (plain(where), int(port)), is_open))
    return claims


def score(
    claims: Iterable[Claimed],
    arrivals: Iterable[Arrival],
    *,
    relays: Mapping[str, str] | Residents,
    owners: Mapping[str, str],
) -> Score:
    """Compare. `relays`: address that a target sees -> fingerprint, or who lived there when; `owners`: target address
    -> its run."""
    residents = relays if isinstance(relays, Residents) else settled(relays)
    claims, arrivals = sorted(claims, key=lambda claim: not claim.is_open), sorted(arrivals)
    seen = Counter((arrival.own, residents.at(arrival.peer[0], arrival.t) or arrival.peer[0]) for arrival in arrivals)
    problems: list[str] = []
    right, strayed, unexplained = 0, [], []
    for claim in claims:
        if seen[claim.target, claim.exit] and owners.get(claim.target[0]) == claim.run_id:
            seen[claim.target, claim.exit] -= 1
            right += 1
        elif claim.is_open:
            unexplained.append(claim)
    for (own, exit_), count in sorted(seen.items()):
        strayed += [(own, exit_)] * count
    wrong = 0
    for own, exit_ in list(strayed):
        taken = next((claim for claim in unexplained if claim.target == own), None)
        if taken is not None:
            unexplained.remove(taken)
            strayed.remove((own, exit_))
            wrong += 1
            problems.append(
                f"wrong: {taken.run_id} claims {_text(own)} for exit {taken.exit}, the target belongs to "
                f"{owners.get(own[0], 'nobody')} and saw {exit_}"
            )
    problems += [f"unknown: {_text(own)} saw {exit_}, which no record claims" for own, exit_ in strayed]
    problems += [
        f"missing: {claim.run_id} claims {_text(claim.target)}, which saw nothing of it" for claim in unexplained
    ]
    claimed = sum(claim.is_open for claim in claims)
    return Score(claimed, len(arrivals), right, wrong, len(strayed), len(unexplained), tuple(problems))


def plain(address: str) -> str:
    """An address in its one canonical form; a name as it is."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address


def _is_address(text: str) -> bool:
    return ":" in text or text.replace(".", "").isdigit()


def _text(endpoint: tuple[str, int]) -> str:
    return f"{endpoint[0]}:{endpoint[1]}"
