"""The pool and hops that fail: no exit is counted for them, runs wait while nobody answers, looks see who is well."""

import asyncio
from collections.abc import Sequence
from random import Random

from exitpin.orchestrator.circuits import Pace, Pool
from exitpin.orchestrator.effects import CircuitFailed, CircuitReady, CircuitUnavailable, ExtendCircuit, LookEnded
from exitpin.orchestrator.effects import NetworkChanged as Network
from exitpin.orchestrator.looks import Looks
from exitpin.orchestrator.model import Fingerprint

from .values import EXIT, circ_event, fingerprint

GUARDS = tuple(fingerprint(0xA0 + number) for number in range(8))
AT_ONCE = Pace(build_delay_s=0, build_jitter_s=0, retry_s=0, outage_max_s=300.0)
REFUSED = " REASON=CHANNEL_CLOSED"


def pool_of(*guards: Fingerprint, pace: Pace = AT_ONCE) -> Pool:
    def choose(exit: Fingerprint, tried: frozenset[Fingerprint], rng: Random) -> Sequence[Fingerprint]:
        free = [guard for guard in guards if guard != exit]
        return [next((guard for guard in free if guard not in tried), free[0])] if free else ()

    return Pool(pace, choose, Random(1))


def launch(pool: Pool, circuit_id: int, now: float = 0.0) -> ExtendCircuit:
    wish = next(one for one in pool.launch(now) if isinstance(one, ExtendCircuit))
    pool.extended(wish.request, circuit_id)
    return wish


def of_kind(told: Sequence[object], kind: type) -> list[object]:
    return [one for one in told if isinstance(one, kind)]


def test_first_hops_that_refuse_do_not_count_for_the_exit() -> None:
    pool = pool_of(*GUARDS)
    pool.want("r", EXIT)
    for circuit_id in (1, 2):
        wish = launch(pool, circuit_id)
        (told,) = pool.step(circ_event(circuit_id, "FAILED", (), REFUSED), 0.0)
        assert told == CircuitFailed("r", circuit_id, wish.path, 0, "CHANNEL_CLOSED", wish.path[:1], "first-hop")
    wish = launch(pool, 3)
    assert of_kind(pool.step(circ_event(3, "BUILT", wish.path), 0.0), CircuitReady)


def test_an_exit_is_given_up_after_so_many_circuits_that_got_to_it_whatever_failed_before() -> None:
    pool = pool_of(*GUARDS)
    pool.want("r", EXIT)
    ends, reached = [], [0, 1, 0, 1, 1]
    for circuit_id, hops in enumerate(reached, start=1):
        wish = launch(pool, circuit_id, float(circuit_id))
        told = pool.step(circ_event(circuit_id, "FAILED", wish.path[:hops], REFUSED), float(circuit_id))
        ends.append(of_kind(told, CircuitUnavailable))
    assert ends == [[], [], [], [], [CircuitUnavailable("r", "CHANNEL_CLOSED", "unknown")]]


def test_while_nobody_answers_a_run_waits_and_the_first_answer_goes_on_with_it() -> None:
    pool, now, states = pool_of(*GUARDS), 0.0, []
    for name in ("r1", "r2", "r3"):
        pool.want(name, EXIT)
    for circuit_id in range(1, 30):
        now += pool.next_launch(now) or 0.0
        wishes = of_kind(pool.launch(now), ExtendCircuit)
        for wish in wishes:
            assert isinstance(wish, ExtendCircuit)
            pool.extended(wish.request, 100 * circuit_id + wish.request)
            told = pool.step(circ_event(100 * circuit_id + wish.request, "FAILED", (), REFUSED), now)
            states += [one.state for one in told if isinstance(one, Network)]
            assert not of_kind(told, CircuitUnavailable)
        if now > 200:
            break
    assert states == ["gone"] and len(pool.wanted) == 3
    now += pool.next_launch(now) or 0.0
    wish = launch(pool, 7777, now)
    told = pool.step(circ_event(7777, "EXTENDED", wish.path[:1]), now)
    assert [one.state for one in told if isinstance(one, Network)] == ["back"]
    assert of_kind(pool.step(circ_event(7777, "BUILT", wish.path), now), CircuitReady)
    assert len(of_kind(pool.launch(now), ExtendCircuit)) == 2, "nobody waits any longer"


