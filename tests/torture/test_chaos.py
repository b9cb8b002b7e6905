"""Thousands of connections while circuits die, strangers knock and thieves carry tags: none leaves by a wrong exit.

Judged by the targets' log: each destination is given to one connection, and only the exit of its run may be seen there.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torture
HOSTILE = str(Path(__file__).parent / "programs" / "hostile.py")


def hold_to_the_promises(play: Any, least: float, tell: Callable[..., None], title: str) -> float:
    """Assert what must be so in any chaos; returns the share of connections that came through."""
    figures, judgement = play.figures, play.judge()
    good = {destination: peers for destination, peers in judgement.arrived.items() if figures["expected"][destination]}
    share = len(good) / figures["connections"]
    sent = sum(figures["foreign_sent"].values())
    in_doubt = {r["run_id"] for r in play.records if r["failure"] and r["failure"]["kind"] == "attribution"}
    tell(title, {
        "runs": figures["runs"], "connections": figures["connections"], "arrived": len(good), "through": f"{share:.0%}",
        "wrong": len(judgement.wrong), "foreign clients": sent, "seen of them": len(judgement.foreign),
        "circuits closed": figures["circuits_closed"], "at last every ms": round(figures["interval_ms"], 1),
        "ports used before": figures["ports_shared"],
        "in doubt": len(in_doubt), "ends": figures["failures"], "seconds": round(figures["seconds"], 1),
    })  # fmt: skip
    assert figures["trust_lost"] is None
    assert figures["ports_shared"] > figures["connections"] / 4
    assert judgement.wrong == []
    assert judgement.foreign == []
    assert judgement.doubled(figures["repeated"]) == []
    assert figures["foreign_granted"] == []
    assert figures["foreign_refused"] == sent > 0
    assert figures["foreign_streams"] >= sent
    assert len(play.records) == figures["runs"]
    assert play.problems() == []
    assert in_doubt <= set(figures["hostile"]), "an honest run's attribution was in doubt"
    assert seen_as_recorded(play, good) == []
    assert len(good) >= least
    return share


def seen_as_recorded(play: Any, arrived: dict[str, list[str]]) -> list[str]:
    """Where a record says `succeeded` and no target saw it."""
    missing = []
    for record in play.records:
        for stream in record["streams"]:
            host, _, port = stream["destination"].rpartition(":")
            host = host.strip("[]").removesuffix(".ip.test")
            address = host if ":" in host else host.replace("-", ".")
            if (
                stream["status"] == "succeeded"
                and f"{address} {port}" not in arrived
                and record["run_id"] not in play.figures["hostile"]
            ):
                missing.append(f"{record['run_id']}: {stream['destination']}")
    return missing


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("level", "flags"), [("shim", ()), ("guard", ()), ("notify", ()), ("notify+netns", ("-static",))]
)
def test_real_processes_leave_by_their_exits_while_circuits_die(
    theatre: Any,
    tmp_path: Path,
    client: Callable[..., Sequence[str]],
    level: str,
    flags: Sequence[str],
    scale: float,
    seed: int,
    tell: Callable[..., None],
) -> None:
    wanted = int((6000 if level == "guard" else 3000) * scale)
    play = theatre.enact(
        "act_chaos", tmp_path, 1400, destinations=2 * wanted, seed=seed, connections=wanted, tool=client(*flags),
        level=level, hostile=[sys.executable, HOSTILE], interval_s=0.008, is_governed=True,
        source_ports=max(250, int(1000 * scale)),
    )  # fmt: skip
    share = hold_to_the_promises(play, wanted / 2, tell, f"real processes, {level}")
    assert 0.4 <= share <= 0.85


@pytest.mark.timeout(900)
def test_clients_that_share_a_few_ports_leave_by_their_exits_while_a_circuit_dies_every_10_ms(
    theatre: Any, tmp_path: Path, scale: float, seed: int, tell: Callable[..., None]
) -> None:
    wanted = int(9000 * scale)
    play = theatre.enact(
        "act_chaos", tmp_path, 800, destinations=2 * wanted, seed=seed, connections=wanted, interval_s=0.01,
        is_governed=False, source_ports=32,
    )  # fmt: skip
    hold_to_the_promises(play, 3000 * scale, tell, "clients in process")
