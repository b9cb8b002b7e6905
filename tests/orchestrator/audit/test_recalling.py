"""Runs, controls and findings of an interrupted scan, recalled: by content, and to nobody's harm."""

from collections.abc import Sequence
from typing import Any

import pytest

from exitpin.orchestrator.audit.cases import Case, Conclusion, StartRuns
from exitpin.orchestrator.audit.errands import Audit
from exitpin.orchestrator.audit.keys import key_of, verdict_id
from exitpin.orchestrator.audit.params import Bound
from exitpin.orchestrator.audit.recalling import KnownVerdict, Recollection, left_to_do, recall, standing
from exitpin.orchestrator.audit.scan_plan import ScanPlan, Skipped, make_scan_plan
from exitpin.orchestrator.tool import Baseline, Rule, Status
from exitpin.wrappers.stand_in import stand_in_snapshot

from ..scans import NO_ANSWER, Record, Scan, honest, tool

pytestmark = pytest.mark.timeout(90)


# One run, recalled.


def audits(**changes: Any) -> tuple[Audit, Any]:
    """A tool's audit and the relay that it asks, in a network of one run."""
    scan = Scan(honest, exits=3, tools=(tool(**changes),))
    snapshot = stand_in_snapshot(3)
    prepared = [(one, Bound(one, {}), one.digest) for one in scan.tools]
    relays = list(snapshot.relays.values())
    plan = make_scan_plan(snapshot, relays, prepared, unmet={}, repeat=1, is_direct_allowed=False)
    return plan.pairs[0]


def run_of(audit: Audit, relay: Any, at: float, **changes: Any) -> Record:
    return {
        "schema": "exitpin.run/1",
        "run_id": "play-00007",
        "key": key_of(audit, relay),
        "role": "probe",
        "repetition": 1,
        "nonce": "00",
        "exit": {"fingerprint": relay.fingerprint},
        "t": {"end": at},
        "process": {"rc": 0, "signal": None, "timed_out": False},
        "facts": {"key": "true"},
        "facts_exact": True,
        "failure": None,
        "circuits": [],
        "verdict": None,
        **changes,
    }


def told(rule: int | None, status: str) -> dict[str, Any]:
    return {"status": status, "rule": rule, "reason": "", "layer": None, "undecided": []}


def recalled(pair: Any, *runs: Record, verdicts: Sequence[KnownVerdict] = (), age_s: float = 0.0) -> Recollection:
    exact = lambda record: record["facts"] if record["facts_exact"] else None  # noqa: E731
    return recall([pair], [pair], verdicts, runs, exact, now=1000.0 + age_s)


OLD = 3600.0


@pytest.mark.parametrize(
    ("status", "rc", "made_by", "is_kept"),
    [
        ("error", 7, "now", True),
        ("error", 7, "then", False),
        ("interrupted", 7, "then", False),
        ("", 7, "then", False),
        ("", 0, "then", True),
        ("ok", 0, "then", True),
        ("tampered", 7, "then", True),
        ("error", 7, None, True),
    ],
)
def test_a_run_that_did_not_reach_its_target_is_made_again_by_another_snapshot(
    status: str, rc: int, made_by: str | None, is_kept: bool
) -> None:
    pair = audits()
    verdict: dict[str, Any] | None = told(0, status or "ok")
    if status == "interrupted":  # it waited for controls when the snapshot's time was over
        verdict = {**told(None, "error"), "layer": "interrupted"}
    run = run_of(
        *pair, 999.0, verdict=verdict if status else None, process={"rc": rc, "signal": None, "timed_out": False},
        exit={"fingerprint": pair[1].fingerprint, "consensus": made_by},
    )  # fmt: skip
    known = recall([pair], [pair], [], [run], lambda record: record["facts"], now=1000.0, consensus="now")
    assert (sum(map(len, known.runs.values())), len(known.superseded)) == ((1, 0) if is_kept else (0, 1))


def failure(kind: str) -> dict[str, Any]:
    return {"kind": kind, "blame": "local", "retryable": True, "detail": ""}


