"""Faults under a scan. A watch goes on by itself; an audit stops with a sentence, and says what to type to go on.

Where each of them is tested:
  tor crashes, and comes back             test_faults_tor.py; under a watch: tests/torture/test_faults.py
  the control connection is lost          here; under an audit: tests/torture/test_faults.py
  the disk is full                        test_faults_disk.py; at random moments: tests/torture/test_resume.py
  evidence has no room, or can't be kept  test_faults_disk.py, tests/torture/test_faults.py
  nothing can be told                     tests/torture/test_faults.py
  somebody else keeps the store locked    here; for a moment: tests/torture/test_faults.py
  no descriptors are left                 here; under a watch, and none at all: tests/torture/test_faults.py
  two on one store                        here, tests/torture/test_faults.py; two watches by one plan: test_watch.py
  processes are stopped                   here
  processes are killed                    test_watch.py, tests/torture/test_resume.py
  interrupts, readers that go             test_audit_ends.py
"""

import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from exitpin.orchestrator.lab.state import LabState

from .fault_scenes import END_S, EXITS, NO_MORE_FILES, REPEAT, SLOW_AUDIT, Scene, assert_so, call, process_of
from .running import cut_connections
from .watching import scan

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]


@pytest.fixture
def scene(audited: LabState, tmp_path: Path) -> Scene:
    return Scene(audited, tmp_path, tmp_path / "results.sqlite")


def test_a_watch_whose_control_connection_is_lost_goes_on(scene: Scene) -> None:
    with scene.started(scene.watch("--iterations", "1")) as watch:
        assert cut_connections(watch.pid, str(scene.lab.control_socket), 0) == 1
        scene.says("iteration 1 ended before its time (exit status 125); it is tried again at")
        before = scene.ids()
        assert watch.wait(END_S) == 0, scene.said
    assert scene.said.count("stopped: ") == 1
    scene.assert_whole(before)


def test_a_watch_goes_on_when_somebody_has_kept_the_store_locked(scene: Scene) -> None:
    with scene.started(scene.watch("--iterations", "1"), EXITPIN_STORE_PATIENCE="0.5") as watch:
        with closing(sqlite3.connect(scene.store, isolation_level=None)) as other:
            before = scene.ids()
            other.execute("BEGIN EXCLUSIVE")
            scene.says("iteration 1 ended before its time (exit status 125); it is tried again at")
        assert watch.wait(END_S) == 0, scene.said
    assert "somebody else keeps it locked" in scene.said
    scene.assert_whole(before)


def test_an_audit_that_is_stopped_for_longer_than_its_runs_may_take_accuses_nobody(scene: Scene) -> None:
    """Its tools are not stopped: what they wait for comes to nobody meanwhile."""
    with scene.started(scene.audit(*SLOW_AUDIT, "--timeout", "12s")) as audit:
        before, process = scene.ids(), process_of(scene.lab, "audit", f"--store={scene.store}")
        process.suspend()
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                audit.wait(15)
        finally:
            process.resume()
        assert audit.wait(END_S) in (0, 3), scene.said
    done = call(scene.audit("--retry-failed"))
    assert done.returncode == 0, done.stderr
    scene.assert_whole(before)


def test_an_audit_that_is_out_of_descriptors_says_which_limit_to_raise_and_how_to_go_on(scene: Scene) -> None:
    with scene.started(scene.audit(*SLOW_AUDIT)) as audit:
        limit = scene.take_descriptors(0.8)
        assert audit.wait(END_S) == 125, scene.said
    assert scene.said.count(NO_MORE_FILES.format(limit)) == 1
    assert "could not be written" not in scene.said
    before = scene.ids()
    scene.goes_on()
    scene.assert_whole(before)


def test_two_watches_with_plans_of_their_own_share_a_store_and_a_tor(scene: Scene) -> None:
    other = scan("certs", "tls-cert", 'select = { exits = ["exit01"] }', interval="2s")

    with scene.started(scene.watch("--iterations", "1")) as first:
        with (scene.folder / "said").open("a") as said:
            argv = scene.watch("--iterations", "2", plan="other.toml", scans=other)
            second = subprocess.Popen(argv, cwd=scene.folder, stdin=subprocess.DEVNULL, stderr=said)
        try:
            assert (first.wait(END_S), second.wait(END_S)) == (0, 0), scene.said
        finally:
            second.send_signal(signal.SIGTERM)
            second.wait()
    assert scene.states() == ["done"] * 3
    assert_so("ended before its time" not in scene.said, scene.said)
    assert len(scene.probes()) == len(EXITS) * REPEAT + 1
