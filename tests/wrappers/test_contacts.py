"""Patterns on contact lines, which relays write as they like."""

import time

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.wrappers.contacts import TIMEOUT_OF_ALL_S, TIMEOUT_S, ContactPattern

EXPLODES, HOSTILE = r"^(a|a|aa)+$", "a" * 200 + "!"


def test_a_line_fits_or_does_not() -> None:
    fits = ContactPattern("(?i)ops@EXAMPLE")
    assert (fits("x ops@example.org"), fits("somebody")) == (True, False)


def test_a_hostile_line_costs_a_moment_and_only_its_own_relay() -> None:
    fits = ContactPattern(EXPLODES)
    began = time.process_time()
    assert fits(HOSTILE) is None
    assert time.process_time() - began < TIMEOUT_S + 1
    assert fits("aaa") is True


def test_hostile_lines_without_end_end_the_selection() -> None:
    fits = ContactPattern(EXPLODES)
    began = time.process_time()
    with pytest.raises(OperatorError, match=r"--contact .* takes more than 5 s"):
        for _ in range(1000):
            fits(HOSTILE)
    assert time.process_time() - began < TIMEOUT_OF_ALL_S + 2


def test_what_is_no_pattern_is_refused() -> None:
    with pytest.raises(OperatorError, match=r"'\(' is no regular expression"):
        ContactPattern("(")


def test_a_pattern_that_is_nested_too_deeply_is_refused_and_not_shown_whole() -> None:
    with pytest.raises(OperatorError, match="is no regular expression: it is nested too deeply") as refused:
        ContactPattern("(" * 5000 + "a" + ")" * 5000)
    assert len(refused.value.message) < 400
