"""First hops that fail during an audit: others take over, the record says whose fault it was, and no exit is blamed."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.lab import start
from exitpin.orchestrator.lab.state import LabState, load

from .conftest import eventually, lab_or_skip
from .faults import Auditing, kill, middles, stopped, unreachable
from .running import EXITPIN, Audited, SecondController, audit, records

pytestmark = [pytest.mark.torture, pytest.mark.timeout(280)]

EXITS = ("exit01", "exit02", "exit03", "exit04")
URL = "url=http://web.test/delay/{}"
WORK = ("http-body", "-p", URL.format(1), "-e", ",".join(EXITS), "--repeat", "6", "-j", "8")
MORE_WORK = tuple("12" if word == "6" else word for word in WORK)


@pytest.fixture(scope="module")
def four() -> Iterator[LabState]:
    """A lab with four first hops, which a test may break as long as it mends them."""
    name = f"hops-{os.getpid()}"
    lab_or_skip(name, 8)
    try:
        yield load(name)
    finally:
        start.down(name)


def assert_nobody_is_blamed(done: Audited) -> None:
    assert [verdict["status"] for verdict in done.stored()] == ["ok"] * len(EXITS), done.stderr
    runs = done.stored("run")
    assert not [run for run in runs if run["failure"] and run["failure"]["blame"] == "exit"]
    judged = [run for run in runs if run["role"] not in ("control", "superseded")]
    assert {run["status"] for run in judged} == {"ok"}, [run["failure"] for run in judged if run["failure"]]
    verified = subprocess.run(
        [*EXITPIN, "results", "verify", "--store", str(done.store)], capture_output=True, text=True, timeout=60
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr


def failed_hops(done: Audited) -> list[dict[str, Any]]:
    return [failed for run in done.stored("run") for failed in run["unbuilt"]]


def assert_carries_a_run(lab: LabState, nickname: str) -> None:
    """A run's stream goes over this first hop."""
    control = SecondController(lab)
    at_work, paths = {circuit for _, circuit in control.streams()}, control.paths()
    assert lab.relay(nickname).fingerprint in [paths[circuit][0] for circuit in at_work & paths.keys()]


@pytest.mark.parametrize("hops", ["2", "3"])
def test_a_first_hop_that_refuses_is_named_and_others_take_over(four: LabState, tmp_path: Path, hops: str) -> None:
    with Auditing(four, tmp_path, *MORE_WORK, "--hops", hops) as auditing:  # of 30 circuits more one goes by mid1
        auditing.wait_for_runs(4)
        with unreachable(four, "mid1", way="refused"):
            done = auditing.end()
    assert done.status == 0
    assert_nobody_is_blamed(done)
    bad, failed = four.relay("mid1").fingerprint, failed_hops(done)
    cut_short = [one for one in failed if one["reached"] < int(hops) - 1]  # else the hops before the exit had answered
    assert cut_short and all(bad in one["suspects"] and one["blame"] == "first-hop" for one in cut_short)
    assert "exit" not in {one["blame"] for one in failed}
    paths = [circuit["path"] for run in done.stored("run") for circuit in run["circuits"]]
    assert {len(path) for path in paths} == {int(hops)}
    assert not {hop for path in paths for hop in path[:-1]} & {four.relay(name).fingerprint for name in EXITS}


def test_a_first_hop_that_falls_silent_takes_nothing_with_it(four: LabState, tmp_path: Path) -> None:
    """Its connections stay: what runs over it hears nothing more, as from an exit that does not answer."""
    slow = [URL.format(3) if word == URL.format(1) else word for word in WORK]
    with Auditing(four, tmp_path, *slow) as auditing:
        eventually(lambda: assert_carries_a_run(four, "mid2"), 60)
        with stopped(four, "mid2"):
            done = auditing.end()
    assert done.status == 0
    assert_nobody_is_blamed(done)
    void = [run for run in done.stored("run") if run["role"] == "superseded"]
    assert void and {run["failure"]["blame"] for run in void} == {"first-hop"}
    assert {run["circuits"][-1]["path"][0] for run in void} == {four.relay("mid2").fingerprint}


