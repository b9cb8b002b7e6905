"""`--containment`, `--allow` and `--dns-server`: what is refused at once, and what is said before anything is run."""

import argparse
import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from exitpin.orchestrator.cli.containment import add_containment, containment_of
from exitpin.orchestrator.containment import Containment
from exitpin.orchestrator.errors import EXIT_USAGE, OperatorError
from exitpin.wrappers import runtime
from exitpin.wrappers.machine import abilities


def contained(*words: str) -> Containment:
    parser = argparse.ArgumentParser()
    add_containment(parser)
    return containment_of(parser.parse_args(words), {})


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--dns-server", "fe80::1%eth0"), "fe80::1%eth0 has a zone: it means something on this machine alone"),
        (("--dns-server", "2001:db8:1::1%2"), "2001:db8:1::1%2 has a zone: it means something on this machine alone"),
        (("--dns-server", "10.0.0.1"), "10.0.0.1 is private: no exit could reach it"),
        (("--dns-server", "198.18.0.1"), "198.18.0.1 is private: no exit could reach it"),
        (("--dns-server", "dns.example"), "'dns.example' is no IP address"),
        (
            ("--allow", "unix:relative"),
            "'unix:relative' is neither `listen` nor `unix:`, `pipe:` or `write:` with an absolute path",
        ),
        (("--allow", "pipe:@name"), "'pipe:@name' is neither `listen` nor `unix:`"),
        (("--allow", "unix:@"), "'unix:@' is neither `listen` nor `unix:`"),
        (("--allow", "write:it"), "'write:it' is neither `listen` nor `unix:`"),
    ],
)
def test_what_no_run_could_use_is_refused(words: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        contained(*words)
    assert refused.value.code == 2
    assert why in capsys.readouterr().err


def test_what_has_no_effect_at_the_level_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contained("--containment", "shim", "--dns-server", "192.0.2.53")
    said = "exitpin: --dns-server has no effect: only notify has a name server, and the level is shim\n"
    assert capsys.readouterr().err == said


def test_a_socket_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    with closing(socket.socket(socket.AF_UNIX)) as there:
        there.bind(str(tmp_path / "there"))
        words = [word for name in ("there", "file", "missing") for word in ("--allow", f"unix:{tmp_path / name}")]
        contained("--containment", "shim", *words)
    assert capsys.readouterr().err.splitlines() == [
        f"exitpin: --allow unix:{tmp_path / name}: there is no socket, so that this has no effect"
        for name in ("file", "missing")
    ]


def test_a_named_pipe_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "there")
    words = [word for name in ("there", "file", "missing") for word in ("--allow", f"pipe:{tmp_path / name}")]
    held = contained("--containment", "shim", *words)
    assert capsys.readouterr().err.splitlines() == [
        f"exitpin: --allow pipe:{tmp_path / name}: there is no named pipe, so that this has no effect"
        for name in ("file", "missing")
    ]
    assert held.pipes == {str(tmp_path / name) for name in ("there", "file", "missing")}


def test_what_has_an_effect_is_not_spoken_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    words = ("--allow", "listen", "--allow", "unix:@name", "--allow", f"pipe:{tmp_path / 'pipe'}")
    contained("--containment", "shim", *words)
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(bool(abilities().notify_problem), reason=abilities().notify_problem)
def test_who_may_listen_has_a_supervisor_unless_another_level_is_named() -> None:
    held = contained("--allow", "listen")
    assert held.level == "notify" and "a Unix socket that listens" in held.why
    assert contained("--allow", "listen", "--containment", "shim").level == "shim"


def test_a_place_to_write_to_is_that_which_is_there_now(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    held = contained("--containment", "guard", "--read-only", "--allow", f"write:{tmp_path}/link")
    assert held.writes == {str(tmp_path / "folder")}
    with pytest.raises(OperatorError, match="gone: there is no such file or folder"):
        contained("--containment", "guard", "--read-only", "--allow", f"write:{tmp_path}/gone")


def test_a_named_pipe_is_that_which_is_there_now(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    assert contained("--containment", "shim", "--allow", f"pipe:{tmp_path}/link").pipes == {str(tmp_path / "pipe")}


@pytest.mark.parametrize("place", ["", "exitpin", "exitpin/run-1", "link"])
def test_where_exitpin_keeps_what_it_runs_by_no_tool_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    own = tmp_path / "exitpin"
    (own / "run-1").mkdir(parents=True)
    (tmp_path / "link").symlink_to(own)
    (tmp_path / "exitpin2").mkdir()
    monkeypatch.setattr(runtime, "runtime_directory", lambda: own)
    words = ("--containment", "guard", "--read-only", "--allow")
    with pytest.raises(OperatorError) as refused:
        contained(*words, f"write:{tmp_path / place}")
    problem = f"--allow write:{tmp_path / place}: exitpin keeps there what it runs by ({own})."
    assert (refused.value.message, refused.value.exit_status) == (problem, EXIT_USAGE)
    assert "XDG_RUNTIME_DIR" in refused.value.hint
    assert contained(*words, f"write:{tmp_path}/exitpin2").writes == {str(tmp_path / "exitpin2")}


def test_a_place_to_write_to_is_of_no_effect_where_all_may_be_written_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contained("--containment", "guard", "--allow", f"write:{tmp_path}")
    said = "exitpin: --allow write:PATH has no effect: without --read-only a tool may write wherever you may\n"
    assert capsys.readouterr().err == said
