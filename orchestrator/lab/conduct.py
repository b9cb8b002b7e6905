"""How one exit of the lab conducts itself: what it declares, what it does, and what an audit of it has to find.

Pure values. Read from a profile by `profile.py`, carried to the lab's processes as JSON. This is the planted truth:
verdict code must never import it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

PLAIN = "plain"
OPEN_POLICY = ("accept *:*",)


class Kind(StrEnum):
    """What sort of exit it is: honest (perhaps odd), broken without malice, or hostile."""

    HONEST = "honest"
    BROKEN = "broken"
    HOSTILE = "hostile"


@dataclass(frozen=True, slots=True)
class When:
    """Which connections are meddled with: those to one of `hosts` (names of targets or addresses; none: to all) and
    `ports` (none: what the meddler wants), of these every `every`th, after the first `after`."""

    hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    every: int = 1
    after: int = 0


@dataclass(frozen=True, slots=True)
class Meddle:
    """One thing that an exit does to connections: a meddler of `wrappers/lab_meddling.py` with its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    when: When = field(default_factory=When)


@dataclass(frozen=True, slots=True)
class Conduct:
    """One exit. `policy` is what it declares, `enforce` what it does instead (empty: what it declares); `latency_s`
    how late its connections are served; `resolver` what its name server does ("": it is the lab's). `expect`: by tool
    id the statuses of which one must come of an audit; a tool that is not named finds nothing ("ok"); `repeat`: in so
    many probes."""

    behaviour: str = PLAIN
    kind: Kind = Kind.HONEST
    policy: tuple[str, ...] = OPEN_POLICY
    enforce: tuple[str, ...] = ()
    exit_flag: bool = True
    latency_s: float = 0.0
    resolver: str = ""
    resolver_options: Mapping[str, Any] = field(default_factory=dict)
    meddle: tuple[Meddle, ...] = ()
    expect: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    repeat: int = 1


def encode(conduct: Conduct) -> dict[str, Any]:
    """As JSON values."""
    return asdict(conduct)


def digest(cast: Sequence[Conduct], hosts: Sequence[tuple[str, str]]) -> str:
    """By which two labs are known to be of one shape."""
    facts = json.dumps([[encode(one) for one in cast], list(hosts)], sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def decode(plain: Mapping[str, Any]) -> Conduct:
    """The reverse of `encode`, after a way through JSON."""
    meddle = tuple(
        Meddle(
            one["name"],
            one["options"],
            When(**{**one["when"], "hosts": tuple(one["when"]["hosts"]), "ports": tuple(one["when"]["ports"])}),
        )
        for one in plain["meddle"]
    )
    return Conduct(
        **{
            **plain,
            "kind": Kind(plain["kind"]),
            "policy": tuple(plain["policy"]),
            "enforce": tuple(plain["enforce"]),
            "meddle": meddle,
            "expect": {tool: tuple(statuses) for tool, statuses in plain["expect"].items()},
        }
    )
