"""Settings that become first hops and patience; what is said when none of the user's own is there."""

from random import Random

import pytest

from exitpin.orchestrator.cli.changes_told import network_sentence
from exitpin.orchestrator.cli.politeness import RUN_NETWORK_WAIT_S, first_hops_of, pace_of
from exitpin.orchestrator.effects import NetworkChanged
from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.model import Fingerprint, Relay, Snapshot
from exitpin.orchestrator.network import Vantage
from exitpin.orchestrator.settings import Settings, load_settings

FLAGS = frozenset({"Exit", "Fast", "Guard", "Running", "Stable", "Valid"})
OWN, GONE, GUARD, EXIT = (Fingerprint(letter * 40) for letter in "ABCE")
VANTAGE = Vantage("control", ("127.0.0.1", 9051))


def network(*names: Fingerprint) -> Snapshot:
    relays = (Relay(name, "r", f"198.{place}.0.1", 9001, FLAGS, None) for place, name in enumerate(names))
    return Snapshot("2026-01-02 03:00:00", {relay.fingerprint: relay for relay in relays})


def drawn(settings: Settings, snapshot: Snapshot) -> tuple[Fingerprint, ...]:
    return tuple(first_hops_of(settings, snapshot, ())(EXIT, frozenset(), Random(1)))


def test_none_of_ones_own_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(OperatorError) as caught:
        first_hops_of(Settings(first_hops=(GONE,)), network(OWN, GUARD, EXIT), ())
    assert "none of your first hops can be used now: BBBBBBBB is not in the consensus" in str(caught.value)
    assert 'first_hops_fallback = "guards"' in str(caught.value)


def test_one_of_ones_own_that_is_gone_is_said_and_the_others_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert drawn(Settings(first_hops=(GONE, OWN)), network(OWN, GUARD, EXIT)) == (OWN,)
    assert capsys.readouterr().err == (
        "exitpin: of your first hops BBBBBBBB is not in the consensus: 1 of 2 are left\n"
    )


def test_guards_stand_in_where_that_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(first_hops=(GONE,), first_hops_fallback="guards")
    assert drawn(settings, network(GUARD, EXIT)) == (GUARD,)
    assert "guards stand in" in capsys.readouterr().err


def test_a_scan_has_more_patience_than_a_command_unless_it_is_told() -> None:
    assert pace_of(Settings(), VANTAGE, is_scan=True).outage_max_s == 600.0
    assert pace_of(Settings(), VANTAGE).outage_max_s == RUN_NETWORK_WAIT_S
    said = load_settings({"EXITPIN_NETWORK_WAIT": "5m"})
    assert pace_of(said, VANTAGE).outage_max_s == pace_of(said, VANTAGE, is_scan=True).outage_max_s == 300.0


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (NetworkChanged("gone", "TIMEOUT"), "no first hop has answered (TIMEOUT): nothing more is started until one"),
        (NetworkChanged("back", "TIMEOUT", 41.7), "circuits can be built, after 42 s: going on"),
        (NetworkChanged("given up", "TIMEOUT", 600.2), "no first hop has answered for 600 s (TIMEOUT)"),
        (NetworkChanged("doubted", "it slept"), "it slept: nothing more is started until a circuit is seen to work"),
    ],
)
def test_what_becomes_of_the_network_is_one_sentence_with_its_time(told: NetworkChanged, words: str) -> None:
    said = network_sentence(Settings(), 600.0, told)
    assert words in said and said[2] == said[5] == ":"


def test_whose_first_hops_do_not_answer_is_told_what_would_let_others_stand_in() -> None:
    told = NetworkChanged("gone", "TIMEOUT")
    own = Settings(first_hops=(OWN,))
    assert "none of your first hops has answered" in network_sentence(own, 600.0, told)
    assert 'first_hops_fallback = "guards"' in network_sentence(own, 600.0, told)
    either = Settings(first_hops=(OWN,), first_hops_fallback="guards")
    assert "no first hop has answered" in network_sentence(either, 600.0, told)
