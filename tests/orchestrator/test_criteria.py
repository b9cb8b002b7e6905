"""Each thing that a selection may ask of a relay, and the reason that it gives against one."""

from collections.abc import Mapping
from random import Random

import pytest

from exitpin.orchestrator.criteria import Known, Wanted, age
from exitpin.orchestrator.model import Destination, Relay, Snapshot
from exitpin.orchestrator.policy import parse_descriptor_policy
from exitpin.orchestrator.selection import select

from .values import FLAGS, fingerprint, relay

NAME, OTHER_PORT = Destination("example.org", 443), Destination("example.org", 8443)
V4, V6 = Destination("192.0.2.1", 443), Destination("2001:db8::1", 443)
ANYTHING = "accept *:*"
NOW = 1_000_000.0


def reasons(relays: tuple[Relay, ...], wanted: Wanted, known: Known | None = None) -> list[str]:
    """Of each relay, in their order; empty: it was chosen."""
    snapshot = Snapshot("now", {one.fingerprint: one for one in relays})
    selection = select(snapshot, wanted, Random(1), known or Known(now=NOW))
    told = {one.fingerprint: reason for one, reason in selection.left_out}
    assert {one.fingerprint for one in selection.exits} == {one.fingerprint for one in relays} - set(told)
    return [told.get(one.fingerprint, "") for one in relays]


@pytest.mark.parametrize(
    ("rules", "ipv6", "wanted", "reason"),
    [
        (ANYTHING, "", Wanted(destinations=(NAME,)), ""),
        ("accept *:80\nreject *:*", "", Wanted(destinations=(NAME,)), "policy: refuses 443"),
        ("reject 192.0.2.0/24:*\naccept *:*", "", Wanted(destinations=(NAME, V4)), "policy: refuses 192.0.2.1:443"),
        (ANYTHING, "", Wanted(destinations=(V6,)), "policy: refuses [2001:db8::1]:443"),
        (ANYTHING, "accept 443", Wanted(destinations=(V6,)), ""),
        (ANYTHING, "reject 443", Wanted(destinations=(V6,)), "policy: refuses [2001:db8::1]:443"),
        (ANYTHING, "", Wanted(with_ipv6=True), "IPv6: refuses all of it"),
        (ANYTHING, "reject 1-65535", Wanted(with_ipv6=True), "IPv6: refuses all of it"),
        (ANYTHING, "reject 25", Wanted(with_ipv6=True), ""),
        (ANYTHING, "accept 80,443", Wanted(with_ipv6=True, destinations=(NAME,)), ""),
        (ANYTHING, "accept 80,443", Wanted(with_ipv6=True, destinations=(NAME, OTHER_PORT)), "IPv6: refuses 8443"),
        ("reject *:*", "accept 443", Wanted(with_ipv6=True, destinations=(NAME,)), ""),
        ("reject *:*", "accept 443", Wanted(destinations=(NAME,)), "policy: refuses 443"),
        (ANYTHING, "accept 443", Wanted(either=(OTHER_PORT, V4)), ""),
        ("accept *:80\nreject *:*", "", Wanted(either=(NAME, OTHER_PORT, NAME)), "policy: refuses 443, 8443"),
    ],
)
def test_a_policy_is_held_against_what_is_wanted(rules: str, ipv6: str, wanted: Wanted, reason: str) -> None:
    one = relay(1, policy=parse_descriptor_policy(rules, ipv6))
    assert reasons((one,), wanted) == [reason]


def test_a_relay_with_a_policy_and_no_exit_flag_is_a_candidate() -> None:
    web = parse_descriptor_policy("accept *:80\nreject *:*")
    one = relay(1, policy=web, flags=FLAGS - {"Exit"})
    assert reasons((one,), Wanted()) == [""]
    assert reasons((one,), Wanted(flags=("Exit",))) == ["no Exit flag"]
    assert reasons((one, relay(2)), Wanted(not_flags=("Exit",))) == ["", "Exit flag"]


def test_whom_the_authorities_call_an_exit_is_counted_whatever_is_read_of_it() -> None:
    nothing = parse_descriptor_policy("reject *:*")
    closed, unread, middle = (
        relay(1, policy=nothing),
        relay(2, policy=None),
        relay(3, policy=nothing, flags=frozenset()),
    )
    snapshot = Snapshot("now", {one.fingerprint: one for one in (closed, unread, middle)})
    told = "refuses all: its policy does, though the authorities call it an exit"
    unreadable = "no descriptor that can be read"
    for wanted, reasons_told in (
        (Wanted(), [(closed, told)]),
        (Wanted(destinations=(NAME,)), [(closed, told), (unread, unreadable)]),
    ):
        selection = select(snapshot, wanted, Random(1))
        assert list(selection.left_out) == reasons_told
        assert selection.considered == 2
    assert select(snapshot, Wanted(), Random(1)).account() == "1 of 2 exits (1: refuses all)"


def test_who_is_named_is_asked_though_it_refuses_all() -> None:
    closed = relay(1, policy=parse_descriptor_policy("reject *:*"))
    assert reasons((closed,), Wanted(names=(closed.fingerprint,))) == [""]


