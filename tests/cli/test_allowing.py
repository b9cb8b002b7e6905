"""What is allowed where, whose the limits are, and what is said of them."""

import argparse
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exitpin.orchestrator.allowance import Allowance, Window
from exitpin.orchestrator.audit.controls import ControlPool
from exitpin.orchestrator.audit.errands import NOBODY, Audit
from exitpin.orchestrator.audit.params import Bound
from exitpin.orchestrator.audit.recalling import Recollection
from exitpin.orchestrator.audit.scan_plan import ScanPlan
from exitpin.orchestrator.cli.allowing import (
    Waits,
    allowance_of,
    last_start,
    open_starts,
    span,
    starts_path,
)
from exitpin.orchestrator.cli.audit_told import PlanTold
from exitpin.orchestrator.cli.politeness import settings_in_force
from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.model import Destination
from exitpin.orchestrator.network import Vantage
from exitpin.orchestrator.settings import Settings
from exitpin.orchestrator.tool import Baseline

from ..orchestrator.values import fingerprint

OWN, GIVEN = Vantage("own", Path("/x")), Vantage("control", ("127.0.0.1", 9051))
LAB = Vantage("lab", Path("/x"), "mine")
WEB, SSH = Destination("www.example.org", 443), Destination("ssh.example.org", 22)
HOURLY = Window(120, 3600)


def settings(vantage: Vantage, env: dict[str, str] | None = None, **given: str) -> Settings:
    words = {"build_delay": None, "build_jitter": None, "timeout": None, "jobs": None, **given}
    return settings_in_force(argparse.Namespace(**words), env or {}, vantage)


@pytest.mark.parametrize("vantage", [OWN, GIVEN])
def test_on_the_real_network_circuits_keep_their_distance_and_strangers_are_spared(vantage: Vantage) -> None:
    allowance = allowance_of(settings(vantage, {"EXITPIN_DESTINATIONS": "www.example.org:443"}), vantage)
    assert allowance.circuits == (Window(1, 3.0),)
    assert allowance.windows_of(WEB) == ()
    assert allowance.windows_of(SSH) == (HOURLY,)


def test_a_rate_is_a_window_besides() -> None:
    allowance = allowance_of(settings(OWN, rate="20/m", build_delay="500ms"), OWN)
    assert allowance.circuits == (Window(1, 0.5), Window(20, 60))


@pytest.mark.parametrize(
    ("env", "given", "of_mine"),
    [
        ({"EXITPIN_PER_DESTINATION": "5/m"}, {}, ()),
        ({"EXITPIN_PER_DESTINATION": "5/m"}, {"per_destination": "7/h"}, (Window(7, 3600),)),
    ],
)
def test_a_limit_of_the_command_line_holds_for_what_is_mine_too(
    env: dict[str, str], given: dict[str, str], of_mine: tuple[Window, ...]
) -> None:
    mine = {**env, "EXITPIN_DESTINATIONS": "www.example.org"}
    assert allowance_of(settings(OWN, mine, **given), OWN).windows_of(WEB) == of_mine


def test_in_the_lab_only_the_command_line_limits() -> None:
    env = {"EXITPIN_RATE": "1/h", "EXITPIN_PER_DESTINATION": "1/h", "EXITPIN_BUILD_DELAY": "9s"}
    assert not allowance_of(settings(LAB, env), LAB).is_limited
    assert allowance_of(settings(LAB, env, rate="30/m"), LAB) == Allowance((Window(30, 60),))
    assert allowance_of(settings(LAB, env, build_delay="2s"), LAB) == Allowance((Window(1, 2.0),))
    assert allowance_of(settings(LAB, env, per_destination="6/m"), LAB) == Allowance((), Window(6, 60))


def test_all_tors_on_the_real_network_share_their_limits() -> None:
    env = {"XDG_STATE_HOME": "/state"}
    assert starts_path(env, OWN) == starts_path(env, GIVEN) == Path("/state/exitpin/starts-tor")
    assert starts_path(env, LAB) == Path("/state/exitpin/starts-lab-mine")


