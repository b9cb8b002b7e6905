"""What a verdict says a second time is what its runs say, or a sentence tells the difference."""

from collections.abc import Callable

import pytest

from exitpin.orchestrator.audit.conclusions import LAYERS
from exitpin.orchestrator.results.check import is_same_fact
from exitpin.orchestrator.results.due import SAYS_NOTHING

from ..values import EXIT, OTHER_EXIT
from .shelf import Shelf

CLAIMS: dict[str, tuple[Callable[[Shelf], object], str]] = {
    "a run whose status is not its judgement": (
        lambda s: s.run.update(status="ok"),
        "s-0001: it says 'ok', and was judged 'tampered'",
    ),
    "a run of other parameters": (
        lambda s: s.run.update(tool={**s.run["tool"], "params": {"host": "x"}}),
        "its run s-0001 was of another question",
    ),
    "a question that its key is not": (
        lambda s: s.verdict["tool"]["params"].update(host="x"),
        "its key is not that of its tool, parameters and exit",
    ),
    "a lab's run on the real network": (
        lambda s: s.run.update(vantage={"kind": "lab", "name": "x"}),
        "its run s-0001 was made on another network",
    ),
    "a lab's control on the real network": (
        lambda s: s.control.update(vantage={"kind": "lab"}),
        "its control s-0002 was made on another network",
    ),
    "another name of the exit": (
        lambda s: s.verdict.update(exit={**s.verdict["exit"], "nickname": "innocent"}),
        "its run s-0001 tells of its exit something else",
    ),
    "another time of a run": (lambda s: s.run["t"].update(end=2000.0), "its run s-0001 ended at another time"),
    "a run that has no end and no failure": (
        lambda s: s.run["t"].update(end=None),
        "its run s-0001 ended at another time",
    ),
    "another time of a control": (lambda s: s.control["t"].update(end=9e9), "its control s-0002 ended at another time"),
    "doubts that are not told": (lambda s: s.run.update(doubts=["x"]), "its run s-0001 has other doubts"),
    "another reason of a run": (
        lambda s: s.verdict["runs"][0].update(reason="it steals"),
        "its run s-0001 was judged so for another reason",
    ),
    "another reason": (lambda s: s.verdict.update(reason="it steals"), "its reason is that of none of its runs"),
    "another rule": (lambda s: s.verdict.update(rule=7), "its rule is that of none of its runs"),
    "graver than its runs": (lambda s: s.verdict.update(severity="critical"), "it is 'critical', its runs are not"),
    "an accuser that blames the target": (
        lambda s: s.verdict.update(blame="target"),
        "it says suspect and blames 'targ",
    ),
    "a lie that failed": (lambda s: s.verdict.update(failure={}), "it says suspect, its failure something else"),
    "an accuser that lost its circuit": (
        lambda s: s.run.update(failure={"kind": "circuit-lost"}),
        "whose failure says nothing about the exit",
    ),
    "a command that asks another exit": (
        lambda s: s.verdict.update(reproduce=f"exitpin audit tls-cert -e {OTHER_EXIT}"),
        "the command that repeats it names another exit",
    ),
    "controls that are not named": (
        lambda s: s.verdict.update(controls=[]),
        "its run s-0001 was held against controls, and it names none",
    ),
    "a run that was told other facts": (
        lambda s: s.run["controls"][0].update(facts={"chain": ["other"]}),
        "its run s-0001 was told other facts of control s-0002",
    ),
    "a run that was held against another exit": (
        lambda s: s.run["controls"][0].update(exit="F" * 40),
        "its run s-0001 was held against another control s-0002",
    ),
    "counts that are none": (lambda s: s.verdict.update(lied=True), "which are no numbers"),
    "fewer witnesses than there are": (lambda s: s.run["streams"][0].update(witnesses=[]), "its witnesses are []"),
    "a look-up that is neither": (lambda s: s.run["streams"][0].update(is_lookup=0), "neither true nor false: 0"),
    "a number that is a truth": (lambda s: s.run["streams"][0].update(pid=True), "its pid True is no number"),
    "a circuit that is told twice": (
        lambda s: s.run["circuits"].append({**s.run["circuits"][0], "path": [EXIT, OTHER_EXIT]}),
        "circuit 7 stands in two places",
    ),
    "a circuit that was none": (lambda s: s.run["circuits"].append("x"), "a circuit of the record can't be read: 'x'"),
    "a run that was over before it began": (
        lambda s: s.run["t"].update(end=0.5),
        "stream 1: it was there after the run had ended",
    ),
    "broken, and no control is well": (
        lambda s: (s.judge("broken"), s.verdict.update(status="broken", controls=[])),
        "it says broken, and names no control that is well",
    ),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_what_is_claimed_of_whom_is_what_the_runs_say(name: str) -> None:
    change, sentence = CLAIMS[name]
    change(shelf := Shelf())
    problems = shelf.check().problems
    assert any(sentence in problem for problem in problems), problems


def test_what_was_hidden_many_times_is_compared_once() -> None:
    assert is_same_fact("(vantage):80 or (vantage)", "192.0.2.7:80 or 2001:db8::7")
    assert not is_same_fact("(vantage)" * 5_000 + "x", "1" * 60_000 + "y")
    nested: list[object] = ["x"]
    assert not is_same_fact([nested], [nested])


def test_a_failure_that_says_nothing_is_the_same_for_verdicts_and_for_who_checks_them() -> None:
    assert frozenset(LAYERS) == SAYS_NOTHING
