"""What a plan means for others, by arithmetic that was done by hand."""

from dataclasses import replace

import pytest

from exitpin.orchestrator.allowance import Window
from exitpin.orchestrator.audit.cases import RECHECK_CONTROLS
from exitpin.orchestrator.audit.load import RUNS_OF_THE_TROUBLED, TROUBLED_ONE_IN, Runs, load_of, size
from exitpin.orchestrator.audit.params import Bound
from exitpin.orchestrator.audit.scan_plan import ScanPlan, make_scan_plan
from exitpin.orchestrator.results.due import UNREACHED_MIN
from exitpin.orchestrator.results.measured import Measured
from exitpin.orchestrator.tool import Baseline, Door, Tool
from exitpin.wrappers.stand_in import stand_in_snapshot

from ..scans import tool

EVERY_S = 3.5
A, B = Door("a.test", "80"), Door("b.test", "443")


def plan(exits: int, *tools: Tool, repeat: int = 1) -> ScanPlan:
    snapshot = stand_in_snapshot(exits)
    asked = [relay for relay in snapshot.relays.values() if relay.policy is not None and "Exit" in relay.flags]
    bound = [(one, Bound(one, {}), one.id) for one in tools or (tool(),)]
    return make_scan_plan(snapshot, asked[:exits], bound, unmet={}, repeat=repeat, is_direct_allowed=False)


def test_the_figures_rest_on_what_cases_and_verdicts_ask_for() -> None:
    assert (TROUBLED_ONE_IN, RUNS_OF_THE_TROUBLED, RECHECK_CONTROLS) == (20, 8, 26)
    assert RUNS_OF_THE_TROUBLED == UNREACHED_MIN


def test_forty_exits_by_one_tool() -> None:
    load = load_of(plan(40), EVERY_S, EVERY_S, {})
    # 40 probes and 3 controls; then 2 exits in trouble: 7 runs more and 3 controls each, and 23 controls to have 26
    assert load.circuits == Runs(43, 43 + 2 * 10 + 23)
    assert load.places == {"a.test:80": load.circuits}
    assert load.circuits_an_hour == load.starts_an_hour["a.test:80"] == pytest.approx(1028.57, abs=0.01)
    assert load.hours == pytest.approx((43 * 3.5 / 3600, 86 * 3.5 / 3600))
    assert load.streams_an_hour("a.test:80") == 86, "there is no more to do"
    assert list(load.sentences()) == [
        "circuits: 43 at least, likely 86 with confirmations and fresh controls, at most 1,029 an hour: 3 minutes at"
        " least, likely 6 minutes",
        "runs an hour, at most: 86 to a.test:80",
        "streams: 43, bytes unknown: no run of key is recorded",
    ]


def test_controls_that_grow_old_are_asked_again_and_again() -> None:
    load = load_of(plan(2500), EVERY_S, EVERY_S, {})
    # 2,503; 125 in trouble: 1,250, and 23 more: 3,776 runs, 13,216 s: 14 times 900 s, so 14 times 3 controls more
    assert load.circuits == Runs(2503, 3776 + 14 * 3)
    assert load.hours == pytest.approx((2503 * 3.5 / 3600, 3818 * 3.5 / 3600))
    assert load.streams_an_hour("a.test:80") == pytest.approx(1028.57, abs=0.01)
    assert load.share_of_an_hour == pytest.approx(1028.57 / 2503, abs=1e-5)
    assert list(load.sentences())[-1].startswith("streams: 2,503 (1,029 an hour), bytes unknown")


def test_bytes_are_told_of_an_hour_where_the_scan_takes_longer() -> None:
    load = load_of(plan(2500), EVERY_S, EVERY_S, {"key": Measured(9, 1.0, 1000.0, 5000.0)})
    # 2,503 kB and 12,515 kB; of 1,029 runs 1,028.6 kB and 5,142.9 kB
    assert list(load.sentences())[-1] == (
        "streams: 2,503 (1,029 an hour), going by earlier runs: 12.5 MB down, 2.5 MB up (5.1 MB and 1.0 MB an hour)"
    )


