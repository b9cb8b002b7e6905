"""A scan that may open no more files: it never hangs, judges nobody by that, and says which limit to raise."""

import re
import resource
import shlex
from pathlib import Path

import pytest

from exitpin.orchestrator.lab.state import LabState

from .faults import END_S, SLOW_AUDIT, Scene, call, inside, process_of
from .running import EXITPIN

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

TOLD = "no more files could be opened: this process may have {} at a time. Raise that limit"


@pytest.fixture
def scene(audited: LabState, tmp_path: Path) -> Scene:
    return Scene(audited, tmp_path, tmp_path / "results.sqlite")


def take_away(scene: Scene, share: float) -> int:
    """Let the audit open no more than this share of what it has open; its limit then."""
    process = process_of(scene.lab, "audit", f"--store={scene.store}")
    limit = int(process.num_fds() * share)
    process.rlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return limit


def test_a_watch_that_is_out_of_descriptors_says_so_and_goes_on(scene: Scene) -> None:
    with scene.started(scene.watch("--iterations", "1")) as watch:
        limit = take_away(scene, 0.8)
        scene.says(TOLD.format(limit))
        scene.says("iteration 1 ended before its time (exit status 125); it is tried again at")
        before = scene.ids()
        assert watch.wait(END_S) == 0, scene.said
    assert "could not be written" not in scene.said
    scene.assert_whole(before)


@pytest.mark.parametrize("share", [0.0, 0.8])
def test_an_audit_that_is_out_of_descriptors_says_which_limit_to_raise_and_how_to_go_on(
    scene: Scene, share: float
) -> None:
    with scene.started(scene.audit(*SLOW_AUDIT), EXITPIN_STORE_PATIENCE="1") as audit:
        limit = take_away(scene, share)
        assert audit.wait(END_S) == 125, scene.said
    assert scene.said.count(TOLD.format(limit)) == 1
    assert ("could not be written" in scene.said) == (share == 0.0), "what no file could be opened for is lost"
    before = scene.ids()
    (again,) = re.findall("to go on: exitpin (audit --resume .*)", scene.said)
    done = call(inside(scene.lab, *EXITPIN, *shlex.split(again)))
    assert done.returncode == 0, done.stderr
    scene.assert_whole(before)
