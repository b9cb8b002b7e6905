"""The rules of a tool, asked in order about what a run showed and what controls saw."""

import re
from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitpin.orchestrator.audit.controls import Control, Controls
from exitpin.orchestrator.audit.verdict import SHOWN_MAX, Judgement, Observation, is_usable_control, judge
from exitpin.orchestrator.tool import (
    CONTROL_MATCHERS,
    MATCHERS,
    RUN_SUBJECTS,
    Command,
    Condition,
    Facts,
    Rule,
    Status,
    Tool,
    Value,
)  # fmt: skip

from .test_matchers import values as any_value

OK, TAMPERED, SUSPECT, BROKEN, ERROR = Status.OK, Status.TAMPERED, Status.SUSPECT, Status.BROKEN, Status.ERROR
ALWAYS_OK = Rule(OK)

DIFFERS, ADDS = Condition("body", "differs", True), Condition("scripts", "adds", True)
FAILED = Condition("exit_code", "is", ("6", "7"))


def search(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def tool(*rules: Rule) -> Tool:
    return Tool("probe", "Is it so?", Command(("probe",)), rules)


def seen(exit_code: int | None = 0, **facts: Value) -> Observation:
    return Observation(exit_code, None, False, "", facts)


def controls(*facts: Facts, quorum: int = 2) -> Controls:
    return Controls(tuple(Control("exit", each, 100.0 + n) for n, each in enumerate(facts)), quorum)


def ask(rules: tuple[Rule, ...], run: Observation, against: Controls | None = None, **values: str) -> Judgement:
    return judge(tool(*rules), run, against, values, search)


HTTP = (
    Rule(ERROR, (FAILED,), reason="curl exit {{exit_code}}"),
    Rule(TAMPERED, (ADDS,), reason="script no control saw: {{scripts}}"),
    Rule(SUSPECT, (DIFFERS,), reason="body differs"),
    ALWAYS_OK,
)
PAGE: Facts = {"body": "aa", "scripts": ("a.js",)}
THREE = controls(PAGE, PAGE, PAGE)


@pytest.mark.parametrize(
    ("run", "status", "rule", "reason"),
    [
        (seen(**PAGE), OK, 3, ""),
        (seen(body="bb", scripts=("a.js",)), SUSPECT, 2, "body differs"),
        (seen(body="bb", scripts=("a.js", "x.js")), TAMPERED, 1, "script no control saw: a.js, x.js"),
        (seen(7), ERROR, 0, "curl exit 7"),
        (seen(body="bb"), SUSPECT, 2, "body differs"),
        (seen(None, **PAGE), OK, 3, ""),
    ],
)
def test_the_first_rule_that_matches_says_what_the_run_is(
    run: Observation, status: Status, rule: int, reason: str
) -> None:
    assert ask(HTTP, run, THREE) == Judgement(status, reason, rule)


@pytest.mark.parametrize("against", [None, Controls(()), controls(PAGE)])
def test_a_comparison_without_a_quorum_of_controls_is_an_error_of_the_controls(against: Controls | None) -> None:
    found = ask(HTTP, seen(**PAGE), against)
    assert (found.status, found.layer, found.rule) == (ERROR, "control", None)
    assert "to compare scripts with" in found.reason


def test_a_run_that_failed_needs_no_controls() -> None:
    assert ask(HTTP, seen(6)) == Judgement(ERROR, "curl exit 6", 0)


def test_controls_are_not_asked_where_the_run_alone_decides() -> None:
    """Whatever the order in which a rule names its conditions."""
    for when in permutations((DIFFERS, Condition("code", "not", 0))):
        assert ask((Rule(TAMPERED, when), ALWAYS_OK), seen(code=0, body="bb")).status is OK


def test_one_sample_is_enough_where_it_is_trusted_or_one_is_a_quorum() -> None:
    assert ask(HTTP, seen(**PAGE), Controls((Control("direct", PAGE, 1.0),), 2)).status is OK
    assert ask(HTTP, seen(**PAGE), controls(PAGE, quorum=1)).status is OK


def test_without_a_matching_rule_nothing_is_known() -> None:
    found = ask((Rule(OK, (Condition("code", "is", 200),)),), seen(code=500))
    assert found == Judgement(ERROR, "no rule matched", None, "no-rule")


@pytest.mark.parametrize(
    ("when", "any_of", "is_met"),
    [
        ((), (), True),
        ((("code", "is", 1),), (), True),
        ((("code", "is", 2),), (), False),
        ((("code", "is", 1), ("word", "is", "b")), (), False),
        ((("code", "is", 1), ("word", "is", "a")), (), True),
        ((), (("code", "is", 2), ("word", "is", "a")), True),
        ((), (("code", "is", 2), ("word", "is", "b")), False),
        ((("code", "is", 1),), (("word", "is", "b"),), False),
        ((("code", "is", 2),), (("word", "is", "a"),), False),
        ((), (("code", "is", 2), ("body", "differs", True)), True),
        ((), (("code", "is", 2), ("body", "differs", False)), False),
        ((("body", "differs", True),), (("code", "is", 2), ("word", "is", "a")), True),
        ((("body", "differs", False),), (("word", "is", "a"),), False),
    ],
)
def test_all_of_when_and_one_of_any_must_hold(
    when: tuple[tuple[str, str, Value], ...], any_of: tuple[tuple[str, str, Value], ...], is_met: bool
) -> None:
    rule = Rule(TAMPERED, tuple(Condition(*c) for c in when), tuple(Condition(*c) for c in any_of))
    found = ask((rule, ALWAYS_OK), seen(code=1, word="a", body="bb"), THREE)
    assert found.status is (TAMPERED if is_met else OK)


# Controls that do not agree.

ROTATING = controls({"body": "a", "code": 200}, {"body": "b", "code": 200}, {"body": "c", "code": 200})
CODE_DIFFERS = Condition("code", "differs", True)


def test_an_ok_that_rests_on_undecided_comparisons_alone_is_none() -> None:
    found = ask((Rule(SUSPECT, (DIFFERS,)), ALWAYS_OK), seen(body="d"), ROTATING)
    reason = "the controls do not agree on body"
    assert found == Judgement(ERROR, reason, None, "control", ("body",))


def test_what_was_asked_of_the_run_alone_is_no_comparison() -> None:
    rules = (Rule(TAMPERED, (Condition("code", "is", 500),)), Rule(SUSPECT, (DIFFERS,)), ALWAYS_OK)
    assert ask(rules, seen(body="d", code=200), ROTATING).layer == "control"


def test_an_ok_stands_where_one_comparison_could_be_decided() -> None:
    rules = (Rule(SUSPECT, (DIFFERS,)), Rule(BROKEN, (CODE_DIFFERS,)), ALWAYS_OK)
    assert ask(rules, seen(body="d", code=200), ROTATING) == Judgement(OK, "", 2, "", ("body",))
    assert ask(rules, seen(body="d", code=503), ROTATING) == Judgement(BROKEN, "", 1, "", ("body",))


def test_what_was_never_asked_is_not_undecided() -> None:
    rules = (Rule(SUSPECT, (CODE_DIFFERS, DIFFERS)), ALWAYS_OK)
    assert ask(rules, seen(body="d", code=200), ROTATING) == Judgement(OK, "", 1)


def test_an_ok_that_needs_no_comparison_needs_no_agreement() -> None:
    assert ask((ALWAYS_OK, Rule(SUSPECT, (DIFFERS,))), seen(body="d"), ROTATING) == Judgement(OK, "", 0)


def test_a_finding_that_rests_on_the_run_alone_stands_beside_what_is_undecided() -> None:
    rules = (Rule(SUSPECT, (DIFFERS,)), Rule(TAMPERED, (Condition("word", "is", "evil"),)), ALWAYS_OK)
    assert ask(rules, seen(body="d", word="evil"), ROTATING) == Judgement(TAMPERED, "", 1, "", ("body",))


# Placeholders.


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("{{host}} said {{code}}", "a.example said 200"),
        ("{{chain}}; {{chain.1}} of {{chain.count}}", "aa, bb; bb of 2"),
        ("{{chain.7}} {{gone}}", "none none"),
        ("{{exit_code}} {{signal}} {{timed_out}} {{failure}}", "0 none false none"),
        ("{{unheard}}", "{{unheard}}"),
        ("{{sly}}", "{{host}}"),
    ],
)
def test_a_reason_shows_parameters_facts_and_how_the_run_ended(reason: str, shown: str) -> None:
    facts: dict[str, Value] = {"code": 200, "chain": ("aa", "bb"), "gone": None, "sly": "{{host}}"}
    assert ask((Rule(TAMPERED, reason=reason),), seen(**facts), host="a.example").reason == shown


