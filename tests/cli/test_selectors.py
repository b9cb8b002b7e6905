"""The options that choose exits: what they mean, what they refuse, what is looked up for them, and their table."""

import argparse
import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import NoReturn

import pytest

from exitpin.orchestrator.cli.selectors import (
    add_selectors,
    choose,
    known_to,
    parse_destination,
    selector_arguments,
    selectors_given,
)
from exitpin.orchestrator.criteria import NOTHING_MORE
from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.model import Destination, Fingerprint, Snapshot

from ..orchestrator.values import fingerprint, relay

SNAPSHOT = Snapshot("now", {fingerprint(n): relay(n, bandwidth=n, is_measured=False) for n in range(1, 41)})


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_selectors(parser, required=False)
    return parser.parse_args(words)


def chosen(*words: str, seed: int = 1) -> list[int]:
    return [one.bandwidth for one in choose(parsed(*words), SNAPSHOT, Random(seed)).exits]


class Unasked:
    """A control channel that nobody should ask anything."""

    async def ask(self, command: str) -> NoReturn:
        raise AssertionError(f"asked {command}")


def known(*words: str, seen: Mapping[Fingerprint, float] | None = None) -> object:
    args = parsed(*words)
    return asyncio.run(known_to(args, Unasked(), SNAPSHOT, lambda: seen or {}))  # type: ignore[arg-type]


# What they mean.


@pytest.mark.parametrize(
    ("text", "destination"),
    [
        ("example.org:443", Destination("example.org", 443)),
        ("192.0.2.1:80", Destination("192.0.2.1", 80)),
        ("[2001:db8::1]:443", Destination("2001:db8::1", 443)),
    ],
)
def test_a_destination_is_a_name_or_an_address_and_a_port(text: str, destination: Destination) -> None:
    assert parse_destination(text) == destination


@pytest.mark.parametrize(
    "text", ["x", ":1", "x:0", "x:65536", "x:1x", "2001:db8::1:443", "[x]:1", "[2001:db8::1]", "x\n:1", "x:²", "[]:1"]
)
def test_what_is_no_destination_is_told_how_to_write_one(text: str) -> None:
    with pytest.raises(OperatorError, match="is no destination") as caught:
        parse_destination(text)
    assert "[2001:db8::1]:443" in caught.value.hint


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--country", "germany"], "'germany' is no country"),
        (["--not-country", "de,"], "'' is no country"),
        (["--as", "AS0"], "'AS0' is no number of an AS"),
        (["--not-as", "64496,x"], "'x' is no number of an AS"),
        (["--as", "4294967296"], "is no number of an AS"),
        (["--family", "nickname"], "names no relay and no family"),
        (["--family", "ed25519:short"], "names no relay and no family"),
        (["--flag", "Stable,Fast"], "'Stable,Fast' is no relay flag"),
        (["--first-seen", "soon"], "--first-seen soon: say a time such as 26h or 7d"),
        (["--first-seen", "0h"], "within no time"),
        (["--contact", "("], "is no regular expression"),
        (["--sample", "0"], "--sample wants a number from 1"),
        (["--limit", "0"], "--limit wants a number from 1"),
        (["--bandwidth-min", "-1"], "--bandwidth-min wants a number from 0"),
    ],
)
def test_a_value_that_can_not_be_is_one_sentence(words: list[str], told: str) -> None:
    with pytest.raises(OperatorError) as caught:
        choose(parsed(*words), SNAPSHOT, Random(1))
    assert told in caught.value.message
    assert caught.value.exit_status == 2


def test_options_narrow_what_there_is() -> None:
    assert chosen("--bandwidth-min", "5", "--bandwidth-max", "7") == [5, 6, 7]
    assert chosen("-e", fingerprint(9), "-e", "relay3,relay4", "--limit", "2") == [9, 3]
    assert chosen("--measured", "yes") == []


# A sample.

DRAWS = """
import sys
from random import Random
from exitpin.orchestrator.model import Relay, Snapshot
from exitpin.orchestrator.selection import Wanted, select
names, flags = [f"{n:040X}" for n in range(1, 41)], frozenset({"Running", "Exit"})
relays = {name: Relay(name, "x", "192.0.2.1", 1, flags, None) for name in names}
print(*(int(one.fingerprint, 16) for one in select(Snapshot("", relays), Wanted(sample=5), Random(11)).exits))
"""


def test_a_seed_draws_the_same_in_each_process() -> None:
    here = chosen("--sample", "5", "--seed", "11")
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", DRAWS], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": hash_seed}
        )
        assert [int(word) for word in done.stdout.split()] == here


def test_a_seed_draws_the_same_whatever_else_was_drawn_before() -> None:
    used = Random(11)
    used.random()
    args = parsed("--sample", "5", "--seed", "11")
    assert choose(args, SNAPSHOT, used).exits == choose(args, SNAPSHOT, Random()).exits
    assert len({tuple(chosen("--sample", "5", seed=seed)) for seed in range(9)}) > 5, "without one it is chance"


def test_other_options_do_not_change_who_is_drawn_of_those_they_leave() -> None:
    everybody = chosen("--sample", "10", "--seed", "11")
    assert set(everybody) & set(range(20, 41)) <= set(chosen("--sample", "10", "--seed", "11", "--bandwidth-min", "20"))


# What is looked up.


