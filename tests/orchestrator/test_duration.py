"""A time is read the same wherever it is given."""

import pytest

from exitpin.orchestrator.duration import duration_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("500ms", 0.5), ("45 s", 45.0), ("2m", 120.0), ("1.5h", 5400.0), ("7d", 604800.0)],
)
def test_a_time_is_a_number_with_its_unit_or_without(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1s", "1w", "nan", "1e3", "1.s", "٣s", "1 s ", "9999999999s"])
def test_whatever_else_is_given_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        duration_s(text)
