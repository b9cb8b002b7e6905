"""The exits that one can choose, as values; and how a choice is written on a command line."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias, TypeGuard, cast

Destination: TypeAlias = str | tuple[str, int]
"""`"host:port"`, or `("host", port)`."""


@dataclass(frozen=True, slots=True)
class Exit:
    """An exit of the current consensus, and what its own descriptor adds.

    `fingerprint`: 40 upper-case hex digits; `address`: IPv4, of the consensus; `policy`: rules as in its descriptor
    (dir-spec), None without one; `family`: fingerprints; `bandwidth`: the consensus weight, in kB/s, and `is_measured`:
    whether that was measured; `country`: two letters, None where tor's GeoIP file does not know it.

    >>> import exitpin
    >>> with exitpin.open(lab=True) as tor:
    ...     [relay.nickname for relay in tor.exits(to=("web.test", 443), sample=3, seed=1)]
    ['exit...', 'exit...', 'exit...']
    """

    fingerprint: str
    nickname: str
    address: str
    flags: frozenset[str]
    policy: tuple[str, ...] | None
    family: frozenset[str]
    contact: str
    bandwidth: int
    is_measured: bool = False
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which exits: as the options of `exitpin exits`, and with the same meaning. Flags and fingerprints may be one."""

    to: Destination | Sequence[Destination] = ()
    flags: Iterable[str] = ()
    not_flags: Iterable[str] = ()
    family: Iterable[str] = ()
    contact: str | None = None
    bad_exits: bool = False
    sample: int | None = None
    seed: int | None = None
    options: Sequence[str] = ()

    def words(self) -> Iterator[str]:
        """The options. Raises TypeError for what is no destination."""
        for option, values in (
            ("--to", map(_written, _destinations(self.to))), ("--flag", _each(self.flags)),
            ("--not-flag", _each(self.not_flags)), ("--family", _each(self.family)),
        ):  # fmt: skip
            yield from (f"{option}={value}" for value in values)
        for option, value in (("--contact", self.contact), ("--sample", self.sample), ("--seed", self.seed)):
            if value is not None:
                yield f"{option}={value}"
        if self.bad_exits:
            yield "--bad-exits"
        yield from self.options


def read_exits(lines: str) -> list[Exit]:
    """What `exitpin exits --json` printed."""
    return [_exit(**json.loads(line)) for line in lines.splitlines()]


def name_of(exit_: Exit | str) -> str:
    """How an exit is named on a command line."""
    return exit_.fingerprint if isinstance(exit_, Exit) else exit_


def _exit(flags: Sequence[str], family: Sequence[str], policy: Sequence[str] | None, **told: object) -> Exit:
    rules = None if policy is None else tuple(policy)
    others = {field.name: told[field.name] for field in fields(Exit) if field.name in told}
    return Exit(flags=frozenset(flags), family=frozenset(family), policy=rules, **others)  # type: ignore[arg-type]


def _each(values: Iterable[str]) -> Iterable[str]:
    """The values, where one alone is no sequence of letters."""
    return (values,) if isinstance(values, str) else values


def _destinations(to: object) -> Sequence[object]:
    """One or several, as they were given."""
    is_one = not isinstance(to, Sequence) or isinstance(to, str) or _is_pair(to)
    return (to,) if is_one else cast(Sequence[object], to)


def _is_pair(value: object) -> TypeGuard[tuple[str, int]]:
    return isinstance(value, Sequence) and list(map(type, value)) == [str, int]


def _written(destination: object) -> str:
    if isinstance(destination, str):
        return destination
    if not _is_pair(destination):
        raise TypeError(f'{destination!r} is no destination: write "host:port", or ("host", port)')
    host, port = destination
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
