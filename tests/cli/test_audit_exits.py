"""Whom a scan asks when it goes on."""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from exitpin.orchestrator.cli.audit_exits import Exits, Place, exits_of
from exitpin.orchestrator.cli.audit_resume import Resumed
from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.model import Snapshot
from exitpin.orchestrator.results.blobs import BlobFiles, blobs_directory
from exitpin.orchestrator.results.exhibit import Exhibit, pack

from ..orchestrator.recorded import scan_record, write
from ..orchestrator.results.test_changed_exits import status
from ..orchestrator.values import fingerprint, relay


def going_on(
    store: Path, asked: Sequence[int], there: Sequence[int], consensus: bytes | None, *, is_lost: bool = False
) -> Exits:
    """A scan that asked these relays goes on in a network of those. `consensus`: by which it went, if that was kept."""
    evidence = []
    if consensus is not None:
        kept = Exhibit("consensus", pack(consensus))
        if not is_lost:
            BlobFiles(blobs_directory(store)).write(kept.blob)
        evidence = [kept.told()]
    scan = scan_record(exits=[fingerprint(number) for number in asked], evidence=evidence)
    write(store, [scan])
    args = argparse.Namespace(order="random", newcomers="48h")
    relays = {fingerprint(number): relay(number) for number in there}
    network: Any = SimpleNamespace(snapshot=Snapshot("2026-05-02 00:00:00", relays))
    return asyncio.run(exits_of(args, network, Place(store, "tor"), Random(1), {}, Resumed(scan, False)))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


def document(*numbers: int) -> bytes:
    return b"network-status-version 3\n" + b"".join(status(fingerprint(number)) for number in numbers)


def test_those_that_have_left_the_network_are_told_beside_those_that_are_there(store: Path) -> None:
    found = going_on(store, [1, 2, 3], [2, 9], None)
    assert (list(found.relays), list(found.gone)) == ([relay(2)], [fingerprint(1), fingerprint(3)])


def test_where_all_have_left_the_network_they_are_told(store: Path) -> None:
    found = going_on(store, [1, 2], [8, 9], document(1, 2, 7, 8))
    assert (list(found.relays), list(found.gone)) == ([], [fingerprint(1), fingerprint(2)])


@pytest.mark.parametrize("consensus", [document(1, 2, 7), b"", b"r x y\n", None])
def test_a_network_of_which_nobody_was_known_is_another_one(store: Path, consensus: bytes | None) -> None:
    with pytest.raises(OperatorError, match=r"no exit of scan s1 is in this network.*") as refused:
        going_on(store, [1, 2], [8, 9], consensus)
    assert "A lab that was started anew has other relays" in refused.value.hint


def test_a_network_of_which_the_consensus_was_lost_is_not_known(store: Path) -> None:
    with pytest.raises(OperatorError, match="no exit of scan s1"):
        going_on(store, [1], [8], document(1, 8), is_lost=True)
