"""What a module's functions are called with, by their signatures."""

from collections.abc import Callable
from typing import Any

import pytest

from exitpin.wrappers.exitmap.calling import PLACES, call

PROBE = {
    "exit_desc": "DESC", "run_python_over_tor": "PYTHON", "run_cmd_over_tor": "CMD", "destinations": "DESTS",
    "target_host": "HOST", "target_port": 80, "first_hop": None, "socks_port": 0,
}  # fmt: skip
SETUP = {"consensus": "CONSENSUS", "target": "TARGET"}


def upstream(exit_desc, run_python_over_tor, run_cmd_over_tor, **kwargs):
    return exit_desc, run_python_over_tor, run_cmd_over_tor, kwargs["destinations"]


def early(exit_desc, run_python_over_tor, run_cmd_over_tor):
    return exit_desc, run_python_over_tor, run_cmd_over_tor, "DESTS"


def renamed(desc, python, command, destinations=()):
    return desc, python, command, destinations


def some_renamed(desc, run_python_over_tor, *rest, destinations):
    return desc, run_python_over_tor, *rest, destinations


def fork(exit_desc, target_host, target_port, run_python_over_tor, run_cmd_over_tor, first_hop="?", **kwargs):
    assert (target_host, target_port, first_hop, kwargs["socks_port"]) == ("HOST", 80, None, 0)
    return exit_desc, run_python_over_tor, run_cmd_over_tor, kwargs["destinations"]


def keywords(*, run_cmd_over_tor, exit_desc, own="mine", **kwargs):
    return exit_desc, kwargs["run_python_over_tor"], run_cmd_over_tor, kwargs["destinations"]


def all_in_all(*args, **kwargs):
    return *args, kwargs["destinations"]


class Probe:
    def __call__(self, exit_desc, python, cmd, destinations):
        return exit_desc, python, cmd, destinations


@pytest.mark.parametrize(
    "probe", [upstream, early, renamed, some_renamed, fork, keywords, all_in_all, Probe()], ids=lambda p: str(p)[:20]
)
def test_a_probe_gets_what_it_asks_for_by_place_or_by_name(probe: Callable[..., Any]) -> None:
    assert call(probe, PROBE, PLACES) == ("DESC", "PYTHON", "CMD", "DESTS")


@pytest.mark.parametrize(
    ("setup", "given"),
    [
        (lambda: (), ()),
        (lambda consensus={}, target=None: (consensus, target), ("CONSENSUS", "TARGET")),
        (lambda target=None, **kwargs: (target, *kwargs), ("TARGET", "consensus")),
        (lambda **kwargs: tuple(kwargs), ("consensus", "target")),
        (lambda own=3, *, consensus: (own, consensus), (3, "CONSENSUS")),
    ],
)
def test_a_setup_gets_what_it_takes_and_no_more(setup: Callable[..., Any], given: tuple[object, ...]) -> None:
    assert call(setup, SETUP) == given


def test_what_no_exitmap_gives_is_named() -> None:
    with pytest.raises(TypeError, match=r"<lambda>\(\) wants 'what', which no exitmap gives"):
        call(lambda exit_desc, a, b, what: None, PROBE, PLACES)


def test_a_type_error_of_the_module_s_own_is_the_module_s() -> None:
    calls = []

    def teardown(stats=None):
        calls.append(stats)
        raise TypeError("its own")

    with pytest.raises(TypeError, match="its own"):
        call(teardown, {"stats": "STATS", "controller": None})
    assert calls == ["STATS"]
