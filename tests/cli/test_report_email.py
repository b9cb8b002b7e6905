"""`exitpin report email`: one finding, printed or written, and nothing that is none."""

import stat
from pathlib import Path

import pytest

from exitpin.orchestrator.cli.main import main
from exitpin.orchestrator.cli.report_email import by_hand
from exitpin.orchestrator.report.by_hand import Recipe
from exitpin.wrappers.tool_files import load_catalogue

from ..wrappers.tool_tables import MINIMAL, put
from .recorded_audit import EXIT, fill


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "results.sqlite"
    fill(found)
    return found


def test_a_finding_is_a_mail_on_stdout(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "email", "s1-v3", "--store", str(path)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("Subject: [test network] exit relay evil (")
    assert EXIT.fingerprint in text and text.isascii()
    assert all(len(line) <= 72 for line in text.splitlines())


def test_it_is_written_for_its_owner_alone(path: Path, tmp_path: Path) -> None:
    place = tmp_path / "report.txt"
    assert main(["report", "email", "s1-v3", "--store", str(path), "-o", str(place)]) == 0
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert place.read_text().startswith("Subject: ")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("s1-v1", "s1-v1 is ok: there is nothing to report. `exitpin results list --status findings`"),
        ("s1-v2", "s1-v2 is error: there is nothing to report."),
        ("s1-0001", "s1-0001 is a run. A mail is about what all runs say together"),
        ("s1-v", "begins the ids of several records"),
        ("nobody", "there is no record nobody"),
    ],
)
def test_what_is_no_finding_is_refused(
    path: Path, name: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "email", name, "--store", str(path)]) == 2
    told = capsys.readouterr()
    assert sentence in told.err and told.out == ""


def test_by_hand_is_what_the_file_says_by_which_the_verdict_was_made(tmp_path: Path) -> None:
    tool = load_catalogue({}, tmp_path).tool("dns-exit")
    assert tool.by_hand
    told = {"id": tool.id, "digest": tool.digest}
    assert by_hand({"tool": told}, {}, tmp_path) == Recipe(tool.by_hand)
    for changed in ({**told, "digest": "d" * 64}, {"id": tool.id}):
        assert by_hand({"tool": changed}, {}, tmp_path) == Recipe(is_stale=True)


def test_of_a_tool_whose_file_is_not_here_nothing_is_said_by_hand(tmp_path: Path) -> None:
    for record in ({"tool": {"id": "no-such", "digest": "d" * 64}}, {}):
        assert by_hand(record, {}, tmp_path) == Recipe()


def test_of_a_tool_that_was_named_by_its_path_that_file_is_asked(tmp_path: Path) -> None:
    path = put(tmp_path, "dns-exit.toml", MINIMAL.replace('"probe"', '"dns-exit"') + 'by_hand = ["curl", "{{url}}"]\n')
    tool = load_catalogue({}, tmp_path).at(str(path)).usable()
    told = {"tool": {"id": tool.id, "digest": tool.digest}, "reproduce": f"exitpin audit {path} -e {'A' * 40}"}
    assert by_hand(told, {}, tmp_path) == Recipe(("curl", "{{url}}"))
    path.write_text(path.read_text() + "# another\n" + 'severity = "low"\n')
    assert by_hand(told, {}, tmp_path) == Recipe(is_stale=True)
    path.unlink()
    assert by_hand(told, {}, tmp_path) == Recipe()
