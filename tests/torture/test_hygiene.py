"""After hundreds of runs nothing is left of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torture


@pytest.mark.timeout(600)
def test_after_500_runs_descriptors_circuits_files_and_processes_are_as_before(
    theatre: Any,
    tmp_path: Path,
    client: Callable[..., Sequence[str]],
    scale: float,
    seed: int,
    tell: Callable[..., None],
) -> None:
    runs = max(500, int(500 * scale))
    play = theatre.enact("act_hygiene", tmp_path, 500, destinations=4 * runs, seed=seed, runs=runs, tool=client())
    before, after = play.figures["before"], play.figures["after"]
    tell("hygiene", {
        "runs": runs, "circuits closed": play.figures["circuits_closed"], "descriptors": len(after["descriptors"]),
        **{name: after[name] for name in ("circuits", "streams", "children", "tasks")},
    })  # fmt: skip
    assert after == before
    assert play.judge().wrong == []
    assert play.problems() == []
