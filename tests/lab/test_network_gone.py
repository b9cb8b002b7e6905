"""A network that goes in the middle of an audit: nothing is burned, nobody is blamed, and it goes on or says how to."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exitpin.orchestrator.lab import start
from exitpin.orchestrator.lab.state import LabState, load

from .conftest import lab_or_skip
from .faults import Auditing, middles, stopped, unreachable
from .running import EXITPIN, Audited, stored

pytestmark = [pytest.mark.torture, pytest.mark.timeout(280)]

EXITS = ("exit01", "exit02", "exit03", "exit04")
WORK = ("http-body", "-p", "url=http://web.test/delay/1", "-e", ",".join(EXITS), "--repeat", "6", "-j", "6")
JUMPING = Path(__file__).with_name("jumping_audit.py")


@pytest.fixture(scope="module")
def fragile() -> Iterator[LabState]:
    """A lab whose network goes and comes."""
    name = f"gone-{os.getpid()}"
    lab_or_skip(name, 8)
    try:
        yield load(name)
    finally:
        start.down(name)


def assert_all_is_well(done: Audited) -> None:
    """Every verdict is one, and every run that counts has told something."""
    assert done.status == 0, done.stderr
    assert [verdict["status"] for verdict in done.stored()] == ["ok"] * len(EXITS), done.stderr
    assert not [verdict for verdict in done.stored() if re.search("runs got no answer", verdict["reason"])]
    judged = [run for run in done.stored("run") if run["role"] not in ("control", "superseded")]
    assert {run["status"] for run in judged} == {"ok"}, [run["failure"] for run in judged if run["failure"]]


@pytest.mark.parametrize("way", ["silent", "refused"])
def test_a_scan_waits_for_a_network_that_is_gone_and_goes_on_with_it(
    fragile: LabState, tmp_path: Path, way: str
) -> None:
    with Auditing(fragile, tmp_path, *WORK) as auditing:
        auditing.wait_for_runs(4)
        with unreachable(fragile, *middles(fragile), way=way):
            auditing.wait_for("no first hop has answered")
        auditing.wait_for("going on", 120)
        done = auditing.end()
    assert_all_is_well(done)
    said = [line for line in done.sentences if "no first hop has answered" in line]
    assert len(said) == 1 and re.search(r"\d\d:\d\d:\d\d: .* nothing more is started until one does", said[0]), (
        done.stderr
    )
    assert {run["failure"]["blame"] for run in done.stored("run") if run["role"] == "superseded"} <= {"first-hop"}


def test_relays_that_all_fall_silent_are_no_exits_fault(fragile: LabState, tmp_path: Path) -> None:
    with Auditing(fragile, tmp_path, *WORK) as auditing:
        auditing.wait_for_runs(4)
        with stopped(fragile, *middles(fragile)):
            auditing.wait_for("no first hop has answered")
        done = auditing.end()
    assert_all_is_well(done)


def test_after_the_wait_a_scan_stops_and_its_command_goes_on_with_it(fragile: LabState, tmp_path: Path) -> None:
    with Auditing(fragile, tmp_path, *WORK, "--network-wait", "3s") as auditing:
        auditing.wait_for_runs(8)
        with unreachable(fragile, *middles(fragile), way="refused"):
            done = auditing.end()
    assert done.status == 125
    assert "no first hop has answered for " in done.stderr
    assert done.accused == {}
    told = re.search(r"to go on: exitpin (audit --resume .*)", done.stderr)
    assert told is not None, done.stderr
    before = {run["run_id"] for run in done.stored("run") if run["role"] == "probe" and run["failure"] is None}
    again = subprocess.run(
        [*EXITPIN, *shlex.split(told[1])], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )
    whole = Audited(again.returncode, "", again.stderr, done.store)
    assert again.returncode == 0, again.stderr
    assert [verdict["status"] for verdict in whole.stored()] == ["ok"] * len(EXITS)
    assert before <= {run["run_id"] for run in whole.stored("run") if run["role"] == "probe"}


# Clocks.


def test_an_audit_that_was_stopped_for_a_while_makes_its_runs_again(fragile: LabState, tmp_path: Path) -> None:
    with Auditing(fragile, tmp_path, *WORK) as auditing:
        auditing.wait_for_runs(4)
        stopped_at = len(stored(auditing.store, "run"))
        auditing.signal(signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):  # nothing it could tell us: it is to be gone for so long
            auditing.end(12.0)
        auditing.signal(signal.SIGCONT)
        said = auditing.wait_for("exitpin was stopped for ")
        done = auditing.end()
    assert "nothing more is started until a circuit is seen to work" in said
    assert_all_is_well(done)
    void = [run for run in done.stored("run") if run["role"] == "superseded"]
    assert len(done.stored("run")) > stopped_at
    assert void and {run["failure"]["kind"] for run in void} <= {"clock", "circuit-lost"}


@pytest.mark.parametrize(
    ("jump", "sentence"),
    [
        ("wall=7200", "the clock was set forward by 7200 s"),
        ("boottime=3600 wall=3600", "the machine was suspended for 3600 s"),
    ],
)
def test_a_clock_that_jumps_makes_void_what_ran_and_the_scan_goes_on(
    fragile: LabState, tmp_path: Path, jump: str, sentence: str
) -> None:
    done = jumping(fragile, tmp_path, jump)
    assert_all_is_well(done)
    assert sum(sentence in line for line in done.sentences) == 1, done.stderr
    assert sum("going on" in line for line in done.sentences) == 1
    void = [run for run in done.stored("run") if run["role"] == "superseded"]
    assert void and {run["failure"]["kind"] for run in void} == {"clock"}


def test_a_clock_that_is_set_back_stops_the_scan_with_the_command_to_go_on(fragile: LabState, tmp_path: Path) -> None:
    done = jumping(fragile, tmp_path, "wall=-7200")
    assert done.status == 125
    assert "stopped: the clock was set back by 7200 s" in done.stderr
    assert "to go on: exitpin audit --resume " in done.stderr
    assert done.accused == {}


def jumping(lab: LabState, directory: Path, jump: str) -> Audited:
    """An audit whose clocks jump while its runs are under way, by what its file says then."""
    offsets = directory / "offsets"
    with Auditing(lab, directory, *WORK, by=(sys.executable, str(JUMPING), str(offsets))) as auditing:
        auditing.wait_for_runs(4)
        offsets.write_text(jump)
        return auditing.end()
