"""Exits that lie about names, SSH keys and STARTTLS, as the programs meet them that an audit runs."""

import os
from collections.abc import Iterator

import pytest

from exitpin.orchestrator.lab import start
from exitpin.orchestrator.lab.state import load

from . import running
from .conftest import Lab, lab_or_skip

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

MEDDLED = """
good = 1
[[exit]]
behaviour = "dns-lies"
kind = "hostile"
resolver = "lie"
[[exit]]
behaviour = "dns-hijacks"
kind = "hostile"
resolver = "nxdomain-hijack"
[[exit]]
behaviour = "dns-rebinds"
kind = "hostile"
resolver = { with = "rebind", address = "10.0.0.1" }
[[exit]]
behaviour = "dns-refuses"
kind = "broken"
resolver = "refuse"
[[exit]]
behaviour = "in-the-middle"
kind = "hostile"
meddle = [{ with = "ssh-mitm" }, { with = "strip-starttls" }, { with = "dns-lie-tcp" }]
"""


@pytest.fixture(scope="module")
def meddled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab whose exits lie about names, keys and STARTTLS."""
    profile = tmp_path_factory.mktemp("profile") / "meddled.toml"
    profile.write_text(MEDDLED)
    name = f"meddled-{os.getpid()}"
    lab_or_skip(name, None, profile=str(profile))
    try:
        yield Lab(load(name))
    finally:
        start.down(name)


def through(lab: Lab, behaviour: str, *argv: str) -> str:
    """What a program prints that runs through the exit of that behaviour; names resolve there."""
    where = ("--resolve", "exit", "-e", running.nickname(lab.state, behaviour))
    return str(running.run(lab.state, *where, "--", *argv).stdout)


@pytest.mark.parametrize(
    ("behaviour", "name", "address"),
    [
        ("plain", "web.test", "192.0.2.10"),
        ("plain", "a.nx.test", ""),
        ("dns-lies", "web.test", "192.0.2.66"),
        ("dns-lies", "b.nx.test", ""),
        ("dns-hijacks", "web.test", "192.0.2.10"),
        ("dns-hijacks", "c.nx.test", "192.0.2.66"),
        ("dns-rebinds", "web.test", "10.0.0.1"),
        ("dns-refuses", "web.test", ""),
    ],
)
def test_an_exits_own_name_server_lies(meddled: Lab, behaviour: str, name: str, address: str) -> None:
    assert through(meddled, behaviour, "getent", "ahostsv4", name).partition(" ")[0] == address


def test_who_is_lied_to_ends_up_where_the_liar_wants(meddled: Lab) -> None:
    log = running.Log.of(meddled.state)
    relay = meddled.state.relay(running.nickname(meddled.state, "dns-lies"))
    assert running.run(meddled.state, "-e", relay.nickname, "--", "curl", "-qs", "http://web.test/ip").returncode == 0
    seen = [(line["own"][0], line["peer"][0]) for line in log.lines() if line["service"] == "http"]
    assert seen == [("192.0.2.66", relay.address)]


def test_other_keys_are_seen_through_a_man_in_the_middle_of_ssh(meddled: Lab) -> None:
    log = running.Log.of(meddled.state)
    scan = ("ssh-keyscan", "-T", "20", "-t", "ed25519,ecdsa", "ssh.test")
    keys = [set(through(meddled, who, *scan).splitlines()) for who in ("plain", "in-the-middle")]
    assert len(keys[0]) == len(keys[1]) == 2 and not keys[0] & keys[1]
    middle = meddled.state.relay(running.nickname(meddled.state, "in-the-middle"))
    assert middle.address in log.peers("ssh")  # he asks the target himself, from the exit's address


@pytest.mark.parametrize(("protocol", "port"), [("smtp", 25), ("smtp", 587), ("imap", 143)])
def test_starttls_is_stripped_on_the_way(meddled: Lab, protocol: str, port: int) -> None:
    argv = ("openssl", "s_client", "-starttls", protocol, "-connect", f"mail.test:{port}")
    found = ["BEGIN CERTIFICATE" in through(meddled, who, *argv) for who in ("plain", "in-the-middle")]
    assert found == [True, False]


def test_an_answer_over_tcp_is_falsified_on_the_way(meddled: Lab) -> None:
    argv = ("dig", "+tcp", "+short", "@192.0.2.53", "web.test", "A")
    assert [through(meddled, who, *argv) for who in ("plain", "in-the-middle")] == ["192.0.2.10\n", "192.0.2.66\n"]
