"""A case: one tool against one exit, from its first run to its verdict.

Theory. A case wants runs and controls, and is told what came of them; it decides when to ask again, and what all of it
says together.

  PROBING     -> CONFIRMING  a run lied, or every run failed in a way that may be the exit's fault
  PROBING    --> DONE        every run is judged, and there is nothing to confirm
  CONFIRMING --> DONE        every run is judged, and judged again by controls that are younger than the finding

Two questions, two ways to add runs up. *Integrity*: did the exit change what it carried? The worst evidence wins: one
more lie makes `tampered` of a lie, and no honest run takes it back ("k of n runs lied"). *Reachability*: does the exit
carry it at all? The best attempt wins: `broken` needs REACH_RUNS failures and no success. A target that was away looks
the same from everywhere: so the last of them comes after controls that were well, and before others that are. A run
that says nothing about the exit (its circuit was lost, its attribution is in doubt) counts for neither.
Re-checked controls may show that what looked like a lie is one of the target's own answers: then it was none. That is
not an acquittal by honest runs, of which there can be any number.

Pure; called by `auditing.py`, which runs, extracts and judges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import count, islice

from ..model import Failure, Relay
from ..tool import Status, Tool
from .conclusions import LAYERS, REACH_RUNS, Attempt, Conclusion, Role, conclude, says_nothing
from .verdict import Judgement, compares

__all__ = ["Attempt", "Case", "Conclusion", "Phase", "Role", "StartRuns", "WantControls", "Wish", "says_nothing"]

RECHECK_CONTROLS = 26
"""How many controls a lie is held against: a target that answers in two ways at random shows each of them to as many as
have to agree (`agreement.SHARE`), but for once in 11,000 times."""


LATE_S = 60.0
"""How much later than the wish for fresh controls a lie may come and still be held against them."""

WITHOUT_OTHERS = ("none", "pinned")
"""Baselines that nobody has to be asked for."""


class Phase(StrEnum):
    """Where a case stands; forward only."""

    PROBING = "probing"
    CONFIRMING = "confirming"
    DONE = "done"


# Wishes of a case.


@dataclass(frozen=True, slots=True)
class StartRuns:
    """Runs of the tool through the exit, each on a fresh circuit. `repetitions`: one number for each, unique among all
    runs of the case with that role."""

    role: Role
    repetitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WantControls:
    """Controls to judge by. `fresh_after`: enough of them must have ended after that time; `at_least`: so many in all,
    if they can be had."""

    fresh_after: float | None = None
    at_least: int = 0


Wish = StartRuns | WantControls | Conclusion


@dataclass(slots=True, eq=False)
class Case:
    """One tool against one exit. `repeat`: how many probes. Of an earlier session: `confirmed`, how many confirmations
    it made; `answered`, how many retries, which nobody has to ask for again; `certain`, lies that it had held against
    as many controls as a finding wants. `has_asked_many`: whether probes that could not be judged are held against as
    many, too. `once_more`: how many attempts there were when controls were well and the exit was asked again."""

    tool: Tool
    exit: Relay
    repeat: int = 1
    phase: Phase = Phase.PROBING
    attempts: list[Attempt] = field(default_factory=list)
    expected: int = 0
    retried: int = 0
    is_rechecked: bool = True
    fresh_after: float | None = None
    has_asked_many: bool = False
    confirmed: int = 0
    answered: int = 0
    certain: list[Attempt] = field(default_factory=list)
    once_more: int | None = None
    _asked: dict[Role, set[int]] = field(default_factory=dict)

    def begin(self, known: Sequence[Attempt] = ()) -> list[Wish]:
        """The first runs. `known`: attempts of an earlier session that are not asked for again; each is then to be told
        of by `ended`, or by `recalled` if it was judged."""
        for attempt in known:
            self._asked.setdefault(attempt.role, set()).add(attempt.repetition)
        self.expected = len(known)
        self.retried = self.answered = sum(attempt.role is Role.RETRY for attempt in known)
        self.confirmed = sum(attempt.role is Role.CONFIRM for attempt in known)
        missing = self.repeat - len(self._asked.get(Role.PROBE, ()))
        return [*([self._more(Role.PROBE, missing)] if missing > 0 else []), WantControls()]

    def recalled(self, attempt: Attempt) -> list[Wish]:
        """A run of an earlier session whose judgement holds: of a lie, since it was held against many controls."""
        self.expected -= 1
        self.attempts.append(attempt)
        if attempt.is_lie and self._rests_on_controls(attempt):
            self.certain.append(attempt)
        return self._consider([attempt])

    def ended(self, attempt: Attempt) -> list[Wish]:
        """A run has ended. One that says nothing about the exit needs no judge."""
        self.expected -= 1
        self.attempts.append(attempt)
        if attempt.observation is None:
            failure = attempt.failure or Failure("tor", "local", True, "it ended without a reason")
            layer = LAYERS.get(failure.kind, "exitpin")
            attempt.judgement = Judgement(Status.ERROR, f"{failure.kind}: {failure.detail}", None, layer)
            return self._consider([attempt])
        return []

    def judged(self, judgements: Mapping[str, Judgement], *, is_fresh: bool) -> list[Wish]:
        """Judgements of runs, by run id. `is_fresh`: by controls that satisfy the last WantControls."""
        told = []
        for attempt in self.attempts:
            if attempt.run_id in judgements:
                attempt.judgement = judgements[attempt.run_id]
                told.append(attempt)
        self.is_rechecked = self.is_rechecked or is_fresh
        return self._consider(told)

    def without_controls(self, why: str) -> list[Wish]:
        """There will be no (fresh) controls: what needs them can't be judged."""
        failed = Judgement(Status.ERROR, f"no controls: {why}", None, "control")
        self.has_asked_many = True
        for attempt in self.attempts:
            if attempt.judgement is None or (not self.is_rechecked and attempt.status is not Status.OK):
                attempt.judgement = failed
        self.is_rechecked = True
        return self._consider([])

    def abandon(self, *, is_trusted: bool = True) -> list[Wish]:
        """Nothing more will be run. A lie is told as far as it is certain: as suspect while it was not confirmed, and
        not at all while it rests on the few controls that a probe is held against: a target of several answers may
        have given all of them the same. All else is open. `is_trusted`: what was seen until now can be believed."""
        if self.phase is Phase.DONE:
            return []
        self.phase = Phase.DONE
        for attempt in self.waiting:
            attempt.judgement = Judgement(Status.ERROR, "interrupted before it was judged", None, "interrupted")
        if not is_trusted and self.certain:
            known = conclude(self.certain)
            return [replace(known, status=Status.SUSPECT, is_interrupted=True)]
        if is_trusted and any(attempt.is_lie for attempt in self.attempts):
            known = conclude(self.attempts)
            if not known.status.is_lie or (self.is_rechecked and not self.expected and not self.is_cut_short):
                return [known]
            if self.is_rechecked or self.certain or not all(map(self._rests_on_controls, self.attempts)):
                reason = f"{known.reason} (interrupted before it was confirmed)"
                return [replace(known, status=Status.SUSPECT, reason=reason, is_interrupted=True)]
            reason = f"{known.reason} (interrupted before enough controls were asked)"
            return [_interrupted(reason, known.rule)]
        return [_interrupted("interrupted before it was known")]

    @property
    def waiting(self) -> list[Attempt]:
        """The runs that have not been judged."""
        return [attempt for attempt in self.attempts if attempt.judgement is None]

    @property
    def is_cut_short(self) -> bool:
        """Whether a run of it was ended before its time: it is still to be made."""
        return any(attempt.failure is not None and attempt.failure.kind == "interrupted" for attempt in self.attempts)

    @property
    def in_question(self) -> list[Attempt]:
        """What a recheck may change: an answer that was the target's at its time stays that, whatever controls see
        now."""
        return [attempt for attempt in self.attempts if attempt.status is not Status.OK]

    # What follows.

    def _consider(self, told: list[Attempt]) -> list[Wish]:
        if self.phase is Phase.DONE:
            return []
        wishes = self._retries(told)
        lies = [attempt for attempt in told if attempt.is_lie]
        if lies and self.phase is Phase.PROBING:
            runs = max(0, self.tool.confirm.runs - self.confirmed)
            wishes += self._confirm(max(lie.ended_at for lie in lies), runs, RECHECK_CONTROLS)
        if self.expected or self.waiting:
            return wishes
        if self.phase is Phase.PROBING:
            if self._is_told_by_too_few():
                return [*wishes, WantControls(at_least=RECHECK_CONTROLS)]
            if unreached := self._unreached():
                missing = max(0, REACH_RUNS - 1 - len(unreached))
                wishes += self._confirm(max(a.ended_at for a in self.attempts), missing, 0)
        if self.phase is Phase.CONFIRMING and self.is_rechecked and not self.expected:
            wishes += self._recheck_late_lies() or self._once_more()
        if self.expected or not self.is_rechecked:
            return wishes
        if self.is_cut_short:
            return [*wishes, *self.abandon()]
        self.phase = Phase.DONE
        return [*wishes, conclude(self.attempts, is_out_of_reach=self._fails_still())]

    def _is_told_by_too_few(self) -> bool:
        """Whether the controls that a probe is held against did not agree, or few of them bear out an `ok`: liars among
        the first few, or several answers of the target's. Once as many as a finding wants are asked, and the runs
        judged anew."""
        unsure = [attempt for attempt in self.attempts if attempt.is_unsure]
        if self.has_asked_many or not unsure or not self._can_recheck():
            return False
        self.has_asked_many = True
        for attempt in unsure:
            attempt.judgement = None
        return True

    def _recheck_late_lies(self) -> list[Wish]:
        """A lie that came long after the controls were asked is held against younger ones."""
        latest = max((attempt.ended_at for attempt in self.attempts if attempt.is_lie), default=0.0)
        if self.fresh_after is None or latest <= self.fresh_after + LATE_S:
            return []
        return self._confirm(latest, 0, RECHECK_CONTROLS)

    def _can_recheck(self) -> bool:
        return self.tool.baseline.mode not in WITHOUT_OTHERS

    def _retries(self, told: list[Attempt]) -> list[Wish]:
        """All retries that are left for a run that failed; when confirming, one for a run that says nothing.

        They are made side by side: who waits for a dead resolver three times in a row waits for minutes.
        """
        wishes: list[Wish] = []
        for attempt in told:
            left = self.tool.command.retries - self.retried
            if attempt.is_retryable and attempt.observation is None and self.answered:
                self.answered -= 1
            elif attempt.is_retryable and left > 0 and (attempt.observation is None or self.phase is Phase.PROBING):
                count = 1 if attempt.observation is None else left
                self.retried += count
                wishes.append(self._more(Role.RETRY, count))
        return wishes

    def _confirm(self, after: float, runs: int, controls: int) -> list[Wish]:
        """On to CONFIRMING: so many runs more, and controls that are younger than `after`."""
        self.phase = Phase.CONFIRMING
        wishes: list[Wish] = [self._more(Role.CONFIRM, runs)] if runs else []
        if self.tool.confirm.recheck_baseline and self._can_recheck():
            self.is_rechecked = False
            self.fresh_after = after
            wishes.append(WantControls(after, controls))
        return wishes

    def _once_more(self) -> list[Wish]:
        """Controls are well: an exit that only its target was away from answers now. If not, are they well after it?"""
        unreached = self._unreached()
        if not unreached:
            return []
        if self.once_more is None:
            self.once_more = len(self.attempts)
            return [self._more(Role.CONFIRM, 1)]
        latest = max(attempt.ended_at for attempt in unreached)
        return self._confirm(latest, 0, 0) if self.fresh_after is None or self.fresh_after < latest else []

    def _unreached(self) -> list[Attempt]:
        """The failures that may make the exit broken; none when that is not the question."""
        heard = any(a.status is Status.OK or a.is_lie or a.is_our_choice for a in self.attempts)
        if heard or Status.BROKEN not in self.tool.confirm.statuses or not self._can_recheck():
            return []
        return [attempt for attempt in self.attempts if attempt.is_unreached]

    def _fails_still(self) -> bool:
        """Whether it failed after controls were well."""
        return self.once_more is not None and any(a.is_unreached for a in self.attempts[self.once_more :])

    def _rests_on_controls(self, attempt: Attempt) -> bool:
        """Whether it is no lie but for a comparison."""
        rule = None if attempt.judgement is None else attempt.judgement.rule
        return not attempt.is_lie or rule is None or compares(self.tool.verdict[rule])

    def _more(self, role: Role, runs: int) -> StartRuns:
        self.expected += runs
        asked = self._asked.setdefault(role, set())
        numbers = tuple(islice((number for number in count(1) if number not in asked), runs))
        asked.update(numbers)
        return StartRuns(role, numbers)


def _interrupted(reason: str, rule: int | None = None) -> Conclusion:
    return Conclusion(Status.ERROR, reason, rule, "interrupted", "local", True, is_interrupted=True)
