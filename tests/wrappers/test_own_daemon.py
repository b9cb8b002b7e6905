"""A daemon of a program's own, as far as it goes without one that serves: who may use it, and what runs leave there."""

import asyncio
import json
import os
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import exitpin
from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.rate import rate_of
from exitpin.orchestrator.settings import Settings
from exitpin.wrappers.client import one_exit, take_record, timeout_words
from exitpin.wrappers.own_daemon import OwnDaemon, _turns

FINGERPRINT = "A" * 40
RUN = ("exit01", ["curl", "-s"])
RECORD = {"exit": {"fingerprint": FINGERPRINT, "nickname": "Exit01"}, "tool": {"argv": ["curl", "-s"]}}


class Opened(OwnDaemon):
    """One that was opened, though nobody serves."""

    def __init__(self, directory: Path) -> None:
        super().__init__([], {})
        self._directory = directory

    def verb(self, *words: str) -> list[str]:
        return ["sh", "-c", *words]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    return Opened(tmp_path)


@pytest.fixture
def child(opened: Opened) -> Iterator[str]:
    """Where a process that was forked from ours puts its first record."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, str(opened.record_path()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        yield file.read()
    os.waitpid(pid, 0)


def test_who_was_not_opened_runs_nothing_on_another_one() -> None:
    """With no socket of its own named, whatever it starts would find the usual daemon and tor."""
    daemon = OwnDaemon(["--lab"], {})
    for use in (daemon.record_path, lambda: daemon.environment(None), lambda: daemon.told("exits")):
        with pytest.raises(OperatorError, match="not open"):
            use()


def test_who_was_closed_runs_nothing(opened: Opened) -> None:
    assert opened.environment({})["EXITPIN_DAEMON"].endswith("/daemon")
    opened.stop()
    for use in (opened.record_path, lambda: opened.environment(None), lambda: opened.told("true")):
        with pytest.raises(OperatorError, match="not open"):
            use()


def test_it_is_opened_once(opened: Opened) -> None:
    opened.stop()
    with pytest.raises(OperatorError, match="another one"):
        opened.start()
    with pytest.raises(OperatorError, match="another one"):
        opened.start()


def test_who_closes_it_while_it_is_opened_is_the_reason_that_is_told(opened: Opened, tmp_path: Path) -> None:
    """Its folder may have gone by then."""
    opened.stop()
    with pytest.raises(OperatorError, match="closed while it was opened"):
        opened._begin(tmp_path / "gone" / "daemon.log")


def test_a_forked_process_has_records_of_its_own(opened: Opened, child: str) -> None:
    assert child and child != str(opened.record_path())


def test_what_a_verb_prints_is_told_and_its_last_words_where_it_fails(opened: Opened) -> None:
    assert opened.told("echo out; echo err >&2") == "out\n"
    with pytest.raises(OperatorError, match=r"^why\. And how\.$") as raised:
        opened.told("echo 'exitpin: first'; echo 'exitpin: why. And how.' >&2; echo later >&2; exit 3")
    assert raised.value.exit_status == 3


def test_a_verb_that_does_not_answer_is_ended_and_told_of(opened: Opened) -> None:
    with pytest.raises(OperatorError, match=r"has not answered within 0\.1 s"):
        opened.told("exec sleep 60", timeout_s=0.1)


def test_a_record_is_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "1.json"
    path.write_text(json.dumps(RECORD) + "\n")
    assert take_record(path, *RUN) == RECORD
    assert not path.exists() and take_record(path, *RUN) is None
    path.touch()
    assert take_record(path, *RUN) is None


def test_a_record_that_can_not_be_read_is_not_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="can't be read: Is a directory"):
        take_record(tmp_path, *RUN)
    half = tmp_path / "1.json"
    half.write_text('{"schema": "exitp')
    with pytest.raises(OperatorError, match=r"can't be read: Unterminated string .* run it again"):
        take_record(half, *RUN)


def test_records_of_several_runs_are_the_record_of_none(tmp_path: Path) -> None:
    path = tmp_path / "1.json"
    path.write_text("{}\n{}\n")
    with pytest.raises(OperatorError, match="2 runs, and one was wanted"):
        take_record(path, *RUN)
    assert not path.exists()


@pytest.mark.parametrize("exit_", [FINGERPRINT.lower(), f"${FINGERPRINT}~Exit01", "Exit01", "exit01", "any"])
def test_a_record_is_known_by_its_exit_however_that_was_named(tmp_path: Path, exit_: str) -> None:
    path = tmp_path / "1.json"
    path.write_text(json.dumps(RECORD) + "\n")
    assert take_record(path, exit_, ["curl", "-s"]) == RECORD


@pytest.mark.parametrize("run", [("exit02", ["curl", "-s"]), ("B" * 40, ["curl", "-s"]), ("exit01", ["curl"])])
def test_the_record_of_another_run_is_never_taken_for_this_one_s(tmp_path: Path, run: tuple[str, list[str]]) -> None:
    path = tmp_path / "1.json"
    path.write_text(json.dumps(RECORD) + "\n")
    with pytest.raises(OperatorError, match="is that of another run"):
        take_record(path, *run)


def test_the_record_of_a_run_is_for_the_process_that_started_it(opened: Opened, tmp_path: Path) -> None:
    """In one that was forked later it would be taken away from that."""
    path = opened.record_path()
    path.write_text(json.dumps(RECORD))
    with pytest.raises(OperatorError, match="another process"):
        opened.take_record(path.with_name(f"1{path.name}"), *RUN)
    assert opened.take_record(path, *RUN) == RECORD


@pytest.mark.parametrize("name", ["all", "ALL,any", "exit01,exit02", "@exits.txt", "-", "", "-x"])
def test_a_run_is_through_one_exit(name: str) -> None:
    with pytest.raises(OperatorError, match="one exit is wanted"):
        one_exit(name)


@pytest.mark.parametrize("name", ["any", "exit01", "$" + "A" * 40, "A" * 40 + "~exit01"])
def test_one_exit_is_named_as_on_a_command_line(name: str) -> None:
    assert one_exit(name) == name


def test_a_run_may_take_its_time_a_circuit_s_and_that_of_those_before_it(opened: Opened) -> None:
    assert (opened.patience_s(None), opened.patience_s(5)) == (None, 305)
    opened._pace_s = 4.0
    paths = [opened.record_path() for _ in range(3)]
    assert opened.patience_s(5) == 305 + 12
    opened.forget(paths[0])
    opened.take_record(paths[1], *RUN)
    assert opened.patience_s(5) == 305 + 4
    assert _turns(Settings(), is_lab=True) == (0, 60)
    assert _turns(Settings(build_delay_s=3, build_jitter_s=1), is_lab=False) == (4, 60)
    waits = Settings(rate=rate_of("60/h"), network_wait_s=90, origins={"network_wait": "a file"})
    assert _turns(waits, is_lab=False) == (60, 90 + 3600)


@pytest.mark.parametrize(
    ("given", "option"), [(None, []), (0.0001, ["--timeout", "1ms"]), (5, ["--timeout", "5000ms"])]
)
def test_a_timeout_is_an_option(given: float | None, option: list[str]) -> None:
    assert timeout_words(given) == option


def test_a_second_one_of_one_process_does_not_wait_for_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which would end when it has waited, as a rule."""
    daemons = [OwnDaemon(["--lab", "--name", "nosuch"], {}) for _ in range(2)]
    assert [daemon._is_second() for daemon in daemons] == [False, True]
    with pytest.raises(OperatorError, match="has this tor open already"):
        daemons[1].start()
    assert not OwnDaemon(["--lab", "--name", "other"], {})._is_second()
    daemons[0].stop()
    assert not daemons[1]._is_second()
    daemons[1].stop()


