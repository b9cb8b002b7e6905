"""Which network is meant: what contradicts itself is refused by every verb that has one, before anything is done."""

import pytest

import exitpin
from exitpin.orchestrator.cli.main import main

VERBS = [
    ("run", "-e", "exit01", "--", "true"), ("sh", "-e", "exit01", "-c", "true"), ("exits",), ("audit", "certs"),
    ("daemon", "run"), ("daemon", "status"), ("daemon", "stop"), ("watch", "plan.toml"),
]  # fmt: skip


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_a_lab_s_name_without_a_lab_is_refused(
    verb: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be the real network."""
    monkeypatch.delenv("EXITPIN_LAB", raising=False)
    at = 2 if verb[0] == "daemon" else 1
    assert main([*verb[:at], "--name", "mine", *verb[at:]]) == 2
    assert "--name mine names a lab, and no lab is asked for. Add --lab." in capsys.readouterr().err


@pytest.mark.parametrize("opened", [exitpin.open, exitpin.Session])
def test_a_lab_s_name_alone_opens_nothing(opened: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXITPIN_LAB", raising=False)
    with pytest.raises(exitpin.OperatorError, match=r"name='mine' names a lab, .* Add lab=True\."):
        opened(name="mine")
    opened(lab=True, name="mine")
    monkeypatch.setenv("EXITPIN_LAB", "other")
    opened(name="mine")
