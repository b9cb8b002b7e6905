"""What a verdict may say, going by the runs that it names. Pure.

The rules by which verdicts are reached are `audit/conclusions.py`'s, which this may not know; these are the same in
other words, as far as statuses of runs tell (tests hold the two against each other). Called by `check_verdict.py`.

  a lie, and another   tampered if one of them is, else suspect
  a single lie         suspect
  an honest run        ok
  none of these        broken after many runs that got no answer; else an error
  no run at all        skipped, or an error

Of a scan that was interrupted a verdict may say less than that, never more: a lie is suspect, or nothing is known. A
finding that nobody could be asked to confirm afterwards stays that.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

LIES = ("tampered", "suspect")
CLOSED_BY = ("policy", "gone")
"""The layer of a finding that an interruption left open, and that was closed as it was."""
SAYS_NOTHING = frozenset(
    ("attribution", "shim", "interrupted", "exec", "tor", "circuit", "circuit-lost", "clock", "parse")
)  # kinds of failures
UNREACHED_MIN = 8
"""Runs without an answer before an exit is called broken."""

Json = Mapping[str, Any]
Due = dict[str, tuple[int, int]]


def objections(verdict: Json, statuses: Sequence[object], unreached: int) -> Iterator[str]:
    """Why a verdict can't come from runs of these statuses. `unreached`: how many of them got no answer."""
    is_less = was_left_open(verdict)
    due = _due(statuses, unreached, is_less or verdict.get("interrupted"))
    status, told = str(verdict.get("status")), (verdict.get("lied"), verdict.get("of"))
    if status not in due:
        yield f"it says {status:.40}, its {len(statuses)} runs say {' or '.join(due)}"
    elif not all(type(number) is int for number in told):
        yield f"it says that {told[0]!r:.40} runs of {told[1]!r:.40} lied, which are no numbers"
    elif told != due[status] and not (is_less and _is_less(*told, *due[status])):
        lied, heard = due[status]
        yield f"it says that {told[0]!r:.40} runs of {told[1]!r:.40} lied, and names {lied} of {heard}"


def was_left_open(verdict: Json) -> bool:
    """Whether it was reached before all was asked, be it that it is closed now."""
    is_closed = verdict.get("status") == "suspect" and verdict.get("layer") in CLOSED_BY
    return verdict.get("interrupted") is True or is_closed


def _due(statuses: Sequence[object], unreached: int, interrupted: object) -> Due:
    """What may be said, with how many runs lied of how many. Verdicts of earlier versions don't say whether they were
    interrupted: then both is possible."""
    lies, honest = sum(status in LIES for status in statuses), sum(status == "ok" for status in statuses)
    less: Due = {"error": (0, 0), **({"suspect": (lies, lies + honest)} if lies else {})}
    if interrupted is True:
        return less
    if lies:
        word = "tampered" if lies > 1 and "tampered" in statuses else "suspect"
        full: Due = {word: (lies, lies + honest)}
    elif honest:
        full = {"ok": (0, honest)}
    elif statuses:
        full = {"error": (0, 0), **({"broken": (0, 0)} if unreached >= UNREACHED_MIN else {})}
    else:
        full = {"error": (0, 0), "skipped": (0, 0)}
    return full if interrupted is False else {**less, **full}


def _is_less(told_lied: object, told_of: object, lied: int, heard: int) -> bool:
    """Whether as much is counted as was certain when the scan was interrupted."""
    if not isinstance(told_lied, int) or not isinstance(told_of, int):
        return False
    return 0 < told_lied <= lied and told_lied <= told_of <= heard


def is_unreached(run: Json) -> bool:
    """Whether a run that was judged got no usable answer, for reasons that may lie with the exit."""
    judgement, failure, process = (_table(run, name) for name in ("verdict", "failure", "process"))
    if says_nothing(run) or (failure.get("kind") == "policy" and failure.get("blame") == "local"):
        return False
    if judgement.get("status") == "broken":
        return True
    has_failed = failure.get("kind") not in (None, "tool") or process.get("timed_out") or process.get("rc") != 0
    return judgement.get("status") == "error" and not judgement.get("layer") and bool(has_failed)


def says_nothing(run: Json) -> bool:
    """Whether a run failed in a way that tells nothing of its exit or its target."""
    return _table(run, "failure").get("kind") in SAYS_NOTHING


def _table(record: Json, name: str) -> Json:
    found = record.get(name)
    return found if isinstance(found, Mapping) else {}
