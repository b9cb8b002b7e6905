"""Which connects and look-ups of a run are let in, and which of them are answered here and now, without Tor.

A report that contradicts the kernel is no report (`Untrusted`). What Tor can't carry, or what the run may not open, is
refused alone and noted: EACCES, which connect(2) gives for what a rule of this machine forbids, so that no tool takes
it for the target's refusal. A run without destinations of its own may go anywhere.

Pure; `runs.py` asks, and decides what an untrusted report means for the run.
"""

import ipaddress
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from errno import EACCES, ENETUNREACH

from .connections import EAI_AGAIN, EAI_NONAME
from .effects import AnswerCall
from .events import NO_PROCESS, ConnectReported, Denied, LookupReported, UnixAsked
from .model import Destination, Place, Run
from .names import Names, can_exit_reach, is_ipv4, is_mapped, is_private

NAMES_KNOWN = 12
"""As many of the last names, and as many destinations, stand on a ticket: three addresses each at most."""


@dataclass(frozen=True, slots=True)
class Untrusted:
    """A report that says what is not so."""

    problem: str


@dataclass(frozen=True, slots=True)
class Settled:
    """Answered without Tor; `denied`: what was refused, if anything was."""

    answer: AnswerCall
    denied: Denied | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """The destinations that a run may open, in canonical form."""

    destinations: frozenset[Destination]
    hosts: frozenset[str]

    @staticmethod
    def of(destinations: Iterable[Destination]) -> "Allowed":
        """A port of 0 allows the look-up alone; any other port allows both."""
        canonical = frozenset(Destination(canonical_host(host), port) for host, port in destinations)
        return Allowed(canonical, frozenset(host for host, _ in canonical))

    def may_connect(self, host: str, port: int) -> bool:
        """Whether this host, as it is named, and this port are among them; port 0 never is."""
        return port != 0 and Destination(canonical_host(host), port) in self.destinations

    def may_look_up(self, host: str) -> bool:
        """Whether this name is that of one of them, whatever its port."""
        return canonical_host(host) in self.hosts


@dataclass(slots=True)
class Admission:
    """One run's door. `address`: where its sockets must be bound; `resolve`: mapped or exit; `allowed` None: any."""

    address: str
    resolve: str
    allowed: Allowed | None = None
    names: Names = field(default_factory=Names)
    _places: tuple[int, tuple[Place, ...]] = (-1, ())

    @staticmethod
    def of(run: Run, resolve: str) -> "Admission":
        """The door of this run."""
        destinations = run.setup.destinations if run.setup is not None else None
        return Admission(run.address, resolve, None if destinations is None else Allowed.of(destinations))

    def connect(self, report: ConnectReported, found_for: Collection[str]) -> Destination | Settled | Untrusted:
        """Where the connect goes, a mapped address turned back into its name. `found_for`: the names for which the exit
        gave the address that is asked for."""
        problem = report.problem
        if problem is None and not report.is_weak and report.source.host != self.address:
            problem = f"the socket is bound to {report.source.host}, the run's address is {self.address}"
        if problem is not None:
            return Untrusted(problem)
        host, port = report.destination
        name = self.names.original(host) if is_mapped(host) else host
        if name is None:
            return _refused_connect(report, ENETUNREACH, "unknown-mapped-address", report.destination)
        if self.allowed is not None and not any(self.allowed.may_connect(one, port) for one in (name, *found_for)):
            return _refused_connect(report, EACCES, "destination", Destination(name, port))
        return Destination(name, port)

    def places(self) -> tuple[Place, ...]:
        """Where `connect` lets connects in, and to what they lead; not all places, where there are many."""
        count = self.names.count()
        if self._places[0] != count:
            self._places = count, tuple(self._find_places())
        return self._places[1]

    def _find_places(self) -> Iterator[Place]:
        latest = self.names.latest(NAMES_KNOWN)
        known = {name: [*self.names.mapped(name, 4), *self.names.mapped(name, 6)] for name in latest}
        if self.allowed is None:
            yield from (Place(address, 0, name) for name, addresses in known.items() for address in addresses)
            return
        for host, port in list(self.allowed.destinations)[:NAMES_KNOWN]:
            if port:
                yield from (Place(address, port, host) for address in known.get(host, []))
            if port and is_ipv4(host) and not is_mapped(host):
                yield Place(host, port, host)

    def reach(self, asked: UnixAsked) -> Settled | Untrusted:
        """Whether the run may have this Unix socket: whoever listens there may have a way out that is not Tor's."""
        if asked.problem is not None:
            return Untrusted(asked.problem)
        if asked.error or asked.is_allowed:
            return Settled(AnswerCall(asked.call, asked.error))
        return Settled(AnswerCall(asked.call, EACCES), Denied(asked.pid, "unix", asked.path))

    def look_up(self, report: LookupReported) -> Destination | Settled | Untrusted:
        """The name, or the address whose name, the exit is to be asked for (port 0), or the answer."""
        if report.problem is not None:
            return Untrusted(report.problem)
        call, host = report.call, report.host
        if report.is_reverse:
            return self._reverse(call, host, must_ask=report.pid == NO_PROCESS)
        if not can_exit_reach(host):
            return _refused_lookup(report, EAI_NONAME, "name")
        if self.allowed is not None and not self.allowed.may_look_up(host):
            return _refused_lookup(report, EAI_NONAME, "destination")
        if self.resolve == "exit":
            return Destination(host, 0) if report.family != 6 else Settled(AnswerCall(call, 0, EAI_NONAME))
        addresses = self.names.mapped(host, report.family)
        if not addresses:
            return _refused_lookup(report, EAI_AGAIN, "too-many-names")
        return Settled(AnswerCall(call, 0, 0, tuple((address, 0) for address in addresses)))

    def _reverse(self, call: int, address: str, *, must_ask: bool) -> Destination | Settled:
        """Whose an address is. No exit is asked for those of this machine's networks, nor for what the run may not
        open, nor where names are mapped, unless there is a name server (`must_ask`): who asks one has no other way."""
        name = self.names.original(address) if is_mapped(address) else None
        may_ask = (self.resolve == "exit" or must_ask) and not is_private(address)
        if may_ask and (self.allowed is None or self.allowed.may_look_up(address)):
            return Destination(address, 0)
        return Settled(AnswerCall(call, 0, 0 if name else EAI_NONAME, name=name or ""))


def canonical_host(host: str) -> str:
    """A name in lower case without its final dot; an address as the kernel writes it, IPv4 in IPv6 as IPv4."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower().rstrip(".")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def _refused_connect(report: ConnectReported, error: int, reason: str, what: Destination) -> Settled:
    return Settled(AnswerCall(report.call, error), Denied(report.pid, reason, str(what)))


def _refused_lookup(report: LookupReported, eai: int, reason: str) -> Settled:
    return Settled(AnswerCall(report.call, 0, eai), Denied(report.pid, reason, report.host))