def test_bad_exits_are_kept_by_choice_and_chosen_alone_by_their_flag() -> None:
    bad, good = relay(1, flags=FLAGS | {"BadExit"}), relay(2)
    assert reasons((bad, good), Wanted()) == ["BadExit", ""]
    assert reasons((bad, good), Wanted(with_bad_exits=True)) == ["", ""]
    assert reasons((bad, good), Wanted(flags=("BadExit",))) == ["", "no BadExit flag"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(bandwidth_min=100), ["bandwidth: 99 is less than 100", "", ""]),
        (Wanted(bandwidth_max=100), ["", "", "bandwidth: 101 is more than 100"]),
        (Wanted(is_measured=True), ["", "bandwidth not measured", ""]),
        (Wanted(is_measured=False), ["bandwidth measured", "", "bandwidth measured"]),
    ],
)
def test_weights_are_compared_and_measured_ones_are_known(wanted: Wanted, expected: list[str]) -> None:
    relays = [relay(n, bandwidth=98 + n, is_measured=n != 2) for n in (1, 2, 3)]
    assert reasons(tuple(relays), wanted) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(countries=frozenset({"de", "nl"})), ["", "country: us", "country unknown"]),
        (Wanted(not_countries=frozenset({"us"})), ["", "country: us", "country unknown"]),
        (Wanted(countries=frozenset({"??"})), ["country: de", "country: us", ""]),
        (Wanted(countries=frozenset({"us", "??"})), ["country: de", "", ""]),
        (Wanted(not_countries=frozenset({"??"})), ["", "", "country unknown"]),
        (Wanted(systems=frozenset({64496})), ["", "AS: 64497, 64498", "AS unknown"]),
        (Wanted(systems=frozenset({64498})), ["AS: 64496", "", "AS unknown"]),
        (Wanted(not_systems=frozenset({64497})), ["", "AS: 64497, 64498", "AS unknown"]),
    ],
)
def test_where_a_relay_is_has_to_be_known_to_choose_by_it(wanted: Wanted, expected: list[str]) -> None:
    relays = tuple(relay(n, address=f"192.0.2.{n}") for n in (1, 2, 3))
    systems = {"192.0.2.1": frozenset({64496}), "192.0.2.2": frozenset({64498, 64497})}
    known = Known({"192.0.2.1": "de", "192.0.2.2": "us"}, systems, now=NOW)
    assert reasons(relays, wanted, known) == expected


def test_whom_the_history_does_not_know_is_seen_for_the_first_time_now() -> None:
    relays = (relay(1), relay(2), relay(3))
    known = Known(first_seen={fingerprint(1): NOW - 3600, fingerprint(2): NOW - 3601}, now=NOW)
    assert reasons(relays, Wanted(first_seen_within_s=3600), known) == ["", "not first seen within 1h", ""]


@pytest.mark.parametrize(
    ("seconds", "told"), [(172800, "48h"), (604800, "7d"), (5400, "90m"), (90, "90s"), (3600, "1h"), (59.5, "59.5s")]
)
def test_an_age_is_told_as_it_is_typed(seconds: float, told: str) -> None:
    assert age(seconds) == told


KEY, OTHER_KEY = "ed25519:" + "A" * 43, "ed25519:" + "B" * 43


@pytest.mark.parametrize(
    ("changes", "is_family"),
    [
        ({"family": frozenset({fingerprint(1)})}, False),
        ({"family": frozenset({fingerprint(2)})}, False),
        ({"family_ids": frozenset({KEY})}, True),
        ({"family_ids": frozenset({OTHER_KEY})}, False),
        ({}, False),
    ],
)
def test_a_family_is_whom_both_name_or_one_key_certified(changes: Mapping[str, object], is_family: bool) -> None:
    named = relay(1, family=frozenset({fingerprint(3)}), family_ids=frozenset({KEY}))
    mutual = relay(3, family=frozenset({fingerprint(1)}))
    relays = (named, mutual, relay(9, **changes))
    assert reasons(relays, Wanted(families=(fingerprint(1),))) == ["", "", "" if is_family else "family"]


def test_a_family_is_chosen_by_its_key_and_by_a_relay_that_is_gone() -> None:
    relays = (relay(1, family_ids=frozenset({KEY})), relay(2, family=frozenset({fingerprint(99)})), relay(3))
    assert reasons(relays, Wanted(families=(KEY,))) == ["", "family", "family"]
    assert reasons(relays, Wanted(families=("$" + fingerprint(99).lower(),))) == ["family", "", "family"]


def test_a_contact_that_could_not_be_compared_in_time_has_a_reason_of_its_own() -> None:
    answers = {"ops": True, "other": False, "(hostile)": None}
    relays = tuple(relay(n, contact=contact) for n, contact in enumerate(answers, 1))
    told = reasons(relays, Wanted(contact=answers.__getitem__))
    assert told == ["", "contact", "contact: the pattern took too long"]


def test_the_first_reason_counts_and_details_are_not_counted_apart() -> None:
    web = parse_descriptor_policy("accept *:80\nreject *:*")
    relays = (relay(1, flags=FLAGS - {"Running"}, policy=web), relay(2, policy=web), relay(3, policy=web))
    snapshot = Snapshot("now", {one.fingerprint: one for one in relays})
    selection = select(snapshot, Wanted(destinations=(NAME,)), Random(1))
    assert [reason for _, reason in selection.left_out] == ["not running", "policy: refuses 443", "policy: refuses 443"]
    assert selection.account() == "0 of 3 exits (2: policy, 1: not running)"
