"""Each matcher, on values that a suspect may have chosen."""

import re
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitpin.orchestrator.audit.facts import look_up, number, text
from exitpin.orchestrator.audit.matchers import MATCH, Question, ask, operand_of
from exitpin.orchestrator.tool import CONTROL_MATCHERS, FACT_MATCHERS, MATCHERS, RUN_SUBJECTS, Condition, Value

HUGE = 10**5000
FACTS: dict[str, Value] = {
    "chain": ("aa", "bb", "cc"), "code": 200, "rcode": "NOERROR", "nothing": None, "none": (), "dotted.name": "x",
}  # fmt: skip

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.sampled_from([HUGE, -HUGE]), st.floats(), st.text(),
    st.from_regex(r"[-+0-9.eE]{1,8}"), st.ip_addresses().map(str),
)  # fmt: skip
values = st.one_of(scalars, st.lists(st.text(), max_size=4).map(tuple))


def search(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def holds(value: Value, matcher: str, operand: Value, subject: str = "fact") -> bool | None:
    return ask(matcher, Question(subject, value, operand, search))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("chain", ("aa", "bb", "cc")),
        ("chain.0", "aa"),
        ("chain.2", "cc"),
        ("chain.3", None),
        ("chain.-1", None),
        ("chain.²", None),
        ("chain." + "9" * 5000, None),
        ("chain.x", None),
        ("chain.", None),
        ("chain.count", 3),
        ("code.0", 200),
        ("code.1", None),
        ("code.count", 1),
        ("nothing.count", 0),
        ("none.count", 0),
        ("unheard.count", 0),
        ("unheard", None),
        ("unheard.0", None),
        ("dotted.name", "x"),
        ("", None),
        (".", None),
    ],
)
def test_a_subject_is_a_fact_or_one_item_of_it_or_their_number(path: str, value: Value) -> None:
    assert look_up(FACTS, path) == value


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (7, 7), ("7", 7), ("-7", -7), ("007", 7), ("7.5", 7.5), ("1e3", 1000.0), (2.5, 2.5),
        ("", None), (" 7", None), ("7 ", None), ("1_000", None), ("٣", None), ("0x10", None), ("nan", None),
        ("inf", None), ("1e999", None), ("+-1", None), ("e", None), ("9" * 65, None), (nan, None), (inf, None),
        (True, None), (None, None), (("7",), None),
    ],
)  # fmt: skip
def test_a_number_is_one_when_its_text_spells_it_plainly(value: Value, found: float | None) -> None:
    assert number(value) == found


@pytest.mark.parametrize(
    ("value", "shown"),
    [("a", "a"), (3, "3"), (True, "true"), (False, "false"), (None, "none"), (("a", "b"), "a, b"), ((), "")],
)
def test_a_value_is_shown_as_a_text(value: Value, shown: str) -> None:
    assert text(value) == shown


def test_a_number_that_python_will_not_print_is_shown_in_hexadecimal() -> None:
    assert text(HUGE) == hex(HUGE)
    assert number(HUGE) == HUGE
    assert holds(HUGE, "gt", 1.5) is True


@pytest.mark.parametrize(
    ("value", "matcher", "operand", "expected"),
    [
        # One value with one.
        ("NOERROR", "is", "NOERROR", True),
        ("NOERROR", "is", "noerror", False),
        (200, "is", 200, True),
        ("200", "is", 200, True),
        (200, "is", "200", True),
        (200.0, "is", "200", True),
        ("200", "is", "200.0", False),
        ("0200", "is", 200, True),
        ("abc", "is", 200, False),
        (True, "is", True, True),
        ("true", "is", True, True),
        (1, "is", True, False),
        (True, "is", 1, False),
        (None, "is", "none", False),
        (None, "is", None, False),
        (nan, "is", nan, False),
        # Lists, in any order; one item is a list of one.
        (("a", "b"), "is", ("b", "a"), True),
        (("a", "b"), "is", ("a",), False),
        (("a", "a"), "is", ("a", "b"), False),
        (("a",), "is", "a", True),
        ("a", "is", ("a",), True),
        (("a", "b"), "is", "a", False),
        ((), "is", (), True),
        (None, "is", (), False),
        # What is not there is not compared.
        ("a", "not", "b", True),
        ("a", "not", "a", False),
        (19, "not", 0, True),
        ("19", "not", 0, True),
        ("abc", "not", 0, True),
        (0, "not", "0", False),
        (None, "not", "a", False),
        ((), "not", "a", False),
        (("a", "b"), "not", "a", True),
        # One item of a list is enough.
        ("a", "in", ("a", "b"), True),
        ("c", "in", ("a", "b"), False),
        (200, "in", ("200", "301"), True),
        ("a", "in", "a", True),
        (("x", "b"), "in", ("a", "b"), True),
        (None, "in", ("a",), False),
        ("a", "in", (), False),
        ("abc", "matches", "^a", True),
        ("abc", "matches", "^b", False),
        (("xyz", "abc"), "matches", "^a", True),
        (200, "matches", "^2..$", True),
        (None, "matches", ".*", False),
        # There, or not.
        (None, "absent", True, True),
        ((), "absent", True, True),
        ("", "absent", True, False),
        (0, "absent", True, False),
        (False, "absent", True, False),
        ("a", "absent", False, True),
        (None, "absent", False, False),
        (None, "empty", True, True),
        ("", "empty", True, True),
        ((), "empty", True, True),
        (("", ""), "empty", True, True),
        (("", "a"), "empty", True, False),
        (" ", "empty", True, False),
        (0, "empty", True, False),
        ("a", "empty", False, True),
        ("", "empty", False, False),
        # Numbers.
        (3, "gt", 2, True),
        (2, "gt", 2, False),
        ("3", "gt", 2, True),
        ("10", "gt", "9", True),
        ("abc", "gt", 2, False),
        ("abc", "lt", 2, False),
        (None, "lt", 2, False),
        (True, "gt", 0, False),
        (1, "lt", "x", False),
        (nan, "gt", 0, False),
        (("1", "9"), "gt", 5, True),
        # Networks.
        ("192.0.2.9", "in_cidr", "192.0.2.0/24", True),
        ("192.0.2.9", "in_cidr", "192.0.2.7/24", True),
        ("198.51.100.1", "in_cidr", ("192.0.2.0/24", "198.51.100.0/24"), True),
        ("203.0.113.1", "in_cidr", ("192.0.2.0/24", "198.51.100.0/24"), False),
        (("203.0.113.1", "10.1.2.3"), "in_cidr", "10.0.0.0/8", True),
        ("::ffff:10.1.2.3", "in_cidr", "10.0.0.0/8", True),
        ("2001:db8::1", "in_cidr", "2001:db8::/32", True),
        ("2001:db8::1", "in_cidr", "10.0.0.0/8", False),
        ("10.0.0.1", "in_cidr", "::/0", False),
        ("fe80::1%eth0", "in_cidr", "fe80::/10", True),
        ("not an address", "in_cidr", "10.0.0.0/8", False),
        (167837953, "in_cidr", "10.0.0.0/8", False),
        ("10.0.0.1", "in_cidr", "nonsense", False),
        (None, "in_cidr", "0.0.0.0/0", False),
    ],
)
def test_what_a_matcher_says(value: Value, matcher: str, operand: Value, expected: bool) -> None:
    assert holds(value, matcher, operand) is expected


