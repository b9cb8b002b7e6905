"""Disks that fail under a scan: each time the scan goes on by itself when they are well again, or says how to go on.

Beside these:
  a disk that fills up at a random moment      tests/torture/test_resume.py
  a limit of the size of files                 test_audit_ends.py
  evidence that was read-only from the start   tests/torture/test_resume.py
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from exitpin.orchestrator.lab.state import LabState

from .fault_scenes import END_S, Scene, full, mounted, seen

pytestmark = [pytest.mark.torture, pytest.mark.timeout(240)]


@pytest.fixture
def scene(audited: LabState, tmp_path: Path) -> Iterator[Scene]:
    """With a disk of its own for all that is recorded."""
    with mounted(audited, tmp_path / "disk", "size=64m"):
        yield Scene(audited, tmp_path, tmp_path / "disk" / "results.sqlite")


def test_a_watch_whose_disk_is_full_goes_on_when_there_is_room_again(scene: Scene) -> None:
    with scene.started(scene.watch("--iterations", "1")) as watch:
        with full(seen(scene.lab, scene.store.parent)):
            scene.says("iteration 1 ended before its time (exit status 125); it is tried again at")
            before = scene.ids()
        assert watch.wait(END_S) == 0, scene.said
    assert "could not be written" in scene.said
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
