"""A tor of our own that crashes under an audit, and is there again for the one that goes on. The same under a watch,
which waits for new consensuses: tests/torture/test_faults.py."""

from pathlib import Path

import pytest

from exitpin.orchestrator.lab.state import LabState

from .fault_scenes import END_S, SLOW_AUDIT, Scene
from .own_home import own_home

pytestmark = [pytest.mark.torture, pytest.mark.timeout(300)]


def test_an_audit_whose_tor_has_crashed_says_how_to_go_on(audited: LabState, tmp_path: Path) -> None:
    scene = Scene(audited, tmp_path, tmp_path / "results.sqlite")
    with own_home(audited) as home:
        argv = home.command(scene.audit(*SLOW_AUDIT, "--build-delay=0s", "--build-jitter=0s", "--json"))
        with scene.started(argv) as audit:
            home.tor().kill()
            assert audit.wait(END_S) == 125, scene.said
        before = scene.ids()
        assert {verdict["verdict_id"] for verdict in scene.told()} <= before
        scene.goes_on(home.command)
    scene.assert_whole(before)
