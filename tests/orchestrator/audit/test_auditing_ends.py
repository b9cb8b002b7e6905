"""Scans that end before their time: every case is accounted for, and nothing hangs."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from exitpin.orchestrator.audit.assessing import Ended
from exitpin.orchestrator.model import Fingerprint
from exitpin.orchestrator.policy import ExitPolicy
from exitpin.orchestrator.tool import Condition, Rule, Status

from ..scans import (
    CHANGED,
    DEAD,
    HONEST,
    LIE,
    NO_ANSWER,
    Record,
    Scan,
    assert_nothing_is_held,
    by_exit,
    exit_of,
    number_of,
    pairs,
    tool,
    verdict_on,
)

pytestmark = pytest.mark.timeout(90)


def soon(what: Callable[[], None]) -> None:
    """At the loop's next turn, as a signal comes."""
    asyncio.get_running_loop().call_soon(what)


def after(count: int, what: Callable[[], None]) -> Callable[[Any], None]:
    """Does something soon after the record of that number."""
    seen = iter(range(1, 1 << 30))

    def note(_: Record) -> None:
        if next(seen) == count:
            soon(what)

    return note


@pytest.mark.parametrize("count", [1, 7, 30])
def test_a_scan_that_is_drained_accounts_for_all_and_lets_running_jobs_end(count: int) -> None:
    scan = Scan(lambda run: LIE if number_of(run) == 7 else replace(HONEST, delay_s=0.05), exits=60, jobs=8)
    scan.note = after(count, lambda: scan.auditor.drain())
    scan.carry_out()
    assert pairs(scan.verdicts) == Counter(("key", number) for number in range(1, 61))
    assert scan.statuses["error"] > 0
    errors = [verdict for verdict in scan.verdicts if verdict["status"] == "error"]
    assert {verdict["layer"] for verdict in errors} <= {"interrupted", "control"}
    assert {verdict["blame"] for verdict in errors} <= {"local", "unknown"}
    assert scan.accused() <= {7}
    began, ended = {line.split()[0] for line in scan.began}, {run["run_id"] for run in scan.runs}
    assert began <= ended, "a run that was begun has no record"
    waited = [run for run in scan.runs if run["run_id"] not in began]
    assert {run["failure"]["kind"] for run in waited} <= {"interrupted"}, "they had no circuit yet"
    assert_nothing_is_held(scan)


ALONE = Rule(Status.TAMPERED, (Condition("key", "is", "false"),), reason="the wrong key")


@pytest.mark.parametrize(("rule", "status", "lied"), [(ALONE, "suspect", 1), (CHANGED, "error", 0)])
def test_a_lie_that_nobody_could_confirm_any_more_is_told_if_it_does_not_rest_on_few_controls(
    rule: Rule, status: str, lied: int
) -> None:
    tools = [tool(verdict=(NO_ANSWER, rule, CHANGED, Rule(Status.OK)))]
    plays = by_exit(e5=[LIE, replace(LIE, delay_s=20.0)])
    scan = Scan(plays, exits=8, tools=tools, control=lambda run: replace(HONEST, delay_s=0.05), chosen=[5])

    def interrupt() -> None:
        scan.auditor.drain()
        scan.session.interrupt()

    def note(record: Record) -> None:
        if record["schema"] == "exitpin.run/1" and record["status"] == "tampered" and not scan.auditor.is_draining:
            soon(interrupt)

    scan.note = note
    scan.carry_out()
    verdict = verdict_on(scan, 5)
    assert (verdict["status"], verdict["lied"]) == (status, lied)
    assert "interrupted before" in verdict["reason"]


def test_an_interrupted_scan_of_a_target_with_two_answers_accuses_nobody() -> None:
    rng = Random(1)
    for count in range(5, 40, 2):
        answers = [replace(HONEST, stdout=f"key {answer}\n".encode(), delay_s=0.01) for answer in ("one", "two")]
        scan = Scan(lambda run, answers=answers: rng.choice(answers), exits=20, repeat=2, jobs=6, seed=count)  # type: ignore[misc]
        scan.note = after(count, lambda scan=scan: scan.auditor.drain())  # type: ignore[misc]
        assert scan.carry_out().accused() == set()


def test_an_interrupted_scan_ends_at_once_with_an_account_of_all() -> None:
    scan = Scan(lambda run: replace(HONEST, delay_s=0.0 if run.index < 20 else 30.0), exits=40, jobs=8)

    def interrupt() -> None:
        scan.auditor.drain()
        scan.session.interrupt()

    scan.note = after(10, interrupt)
    before = time.monotonic()
    scan.carry_out()
    assert time.monotonic() - before < 10.0
    assert pairs(scan.verdicts) == Counter(("key", number) for number in range(1, 41))
    errors = [verdict for verdict in scan.verdicts if verdict["status"] == "error"]
    assert errors and all(verdict["interrupted"] for verdict in errors), "an error that going on would not ask again"
    assert {verdict["layer"] for verdict in errors} == {"interrupted"}


