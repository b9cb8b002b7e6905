"""A scan that is told to end before it has begun."""

from collections.abc import Callable

import pytest

from exitpin.orchestrator.audit.auditing import DRAINED
from exitpin.orchestrator.audit.scan_plan import ScanPlan
from exitpin.orchestrator.audit.scanning import Scan


class Played:
    """Stands for an auditor and its session: what they were told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def drain(self, why: str) -> None:
        self.told.append(f"drain: {why}")

    def abort(self) -> None:
        self.told.append("abort")

    def lose_trust(self, why: str) -> None:
        self.told.append(f"lost: {why}")


class Work:
    """As far as a scan looks at it before it is carried out."""

    jobs, per_exit, spacing_s, jitter_s = 1, 1, 0.0, 0.0
    rng = ranks = starts = None


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda scan: scan.drain(), [f"drain: {DRAINED}"]),
        (lambda scan: scan.interrupt("the disk is full"), [f"drain: {DRAINED}"]),
        (lambda scan: scan.lose_trust("a bug"), ["lost: a bug", "abort"]),
        (lambda scan: None, []),
    ],
)
def test_what_was_asked_of_a_scan_before_it_began_is_heard_when_it_begins(
    ask: Callable[[Scan], None], told: list[str]
) -> None:
    scan = Scan(Work(), None, ScanPlan((), (), (), 1), [])  # type: ignore[arg-type]
    ask(scan)
    played = Played()
    scan.auditor = scan._session = played  # type: ignore[assignment]
    scan._obey()
    assert played.told == told
