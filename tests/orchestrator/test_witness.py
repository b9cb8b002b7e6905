"""What is kept of the runs under way: whatever their records will name, however many circuits come and go meanwhile."""

import json
from typing import Any

import pytest

from exitpin.orchestrator import witness
from exitpin.orchestrator.witness import Witness, doubts

from .proof import Entry, evidence, records, tor
from .values import circ_line

HEADER, *ENTRIES = evidence()


def keeping(*in_use: int, shares_circuits: bool = False) -> Witness:
    return Witness(HEADER, shares_circuits=shares_circuits, in_use=lambda: in_use)


def live(kept: Witness, entries: list[Entry]) -> None:
    for entry in entries:
        kept.note(json.loads(json.dumps(entry)))


def others(count: int, word: str = "CLOSED") -> list[Entry]:
    """Circuits of others, each begun and at an end."""
    return [tor(circ_line(1000 + n, each)) for n in range(count) for each in ("BUILT", word)]


def first_record() -> dict[str, Any]:
    record: Any = records()[0]
    record["unbuilt"] = [{"id": 6, "path": list(record["circuits"][0]["path"]), "reached": 0, "reason": "TIMEOUT"}]
    return record


BEFORE = [tor(circ_line(6, "LAUNCHED", ())), tor(circ_line(6, "FAILED", (), " REASON=REQUESTED"))]


@pytest.mark.parametrize("shares", [True, False])
def test_circuits_of_runs_under_way_are_kept_however_many_come_after_them(
    monkeypatch: pytest.MonkeyPatch, shares: bool
) -> None:
    monkeypatch.setattr(witness, "CIRCUITS_MAX", 40)
    kept = keeping(6, 7, 8, shares_circuits=shares)
    live(kept, [*ENTRIES[:2], *BEFORE, *ENTRIES[2:], *others(500)])
    assert doubts(kept.of("s-0001", [7, 6]), first_record()) == ()
    assert doubts(kept.of("s-0002", [8]), records()[1]) == ()
    assert len(kept._circuits) <= 50


def test_others_are_forgotten_when_they_have_ended_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "CIRCUITS_MAX", 40)
    kept = keeping()
    live(kept, [*ENTRIES[:2], *BEFORE, *ENTRIES[2:], *others(500)])
    assert doubts(kept.of("s-0002", [8]), records()[1]) == (), "it was open all the time"
    assert any("7 was never BUILT" in doubt for doubt in doubts(kept.of("s-0001", [7, 6]), first_record()))
    live(kept, others(300, "EXTENDED"))
    assert len(kept._circuits) >= 300, "as many as are open"
    live(kept, [entry for entry in others(300) if "CLOSED" in str(entry["tor"])])
    live(kept, [tor(circ_line(9000 + n, "CLOSED")) for n in range(300)])
    assert len(kept._circuits) <= 50
