"""Faults under a scan, beside those of tests/lab/test_faults.py, which says where each of them is tested."""

import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from exitpin.orchestrator.lab import start
from exitpin.orchestrator.lab.state import LabState, load

from ..lab.conftest import eventually, lab_or_skip
from ..lab.fault_scenes import END_S, NO_MORE_FILES, SLOW, SLOW_AUDIT, Scene, assert_so, call, full, mounted, seen
from ..lab.own_home import own_home
from ..lab.running import cut_connections
from ..lab.watching import scan

pytestmark = [pytest.mark.torture, pytest.mark.timeout(300)]

PROFILE = Path(__file__).parent.parent / "lab" / "audited.toml"


@pytest.fixture(scope="module")
def audited() -> Iterator[LabState]:
    name = f"faults-{os.getpid()}"
    lab_or_skip(name, None, profile=str(PROFILE))
    try:
        yield load(name)
    finally:
        start.down(name)


@pytest.fixture
def scene(audited: LabState, tmp_path: Path) -> Scene:
    return Scene(audited, tmp_path, tmp_path / "results.sqlite")


@pytest.fixture
def on_disk(audited: LabState, tmp_path: Path) -> Iterator[Scene]:
    """With a disk of its own for all that is recorded."""
    with mounted(audited, tmp_path / "disk", "size=64m"):
        yield Scene(audited, tmp_path, tmp_path / "disk" / "results.sqlite")


def assert_one_sentence(scene: Scene, why: str) -> None:
    said = [line for line in scene.said.splitlines() if why in line]
    assert len(said) == 1, scene.said


def test_an_audit_whose_control_connection_is_lost_says_how_to_go_on(scene: Scene) -> None:
    with scene.started(scene.audit(*SLOW_AUDIT, "--json")) as audit:
        assert cut_connections(audit.pid, str(scene.lab.control_socket), 0) == 1
        assert audit.wait(END_S) == 125, scene.said
    before = scene.ids()
    assert {verdict["verdict_id"] for verdict in scene.told()} <= before
    assert scene.said.count("stopped: ") == 1
    scene.goes_on()
    scene.assert_whole(before)


def test_an_audit_waits_for_whoever_has_the_store_locked_for_a_moment(scene: Scene) -> None:
    with scene.started(scene.audit(*SLOW_AUDIT)) as audit:
        with closing(sqlite3.connect(scene.store, isolation_level=None)) as other:
            before = scene.ids()
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(subprocess.TimeoutExpired):
                audit.wait(3)
        assert audit.wait(END_S) == 0, scene.said
    scene.assert_whole(before)


def test_two_audits_on_one_store_wait_for_one_another(scene: Scene) -> None:
    with scene.started(scene.audit(*SLOW_AUDIT)) as first:
        second = call(scene.audit(*SLOW_AUDIT), cwd=scene.folder)
        assert second.returncode == 0, second.stderr
        assert "waiting for exitpin (pid " in second.stderr
        assert first.wait(END_S) == 0, scene.said
    scene.assert_whole(set(), scans=2)


def test_an_audit_whose_disk_is_full_says_how_to_go_on(on_disk: Scene) -> None:
    scene = on_disk
    with scene.started(scene.audit(*SLOW_AUDIT, "--json")) as audit:
        with full(seen(scene.lab, scene.store.parent)):
            assert audit.wait(END_S) == 125, scene.said
            before = scene.ids()
        told = {str(verdict["verdict_id"]) for verdict in scene.told()}
        assert len(told - before) <= int(re.findall(r"(\d+) records? could not be written", scene.said)[0])
        assert_one_sentence(scene, "could not be written")
        scene.goes_on()
    scene.assert_whole(before)


def test_an_audit_whose_evidence_has_no_room_says_how_to_go_on(audited: LabState, tmp_path: Path) -> None:
    scene = Scene(audited, tmp_path, tmp_path / "results.sqlite")
    with mounted(audited, scene.evidence, "size=64m"):
        with scene.started(scene.audit(*SLOW_AUDIT)) as audit:
            with full(seen(audited, scene.evidence)):
                assert audit.wait(END_S) == 125, scene.said
                before = scene.ids()
            assert_one_sentence(scene, "evidence can't be kept in")
            scene.goes_on()
        scene.assert_whole(before)


def test_where_nothing_can_be_told_a_watch_scans_all_the_same_and_tells_it_later(
    audited: LabState, tmp_path: Path
) -> None:
    scene = Scene(audited, tmp_path, tmp_path / "results.sqlite")
    disk = tmp_path / "told-to"
    head = f'schema = "exitpin.watch/1"\n[output]\nprometheus = "{disk}/prom"\nstatus = "{disk}/status.json"\n'
    often = scan("often", "tls-cert", 'select = { exits = ["exit01"] }', interval="2s")

    def tells() -> None:
        assert all((seen(audited, disk) / name).exists() for name in ("status.json", "prom"))
        state = json.loads((seen(audited, disk) / "status.json").read_text())
        assert state["iteration"] >= 3
        assert "exitpin_scan_complete" in (seen(audited, disk) / "prom").read_text()

    with mounted(audited, disk, "size=64m"):
        argv = scene.watch(scans=often, head=head)
        with full(seen(audited, disk)):
            with (tmp_path / "said").open("w") as said:
                watch = subprocess.Popen(argv, cwd=tmp_path, stdin=subprocess.DEVNULL, stderr=said)
            scene.says("often: iteration 3 begins")
        try:
            eventually(tells, END_S)
            assert watch.poll() is None
        finally:
            watch.kill()
            watch.wait()
    for name in ("status.json", "prom"):
        (line,) = [line for line in scene.said.splitlines() if f"{disk}/{name} can't be written" in line]
        assert "No space left on device" in line
    assert_so("ended before its time" not in scene.said, scene.said)


def test_a_watch_that_is_out_of_descriptors_says_so_and_goes_on(scene: Scene) -> None:
    with scene.started(scene.watch("--iterations", "1")) as watch:
        limit = scene.take_descriptors(0.8)
        scene.says(NO_MORE_FILES.format(limit))
        scene.says("iteration 1 ended before its time (exit status 125); it is tried again at")
        before = scene.ids()
        assert watch.wait(END_S) == 0, scene.said
    assert "could not be written" not in scene.said
    scene.assert_whole(before)


def test_an_audit_that_can_open_nothing_for_long_says_what_is_lost_and_how_to_go_on(scene: Scene) -> None:
    with scene.started(scene.audit(*SLOW_AUDIT), EXITPIN_STORE_PATIENCE="1") as audit:
        scene.take_descriptors(0.0)
        assert audit.wait(END_S) == 125, scene.said
    assert scene.said.count(NO_MORE_FILES.format(0)) == 1
    assert_one_sentence(scene, "could not be written")
    before = scene.ids()
    scene.goes_on()
    scene.assert_whole(before)


def test_a_watch_goes_on_with_a_new_tor_when_its_tor_has_crashed(scene: Scene) -> None:
    at_once = 'build_delay = "0s"\nbuild_jitter = "0s"\n'
    with own_home(scene.lab) as home:
        with scene.started(home.command(scene.watch("--iterations", "1", scans=SLOW + at_once))) as watch:
            first = home.tor()
            first.kill()
            scene.says("iteration 1 ended before its time (exit status 125); it is tried again at")
            before = scene.ids()
            assert watch.wait(END_S) == 0, scene.said
        assert home.tor() != first
    assert scene.said.count("stopped: tor ended the control connection") == 1
    scene.assert_whole(before)
