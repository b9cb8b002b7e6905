"""Finding the own tor: a socket that was left over is not one, and who looks does not stand in the keeper's way."""

import fcntl
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from exitpin.wrappers import own_tor


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Run-time files and a cache that are nobody's."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nonexistent")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(own_tor, "runtime_directory", lambda: tmp_path)
    (tmp_path / "tor").mkdir()
    (tmp_path / "cache" / "exitpin" / "tor").mkdir(parents=True)
    yield tmp_path


def leave_a_socket() -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(own_tor.control_socket()))
        gone.listen()


def lock() -> int:
    return os.open(own_tor._keeper_lock(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def test_a_socket_that_was_left_over_does_not_answer() -> None:
    assert not own_tor._answers()
    leave_a_socket()
    assert own_tor.control_socket().exists() and not own_tor._answers()
    own_tor.control_socket().unlink()
    with socket.socket(socket.AF_UNIX) as tor:
        tor.bind(str(own_tor.control_socket()))
        tor.listen()
        assert own_tor._answers()


def test_the_keeper_removes_a_socket_that_was_left_over_before_tor_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_a_socket()
    tor = tmp_path / "bin" / "tor"
    tor.parent.mkdir()
    tor.write_text(f"#!/bin/sh\ntest -e {own_tor.control_socket()} && exit 3\nexit 0\n")
    tor.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tor.parent}:{os.environ['PATH']}")
    assert own_tor.keep() == 0


def test_a_keeper_waits_for_somebody_who_only_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_tor, "LOCK_WAIT_S", 10.0)
    looking, mine = lock(), lock()
    fcntl.flock(looking, fcntl.LOCK_EX)
    threading.Timer(0.05, os.close, (looking,)).start()
    assert own_tor._take(mine)
    os.close(mine)


def test_a_second_keeper_gives_up() -> None:
    first, second = lock(), lock()
    fcntl.flock(first, fcntl.LOCK_EX)
    assert not own_tor._take(second)
    assert own_tor.keep() == 0
    os.close(first)
    os.close(second)
