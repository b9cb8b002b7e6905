"""From the runs through one exit to its verdict."""

from dataclasses import replace

import pytest

from exitpin.orchestrator.audit.cases import RECHECK_CONTROLS, Attempt, Case, Conclusion, Phase, Role, WantControls
from exitpin.orchestrator.audit.conclusions import REACH_RUNS
from exitpin.orchestrator.audit.verdict import Judgement
from exitpin.orchestrator.model import Failure
from exitpin.orchestrator.tool import Baseline, Confirm, Status

from ..values import relay
from .case_stage import BROKEN, DOUBTFUL, FEW_SAY_OK, LIE, LOST, NO_ANSWER, NO_CONTROL, OK, SEEN, TOOL, Stage, play


def test_one_honest_run_is_enough() -> None:
    conclusion, stage = play(OK)
    assert (conclusion.status, len(stage.runs), conclusion.lied, conclusion.of) == (Status.OK, 1, 0, 1)
    assert stage.controls == [WantControls()]


def test_a_lie_is_confirmed_by_runs_on_other_circuits_and_by_fresh_controls() -> None:
    conclusion, stage = play(LIE, LIE, LIE)
    assert stage.runs == [Role.PROBE, Role.CONFIRM, Role.CONFIRM]
    assert stage.controls[1].fresh_after == 0.0 and stage.controls[1].at_least > 0
    assert (conclusion.status, conclusion.lied, conclusion.of, conclusion.blame) == (Status.TAMPERED, 3, 3, "exit")


@pytest.mark.parametrize("others", [(OK, LIE), (LIE, OK)])
def test_one_more_lie_makes_tampered(others: tuple[Judgement, Judgement]) -> None:
    conclusion, _ = play(LIE, *others)
    assert (conclusion.status, conclusion.lied, conclusion.of) == (Status.TAMPERED, 2, 3)


def test_honest_runs_never_acquit() -> None:
    conclusion, _ = play(LIE, OK, OK)
    assert conclusion.status is Status.SUSPECT
    assert (conclusion.lied, conclusion.of) == (1, 3)
    assert "intermittent" in conclusion.reason


def test_one_lie_among_many_probes_is_still_a_finding() -> None:
    conclusion, _ = play(*[OK] * 5, LIE, OK, repeat=12)
    assert (conclusion.status, conclusion.lied, conclusion.of) == (Status.SUSPECT, 1, 14)


def test_fresh_controls_may_show_that_it_was_no_lie() -> None:
    conclusion, _ = play(DOUBTFUL, OK, OK, rejudge={0: OK})
    assert conclusion.status is Status.OK


def test_two_doubtful_runs_stay_suspect() -> None:
    conclusion, _ = play(DOUBTFUL, DOUBTFUL, OK)
    assert (conclusion.status, conclusion.lied) == (Status.SUSPECT, 2)


def test_the_worst_of_several_lies_counts() -> None:
    conclusion, _ = play(DOUBTFUL, LIE, DOUBTFUL)
    assert (conclusion.status, conclusion.reason) == (Status.TAMPERED, "another leaf")


def test_a_lie_that_nobody_could_confirm_stays_suspect() -> None:
    conclusion, stage = play(LIE, LOST)
    assert (conclusion.status, conclusion.lied, conclusion.of) == (Status.SUSPECT, 1, 1)
    assert "not confirmed" in conclusion.reason
    assert stage.runs.count(Role.RETRY) == TOOL.command.retries


def test_without_fresh_controls_a_lie_is_no_finding() -> None:
    case = Case(TOOL, relay(1))
    stage = Stage(case, [LIE])
    stage.take(case.begin())
    for number in range(3):
        stage.end(number)
    assert stage.conclusion is None
    stage.take(case.without_controls("all of them failed"))
    assert stage.conclusion is not None
    assert (stage.conclusion.status, stage.conclusion.layer) == (Status.ERROR, "control")


def test_runs_whose_attribution_is_in_doubt_accuse_nobody_and_acquit_nobody() -> None:
    in_doubt = Failure("attribution", "local", True, "stream 7: its NEW does not carry the record's tag")
    conclusion, _ = play(in_doubt)
    assert (conclusion.status, conclusion.layer) == (Status.ERROR, "exitpin")
    conclusion, _ = play(LIE, in_doubt, LIE)
    assert (conclusion.status, conclusion.lied, conclusion.of) == (Status.TAMPERED, 3, 3)


def test_an_answer_that_a_rule_calls_an_error_is_the_targets() -> None:
    conclusion, stage = play(Judgement(Status.ERROR, "the target answers 503", 2))
    assert (conclusion.status, conclusion.layer, conclusion.blame) == (Status.ERROR, "target", "target")
    assert len(stage.runs) == 1


