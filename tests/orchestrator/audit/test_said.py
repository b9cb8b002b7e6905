"""What a script says of itself: never stronger than the rules allow, and no `ok` of what failed."""

import re

import pytest

from exitpin.orchestrator.audit.said import EXTRACTS, RULES
from exitpin.orchestrator.audit.verdict import Judgement, Observation, is_usable_control, judge
from exitpin.orchestrator.tool import Command, Status, Tool
from exitpin.wrappers.extraction import Harvest, extract


def tool(parse: str) -> Tool:
    return Tool("t", "t", Command(("sh",), parse=parse), RULES[parse], extracts=EXTRACTS[parse])


def search(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def said(
    parse: str, exit_code: int | None, *, facts: str = "", stdout: str = "", failure: str = ""
) -> tuple[Judgement, Observation, str]:
    """What becomes of a run that ended so: its judgement, what was seen of it, and how reading it failed."""
    found = extract(tool(parse), Harvest(stdout.encode(), facts=facts.encode()))
    seen = Observation(exit_code, 15 if exit_code is None else None, False, failure, found.facts)
    return judge(tool(parse), seen, None, {}, search), seen, found.failure


@pytest.mark.parametrize(
    ("exit_code", "facts", "expected"),
    [
        (0, "", "ok"),
        (0, "verdict=ok\n", "ok"),
        (100, "", "tampered: the script says so by its exit status, 100"),
        (101, "", "suspect: the script says so by its exit status, 101"),
        (102, "", "broken: the script says so by its exit status, 102"),
        (0, "verdict=tampered\nreason=another key\n", "tampered: another key"),
        (100, "verdict=tampered\nreason=another key\n", "tampered: another key"),
        (101, "verdict=suspect\nreason=another issuer\n", "suspect: another issuer"),
        (0, "verdict=broken\nreason=no banner\n", "broken: no banner"),
        (0, "verdict=error\nreason=no route\n", "error(tool): no route"),
        (7, "verdict=error\nreason=no route\n", "error(tool): no route"),
        # under `set -e` a curl that failed does not accuse
        (7, "", "error(tool): exit status 7"),
        (1, "", "error(tool): exit status 1"),
        (103, "", "error(tool): exit status 103"),
        (None, "", "error(tool): it was ended by a signal"),
        # nor does it make an ok, or leave one
        (7, "verdict=ok\n", "error(tool): it says ok, and then fails: exit status 7"),
        (100, "verdict=ok\n", "error(tool): it says ok, and then fails: exit status 100"),
        (7, "verdict=tampered\nreason=x\n", "error(tool): it says tampered, and then fails: exit status 7"),
        (101, "verdict=tampered\nreason=x\n", "error(tool): it says tampered, and then fails: exit status 101"),
        (None, "verdict=tampered\n", "error(tool): it says tampered, and then fails: it was ended by a signal"),
        (0, "verdict=skipped\n", "error(tool): it says skipped, which is no verdict"),
        (0, "verdict=OK\n", "error(tool): it says OK, which is no verdict"),
    ],
)
def test_a_script_says_its_verdict_in_words_or_by_its_exit_status(
    exit_code: int | None, facts: str, expected: str
) -> None:
    judgement, _, failure = said("status", exit_code, facts=facts)
    layer = f"({judgement.layer})" if judgement.layer else ""
    told = f"{judgement.status}{layer}" + (f": {judgement.reason}" if judgement.reason else "")
    assert (told, failure) == (expected, "")


def test_a_verdict_that_is_said_twice_can_not_be_read() -> None:
    assert said("status", 0, facts="verdict=tampered\nreason=x\nverdict=ok\n")[2] == "parse"


def test_what_a_script_emits_is_recorded_though_no_rule_asks_for_it() -> None:
    _, seen, _ = said("status", 0, facts="body=abc\ncode=200\n")
    assert seen.facts == {"body": "abc", "code": "200", "verdict": None, "reason": None}


@pytest.mark.parametrize(
    ("exit_code", "stdout", "failure", "expected"),
    [
        (0, "1..2\nok 1\nok 2\n", "", "ok: 2 ok"),
        (0, "1..2\nok 1\nnot ok 2 - the body\n", "", "suspect: not ok: the body (1 not ok, 1 ok)"),
        (1, "1..2\nok 1\nnot ok 2 - the body\n", "", "suspect: not ok: the body (1 not ok, 1 ok)"),
        (1, "1..2\nok 1\nnot ok 2 - the body\n", "refused", "error(tool): exit status 1"),
        (1, "1..2\nok 1\nok 2\n", "", "error(tool): exit status 1"),
        (7, "1..2\nok 1\nok 2\n", "refused", "error(tool): exit status 7"),
        (None, "1..2\nok 1\nok 2\n", "", "error(tool): it was ended by a signal"),
        (0, "1..0 # SKIP no bats\n", "", "error(tool): no test was made"),
        (0, "1..1\nok 1 # SKIP no answer\n", "", "error(tool): no test was made"),
    ],
)
def test_tap_makes_a_suspicion_at_most(exit_code: int | None, stdout: str, failure: str, expected: str) -> None:
    judgement, _, unread = said("tap", exit_code, stdout=stdout, failure=failure)
    layer = f"({judgement.layer})" if judgement.layer else ""
    assert (f"{judgement.status}{layer}: {judgement.reason}", unread) == (expected, "")


@pytest.mark.parametrize("page", ["1..1\nok 1\n", "1..0\n", "ok 2\n", "verdict=ok\n", "Bail out!\n", "1..2\n"])
def test_what_an_exit_puts_into_the_output_makes_no_ok_of_a_run_that_is_none(page: str) -> None:
    for exit_code, own in ((7, ""), (0, "1..3\nok 1\n"), (0, "1..2\nok 1\nnot ok 2 - key\n"), (1, "1..1\nok 1\n")):
        for stdout in (page + own, own + page):
            judgement, _, failure = said("tap", exit_code, stdout=stdout)
            assert failure == "parse" or judgement.status is not Status.OK


def test_what_an_exit_puts_into_the_output_of_a_script_that_speaks_for_itself_is_not_read() -> None:
    page = "verdict=tampered\nreason=x\nexitpin verdict ok\nnot ok 1\n1..1\nok 1\n"
    assert said("status", 7, stdout=page)[0].status is Status.ERROR
    assert said("status", 0, stdout=page)[0].status is Status.OK


@pytest.mark.parametrize(
    ("parse", "exit_code", "stdout", "is_usable"),
    [
        ("status", 0, "", True),
        ("status", 100, "", False),
        ("status", 7, "", False),
        ("tap", 0, "1..1\nok 1\n", True),
        ("tap", 0, "1..1\nnot ok 1\n", False),
        ("tap", 0, "1..0\n", False),
    ],
)
def test_a_control_counts_only_if_the_script_says_ok_there(
    parse: str, exit_code: int, stdout: str, is_usable: bool
) -> None:
    _, seen, _ = said(parse, exit_code, stdout=stdout)
    assert (is_usable_control(tool(parse), seen, {}, search) is None) == is_usable
