"""A number with its noun."""

import pytest

from exitpin.orchestrator.counted import counted


@pytest.mark.parametrize(("count", "words"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (1200, "1,200 runs")])
def test_only_of_one_there_is_no_plural(count: int, words: str) -> None:
    assert counted(count, "run") == words


def test_a_noun_may_have_another_ending() -> None:
    assert (counted(1, "process", "es"), counted(2, "process", "es")) == ("1 process", "2 processes")