def test_no_fact_passes_for_a_parameter() -> None:
    assert ask((Rule(TAMPERED, reason="{{host}}"),), seen(host="b.example"), host="a.example").reason == "a.example"


def test_a_reason_shows_the_beginning_of_a_long_value() -> None:
    found = ask((Rule(TAMPERED, reason="{{body}}!"),), seen(body="x" * 5000))
    assert found.reason == "x" * (SHOWN_MAX - 1) + "…!"
    found = ask((Rule(TAMPERED, reason="{{body}}!"),), seen(body="x" * SHOWN_MAX))
    assert found.reason == "x" * SHOWN_MAX + "!"


def test_operands_are_filled_from_parameters_never_from_facts() -> None:
    rules = (Rule(TAMPERED, (Condition("name", "not", "{{host}}"),)), ALWAYS_OK)
    assert ask(rules, seen(name="b.example"), host="a.example").status is TAMPERED
    assert ask(rules, seen(name="a.example"), host="a.example").status is OK
    found = ask(rules, seen(name="b.example", host="b.example"))
    assert found == Judgement(ERROR, "{{host}} of a rule has no value", None, "tool")


def test_pins_are_filled_with_the_values_of_the_run() -> None:
    pinned = Controls((Control("pinned", {"echo": "n={{nonce}}", "code": "200"}, 0.0),), 1)
    rules = (Rule(TAMPERED, any=(Condition("echo", "differs", True), CODE_DIFFERS)), ALWAYS_OK)
    assert ask(rules, seen(echo="n=77", code=200), pinned, nonce="77").status is OK
    assert ask(rules, seen(echo="n=78", code=200), pinned, nonce="77").status is TAMPERED
    assert ask(rules, seen(echo="n=77", code=404), pinned, nonce="77").status is TAMPERED


