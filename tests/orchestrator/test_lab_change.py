"""A lab that lives, as data: its pace, its changes, and who lived where when. No tor, no namespace."""

import json

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.lab import change, network, voting
from exitpin.orchestrator.lab.change import Change, Verb
from exitpin.orchestrator.lab.conduct import encode
from exitpin.orchestrator.lab.ground_truth import Arrival, Claimed, read_arrivals, score
from exitpin.orchestrator.lab.network import Network, Role
from exitpin.orchestrator.lab.residents import Residents, Stay, line_of, read_residents, settled

AT = ("203.0.113.11", "2001:db8:e::11")
CONSENSUS = """network-status-version 3
vote-status consensus
valid-after 2026-11-29 11:31:30
fresh-until 2026-11-29 11:31:40
valid-until 2026-11-29 11:32:00
"""


@pytest.mark.parametrize("interval_s", [10, 12, 60, 300, 1800])
def test_a_pace_that_tor_keeps_is_taken(interval_s: float) -> None:
    assert voting.checked(interval_s, None) == voting.Voting(int(interval_s), 3)


@pytest.mark.parametrize("interval_s", [0, 5, 9.5, 10.5, 11, 3600])
def test_a_pace_that_tor_would_refuse_is_told(interval_s: float) -> None:
    with pytest.raises(OperatorError, match="can't vote each"):
        voting.checked(interval_s, None)


@pytest.mark.parametrize("valid", [0, 1, 101])
def test_a_consensus_is_valid_for_some_intervals(valid: int) -> None:
    with pytest.raises(OperatorError, match="can't be valid"):
        voting.checked(10, valid)


def test_the_times_of_a_consensus_are_read_and_of_no_consensus_none() -> None:
    found = voting.validity_of(CONSENSUS)
    assert found is not None and (found.fresh_until, found.valid_until) == (
        found.valid_after + 10,
        found.valid_after + 30,
    )
    assert voting.validity_of(CONSENSUS.rpartition("valid-until")[0]) is None


def lab() -> Network:
    return network.build(8)


def test_a_new_exit_has_the_next_address_and_no_vote_for_its_flag() -> None:
    after = change.added(lab(), Change(Verb.ADD, ("newcomer",)))
    new = after.exits[-1]
    assert (new.nickname, new.address, new.address6) == ("newcomer", "203.0.113.19", "2001:db8:e::19")
    assert (new.role, new.policy, new.is_voted_exit) == (Role.EXIT, ("accept *:*",), False)
    assert after.relays[:-1] == lab().relays


def test_a_new_exit_conducts_itself_as_its_model() -> None:
    after = change.added(lab(), Change(Verb.ADD, ("twin",), like="exit08"))
    assert after.exits[-1].conduct == after.exits[7].conduct != after.exits[0].conduct


def test_a_changed_network_is_the_same_after_its_way_through_a_spec() -> None:
    """The targets read it so."""
    after = change.added(lab(), Change(Verb.ADD, ("newcomer",), ("accept *:80",)))
    after = change.with_policy(after, Change(Verb.POLICY, ("exit02",), ("reject *:25", "accept *:*")))
    spec = {"cast": [encode(exit.conduct) for exit in after.exits], "added": ["newcomer"], "hosts": []}
    assert network.of_spec(json.loads(json.dumps(spec))) == after


@pytest.mark.parametrize(
    ("words", "policy"),
    [
        (["accept *:80"], ("accept *:80", "reject *:*")),
        (["accept *:80,accept *:443", "reject *:*"], ("accept *:80", "accept *:443", "reject *:*")),
        (["reject *:25", "accept *:*"], ("reject *:25", "accept *:*")),
    ],
)
def test_rules_end_in_one_for_all(words: list[str], policy: tuple[str, ...]) -> None:
    assert change.rules(words) == policy


@pytest.mark.parametrize("words", [[], [""], ["allow *:80"], ["accept *:80\nExitRelay 0"], ["accept *:*"] * 61])
def test_what_is_no_policy_is_refused(words: list[str]) -> None:
    with pytest.raises(OperatorError):
        change.rules(words)


@pytest.mark.parametrize("name", ["", "a b", "x" * 20, "é", "exit01", "EXIT01", "mid1", "auth1", "a\nb"])
def test_a_nickname_that_can_not_be_is_refused(name: str) -> None:
    with pytest.raises(OperatorError):
        change.added(lab(), Change(Verb.ADD, (name,)))


def test_a_lab_does_not_grow_for_ever() -> None:
    with pytest.raises(OperatorError, match="at most"):
        change.added(network.build(network.EXITS_MAX), Change(Verb.ADD, ("newcomer",)))


def test_a_change_is_the_same_after_its_way_over_the_socket() -> None:
    one = Change(Verb.ADD, ("newcomer",), ("accept *:80",))
    assert change.decode(json.loads(json.dumps(change.encode(one)))) == one


@pytest.mark.parametrize(
    "plain",
    [{}, {"verb": "explode", "names": [], "policy": [], "like": ""},
     {"verb": "add", "names": [1], "policy": [], "like": ""}, {"verb": "add", "names": 5, "policy": [], "like": ""}],
)  # fmt: skip
def test_what_is_no_change_is_not_decoded(plain: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        change.decode(plain)


def book(*lines: tuple[float, str, bool, str]) -> Residents:
    """(time, change, is up, fingerprint) of exit01."""
    text = "".join(line_of(t, why, is_up, "exit01", one, AT, ("accept *:*",)) for t, why, is_up, one in lines)
    return read_residents([*text.splitlines(), '{"t": 9, "chan'])


def test_the_book_tells_who_lived_where_when() -> None:
    found = book(
        (1, "boot", True, "AA"), (2, "policy", True, "AA"), (5, "rekey", False, "AA"), (6, "rekey", True, "BB"),
        (8, "remove", False, "BB"), (9, "restore", True, "BB"),
    )  # fmt: skip
    assert found.stays[AT[0]] == (
        Stay(AT[0], "AA", "exit01", 1, 5), Stay(AT[0], "BB", "exit01", 6, 8), Stay(AT[0], "BB", "exit01", 9)
    )  # fmt: skip
    times = (0.5, 1, 4.9, 5.5, 6, 8.5, 10)
    assert [found.at(AT[1], t) for t in times] == [None, "AA", "AA", "AA", "BB", "BB", "BB"]
    assert found.at("203.0.113.99", 5) is None


def test_who_came_when_decides_whose_a_connection_is() -> None:
    found = book((1, "boot", True, "AA"), (5, "rekey", False, "AA"), (6, "rekey", True, "BB"))
    claims = [Claimed("run-1", "AA", ("192.0.2.101", 80), True), Claimed("run-2", "BB", ("192.0.2.102", 80), True)]
    seen = [
        {"t": t, "service": "http", "own": [f"192.0.2.10{n}", 80], "peer": [AT[0], 40000]} for n, t in ((1, 3), (2, 7))
    ]
    arrivals = read_arrivals([json.dumps(line) for line in seen])
    owners = {"192.0.2.101": "run-1", "192.0.2.102": "run-2"}
    right = score(claims, arrivals, relays=found, owners=owners)
    assert (right.right, right.wrong, right.unknown, right.missing) == (2, 0, 0, 0)
    late = score(claims, [Arrival(one.own, one.peer, 7) for one in arrivals], relays=found, owners=owners)
    assert (late.right, late.wrong) == (1, 1)
    assert score(claims, arrivals, relays=settled({AT[0]: "AA"}), owners=owners).wrong == 1
