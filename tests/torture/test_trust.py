"""Trust lost in the middle of traffic: from then on every run is an error of ours, whatever its streams did."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.torture, pytest.mark.timeout(300)]


@pytest.fixture
def harmed(
    theatre: Any,
    tmp_path: Path,
    client: Callable[..., Sequence[str]],
    scale: float,
    seed: int,
    tell: Callable[..., None],
) -> Callable[[str], Any]:
    """Enacts a loss of trust, and asserts what must be so after any."""

    def enact(harm: str) -> Any:
        runs = max(200, int(400 * scale))
        play = theatre.enact(
            "act_trust",
            tmp_path,
            280,
            destinations=8 * runs,
            seed=seed,
            runs=runs,
            tool=client(),
            after=2 * runs,
            harm=harm,
        )
        figures, judgement = play.figures, play.judge()
        ends = Counter(record["failure"]["kind"] if record["failure"] else "none" for record in play.records)
        tell(f"trust {harm}", {
            "runs": runs, "ends": dict(ends), "arrived": len(judgement.arrived), "wrong": len(judgement.wrong),
        })  # fmt: skip
        assert figures["trust_lost"] is not None
        assert figures["files"] == []
        assert figures["children"] == 0
        assert len(play.records) == runs
        assert set(ends) <= {"none", "tor"}
        assert {r["failure"]["blame"] for r in play.records if r["failure"]} == {"local"}
        assert ends["tor"] > runs / 4
        return play

    return enact


def test_a_dropped_control_connection_lets_nothing_out_by_a_wrong_exit(harmed: Callable[[str], Any]) -> None:
    play = harmed("dropped")
    assert play.judge().wrong == []
    assert play.problems() == []


def test_no_run_that_counts_went_wrong_when_tor_may_choose_by_itself(harmed: Callable[[str], Any]) -> None:
    play = harmed("flipped")
    wrong = {line.partition(" from ")[0] for line in play.judge().wrong}
    for record in play.records:
        if record["failure"] is None:
            assert not wrong & destinations(record)


def destinations(record: dict[str, Any]) -> set[str]:
    """The targets that a run's tool was sent to, as their log names them."""
    found = set()
    for word in record["tool"]["argv"][1:]:
        host, _, port = word.rpartition(",")
        address = host.removesuffix(".ip.test")
        found.add(f"{address if ':' in address else address.replace('-', '.')} {port}")
    return found
