"""The driver of a scan with all that it drives, on plays instead of tools and Tor: what must be so however runs go."""

import asyncio
from dataclasses import replace
from random import Random

import pytest

from exitpin.orchestrator.audit.conclusions import REACH_RUNS
from exitpin.orchestrator.model import Fingerprint, Run
from exitpin.orchestrator.policy import ExitPolicy, parse_policy
from exitpin.orchestrator.tool import Baseline, Condition, Extract, Rule, Status
from exitpin.wrappers.stand_in_launch import Play

from ..scans import (
    CHANGED,
    DEAD,
    HONEST,
    LIE,
    NO_ANSWER,
    Scan,
    assert_nothing_is_held,
    assert_told_once,
    by_exit,
    honest,
    number_of,
    roles,
    tool,
    verdict_on,
)

pytestmark = pytest.mark.timeout(90)


def test_honest_exits_are_ok_after_one_run_each() -> None:
    scan = Scan(by_exit(), exits=12).carry_out()
    assert_told_once(scan, range(1, 13))
    assert scan.statuses == {"ok": 12}
    assert {role for n in range(1, 13) for role in roles(scan, n)} == {"probe"}
    assert scan.auditor.verdicts == {Status.OK: 12}
    assert_nothing_is_held(scan)


def test_a_liar_among_honest_ones_is_found_and_nobody_else() -> None:
    scan = Scan(by_exit(e5=[LIE]), exits=12).carry_out()
    assert_told_once(scan, range(1, 13))
    assert scan.accused() == {5}
    verdict = verdict_on(scan, 5)
    assert (verdict["status"], verdict["lied"], verdict["of"], verdict["blame"]) == ("tampered", 3, 3, "exit")
    assert roles(scan, 5) == {"probe": 1, "confirm": 2}


def test_a_finding_rests_on_controls_that_are_younger_than_its_first_lie() -> None:
    scan = Scan(by_exit(e5=[LIE]), exits=12).carry_out()
    verdict = verdict_on(scan, 5)
    first = min(attempt["t"] for attempt in verdict["runs"])
    young = [control for control in verdict["controls"] if control["at"] > first]
    assert len(young) >= 3
    assert {control["facts"]["key"] for control in young} == {"true"}
    assert f"{5:040X}" not in {control["exit"] for control in verdict["controls"]}


def test_an_exit_that_lied_once_is_suspect() -> None:
    scan = Scan(by_exit(e5=[LIE, HONEST]), exits=12, control=honest).carry_out()
    verdict = verdict_on(scan, 5)
    assert (verdict["status"], verdict["lied"], verdict["of"]) == ("suspect", 1, 3)


@pytest.mark.parametrize("seed", range(5))
def test_liars_who_agree_are_found_while_they_are_few_and_nobody_else_is_accused(seed: int) -> None:
    liars = {3, 9}
    scan = Scan(lambda run: LIE if number_of(run) in liars else HONEST, exits=40, seed=seed).carry_out()
    assert scan.accused() == liars


def test_who_says_something_else_each_time_is_found_and_no_control_of_his_counts() -> None:
    def play(run: Run) -> Play:
        return Play(stdout=f"key {run.run_id}\n".encode()) if number_of(run) == 2 else HONEST

    scan = Scan(play, exits=8).carry_out()
    assert scan.accused() == {2}


def test_a_run_without_an_answer_is_made_again_and_one_answer_is_enough() -> None:
    scan = Scan(by_exit(e5=[DEAD, DEAD, HONEST]), exits=12, control=honest).carry_out()
    verdict = verdict_on(scan, 5)
    assert verdict["status"] == "ok"
    assert "2 of 3 runs got no answer" in verdict["reason"]
    assert roles(scan, 5) == {"probe": 1, "retry": 2}


def test_who_carries_nothing_is_broken_and_not_tampered() -> None:
    scan = Scan(by_exit(e5=[DEAD]), exits=12).carry_out()
    verdict = verdict_on(scan, 5)
    assert (verdict["status"], verdict["lied"]) == ("broken", 0)
    assert sum(roles(scan, 5).values()) == REACH_RUNS
    assert scan.accused() == {5}


def test_who_is_too_slow_for_the_tool_is_broken() -> None:
    quick = tool()
    quick = replace(quick, command=replace(quick.command, timeout_s=0.3, kill_after_s=0.1))
    scan = Scan(by_exit(e5=[Play(60.0, b"key true\n", lasts=True)]), exits=8, tools=[quick]).carry_out()
    assert verdict_on(scan, 5)["status"] == "broken"
    assert scan.accused() == {5}


def test_controls_that_all_fail_make_an_error_of_the_controls_and_no_finding() -> None:
    scan = Scan(lambda run: HONEST if number_of(run) == 5 else DEAD, exits=30, chosen=[5]).carry_out()
    verdict = verdict_on(scan, 5)
    assert (verdict["status"], verdict["layer"]) == ("error", "control")
    assert "controls failed" in verdict["reason"]
    assert len(scan.runs) < 40


