"""One table from Tor's reasons to what everybody else speaks of: errno, failure kind, blame, retryable.

Reasons are those of control-spec 4.1.2 and tor-spec 6.3. `REASON=END REMOTE_REASON=X` are the exit's words,
`REASON=X` alone is our own Tor's. Blame follows one rule: one run alone can't tell a refusing target from a lying
exit, so a refused connection and a failed look-up blame nobody (`unknown`); only a control can.
"""

import errno
from dataclasses import dataclass

from .model import Failure

KINDS = (
    "attribution", "circuit", "circuit-lost", "clock", "control", "dns", "exec", "interrupted", "no-rule", "overload",
    "parse", "policy", "protocol", "refused", "requirement", "reset", "shim", "timeout", "tool", "tor", "unreachable",
)  # fmt: skip
BLAMES = ("exit", "target", "circuit", "first-hop", "local", "tool", "unknown")
"""`first-hop`: a relay before the exit."""

END_MISC = 1
END_DESTROY = 5
END_NUMBERS = {
    "MISC": 1, "RESOLVEFAILED": 2, "CONNECTREFUSED": 3, "EXITPOLICY": 4, "DESTROY": 5, "DONE": 6, "TIMEOUT": 7,
    "NOROUTE": 8, "HIBERNATING": 9, "INTERNAL": 10, "RESOURCELIMIT": 11, "CONNRESET": 12, "TORPROTOCOL": 13,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one reason means: the errno of connect(2) that the tool sees, and the failure that the record shows."""

    errno: int
    kind: str
    blame: str
    retryable: bool
    meaning: str


_REMOTE = {
    "EXITPOLICY": Outcome(errno.ECONNREFUSED, "policy", "exit", False, "the exit's policy refuses this destination"),
    "RESOLVEFAILED": Outcome(errno.EHOSTUNREACH, "dns", "unknown", True, "the exit could not resolve the name"),
    "CONNECTREFUSED": Outcome(errno.ECONNREFUSED, "refused", "unknown", True, "connection refused at the exit"),
    "MISC": Outcome(errno.ECONNREFUSED, "refused", "unknown", True, "refused, or another connect error, at the exit"),
    "NOROUTE": Outcome(errno.EHOSTUNREACH, "unreachable", "unknown", True, "no route from the exit to the target"),
    "TIMEOUT": Outcome(errno.ETIMEDOUT, "timeout", "unknown", True, "the target did not answer the exit"),
    "CONNRESET": Outcome(errno.ECONNREFUSED, "reset", "unknown", True, "the target reset the exit's connection"),
    "HIBERNATING": Outcome(errno.ENETUNREACH, "overload", "exit", True, "the exit is hibernating"),
    "RESOURCELIMIT": Outcome(errno.ENETUNREACH, "overload", "exit", True, "the exit is out of resources"),
    "INTERNAL": Outcome(errno.ENETUNREACH, "protocol", "exit", True, "the exit reports an error of its own"),
    "TORPROTOCOL": Outcome(errno.EHOSTUNREACH, "protocol", "exit", True, "the exit refuses the cell"),
    "DONE": Outcome(errno.ECONNREFUSED, "reset", "unknown", True, "closed before it was open"),
    "DESTROY": Outcome(errno.ENETUNREACH, "circuit-lost", "circuit", True, "the circuit was destroyed"),
}

_LOCAL = {
    "TIMEOUT": Outcome(errno.ETIMEDOUT, "timeout", "unknown", True, "the exit did not answer"),
    "DESTROY": Outcome(errno.ENETUNREACH, "circuit-lost", "circuit", True, "the circuit was lost"),
    "CANT_ATTACH": Outcome(errno.ENETUNREACH, "circuit-lost", "circuit", True, "the circuit was gone at the attach"),
    "TORPROTOCOL": Outcome(errno.EHOSTUNREACH, "dns", "exit", True, "the exit resolved the name to a private address"),
    "PRIVATE_ADDR": Outcome(errno.ENETUNREACH, "policy", "local", False, "a private address"),
    "EXITPOLICY": Outcome(errno.ECONNREFUSED, "policy", "local", False, "our Tor knows that the exit refuses this"),
    "RESOLVEFAILED": Outcome(errno.EHOSTUNREACH, "dns", "unknown", True, "the name could not be resolved"),
}

_DEFAULT = Outcome(errno.ENETUNREACH, "tor", "local", True, "our Tor closed the stream")


def outcome(reason: str | None, remote_reason: str | None) -> Outcome:
    """What a DETACHED, FAILED or early CLOSED line with these reasons means."""
    if remote_reason is not None:
        return _REMOTE.get(remote_reason, Outcome(errno.ENETUNREACH, "protocol", "exit", True, remote_reason))
    return _LOCAL.get(reason or "", _DEFAULT)


def stream_failure(reason: str | None, remote_reason: str | None, is_declared: bool | None) -> Failure:
    """The failure of a stream. `is_declared`: whether the exit's own policy refuses the destination (None: unknown).

    EXITPOLICY that the descriptor declares is our own bad choice (`local`); undeclared it is the exit's.
    """
    found = outcome(reason, remote_reason)
    blame = found.blame
    if found.kind == "policy" and remote_reason is not None:
        blame = {True: "local", False: "exit", None: "unknown"}[is_declared]
    words = f"REASON={reason}" + (f" REMOTE_REASON={remote_reason}" if remote_reason else "")
    return Failure(found.kind, blame, found.retryable, f"{found.meaning} ({words})")


def end_reason_number(reason: str | None) -> int:
    """The number for CLOSESTREAM that makes Tor give the tool's SOCKS side the exit's own reason."""
    return END_NUMBERS.get(reason or "", END_MISC)


_SOCKS_ERRNO = {
    1: errno.ECONNREFUSED,
    2: errno.ECONNREFUSED,
    3: errno.ENETUNREACH,
    4: errno.EHOSTUNREACH,
    5: errno.ECONNREFUSED,
    6: errno.ETIMEDOUT,
    7: errno.ECONNREFUSED,
    8: errno.ECONNREFUSED,
}


def socks_errno(reply: int) -> int:
    """The errno for a SOCKS reply (RFC 1928 section 6) that comes without any STREAM line."""
    return _SOCKS_ERRNO.get(reply, errno.ENETUNREACH)
