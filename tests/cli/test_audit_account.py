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
    account.again, account.retry = "exitpin audit --resume scan", "exitpin audit --resume scan --retry-failed"
    account.findings = [{"verdict_id": name} for name in ("there", "lost")]
    account.recorded = frozenset({"there"})
    account.problem("1 record could not be written to results.sqlite: the disk is full. They are lost.")
    said = account.sentences(interrupted=None, trust_lost=None)
    assert said[0] == "scan scan: 1 of 0 verdicts are recorded"
    assert said[-1].endswith("to go on: exitpin audit --resume scan")
    assert not any("what was known is recorded" in sentence or "shows all of it" in sentence for sentence in said)
    assert account.findings_recorded == [{"verdict_id": "there"}]


@pytest.mark.parametrize(
    ("is_retry", "is_lost", "said"),
    [
        (True, True, "when it can be written again, to go on: exitpin retry -- mail"),
        (False, True, "when it can be written again, to go on: exitpin resume -- mail"),
        (True, False, "to go on: exitpin resume -- mail"),
        (False, False, "to go on: exitpin resume -- mail"),
    ],
)
def test_a_retry_whose_records_were_lost_is_made_again_and_any_other_scan_is_gone_on_with(
    is_retry: bool, is_lost: bool, said: str
) -> None:
    """What it has not asked is an error still that ended long ago; else it was left open by this session."""
    account = an_account(("error", "stream"))
    account.again, account.retry, account.is_retry = "exitpin resume -- mail", "exitpin retry -- mail", is_retry
    account.recorded = frozenset() if is_lost else None
    (told,) = [s for s in account.sentences(interrupted=None, trust_lost="tor is gone") if "to go on" in s]
    assert told.endswith(said)


def test_how_to_ask_errors_again_is_told_before_the_command_of_alerts() -> None:
    plan = ScanPlan((), (), (), 1)
    account = Account(plan, Path("x"), "scan", again="exitpin resume -- mail", retry="exitpin retry -- mail", known=[
        {"schema": "exitpin.verdict/1", "status": "error", "layer": "stream"},
    ])  # fmt: skip
    said = account.sentences(interrupted=None, trust_lost=None)
    assert "to ask again what ended in an error: exitpin retry -- mail" in said
