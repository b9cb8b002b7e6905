"""`results diff` on the network between two scans: whose policy and flags are others now."""

import asyncio
import json
from pathlib import Path

import pytest

from exitpin.orchestrator.results.exhibit import Exhibit, pack
from exitpin.orchestrator.results.store import Store

from ..orchestrator.recorded import scan_record, verdict_record
from ..orchestrator.results.test_changed_exits import A, B, descriptor, status
from .calling import Call, calling

HOSTILE = "accept *:80 \x1b]0;owned\x07"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two scans of A and B, between which A has another policy, and B other flags."""
    found = tmp_path / "results.sqlite"
    snapshots = {
        "s1": (status(A) + status(B), descriptor(A, "accept *:*") + descriptor(B, "accept *:*")),
        "s2": (status(A) + status(B, "Exit BadExit"), descriptor(A, HOSTILE) + descriptor(B, "accept *:*")),
    }

    async def fill() -> None:
        store = Store(found)
        for number, (scan_id, documents) in enumerate(snapshots.items(), 1):
            names = ("consensus", "descriptors")
            kept = [Exhibit(name, pack(content)) for name, content in zip(names, documents, strict=True)]
            legs = [{"evidence": [one.told() for one in kept]}]
            scan = scan_record(scan_id, started=1000.0 * number, exits=[A, B], planned=2, legs=legs)
            store.add_scan(scan, [one.blob for one in kept])
            for name in (A, B):
                told = {"exit": {"fingerprint": name, "nickname": "nick"}, "verdict_id": f"{scan_id}-{name[0]}"}
                store.add(verdict_record(number, scan_id=scan_id, **told))
        await store.close()

    asyncio.run(fill())
    return found


@pytest.fixture
def call(path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    return calling(capsys, "--store", str(path))


def test_the_network_between_two_scans_has_lines_of_its_own(call: Call) -> None:
    said = call("diff")
    assert said.status == 0, "nothing is worse for it"
    assert said.cells() == [
        ["policy", "", f"nick/{A[:8]}", "accept *:*", "accept *:80 \\x1b]0;owned\\x07", "", "", ""],
        ["flags", "", f"nick/{B[:8]}", "Fast, Running, Valid", "BadExit", "", "", ""],
    ]
    assert "exitpin: 1 policy, 1 flags; 2 unchanged\n" in said.err


def test_json_has_it_beside_the_changes_of_verdicts(call: Call) -> None:
    told = json.loads(call("diff", "--json").out)
    assert told["changes"] == []
    assert told["network"][0] == {
        "change": "policy", "exit": {"fingerprint": A, "nickname": "nick"}, "lost": ["accept *:*"], "gained": [HOSTILE],
    }  # fmt: skip


def test_a_snapshot_that_is_gone_is_said_and_hides_no_verdict(path: Path, call: Call) -> None:
    for piece in path.with_name(f"{path.name}.evidence").rglob("*.gz"):
        piece.unlink()
    said = call("diff")
    assert (said.status, said.out) == (0, "")
    assert "exitpin: changed policies and flags can't be told: evidence " in said.err and " is missing" in said.err
    assert "2 unchanged" in said.err
