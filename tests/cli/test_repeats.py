"""What --repeat and --jobs may say, of every verb that makes runs."""

import pytest

from exitpin.orchestrator.cli.main import main

AUDIT, RUN = ["audit", "--lab", "exit-address"], ["run", "--lab", "-e", "exit01"]


@pytest.mark.parametrize("verb", [AUDIT, RUN])
@pytest.mark.parametrize(
    ("option", "given", "valid"),
    [("--repeat", "0", "1 to 1000"), ("--repeat", "1000000000000", "1 to 1000"), ("--jobs", "0", "1")],
)
def test_a_number_that_makes_no_sense_is_refused_before_anything_is_planned(
    capsys: pytest.CaptureFixture[str], verb: list[str], option: str, given: str, valid: str
) -> None:
    assert main([*verb, option, given, *(["--", "true"] if verb is RUN else [])]) == 2
    assert f"{option} wants a number from {valid}." in capsys.readouterr().err