def test_controls_that_contradict_each_other_make_an_error() -> None:
    scan = Scan(lambda run: Play(stdout=f"key {run.run_id}\n".encode()), exits=12).carry_out()
    assert_told_once(scan, range(1, 13))
    assert scan.statuses == {"error": 12}
    assert {verdict["layer"] for verdict in scan.verdicts} == {"control"}


def test_nobody_to_ask_is_said_and_waited_for_by_nobody() -> None:
    scan = Scan(by_exit(), exits=2).carry_out()
    assert_told_once(scan, range(1, 3))
    assert {verdict["layer"] for verdict in scan.verdicts} == {"control"}


def test_controls_that_grow_old_at_once_hold_up_nobody() -> None:
    hasty = tool(baseline=Baseline(max_age_s=0.05))
    scan = Scan(lambda run: LIE if number_of(run) == 3 else replace(HONEST, delay_s=0.02), exits=12, tools=[hasty])
    scan.carry_out()
    assert_told_once(scan, range(1, 13))
    assert scan.accused() <= {3}


def test_a_tool_that_needs_no_controls_asks_for_none() -> None:
    alone = tool(
        verdict=(Rule(Status.TAMPERED, (Condition("key", "is", "false"),), reason="lie"), Rule(Status.OK)),
        baseline=Baseline("none"),
    )
    scan = Scan(by_exit(e2=[LIE]), exits=4, tools=[alone]).carry_out()
    assert_told_once(scan, range(1, 5))
    assert scan.accused() == {2}
    assert not [run for run in scan.runs if run["role"] == "control"]


def test_a_target_that_is_down_accuses_nobody() -> None:
    scan = Scan(lambda run: DEAD, exits=20).carry_out()
    assert_told_once(scan, range(1, 21))
    assert scan.statuses == {"error": 20}


def test_what_cannot_be_read_is_an_error_and_no_finding() -> None:
    tricky = tool(extracts=(Extract("key", how="regex", argument=r"(a+)+$"),))
    scan = Scan(
        lambda run: Play(stdout=b"a" * 3000 + b"!") if number_of(run) == 2 else Play(stdout=b"aaa"),
        exits=6, tools=[tricky],
    ).carry_out()  # fmt: skip
    assert_told_once(scan, range(1, 7))
    assert (verdict_on(scan, 2)["status"], verdict_on(scan, 2)["layer"]) == ("error", "parse")
    assert scan.accused() == set()


def test_circuits_that_fail_at_30_percent_change_no_verdict() -> None:
    play = by_exit(e5=[LIE], e11=[DEAD])
    scan = Scan(play, exits=40, circuit_failures=0.3, circuit_s=0.002, seed=3).carry_out()
    assert_told_once(scan, range(1, 41))
    assert scan.accused() <= {5, 11}
    assert 5 in scan.accused()
    assert scan.statuses["ok"] >= 34
    assert {verdict["layer"] for verdict in scan.verdicts if verdict["status"] == "error"} <= {"circuit", "stream"}


def test_circuits_that_all_fail_end_the_scan_with_errors() -> None:
    scan = Scan(by_exit(), exits=20, circuit_failures=1.0).carry_out()
    assert_told_once(scan, range(1, 21))
    assert scan.statuses == {"error": 20}
    assert scan.schedule.halvings > 0
    assert scan.began == []


@pytest.mark.parametrize("seed", range(6))
def test_whatever_runs_do_there_is_one_verdict_each_and_an_end(seed: int) -> None:
    rng = Random(seed)
    kinds = [
        HONEST, HONEST, LIE, DEAD, Play(), Play(signal=11), Play(stdout=b"key \xff\x1b[2J\n" + b"x" * 300_000),
        Play(0.5, b"key true\n"), Play(0.5, b"key true\n", lasts=True), Play(facts=b"no\0thing=\n" * 99),
    ]  # fmt: skip
    first = tool("first", baseline=Baseline(exits=2))
    second = tool("second", verdict=(NO_ANSWER, CHANGED))
    tools = [
        replace(one, command=replace(one.command, timeout_s=0.2, kill_after_s=0.05, retries=rng.randrange(3)))
        for one in (first, second)
    ]
    scan = Scan(
        lambda run: rng.choice(kinds[: 2 + seed * 2]), exits=20, tools=tools, seed=seed, repeat=1 + seed % 3,
        circuit_failures=0.2,
    ).carry_out()  # fmt: skip
    assert scan.problems == []
    assert_told_once(scan, range(1, 21))
    assert_nothing_is_held(scan)


@pytest.mark.parametrize(("now", "status"), [("accept *:*", "broken"), ("accept *:80\nreject *:*", "error")])
def test_an_exit_that_has_another_policy_by_now_is_not_called_broken(now: str, status: str) -> None:
    async def policy_of(name: Fingerprint) -> ExitPolicy | None:
        await asyncio.sleep(0.01)
        return parse_policy(now)

    scan = Scan(by_exit(e5=[DEAD]), exits=8, policy_of=policy_of).carry_out()
    assert scan.statuses == {"ok": 7, status: 1}
    (told,) = [verdict for verdict in scan.verdicts if verdict["status"] == status]
    if status == "error":
        assert told["reason"].startswith("its exit policy is another one than that of the snapshot; no answer")
        assert told["layer"] == "stream" and told["rule"] is None
