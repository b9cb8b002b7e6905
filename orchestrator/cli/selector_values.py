"""The values of the options that choose exits: text -> what a selection asks for. All that is wrong raises
OperatorError."""

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from ..criteria import UNKNOWN_COUNTRY, Wanted
from ..errors import EXIT_USAGE, OperatorError
from ..model import Destination
from .report_options import age_s

T = TypeVar("T")

_COUNTRY = re.compile(r"[a-z]{2}|\?\?")
_SYSTEM = re.compile(r"(?:AS)?([1-9][0-9]{0,9})", re.IGNORECASE)
_FAMILY = re.compile(r"\$?[0-9A-Fa-f]{40}|ed25519:[A-Za-z0-9+/]{43}")
_FLAG = re.compile(r"[A-Za-z0-9]{1,32}")


def wanted(args: argparse.Namespace, names: tuple[str, ...], either: tuple[Destination, ...] = ()) -> Wanted:
    """What the options ask for, but for the names of exits, which may stand in files."""
    for option, least in (("sample", 1), ("limit", 1), ("bandwidth_min", 0), ("bandwidth_max", 0)):
        number = getattr(args, option)
        if number is not None and number < least:
            raise OperatorError(f"--{option.replace('_', '-')} wants a number from {least}.", "", EXIT_USAGE)
    return Wanted(
        names=names,
        destinations=tuple(parse_destination(text) for text in args.destinations),
        either=either,
        with_ipv6=args.ipv6,
        flags=tuple(map(_flag, args.flag)),
        not_flags=tuple(map(_flag, args.not_flag)),
        with_bad_exits=args.bad_exits,
        families=tuple(map(_family, args.family)),
        contact=_contact(args.contact),
        countries=frozenset(_each(args.countries, _country)),
        not_countries=frozenset(_each(args.not_countries, _country)),
        systems=frozenset(_each(args.systems, _system)),
        not_systems=frozenset(_each(args.not_systems, _system)),
        bandwidth_min=args.bandwidth_min,
        bandwidth_max=args.bandwidth_max,
        is_measured=None if args.measured is None else args.measured == "yes",
        first_seen_within_s=_age(args.first_seen),
        sample=args.sample,
        limit=args.limit,
    )


def parse_destination(text: str) -> Destination:
    """`host:port` or `[v6]:port`."""
    host, colon, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if is_bracketed else host
    is_port = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536
    if not colon or not host or not is_port or is_bracketed is not (":" in host) or not host.isprintable():
        raise OperatorError(
            f"{text!r} is no destination.", "Write HOST:PORT, e.g. example.org:443 or [2001:db8::1]:443.", EXIT_USAGE
        )
    return Destination(host, int(port))


def exit_names(given: Iterable[str]) -> tuple[str, ...]:
    """Those of -e, with what stands in files and comes from stdin."""
    names: list[str] = []
    for text in given:
        for word in text.split(","):
            if word == "-":
                names += sys.stdin.read().split()
            elif word.startswith("@"):
                try:
                    names += Path(word[1:]).read_text(errors="replace").split()
                except OSError as error:
                    raise OperatorError(f"{word[1:]}: {error.strerror}.", "", EXIT_USAGE) from error
            elif word:
                names.append(word)
    if not names:
        raise OperatorError("no exit is named.", "Give -e FINGERPRINT, -e all or -e any.", EXIT_USAGE)
    return tuple(names)


def _each(given: Sequence[str], parse: Callable[[str], T]) -> list[T]:
    return [parse(word.strip()) for text in given for word in text.split(",")]


def _flag(text: str) -> str:
    if not _FLAG.fullmatch(text):
        raise OperatorError(f"{text!r} is no relay flag.", "Write one as in the consensus, e.g. Stable.", EXIT_USAGE)
    return text


def _family(text: str) -> str:
    if not _FAMILY.fullmatch(text):
        hint = "Write a fingerprint (40 hex digits), or a family's key, ed25519:..."
        raise OperatorError(f"--family {text!r} names no relay and no family.", hint, EXIT_USAGE)
    return text


def _contact(pattern: str | None) -> Callable[[str], bool | None] | None:
    if not pattern:
        return None
    from ...wrappers.contacts import ContactPattern  # 15 ms, and few ask for it

    return ContactPattern(pattern)


def _country(text: str) -> str:
    if not _COUNTRY.fullmatch(text.lower()):
        hint = f"Write two letters, e.g. de, or {UNKNOWN_COUNTRY} for those whose country is not known."
        raise OperatorError(f"{text!r} is no country.", hint, EXIT_USAGE)
    return text.lower()


def _system(text: str) -> int:
    match = _SYSTEM.fullmatch(text)
    if match is None or int(match[1]) >= 1 << 32:
        raise OperatorError(f"{text!r} is no number of an AS.", "Write e.g. 64496 or AS64496.", EXIT_USAGE)
    return int(match[1])


def _age(text: str | None) -> float | None:
    seconds = None if text is None else age_s(text, "--first-seen")
    if seconds == 0:
        raise OperatorError(f"--first-seen {text}: nobody was seen first within no time.", "", EXIT_USAGE)
    return seconds