@pytest.mark.parametrize("mode", ["none", "pinned"])
def test_nobody_is_called_broken_where_nobody_else_was_asked(mode: str) -> None:
    tool = replace(TOOL, baseline=Baseline(mode=mode))
    for repeat in (1, REACH_RUNS, 2 * REACH_RUNS):
        conclusion, _ = play(NO_ANSWER, tool=tool, repeat=repeat)
        assert conclusion.status is Status.ERROR


def test_a_case_that_asks_for_no_fresh_controls_ends_as_well() -> None:
    tool = replace(TOOL, confirm=Confirm(runs=2, recheck_baseline=False))
    for repeat in (1, REACH_RUNS - 1, REACH_RUNS, REACH_RUNS + 1):
        conclusion, _ = play(NO_ANSWER, tool=tool, repeat=repeat)
        assert conclusion.status is Status.BROKEN


def test_a_lie_that_comes_long_after_the_recheck_is_held_against_younger_controls() -> None:
    case = Case(TOOL, relay(1), 4)
    stage = Stage(case, [])
    stage.take(case.begin())

    def end(number: int, at: float, judgement: Judgement) -> None:
        attempt = Attempt(str(number), stage.runs[number], at, SEEN)
        stage.take(case.ended(attempt))
        stage.take(case.judged({str(number): judgement}, is_fresh=False))

    end(0, 1.0, LIE)
    stage.take(case.judged({"0": OK}, is_fresh=True))
    end(1, 2.0, OK)
    for number in range(2, len(stage.runs)):
        end(number, 1000.0 + number, LIE)
    assert stage.conclusion is None
    assert stage.controls[-1].fresh_after == 1000.0 + len(stage.runs) - 1
    stage.take(case.judged({str(number): OK for number in range(2, len(stage.runs))}, is_fresh=True))
    assert stage.conclusion is not None
    assert stage.conclusion.status is Status.OK


def test_what_was_the_targets_own_answer_at_its_time_is_not_judged_again() -> None:
    case = Case(TOOL, relay(1), 2)
    stage = Stage(case, [OK, LIE])
    stage.take(case.begin())
    stage.end(0)
    stage.end(1)
    assert [attempt.run_id for attempt in case.in_question] == ["1"]


@pytest.mark.parametrize("kind", [NO_ANSWER, BROKEN])
def test_broken_needs_many_failures_and_no_success(kind: Judgement) -> None:
    conclusion, stage = play(kind)
    assert (conclusion.status, conclusion.blame) == (Status.BROKEN, "exit")
    assert len(stage.runs) == REACH_RUNS
    assert stage.controls[-1].fresh_after is not None


@pytest.mark.parametrize("repeat", [1, 3, REACH_RUNS])
def test_an_exit_is_broken_only_if_it_fails_between_controls_that_are_well(repeat: int) -> None:
    case = Case(TOOL, relay(1), repeat)
    stage = Stage(case, [NO_ANSWER])
    stage.take(case.begin())
    ended = 0
    while ended < len(stage.runs):
        stage.end(ended)
        ended += 1
    assert ended >= REACH_RUNS - 1 and stage.conclusion is None, "the target may have been away all the while"
    stage.take(case.judged({}, is_fresh=True))
    assert len(stage.runs) == ended + 1 and stage.conclusion is None
    stage.end(ended)
    assert stage.conclusion is None, "it may be away again"
    assert stage.controls[-1].fresh_after == float(ended)
    stage.take(case.judged({}, is_fresh=True))
    assert stage.conclusion is not None and stage.conclusion.status is Status.BROKEN


def test_an_exit_that_was_away_with_its_target_is_well() -> None:
    conclusion, _ = play(*[NO_ANSWER] * (REACH_RUNS - 1), OK)
    assert (conclusion.status, conclusion.reason) == (Status.OK, "7 of 8 runs got no answer")


def test_if_controls_are_not_well_afterwards_nobody_is_broken() -> None:
    case = Case(TOOL, relay(1))
    stage = Stage(case, [NO_ANSWER])
    stage.take(case.begin())
    for number in range(REACH_RUNS - 1):
        stage.end(number)
    stage.take(case.judged({}, is_fresh=True))
    stage.end(REACH_RUNS - 1)
    stage.take(case.without_controls("2 of 3 could not be had"))
    assert stage.conclusion is not None
    assert (stage.conclusion.status, stage.conclusion.layer) == (Status.ERROR, "control")


def test_nor_if_the_last_run_tells_nothing() -> None:
    before = REACH_RUNS + TOOL.command.retries
    conclusion, stage = play(*[NO_ANSWER] * before, LOST, repeat=REACH_RUNS)
    assert (conclusion.status, stage.runs[before:]) == (Status.ERROR, [Role.CONFIRM])


@pytest.mark.parametrize("kind", [NO_ANSWER, BROKEN])
@pytest.mark.parametrize("when", range(1, REACH_RUNS))
def test_the_best_attempt_counts_for_reachability(kind: Judgement, when: int) -> None:
    conclusion, _ = play(*[kind] * when, OK, kind)
    assert conclusion.status is Status.OK


