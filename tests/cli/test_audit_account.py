"""The account of a scan, and the exit status that a script goes by."""

from pathlib import Path

import pytest

from exitpin.orchestrator.audit.scan_plan import ScanPlan
from exitpin.orchestrator.cli.audit_account import EXIT_INCOMPLETE, Account, exit_status


def an_account(*verdicts: tuple[str, str]) -> Account:
    """After verdicts of (status, layer)."""
    account = Account(ScanPlan((), (), (), 1), Path("results.sqlite"), "scan")
    for status, layer in verdicts:
        account.add({"schema": "exitpin.verdict/1", "status": status, "layer": layer})
    return account


@pytest.mark.parametrize(
    ("verdicts", "fail_on", "status"),
    [
        ([("ok", "")], "tampered", 0),
        ([("ok", ""), ("skipped", "policy")], "tampered", 0),
        ([("ok", ""), ("suspect", "")], "tampered", 0),
        ([("ok", ""), ("suspect", "")], "suspect", 1),
        ([("broken", "")], "suspect", 0),
        ([("broken", "")], "broken", 1),
        ([("tampered", ""), ("error", "control")], "broken", 1),
        ([("ok", ""), ("error", "control")], "tampered", EXIT_INCOMPLETE),
        ([("ok", ""), ("skipped", "requirement")], "tampered", EXIT_INCOMPLETE),
    ],
)
def test_the_exit_status_tells_findings_before_gaps(verdicts: list[tuple[str, str]], fail_on: str, status: int) -> None:
    assert exit_status(an_account(*verdicts), fail_on, None, None) == status


def test_an_interrupt_and_a_problem_come_before_all_verdicts() -> None:
    account = an_account(("tampered", ""))
    assert exit_status(account, "tampered", 2, None) == 130
    assert exit_status(account, "tampered", None, "tor is gone") == 125
    account.problem("a record could not be written")
    assert exit_status(account, "tampered", None, None) == 125


def test_where_records_were_lost_it_tells_of_those_that_are_there() -> None:
    account = an_account(("ok", ""), ("error", "stream"))
    account.again = "exitpin audit --resume scan"
    account.findings = [{"verdict_id": name} for name in ("there", "lost")]
    account.recorded = frozenset({"there"})
    account.problem("1 record could not be written to results.sqlite: the disk is full. They are lost.")
    said = account.sentences(interrupted=None, trust_lost=None)
    assert said[0] == "scan scan: 1 of 0 verdicts are recorded"
    assert said[-1].endswith("to go on: exitpin audit --resume scan")
    assert not any("what was known is recorded" in sentence or "shows all of it" in sentence for sentence in said)
    assert account.findings_recorded == [{"verdict_id": "there"}]