def test_after_the_limit_runs_are_failed_and_blame_the_first_hops() -> None:
    pool, now, told = pool_of(GUARDS[0], pace=AT_ONCE), 0.0, list[object]()
    pool.want("r1", EXIT)
    pool.want("r2", EXIT)
    while now < 400 and not of_kind(told, CircuitUnavailable):
        now += pool.next_launch(now) or 0.0
        for wish in of_kind(pool.launch(now), ExtendCircuit):
            assert isinstance(wish, ExtendCircuit)
            pool.extended(wish.request, wish.request)
            told += pool.step(circ_event(wish.request, "FAILED", (), REFUSED), now)
    assert 300 <= now < 400
    assert [one.state for one in told if isinstance(one, Network)][-1] == "given up"
    failed = of_kind(told, CircuitUnavailable)
    assert {(one.run_id, one.blame) for one in failed if isinstance(one, CircuitUnavailable)} == {
        ("r1", "first-hop"), ("r2", "first-hop"),
    }  # fmt: skip


def test_a_first_hop_that_takes_too_long_is_the_hops_and_not_the_circuits_timeout() -> None:
    pool = pool_of(*GUARDS)
    pool.want("r", EXIT)
    wish = launch(pool, 1)
    told = pool.expire(AT_ONCE.hop_timeout_s)
    assert CircuitFailed("r", 1, wish.path, 0, "TIMEOUT", wish.path[:1], "first-hop") in told
    assert launch(pool, 2, AT_ONCE.hop_timeout_s).path[0] != wish.path[0]


def test_a_look_is_closed_as_soon_as_the_hops_answer_whatever_its_exit_does() -> None:
    async def script() -> None:
        for path in ((GUARDS[3], EXIT), (GUARDS[3], GUARDS[4], EXIT)):
            pool = pool_of(*GUARDS)
            looks = Looks(pool)
            found = looks.begin(path)
            assert launch(pool, 1).path == path
            assert not of_kind(pool.step(circ_event(1, "EXTENDED", path[:-2]), 1.0), LookEnded)
            (ended,) = of_kind(pool.step(circ_event(1, "EXTENDED", path[:-1]), 1.0), LookEnded)
            assert isinstance(ended, LookEnded)
            looks.ended(ended)
            assert await found is True
            assert pool.step(circ_event(1, "BUILT", path), 1.0) == []

    asyncio.run(script())


def test_a_look_that_fails_is_not_tried_again() -> None:
    async def script() -> None:
        pool = pool_of(*GUARDS)
        looks = Looks(pool)
        found = looks.begin((GUARDS[3], EXIT))
        launch(pool, 1)
        (ended,) = of_kind(pool.step(circ_event(1, "FAILED", (), REFUSED), 1.0), LookEnded)
        assert isinstance(ended, LookEnded)
        looks.ended(ended)
        assert await found is False
        assert not pool.wanted

    asyncio.run(script())


def test_who_gives_up_tells_all_who_wait() -> None:
    async def script() -> None:
        pool = pool_of(*GUARDS)
        looks = Looks(pool)
        waiting, under_way = looks.begin((GUARDS[1], EXIT)), looks.begin((GUARDS[2], EXIT))
        launch(pool, 1)
        looks.give_up()
        assert (await waiting, await under_way) == (False, False)
        assert not pool.wanted

    asyncio.run(script())


def test_a_run_that_may_only_have_a_hop_that_is_aside_waits_for_it_while_others_go_on() -> None:
    pool = pool_of(*GUARDS[:1])
    for _ in range(2):
        pool.health.failed(GUARDS[0], 0.0, 0.0)
    pool.want("r", EXIT)
    assert pool.launch(1.0) == [], "no outage: nobody was asked, and others may be well"
    assert 0 < (pool.next_launch(1.0) or 0.0) <= 2.0
    pool.health.heard(GUARDS[0], 2.0)
    assert launch(pool, 1, 4.0).path == (GUARDS[0], EXIT)
