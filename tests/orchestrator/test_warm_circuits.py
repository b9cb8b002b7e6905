"""The pool where circuits are kept warm: whom one serves, and for how long."""

from hypothesis import given
from hypothesis import strategies as st

from exitpin.orchestrator.circuits import WARM_MAX, Pace, Pool
from exitpin.orchestrator.effects import CircuitReady, CloseCircuit, Effect, ExtendCircuit

from .test_circuits import GUARDS, launched, opened, pool
from .values import EXIT, OTHER_EXIT, circ_event, fingerprint

WARM = Pace(build_delay_s=3, build_jitter_s=0, retry_s=0, warm_s=600)


def warm_pool() -> Pool:
    """With circuit 7 to EXIT, launched at 0, that no run has any more."""
    built = pool(WARM)
    opened(built, 7)
    assert built.release("r", is_sound=True) == []
    assert built.warm_count == 1
    return built


def test_the_next_run_to_its_exit_has_it_at_once_whatever_the_pace() -> None:
    built = warm_pool()
    built.want("next", EXIT)
    assert built.next_launch(1.0) == 0
    assert built.launch(1.0) == [CircuitReady("next", 7, (GUARDS[0], EXIT))]
    assert built.warm_count == 0


def test_two_runs_at_once_have_one_each() -> None:
    built = warm_pool()
    built.want("one", EXIT)
    built.want("other", EXIT)
    given, asked = built.launch(10.0)
    assert given == CircuitReady("one", 7, (GUARDS[0], EXIT))
    assert isinstance(asked, ExtendCircuit)


def test_it_serves_neither_another_exit_nor_who_wants_other_hops() -> None:
    built = warm_pool()
    built.want("other exit", OTHER_EXIT)
    assert launched(built, 8, 10.0).path[-1] == OTHER_EXIT
    built.want("other hops", EXIT, frozenset({GUARDS[0]}))
    assert launched(built, 9, 20.0).path == (GUARDS[1], EXIT)
    assert built.warm_count == 1


def test_one_on_which_a_run_failed_is_closed() -> None:
    built = pool(WARM)
    opened(built, 7)
    assert built.release("r", is_sound=False) == [CloseCircuit(7)]
    assert built.warm_count == 0


def test_it_is_closed_when_it_is_too_old_however_often_it_served() -> None:
    built = warm_pool()
    built.want("next", EXIT)
    built.launch(500.0)
    assert built.release("next", is_sound=True) == []
    assert built.next_launch(500.0) == 100.0
    assert built.expire(599.0) == []
    assert built.expire(600.0) == [CloseCircuit(7)]
    assert built.step(circ_event(7, "CLOSED"), 600.1) == []
    assert built.next_launch(600.1) is None


def test_at_the_end_all_are_closed() -> None:
    built = warm_pool()
    assert built.close_warm() == [CloseCircuit(7)]
    assert (built.warm_count, built.close_warm()) == (0, [])


def test_one_that_ends_by_itself_is_nobodys_loss() -> None:
    built = warm_pool()
    assert built.step(circ_event(7, "CLOSED"), 1.0) == []
    assert built.warm_count == 0
    built.want("next", EXIT)
    assert isinstance(built.launch(10.0)[0], ExtendCircuit)


def test_the_oldest_goes_when_there_are_too_many() -> None:
    built = pool(Pace(build_delay_s=0, build_jitter_s=0, warm_s=600))
    for number in range(WARM_MAX + 1):
        opened(built, 100 + number, f"r{number}")
    closed = [wish for number in range(WARM_MAX + 1) for wish in built.release(f"r{number}", is_sound=True)]
    assert (closed, built.warm_count) == ([CloseCircuit(100)], WARM_MAX)


@given(st.lists(st.tuples(st.sampled_from(("want", "launch", "sound", "unsound", "end", "wait")), st.integers(0, 3))))
def test_whatever_comes_a_circuit_is_one_runs_at_a_time_and_ends_at_its_exit(story: list[tuple[str, int]]) -> None:
    built, now, next_id = pool(Pace(build_delay_s=0, build_jitter_s=0, warm_s=30)), 0.0, 1
    exits = {f"r{number}": fingerprint(0xE0 + number // 2) for number in range(4)}
    owners: dict[int, str] = {}

    def check(told: list[Effect]) -> None:
        for effect in told:
            if isinstance(effect, CircuitReady):
                assert effect.path[-1] == exits[effect.run_id]
                assert effect.circuit_id not in owners
                owners[effect.circuit_id] = effect.run_id
            elif isinstance(effect, CloseCircuit):
                assert effect.circuit_id not in owners

    for word, number in story:
        run_id = f"r{number}"
        if word == "want":
            built.want(run_id, exits[run_id])
        elif word == "launch":
            for effect in built.launch(now):
                if isinstance(effect, ExtendCircuit):
                    check(built.extended(effect.request, next_id))
                    check(built.step(circ_event(next_id, "BUILT", effect.path), now))
                    next_id += 1
                else:
                    check([effect])
        elif word in ("sound", "unsound"):
            for circuit_id in [known for known, owner in owners.items() if owner == run_id]:
                del owners[circuit_id]
            check(built.release(run_id, is_sound=word == "sound"))
        elif word == "end" and built.circuits:
            circuit_id = list(built.circuits)[number % len(built.circuits)]
            owners.pop(circuit_id, None)
            built.step(circ_event(circuit_id, "CLOSED"), now)
        elif word == "wait":
            now += number * 10
            check(built.expire(now))
