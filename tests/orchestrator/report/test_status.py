"""The check for monitoring: which state, one line, and figures that a plugin's reader can parse."""

import re

import pytest

from exitpin.orchestrator.report.status import Said, State, Terms, duration, line, plugin
from exitpin.orchestrator.report.watch import Watched

from .watched import HOSTILE, NOW, a_job, a_watch, accusation

TAMPERED, SUSPECT, BROKEN = (accusation(status, n) for n, status in enumerate(("tampered", "suspect", "broken"), 1))
HELD = a_job(scan_id="s2", state="killed", planned=9, held=(TAMPERED,), held_by=("s1",))
DAY = 86400.0
FIGURE = re.compile(r"'?[^'=]+'?=[\d.]+(s|%|B|c)?(;[\d.:@~]*){0,4}")


@pytest.mark.parametrize(
    ("jobs", "state", "words"),
    [
        ([a_job()], State.OK, "no finding; 5 verdicts; scan s1 ended 60 min ago"),
        ([a_job(TAMPERED)], State.CRITICAL, "1 tampered: tls-cert exit01/00000000; 6 verdicts"),
        ([a_job(SUSPECT)], State.WARNING, "1 suspect: tls-cert exit02"),
        ([a_job(BROKEN)], State.WARNING, "1 broken: tls-cert exit03"),
        ([a_job(BROKEN, TAMPERED)], State.CRITICAL, "1 tampered, 1 broken: tls-cert exit01/00000000, tls-cert exit03"),
        ([a_job(planned=9)], State.WARNING, "scan s1 is incomplete: 5 of 9 verdicts; no finding"),
        ([a_job(state="killed")], State.WARNING, "scan s1 is incomplete (killed): 5 of 5 verdicts"),
        ([a_job(TAMPERED, planned=9)], State.CRITICAL, "1 tampered: tls-cert exit01/00000000; scan s1 is incomplete"),
        ([a_job(ok=0, tally={("t", "error"): 3, ("t", "skipped"): 2})], State.UNKNOWN, "scan s1 judged nobody"),
        ([a_job(ended=NOW - 2 * DAY)], State.CRITICAL, "the last scan, s1, ended 2 d ago"),
        ([a_job(ended=NOW - 2 * DAY), a_job(ended=NOW - 99 * DAY)], State.CRITICAL, "the last scan, s1, ended 2 d ago"),
        ([a_job(), a_job(TAMPERED, ended=NOW - 2 * DAY)], State.OK, "no finding; 5 verdicts"),
        ([a_job(), a_job(SUSPECT, scan_id="s2")], State.WARNING, "11 verdicts; 2 scans, the last ended 60 min ago"),
        (
            [HELD],
            State.CRITICAL,
            "1 tampered: tls-cert exit01/00000000; scan s2 is incomplete (killed): 5 of 9 verdicts",
        ),
        ([HELD], State.CRITICAL, "; what scan s1 found still holds; "),
        ([], State.UNKNOWN, "no scan of the Tor network has ended yet"),
    ],
)
def test_the_state_is_that_of_the_gravest_thing_to_say(jobs: list[Watched], state: State, words: str) -> None:
    found, said = plugin(jobs, NOW, Terms())
    assert found is state
    assert said.startswith(f"EXITPIN {state.name} - ")
    assert words in said


def test_whoever_asks_says_what_is_grave() -> None:
    lenient = Terms(warning=frozenset(), critical=frozenset({"broken"}))
    assert plugin([a_job(TAMPERED, SUSPECT)], NOW, lenient)[0] is State.OK
    assert plugin([a_job(BROKEN)], NOW, lenient)[0] is State.CRITICAL
    assert "OK - 1 tampered, 1 suspect; 7 verdicts" in plugin([a_job(TAMPERED, SUSPECT)], NOW, lenient)[1]


