"""The values that everything else speaks of: endpoints, relays, circuits' paths, runs. Frozen; no behaviour but
naming."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, NewType

from .policy import ExitPolicy

Fingerprint = NewType("Fingerprint", str)
"""40 upper-case hex digits, without `$` (dir-spec)."""


class Endpoint(NamedTuple):
    """An IP address as text and a port: one end of a TCP connection on this machine."""

    host: str
    port: int

    def __str__(self) -> str:
        return join_host_port(self.host, self.port)


class Destination(NamedTuple):
    """What a tool asked for: a host name or an IP literal, and a port (0 for a look-up)."""

    host: str
    port: int

    def __str__(self) -> str:
        return join_host_port(self.host, self.port)


def join_host_port(host: str, port: int) -> str:
    """`host:port`, with brackets around an IPv6 literal."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class Relay:
    """A relay of one consensus snapshot, with what its own descriptor adds (None policy: none that can be read).

    `bandwidth`: its weight in the consensus, in kilobytes a second; `is_measured`: that weight rests on three bandwidth
    authorities or more (dir-spec, `w`); `family`: whom it names; `family_ids`: families that have certified it.
    """

    fingerprint: Fingerprint
    nickname: str
    address: str
    or_port: int
    flags: frozenset[str]
    policy: ExitPolicy | None
    family: frozenset[str] = frozenset()
    contact: str = ""
    bandwidth: int = 0
    is_measured: bool = True
    family_ids: frozenset[str] = frozenset()

    @property
    def could_exit(self) -> bool:
        """Whether it lets something out: by its own policy, whatever the authorities call it; without one, by flag."""
        return self.is_called_exit if self.policy is None else not self.policy.is_reject_all()

    @property
    def is_called_exit(self) -> bool:
        """Whether the authorities call it an exit."""
        return "Exit" in self.flags


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consensus with its descriptors: immutable for as long as a scan uses it.

    Times are UTC, as dir-spec has them. `consensus`: the document as the authorities signed it, as far as tor gave it;
    `descriptors`: the server descriptors, as they were published, of all relays that let something out, or may. Neither
    they nor the relays are part of its `repr`: asyncio makes one of a task that returns it, and that of a real network
    takes 300 MB.
    """

    valid_after: str
    relays: Mapping[Fingerprint, Relay] = field(repr=False)
    distinct_subnets: bool = True
    consensus: str = field(default="", repr=False)
    fresh_until: str = ""
    valid_until: str = ""
    descriptors: Mapping[Fingerprint, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Setup:
    """How a declared tool's run differs from a command line that somebody typed: nothing is inherited, all is bounded.

    `directory`: made for the run, with `home`, `artifacts`, `evidence` and the file `facts` in it; whoever plans the
    run removes it. `environment`: all of it, but for HOME, PATH and the EXITPIN_ variables. `destinations`: the only
    ones that it may open (port 0: a look-up); None: any. `cwd`: where it starts; empty: `home`. Limits in bytes,
    seconds of CPU, processes in the tree; None: no limit. `artifacts_max`: for each file that it writes, and for all
    that it leaves.
    """

    directory: str
    environment: tuple[tuple[str, str], ...] = ()
    stdin: bytes = b""
    destinations: tuple[Destination, ...] | None = None
    stdout_max: int = 1 << 20
    stderr_max: int = 1 << 20
    artifacts_max: int = 2 << 20
    memory_max: int | None = None
    cpu_s: float | None = None
    procs_max: int | None = None
    kill_after_s: float = 2.0
    resolve: str = "mapped"
    cwd: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One tool, through one exit, once. `address`: the loopback address that its connections come from; `timeout_s`
    may be infinite; `resolve`: mapped or exit, empty for the session's; `setup` None: as the caller's own command;
    `avoid`: hops that its circuit does without, if it can.
    """

    run_id: str
    index: int
    exit: Relay
    argv: tuple[str, ...]
    address: str
    nonce: bytes
    timeout_s: float
    attempt: int = 1
    resolve: str = ""
    setup: Setup | None = None
    avoid: frozenset[Fingerprint] = frozenset()


@dataclass(frozen=True, slots=True)
class Hop:
    """One relay of a path, as Tor names it in a CIRC line."""

    fingerprint: Fingerprint
    nickname: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A connection that may become a stream: from this endpoint, with this tag, on this circuit, to this exit.
    `is_ahead`: by a ticket, so that Tor has been told of it already."""

    run_id: str
    connection: int
    source: Endpoint
    tag: str
    destination: Destination
    circuit_id: int
    exit: Fingerprint
    is_lookup: bool = False
    is_ahead: bool = False


class Place(NamedTuple):
    """Where a connect to an address leads: to `host`, a name or an address; `port` 0: any port, and on to the same."""

    address: str
    port: int
    host: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the next connect of a run may do before it is decided here, as it will be: become connection `number`, with
    this tag, on this circuit, if it leads to one of the places, or `goes_anywhere`: to an IPv4 address that is none.
    Good until the run takes its next step. What has no answer after `patience_s` is answered by the loop."""

    number: int
    tag: str
    circuit_id: int
    places: tuple[Place, ...]
    goes_anywhere: bool
    patience_s: float


@dataclass(slots=True)
class Times:
    """When what happened, in seconds since the epoch; None means: not yet, or never."""

    queue: float
    circuit: float | None = None
    start: float | None = None
    first_stream: float | None = None
    first_byte: float | None = None
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """The one failure of a run. `kind` and `blame` come from the closed lists in `outcomes.py`."""

    kind: str
    blame: str
    retryable: bool
    detail: str = field(default="")
