"""A home for a tor of our own on the lab's network: exitpin starts it by itself, and a `tor` before the real one in
PATH tells it of the network."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from exitpin.orchestrator.lab.state import LabState
from exitpin.wrappers.torrc import BASE

from .conftest import Lab, eventually
from .test_own_tor import as_if_outside, prepare_cache

NOT_THE_NETWORKS = {"datadirectory", "controlsocket", "log"} | {name.lower() for name, _ in BASE}


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
        psutil.process_iter.cache_clear()  # it keeps who had a number long ago
        found = [one for one in psutil.process_iter(["name", "cmdline"]) if torrc in (one.info["cmdline"] or ())]
        tors = [one for one in found if one.info["name"] == "tor"]
        assert len(tors) == 1, tors
        return tors[0]

    def is_gone(self) -> None:
        left = [
            one.pid
            for one in psutil.process_iter(["cmdline"])
            if str(self.place) in " ".join(one.info["cmdline"] or ())
        ]
        assert left == []


@contextmanager
def own_home(lab: LabState) -> Iterator[Home]:
    """One, until the block is left; its tor ends then."""
    with TemporaryDirectory(prefix="xt", dir="/tmp") as place:
        home = Home.of(lab, Path(place))
        try:
            yield home
        finally:
            eventually(lambda: home.tor().kill(), 30)  # it may just be started anew
            eventually(home.is_gone, 30)
