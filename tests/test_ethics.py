"""The page on what is polite: its figures are those of the code's defaults."""

from dataclasses import replace
from pathlib import Path

import pytest

from exitpin.orchestrator.audit.load import WindowsOf, load_of
from exitpin.orchestrator.audit.params import Bound
from exitpin.orchestrator.audit.scan_plan import chance_of_seeing, make_scan_plan
from exitpin.orchestrator.cli.allowing import allowance_of
from exitpin.orchestrator.cli.audit_scan import PER_EXIT_REAL
from exitpin.orchestrator.cli.politeness import WIDE_RUNS, pace_of, spacing_of
from exitpin.orchestrator.network import Vantage
from exitpin.orchestrator.settings import Settings
from exitpin.wrappers.stand_in import stand_in_snapshot
from exitpin.wrappers.tool_files import Catalogue, Layer
from exitpin.wrappers.tool_trust import Trust

from .orchestrator.scans import tool

ROOT = Path(__file__).resolve().parent.parent
ETHICS = " ".join((ROOT / "docs" / "ethics.rst").read_text("utf-8").split())

SETTINGS = Settings()
VANTAGE = Vantage("own", Path("/run/tor"))
EXITS = 2500
TOOLS = len(Catalogue([Layer(ROOT / "tools.d", is_ours=True)], Trust({}), ROOT).ids())
EVERY_S = SETTINGS.build_delay_s + SETTINGS.build_jitter_s / 2
AN_HOUR = 3600 / EVERY_S
RUN_BYTES, CARRIED_BITS = 10_000, 200e9


def allowed(destinations: tuple[str, ...]) -> WindowsOf:
    """What the defaults allow towards a destination, of which these are the user's own."""
    return allowance_of(replace(SETTINGS, destinations=destinations), VANTAGE).windows_of


def figures() -> dict[str, str]:
    """Each sentence of figures in the page, computed."""
    snapshot = stand_in_snapshot(EXITS)
    one = tool()
    plan = make_scan_plan(
        snapshot, list(snapshot.relays.values()), [(one, Bound(one, {}), "k")],
        unmet={}, repeat=1, is_direct_allowed=False,
    )  # fmt: skip
    yours = load_of(plan, EVERY_S, EVERY_S, {}, allowed(("a.test",)))
    load = load_of(plan, EVERY_S, EVERY_S, {}, allowed(()))
    place = next(iter(load.places))
    most, not_yours = yours.streams_an_hour(place), load.streams_an_hour(place)
    assert most is not None and not_yours is not None and most == pytest.approx(AN_HOUR)
    bits = AN_HOUR * RUN_BYTES * 8 / 3600
    certain, likely, more = load.circuits.certain, yours.circuits.likely, load.circuits.likely
    ours, theirs = yours.hours, load.hours
    return {
        "build_delay": f"``build_delay`` {SETTINGS.build_delay_s:g} s ",
        "build_jitter": f"``build_jitter`` up to {SETTINGS.build_jitter_s:g} s ",
        "mean": f"{EVERY_S:g} s on average",
        "jobs": f"``jobs`` {SETTINGS.jobs} ",
        "hops": f"``hops`` {SETTINGS.hops} ",
        "wide": f"without ``--wide`` {WIDE_RUNS} runs ",
        "circuits": f"at most **{AN_HOUR:,.0f} circuits an hour** on average, or {AN_HOUR * 24:,.0f} a day",
        "handshakes": f"{AN_HOUR * SETTINGS.hops:,.0f} handshakes an hour",
        "per_destination": f"``per_destination`` {SETTINGS.per_destination} ",
        "yours": f"**{most:,.0f} runs an hour at one destination** that is declared yours: one every {EVERY_S:g} s",
        "not yours": f"**{not_yours:,.0f} runs an hour at any other destination**",
        "one tool": f"**{EXITS:,} exits** takes {certain:,} runs at the least (three of them controls)",
        "hours": f"yours that is **{ours[0]:.1f} hours**; likely {likely:,} and {ours[1]:.1f} hours",
        "hours else": f"At any other it is **{theirs[0]:.1f} hours**; likely {more:,} and {theirs[1]:.1f} hours",
        "all tools": f"{EXITS * TOOLS:,} probes, **{EXITS * TOOLS / AN_HOUR:.1f} hours**",
        "bytes": f"{AN_HOUR * RUN_BYTES / 1e6:.1f} MB an hour, or {bits / 1e3:.0f} kbit/s",
        "share": f"a share of {bits * SETTINGS.hops / CARRIED_BITS:.8f}",
        "file": f"a file of 1 MiB through every exit is {AN_HOUR * 2**20 * 8 / 3600 / 1e6:.1f} Mbit/s",
        "sample": f"that one exit in fifty has, {chance_of_seeing(50, 200):.0%} times in 100".replace("%", ""),
    }


@pytest.mark.parametrize(("name", "sentence"), figures().items())
def test_each_figure_is_what_the_defaults_come_to(name: str, sentence: str) -> None:
    assert " ".join(sentence.split()) in ETHICS, name


def test_the_defaults_are_those_that_a_scan_of_the_real_network_goes_by() -> None:
    pace, spacing = pace_of(SETTINGS, VANTAGE), spacing_of(SETTINGS, VANTAGE)
    assert (pace.build_delay_s, pace.build_jitter_s) == spacing == (3.0, 1.0)
    assert PER_EXIT_REAL == 1 and "one through one exit" in ETHICS
    assert TOOLS == 15 and "all fifteen tools" in ETHICS


@pytest.mark.parametrize("page", ["README.rst", "docs/audits.rst"])
def test_whoever_reads_of_audits_finds_the_page(page: str) -> None:
    assert "ethics.rst" in (ROOT / page).read_text("utf-8")


def test_the_help_of_a_wide_scan_names_the_page() -> None:
    from exitpin.orchestrator.cli import audit

    assert "docs/ethics.rst" in Path(audit.__file__).read_text("utf-8")
