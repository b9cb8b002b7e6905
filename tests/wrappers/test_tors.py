"""Which tors are found: on a PATH and a /proc of our own making."""

import os
from pathlib import Path

import pytest

from exitpin.wrappers import tors


def process(proc: Path, pid: int, comm: str, cmdline: str, net: str) -> None:
    (proc / str(pid) / "ns").mkdir(parents=True)
    (proc / str(pid) / "comm").write_text(f"{comm}\n")
    (proc / str(pid) / "cmdline").write_text("\0".join([*cmdline.split(), ""]))
    os.symlink(net, proc / str(pid) / "ns" / "net")


def test_only_the_services_tor_on_our_network_is_foreign(tmp_path: Path) -> None:
    (tmp_path / "self" / "ns").mkdir(parents=True)
    os.symlink("net:[1]", tmp_path / "self" / "ns" / "net")
    service = "/usr/bin/tor --defaults-torrc /usr/share/tor/tor-service-defaults-torrc -f /etc/tor/torrc"
    process(tmp_path, 10, "tor", service, "net:[1]")
    process(tmp_path, 11, "tor", service, "net:[2]")
    process(tmp_path, 12, "tor", "tor -f /tmp/own/torrc", "net:[1]")
    process(tmp_path, 13, "torsocks", "torsocks x", "net:[1]")
    assert tors.foreign_tors(tmp_path) == [tors.ForeignTor(10, is_service=True)]


@pytest.mark.parametrize(
    ("output", "version"),
    [("Tor version 0.4.9.11.", (0, 4, 9, 11)), ("Tor version 0.4.8.10-dev (git-1).", (0, 4, 8, 10)), ("tor?", ())],
)
def test_the_version_of_tor_is_read_from_its_words(tmp_path: Path, output: str, version: tuple[int, ...]) -> None:
    tor = tmp_path / "tor"
    tor.write_text(f"#!/bin/sh\necho '{output}'\n")
    tor.chmod(0o755)
    assert tors.find_tor(str(tmp_path)) == (str(tor), version)
