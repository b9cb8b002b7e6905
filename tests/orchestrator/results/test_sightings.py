"""Who was seen in a network, and what has changed since: the newcomers of a scan are known by it."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.freshness import epoch_of
from exitpin.orchestrator.model import Relay, Snapshot
from exitpin.orchestrator.network_change import NetworkChange
from exitpin.orchestrator.policy import parse_policy
from exitpin.orchestrator.results.sightings import BEFORE_HISTORY, first_seen_of, note_snapshot

from ..values import FLAGS, fingerprint, relay

ONE, TWO, THREE, FOUR = (f"2026-01-02 0{hour}:00:00" for hour in range(1, 5))
WEB = parse_policy("accept *:80\nreject *:*")


def snapshot(valid_after: str, *relays: Relay) -> Snapshot:
    return Snapshot(valid_after, {one.fingerprint: one for one in relays})


def noted(store: Path, *snapshots: Snapshot) -> NetworkChange:
    """What the last of these snapshots changed."""
    changes = [note_snapshot(store, "tor", one) for one in snapshots]
    assert changes[-1] is not None
    return changes[-1]


def test_nothing_has_changed_with_the_first_snapshot_that_anybody_saw(tmp_path: Path) -> None:
    assert note_snapshot(tmp_path / "r.sqlite", "tor", snapshot(ONE, relay(1))) is None


def test_who_was_there_before_history_began_is_no_newcomer(tmp_path: Path) -> None:
    store = tmp_path / "r.sqlite"
    noted(store, snapshot(ONE, relay(1)), snapshot(TWO, relay(1), relay(2)))
    assert first_seen_of(store, "tor") == {fingerprint(1): BEFORE_HISTORY, fingerprint(2): epoch_of(TWO)}


def test_a_change_tells_who_came_who_went_and_who_is_not_what_it_was(tmp_path: Path) -> None:
    before = snapshot(ONE, relay(1), relay(2), relay(3), relay(4))
    after = snapshot(TWO, relay(2), relay(3, policy=WEB), relay(4, flags=FLAGS - {"Guard"}), relay(5))
    change = noted(tmp_path / "r.sqlite", before, after)
    assert (change.new, change.gone, change.back) == ((fingerprint(5),), (fingerprint(1),), ())
    assert change.policy == (fingerprint(3),)
    assert change.flags == {fingerprint(4): ("Exit Fast Guard Running Stable Valid", "Exit Fast Running Stable Valid")}
    assert change.sentence() == (
        f"since the consensus of {ONE}: 1 exit is new, 1 exit is gone, 1 exit has another policy,"
        " 1 exit has other flags"
    )


def test_who_comes_back_is_not_new_and_keeps_the_day_of_its_first_coming(tmp_path: Path) -> None:
    store = tmp_path / "r.sqlite"
    both, one = (relay(1), relay(2)), (relay(1),)
    change = noted(
        store, snapshot(ONE, *one), snapshot(TWO, *both), snapshot(THREE, *one), snapshot(FOUR, *both)
    )  # fmt: skip
    assert (change.new, change.back) == ((), (fingerprint(2),))
    assert first_seen_of(store, "tor")[fingerprint(2)] == epoch_of(TWO)


def test_relays_that_let_nothing_out_are_not_remembered(tmp_path: Path) -> None:
    store = tmp_path / "r.sqlite"
    nothing = relay(2, policy=parse_policy("reject *:*"))
    note_snapshot(store, "tor", snapshot(ONE, relay(1), nothing))
    assert list(first_seen_of(store, "tor")) == [fingerprint(1)]


def test_an_older_snapshot_changes_nothing(tmp_path: Path) -> None:
    store = tmp_path / "r.sqlite"
    note_snapshot(store, "tor", snapshot(TWO, relay(1)))
    assert note_snapshot(store, "tor", snapshot(ONE, relay(2))) is None
    assert list(first_seen_of(store, "tor")) == [fingerprint(1)]


def test_networks_do_not_know_each_others_exits(tmp_path: Path) -> None:
    store = tmp_path / "r.sqlite"
    note_snapshot(store, "tor", snapshot(ONE, relay(1)))
    assert note_snapshot(store, "lab default", snapshot(TWO, relay(2))) is None
    assert list(first_seen_of(store, "lab default")) == [fingerprint(2)]


def test_descriptors_that_come_later_under_the_same_consensus_are_a_change(tmp_path: Path) -> None:
    change = noted(tmp_path / "r.sqlite", snapshot(ONE, relay(1, policy=None)), snapshot(ONE, relay(1)))
    assert change.policy == (fingerprint(1),)


def test_there_is_no_history_without_a_store(tmp_path: Path) -> None:
    assert first_seen_of(tmp_path / "none.sqlite", "tor") == {}


def test_somebody_elses_lock_is_waited_for_as_long_as_was_asked_for(tmp_path: Path) -> None:
    store = tmp_path / "r.sqlite"
    noted(store, snapshot(ONE, relay(1)), snapshot(TWO, relay(1)))
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(OperatorError, match="locked"):
            note_snapshot(store, "tor", snapshot(THREE, relay(1)), patience_s=0.1)
        assert time.monotonic() - began < 10.0
