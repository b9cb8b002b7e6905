"""What clients are sent out for: destinations that nobody else is sent to: the targets' log alone says who came.

A sink answers on a hundred ports of every target address. Each errand gets a pair of address and port of its own; the
line of the log with that pair is that errand's connection, and its peer the exit that really carried it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from random import Random

SINK_PORTS = range(9000, 9100)
_ADDRESSES = [f"192.0.2.{n}" for n in range(60, 250)] + [f"198.51.100.{n}" for n in range(70, 250)]


@dataclass(frozen=True, slots=True)
class Errand:
    """One connection to be made. `own`: the target's address and port as its log names them; None: nobody is there."""

    host: str
    port: int
    own: tuple[str, int] | None = None

    def __str__(self) -> str:
        return f"{self.host},{self.port}"


@dataclass(slots=True)
class Errands:
    """Gives errands out, none twice. `expected`: by destination, the addresses of the exit that may be seen there."""

    rng: Random
    first: int = 0
    expected: dict[str, Sequence[str]] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)
    _pairs: Iterator[tuple[str, int]] = field(init=False)
    _number: int = field(init=False)

    def __post_init__(self) -> None:
        pairs = list(product(_ADDRESSES, SINK_PORTS))
        Random(0).shuffle(pairs)
        begin = self.first % len(pairs)
        self._pairs = iter(pairs[begin:] + pairs[:begin])
        self._number = self.first

    def take(self, behaviour: str, addresses: Sequence[str]) -> Errand:
        """One of the mix, for a client behind an exit of that behaviour and these addresses."""
        draw = self.rng.random()
        self._number += 1
        if draw < 0.1:
            return Errand(f"n{self._number}.nowhere.test", 9000)
        if draw < 0.2:
            return Errand(self.rng.choice(_ADDRESSES), 81)
        return self.good(behaviour, addresses)

    def good(self, behaviour: str, addresses: Sequence[str]) -> Errand:
        """One that the exit permits, and that a target waits for: by IPv4, by name, or by IPv6."""
        address, port = next(self._pairs)
        draw = self.rng.random()
        if behaviour == "only-80" or draw < 0.15:
            self._number += 1
            address, port = f"2001:db8:1::{self._number:x}:{self.first + 1:x}", 80 if behaviour == "only-80" else port
        is_named = draw > 0.75 and behaviour not in ("only-80", "dns-silent")
        host = f"{address.replace('.', '-')}.ip.test" if is_named else address
        self.expected[f"{address} {port}"] = addresses
        return Errand(host, port, (address, port))

    def literal(self, addresses: Sequence[str]) -> Errand:
        """One by IPv4 address, whatever the exit makes of it, and that its tool may ask for again."""
        address, port = next(self._pairs)
        self.repeated.append(f"{address} {port}")
        self.expected[f"{address} {port}"] = addresses
        return Errand(address, port, (address, port))

    def forbidden(self) -> Errand:
        """One for a foreign client: whoever is seen there is one too many."""
        address, port = next(self._pairs)
        self.expected[f"{address} {port}"] = ()
        return Errand(address, port, (address, port))


def mixed(errands: Errands, exit_: Mapping[str, object], count: int) -> list[Errand]:
    """`count` errands of the mix for one run through `exit_` (its nickname's entry in the lab's state)."""
    behaviour = str(exit_["behaviour"])
    return [errands.take(behaviour, [str(exit_["address"]), str(exit_["address6"])]) for _ in range(count)]
