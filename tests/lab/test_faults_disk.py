"""Disks that fail under a scan: each time the scan goes on by itself when they are well again, or says how to go on.

Beside these:
  a disk that fills up at a random moment      tests/torture/test_resume.py
  a limit of the size of files                 test_audit_ends.py
  evidence that was read-only from the start   tests/torture/test_resume.py
"""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from exitpin.orchestrator.lab.state import LabState

from .conftest import eventually
from .faults import END_S, SLOW_AUDIT, Scene, assert_so, call, full, inside, mounted, seen
from .running import EXITPIN
from .watching import scan

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]


@pytest.fixture
def scene(audited: LabState, tmp_path: Path) -> Iterator[Scene]:
    """With a disk of its own for all that is recorded."""
    with mounted(audited, tmp_path / "disk", "size=64m"):
        yield Scene(audited, tmp_path, tmp_path / "disk" / "results.sqlite")


def assert_to_go_on(scene: Scene, why: str) -> None:
    """What has ended said so in one sentence, and what to type; that is typed."""
    said = [line for line in scene.said.splitlines() if why in line]
    assert len(said) == 1, scene.said
    (again,) = re.findall("to go on: exitpin (audit --resume .*)", scene.said)
    done = call(inside(scene.lab, *EXITPIN, *shlex.split(again)))
    assert done.returncode == 0, done.stderr


def test_a_watch_whose_disk_is_full_goes_on_when_there_is_room_again(scene: Scene) -> None:
    with scene.started(scene.watch("--iterations", "1")) as watch:
        with full(seen(scene.lab, scene.store.parent)):
            scene.says("iteration 1 ended before its time (exit status 125); it is tried again at")
            before = scene.ids()
        assert watch.wait(END_S) == 0, scene.said
    assert "could not be written" in scene.said
    scene.assert_whole(before)


def test_an_audit_whose_disk_is_full_says_how_to_go_on(scene: Scene) -> None:
    with scene.started(scene.audit(*SLOW_AUDIT, "--json")) as audit:
        with full(seen(scene.lab, scene.store.parent)):
            assert audit.wait(END_S) == 125, scene.said
            before = scene.ids()
        told = {str(verdict["verdict_id"]) for verdict in scene.told()}
        assert len(told - before) <= int(re.findall(r"(\d+) records? could not be written", scene.said)[0])
        assert_to_go_on(scene, "could not be written")
    scene.assert_whole(before)


def test_a_watch_that_may_not_write_its_evidence_goes_on_when_it_may_again(audited: LabState, tmp_path: Path) -> None:
    """Root may write everywhere, unless it has given up to."""
    scene = Scene(audited, tmp_path, tmp_path / "results.sqlite")
    ordinary = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    with scene.started(scene.watch("--iterations", "1", under=ordinary)) as watch:
        folders = [scene.evidence, *(one for one in scene.evidence.iterdir() if one.is_dir())]
        for folder in folders:
            folder.chmod(0o500)
        scene.says(f"evidence can't be kept in {scene.evidence}: Permission denied")
        scene.says("iteration 1 ended before its time (exit status 125); it is tried again at")
        before = scene.ids()
        for folder in folders:
            folder.chmod(0o700)
        assert watch.wait(END_S) == 0, scene.said
    scene.assert_whole(before)


def test_an_audit_whose_evidence_has_no_room_says_how_to_go_on(audited: LabState, tmp_path: Path) -> None:
    scene = Scene(audited, tmp_path, tmp_path / "results.sqlite")
    with mounted(audited, scene.evidence, "size=64m"):
        with scene.started(scene.audit(*SLOW_AUDIT)) as audit:
            with full(seen(audited, scene.evidence)):
                assert audit.wait(END_S) == 125, scene.said
                before = scene.ids()
            assert_to_go_on(scene, "evidence can't be kept in")
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
            from subprocess import DEVNULL, Popen

            with (tmp_path / "said").open("w") as said:
                watch = Popen(argv, cwd=tmp_path, stdin=DEVNULL, stderr=said)
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
