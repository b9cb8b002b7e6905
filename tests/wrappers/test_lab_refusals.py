"""A change of a lab that lives that its tor refuses, or says nothing about: the lab stays as it was."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.lab.change import Change, Verb
from exitpin.orchestrator.lab.network import Relay, build
from exitpin.orchestrator.lab.state import RESIDENTS_FILE
from exitpin.wrappers import lab_grounds
from exitpin.wrappers.lab_boot import Boot
from exitpin.wrappers.lab_changing import carry_out
from exitpin.wrappers.lab_grounds import Grounds
from exitpin.wrappers.lab_keeper import Keeper
from exitpin.wrappers.lab_plant import Plant
from exitpin.wrappers.lab_publishing import look
from exitpin.wrappers.lab_tors import Identities

SLEEPER = [sys.executable, "-c", "import signal; signal.pause()"]
REFUSES = 'if grep -q "Nickname exit02" "$4"; then echo "[warn] No"; exit 1; fi'
SAYS_NOTHING = "exec sleep 60"


@pytest.fixture
def grounds(tmp_path: Path) -> Iterator[Grounds]:
    """A lab whose relays are idle processes."""
    network, plant = build(16), Plant(tmp_path)
    (tmp_path / "logs").mkdir()
    spec = {"directory": str(tmp_path), "tor": str(tmp_path / "verify"), "voting": {"interval_s": 10}, "exits": 16}
    names = {relay.nickname: f"{number:040X}" for number, relay in enumerate(network.relays)}
    who = Identities(names, {one.nickname: "A" * 40 for one in network.authorities})
    found = Grounds(Boot(spec, network, plant, tmp_path, print), who, {}, Keeper(plant))
    tor(found, "exit 0")
    for relay in network.exits[:2]:
        found.write(relay)
        (found.boot.tor_root / relay.nickname / "keys").mkdir()
        (found.boot.tor_root / relay.nickname / "keys" / "secret_id_key").write_text(relay.nickname)
        plant.start(relay.nickname, SLEEPER, {})
    yield found
    for name in list(plant.pids):
        plant.stop(name)


def tor(grounds: Grounds, body: str) -> None:
    """What stands in for `tor --verify-config`."""
    path = Path(grounds.boot.spec["tor"])
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)


def as_it_is(grounds: Grounds) -> object:
    """All that a change would make another: processes, identities, files, what is to be published."""
    root = grounds.boot.tor_root
    files = {str(one): one.read_bytes() for one in sorted(root.rglob("*")) if one.is_file()}
    told = (grounds.who, dict(grounds.revisions), dict(grounds.unpublished), set(grounds.declaring))
    return dict(grounds.keeper.plant.pids), files, told, set(grounds.former), set(grounds.removed), grounds.boot.network


@pytest.mark.parametrize(
    "change",
    [
        Change(Verb.REKEY, ("exit01", "exit02")),
        Change(Verb.POLICY, ("exit01", "exit02"), ("accept *:443", "reject *:*")),
    ],
)
def test_a_change_of_several_that_tor_refuses_of_one_is_made_of_none(grounds: Grounds, change: Change) -> None:
    before = as_it_is(grounds)
    tor(grounds, REFUSES)
    with pytest.raises(OperatorError, match=r"tor refuses this of exit02: No\."):
        asyncio.run(carry_out(grounds, change))
    assert as_it_is(grounds) == before


def test_a_relay_that_can_not_be_restored_stays_away(grounds: Grounds) -> None:
    grounds.removed.update(("exit01", "exit02"))
    before = as_it_is(grounds)
    tor(grounds, REFUSES)
    with pytest.raises(OperatorError, match=r"tor refuses this of exit02: No\."):
        asyncio.run(carry_out(grounds, Change(Verb.RESTORE, ("exit01", "exit02"))))
    assert as_it_is(grounds) == before


def test_a_tor_that_says_nothing_about_a_torrc_refuses_it(grounds: Grounds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_grounds, "READY_S", 0.2)
    before = as_it_is(grounds)
    tor(grounds, SAYS_NOTHING)
    with pytest.raises(OperatorError, match=r"tor refuses this of exit01: it said nothing for 0\.2 s"):
        asyncio.run(carry_out(grounds, Change(Verb.REKEY, ("exit01",))))
    assert as_it_is(grounds) == before


def test_nor_does_it_end_the_looks_at_who_is_published(grounds: Grounds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_grounds, "READY_S", 0.2)
    authority = grounds.boot.network.authorities[0]
    grounds.keeper.plant.start(authority.nickname, SLEEPER, {})
    grounds.unpublished["exit01"] = -1e6
    tor(grounds, SAYS_NOTHING)
    with pytest.raises(OperatorError, match="it said nothing"):  # what keep_published takes as a reason to try again
        asyncio.run(look(grounds))


def test_a_rekeying_that_tor_takes_ends_the_old_identity(grounds: Grounds, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    async def start(grounds: Grounds, relay: Relay) -> None:
        started.append(relay.nickname)

    async def tell_authorities(grounds: Grounds) -> None:
        assert not grounds.keeper.plant.pids, "both were stopped"

    monkeypatch.setattr(Grounds, "start", start)
    monkeypatch.setattr(Grounds, "tell_authorities", tell_authorities)
    old = [grounds.fingerprint(name) for name in ("exit01", "exit02")]
    changed = asyncio.run(carry_out(grounds, Change(Verb.REKEY, ("exit01", "exit02"))))
    assert started == ["exit01", "exit02"] and grounds.former == set(old)
    assert {one.fingerprint for one in changed}.isdisjoint(old) and [one.revision for one in changed] == [2, 2]
    for name, book in zip(("exit01", "exit02"), old, strict=True):
        place = grounds.boot.tor_root / name
        assert "PRIVATE KEY" in (place / "keys" / "secret_id_key").read_text() and not (place / "keys.new").exists()
        assert book in (grounds.boot.directory / RESIDENTS_FILE).read_text()
