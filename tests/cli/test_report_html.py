"""`exitpin report html`, as people call it: a whole file, private, or nothing."""

import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from exitpin.orchestrator.cli.main import main

from ..orchestrator.recorded import run_record, scan_record, verdict_record, write

DEADLINE_S = 60


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "results.sqlite"
    write(path, [scan_record(), verdict_record(1, status="tampered", reason="</script>\u202e"), scan_record("s2")])
    return path


def test_the_page_is_written_whole_and_for_its_owner_alone(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = path.with_name("page.html")
    page.write_text("an older one")
    page.chmod(0o644)
    assert main(["report", "html", "--store", str(path), "--scan", "s1", "-o", str(page)]) == 0
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    content = page.read_text("utf-8")
    assert content.startswith("<!doctype html>") and content.endswith("</html>\n")
    told = capsys.readouterr()
    assert told.out == "" and f"scan s1 in {page}: 0.0" in told.err
    assert [each.name for each in path.parent.glob("*.html*")] == ["page.html"]


def test_without_a_file_it_goes_to_standard_output(path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "exitpin", "report", "html", "--store", path, "--title", "My <audit>"],
        capture_output=True, timeout=DEADLINE_S,
    )  # fmt: skip
    assert ran.returncode == 0
    assert b"<h1><bdi>My &lt;audit&gt;</bdi></h1>" in ran.stdout


def test_nothing_is_written_to_a_terminal(path: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "exitpin", "report", "html", "--store", path],
            stdout=theirs, stderr=subprocess.PIPE, timeout=DEADLINE_S,
        )  # fmt: skip
    finally:
        os.close(theirs)
        os.close(ours)
    assert ran.returncode == 2 and b"-o FILE" in ran.stderr


def test_a_replay_is_not_the_last_scan_and_no_strip_among_scans(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = run_record(7, run_id="s9-0001", scan_id="s9", role="replay", start=5000.0, t={"end": 5001.0})
    write(path, [scan_record("s9", started=5000.0, planned=0, replays="s1-0001"), again])
    page = path.with_name("page.html")
    assert main(["report", "html", "--store", str(path), "-o", str(page)]) == 0
    assert "s2" in page.read_text("utf-8") and "s9" not in page.read_text("utf-8")
    capsys.readouterr()
    assert main(["report", "html", "--store", str(path), "--scan", "s9", "-o", str(page)]) == 2
    assert "scan s9 is a replay of s1-0001: it judged nobody" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--scan", "s9"), "there is no scan s9"),
        (("--scan", "all"), "about one scan"),
        (("--scan", "s1", "--tool", "dns-exit"), "no verdict of dns-exit"),
        (("--store", "/nonexistent/results.sqlite"), "nothing was recorded yet"),
        (("--scan", "s1", "-o", "/nonexistent/page.html"), "can't be written"),
        (("--scan", "s1", "-o", "/dev/null/page.html"), "can't be written: Not a directory. Nothing was changed."),
    ],
)
def test_what_can_t_be_is_said_in_a_sentence(
    path: Path, words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = ["-o", str(path.with_name("page.html"))]
    assert main(["report", "html", "--store", str(path), *page, *words]) != 0
    assert told in capsys.readouterr().err
    assert not path.with_name("page.html").exists()
