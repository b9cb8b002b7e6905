"""A tor of our own that crashes under a scan, and comes back as the next process starts it: on the lab's network, which
a `tor` before the real one in PATH is told of."""

import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from exitpin.orchestrator.lab.state import LabState
from exitpin.wrappers.torrc import BASE

from .conftest import Lab, eventually
from .faults import END_S, EXITS, REPEAT, Scene, call, inside
from .running import EXITPIN
from .test_own_tor import as_if_outside, prepare_cache
from .watching import HEAD, scan

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

NOT_THE_NETWORKS = {"datadirectory", "controlsocket", "log"} | {name.lower() for name, _ in BASE}
AT_ONCE = {"build_delay": "0s", "build_jitter": "0s"}
PARAMS = {"url": "http://web.test/delay/1"}


@dataclass(frozen=True, slots=True)
class Home:
    """Where an own tor is. `place`: a short directory."""

    lab: LabState
    place: Path

    @classmethod
    def of(cls, lab: LabState, place: Path) -> "Home":
        """With the directory that its tor would have fetched, and a tor that knows this network."""
        client = prepare_cache(Lab(lab), place)
        network = place / "network"
        lines = client.read_text().splitlines(keepends=True)
        network.write_text("".join(line for line in lines if line.split(" ", 1)[0].lower() not in NOT_THE_NETWORKS))
        tor = place / "bin" / "tor"
        tor.parent.mkdir()
        tor.write_text(f'#!/bin/sh\nexec /usr/sbin/tor "$1" "$2" "$3" "$4" {network} "$6" "$7"\n')
        tor.chmod(0o755)
        return cls(lab, place)

    def command(self, argv: list[str]) -> list[str]:
        """The same, with this home, and as if there was no lab."""
        lab_exec, own = argv[: argv.index("--") + 1], argv[argv.index("--") + 1 :]
        return [*lab_exec, *as_if_outside(self.place, f"PATH={self.place / 'bin'}:{os.environ['PATH']}", *own)]

    def tor(self) -> psutil.Process:
        """The tor that runs there."""
        torrc = str(self.place / "cache" / "exitpin" / "tor" / "torrc")
        found = [one for one in psutil.process_iter(["name", "cmdline"]) if torrc in (one.info["cmdline"] or ())]
        (tor,) = [one for one in found if one.info["name"] == "tor"]
        return tor

    def is_gone(self) -> None:
        left = [
            one.pid
            for one in psutil.process_iter(["cmdline"])
            if str(self.place) in " ".join(one.info["cmdline"] or ())
        ]
        assert left == []


@pytest.fixture
def home(audited: LabState) -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="xt", dir="/tmp") as place:
        home = Home.of(audited, Path(place))
        try:
            yield home
        finally:
            home.tor().kill()
            eventually(home.is_gone, 30)


@pytest.fixture
def scene(audited: LabState, tmp_path: Path) -> Scene:
    return Scene(audited, tmp_path, tmp_path / "results.sqlite")


def test_a_watch_goes_on_with_a_new_tor_when_its_tor_has_crashed(scene: Scene, home: Home) -> None:
    settings = [f'{name} = "{value}"' for name, value in AT_ONCE.items()]
    exits = ", ".join(f'"{name}"' for name in EXITS)
    slow = scan(
        "slow", "http-body", f"select = {{ exits = [{exits}] }}", "jobs = 2", f"repeat = {REPEAT}", *settings,
        f'params = {{ url = "{PARAMS["url"]}" }}',
    )  # fmt: skip
    with scene.started(home.command(scene.watch("--iterations", "1", scans=slow, head=HEAD))) as watch:
        first = home.tor()
        first.kill()
        scene.says("iteration 1 ended before its time (exit status 125); it is tried again at")
        before = scene.ids()
        assert watch.wait(END_S) == 0, scene.said
    assert home.tor() != first
    assert scene.said.count("stopped: tor ended the control connection") == 1
    scene.assert_whole(before)


def test_an_audit_whose_tor_has_crashed_says_how_to_go_on(scene: Scene, home: Home) -> None:
    settings = [f"--{name.replace('_', '-')}={value}" for name, value in AT_ONCE.items()]
    words = (
        "http-body",
        "-p",
        f"url={PARAMS['url']}",
        "-e",
        ",".join(EXITS),
        "-j",
        "2",
        f"--repeat={REPEAT}",
        *settings,
    )
    with scene.started(home.command(scene.audit(*words, "--json"))) as audit:
        home.tor().kill()
        assert audit.wait(END_S) == 125, scene.said
    before = scene.ids()
    assert {verdict["verdict_id"] for verdict in scene.told()} <= before
    (again,) = re.findall("to go on: exitpin (audit --resume .*)", scene.said)
    done = call(home.command(inside(scene.lab, *EXITPIN, *shlex.split(again))))
    assert done.returncode == 0, done.stderr
    scene.assert_whole(before)