def test_what_got_through_may_still_have_been_changed() -> None:
    conclusion, _ = play(NO_ANSWER, LIE, NO_ANSWER, LIE, LIE)
    assert conclusion.status is Status.TAMPERED


def test_lost_circuits_say_nothing_about_the_exit() -> None:
    conclusion, stage = play(LOST)
    assert (conclusion.status, conclusion.layer, conclusion.retryable) == (Status.ERROR, "circuit", True)
    assert stage.runs == [Role.PROBE, Role.RETRY, Role.RETRY]


def test_a_run_that_says_nothing_is_made_again() -> None:
    conclusion, _ = play(LOST, OK)
    assert conclusion.status is Status.OK


def test_controls_that_disagree_are_an_error_of_the_control() -> None:
    conclusion, stage = play(NO_CONTROL, rejudge={0: NO_CONTROL})
    assert (conclusion.status, conclusion.layer) == (Status.ERROR, "control")
    assert len(stage.runs) == 1


def test_where_a_few_controls_disagree_as_many_are_asked_as_for_a_finding_and_the_run_is_judged_by_them() -> None:
    conclusion, stage = play(NO_CONTROL, rejudge={0: OK})
    assert conclusion.status is Status.OK
    assert len(stage.runs) == 1
    assert [wish.at_least for wish in stage.controls] == [0, RECHECK_CONTROLS]


def test_an_ok_that_rests_on_few_controls_is_held_against_many() -> None:
    conclusion, stage = play(FEW_SAY_OK, LIE, rejudge={0: LIE})
    assert (conclusion.status, conclusion.lied) == (Status.TAMPERED, 3)
    assert [wish.at_least for wish in stage.controls][:2] == [0, RECHECK_CONTROLS]


def test_it_stands_if_many_do_not_agree_either() -> None:
    conclusion, stage = play(FEW_SAY_OK, rejudge={0: FEW_SAY_OK})
    assert conclusion.status is Status.OK
    assert [wish.at_least for wish in stage.controls] == [0, RECHECK_CONTROLS]


def test_a_lie_that_only_many_controls_show_is_confirmed_like_others() -> None:
    conclusion, stage = play(NO_CONTROL, LIE, rejudge={0: LIE})
    assert (conclusion.status, conclusion.lied) == (Status.TAMPERED, 3)
    assert stage.runs == [Role.PROBE, Role.CONFIRM, Role.CONFIRM]


def test_an_exit_that_refuses_what_it_declares_is_our_own_choice() -> None:
    case = Case(TOOL, relay(1))
    stage = Stage(case, [])
    stage.take(case.begin())
    declared = Failure("policy", "local", False, "declared")
    stage.take(case.ended(Attempt("0", Role.PROBE, 0.0, SEEN, declared)))
    stage.take(case.judged({"0": NO_ANSWER}, is_fresh=False))
    assert stage.conclusion is not None
    assert (stage.conclusion.status, stage.conclusion.blame) == (Status.ERROR, "local")


def test_a_tool_that_does_not_confirm_broken_ends_with_an_error() -> None:
    tool = replace(TOOL, confirm=Confirm(runs=2, statuses=(Status.TAMPERED,)))
    conclusion, stage = play(NO_ANSWER, tool=tool)
    assert conclusion.status is Status.ERROR
    assert len(stage.runs) == 3


def test_a_tool_without_controls_needs_none_to_confirm() -> None:
    tool = replace(TOOL, baseline=Baseline(mode="none"))
    conclusion, stage = play(LIE, tool=tool)
    assert conclusion.status is Status.TAMPERED
    assert len(stage.controls) == 1


def test_an_abandoned_case_tells_the_lie_that_it_saw_as_suspect() -> None:
    case = Case(TOOL, relay(1), 2)
    stage = Stage(case, [LIE])
    stage.take(case.begin())
    stage.end(0)
    stage.end(1)
    stage.take(case.abandon())
    assert stage.conclusion is not None
    assert (stage.conclusion.status, stage.conclusion.lied) == (Status.SUSPECT, 2)
    assert "interrupted" in stage.conclusion.reason
    assert case.phase is Phase.DONE


def test_when_nothing_can_be_believed_no_lie_is_told() -> None:
    case = Case(TOOL, relay(1), 2)
    stage = Stage(case, [LIE])
    stage.take(case.begin())
    stage.end(0)
    stage.take(case.abandon(is_trusted=False))
    assert stage.conclusion is not None
    assert stage.conclusion.status is Status.ERROR


def test_an_abandoned_case_that_saw_nothing_is_open() -> None:
    case = Case(TOOL, relay(1))
    case.begin()
    (conclusion,) = case.abandon()
    assert isinstance(conclusion, Conclusion)
    assert (conclusion.status, conclusion.layer) == (Status.ERROR, "interrupted")
