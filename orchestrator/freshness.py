"""Whether a snapshot may be scanned by: what its consensus says of its own validity (dir-spec 3.4.1), and the clock.
Pure.

A new consensus should be there when the old one is not fresh any more; until then the old one is still valid for a
while. A tor uses it longer than that. We do not: relays that are not in the network any more are nobody's to judge.
"""

from datetime import UTC, datetime

from .model import Snapshot

FORMAT = "%Y-%m-%d %H:%M:%S"
EARLY_MAX_S = 1800.0
"""So far behind may our clock be."""
PATIENCE_SHARE = 12  # of the interval between two consensuses
PATIENCE_MIN_S, PATIENCE_MAX_S = 20.0, 300.0


def epoch_of(moment: str) -> float:
    """A time of a consensus (UTC, `2026-01-31 13:00:00`) in seconds since the epoch. Raises ValueError."""
    return datetime.strptime(moment, FORMAT).replace(tzinfo=UTC).timestamp()


def moment_of(epoch: float) -> str:
    """The other way round."""
    return datetime.fromtimestamp(epoch, UTC).strftime(FORMAT)


def is_fresh(snapshot: Snapshot, now: float) -> bool:
    """Whether no newer consensus should be there yet; what does not say is fresh."""
    return not snapshot.fresh_until or now < epoch_of(snapshot.fresh_until)


def is_over(snapshot: Snapshot, now: float) -> bool:
    """Whether the network may no longer be as this consensus says."""
    return bool(snapshot.valid_until) and now >= epoch_of(snapshot.valid_until)


def is_early(snapshot: Snapshot, now: float) -> bool:
    """Whether its validity begins so much later that it, or the clock, is wrong; what does not say when it ends is
    not."""
    return bool(snapshot.valid_until) and now < epoch_of(snapshot.valid_after) - EARLY_MAX_S


def is_valid(snapshot: Snapshot, now: float) -> bool:
    """Whether the network is as this consensus says."""
    return not is_over(snapshot, now) and not is_early(snapshot, now)


def patience_s(snapshot: Snapshot) -> float:
    """How long to wait for the consensus that should be there: tors do not fetch it all at the same moment."""
    if not snapshot.fresh_until:
        return 0.0
    interval_s = epoch_of(snapshot.fresh_until) - epoch_of(snapshot.valid_after)
    return min(PATIENCE_MAX_S, max(PATIENCE_MIN_S, interval_s / PATIENCE_SHARE))
