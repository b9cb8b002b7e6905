"""Cases played to their end: the driver's part, with answers in a given order."""

from collections.abc import Mapping

from exitpin.orchestrator.audit.cases import Attempt, Case, Conclusion, Role, StartRuns, WantControls, Wish
from exitpin.orchestrator.audit.verdict import Judgement, Observation
from exitpin.orchestrator.model import Failure
from exitpin.orchestrator.tool import Command, Confirm, Rule, Status, Tool

from ..values import relay

SEEN = Observation(0, None, False, "", {})
FAILED = Observation(7, None, False, "refused", {})
TOOL = Tool("t", "a tool", Command(("true",), retries=2), (Rule(Status.OK),), confirm=Confirm(runs=2))
OK = Judgement(Status.OK, "", 2)
FEW_SAY_OK = Judgement(Status.OK, "", 2, rests_on_few=True)
LIE = Judgement(Status.TAMPERED, "another leaf", 0)
DOUBTFUL = Judgement(Status.SUSPECT, "a leaf no control saw", 1)
NO_ANSWER = Judgement(Status.ERROR, "curl exit 7", 0)
BROKEN = Judgement(Status.BROKEN, "NXDOMAIN", 0)
NO_CONTROL = Judgement(Status.ERROR, "controls disagree", None, "control")
LOST = Failure("circuit-lost", "circuit", True, "gone")


class Stage:
    """Plays the driver: carries out what a case wishes, with answers in a given order."""

    def __init__(self, case: Case, answers: list[Judgement | Failure], rejudge: Mapping[int, Judgement] | None = None):
        self.case, self.answers, self.rejudge = case, answers, rejudge or {}
        self.runs: list[Role] = []
        self.controls: list[WantControls] = []
        self.conclusion: Conclusion | None = None

    def play(self) -> Conclusion:
        self.take(self.case.begin())
        ended = 0
        for _ in range(100):
            if self.conclusion is not None:
                return self.conclusion
            if ended < len(self.runs):
                self.end(ended)
                ended += 1
            else:
                heard = [attempt for attempt in self.case.in_question if attempt.observation is not None]
                again = {a.run_id: self.rejudge.get(int(a.run_id), a.judgement or OK) for a in heard}
                self.take(self.case.judged(again, is_fresh=True))
        raise AssertionError("the case never ended")

    def end(self, number: int) -> None:
        answer = self.answers[number] if number < len(self.answers) else self.answers[-1]
        is_heard = isinstance(answer, Judgement)
        failure = None if is_heard else answer
        seen = (FAILED if answer is NO_ANSWER else SEEN) if is_heard else None
        attempt = Attempt(str(number), self.runs[number], float(number), seen, failure)  # type: ignore[arg-type]
        self.take(self.case.ended(attempt))
        if is_heard:
            self.take(self.case.judged({str(number): answer}, is_fresh=False))  # type: ignore[dict-item]

    def take(self, wishes: list[Wish]) -> None:
        for wish in wishes:
            if isinstance(wish, StartRuns):
                self.runs += [wish.role] * len(wish.repetitions)
            elif isinstance(wish, WantControls):
                self.controls.append(wish)
            else:
                assert self.conclusion is None, "two conclusions"
                self.conclusion = wish


def play(*answers: Judgement | Failure, repeat: int = 1, tool: Tool = TOOL, **more: object) -> tuple[Conclusion, Stage]:
    stage = Stage(Case(tool, relay(1), repeat), list(answers), **more)  # type: ignore[arg-type]
    return stage.play(), stage
