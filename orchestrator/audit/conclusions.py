"""What all runs through one exit say together: from attempts to a conclusion.

Pure. The worst evidence wins for what the exit changed, the best attempt for whether it carries anything at all; when
there is enough to conclude is `cases.py`'s.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..model import Failure
from ..tool import Status
from .verdict import Judgement, Observation

REACH_RUNS = 8
"""Failures before an exit counts as broken, without a success: who loses a third of all connections does that once in
6,500 times."""


class Role(StrEnum):
    """Why a run was made."""

    PROBE = "probe"
    RETRY = "retry"
    CONFIRM = "confirm"
    CONTROL = "control"
    REPLAY = "replay"
    SUPERSEDED = "superseded"
    """Asked again, and counts for nothing: of an interrupted scan that was resumed, or void (`voiding.py`)."""


LAYERS = {
    "attribution": "exitpin", "shim": "exitpin", "interrupted": "interrupted", "exec": "tool", "tor": "tor",
    "circuit": "circuit", "circuit-lost": "circuit", "clock": "exitpin", "parse": "parse",
}  # fmt: skip
"""The layer of a failure that says nothing about exit or target; every other kind is one of the stream."""


def says_nothing(failure: Failure | None) -> bool:
    """Whether a run that failed so tells nothing about its exit or its target."""
    return failure is not None and failure.kind in LAYERS


@dataclass(slots=True)
class Attempt:
    """One run that has ended. `observation` None: it says nothing about the exit, as `failure` tells. `doubts`: why its
    attribution can't be recomputed from the evidence; `judgement` None: it waits for controls; `repetition`: which of
    the runs of its role it is."""

    run_id: str
    role: Role
    ended_at: float
    observation: Observation | None
    failure: Failure | None = None
    judgement: Judgement | None = None
    doubts: tuple[str, ...] = ()
    repetition: int = 1

    @property
    def status(self) -> Status | None:
        return None if self.judgement is None else self.judgement.status

    @property
    def is_lie(self) -> bool:
        return self.judgement is not None and self.judgement.status.is_lie

    @property
    def is_unreached(self) -> bool:
        """Whether the tool got no usable answer, for reasons that may lie with the exit. An answer that a rule calls an
        error was carried all the same: that is the target's."""
        if self.judgement is None or self.observation is None or self.is_our_choice:
            return False
        if self.status is Status.BROKEN:
            return True
        seen = self.observation
        has_failed = seen.failure != "" or seen.timed_out or seen.exit_code != 0
        return self.status is Status.ERROR and not self.judgement.layer and has_failed

    @property
    def is_unsure(self) -> bool:
        """Whether controls could not say what the run has to be held against, or few of them bear it out."""
        if self.judgement is None or self.observation is None:
            return False
        return self.judgement.rests_on_few or (self.status is Status.ERROR and self.judgement.layer == "control")

    @property
    def is_our_choice(self) -> bool:
        """Whether the exit refused what its descriptor says that it refuses."""
        return self.failure is not None and self.failure.kind == "policy" and self.failure.blame == "local"

    @property
    def is_retryable(self) -> bool:
        if self.observation is None:
            return self.failure is not None and self.failure.retryable and self.failure.kind != "interrupted"
        return self.is_unreached


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The verdict on an exit, for one tool. `lied` of `of` runs that got an answer; `rule`: which of the tool's rules;
    `layer`: what failed, of an error; `blame` as in a failure; `is_interrupted`: more would have been asked, had
    the scan not been ended."""

    status: Status
    reason: str
    rule: int | None = None
    layer: str = ""
    blame: str = "unknown"
    retryable: bool = False
    lied: int = 0
    of: int = 0
    undecided: tuple[str, ...] = ()
    is_interrupted: bool = False

    def not_broken(self, why: str) -> "Conclusion":
        """The same runs of an exit that can't be called broken."""
        return Conclusion(Status.ERROR, f"{why}; {self.reason}", None, "stream", "unknown", True)


def conclude(attempts: Sequence[Attempt], *, is_out_of_reach: bool = False) -> Conclusion:
    """The conclusion of all runs of a case. `is_out_of_reach`: others reached the target before and after
    it last failed; else nobody can be called broken.

    A run whose attribution is in doubt has no observation, and accuses nobody: see `assessing.py`.
    """
    lies = [attempt for attempt in attempts if attempt.is_lie]
    honest = [attempt for attempt in attempts if attempt.status is Status.OK]
    if lies:
        return _conclude_lies(lies, len(lies) + len(honest))
    if honest:
        return _conclude_honest(honest, len(attempts))
    unreached = [attempt for attempt in attempts if attempt.is_unreached]
    if len(unreached) >= REACH_RUNS and is_out_of_reach:
        return _conclude_broken(unreached, len(attempts))
    return _conclude_error(attempts)


def _conclude_lies(lies: list[Attempt], heard: int) -> Conclusion:
    """One more lie makes `tampered` of a lie; a single one stays suspect."""
    worst = next((lie for lie in lies if lie.status is Status.TAMPERED), lies[0])
    assert worst.judgement is not None
    count, reason, status = len(lies), worst.judgement.reason, worst.judgement.status
    if count == 1:
        status = Status.SUSPECT
        note = "intermittent" if heard > 1 else "not confirmed: no other run got an answer"
        reason = f"{reason} ({note})"
    return Conclusion(
        status, reason, worst.judgement.rule, "", "exit", False, count, heard, worst.judgement.undecided
    )  # fmt: skip


def _conclude_honest(honest: list[Attempt], runs: int) -> Conclusion:
    judgement = honest[0].judgement
    assert judgement is not None
    reason = judgement.reason
    if len(honest) < runs:
        reason = f"{reason}; " if reason else ""
        reason += f"{runs - len(honest)} of {runs} runs got no answer"
    return Conclusion(Status.OK, reason, judgement.rule, "", "unknown", False, 0, len(honest), judgement.undecided)


def _conclude_broken(unreached: list[Attempt], runs: int) -> Conclusion:
    reason, rule = _most_common(unreached)
    sentence = f"{reason or 'no answer'}; {len(unreached)} runs of {runs}, while controls are well"
    return Conclusion(Status.BROKEN, sentence, rule, "", "exit", True, 0, 0)


def _conclude_error(attempts: Sequence[Attempt]) -> Conclusion:
    """An error names its most common layer; a failing control is named first, for it hides everything else."""
    judgements = [attempt.judgement for attempt in attempts if attempt.judgement is not None]
    if not judgements:
        return Conclusion(Status.ERROR, "it was not run", None, "exitpin", "local", True)
    layers = Counter(_layer(attempt) for attempt in attempts if attempt.judgement is not None)
    layer = "control" if layers["control"] else layers.most_common(1)[0][0]
    first = next(attempt for attempt in attempts if attempt.judgement is not None and _layer(attempt) == layer)
    assert first.judgement is not None
    blame = "target" if layer == "target" else first.failure.blame if first.failure is not None else "unknown"
    retryable = layer in ("exitpin", "tor", "circuit", "stream", "target", "control")
    return Conclusion(Status.ERROR, first.judgement.reason, first.judgement.rule, layer, blame, retryable)


def _layer(attempt: Attempt) -> str:
    """What failed: an answer that was carried and is none is the target's."""
    assert attempt.judgement is not None
    own = "stream" if attempt.is_unreached or attempt.is_our_choice else "target"
    return attempt.judgement.layer or own


def _most_common(attempts: list[Attempt]) -> tuple[str, int | None]:
    found = Counter((a.judgement.reason, a.judgement.rule) for a in attempts if a.judgement is not None)
    return found.most_common(1)[0][0]