def test_the_figures_are_in_the_form_of_the_plugins() -> None:
    _, said = plugin([a_job(TAMPERED, accusation("tampered", 4), SUSPECT)], NOW, Terms())
    figures = said.partition(" | ")[2].split()
    assert all(FIGURE.fullmatch(figure) for figure in figures)
    assert figures[:2] == ["tampered=2;;0;0", "suspect=1;0;;0"]
    assert figures[-1] == "age=3600s;;93600;0"


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({}, State.OK, "no finding; watch nightly: the next iteration is due in 60 min; 5 verdicts"),
        ({"due": NOW - 5}, State.OK, "watch nightly: the next iteration is due now"),
        ({"due": None}, State.OK, "watch nightly: nothing is due"),
        ({"state": "scanning", "due": NOW - 9999}, State.OK, "watch nightly: iteration 41 began"),
        ({"due": NOW - 7200}, State.CRITICAL, "- watch nightly: its next iteration was due 2 h ago; no finding"),
        ({"state": "scanning", "written": NOW - 299}, State.OK, "watch nightly: iteration 41 began"),
        ({"state": "scanning", "written": NOW - 601}, State.CRITICAL, "- watch nightly was last heard of 10 min ago"),
        ({"state": "paused", "written": NOW - 601}, State.CRITICAL, "- watch nightly was last heard of 10 min ago"),
        ({"written": NOW - 601}, State.CRITICAL, "- watch nightly was last heard of 10 min ago"),
        ({"written": NOW - 601, "state": "stopped"}, State.CRITICAL, "- watch nightly has stopped; no finding"),
        ({"written": NOW + 601}, State.OK, "watch nightly: the next iteration is due in 60 min"),
        ({"state": "stopped"}, State.CRITICAL, "- watch nightly has stopped; no finding"),
        (
            {"state": "paused", "paused": "no snapshot"},
            State.WARNING,
            "- watch nightly is paused: no snapshot; no find",
        ),
        ({"state": "paused", "paused": HOSTILE}, State.WARNING, "is paused: a"),
    ],
)
def test_a_watch_that_does_nothing_is_grave(changes: dict[str, object], state: State, words: str) -> None:
    found, said = plugin([a_job()], NOW, Terms(), watch=a_watch(**changes))
    assert found is state and words in said
    assert said.isascii() and said.isprintable() and said.count("|") == 1


def test_a_watch_says_when_there_is_no_scan_yet_and_no_finding_is_milder_for_it() -> None:
    assert plugin([], NOW, Terms(), watch=a_watch())[0] is State.UNKNOWN
    assert plugin([], NOW, Terms(), watch=a_watch(state="stopped"))[0] is State.CRITICAL
    found, said = plugin([a_job(TAMPERED)], NOW, Terms(), watch=a_watch(state="paused", paused="no snapshot"))
    assert found is State.CRITICAL and "is paused: no snapshot" in said


def test_no_more_exits_are_named_than_a_line_holds() -> None:
    _, said = plugin([a_job(*(accusation("tampered", number) for number in range(1, 9)))], NOW, Terms())
    assert "8 tampered: tls-cert exit01/00000000, tls-cert exit02/00000000, tls-cert exit03/00000000, ...;" in said


def test_it_is_one_line_of_ascii_with_one_bar_whatever_stands_in_the_store() -> None:
    accused = accusation("tampered", exit_nickname=HOSTILE, tool=HOSTILE)
    _, said = plugin([a_job(accused, scan_id=HOSTILE, state=HOSTILE)], NOW, Terms())
    assert said.isascii() and said.isprintable()
    assert said.count("|") == 1
    assert line(Said(State.UNKNOWN, "a | b")) == (State.UNKNOWN, "EXITPIN UNKNOWN - a / b")


@pytest.mark.parametrize(
    ("seconds", "words"), [(-5, "0 s"), (90, "90 s"), (3600, "60 min"), (7200, "2 h"), (250_000, "3 d")]
)
def test_times_are_said_in_the_unit_that_fits(seconds: float, words: str) -> None:
    assert duration(seconds) == words
