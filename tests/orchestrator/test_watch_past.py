"""Which iteration of a watch is its latest, by what the store has."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from exitpin.orchestrator.results.store import Store
from exitpin.orchestrator.results.stored import open_store
from exitpin.orchestrator.watch.agenda import Iteration
from exitpin.orchestrator.watch.past import latest_iterations
from exitpin.orchestrator.watch.plan import PlannedScan

from .recorded import scan_record, verdict_record

NOW = 4e9
CERTS = PlannedScan("certs", 60.0, 0.0, (), alert_on=("tampered", "error"))
SCANS = (CERTS, PlannedScan("web", 60.0, 0.0, ()))


def latest(path: Path, *begun: tuple[int, float], verdicts: Sequence[str] = (), **told: object) -> Iteration:
    """The latest one. `begun`: numbers, and by what clock they began; `verdicts`: of each; `told`: more of its
    record."""

    async def record() -> None:
        store = Store(path)
        for number, started in begun:
            of = {"watch": "nightly", "scan": "certs", "number": number}
            store.add_scan(scan_record(f"s{number}", state="done", started=started, iteration=of, **told))
            for place, status in enumerate(verdicts):
                store.add(verdict_record(place, scan_id=f"s{number}", status=status))
        await store.close()

    asyncio.run(record())
    reader = open_store(path)
    assert reader is not None
    with reader:
        return latest_iterations(reader, "nightly", SCANS)["certs"]


def test_the_latest_iteration_is_the_one_with_the_highest_number(tmp_path: Path) -> None:
    assert latest(tmp_path / "r.sqlite", *((number, NOW + number) for number in range(1, 70))).number == 69


def test_one_that_was_begun_by_a_clock_that_was_ahead_is_not_the_latest_for_ever(tmp_path: Path) -> None:
    assert latest(tmp_path / "r.sqlite", (1, NOW), (2, NOW + 86_400), (3, NOW + 60)).number == 3


@pytest.mark.parametrize(
    ("verdicts", "alerted", "is_told"),
    [
        ((), None, True),
        (("ok", "suspect"), None, True),
        (("ok", "tampered"), None, False),
        (("tampered", "error"), {"v0": "tampered"}, False),
        (("tampered", "error"), {"v0": "tampered", "v1": "error"}, True),
        (("tampered",), {"v0": "error"}, False),
    ],
)
def test_it_is_told_when_somebody_heard_of_each_verdict_that_he_wants_to_hear_of(
    tmp_path: Path, verdicts: Sequence[str], alerted: dict[str, str] | None, is_told: bool
) -> None:
    ids = {f"v{place}": verdict_record(place)["verdict_id"] for place in range(2)}
    named = alerted and {ids[name]: status for name, status in alerted.items()}
    assert latest(tmp_path / "r.sqlite", (1, NOW), verdicts=verdicts, alerted=named).is_told is is_told