def test_tools_add_up_and_a_destination_that_they_share_holds_them_back() -> None:
    none = Baseline(mode="none")
    tools = (tool("one", doors=(A, B), baseline=none), tool("two", doors=(B,), baseline=none))
    load = load_of(plan(20, *tools, repeat=3), 1.0, 10.0, {})
    # 60 probes each, and 7 runs more for one exit of each
    assert load.circuits == Runs(120, 134)
    assert load.places == {"b.test:443": Runs(120, 134), "a.test:80": Runs(60, 67)}
    assert list(load.places) == ["b.test:443", "a.test:80"], "the busiest first"
    assert load.hours == pytest.approx((120 * 10 / 3600, 134 * 10 / 3600)), "not 120 times 1 s"
    assert load.streams_an_hour("a.test:80") == 67
    assert load.streams == 60 * 2 + 60


def test_what_earlier_runs_took_is_what_these_will_take() -> None:
    tools = (tool("one"), tool("two", baseline=Baseline(mode="none")))
    load = load_of(plan(10, *tools), EVERY_S, EVERY_S, {"one": Measured(200, 2.5, 1000.0, 4000.0)})
    assert (load.streams, load.bytes_up, load.bytes_down) == (13 * 2.5 + 10, 13_000.0, 52_000.0)
    assert list(load.sentences())[-1] == (
        "streams: 42, going by earlier runs: 52.0 kB down, 13.0 kB up (without two, of which no run is recorded)"
    )


def test_a_door_that_is_not_ones_own_holds_a_scan_back() -> None:
    load = load_of(plan(2500), EVERY_S, EVERY_S, {}, lambda place: (Window(120, 3600),))
    # 120 at once, and 120 more each hour: the 2,401st comes after 20 hours. Of 3,776 the 3,721st comes after 31, in
    # which 3 controls are asked anew 124 times; and of 4,148 the 4,081st after 34
    assert load.hours == (20.0, 34.0)
    assert load.circuits == Runs(2503, 3776 + 124 * 3)
    assert load.circuits_an_hour == load.starts_an_hour["a.test:80"] == load.streams_an_hour("a.test:80") == 120
    assert list(load.sentences()) == [
        "circuits: 2,503 at least, likely 4,148 with confirmations and fresh controls, at most 120 an hour: 20.0 hours"
        " at least, likely 34.0 hours",
        "runs an hour, at most: 120 to a.test:80",
        "streams: 2,503 (120 an hour), bytes unknown: no run of key is recorded",
    ]


def test_the_tightest_door_of_a_tool_holds_it_back_and_no_other_tool() -> None:
    none = Baseline(mode="none")
    tools = (tool("one", doors=(A, B), baseline=none), tool("two", doors=(B,), baseline=none))
    rates = {"a.test": (Window(1, 60),), "b.test": (Window(300, 3600),)}
    load = load_of(plan(100, *tools), 1.0, 0.0, {}, lambda place: rates[place.host])
    assert load.circuits_an_hour == 60 + 300
    assert load.starts_an_hour == {"a.test:80": 60, "b.test:443": 300}
    assert load.hours[0] == pytest.approx(99 / 60), "the hundredth a minute after the ninety-ninth"
    free = load_of(plan(100, *tools), 1.0, 0.0, {}, lambda place: rates["a.test"] if place.host == "a.test" else ())
    assert free.circuits_an_hour == 3600, "the second tool goes where nothing is limited"


def test_where_nothing_is_paced_no_hour_has_a_limit() -> None:
    load = load_of(plan(5), 0.0, 0.0, {})
    assert (load.circuits_an_hour, load.starts_an_hour, load.hours) == (None, {}, (0.0, 0.0))
    assert load.streams_an_hour("a.test:80") is None
    assert next(load.sentences()).endswith("fresh controls, as fast as they come")


def test_nothing_to_ask_is_no_load() -> None:
    nobody = replace(plan(5), pairs=())
    load = load_of(nobody, EVERY_S, EVERY_S, {})
    assert (load.circuits, dict(load.places), list(load.sentences())) == (Runs(0, 0), {}, [])


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 bytes"), (999.4, "999 bytes"), (1500, "1.5 kB"), (2.5e9, "2.5 GB")]
)
def test_bytes_are_said_as_people_say_them(count: float, words: str) -> None:
    assert size(count) == words
