"""Exits as they are chosen of a network of real tors: by their descriptors, by countries of tor's own GeoIP file, by
AS; each that is dropped with its reason."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Lab
from .running import EXITPIN, SecondController, audit_command, run

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

V4 = "203.0.113.{}"


def number(address: str) -> int:
    a, b, c, d = map(int, address.split("."))
    return (a << 24) + (b << 16) + (c << 8) + d


def listed(lab: Lab, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [*EXITPIN, "exits", "--lab", "--name", lab.state.name, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def nicknames(lab: Lab, *words: str) -> dict[str, dict[str, Any]]:
    """What is listed, by nickname."""
    done = listed(lab, "--json", *words)
    assert done.returncode == 0, done.stderr
    return {(found := json.loads(line))["nickname"]: found for line in done.stdout.splitlines()}


@pytest.fixture
def geoip(lab: Lab, tmp_path: Path) -> Iterator[None]:
    """The first three exits are in the Netherlands, the fourth in Germany, the others nowhere, as far as tor knows."""
    file = tmp_path / "geoip"
    first, last, other = (number(V4.format(n)) for n in (11, 13, 14))
    file.write_text(f"# a comment\n{first},{last},NL\n{other},{other},DE\n")
    tor = SecondController(lab.state)
    tor.ask(f'SETCONF GeoIPFile="{file}"')
    yield
    tor.ask('SETCONF GeoIPFile="/dev/null"')


@pytest.mark.usefixtures("geoip")
def test_countries_are_those_of_tors_own_file(lab: Lab) -> None:
    chosen = nicknames(lab, "--country", "nl")
    assert {name: one["country"] for name, one in chosen.items()} == {"exit01": "nl", "exit02": "nl", "exit03": "nl"}
    dropped = nicknames(lab, "--not-country", "de,us", "--dropped")
    assert dropped.pop("exit04")["dropped"] == "country: de"
    assert {one["dropped"] for one in dropped.values()} == {"country unknown"}
    assert nicknames(lab, "-e", "exit04")["exit04"]["country"] == "de", "told without being asked for"
    done = run(lab.state, "-e", "all", "--country", "nl", "--", "true")
    assert "3 of 8 exits (4: country unknown, 1: country)" in done.stderr


def test_a_lab_has_no_countries_and_says_what_to_do(lab: Lab) -> None:
    done = listed(lab, "--country", "nl")
    assert (done.returncode, done.stdout) == (125, "")
    assert "no country of any relay" in done.stderr and "tor-geoipdb" in done.stderr
    assert {one["country"] for one in nicknames(lab).values()} == {None}


def test_a_port_and_ipv6_are_asked_of_descriptors_and_not_of_flags(lab: Lab) -> None:
    odd = {name for name, one in nicknames(lab, "--to", "web.test:443", "--dropped").items()}
    told = {name: one["dropped"] for name, one in nicknames(lab, "--to", "web.test:443", "--dropped").items()}
    assert set(told.values()) == {"policy: refuses 443"}
    without_flag = nicknames(lab, "--not-flag", "Exit")
    assert set(without_flag) < odd, "one of them has a policy and no Exit flag"
    by_ipv6 = nicknames(lab, "--ipv6", "--to", "web.test:443", "--to", "[2001:db8:1::1]:443")
    assert set(by_ipv6) == set(nicknames(lab)) - odd
    assert {one["ipv6"] for one in by_ipv6.values()} == {"accept 1-65535"}


def test_nobody_measures_a_lab_and_the_consensus_says_so(lab: Lab) -> None:
    assert {one["is_measured"] for one in nicknames(lab).values()} == {False}
    told = nicknames(lab, "--measured", "yes", "--dropped")
    assert {one["dropped"] for one in told.values()} == {"bandwidth not measured"}


def test_an_audit_takes_exits_by_as_and_begins_with_the_first(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "as.dat"
    file.write_text(f"{V4.format(11)}/32\t64496\n{V4.format(12)}/32\t64496\n{V4.format(13)}/32\t64497\n")
    words = ["dns-path", "--as", "64496", "--as-file", str(file), "--limit", "1", "--dry-run"]
    done = subprocess.run(audit_command(lab.state, *words), capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 of 8 exits (5: AS unknown, 1: AS, 1: behind the first 1)" in done.stderr
    file.write_text("nonsense\n")
    done = subprocess.run(audit_command(lab.state, *words), capture_output=True, text=True, timeout=90, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{file}:1: 'nonsense' is no prefix" in done.stderr


def test_newcomers_are_those_of_ones_own_history(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    done = listed(lab, "--first-seen", "48h")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no relay was ever seen yet" in done.stderr
    command = audit_command(lab.state, "dns-path", "--limit", "1")
    assert subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0
    dropped = nicknames(lab, "--first-seen", "48h", "--dropped")
    assert {one["dropped"] for one in dropped.values()} == {"not first seen within 48h"}, "they were there before"
    assert len(dropped) == 8 and {one["first_seen"] for one in dropped.values()} == {None}
