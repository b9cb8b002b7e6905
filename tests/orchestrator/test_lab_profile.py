"""Profiles: what is read from a file, what is said about a bad one, and who gets which behaviour."""

import re
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.lab import conduct, network, profile
from exitpin.wrappers import lab_keys, lab_mitm
from exitpin.wrappers.lab_meddling import MEDDLERS, RESOLVERS

GOOD = """
good = 2
seed = 4

[[exit]]
behaviour = "at-times"
kind = "hostile"
count = 2
enforce = ["reject *:22", "accept *:*"]
latency = 0.5
meddle = [{ with = "inject-html", html = "<b>", when = { host = "web.test", port = [80, 81], every = 3, after = 9 } }]
expect = { http-body = ["ok", "tampered"], redirects = "broken" }

[[exit]]
behaviour = "liar"
kind = "hostile"
resolver = { with = "lie", address = "192.0.2.9" }
"""


def written(directory: Path, text: str) -> str:
    path = directory / "own.toml"
    path.write_text(text)
    return str(path)


def test_a_profile_is_read_whole(tmp_path: Path) -> None:
    found = profile.load(written(tmp_path, GOOD))
    first, again, liar = found.conducts
    assert (found.good, found.seed) == (2, 4)
    assert first == again
    assert (first.kind, first.policy, first.latency_s) == (conduct.Kind.HOSTILE, conduct.OPEN_POLICY, 0.5)
    assert first.enforce == ("reject *:22", "accept *:*")
    when = conduct.When(("web.test",), (80, 81), 3, 9)
    assert first.meddle == (conduct.Meddle("inject-html", {"html": "<b>"}, when),)
    assert first.expect == {"http-body": ("ok", "tampered"), "redirects": ("broken",)}
    assert (liar.resolver, liar.resolver_options) == ("lie", {"address": "192.0.2.9"})


@pytest.mark.parametrize("name", ["plain", "hostile"])
def test_a_conduct_survives_the_way_through_json(name: str) -> None:
    for one in profile.load(name).conducts:
        assert conduct.decode(conduct.encode(one)) == one


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("goood = 3", "goood: there is no such key; use one of good, seed, exit"),
        ("good = -1", "good: -1 is not a whole number from 0"),
        ('[[exit]]\nbehaviour = "x"', "exit 'x': kind: is missing; use one of honest, broken, hostile"),
        ('[[exit]]\nkind = "broken"', "exit number 1: behaviour: '' is not a label"),
        ('{X}policy = ["accept foo"]', "exit 'x': policy: ['accept foo'] is not a policy"),
        ('{X}policy = ["reject *:*"]', "exit 'x': policy: port 80 of 192.0.2.1 must be allowed"),
        ('{X}resolver = "dea"', "exit 'x': resolver: 'dea' is not valid; use one of lie, "),
        ('{X}resolver = { with = "lie", adress = "x" }', "resolver: adress: there is no such key; use one of with, "),
        ('{X}meddle = [{ with = "inject" }]', "exit 'x': meddle 1: with: 'inject' is not valid; use one of tls-mitm, "),
        ('{X}meddle = [{ with = "tls-mitm", ca = "y" }]', "meddle 1: ca: 'y' is not one of self-signed, trusted"),
        ('{X}meddle = [{ with = "slow", seconds = true }]', "meddle 1: seconds: True is not a number from 0"),
        (
            '{X}meddle = [{ with = "tls-mitm", inside = [{ with = "y" }] }]',
            "meddle 1: inside 1: with: 'y' is not valid",
        ),
        ('{X}meddle = [{ with = "reset", when = { port = 0 } }]', "when: port: 0 is not a port from 1 to 65535"),
        ('{X}meddle = [{ with = "reset", when = { every = 0 } }]', "when: every: 0 is not a whole number from 1"),
        ('{X}expect = { http-body = "bad" }', "exit 'x': expect.http-body: 'bad' is not valid; use one of ok, "),
        ("{X}[[exit]]\nbehaviour = 'x'\nkind = 'broken'", "the label stands twice"),
        ("good =", "this is no TOML"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_what_is_valid(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text.replace("{X}", '[[exit]]\nbehaviour = "x"\nkind = "broken"\n'))
    with pytest.raises(OperatorError) as caught:
        profile.load(path)
    assert caught.value.exit_status == 2
    assert f"{path}: " in str(caught.value) and said in str(caught.value)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, 'goood = 1\n[[exit]]\nbehaviour = "a b"\nlatency = "c"\n')
    with pytest.raises(OperatorError) as caught:
        profile.load(path)
    assert [line.split(": ")[-2] for line in caught.value.message.splitlines()] == [
        "goood",
        "behaviour",
        "kind",
        "latency",
    ]


