"""Joins that are wrong on purpose: what `streams.py` would be with one witness less, or with exitmap's rule.

Negative controls. A test that passes with one of these does not test attribution. `WEAK_JOINS` is what a table of
controls runs over; each is a `streams.Join`. `PortOnlyStreams` is exitmap's whole rule: besides its join, a port that
was reported once stays reported.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exitpin.orchestrator.control_lines import StreamEvent
from exitpin.orchestrator.model import Claim, Endpoint
from exitpin.orchestrator.streams import Join, Streams


def _latest(claims: Iterable[Claim]) -> Claim | None:
    return next(iter(reversed(list(claims))), None)


def join_by_last_reported_port(claims: Mapping[Endpoint, Claim], event: StreamEvent) -> Claim | None:
    """exitmap: the circuit that was last reported for this source port, whoever reported it and whenever."""
    if event.source_addr is None:
        return None
    return _latest(claim for claim in claims.values() if claim.source.port == event.source_addr.port)


def join_without_address(claims: Mapping[Endpoint, Claim], event: StreamEvent) -> Claim | None:
    """Port and tag agree; the address is not looked at."""
    if event.source_addr is None:
        return None
    return _latest(
        claim
        for claim in claims.values()
        if claim.source.port == event.source_addr.port and claim.tag == event.socks_username
    )


def join_without_port(claims: Mapping[Endpoint, Claim], event: StreamEvent) -> Claim | None:
    """Address and tag agree; the port is not looked at."""
    if event.source_addr is None:
        return None
    return _latest(
        claim
        for claim in claims.values()
        if claim.source.host == event.source_addr.host and claim.tag == event.socks_username
    )


def join_without_tag(claims: Mapping[Endpoint, Claim], event: StreamEvent) -> Claim | None:
    """Address and port agree; the SOCKS user name is not looked at."""
    return claims.get(event.source_addr) if event.source_addr else None


WEAK_JOINS: Mapping[str, Join] = {
    "last reported port": join_by_last_reported_port,
    "without address": join_without_address,
    "without port": join_without_port,
    "without tag": join_without_tag,
}


@dataclass(slots=True)
class PortOnlyStreams(Streams):
    """A stream table by exitmap's rule: no address, no tag, no expiry."""

    join: Join = join_by_last_reported_port

    def add_claim(self, claim: Claim) -> bool:
        """The latest report of an endpoint wins."""
        self.claims.pop(claim.source, None)
        self.claims[claim.source] = claim
        return True

    def drop_claim(self, source: Endpoint, tag: str) -> None:
        """Nothing expires."""

    def drop_claims_of(self, run_id: str) -> None:
        """Nothing expires."""
