"""Which run may start now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from exitpin.orchestrator.allowance import Unlimited
from exitpin.orchestrator.audit.schedule import WINDOW, Limits, Schedule
from exitpin.orchestrator.model import Destination, Fingerprint


@dataclass(frozen=True, eq=False)
class Errand:
    exit: Fingerprint = field(default_factory=lambda: Fingerprint("A"))
    destinations: tuple[Destination, ...] = ()
    urgency: int = 2
    name: int = field(default=0)


def a_schedule(jobs: int = 4, per_exit: int = 4, spacing_s: float = 0.0, jitter_s: float = 0.0) -> Schedule[Errand]:
    return Schedule(Limits(jobs, per_exit, spacing_s, jitter_s), Random(1))


def test_no_more_run_at_a_time_than_allowed() -> None:
    schedule = a_schedule(jobs=2)
    for _ in range(3):
        schedule.add(Errand())
    first, second = schedule.take(0), schedule.take(0)
    assert first and second
    assert schedule.take(0) is None
    schedule.ended(first, True)
    assert schedule.take(0) is not None


def test_confirmations_come_before_controls_and_controls_before_probes() -> None:
    schedule = a_schedule()
    for urgency in (2, 1, 0):
        schedule.add(Errand(urgency=urgency))
    assert [job.urgency for _ in range(3) if (job := schedule.take(0))] == [0, 1, 2]


def test_an_exit_has_no_more_than_its_share() -> None:
    schedule = a_schedule(per_exit=1)
    schedule.add(Errand(Fingerprint("A")))
    schedule.add(Errand(Fingerprint("A")))
    schedule.add(Errand(Fingerprint("B")))
    taken = [schedule.take(0), schedule.take(0), schedule.take(0)]
    assert sorted(job.exit for job in taken if job) == ["A", "B"]
    assert schedule.next_at(0) is None


def test_two_starts_towards_one_destination_are_apart() -> None:
    schedule = a_schedule(spacing_s=3.0, jitter_s=1.0)
    place = (Destination("web.test", 80),)
    schedule.add(Errand(destinations=place))
    schedule.add(Errand(Fingerprint("B"), destinations=place))
    schedule.add(Errand(Fingerprint("C"), destinations=(Destination("ssh.test", 22),)))
    assert schedule.take(10.0) is not None
    assert schedule.take(10.0) is not None
    assert schedule.take(10.0) is None
    again = schedule.next_at(10.0)
    assert again is not None and 13.0 <= again <= 14.0
    assert schedule.take(again) is not None


def test_probes_start_in_random_order() -> None:
    def order(seed: int) -> list[int]:
        schedule = Schedule[Errand](Limits(100, 100, 0, 0), Random(seed))
        for name in range(20):
            schedule.add(Errand(name=name))
        return [job.name for _ in range(20) if (job := schedule.take(0))]

    assert sorted(order(1)) == list(range(20))
    assert order(1) == order(1)
    assert order(1) != order(2) != list(range(20))


def test_exits_of_a_lower_rank_come_first_and_equals_in_random_order() -> None:
    ranks = {Fingerprint(letter): rank for rank, letter in enumerate("CAB")}
    schedule = Schedule[Errand](Limits(100, 100, 0, 0), Random(1), ranks)
    for letter in "ABCABC":
        schedule.add(Errand(Fingerprint(letter)))
    schedule.add(Errand(Fingerprint("B"), urgency=1))
    taken = [job.exit for _ in range(7) if (job := schedule.take(0))]
    assert taken == ["B", "C", "C", "A", "A", "B", "B"]


def test_when_most_circuits_fail_fewer_runs_are_started_and_more_again_later() -> None:
    schedule = a_schedule(jobs=16, per_exit=100)
    for _ in range(WINDOW):
        schedule.add(Errand())
        job = schedule.take(0)
        assert job
        schedule.ended(job, False)
    assert (schedule.capacity, schedule.halvings) == (8.0, 1)
    for _ in range(200):
        schedule.add(Errand())
        job = schedule.take(0)
        assert job
        schedule.ended(job, True)
    assert schedule.capacity == 16.0


def test_some_relays_that_can_not_be_reached_slow_nothing_down() -> None:
    schedule = a_schedule(jobs=16, per_exit=100)
    for number in range(500):
        schedule.add(Errand())
        job = schedule.take(0)
        assert job
        schedule.ended(job, number % 4 != 0)
    assert schedule.halvings == 0


def test_a_stopped_schedule_gives_back_what_never_started() -> None:
    schedule = a_schedule(jobs=1)
    schedule.add(Errand())
    schedule.add(Errand())
    assert schedule.take(0) is not None
    assert len(schedule.stop()) == 1
    assert schedule.take(0) is None
    assert schedule.waiting == 0


class Shared(Unlimited):
    """What other processes started: how long each destination is closed."""

    def __init__(self, **closed: float) -> None:
        self.closed = closed
        self.taken: list[Destination] = []
        self.begun: list[Destination] = []

    def take_run(self, destinations: Sequence[Destination]) -> Mapping[Destination, float]:
        waits = {one: self.closed[one.host] for one in destinations if self.closed.get(one.host)}
        self.taken += [] if waits else destinations
        return waits

    def began(self, destinations: Sequence[Destination]) -> None:
        self.begun += destinations


def test_a_run_waits_for_what_others_started_and_lets_those_pass_that_need_not() -> None:
    shared, web, ssh = Shared(web=60.0), Destination("web", 80), Destination("ssh", 22)
    schedule = Schedule[Errand](Limits(4, 4, 0.0, 0.0), Random(1), starts=shared)
    for places in ((web,), (web, ssh), (ssh,)):
        schedule.add(Errand(destinations=places))
    taken = schedule.take(10.0)
    assert taken is not None and taken.destinations == (ssh,)
    assert schedule.take(10.0) is None and schedule.next_at(10.0) == 70.0
    assert shared.taken == [ssh]
    shared.closed.clear()
    assert schedule.take(70.0) and schedule.take(70.0) and shared.taken.count(web) == 2


def test_a_run_begins_once_for_others_be_it_that_its_tool_starts_or_that_it_never_will() -> None:
    shared, web = Shared(), Destination("web", 80)
    schedule = Schedule[Errand](Limits(4, 4, 0.0, 0.0), Random(1), starts=shared)
    for _ in range(2):
        schedule.add(Errand(destinations=(web,)))
    first, second = schedule.take(0.0), schedule.take(0.0)
    assert first and second and shared.begun == []
    schedule.began(first)
    schedule.ended(first, True)
    assert shared.begun == [web]
    schedule.ended(second, False)
    assert shared.begun == [web, web]