@pytest.mark.parametrize(
    ("changes", "age_s", "is_kept"),
    [
        ({}, 0.0, True),
        ({}, OLD, False),
        ({"verdict": told(2, "ok")}, OLD, True),
        ({"verdict": told(1, "tampered")}, 0.0, True),
        ({"verdict": told(1, "tampered")}, OLD, False),
        ({"verdict": told(0, "error")}, OLD, True),
        ({"facts": None, "failure": failure("circuit")}, OLD, True),
        ({"failure": failure("interrupted")}, 0.0, False),
        ({"facts_exact": False}, 0.0, False),
    ],
)
def test_a_run_is_of_use_as_long_as_it_can_be_judged(changes: Record, age_s: float, is_kept: bool) -> None:
    pair = audits()
    known = recalled(pair, run_of(*pair, 1000.0, **changes), age_s=age_s)
    assert len(known.runs[key_of(*pair)]) == is_kept
    assert [record["role"] for record in known.superseded] == ([] if is_kept else ["superseded"])
    assert known.first_index == 8


def test_what_a_clock_that_was_set_back_dates_from_tomorrow_ended_now_and_compares_nothing() -> None:
    pair = audits()
    known = recalled(pair, run_of(*pair, 5000.0), run_of(*pair, 5000.0, run_id="s-00009", role="control"))
    (kept,) = known.runs[key_of(*pair)]
    assert kept.ended.at == 1000.0
    assert not known.controls[key_of(*pair)]


def test_a_run_that_needs_no_controls_is_of_use_at_any_age() -> None:
    pair = audits(baseline=Baseline(mode="none"), verdict=(NO_ANSWER, Rule(Status.OK)))
    assert recalled(pair, run_of(*pair, 1000.0), age_s=OLD).runs[key_of(*pair)]


def test_a_lie_that_was_held_against_many_controls_stays_one_after_an_interruption() -> None:
    pair = audits()
    lie = run_of(*pair, 1000.0, verdict=told(1, "tampered"))
    (kept,) = recalled(pair, lie, verdicts=[suspect(pair)], age_s=OLD).runs[key_of(*pair)]
    assert kept.ended.judgement is not None and kept.ended.judgement.status is Status.TAMPERED


def test_a_judgement_by_few_controls_is_made_again() -> None:
    pair = audits()
    (kept,) = recalled(pair, run_of(*pair, 1000.0, verdict=told(1, "tampered"))).runs[key_of(*pair)]
    assert kept.ended.judgement is None and kept.ended.observation is not None


@pytest.mark.parametrize(("changes", "counts"), [({}, 1), ({"unusable": "it timed out"}, 0), ({"facts": None}, 0)])
def test_a_control_has_a_say_if_it_was_usable(changes: Record, counts: int) -> None:
    pair = audits()
    control = run_of(*pair, 1000.0, role="control", **changes)
    known = recalled(pair, control)
    assert len(known.controls[key_of(*pair)]) == counts and known.control_runs[key_of(*pair)] == 1
    assert recalled(pair, control, age_s=OLD).controls == {}
    assert known.superseded == []


def test_facts_are_what_rules_knew_and_a_digest_of_another_tool_is_nobodys() -> None:
    pair = audits()
    (kept,) = recalled(pair, run_of(*pair, 1000.0, facts={"key": ["a", "b"]})).runs[key_of(*pair)]
    assert kept.ended.facts == {"key": ("a", "b")}
    assert recalled(pair, run_of(*pair, 1000.0, key="other")).runs == {}


def test_the_verdict_on_a_question_has_one_name() -> None:
    pair = audits()
    assert verdict_id("s1", key_of(*pair)) == f"s1-v{key_of(*pair)[:12]}"


# Findings that an interruption left open.


def suspect(pair: Any, **changes: Any) -> KnownVerdict:
    return KnownVerdict.of({"key": key_of(*pair), "status": "suspect", "interrupted": True, **changes})


