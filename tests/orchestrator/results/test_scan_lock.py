"""The lock of a scan: held while it runs, free whatever ended it, and never in two hands."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.results.scan_lock import held, is_running

HOLDER = """
import sys
from pathlib import Path
from exitpin.orchestrator.results.scan_lock import held
with held(Path(sys.argv[1]), "s1"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_scan_runs_while_its_lock_is_held_and_leaves_nothing_behind(tmp_path: Path) -> None:
    assert not is_running(tmp_path, "s1")
    with held(tmp_path, "s1"):
        assert is_running(tmp_path, "s1")
        assert not is_running(tmp_path, "s2")
    assert not is_running(tmp_path, "s1")
    assert list((tmp_path / "scans").iterdir()) == []


def test_a_killed_scan_does_not_run(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        assert is_running(tmp_path, "s1")
        with pytest.raises(OperatorError, match="scan s1 is running"), held(tmp_path, "s1", patience_s=0.05):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait(60)
    assert not is_running(tmp_path, "s1")
    with held(tmp_path, "s1"):
        assert is_running(tmp_path, "s1")


def test_one_who_was_refused_takes_nothing_from_the_one_who_holds_it(tmp_path: Path) -> None:
    with held(tmp_path, "s1"):
        with pytest.raises(OperatorError), held(tmp_path, "s1", patience_s=0):
            pass
        assert is_running(tmp_path, "s1")


@pytest.mark.parametrize("name", ["../x", "", ".", "a/b", "a\0b", "x" * 200])
def test_a_scan_id_is_never_a_path(name: str, tmp_path: Path) -> None:
    assert not is_running(tmp_path, name)
    with pytest.raises(ValueError, match="no id of a scan"), held(tmp_path, name):
        pass


def test_a_place_that_can_hold_no_file_is_said() -> None:
    with pytest.raises(OperatorError, match="can't be locked"), held(Path("/proc/exitpin"), "s1"):
        pass


def test_a_folder_that_fails_meanwhile_ends_no_scan(tmp_path: Path) -> None:
    with held(tmp_path, "s1"):
        (tmp_path / "scans" / "s1.lock").unlink()
        (tmp_path / "scans").rmdir()
        (tmp_path / "scans").write_text("")
    assert (tmp_path / "scans").is_file()