def test_where_nothing_can_be_kept_nothing_starts_on_the_real_network(tmp_path: Path) -> None:
    (tmp_path / "exitpin").touch()
    env = {"XDG_STATE_HOME": str(tmp_path)}
    with pytest.raises(OperatorError, match="keeps limits across restarts"), open_starts(settings(OWN), OWN, env):
        pass
    with open_starts(settings(LAB), LAB, env) as starts:
        assert starts.take_circuit() == 0.0


def test_who_waits_long_is_told_once_of_circuits_and_once_of_destinations() -> None:
    said: list[str] = []
    waits = Waits(settings(OWN, rate="20/m"), said.append)
    for place, wait_s in ((None, 9.9), (None, 42.2), (None, 50.0), (WEB, 3000.0), (SSH, 3000.0)):
        waits(place, wait_s)
    assert said == [
        "waiting 43 s for the next circuit: at most 20 in a minute, those of earlier commands counted",
        "waiting 50 min for www.example.org:443: at most 120 in an hour towards one destination (--per-destination),"
        " those of earlier commands counted",
    ]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.2, "1 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7080, "118 min"),
        (7199, "2 h 00 min"),
        (7260, "2 h 01 min"),
        (90000, "25 h 00 min"),
    ],
)
def test_a_time_is_told_as_people_do(seconds: float, told: str) -> None:
    assert span(seconds) == told


def a_plan(exits: int) -> ScanPlan:
    """One tool, with four controls, through so many exits."""
    tool: Any = SimpleNamespace(id="tls", baseline=Baseline(mode="exits", exits=4))
    audit = Audit(tool, Bound(tool, {}), "key", ControlPool(tool.baseline), (), (WEB,))
    relays = [replace(NOBODY, fingerprint=fingerprint(number)) for number in range(exits)]
    return ScanPlan((audit,), tuple((audit, relay) for relay in relays), (), 1)


def test_the_plan_is_done_when_its_slowest_limit_allows() -> None:
    plan = a_plan(exits=130)
    in_force = settings(OWN)
    pause = Window(1, 3.0)
    assert last_start(plan, in_force, Allowance((pause,), HOURLY), lambda _: [], 0.0) == (
        3600.0,
        "134 runs to www.example.org:443, at most 120 in an hour",
    )
    end, why = last_start(plan, in_force, Allowance((pause,)), lambda _: [], 0.0)
    assert (end, why) == (399.0, "134 circuits, 3 s apart")
    earlier = [float(at) for at in range(-360, 0, 3)]
    end, _ = last_start(plan, in_force, Allowance((pause,), HOURLY), lambda one: earlier if one else [], 0.0)
    assert end == 2 * 3600 - 360 + 13 * 3, "those of earlier leave when they are an hour old"


def test_a_time_is_told_as_no_less_than_it_is_but_for_a_float_that_is_a_hair_too_long() -> None:
    assert span(72000.00000001) == "20 h 00 min"
    assert (span(72000.4), span(119.01), span(59.9999)) == ("20 h 01 min", "2 min", "60 s")


def test_the_load_of_a_plan_and_its_limits_say_the_same(tmp_path: Path) -> None:
    env = {"XDG_STATE_HOME": str(tmp_path)}
    told = PlanTold(argparse.Namespace(on=None, dry_run=False), settings(OWN, env), OWN, env, tmp_path / "store")
    said = told.sentences(a_plan(exits=2496), Recollection(), None)
    (load,) = [one for one in said if one.startswith("circuits: ")]
    (limits,) = [one for one in said if one.startswith("limits: ")]
    assert "2,500 at least" in load and "at most 120 an hour: 20.0 hours at least" in load
    assert limits.endswith("20 h 00 min from now: 2500 runs to www.example.org:443, at most 120 in an hour")