def test_a_record_is_there_when_its_daemon_has_been_closed(opened: Opened, tmp_path: Path) -> None:
    """A command in the background may have ended within the block, and be waited for after it."""
    one, other = opened.record_path(), opened.record_path()
    one.write_text(json.dumps(RECORD) + "\n")
    opened.stop()
    one.unlink()
    assert opened.take_record(one, *RUN) == RECORD
    assert opened.take_record(other, *RUN, is_killed=True) is None


def test_a_record_that_comes_later_is_waited_for_where_the_client_was_killed(opened: Opened) -> None:
    path = opened.record_path()
    path.touch()
    writing = threading.Timer(0.2, lambda: path.write_text(json.dumps(RECORD) + "\n"))
    writing.start()
    assert opened.take_record(path, *RUN, is_killed=True) == RECORD
    writing.join()


def test_it_is_not_sent_to_another_process(opened: Opened) -> None:
    with pytest.raises(TypeError, match="an open tor can't be pickled"):
        pickle.dumps({"tor": opened})


def test_a_run_that_never_began_is_not_under_way(opened: Opened, tmp_path: Path) -> None:
    session = exitpin.Session()
    session._daemon = opened
    for exit_, cwd, error in (("exit01", str(tmp_path / "none"), OSError), ("all", None, OperatorError)):
        with pytest.raises(error):
            asyncio.run(session.run(exit_, ["true"], cwd=cwd))
    assert not opened._under_way


def test_a_record_that_nobody_wants_is_kept_nowhere(opened: Opened) -> None:
    path = opened.record_path()
    path.write_text(json.dumps(RECORD) + "\n")
    opened.stop()
    opened.forget(path)
    assert not opened._under_way and not opened._left
