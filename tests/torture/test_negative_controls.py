"""The tests of attribution, tested: with a weaker join the targets do see wrong exits, with ours they never do.

Each attack is one that a single witness stops. A weak join that passed here would mean that this suite sees nothing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.torture, pytest.mark.timeout(300)]

RUNS = 96
ATTACKS = {"without address": "TWIN", "without port": "NEIGHBOUR", "without tag": "DOUBLE"}


@pytest.fixture
def control(theatre: Any, tmp_path: Path, scale: float, seed: int, tell: Callable[..., None]) -> Callable[..., Any]:
    """Enacts a control and says what the targets saw."""

    def enact(join: str, attack: str) -> Any:
        runs = max(64, int(RUNS * scale))
        play = theatre.enact(
            "act_control", tmp_path, 280, destinations=10 * runs, seed=seed, runs=runs, join=join, attack=attack
        )
        judgement = play.judge()
        tell(f"join {join!r}, attack {attack or 'shared ports'!r}", {
            "connections": play.figures["connections"], "attackers": play.figures["foreign_sent"],
            "arrived": len(judgement.arrived), "wrong": len(judgement.wrong), "attackers seen": len(judgement.foreign),
        })  # fmt: skip
        return play

    return enact


def test_targets_see_wrong_exits_when_the_last_report_of_a_port_decides(control: Callable[..., Any]) -> None:
    assert control("port only", "").judge().wrong != []


@pytest.mark.parametrize("join", ATTACKS)
def test_targets_see_the_attacker_behind_the_victims_exit_when_a_witness_is_missing(
    join: str, control: Callable[..., Any]
) -> None:
    play = control(join, ATTACKS[join])
    peers = {where: peers for where, peers in play.judge().arrived.items() if where in play.figures["victims"]}
    assert peers != {}
    assert all(set(seen) <= set(play.figures["victims"][where]) for where, seen in peers.items())


@pytest.mark.parametrize("attack", ["", *ATTACKS.values()])
def test_with_all_witnesses_targets_see_neither(attack: str, control: Callable[..., Any]) -> None:
    play = control("full", attack)
    judgement = play.judge()
    assert judgement.wrong == judgement.foreign == play.figures["foreign_granted"] == []
    assert play.figures["foreign_sent"] > 0 or not attack
    assert play.figures["foreign_streams"] >= play.figures["foreign_sent"]
    assert play.problems() == []
    assert len(judgement.arrived) == play.figures["connections"]
