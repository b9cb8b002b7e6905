"""A scan before it has begun: who tells it to end is heard, and whom it does not ask is told of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.audit.alerts import Alerts
from exitpin.orchestrator.audit.auditing import DRAINED
from exitpin.orchestrator.audit.controls import ControlPool
from exitpin.orchestrator.audit.disclosure import ToolUse
from exitpin.orchestrator.audit.errands import Audit
from exitpin.orchestrator.audit.keys import key_of
from exitpin.orchestrator.audit.ledger import RecordLedger, listening
from exitpin.orchestrator.audit.params import Bound
from exitpin.orchestrator.audit.recalling import KnownVerdict, Recollection, left_to_do, recall, standing
from exitpin.orchestrator.audit.scan_plan import ScanPlan, Skipped, with_gone
from exitpin.orchestrator.audit.scan_record import DONE
from exitpin.orchestrator.audit.scanning import Scan
from exitpin.orchestrator.cli.audit_account import Account
from exitpin.orchestrator.results.due import objections

from ..scans import tool
from ..values import fingerprint, relay


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


# Whom it does not ask.


def an_audit() -> Audit:
    one = tool()
    return Audit(one, Bound(one, {}), "digest", ControlPool(one.baseline), (), ())


def open_finding(audit: Audit) -> dict[str, Any]:
    """Two runs lied, and no controls were asked anew."""
    runs = [{"run_id": f"play-0000{n}", "status": "tampered", "reason": "another key"} for n in (1, 2)]
    return {
        "schema": "exitpin.verdict/1", "verdict_id": "play-v1", "scan_id": "play", "key": key_of(audit, relay(1)),
        "status": "suspect", "interrupted": True, "reason": "another key (interrupted before it was confirmed)",
        "layer": None, "lied": 2, "of": 2, "runs": runs, "tool": {"id": "key"}, "controls": [{"run_id": "play-00009"}],
        "exit": {"fingerprint": fingerprint(1), "nickname": "relay1"}, "started": 1.0, "ended": 2.0,
    }  # fmt: skip


def told_by(plan: ScanPlan, known: Recollection) -> list[Any]:
    """What a scan of this plan says before it asks anybody."""
    told: list[Any] = []
    shared: dict[str, object] = {"scan_id": "play", "consensus": "", "vantage": {"kind": "lab"}}
    ledger = RecordLedger({"key": ToolUse(tool(), {})}, shared, [listening(told.append)])
    Scan(Work(), None, plan, [], known)._write_skipped(ledger)  # type: ignore[arg-type]
    return told


def gone_on_with(plan: ScanPlan, *verdicts: dict[str, Any]) -> tuple[ScanPlan, Recollection]:
    known = recall([], [], map(KnownVerdict.of, verdicts), [], lambda record: None, now=1000.0)
    return left_to_do(plan, known), known


def test_who_is_skipped_has_a_verdict_that_says_why() -> None:
    (told,) = told_by(ScanPlan((), (), (Skipped(an_audit(), relay(2), "gone", "it left"),), 1), Recollection())
    assert (told["status"], told["layer"], told["reason"]) == ("skipped", "gone", "gone: it left")


def test_an_open_finding_whose_exit_has_left_the_network_is_closed_as_what_it_was() -> None:
    audit = an_audit()
    finding = open_finding(audit)
    plan, known = gone_on_with(with_gone(ScanPlan((audit,), (), (), 1), [fingerprint(1)], "2026-01-01"), finding)
    (closed,) = told_by(plan, known)
    reason = "another key (interrupted before it was confirmed) (its exit has left the network)"
    assert closed == {**finding, "interrupted": False, "layer": "gone", "reason": reason}
    assert list(objections(closed, ["tampered", "tampered"], 0)) == []
    assert Alerts("play", ["suspect"]).is_due(closed)


def test_a_scan_whose_open_finding_was_closed_is_done_and_has_nothing_left() -> None:
    audit = an_audit()
    whole = with_gone(ScanPlan((audit,), (), (), 1), [fingerprint(1)], "2026-01-01")
    plan, known = gone_on_with(whole, open_finding(audit))
    account = Account(plan, Path("x"), "play", known=[one.record for one in standing(plan, known)])
    (closed,) = told_by(plan, known)
    account.add(closed)
    assert (account.state(None), account.planned, account.unfinished) == (DONE, 1, 0)
    plan, known = gone_on_with(whole, closed)
    assert told_by(plan, known) == [] and [one.status for one in standing(plan, known)] == ["suspect"]


def test_an_open_finding_whose_exit_refuses_to_be_asked_by_now_says_so() -> None:
    audit = an_audit()
    skipped = Skipped(audit, relay(1), "policy", "its policy refuses a.test:80")
    (closed,) = told_by(*gone_on_with(ScanPlan((audit,), (), (skipped,), 1), open_finding(audit)))
    assert (closed["status"], closed["layer"], closed["interrupted"]) == ("suspect", "policy", False)
    assert closed["reason"].endswith("(its policy refuses a.test:80)")
