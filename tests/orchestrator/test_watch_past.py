"""Which iteration of a watch is its latest, by what the store has."""

import asyncio
from pathlib import Path

from exitpin.orchestrator.results.store import Store
from exitpin.orchestrator.results.stored import open_store
from exitpin.orchestrator.watch.past import latest_iterations

from .recorded import scan_record

NOW = 4e9


def latest(path: Path, *begun: tuple[int, float]) -> int:
    """The number of the latest one. `begun`: numbers, and by what clock they began."""

    async def record() -> None:
        store = Store(path)
        for number, started in begun:
            of = {"watch": "nightly", "scan": "certs", "number": number}
            store.add_scan(scan_record(f"s{number}", state="done", started=started, iteration=of))
        await store.close()

    asyncio.run(record())
    reader = open_store(path)
    assert reader is not None
    with reader:
        return latest_iterations(reader, "nightly", ["certs", "web"])["certs"].number


def test_the_latest_iteration_is_the_one_with_the_highest_number(tmp_path: Path) -> None:
    assert latest(tmp_path / "r.sqlite", *((number, NOW + number) for number in range(1, 70))) == 69


def test_one_that_was_begun_by_a_clock_that_was_ahead_is_not_the_latest_for_ever(tmp_path: Path) -> None:
    assert latest(tmp_path / "r.sqlite", (1, NOW), (2, NOW + 86_400), (3, NOW + 60)) == 3
