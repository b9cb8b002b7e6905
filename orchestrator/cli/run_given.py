"""What a command gave to its run by `exitpin emit`, `verdict` and `evidence`, in the record and in words.

Pure. `exitpin run` judges nobody: what a script says it found is told, and no more. Called by `run_scan.py`.
"""

from collections.abc import Iterator
from typing import Any

from ...wrappers.desk import Given
from ..model import Failure
from ..observation import failure_table, status_of

SHOWN_MAX = 500  # characters of facts on a terminal


def add_given(record: dict[str, Any], given: Given) -> None:
    """The record's facts and evidence. Facts that can't be read are the run's failure, unless it has one."""
    record["facts"] = dict(given.facts) or None
    record["evidence"] += [{"name": f"evidence:{path.rpartition('/')[2]}", "file": path} for path in given.evidence]
    if given.problem and record["failure"] is None:
        failure = Failure(given.kind, "tool", False, given.problem)
        record.update(failure=failure_table(failure), status=status_of(failure))


def given_in_words(given: Given) -> Iterator[str]:
    """A sentence on each kind of thing that was given."""
    facts = dict(given.facts)
    said, reason = facts.pop("verdict", None), facts.pop("reason", None)
    if said is not None:
        yield f"it says {said}" + (f": {reason}" if reason else "") + " (not confirmed: `exitpin audit` does that)"
    if facts:
        text = ", ".join(f"{name}={value}" for name, value in facts.items())
        yield "facts: " + (text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…")
    if given.evidence:
        yield f"evidence: {', '.join(given.evidence)}"
    if given.problem:
        yield f"{given.kind}: {given.problem}"