def test_a_lie_whose_confirmations_were_ended_is_one_that_waits_for_them() -> None:
    tools = [tool(verdict=(NO_ANSWER, ALONE, Rule(Status.OK)))]
    plays = by_exit(e5=[LIE, replace(LIE, delay_s=30.0)])
    scan = Scan(plays, exits=8, tools=tools, control=lambda run: HONEST, chosen=[5])

    def note(record: Record) -> None:
        if record["schema"] == "exitpin.run/1" and record["status"] == "tampered" and not scan.auditor.is_draining:
            asyncio.get_running_loop().call_later(0.1, interrupt)

    def interrupt() -> None:
        scan.auditor.drain()
        scan.session.interrupt()

    scan.note = note
    scan.carry_out()
    verdict = verdict_on(scan, 5)
    assert (verdict["status"], verdict["lied"], verdict["interrupted"]) == ("suspect", 1, True)


def test_a_drain_in_the_middle_of_a_drain_changes_nothing() -> None:
    scan = Scan(by_exit(), exits=30, jobs=4)
    scan.note = lambda record: soon(scan.auditor.drain)
    scan.carry_out()
    assert pairs(scan.verdicts) == Counter(("key", number) for number in range(1, 31))


def test_an_exception_in_an_assessing_task_ends_the_scan_and_is_heard_of() -> None:
    def spoil(ended: Ended) -> None:
        if ended.run_id.endswith("00007"):
            raise ZeroDivisionError("a bug of ours")

    scan = Scan(by_exit(e5=[LIE]), exits=20, jobs=4, spoil=spoil).carry_out()
    assert scan.problems and "a bug of ours" in scan.problems[0]
    assert pairs(scan.verdicts) == Counter(("key", number) for number in range(1, 21))
    late = [verdict for verdict in scan.verdicts if verdict["layer"] == "interrupted"]
    assert late and all(verdict["status"] == "error" for verdict in late)


def test_a_ledger_that_fails_ends_the_scan_too() -> None:
    def note(record: Record) -> None:
        if record["schema"] == "exitpin.verdict/1":
            raise ValueError("not a record")

    scan = Scan(by_exit(), exits=20, note=note).carry_out()
    assert scan.problems and "not a record" in scan.problems[0]


def test_trust_that_is_lost_makes_no_finding_of_anything_later() -> None:
    scan = Scan(lambda run: replace(LIE, delay_s=0.01) if number_of(run) % 2 else HONEST, exits=30, jobs=4)
    scan.note = after(3, lambda: scan.lose_trust("Tor has gone"))
    scan.carry_out()
    assert pairs(scan.verdicts) == Counter(("key", number) for number in range(1, 31))
    assert scan.accused() == set()


def test_whoever_was_not_answered_when_tor_had_gone_is_asked_again_when_the_scan_goes_on() -> None:
    scan = Scan(lambda run: replace(HONEST, delay_s=0.02), exits=20, jobs=4, repeat=2)
    scan.note = after(9, lambda: scan.session.lose_trust("Tor has gone"))
    scan.carry_out()
    assert pairs(scan.verdicts) == Counter(("key", number) for number in range(1, 21))
    left_open = [verdict for verdict in scan.verdicts if verdict["status"] == "error"]
    assert left_open and all(verdict["interrupted"] for verdict in left_open)
    assert len(scan.began) < 40, "nothing more is begun"
    again = Scan(lambda run: HONEST, exits=20, jobs=4, repeat=2, earlier=scan.records)
    again.carry_out()
    assert again.statuses == Counter(ok=len(left_open))


@pytest.mark.parametrize("earlier", [False, True])
def test_a_scan_that_is_drained_before_it_begins_asks_nobody_and_ends(earlier: bool) -> None:
    known = Scan(by_exit(), exits=6, note=after(4, lambda: None)).carry_out().records[:4] if earlier else []
    scan = Scan(by_exit(), exits=6, earlier=known, before=lambda scan: scan.auditor.drain()).carry_out()
    assert scan.began == []
    assert scan.statuses == Counter({"error": 6})
    assert all(verdict["interrupted"] for verdict in scan.verdicts)
    assert_nothing_is_held(scan)


def test_a_scan_that_nobody_trusts_before_it_begins_says_nothing_of_anybody() -> None:
    scan = Scan(by_exit(), exits=6, before=lambda scan: scan.lose_trust("a bug")).carry_out()
    assert scan.statuses == Counter({"error": 6})
    assert all(verdict["interrupted"] for verdict in scan.verdicts)


@pytest.mark.parametrize("is_trusted", [True, False])
def test_a_scan_that_ends_while_tor_is_asked_for_a_policy_accuses_nobody(is_trusted: bool) -> None:
    async def never(name: Fingerprint) -> ExitPolicy | None:
        end = scan.auditor.drain if is_trusted else lambda: scan.lose_trust("tor ended the control connection")
        asyncio.get_running_loop().call_soon(end)
        await asyncio.Event().wait()
        return None

    scan = Scan(by_exit(e5=[DEAD]), exits=8, policy_of=never).carry_out()
    (told,) = [verdict for verdict in scan.verdicts if exit_of(verdict) == 5]
    assert (told["status"], told["layer"], told["interrupted"]) == ("error", "interrupted", True)
    assert scan.accused() == set()


def test_what_waited_for_a_circuit_says_why_it_did_not_get_one() -> None:
    def end(scan: Scan) -> None:
        asyncio.get_running_loop().call_later(0.05, scan.auditor.drain, "the disk is full")

    scan = Scan(by_exit(), exits=6, jobs=6, circuit_s=1000.0, before=end).carry_out()
    assert {run["failure"]["detail"] for run in scan.runs} == {"the disk is full"}
