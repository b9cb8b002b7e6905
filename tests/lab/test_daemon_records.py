"""`run --record FILE` under a daemon, and without one where it is not for that."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Lab
from .daemons import EXIT, Daemon, serving
from .running import EXITPIN

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


@pytest.fixture
def daemon(lab: Lab) -> Iterator[Daemon]:
    with serving(lab) as one:
        yield one


def test_a_run_in_the_foreground_leaves_its_record_in_a_file(daemon: Daemon, tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    words = ("-e", EXIT, "--record", "record.json", "--", "sh", "-c", "curl -sS http://web.test/ip; exit 7")
    done = daemon.run(*words, env=environment, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (7, f"{daemon.lab.state.relay(EXIT).address}\n")
    record = json.loads((tmp_path / "record.json").read_text())
    assert (record["process"]["rc"], record["process"]["stdout"], len(record["streams"])) == (7, None, 1)
    verify = [*EXITPIN, "results", "verify", record["evidence"][0]["file"], str(tmp_path / "record.json")]
    told = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert told.stdout.startswith("consistent: 1 of 1 streams in 1 records"), told
    assert (tmp_path / "record.json").stat().st_mode & 0o777 == 0o600


def test_a_record_that_can_t_be_kept_lets_nothing_begin(daemon: Daemon, tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "record.json"
    done = daemon.run("-e", EXIT, "--record", str(missing), "--", "echo", "ran")
    said = f"exitpin: {missing} can't be written: No such file or directory. Nothing was started.\n"
    assert (done.returncode, done.stdout, done.stderr) == (125, "", said)


def test_records_of_several_runs_and_of_descriptors_are_written_without_it(daemon: Daemon, tmp_path: Path) -> None:
    words = ("-e", "exit01,exit02", "--record", str(tmp_path / "two"), "--", "echo", "ran")
    assert daemon.run(*words).stdout.count("\tran\n") == 2
    assert len((tmp_path / "two").read_text().splitlines()) == 2
    done = daemon.run("-e", EXIT, "--record", "/dev/fd/2", "--", "echo", "ran")
    assert (done.stdout, json.loads(done.stderr)["status"]) == ("ran\n", "ok")