def left_of(pair: Any, layer: str) -> tuple[ScanPlan, Recollection]:
    """What is left of a scan whose one finding is open, and whose exit is skipped now."""
    plan = ScanPlan((pair[0],), (), (Skipped(*pair, layer, "so it is"),), 1)
    known = recall([], [pair], [suspect(pair)], [], lambda record: None, now=1000.0)
    return left_to_do(plan, known), known


@pytest.mark.parametrize("layer", ["gone", "policy"])
def test_a_finding_whose_exit_can_not_be_asked_any_more_waits_to_be_closed(layer: str) -> None:
    pair = audits()
    left, known = left_of(pair, layer)
    assert [one.relay for one in left.skipped] == [pair[1]] and left.pairs == ()
    assert standing(left, known) == []


def test_a_finding_stays_open_as_long_as_only_a_program_is_missing_here() -> None:
    pair = audits()
    left, known = left_of(pair, "requirement")
    assert (left.pairs, left.skipped) == ((), ())
    assert standing(left, known) == [suspect(pair)]


def test_a_skip_that_nobody_has_said_anything_about_is_told() -> None:
    pair = audits()
    plan = ScanPlan((pair[0],), (), (Skipped(*pair, "gone", "it is gone"),), 1)
    known = recall([], [pair], [], [], lambda record: None, now=1000.0)
    assert len(left_to_do(plan, known).skipped) == 1 and standing(plan, known) == []


@pytest.mark.parametrize("is_trusted", [True, False])
def test_a_finding_that_is_interrupted_again_stays_one(is_trusted: bool) -> None:
    pair = audits()
    lies = [run_of(*pair, 1000.0, repetition=n, run_id=f"play-0000{n}", verdict=told(1, "tampered")) for n in (1, 2)]
    known = recalled(pair, *lies, verdicts=[suspect(pair)], age_s=OLD)
    case = Case(pair[0].tool, pair[1], 4)
    runs = known.runs[key_of(*pair)]
    attempts = [one.ended.attempt(one.role, one.repetition) for one in runs]
    case.begin(attempts)
    for attempt in attempts:
        case.recalled(attempt)
    (conclusion,) = case.abandon(is_trusted=is_trusted)
    assert isinstance(conclusion, Conclusion)
    assert (conclusion.status, conclusion.is_interrupted) == (Status.SUSPECT, True)


def test_a_retry_keeps_the_runs_of_a_case_that_was_only_interrupted() -> None:
    pair = audits()
    interrupted = suspect(pair, status="error")
    known = recall(
        [pair], [pair], [interrupted], [run_of(*pair, 1000.0)], lambda r: r["facts"], now=1000.0, retry_failed=True
    )
    assert known.failed == {key_of(*pair)} and known.superseded == [] and len(known.runs[key_of(*pair)]) == 1
    closed = suspect(pair, status="error", interrupted=False)
    failed = recall(
        [pair], [pair], [closed], [run_of(*pair, 1000.0)], lambda r: r["facts"], now=1000.0, retry_failed=True
    )
    assert len(failed.superseded) == 1


def test_run_numbers_that_verdicts_name_are_not_given_out_again() -> None:
    pair = audits()
    closed = suspect(pair, status="ok", interrupted=False, runs=[{"run_id": "play-00048"}])
    assert recalled(pair, verdicts=[closed]).first_index == 49


def test_a_retry_that_was_made_answers_the_run_that_asked_for_it() -> None:
    pair = audits()
    probe = run_of(*pair, 1000.0, facts=None, failure=failure("attribution"), doubts=["two streams"])
    retry = run_of(*pair, 1001.0, role="retry", run_id="play-00009", verdict=told(2, "ok"))
    runs = recalled(pair, probe, retry).runs[key_of(*pair)]
    assert runs[0].ended.doubts == ("two streams",)
    case = Case(pair[0].tool, pair[1], 1)
    attempts = [one.ended.attempt(one.role, one.repetition) for one in runs]
    wishes = [*case.begin(attempts), *case.ended(attempts[0]), *case.recalled(attempts[1])]
    assert not [wish for wish in wishes if isinstance(wish, StartRuns)]
    assert [wish.status for wish in wishes if isinstance(wish, Conclusion)] == [Status.OK]
