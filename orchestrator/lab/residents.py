"""Which relay lived where, and when: the file `relays.jsonl` of a lab, written by its supervisor, for those who judge.

A line for each change of a relay: {"t": unix time, "change": what was asked for, "is_up": whether it relays from now
on, "nickname", "fingerprint", "address", "address6", "policy": [rules]}. A relay is said to be up before it is started,
and down after it has ended, so between two residents of an address nobody connects from it. Pure.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Stay:
    """A relay at an address, from `since` to `until` (None: it lives there still); unix times."""

    address: str
    fingerprint: str
    nickname: str
    since: float
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Residents:
    """All that ever lived in a lab, by address, in the order of time."""

    stays: Mapping[str, tuple[Stay, ...]]

    def at(self, address: str, t: float) -> str | None:
        """Who lived at an address at that time: its fingerprint; None: nobody had by then.

        A connection that its target saw only after the relay's end is still that relay's.
        """
        began = [stay for stay in self.stays.get(address, ()) if stay.since <= t]
        return began[-1].fingerprint if began else None


def settled(relays: Mapping[str, str]) -> Residents:
    """Of a network that never changes: address -> fingerprint."""
    return Residents({address: (Stay(address, one, "", 0.0),) for address, one in relays.items()})


def read_residents(lines: Iterable[str | bytes]) -> Residents:
    """All the stays that such a file tells of. A last line that is half written is left out."""
    stays: dict[str, list[Stay]] = {}
    for line in lines:
        try:
            fact: Mapping[str, Any] = json.loads(line)
        except ValueError:
            continue
        for address in filter(None, (fact["address"], fact["address6"])):
            _note(stays.setdefault(address, []), address, fact)
    return Residents({address: tuple(several) for address, several in stays.items()})


def _note(stays: list[Stay], address: str, fact: Mapping[str, Any]) -> None:
    last = stays[-1] if stays and stays[-1].until is None else None
    is_same = last is not None and last.fingerprint == fact["fingerprint"]
    if last is not None and not (is_same and fact["is_up"]):
        stays[-1] = Stay(address, last.fingerprint, last.nickname, last.since, fact["t"])
    if fact["is_up"] and not is_same:
        stays.append(Stay(address, fact["fingerprint"], fact["nickname"], fact["t"]))


def line_of(
    t: float,
    change: str,
    is_up: bool,
    nickname: str,
    fingerprint: str,
    addresses: tuple[str, str],
    policy: tuple[str, ...],
) -> str:
    """A line of the file."""
    fact = {
        "t": t, "change": change, "is_up": is_up, "nickname": nickname, "fingerprint": fingerprint,
        "address": addresses[0], "address6": addresses[1], "policy": policy,
    }  # fmt: skip
    return json.dumps(fact) + "\n"
