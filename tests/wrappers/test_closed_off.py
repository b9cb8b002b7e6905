"""What is closed off from every run: where exitpin listens, and terminals that are not the caller's."""

import os
import pty
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from exitpin.shim import bindings
from exitpin.wrappers.closed_off import closed_off
from exitpin.wrappers.daemon_socket import usual_socket
from exitpin.wrappers.own_tor import control_socket


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="rt-", dir="/tmp") as place:
        monkeypatch.setenv("XDG_RUNTIME_DIR", place)
        yield


@pytest.fixture
def terminals() -> Iterator[tuple[str, str]]:
    """The names of two."""
    pairs = [pty.openpty(), pty.openpty()]
    yield os.ttyname(pairs[0][1]), os.ttyname(pairs[1][1])
    for pair in pairs:
        for descriptor in pair:
            os.close(descriptor)


def test_the_folders_where_daemons_and_tor_will_listen_are_there_and_closed() -> None:
    folders = [str(usual_socket("own").parent), str(control_socket().parent)]
    assert usual_socket("lab", "default").parent == usual_socket("own").parent
    assert closed_off()[:2] == folders
    assert [stat.S_IMODE(os.stat(folder).st_mode) for folder in folders] == [0o700, 0o700]


HAS_IT = {"controls it": ("setsid", "--ctty", "sh", "-c", "exec <&- >&- 2>&-; kill -STOP $$")}
HAS_IT["prints there"] = ("sh", "-c", "kill -STOP $$")


@pytest.mark.parametrize("how", HAS_IT.values(), ids=HAS_IT)
def test_the_callers_terminal_stays_and_all_others_are_closed(terminals: tuple[str, str], how: tuple[str, ...]) -> None:
    own, other = terminals
    with open(own, "r+b", buffering=0) as terminal:
        caller = subprocess.Popen(how, stdin=terminal, stdout=terminal, stderr=terminal)
        try:
            os.waitid(os.P_PID, caller.pid, os.WSTOPPED)
            found = closed_off(caller.pid)
        finally:
            caller.kill()
            caller.wait()
    assert other in found and own not in found
    assert {own, other} <= set(closed_off(None))


def test_more_terminals_than_can_be_closed_are_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        (tmp_path / str(number)).touch()
    (tmp_path / "ptmx").touch()
    assert sorted(closed_off(None, tmp_path)[2:]) == [str(tmp_path / str(number)) for number in range(3)]
    monkeypatch.setattr(bindings, "CLOSED_MAX", 4)
    with pytest.raises(OSError, match="over 2 terminals are open"):
        closed_off(None, tmp_path)
    assert closed_off(None, tmp_path / "missing")[2:] == []
