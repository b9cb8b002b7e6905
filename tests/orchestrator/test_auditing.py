"""The driver of a scan with all that it drives, on plays instead of tools and Tor: what must be so however runs go."""

import asyncio
import gc
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from exitpin.orchestrator.assessing import Ended
from exitpin.orchestrator.cases import Case
from exitpin.orchestrator.conclusions import REACH_RUNS
from exitpin.orchestrator.model import Run
from exitpin.orchestrator.tool import Baseline, Condition, Extract, Rule, Status
from exitpin.wrappers.stand_in_launch import Play

from .scans import CHANGED, DEAD, HONEST, LIE, NO_ANSWER, Record, Scan, exit_of, number_of, pairs, tool

pytestmark = pytest.mark.timeout(90)

PAGE = Path("/proc/self/statm")
PAGE_KIB = 4


def by_exit(**plays: Sequence[Play]) -> Callable[[Run], Play]:
    """A play for each run through the exit `eN`, the last one again and again; all other exits are honest."""
    made: Counter[int] = Counter()

    def play(run: Run) -> Play:
        number = number_of(run)
        known = plays.get(f"e{number}", [HONEST])
        made[number] += 1
        return known[min(made[number], len(known)) - 1]

    return play


def honest(run: Run) -> Play:
    return HONEST


def roles(scan: Scan, number: int) -> Counter[str]:
    """What the runs through an exit were made for, controls left out."""
    return Counter(run["role"] for run in scan.runs if exit_of(run) == number and run["role"] != "control")


def verdict_on(scan: Scan, number: int) -> Record:
    (found,) = [verdict for verdict in scan.verdicts if exit_of(verdict) == number]
    return found


def rss_kib() -> int:
    return int(PAGE.read_text().split()[1]) * PAGE_KIB


def assert_nothing_is_held(scan: Scan) -> None:
    """Whatever the driver knew of cases and runs is forgotten."""
    held = scan.auditor
    assert (held.running, held.open_cases, scan.schedule.waiting, scan.schedule.running) == (0, 0, 0, 0)
    assert not held._ended and not held._judging and not held._warden._wishes
    assert not scan.witness._runs and not scan.witness._run_of_stream


def assert_told_once(scan: Scan, exits: Sequence[int]) -> None:
    """One verdict for each pair, and a record of each run that it names."""
    assert pairs(scan.verdicts) == Counter((one.id, number) for one in scan.tools for number in exits)
    named = [attempt["run_id"] for verdict in scan.verdicts for attempt in verdict["runs"]]
    assert len(named) == len(set(named))
    assert set(named) == {run["run_id"] for run in scan.runs if run["role"] != "control"}
    assert scan.session.active_count == 0


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


# How it ends before its time.


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
    ended = {run["run_id"] for run in scan.runs}
    assert {line.split()[0] for line in scan.began} == ended, "a run that was begun has no record"
    assert_nothing_is_held(scan)


def test_a_lie_that_nobody_could_confirm_any_more_is_told_as_suspect() -> None:
    scan = Scan(by_exit(e5=[LIE, replace(LIE, delay_s=20.0)]), exits=8, control=honest, chosen=[5])

    def interrupt() -> None:
        scan.auditor.drain()
        scan.session.interrupt()

    def note(record: Record) -> None:
        if record["schema"] == "exitpin.run/1" and record["status"] == "tampered" and not scan.auditor.is_draining:
            soon(interrupt)

    scan.note = note
    scan.carry_out()
    verdict = verdict_on(scan, 5)
    assert (verdict["status"], verdict["lied"]) == ("suspect", 1)
    assert "not confirmed" in verdict["reason"]


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


# Size and chance.


def test_300_exits_by_two_tools_take_seconds_and_leave_nothing_in_memory() -> None:
    liars = set(range(7, 300, 30))
    play = replace(HONEST, delay_s=0.01, stdout=HONEST.stdout + b"x" * 100_000)

    def told(run: Run) -> Play:
        return LIE if number_of(run) in liars else play

    scan = Scan(told, exits=300, tools=[tool("one"), tool("two")], jobs=64, circuit_s=0.005)
    peaks: list[int] = []
    at_first = rss_kib()
    kept: defaultdict[str, int] = defaultdict(int)

    def note(record: Record) -> None:
        kept[record["schema"]] += 1
        if kept[record["schema"]] % 100 == 0:
            peaks.append(rss_kib())

    scan.note = note
    before = time.monotonic()
    scan.carry_out()
    took_s = time.monotonic() - before
    assert scan.accused() == liars
    assert_told_once(scan, range(1, 301))
    assert_nothing_is_held(scan)
    assert took_s < 30.0
    assert max(peaks) - at_first < 60 << 10, f"{at_first} KiB at first, then {peaks}"
    gc.collect()
    left = Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, Ended | Case))
    assert left[Ended.__name__] <= 1, left


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_begins_in_the_same_order_and_comes_to_the_same_verdicts(seed: int) -> None:
    def told() -> Scan:
        play = by_exit(e5=[LIE], e11=[DEAD], e14=[DEAD, HONEST], e20=[replace(LIE, delay_s=0.01)])
        return Scan(play, exits=30, seed=seed, jobs=16, circuit_failures=0.1, control=honest).carry_out()

    def found(scan: Scan) -> set[tuple[int, str, int]]:
        return {(exit_of(verdict), verdict["status"], verdict["lied"]) for verdict in scan.verdicts}

    one, other = told(), told()
    assert one.began[:8] == other.began[:8]
    assert found(one) == found(other)
    assert Scan(by_exit(), exits=30, seed=seed + 10, jobs=16).carry_out().began[:8] != one.began[:8]
