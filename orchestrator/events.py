"""Facts that come into the core from the world: shim reports, SOCKS answers, processes, timers, Tor itself.

Tor's own lines are `control_lines.StreamEvent` and `CircEvent`; what the stream table and the pool tell a run
stands in `effects.py`. All times are seconds.
"""

from dataclasses import dataclass

from .model import Destination, Endpoint


@dataclass(frozen=True, slots=True)
class Hello:
    """The shim's constructor ran in `pid`. `problem`: why the report can't be trusted, or None."""

    call: int
    pid: int
    executable: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class Supervised:
    """The kernel hands every connect of the run over to us, from its first process on: it needs no hello."""


@dataclass(frozen=True, slots=True)
class Unhooked:
    """`pid` connects by itself, past the hooks or without any, and was stopped by the kernel for us."""

    pid: int
    executable: str


@dataclass(frozen=True, slots=True)
class ConnectReported:
    """A hook asks for a stream. `source` was read from the socket itself; `problem` as in Hello; `is_ahead`: the ticket
    that was there was used for it; `is_taken`: somebody else has connected the socket meanwhile."""

    call: int
    pid: int
    source: Endpoint
    destination: Destination
    is_weak: bool
    problem: str | None
    is_ahead: bool = False
    is_taken: bool = False


@dataclass(frozen=True, slots=True)
class WentAstray:
    """By a ticket something was done that would not have been done here."""

    detail: str


NO_PROCESS = 0
"""The pid in what our own name server was asked: nobody can say by which process of the run."""


@dataclass(frozen=True, slots=True)
class LookupReported:
    """A hook, or the name server, asks for a name's addresses, or an address's name. `family`: 0, 4 or 6."""

    call: int
    pid: int
    host: str
    family: int
    is_reverse: bool
    problem: str | None


@dataclass(frozen=True, slots=True)
class LookupBound:
    """The socket for a look-up stands, bound to `source`."""

    call: int
    pid: int
    source: Endpoint
    host: str


@dataclass(frozen=True, slots=True)
class UnixAsked:
    """The tool would reach a Unix socket. `path`: as the tool has it, an abstract name with @; `error`: what connect(2)
    says without us, 0: there is a socket; `is_allowed`: it was given to the run, or the run listens there itself."""

    call: int
    pid: int
    path: str
    error: int
    is_allowed: bool
    problem: str | None


@dataclass(frozen=True, slots=True)
class PeerAsked:
    """A hook asks whom the socket at `source` is connected to."""

    call: int
    source: Endpoint
    problem: str | None


STRANGER = "stranger"
"""Why who is not of the run is denied what it asks at the run's report socket."""
NO_ROOM = "no-room"
"""Why a hook could not ask: this machine had no room for its report."""
UNTRACEABLE = "untraceable"
"""Why a process is denied something that exitpin must look into it for, and may not."""


@dataclass(frozen=True, slots=True)
class Denied:
    """A hook refused something."""

    pid: int
    reason: str
    what: str


@dataclass(frozen=True, slots=True)
class SocksAnswered:
    """Tor's SOCKS reply for a call: 0 or a reply code; -1: the connection ended first. `answer`: of a look-up."""

    call: int
    reply: int
    answer: str = ""


@dataclass(frozen=True, slots=True)
class CallLost:
    """The tool went away while it waited: its report connection has hung up."""

    call: int


@dataclass(frozen=True, slots=True)
class BytesSeen:
    """STREAM_BW: bytes of a stream since the last such line, as our Tor counts them."""

    stream_id: int
    up: int
    down: int


@dataclass(frozen=True, slots=True)
class ProcessStarted:
    """The launcher has forked the tool's first process."""

    pid: int


@dataclass(frozen=True, slots=True)
class ProcessRefused:
    """The launcher refuses to start the tool."""

    reason: str
    exit_status: int
    detail: str


@dataclass(frozen=True, slots=True)
class ProcessExited:
    """The tool's first process has ended: wait(2) status split into exit code or signal."""

    rc: int | None
    signal: int | None


@dataclass(frozen=True, slots=True)
class TreeCrowded:
    """There were more processes in the tree than the run may have; the launcher is killing them."""


@dataclass(frozen=True, slots=True)
class ReportsCrowded:
    """The run's processes reported more often than a run may, or what `detail` says; no report of theirs is taken any
    more."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class TreeEnded:
    """Nothing of the tree is left. `swept`: how many processes had to be ended; `maxrss_kib`: None where the kernel has
    not counted it."""

    cpu_s: float
    maxrss_kib: int | None
    swept: int


@dataclass(frozen=True, slots=True)
class LauncherLost:
    """The launcher ended without a word."""

    detail: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer that the run had set."""

    name: str


@dataclass(frozen=True, slots=True)
class TrustLost:
    """Tor died, the control connection ended, or an option that pins streams was changed."""

    detail: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Somebody ends the session before its end: the user, or a reader who has gone."""

    detail: str = "interrupted by the user"


@dataclass(frozen=True, slots=True)
class ClockJumped:
    """The machine slept, or its clock was set: what the run did meanwhile says nothing."""

    detail: str
