"""Runs that failed for what stands before their exit are void; all others count."""

import asyncio
from dataclasses import dataclass, field

import pytest

from exitpin.orchestrator.audit.voiding import HEARD_S, is_circuit_well, why_not_broken, why_void
from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.model import Failure, Fingerprint
from exitpin.orchestrator.policy import ExitPolicy, parse_policy

from ..values import relay

PATH = (Fingerprint("A" * 40), Fingerprint("E" * 40))
NOW = 100.0


@dataclass
class Asked:
    """A session whose hops answer, or do not; `since`: what it was asked."""

    is_well: bool
    since: list[float] = field(default_factory=list)

    async def are_well(self, path: tuple[Fingerprint, ...], since: float) -> bool:
        assert path == PATH
        self.since.append(since)
        return self.is_well


def void(failure: Failure | None, session: Asked) -> Failure | None:
    return asyncio.run(why_void(session, failure, PATH, NOW))


def failure(kind: str, blame: str = "unknown") -> Failure:
    return Failure(kind, blame, True, "so it was")


@pytest.mark.parametrize("kind", ["timeout", "tool", "refused", "dns", "reset", "policy", "circuit-lost"])
def test_a_failure_counts_when_the_hops_before_the_exit_answer_and_is_void_when_they_do_not(kind: str) -> None:
    assert void(failure(kind), Asked(is_well=True)) is None
    found = void(failure(kind), Asked(is_well=False))
    assert found is not None and (found.kind, found.blame) == ("circuit-lost", "first-hop")
    assert found.detail.endswith("so it was")


def test_hops_that_answered_others_meanwhile_are_not_asked_but_after_a_lost_circuit_only_what_came_later_counts() -> (
    None
):
    session = Asked(is_well=True)
    void(failure("timeout"), session)
    void(failure("circuit-lost"), session)
    assert session.since == [NOW - HEARD_S, NOW]


@pytest.mark.parametrize("kind", ["attribution", "shim", "interrupted", "exec", "tor", "parse", "circuit"])
def test_what_says_nothing_anyway_asks_nobody(kind: str) -> None:
    session = Asked(is_well=False)
    assert void(failure(kind), session) is None
    assert session.since == []


def test_a_run_that_was_well_asks_nobody() -> None:
    session = Asked(is_well=False)
    assert void(None, session) is None
    assert session.since == []


@pytest.mark.parametrize("told", [failure("clock", "local"), failure("circuit", "first-hop")])
def test_a_clock_and_a_first_hop_that_could_not_be_had_make_a_run_void_at_once(told: Failure) -> None:
    assert void(told, Asked(is_well=True)) == told


@pytest.mark.parametrize(
    ("kind", "was_built", "is_well"),
    [
        ("", True, True), ("timeout", True, True), ("circuit-lost", True, False), ("circuit", False, False),
        ("clock", False, None), ("interrupted", False, None), ("interrupted", True, True),
    ],
)  # fmt: skip
def test_the_pace_hears_of_circuits_that_were_tried(kind: str, was_built: bool, is_well: bool | None) -> None:
    assert is_circuit_well(failure(kind) if kind else None, was_built=was_built) is is_well


WEB, ALL = "accept *:80\nreject *:*", "accept *:*"


@pytest.mark.parametrize(
    ("asked_by", "now", "why"),
    [
        (ALL, ALL, None),
        (ALL, WEB, "its exit policy is another one than that of the snapshot"),
        (ALL, None, "tor has no descriptor of it any more"),
        (None, WEB, None),
    ],
)
def test_an_exit_is_called_broken_by_the_policy_that_it_declared_last(
    asked_by: str | None, now: str | None, why: str | None
) -> None:
    async def policy_of(name: Fingerprint) -> ExitPolicy | None:
        assert name == exit.fingerprint
        return None if now is None else parse_policy(now)

    exit = relay(1, policy=None if asked_by is None else parse_policy(asked_by))
    assert asyncio.run(why_not_broken(exit, policy_of)) == why


def test_where_tor_does_not_tell_the_policy_nobody_is_called_broken() -> None:
    async def policy_of(name: Fingerprint) -> ExitPolicy | None:
        raise OperatorError("tor did not answer GETINFO within 10 s.")

    assert "did not answer" in str(asyncio.run(why_not_broken(relay(1), policy_of)))
