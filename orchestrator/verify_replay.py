"""What a record must say of a stream, recomputed: Tor's lines, taken once more through the live table (`streams.py`).

The table gives the same effects as in the session, `Account` sums them up, and `outcomes` lists what `connections.py`
may make of them. Not all that ends a connection is in Tor's lines; what is our own doing accuses no exit:

  abandoned       the tool went away before anything was final
  TIMEOUT, SOCKS  nobody said anything final in time, or Tor's SOCKS side alone said no
  CANT_ATTACH     Tor refused the attach: it was never sent
  RESOLVEFAILED   a look-up to which the SOCKS side said no, and no REMAP told an address

A stream that succeeded stays succeeded, whatever ends it. A record is written when its run ends: lines that came
after `t.end` may be in it or not, all before it must be.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from .control_lines import parse_endpoint
from .effects import Effect, StreamClosed, StreamFailed, StreamOpened, StreamRemapped, StreamSent, StreamViolated
from .model import Claim, Destination, Fingerprint
from .names import canonical_address, is_address
from .streams import Streams
from .verify_evidence import Seen

PORT_MAX = 0xFFFF
CIRCUITS_END = 1 << 64

Reasons = tuple[str | None, str | None]
NO_REASONS: Reasons = (None, None)
CANT_ATTACH: Reasons = ("CANT_ATTACH", None)
RESOLVEFAILED: Reasons = ("RESOLVEFAILED", None)
TIMEOUT: Reasons = ("TIMEOUT", None)
SOCKS: Reasons = ("SOCKS", None)
"""Stands for every `SOCKS n`; -1: the SOCKS side hung up."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the lines up to one of them amount to. `failed`: before it had succeeded; `broke`: afterwards."""

    is_sent: bool = False
    is_open: bool = False
    failed: Reasons | None = None
    broke: Reasons | None = None
    closed: Reasons | None = None
    resolved: str | None = None

    def after(self, effect: Effect) -> "Account":
        """With one effect more."""
        match effect:
            case StreamSent():
                return replace(self, is_sent=True)
            case StreamOpened():
                return replace(self, is_open=True)
            case StreamRemapped():
                return replace(self, resolved=canonical_address(effect.address))
            case StreamFailed():
                reasons = (effect.reason, effect.remote_reason)
                return replace(self, broke=reasons) if self.is_open else replace(self, failed=reasons)
            case StreamClosed():
                return replace(self, closed=(effect.reason, effect.remote_reason))
        return self

    def outcomes(self, is_lookup: bool) -> set[tuple[str, Reasons]]:
        """Every status, with its reasons, that an honest record can give it."""
        if self.failed is not None:
            return self._failures(is_lookup)
        ours = {("failed", TIMEOUT), ("failed", SOCKS)} | ({("failed", CANT_ATTACH)} if not self.is_sent else set())
        waiting = "sent" if self.is_sent else "claimed"
        if is_lookup:
            ours |= {("abandoned", NO_REASONS), (waiting, NO_REASONS)}
            ours |= {("failed", RESOLVEFAILED)} if self.resolved is None else set()
            return ours | ({("succeeded", NO_REASONS)} if self.is_sent else set())
        end = self.closed or self.broke or NO_REASONS
        if self.is_open:
            return ours | {("succeeded", end), ("abandoned", end)}
        if self.closed is not None:
            return ours | {("failed", end), ("abandoned", end)}
        return ours | {(waiting, NO_REASONS), ("abandoned", NO_REASONS)}

    def _failures(self, is_lookup: bool) -> set[tuple[str, Reasons]]:
        """Tor's word replaces what the clock or the SOCKS side had said."""
        failed = self.failed or NO_REASONS
        told = {("failed", self.closed if failed[0] is None and self.closed else failed)}
        if not self.is_sent:
            told.add(("failed", CANT_ATTACH))
        if is_lookup and self.resolved is not None:
            told.add(("succeeded", failed))
        return told


@dataclass(frozen=True, slots=True)
class Replay:
    """All accounts that a record may have been written from, the fullest last; and what the live rules object to."""

    accounts: tuple[Account, ...]
    violations: tuple[str, ...]
    addresses: frozenset[str]