def test_nothing_is_looked_up_for_what_nobody_asks() -> None:
    found = known("--to", "example.org:443", "--flag", "Fast", "--sample", "3")
    assert (found.countries, found.systems, found.first_seen) == ({}, {}, {})  # type: ignore[attr-defined]
    with pytest.raises(AssertionError, match="ip-to-country"):
        known("--country", "de")


def test_a_history_that_is_empty_is_no_history() -> None:
    with pytest.raises(OperatorError, match="no relay was ever seen yet"):
        known("--first-seen", "48h")
    seen = {fingerprint(1): 0.0}
    args = parsed("--first-seen", "48h", "--limit", "2")
    found = asyncio.run(known_to(args, Unasked(), SNAPSHOT, lambda: seen))  # type: ignore[arg-type]
    selection = choose(args, SNAPSHOT, Random(1), known=found)
    assert [one.bandwidth for one in selection.exits] == [2, 3]
    assert selection.left_out[0] == (SNAPSHOT.relays[fingerprint(1)], "not first seen within 48h")


def test_which_as_announces_a_relay_is_read_from_the_file_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(OperatorError, match="no file says") as caught:
        known("--as", "64496")
    assert "as_file" in caught.value.hint
    (tmp_path / "given.dat").write_text("198.1.0.0/16\t64496\n")
    (tmp_path / "exitpin").mkdir()
    (tmp_path / "exitpin" / "config.toml").write_text(f"as_file = {json.dumps(str(tmp_path / 'set.dat'))}\n")
    (tmp_path / "set.dat").write_text("198.2.0.0/16\t64496\n")
    given = known("--as", "64496", "--as-file", str(tmp_path / "given.dat"))
    from_settings = known("--as", "64496")
    assert given.systems == {"198.1.0.1": {64496}}  # type: ignore[attr-defined]
    assert from_settings.systems == {"198.2.0.1": {64496}}  # type: ignore[attr-defined]


def test_without_what_had_to_be_looked_up_nobody_is_chosen() -> None:
    for words in (("--country", "de"), ("--not-country", "de"), ("--as", "64496"), ("--not-as", "64496")):
        selection = choose(parsed(*words), SNAPSHOT, Random(1), known=NOTHING_MORE)
        assert selection.exits == ()


# As a table.


def test_each_option_has_a_key_and_a_table_becomes_the_options() -> None:
    table = {
        "exits": ["relay1", "relay2,relay3"], "to": ["example.org:443", "[2001:db8::1]:443"], "ipv6": True,
        "flag": "Stable", "not_flag": ["Guard"], "bad_exits": False, "family": ["$" + fingerprint(1)],
        "contact": "-e .*=x", "country": ["de", "nl"], "not_country": "us",
        "as": ["64496", "AS64497"], "not_as": "64498",
        "as_file": "/x", "bandwidth_min": 10, "bandwidth_max": 20, "measured": "yes", "first_seen": "48h", "sample": 5,
        "limit": 3, "seed": 7,
    }  # fmt: skip
    words = selector_arguments(table)
    args = parsed(*words)
    assert set(vars(args)) - {one.lstrip("-").replace("-", "_") for one in selectors_given(args)} <= {
        *("exits", "destinations", "countries", "not_countries", "systems", "not_systems", "bad_exits")
    }
    assert (args.exits, args.destinations) == (table["exits"], table["to"])
    assert (args.ipv6, args.bad_exits, args.contact, args.systems) == (True, False, "-e .*=x", ["64496", "AS64497"])
    assert (args.sample, args.limit, args.first_seen, args.as_file) == (5, 3, "48h", "/x")
    assert len(vars(args)) == len(table), "a key for each option"
    assert selector_arguments({}) == []


def test_all_that_is_wrong_in_a_table_is_told_at_once() -> None:
    table = {
        "exit": ["relay1"], "exits": ["-"], "ipv6": "yes", "sample": "5", "limit": 0, "seed": True, "flag": [1],
        "contact": ["a"], "measured": "maybe", "country": ["germany"], "first_seen": 48, "bandwith_min": 3, "xyz": 1,
    }  # fmt: skip
    with pytest.raises(OperatorError) as caught:
        selector_arguments(table)
    lines = dict(line.split(": ", 1) for line in caught.value.message.splitlines())
    assert list(lines) == list(table)
    assert 'did you mean "exits"?' in lines["exit"]
    assert 'did you mean "bandwidth_min"?' in lines["bandwith_min"]
    assert lines["xyz"].startswith("no such key; valid are exits, to, ipv6")
    assert lines["exits"] == "- is what a command line's input says; write @FILE"
    assert lines["ipv6"] == 'must be true or false, not "yes"'
    assert lines["sample"] == 'must be a whole number, not "5"'
    assert lines["limit"] == "--limit wants a number from 1."
    assert lines["seed"] == "must be a whole number, not true"
    assert lines["flag"] == "must be a text or a list of texts, not 1"
    assert lines["contact"] == "must be a text, not a list"
    assert "choose from 'yes', 'no'" in lines["measured"]
    assert "'germany' is no country" in lines["country"]


def test_a_value_never_becomes_an_option_of_its_own() -> None:
    words = selector_arguments({"exits": ["--lab"], "contact": "--json"})
    assert words == ["--exit=--lab", "--contact=--json"]


def test_what_was_given_is_known_from_what_was_not() -> None:
    assert selectors_given(parsed()) == []
    assert selectors_given(parsed("--not-as", "1", "--seed", "0", "-e", "x")) == ["--exit", "--not-as", "--seed"]