def test_a_profile_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"There is no profile 'evil'. Use hostile, plain, or the path of a file"):
        profile.load("evil")
    with pytest.raises(OperatorError, match="No such file"):
        profile.load(str(tmp_path / "nothing.toml"))


def test_a_host_that_is_no_target_is_told(tmp_path: Path) -> None:
    text = GOOD.replace("web.test", "www.example.org")
    cast = profile.load(written(tmp_path, text)).cast()
    with pytest.raises(OperatorError, match=r"when: host: there is no target 'www.example.org'"):
        network.build(len(cast), (), cast)
    network.build(len(cast), (("www.example.org", "web"),), cast)


def test_a_seed_shuffles_only_exits_that_declare_the_same() -> None:
    hostile = profile.load("hostile")
    unshuffled, one, other = hostile.cast(), hostile.cast(seed=1), hostile.cast(seed=2)
    assert one == hostile.cast(seed=1)
    assert len({tuple(c.behaviour for c in cast) for cast in (unshuffled, one, other)}) == 3
    assert Counter(c.behaviour for c in one) == Counter(c.behaviour for c in unshuffled)
    assert [(c.policy, c.exit_flag) for c in one] == [(c.policy, c.exit_flag) for c in other]


def test_one_frozen_directory_serves_every_seed() -> None:
    labs = [network.build(len(cast), (), cast) for cast in (profile.load("hostile").cast(seed=n) for n in (1, 2))]
    assert len({lab_keys.shape(lab, "0.4") for lab in labs}) == 1


def test_the_number_of_exits_is_met_by_plain_ones() -> None:
    hostile = profile.load("hostile")
    assert len(hostile.cast(60)) == 60
    with pytest.raises(OperatorError, match=f"has {len(hostile.conducts)} special exits, and --exits allows 9"):
        hostile.cast(9)


def test_only_labs_that_need_it_have_a_man_in_the_middle() -> None:
    cast = profile.load("hostile").cast()
    assert lab_mitm.is_needed(network.build(len(cast), (), cast))
    assert not lab_mitm.is_needed(network.build())


def test_only_the_connections_that_a_meddler_wants_are_led_to_it(tmp_path: Path) -> None:
    cast = profile.load(written(tmp_path, GOOD)).cast(seed=1)
    lab = network.build(len(cast), (), cast)
    rules = lab_mitm.rules(lab_mitm.doors(lab)).splitlines()
    meddling = [relay for relay in lab.exits if relay.behaviour == "at-times"]
    assert [line for line in rules if "redirect" in line] == [
        *(f"ip saddr {relay.address} tcp dport {{ 80, 81 }} redirect to :{lab_mitm.PORT}" for relay in meddling),
        *(f"ip6 saddr {relay.address6} tcp dport {{ 80, 81 }} redirect to :{lab_mitm.PORT}" for relay in meddling),
    ]


def test_it_is_done_to_every_nth_connection_after_the_first_few() -> None:
    when = conduct.When(every=3, after=2)
    plan = lab_mitm.Plan(conduct.Meddle("reset", {}, when), frozenset({"192.0.2.10"}), frozenset({80}))
    assert not plan.concerns(("192.0.2.11", 80)) and not plan.concerns(("192.0.2.10", 443))
    assert [n for n in range(1, 12) if plan.concerns(("192.0.2.10", 80))] == [5, 8, 11]


def test_the_manual_names_every_meddler_with_its_ports_and_options() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "profiles.rst").read_text()
    table = manual.partition("\nMeddlers\n")[2].partition("\nResolvers\n")[0]
    rows = {row.split("``")[1]: row for row in re.split(r"\n(?=``)", table)[1:]}
    rows.pop("with")
    assert rows.keys() == MEDDLERS.keys()
    for name, entry in MEDDLERS.items():
        ports = ", ".join(map(str, entry.ports)) or "all"
        assert re.match(rf"``{name}`` +{ports}  ", rows[name]), name
        assert [key for key in entry.options if f"``{key}``" not in rows[name]] == []
    assert [name for name in RESOLVERS if f"``{name}``" not in manual.partition("\nResolvers\n")[2]] == []


def test_the_manuals_example_is_a_profile(tmp_path: Path) -> None:
    manual = (Path(__file__).parents[2] / "docs" / "profiles.rst").read_text()
    block = manual.partition(".. code:: toml\n\n")[2].partition("\nA lab has")[0]
    found = profile.load(written(tmp_path, textwrap.dedent(block)))
    assert [one.behaviour for one in found.conducts] == ["injects-at-times"] * 2 + [
        "refuses-ssh",
        "reads-https",
        "late",
    ]
    network.build(len(found.cast()), (), found.cast())