def claim_of(run_id: str, told: Mapping[str, object], is_lookup: bool) -> Claim:
    """A claim as the evidence has it. Raises ValueError, TypeError."""
    source = parse_endpoint(str(told.get("source")))
    if source is None:
        raise ValueError(f"{told.get('source')!r} is no endpoint")
    circuit_id = int(str(told.get("circuit")))
    if not 0 < circuit_id < CIRCUITS_END:  # the live table never attaches to 0, and says so by an assertion
        raise ValueError(f"{told.get('circuit')!r} is no circuit")
    host, _, port = str(told.get("destination")).rpartition(":")
    if not 0 <= int(port) <= PORT_MAX:
        raise ValueError(f"{port!r} is no port")
    return Claim(
        run_id, 0, source, str(told.get("tag")), Destination(host.strip("[]"), int(port)),
        circuit_id, Fingerprint(str(told.get("exit"))), is_lookup,
    )  # fmt: skip


def replay(claim: Claim, lines: Sequence[Seen], end: float | None) -> Replay:
    """Step the live table through `lines`. `end`: when the run was over (None: after all of them)."""
    streams = Streams(last_hops={claim.circuit_id: claim.exit})
    streams.add_claim(claim)
    told = [(seen.at, effect) for seen in lines for effect in streams.step(seen.event)]
    return Replay(
        tuple(_accounts(told, end)),
        tuple(effect.problem for _, effect in told if isinstance(effect, StreamViolated)),
        frozenset(canonical_address(effect.address) for _, effect in told if isinstance(effect, StreamRemapped)),
    )


def _accounts(told: Sequence[tuple[float, Effect]], end: float | None) -> Iterator[Account]:
    account = Account()
    for at, effect in told:
        following = account.after(effect)
        if following != account and end is not None and at >= end:
            yield account
        account = following
    yield account


def outcome_problems(stream: Mapping[str, object], replayed: Replay) -> list[str]:
    """Why the record's status, reasons, address or end of this stream can't come from these lines; [] if they can."""
    problems: list[str] = []
    for account in replayed.accounts:
        problems = _problems(stream, account, replayed.addresses)
        if not problems:
            return []
    return problems


def _problems(stream: Mapping[str, object], account: Account, addresses: frozenset[str]) -> list[str]:
    is_lookup, problems = bool(stream.get("is_lookup")), []
    status, reasons = str(stream.get("status")), reasons_of(stream)
    if (status, reasons) not in account.outcomes(is_lookup):
        words = " ".join(str(word) for word in (status, stream.get("reason"), stream.get("remote_reason")) if word)
        problems.append(f"the record says {words}, Tor said {_words(account)}")
    resolved = stream.get("resolved")
    address = canonical_address(resolved) if isinstance(resolved, str) else resolved
    is_answered = is_lookup and status == "succeeded"  # by the SOCKS side, which may be ahead of REMAP
    if is_answered and is_address(str(stream.get("destination"))):  # whose an address is, no line of Tor's tells
        is_told = resolved is None
    else:
        is_told = address in addresses if is_answered else address == account.resolved
    if not is_told:
        problems.append(f"the record has it resolved to {resolved}, Tor to {account.resolved}")
    if "closed" in stream and stream["closed"] is not (account.closed is not None):
        problems.append(f"the record says closed: {stream['closed']}, Tor said {_words(account)}")
    return problems


def reasons_of(stream: Mapping[str, object]) -> Reasons:
    """The record's reasons of a stream, every `SOCKS n` as one."""
    reason, remote = (None if stream.get(key) is None else str(stream[key]) for key in ("reason", "remote_reason"))
    if reason is not None and reason.startswith("SOCKS ") and reason[6:].removeprefix("-").isdecimal():
        reason = "SOCKS"
    return reason, remote


def _words(account: Account) -> str:
    said = ["sent" if account.is_sent else "not sent"] + (["SUCCEEDED"] if account.is_open else [])
    for word, reasons in (("FAILED", account.failed), ("FAILED", account.broke), ("CLOSED", account.closed)):
        if reasons is not None:
            said.append(" ".join([word, *(reason for reason in reasons if reason)]))
    return ", ".join(said)
