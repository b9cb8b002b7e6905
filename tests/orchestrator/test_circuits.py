"""The pool: when it builds, through whom, and what it says of circuits that fail, end or are not what was asked for."""

from collections.abc import Sequence
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitpin.orchestrator.circuits import Pace, Pool
from exitpin.orchestrator.effects import (
    CircuitClosed,
    CircuitFailed,
    CircuitReady,
    CircuitUnavailable,
    CloseCircuit,
    Effect,
    ExtendCircuit,
)
from exitpin.orchestrator.model import Fingerprint

from .values import EXIT, OTHER_EXIT, circ_event, fingerprint

AT_ONCE = Pace(build_delay_s=0, build_jitter_s=0, retry_s=0)
GUARDS = tuple(fingerprint(0xAA + number) for number in range(4))


def first_untried(exit: Fingerprint, tried: frozenset[Fingerprint], rng: Random) -> Sequence[Fingerprint]:
    return [next((guard for guard in GUARDS if guard not in tried), GUARDS[0])]


def pool(pace: Pace = AT_ONCE, **changes: object) -> Pool:
    return Pool(pace, changes.get("first_hops", first_untried), Random(7))  # type: ignore[arg-type]


def but_failures(told: Sequence[Effect]) -> list[Effect]:
    """What follows from it, besides that the run is told of each circuit that failed."""
    return [effect for effect in told if not isinstance(effect, CircuitFailed)]


def launched(pool: Pool, circuit_id: int, now: float = 0.0) -> ExtendCircuit:
    """The next wish, which Tor answers with EXTENDED `circuit_id`."""
    (wish,) = pool.launch(now)
    assert isinstance(wish, ExtendCircuit)
    assert pool.extended(wish.request, circuit_id) == []
    return wish


def opened(pool: Pool, circuit_id: int = 7, run_id: str = "r") -> ExtendCircuit:
    pool.want(run_id, EXIT)
    wish = launched(pool, circuit_id)
    assert pool.step(circ_event(circuit_id, "BUILT", wish.path), 1.0) == [CircuitReady(run_id, circuit_id, wish.path)]
    return wish


def test_a_wanted_circuit_is_launched_and_ready_when_its_path_is_what_was_asked_for() -> None:
    built = pool()
    built.want("r", EXIT)
    wish = launched(built, 7)
    assert wish.path == (GUARDS[0], EXIT)
    for word in ("LAUNCHED", "EXTENDED", "GUARD_WAIT"):
        assert built.step(circ_event(7, word, wish.path[:1]), 0.1) == []
    assert built.step(circ_event(7, "BUILT", wish.path), 0.2) == [CircuitReady("r", 7, wish.path)]
    assert built.step(circ_event(7, "BUILT", wish.path), 0.3) == [], "once"
    assert built.next_launch(0.3) is None


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ((GUARDS[0], OTHER_EXIT), ""),
        ((GUARDS[1], EXIT), ""),
        ((GUARDS[0],), ""),
        ((GUARDS[0], EXIT, OTHER_EXIT), ""),
        ((GUARDS[0], EXIT), " CONFLUX_ID=00"),
    ],
)
def test_a_circuit_of_another_path_is_closed_and_built_again(path: tuple[Fingerprint, ...], words: str) -> None:
    built = pool()
    built.want("r", EXIT)
    launched(built, 7)
    assert but_failures(built.step(circ_event(7, "BUILT", path, words), 0.0)) == [CloseCircuit(7)]
    assert built.step(circ_event(7, "CLOSED", path), 0.0) == []
    assert launched(built, 8).path[0] != GUARDS[0]


def test_two_launches_keep_their_distance() -> None:
    slow = pool(Pace(build_delay_s=3, build_jitter_s=1, retry_s=0))
    for number in range(20):
        slow.want(f"r{number}", EXIT)
    now, times = 100.0, []
    for circuit_id in range(1, 17):
        now += slow.next_launch(now) or 0.0
        wish = launched(slow, circuit_id, now)
        slow.step(circ_event(circuit_id, "EXTENDED", wish.path[:1]), now)
        times.append(now)
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert times[0] == 100.0
    assert all(3 <= pause <= 4 for pause in pauses)
    assert len({round(pause, 6) for pause in pauses}) > 5, "jitter"
    assert slow.next_launch(now) == pytest.approx(times[0] + 60 - now), "full: what is due next is an expiry"