def test_own_first_hops_are_used_alone_and_stand_in_for_each_other(four: LabState, tmp_path: Path) -> None:
    own = [four.relay(name).fingerprint for name in ("mid1", "mid3")]
    with Auditing(four, tmp_path, *MORE_WORK, environment={"EXITPIN_FIRST_HOPS": ",".join(own)}) as auditing:
        eventually(lambda: assert_carries_a_run(four, "mid3"), 60)
        with unreachable(four, "mid3", way="refused"):
            done = auditing.end()
    assert done.status == 0
    assert_nobody_is_blamed(done)
    firsts = [circuit["path"][0] for run in done.stored("run") for circuit in run["circuits"]]
    assert set(firsts) == set(own)
    assert firsts[-1] == own[0]


def test_without_a_healthy_first_hop_of_ones_own_a_scan_stops_rather_than_take_strangers(
    four: LabState, tmp_path: Path
) -> None:
    own = {"EXITPIN_FIRST_HOPS": four.relay("mid4").fingerprint, "EXITPIN_NETWORK_WAIT": "4s"}
    with Auditing(four, tmp_path, *WORK, environment=own) as auditing:
        auditing.wait_for_runs(2)
        with unreachable(four, "mid4", way="refused"):
            auditing.wait_for("none of your first hops has answered (CHANNEL_CLOSED): nothing more is started")
            done = auditing.end()
    assert done.status == 125
    assert "to go on: exitpin audit --resume " in done.stderr
    assert done.accused == {}
    firsts = {circuit["path"][0] for run in done.stored("run") for circuit in run["circuits"]}
    assert firsts == {four.relay("mid4").fingerprint}
    assert {run["failure"]["kind"] for run in done.stored("run") if run["failure"]} <= {"interrupted", "circuit-lost"}


def test_ones_only_first_hop_that_falls_silent_is_waited_for(four: LabState, tmp_path: Path) -> None:
    own = four.relay("mid1").fingerprint
    with Auditing(four, tmp_path, *WORK, environment={"EXITPIN_FIRST_HOPS": own}) as auditing:
        auditing.wait_for_runs(4)
        with stopped(four, "mid1"):
            auditing.wait_for("none of your first hops has answered")
        done = auditing.end()
    assert done.status == 0
    assert_nobody_is_blamed(done)
    assert {circuit["path"][0] for run in done.stored("run") for circuit in run["circuits"]} == {own}


def test_guards_stand_in_where_the_user_lets_them(four: LabState, tmp_path: Path) -> None:
    own = {"EXITPIN_FIRST_HOPS": four.relay("mid4").fingerprint, "EXITPIN_FIRST_HOPS_FALLBACK": "guards"}
    with unreachable(four, "mid4", way="refused"), Auditing(four, tmp_path, *WORK, environment=own) as auditing:
        done = auditing.end()
    assert done.status == 0
    assert_nobody_is_blamed(done)
    firsts = {circuit["path"][0] for run in done.stored("run") for circuit in run["circuits"]}
    others = {four.relay(name).fingerprint for name in middles(four) if name != "mid4"}
    failed = {suspect for one in failed_hops(done) for suspect in one["suspects"]}
    assert firsts <= others and others - firsts <= failed, "one that failed is left alone for a while"


def test_own_first_hops_that_do_not_exist_are_said_before_the_first_run(four: LabState, tmp_path: Path) -> None:
    done = audit(four, tmp_path, *WORK, env={**os.environ, "EXITPIN_FIRST_HOPS": "A" * 40})
    assert done.status == 125
    assert "none of your first hops can be used now: AAAAAAAA is not in the consensus" in done.sentences[-1]
    assert not done.store.exists() or done.stored("run") == []


def test_one_first_hop_that_dies_for_good_is_done_without(four: LabState, tmp_path: Path) -> None:
    """The last test here: nobody brings it back."""
    with Auditing(four, tmp_path, *WORK) as auditing:
        auditing.wait_for_runs(4)
        kill(four, "mid1")
        done = auditing.end()
    assert done.status == 0
    assert_nobody_is_blamed(done)
    (record,) = records(four, "-e", "exit01", "--", "curl", "-sS", "http://web.test/ip")
    assert record["failure"] is None
