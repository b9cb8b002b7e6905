"""Whether an ok is borne out by more than half of the controls, or rests on few."""

import pytest

from exitpin.orchestrator.audit.agreement import Control, Controls
from exitpin.orchestrator.tool import Condition, Facts, Rule

from .test_verdict import ADDS, ALWAYS_OK, DIFFERS, OK, PAGE, TAMPERED, ask, controls, seen

LACKS = Condition("scripts", "missing", True)
BARE: Facts = {"body": "aa", "scripts": ()}


@pytest.mark.parametrize(
    ("rule", "bodies", "is_so"),
    [
        (Rule(TAMPERED, (DIFFERS,)), ("aa", "aa", "aa", "bb", "bb"), False),
        (Rule(TAMPERED, (DIFFERS,)), ("aa", "aa", "bb", "bb", "bb"), True),
        (Rule(TAMPERED, (DIFFERS,)), ("aa", "aa", "bb", "cc", "dd"), True),
        (Rule(TAMPERED, (DIFFERS,)), ("aa", "aa", "bb", "bb"), True),
        (Rule(TAMPERED, (DIFFERS,)), ("aa", "aa"), False),
    ],
)
def test_an_ok_that_no_more_than_half_of_the_controls_bear_out_says_so(
    rule: Rule, bodies: tuple[str, ...], is_so: bool
) -> None:
    judgement = ask((rule, ALWAYS_OK), seen(body="aa"), controls(*({"body": body} for body in bodies)))
    assert (judgement.status, judgement.rests_on_few) == (OK, is_so)


@pytest.mark.parametrize(
    ("rule", "run", "against", "is_so"),
    [
        (Rule(TAMPERED, (LACKS,)), BARE, (PAGE, PAGE, PAGE, BARE, BARE), True),
        (Rule(TAMPERED, (LACKS,)), PAGE, (PAGE, PAGE, PAGE, BARE, BARE), False),
        (Rule(TAMPERED, (LACKS,)), BARE, (PAGE, PAGE, BARE, BARE, BARE), False),
        (Rule(TAMPERED, (ADDS,)), PAGE, (PAGE, PAGE, BARE, BARE, BARE), True),
        (Rule(TAMPERED, (ADDS,)), PAGE, (PAGE, PAGE, PAGE, BARE, BARE), False),
        (Rule(TAMPERED, (ADDS,)), BARE, (PAGE, PAGE, PAGE, BARE, BARE), False),
    ],
)
def test_so_does_an_ok_of_a_list_of_which_the_half_of_them_have_more_or_less(
    rule: Rule, run: Facts, against: tuple[Facts, ...], is_so: bool
) -> None:
    judgement = ask((rule, ALWAYS_OK), seen(**run), controls(*against))
    assert (judgement.status, judgement.rests_on_few) == (OK, is_so)


def test_a_lie_that_few_controls_show_is_held_against_many_anyway() -> None:
    judgement = ask(
        (Rule(TAMPERED, (DIFFERS,)), ALWAYS_OK), seen(body="zz"), controls(*[{"body": "aa"}] * 2, {}, {}, {})
    )
    assert (judgement.status, judgement.rests_on_few) == (TAMPERED, False)


def test_what_this_machine_saw_itself_is_not_few() -> None:
    direct = Control("direct", {"body": "aa"}, 100.0)
    against = Controls((direct, *controls(*({"body": body} for body in ("aa", "bb", "bb", "bb"))).samples), 2)
    judgement = ask((Rule(TAMPERED, (DIFFERS,)), ALWAYS_OK), seen(body="aa"), against)
    assert (judgement.status, judgement.rests_on_few) == (OK, False)
