"""The driver of a scan: errands are started as the schedule allows, what they bring is assessed, cases decide.

One loop owns all of it. Nothing here decides what a run means (`verdict.py`), what runs mean together (`cases.py`), or
when one may start (`schedule.py`): it carries their wishes to the session, and what came of them back. Controls are
`controlling.py`'s. Called by `exitpin audit`, the lab's demo, and simulations, which bring their own ports.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from ..loop import Session
from ..model import Failure, Run
from ..ports import Launch
from ..runs import Life
from ..tool import Status
from ..witness import Witness
from .assessing import Assessor, Ended, ended_run
from .cases import Case, Conclusion, Phase, Role, StartRuns, WantControls, Wish
from .controlling import Outlook, Warden
from .errands import NOBODY, Audit, Errand, Place, Places, Terms, make_run
from .keys import key_of
from .ledger import Ledger
from .params import run_destinations
from .recalling import Recalled, Recollection
from .schedule import Schedule
from .tasks import Tasks
from .voiding import AGAIN_MAX, PolicyOf, hops_in_doubt, is_circuit_well, why_not_broken, why_void

DRAINED = "the scan was told to end before there was a circuit"


class Auditor:
    """Carries out the cases of a scan. `session` calls `finished` for each run; `serve` returns when all are closed."""

    def __init__(
        self, terms: Terms, schedule: Schedule[Errand], assessor: Assessor, witness: Witness, ledger: Ledger,
        rng: Random, policy_of: PolicyOf | None = None,
    ) -> None:  # fmt: skip
        self._terms, self._policy_of = terms, policy_of
        self._schedule, self._assessor = schedule, assessor
        self._witness, self._ledger = witness, ledger
        self._loop = asyncio.get_running_loop()
        self._session: Session | None = None
        self._warden = Warden(self._add, self._see_directly, self._look_again, rng)
        self._cases: dict[Case, Audit] = {}
        self._ended: dict[Case, list[Ended]] = {}
        self._errands: dict[str, tuple[Errand, Place, dict[str, str]]] = {}
        self._tasks = Tasks(self._loop)
        self._judging: set[Case] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._places = Places(terms.scan_id, terms.scratch, rng, terms.first_index)
        self.is_draining = False
        self.verdicts: Counter[Status] = Counter()
        self.runs_done = 0

    @property
    def running(self) -> int:
        """Runs under way."""
        return len(self._errands)

    @property
    def open_cases(self) -> int:
        """Cases without a verdict."""
        return len(self._cases)

    async def serve(
        self, session: Session, cases: Iterable[tuple[Audit, Case]], recollection: Recollection | None = None
    ) -> None:
        """Carry out all cases. `recollection`: what an earlier session left of this scan. Raises what went wrong
        inside, after everything was ended."""
        self._session = session
        session.on_trust_lost = self.abort
        known = recollection or Recollection()
        for audit, case in cases:
            self._cases[case], self._ended[case] = audit, []
        for case, audit in list(self._cases.items()):
            self._begin(audit, case, known.runs.get(key_of(audit, case.exit), []))
        if self.is_draining:  # it was told to end before there were cases
            (self.drain if session.trust_lost is None else self.abort)()
        self._settle()
        try:
            await session.serve()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._tasks.cancel()

    def _begin(self, audit: Audit, case: Case, known: Sequence[Recalled]) -> None:
        """Ask for the first runs, but for those that are known."""
        attempts = [one.ended.attempt(one.role, one.repetition) for one in known]
        self._perform(case, case.begin(attempts))
        for one, attempt in zip(known, attempts, strict=True):
            self._ended[case].append(one.ended)
            self._perform(case, case.ended(attempt) if attempt.judgement is None else case.recalled(attempt))
            one.ended.judgement = attempt.judgement
        if known and case in self._cases:
            self._look_again(case)

    def drain(self, why: str = DRAINED) -> None:
        """Start nothing new; tools that run may end. Cases that can't be closed any more are told as they stand."""
        self.is_draining = True
        for errand in self._schedule.stop():
            self._never(errand)
        if self._session is not None:
            self._session.interrupt(why, spares_tools=True)
        for case in list(self._cases):
            self._close_if_abandoned(case)
        self._settle()

    def abort(self) -> None:
        """What comes now proves nothing: leave open cases to whoever goes on with the scan, and let the session end."""
        self.is_draining = True
        self._schedule.stop()
        try:
            for case in list(self._cases):
                self._perform(case, case.abandon(is_trusted=False))
        finally:  # it may be the ledger that fails
            if self._session is not None:
                self._session.finish()

    # Runs.

    def _add(self, errand: Errand) -> None:
        (self._never if self.is_draining else self._schedule.add)(errand)

    def _never(self, errand: Errand) -> None:
        """An errand that will not be run: a case is told through `_close_if_abandoned`, the controls here."""
        if errand.case is None:
            self._warden.failed(errand, "interrupted")

    def _pump(self) -> None:
        """Start what may start now, and come back when more may."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ledger.wait_for_disk(self._pump):
            return
        now = self._loop.time()
        while (errand := self._schedule.take(now)) is not None:
            self._start(errand)
        if (again := self._schedule.next_at(now)) is not None:
            self._timer = self._loop.call_at(again, self._pump)

    def _start(self, errand: Errand) -> None:
        assert self._session is not None
        place, values = self._places.next(errand)
        doors = run_destinations(errand.audit.tool, values, errand.relay)
        self._errands[place.run_id] = errand, place, values
        self._session.start(make_run(errand, place, values, doors, self._terms.timeout_max_s))

    def begun(self, run_id: str) -> None:
        """The session's word that the tool of a run is about to start."""
        self._schedule.began(self._errands[run_id][0])

    def finished(self, life: Life, launch: Launch | None) -> None:
        """The session's word that a run is over."""
        run_id = life.run.run_id
        errand, place, values = self._errands[run_id]
        ended = ended_run(life, launch, values, self._terms.shared)
        entries = self._witness.of(run_id, life.circuit_ids)
        self._schedule.ended(errand, is_circuit_well(ended.failure, was_built=bool(life.circuits)))
        self._tasks.spawn(self._assess(errand, place, ended, entries, self._loop.time()))
        self._pump()

    async def _assess(self, errand: Errand, place: Place, ended: Ended, entries: Sequence[Any], at: float) -> None:
        tool = errand.audit.tool
        void = await why_void(self._session, ended.failure, ended.last_path, at) if self._session else None
        if void is not None:
            ended.failure = Failure("interrupted", "local", True, void.detail) if self.is_draining else void
        await self._assessor.read(tool, ended, entries, place.directory, is_control=errand.case is None)
        if errand.case is None:
            ended.unusable = await self._assessor.control_problem(tool, ended)
        del self._errands[ended.run_id]  # the scan may end from here on: what follows waits for nothing
        self.runs_done += 1
        is_made_again = void is not None and self._make_again(errand, ended)
        if errand.case in self._cases and not is_made_again:
            self._take(errand.case, ended, errand)
        elif not is_made_again:
            self._ledger.run(errand, ended)
            if errand.case is None:
                self._warden.ended(errand, ended, ended.unusable)
        self._settle()

    def _make_again(self, errand: Errand, ended: Ended) -> bool:
        """A run that is void is made again, as long as somebody waits for it."""
        is_wanted = bool(self._cases) if errand.case is None else errand.case in self._cases
        if not is_wanted or self.is_draining or errand.again >= AGAIN_MAX:
            return False
        self._ledger.run(replace(errand, role=Role.SUPERSEDED), ended)
        self._add(replace(errand, again=errand.again + 1))
        return True

    def _take(self, case: Case, ended: Ended, errand: Errand) -> None:
        """A run of an open case: written down before anybody has judged it, for it has ended and may not be lost."""
        self._ended[case].append(ended)
        attempt = ended.attempt(errand.role, errand.repetition)
        wishes = case.ended(attempt)
        ended.judgement = attempt.judgement
        self._ledger.run(errand, ended)
        self._perform(case, wishes)
        self._look_again(case)
        self._close_if_abandoned(case)

    def _see_directly(self, audit: Audit) -> None:
        errand = Errand(audit, NOBODY, Role.CONTROL)
        place, values = self._places.next(errand)
        run = make_run(errand, place, values, audit.destinations, self._terms.timeout_max_s)
        self._tasks.spawn(self._control_directly(audit, run, values))

    async def _control_directly(self, audit: Audit, run: Run, values: dict[str, str]) -> None:
        self._warden.seen_directly(audit, *await self._assessor.see_directly(audit.tool, run, values))
        self._settle()

    # Judging.

    def _look_again(self, case: Case) -> None:
        """Judge what waits, if its controls are there; later, if somebody judges it at this moment."""
        if case.phase is Phase.DONE or case in self._judging or (case.is_rechecked and not case.waiting):
            return
        outlook = self._warden.outlook(self._cases[case], case)
        if outlook.hopeless is not None and self.is_draining:
            self._close_if_abandoned(case)  # a lie that was seen is no less of one because nobody may ask any more
        elif outlook.hopeless is not None:
            self._perform(case, case.without_controls(outlook.hopeless))
            self._look_again(case)
            self._settle()
        elif outlook.is_enough and (case.waiting or (outlook.is_fresh and not case.is_rechecked)):
            self._judging.add(case)
            self._tasks.spawn(self._judge(case, outlook))

    async def _judge(self, case: Case, outlook: Outlook) -> None:
        audit, runs = self._cases[case], self._ended[case]
        again = not case.is_rechecked and outlook.is_fresh
        wanted = {attempt.run_id for attempt in (case.in_question if again else case.waiting)}
        chosen = [ended for ended in runs if ended.run_id in wanted]
        fresh = outlook.fresh if again else None
        judgements = await self._assessor.judge(audit.tool, chosen, outlook.controls, fresh)
        self._judging.discard(case)
        if case not in self._cases:
            return
        for ended in chosen:
            if ended.run_id in judgements:
                ended.judgement, ended.controls = judgements[ended.run_id], outlook.controls
                self._ledger.run(Errand.of_run(audit, case, ended.run_id), ended)
        self._perform(case, case.judged(judgements, is_fresh=again))
        self._look_again(case)
        self._close_if_abandoned(case)
        self._settle()

    # Wishes.

    def _perform(self, case: Case, wishes: Sequence[Wish]) -> None:
        audit = self._cases[case]
        for wish in wishes:
            if isinstance(wish, StartRuns):
                avoid = hops_in_doubt(case, self._ended[case]) if wish.role is Role.CONFIRM else frozenset()
                for repetition in wish.repetitions:
                    self._add(Errand(audit, case.exit, wish.role, case, avoid, repetition))
            elif isinstance(wish, WantControls):
                self._warden.want(audit, case, wish)
            elif wish.status is Status.BROKEN and self._policy_of is not None:
                case.phase = Phase.CONFIRMING  # while tor is asked it can be abandoned
                self._tasks.spawn(self._conclude_broken(case, wish, self._policy_of))
            else:
                self._conclude(case, wish)

    async def _conclude_broken(self, case: Case, conclusion: Conclusion, policy_of: PolicyOf) -> None:
        why_not = await why_not_broken(case.exit, policy_of)
        if case in self._cases:
            case.phase = Phase.DONE
            self._conclude(case, conclusion if why_not is None else conclusion.not_broken(why_not))
            self._settle()

    def _conclude(self, case: Case, conclusion: Conclusion) -> None:
        audit, runs = self._cases.pop(case), self._ended.pop(case)
        self._warden.forget(audit, case)
        self.verdicts[conclusion.status] += 1
        attempts = {attempt.run_id: attempt for attempt in case.attempts}
        for ended in runs:  # what the case said of a run by itself, for want of controls or of time
            if attempts[ended.run_id].judgement is not ended.judgement:
                ended.judgement = attempts[ended.run_id].judgement
                self._ledger.run(Errand.of_run(audit, case, ended.run_id), ended)
        self._ledger.verdict(audit, case, conclusion, runs)

    def _close_if_abandoned(self, case: Case) -> None:
        """While draining: a case none of whose runs is under way will never hear of the others."""
        if not self.is_draining or case not in self._cases or case in self._judging:
            return
        if not any(errand.case is case for errand, _, _ in self._errands.values()):
            self._perform(case, case.abandon())

    def _settle(self) -> None:
        """Start what may start; when nothing is open any more, let the session end."""
        self._pump()
        if not self._cases and not self._errands and self._session is not None:
            self._session.finish()