@pytest.mark.parametrize(
    ("subject", "value", "matcher", "operand", "expected"),
    [
        ("exit_code", 6, "is", 6, True),
        ("exit_code", 6, "is", ("5", "6"), True),
        ("exit_code", 7, "is", ("5", "6"), False),
        ("exit_code", 7, "not", ("5", "6"), True),
        ("exit_code", 6, "not", ("5", "6"), False),
        ("exit_code", None, "is", 0, False),
        ("exit_code", None, "not", 0, True),
        ("exit_code", 7, "gt", 6, True),
        ("exit_code", None, "absent", True, True),
        ("signal", 9, "is", 9, True),
        ("signal", None, "absent", True, True),
        ("timed_out", True, "is", True, True),
        ("timed_out", False, "is", True, False),
        ("timed_out", False, "is", False, True),
        ("failure", "dns", "is", ("dns", "refused"), True),
        ("failure", None, "is", ("dns", "refused"), False),
        ("failure", None, "not", "dns", True),
        ("failure", None, "absent", True, True),
    ],
)
def test_of_the_run_itself_a_list_means_any_of_these(
    subject: str, value: Value, matcher: str, operand: Value, expected: bool
) -> None:
    assert subject in RUN_SUBJECTS
    assert holds(value, matcher, operand, subject) is expected


class Answers:
    """Controls that always say the same."""

    def __init__(self, answer: bool | None) -> None:
        self.answer = answer

    def differs(self, field: str, value: Value) -> bool | None:
        return self.answer

    adds = missing = differs


@pytest.mark.parametrize("matcher", CONTROL_MATCHERS)
@pytest.mark.parametrize(
    ("answer", "operand", "expected"),
    [(True, True, True), (False, True, False), (True, False, False), (False, False, True), (None, True, None),
     (None, False, None)],
)  # fmt: skip
def test_a_comparison_may_be_wanted_or_unwanted_and_stays_undecided(
    matcher: str, answer: bool | None, operand: bool, expected: bool | None
) -> None:
    assert ask(matcher, Question("fact", "a", operand, search, Answers(answer))) is expected
    assert ask(matcher, Question("fact", "a", operand, search)) is None


def test_every_matcher_has_its_row() -> None:
    assert tuple(MATCH) == MATCHERS


@pytest.mark.parametrize(
    ("matcher", "operand", "filled"),
    [
        ("is", "{{host}}", "a.example"),
        ("is", ("x{{host}}", "b"), ("xa.example", "b")),
        ("gt", 5, 5),
        ("absent", True, True),
        ("matches", "^{{host}}$", r"^a\.example$"),
    ],
)
def test_operands_may_hold_placeholders_and_in_patterns_they_stand_for_themselves(
    matcher: str, operand: Value, filled: Value
) -> None:
    assert operand_of(Condition("fact", matcher, operand), {"host": "a.example"}) == filled


def test_a_placeholder_without_a_value_is_named() -> None:
    with pytest.raises(KeyError, match="port"):
        operand_of(Condition("fact", "is", "{{port}}"), {"host": "a.example"})


@given(st.sampled_from(FACT_MATCHERS), values, values, st.sampled_from(["fact", *RUN_SUBJECTS]))
def test_no_value_makes_a_matcher_raise(matcher: str, value: Value, operand: Value, subject: str) -> None:
    if matcher == "matches":
        operand = re.escape(text(operand))
    assert holds(value, matcher, operand, subject) in (True, False)


@given(values, values)
def test_nothing_is_and_is_not_at_once(value: Value, operand: Value) -> None:
    assert not (holds(value, "is", operand) and holds(value, "not", operand))


@given(st.text(), st.dictionaries(st.text(max_size=3), values, max_size=3))
def test_any_subject_can_be_looked_up(path: str, facts: dict[str, Value]) -> None:
    for subject in (path, *facts, *(f"{name}.0" for name in facts), *(f"{name}.count" for name in facts)):
        text(look_up(facts, subject))