def test_what_an_exit_printed_is_no_template() -> None:
    echo = {"echo": "{{nonce}}"}
    rules = (Rule(TAMPERED, (Condition("echo", "differs", True),)), ALWAYS_OK)
    assert ask(rules, seen(echo="77"), controls(echo, echo), nonce="77").status is TAMPERED


def test_what_a_search_raises_reaches_the_caller() -> None:
    def slow(pattern: str, text: str) -> bool:
        raise TimeoutError

    rules = (Rule(TAMPERED, (Condition("body", "matches", "(a+)+$"),)), ALWAYS_OK)
    with pytest.raises(TimeoutError):
        judge(tool(*rules), seen(body="aaaa!"), None, {}, slow)


# Whatever a suspect prints.

names = st.sampled_from(["a", "b", "a.0", "b.1", "a.count", *RUN_SUBJECTS])
conditions = st.builds(
    lambda subject, matcher, operand: Condition(subject, matcher, "a" if matcher == "matches" else operand),
    names,
    st.sampled_from(MATCHERS),
    any_value,
)
groups = st.lists(conditions, max_size=2).map(tuple)
rule_lists = st.lists(st.builds(Rule, st.sampled_from(Status), groups, groups), min_size=1, max_size=4).map(tuple)
fact_sets = st.dictionaries(st.sampled_from(["a", "b"]), any_value)
observations = st.builds(
    Observation, st.none() | st.integers(0, 255), st.none() | st.integers(1, 64), st.booleans(), st.text(), fact_sets
)
control_sets = st.lists(fact_sets, max_size=4).map(lambda each: controls(*each))


@given(rule_lists, observations, st.none() | control_sets)
def test_no_facts_make_a_judgement_fail(rules: tuple[Rule, ...], run: Observation, against: Controls | None) -> None:
    found = ask(rules, run, against)
    assert (found.rule is None) == bool(found.layer)
    is_usable_control(tool(*rules), run, {}, search)


@given(rule_lists, observations, control_sets)
def test_the_first_match_wins(rules: tuple[Rule, ...], run: Observation, against: Controls) -> None:
    found = ask(rules, run, against)
    if found.rule is not None:
        assert found.status is rules[found.rule].status
        assert ask(rules[: found.rule + 1], run, against) == found
        assert ask(rules[: found.rule], run, against).rule is None


@given(rule_lists, observations, st.lists(fact_sets, min_size=2, max_size=4), st.randoms())
def test_the_order_of_the_controls_does_not_matter(
    rules: tuple[Rule, ...], run: Observation, samples: list[Facts], random: Random
) -> None:
    shuffled = list(samples)
    random.shuffle(shuffled)
    assert ask(rules, run, controls(*samples)) == ask(rules, run, controls(*shuffled))


@given(rule_lists, observations)
def test_without_controls_no_rule_that_compares_is_ever_the_one(rules: tuple[Rule, ...], run: Observation) -> None:
    found = ask(rules, run, None)
    if found.rule is not None and not rules[found.rule].any:
        assert not [c for c in rules[found.rule].when if c.matcher in CONTROL_MATCHERS]
