"""Tools that judge for themselves (`run.parse`): what they say, as facts that are read and rules that are asked.

Pure. `status`: a script says what it found, by `exitpin verdict` or by how it exits. `tap`: it prints the Test Anything
Protocol, in which `not ok` is a suspicion and never more. Either becomes rules like those of a file, so that what a
script says is confirmed, held against what it says through other exits, recorded and replayed like all other verdicts.

Whoever writes the output may be the exit. So an `ok` wants an exit status of 0, and nothing that speaks against it; a
lie wants to be said by whom no failure interrupted; all else is an error of the tool, whose failure accuses nobody
(under `set -e` a curl that finds no way ends a script). Called by `wrappers/tool_schema.py` and `verdict.py`.
"""

from collections.abc import Mapping
from typing import Final

from ..tool import Condition, Extract, Facts, Rule, Status
from .facts import text

STATUSES: Final[Mapping[Status, int]] = {Status.TAMPERED: 100, Status.SUSPECT: 101, Status.BROKEN: 102}
"""The accusations that an exit status can make."""

SHOWN_MAX: Final = 200
"""How much of what a script says a sentence of ours shows, in characters."""


def _accusations(status: Status, code: int) -> tuple[Rule, Rule]:
    """Said in words, and then by no other exit status; or by the exit status alone."""
    in_words = (Condition("verdict", "is", status.value), Condition("exit_code", "in", ("0", str(code))))
    by_exit = (Condition("exit_code", "is", code), Condition("verdict", "absent", True))
    by_exit_reason = f"the script says so by its exit status, {code}"
    return Rule(status, in_words, (), "{{reason}}"), Rule(status, by_exit, (), by_exit_reason)


_SUCCEEDS = Condition("exit_code", "is", 0)

EXTRACTS: Final[Mapping[str, tuple[Extract, ...]]] = {
    "status": (Extract("verdict", "facts"), Extract("reason", "facts")),
    "tap": (
        Extract("not_ok", "stdout", "tap", "not_ok", every=True),
        Extract("passed", "stdout", "tap", "passed", type="int"),
    ),
}
"""By `run.parse`, the facts that are read without being declared."""

RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "status": (
        *(rule for status, code in STATUSES.items() for rule in _accusations(status, code)),
        Rule(Status.OK, (_SUCCEEDS, Condition("verdict", "is", "ok"))),
        Rule(Status.OK, (_SUCCEEDS, Condition("verdict", "absent", True))),
    ),
    "tap": (
        Rule(
            Status.SUSPECT,
            (Condition("not_ok", "absent", False), Condition("failure", "absent", True)),
            (),
            "not ok: {{not_ok.0}} ({{not_ok.count}} not ok, {{passed}} ok)",
        ),
        Rule(
            Status.OK,
            (_SUCCEEDS, Condition("not_ok", "absent", True), Condition("passed", "gt", 0)),
            (),
            "{{passed}} ok",
        ),
    ),
}
"""By `run.parse`, the rules. What none of them speaks of is an error of the tool."""


def error_in_words(exit_code: int | None, facts: Facts) -> str:
    """Why a script that no rule speaks of says nothing about its exit."""
    ended = "it was ended by a signal" if exit_code is None else f"exit status {exit_code}"
    said, reason = facts.get("verdict"), facts.get("reason")
    if said == Status.ERROR:
        return text(reason)[:SHOWN_MAX] if reason is not None else ended
    if said is not None and exit_code == 0:
        return f"it says {text(said)[:SHOWN_MAX]}, which is no verdict"
    if said is not None:
        return f"it says {text(said)[:SHOWN_MAX]}, and then fails: {ended}"
    if exit_code == 0 and facts.get("passed") == 0:
        return "no test was made"
    return ended