def test_no_more_than_pending_max_are_unfinished() -> None:
    few = pool(Pace(build_delay_s=0, build_jitter_s=0, pending_max=2))
    for number in range(3):
        few.want(f"r{number}", EXIT)
    first, second = (wish for wish in few.launch(0.0) if isinstance(wish, ExtendCircuit))
    assert few.launch(0.0) == [] and few.next_launch(0.0) is None, "Tor has answered none of them"
    few.extended(first.request, 1)
    assert few.launch(0.0) == []
    few.step(circ_event(1, "BUILT", first.path), 0.0)
    assert len(few.launch(0.0)) == 1
    few.refused(second.request, "551 Couldn't start circuit", 0.0)
    assert len(few.launch(0.5)) == 1


def test_a_failed_build_goes_through_first_hops_that_did_not_fail_yet_after_growing_pauses() -> None:
    built = pool(Pace(build_delay_s=0, build_jitter_s=0, attempts=4, retry_s=0.5))
    built.want("r", EXIT)
    now, hops, pauses = 0.0, [], []
    for circuit_id in (1, 2, 3, 4):
        pauses.append(built.next_launch(now))
        now += pauses[-1] or 0.0
        assert circuit_id == 1 or built.launch(now - 0.01) == []
        hops.append(launched(built, circuit_id, now).path[0])
        words = " REASON=DESTROYED REMOTE_REASON=CHANNEL_CLOSED"
        told = built.step(circ_event(circuit_id, "FAILED", hops[-1:], words), now)
    assert hops == list(GUARDS)
    assert pauses == [0.0, 0.5, 1.0, 1.5]
    assert but_failures(told) == [CircuitUnavailable("r", "DESTROYED/CHANNEL_CLOSED")]
    assert built.next_launch(now) is None


def test_a_run_is_led_through_other_hops_than_it_wants_to_avoid_also_after_a_failure() -> None:
    built = pool()
    built.want("r", EXIT, frozenset({GUARDS[0], GUARDS[2]}))
    assert launched(built, 7).path == (GUARDS[1], EXIT)
    built.step(circ_event(7, "FAILED", words=" REASON=TIMEOUT"), 0.0)
    assert launched(built, 8).path == (GUARDS[3], EXIT)


def test_a_refused_build_is_tried_again_and_said_in_the_end() -> None:
    built = pool(Pace(build_delay_s=0, build_jitter_s=0, attempts=2, retry_s=0))
    built.want("r", EXIT)
    for told in ([], [CircuitUnavailable("r", "552 No such router")]):
        (wish,) = built.launch(0.0)
        assert isinstance(wish, ExtendCircuit)
        assert but_failures(built.refused(wish.request, "552 No such router", 0.0)) == told


def test_no_first_hop_is_said_with_the_reason_of_the_last_attempt() -> None:
    def none_after_the_first(exit: Fingerprint, tried: frozenset[Fingerprint], rng: Random) -> Sequence[Fingerprint]:
        return () if tried else [GUARDS[0]]

    built = pool(first_hops=none_after_the_first)
    built.want("r", EXIT)
    launched(built, 1)
    built.step(circ_event(1, "FAILED", words=" REASON=TIMEOUT"), 0.0)
    assert built.launch(0.0) == [CircuitUnavailable("r", "TIMEOUT")]
    never = pool(first_hops=lambda exit, tried, rng: ())
    never.want("r", EXIT)
    assert never.launch(0.0) == [CircuitUnavailable("r", "no first hop", "local")]


def test_a_build_that_takes_too_long_is_closed_and_tried_again() -> None:
    slow = pool(Pace(build_delay_s=0, build_jitter_s=0, build_timeout_s=60, attempts=2, retry_s=0))
    slow.want("r", EXIT)
    wish = launched(slow, 7, now=10.0)
    slow.step(circ_event(7, "EXTENDED", wish.path[:1]), 10.0)
    assert slow.next_launch(10.0) == 60.0
    assert slow.expire(69.9) == []
    assert but_failures(slow.expire(70.0)) == [CloseCircuit(7)]
    assert slow.step(circ_event(7, "BUILT", wish.path), 70.1) == [], "too late"
    again = launched(slow, 8, now=70.0).path
    assert again[0] == GUARDS[1]
    slow.step(circ_event(8, "EXTENDED", again[:1]), 71.0)
    assert but_failures(slow.expire(130.0)) == [CloseCircuit(8), CircuitUnavailable("r", "TIMEOUT")]


@pytest.mark.parametrize("word", ["CLOSED", "FAILED"])
def test_an_open_circuit_that_ends_is_told_to_its_run_which_may_want_another(word: str) -> None:
    built = pool()
    opened(built)
    assert built.step(circ_event(7, word, words=" REASON=FINISHED"), 2.0) == [CircuitClosed("r", 7, "FINISHED")]
    assert built.step(circ_event(7, word), 2.0) == []
    assert built.next_launch(2.0) is None, "the run decides"
    built.want("r", EXIT)
    assert launched(built, 8).path[-1] == EXIT


