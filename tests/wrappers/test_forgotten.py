"""Runs whose record nobody takes: none is under way when it has ended, and no file of it is left."""

import gc
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import sh

from .test_commands import Here, here, run
from .test_running import QUIET

__all__ = ["here"]


@pytest.fixture(autouse=True)
def forgotten(here: Here, tmp_path: Path) -> Any:
    """Each test leaves no run, and no file."""
    yield
    gc.collect()
    assert (here.under_way, [*tmp_path.iterdir()]) == (set(), [])


@pytest.mark.parametrize("habits", [{"_iter": True}, {"_iter": "err"}, {"_iter": True, "_done": print}], ids=str)
def test_one_whose_lines_nobody_reads(here: Here, habits: dict[str, Any]) -> None:
    lines = run(here, "sh", *QUIET, **habits)
    process = lines.process
    del lines
    process.wait()


@pytest.mark.parametrize("habits", [{"_bg": True}, {"_piped": True}, {"_bg": True, "_done": print}], ids=str)
def test_one_that_nobody_waits_for(here: Here, habits: dict[str, Any]) -> None:
    run(here, "true", **habits).process.wait()


def test_one_that_nobody_waits_for_any_more_when_it_ends(here: Here) -> None:
    lines = run(here, "sh", "-c", "trap '' TERM; echo begun; exec sleep 60", _iter=True)
    assert next(lines) == "begun\n"
    process = lines.process
    del lines
    assert here.under_way
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_one_that_could_not_be_started(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(sh.ForkException, match="No such file"):
        run(here, "true", _cwd=str(tmp_path / "none"))
    for place in ("command", "environment"):
        with monkeypatch.context() as patched, pytest.raises(ZeroDivisionError):
            patched.setattr(here, place, lambda *_: 1 / 0)
            run(here, "true", _iter=True)


def test_one_that_failed(here: Here) -> None:
    with pytest.raises(sh.ErrorReturnCode_3):
        run(here, "sh", "-c", "exit 3")


def test_what_is_forked_forgets_nothing_of_ours(here: Here) -> None:
    lines = run(here, "sh", *QUIET, _iter=True)
    pid = os.fork()
    if pid == 0:
        del lines
        gc.collect()
        os._exit(0)
    os.waitpid(pid, 0)
    assert lines.is_alive() and here.under_way
    lines.close()