def test_a_released_run_leaves_nothing_behind() -> None:
    built = pool(Pace(build_delay_s=0, build_jitter_s=0))
    opened(built, 7)
    built.want("r", EXIT)
    (asked,) = built.launch(1.0)
    built.want("r", EXIT)
    built.want("other", EXIT)
    assert isinstance(asked, ExtendCircuit)
    assert built.release("r") == [CloseCircuit(7)]
    assert built.release("r") == []
    assert [want.run_id for want in built.wanted] == ["other"]
    assert built.extended(asked.request, 8) == [CloseCircuit(8)], "Tor's answer came after the run had ended"
    assert built.step(circ_event(8, "BUILT", asked.path), 1.0) == []
    for circuit_id in (7, 8):
        assert built.step(circ_event(circuit_id, "CLOSED"), 2.0) == []
    assert not built.circuits and not built.requests


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_released_build_that_fails_is_not_tried_again(is_refused: bool) -> None:
    built = pool()
    built.want("r", EXIT)
    (asked,) = built.launch(0.0)
    assert isinstance(asked, ExtendCircuit)
    built.release("r")
    if is_refused:
        assert built.refused(asked.request, "551", 0.0) == []
    else:
        assert built.extended(asked.request, 7) == [CloseCircuit(7)]
        assert built.step(circ_event(7, "FAILED"), 0.0) == []
    assert not built.wanted


def test_circuits_of_others_are_not_ours() -> None:
    built = pool()
    for word in ("BUILT", "CLOSED", "FAILED"):
        assert built.step(circ_event(99, word), 0.0) == []


WORDS = ("want", "launch", "extended", "BUILT", "wrong", "FAILED", "CLOSED", "refused", "release", "wait")


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 3)), max_size=60))
def test_whatever_comes_a_ready_circuit_is_its_runs_own_and_ends_at_its_exit(story: list[tuple[str, int]]) -> None:
    pace = Pace(build_delay_s=1, build_jitter_s=1, pending_max=3, build_timeout_s=20, attempts=2)
    built, now, next_id, asked, owners = pool(pace), 0.0, 1, [], {}
    exits = {f"r{number}": fingerprint(0xE0 + number) for number in range(4)}

    def check(told: list[Effect]) -> None:
        for effect in told:
            if isinstance(effect, ExtendCircuit):
                asked.append(effect)
            elif isinstance(effect, CircuitReady):
                assert effect.path[-1] == exits[effect.run_id]
                assert owners.setdefault(effect.circuit_id, effect.run_id) == effect.run_id

    for word, number in story:
        ids = list(built.circuits)
        if word == "want":
            built.want(f"r{number}", exits[f"r{number}"])
        elif word == "launch":
            check(built.launch(now))
        elif word in ("extended", "refused") and asked:
            wish = asked.pop(number % len(asked))
            check(
                built.extended(wish.request, next_id) if word == "extended" else built.refused(wish.request, "551", now)
            )
            next_id += 1
        elif word == "release":
            check(built.release(f"r{number}"))
        elif word == "wait":
            now += number * 5
            check(built.expire(now))
        elif ids and word in ("BUILT", "wrong", "FAILED", "CLOSED"):
            circuit_id = ids[number % len(ids)]
            path = built.circuits[circuit_id].path if word != "wrong" else (GUARDS[3], OTHER_EXIT)
            check(built.step(circ_event(circuit_id, "BUILT" if word == "wrong" else word, path), now))
        assert (
            len(built.requests) + sum(c.state.value == "building" for c in built.circuits.values()) <= pace.pending_max
        )


def test_a_launch_waits_for_what_others_started() -> None:
    asked = iter([0.0, 5.0, 0.0])
    shared = Pool(AT_ONCE, lambda *_: (GUARDS[0],), Random(1), take_start=lambda: next(asked))
    for number in range(2):
        shared.want(f"r{number}", EXIT)
    assert len(shared.launch(0.0)) == 1
    assert shared.next_launch(1.0) == 4.0 and shared.launch(4.9) == []
    assert len(shared.launch(5.0)) == 1


def test_nothing_is_counted_where_no_first_hop_can_be_had() -> None:
    asked: list[float] = []

    def take() -> float:
        asked.append(0.0)
        return 0.0

    shared = Pool(AT_ONCE, lambda *_: (), Random(1), take_start=take)
    shared.want("r", EXIT)
    assert shared.launch(0.0) == [CircuitUnavailable("r", "no first hop", "local")] and asked == []
