"""Whether a verdict tells of tool, exit, network, time and reason what its runs and its scan do. Pure.

A verdict stands by itself, so it says many things a second time: whoever changes one of them alone, to accuse somebody
else or of something else, is found out here. Which runs there are, and what their statuses come to, is
`check_verdict.py`'s, which calls this.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .check import is_same_fact
from .commands import SECRET
from .due import LIES
from .public import LOCAL, VANTAGE

WHO = ("nickname", "addresses", "family", "contact", "flags")
KEY = 64  # hex digits
NOTES_MAX = 3  # behind the reason of a run: seen at times, interrupted, its exit has gone

Json = Mapping[str, Any]


def of_itself(verdict: Json, *, is_strict: bool) -> Iterator[str]:
    """What a verdict can't say, whatever its runs are. `is_strict`: no earlier version wrote it."""
    status, failure = verdict.get("status"), verdict.get("failure")
    blamed = failure.get("blame") if isinstance(failure, Mapping) else None
    if status in (*LIES, "broken") and verdict.get("blame") != "exit":
        yield f"it says {status:.40} and blames {verdict.get('blame')!r:.40}"
    if status == "ok" and verdict.get("blame") is not None:
        yield f"it says ok and blames {verdict.get('blame')!r:.40}"
    if (failure is not None) if status in (*LIES, "ok") else (status == "broken" and blamed != "exit"):
        yield f"it says {status:.40}, its failure something else"
    if status not in LIES and verdict.get("severity") is not None:
        yield f"it says {status!r:.40} and is {verdict.get('severity')!r:.40}"
    due = key_due(verdict)
    if is_strict and due is not None and verdict.get("key") != due:
        yield "its key is not that of its tool, parameters and exit"
    fingerprint, command = _table(verdict, "exit").get("fingerprint"), verdict.get("reproduce")
    if isinstance(command, str) and str(fingerprint) not in command.split():
        yield "the command that repeats it names another exit"


def key_due(verdict: Json) -> str | None:
    """The key of its question (`audit/keys.py`); None where a part of that is not told."""
    tool, fingerprint = _table(verdict, "tool"), _table(verdict, "exit").get("fingerprint")
    params = tool.get("params")
    if verdict.get("key") is None or not isinstance(params, Mapping):
        return None
    if any(not isinstance(value, str) or SECRET in value or value == LOCAL for value in params.values()):
        return None
    asked = hashlib.sha256(json.dumps([tool.get("digest"), sorted(params.items())]).encode()).hexdigest()
    return hashlib.sha256(f"{asked}\0{fingerprint}".encode("utf-8", "surrogatepass")).hexdigest()


def of_run(verdict: Json, told: Json, run: Json) -> Iterator[str]:
    """In what a run's own record differs from what the verdict says of it."""
    if of_tool(run) != of_tool(verdict):
        yield "was of another question"
    if network_of(run) != network_of(verdict):
        yield "was made on another network"
    ours, its = _table(verdict, "exit"), _table(run, "exit")
    if ours.get("consensus") == its.get("consensus") and any(ours.get(name) != its.get(name) for name in WHO):
        yield "tells of its exit something else"
    ended = _table(run, "t").get("end")
    has_not_run = ended is None and run.get("failure") and not run.get("circuits")  # there was none for it
    if told.get("t") != ended and not has_not_run:
        yield "ended at another time"
    if (told.get("doubts") or []) != (run.get("doubts") or []):
        yield "has other doubts"
    if not _is_same_text(told.get("reason"), _table(run, "verdict").get("reason")):
        yield "was judged so for another reason"


def of_lies(verdict: Json, liars: Sequence[Json]) -> Iterator[str]:
    """Whether severity, rule and reason of what accuses are those of a run that lied."""
    judged = [_table(run, "verdict") for run in liars]
    if not judged or verdict.get("status") not in LIES:
        return
    if any(one.get("severity") != verdict.get("severity") for one in judged):
        yield f"it is {verdict.get('severity')!r:.40}, its runs are not"
    rules = [one for one in judged if all(one.get(name) == verdict.get(name) for name in ("rule", "when"))]
    if not rules:
        yield "its rule is that of none of its runs"
    elif not any(_begins(verdict.get("reason"), one.get("reason")) for one in rules):
        yield "its reason is that of none of its runs"


def of_controls(verdict: Json, run: Json) -> Iterator[str]:
    """Whether a run that accuses was held against the controls that the verdict tells of."""
    ours = {str(told.get("run_id")): told for told in verdict.get("controls") or () if told.get("run_id")}
    its = run.get("controls") or ()
    if its and not verdict.get("controls"):
        yield "was held against controls, and it names none"
    for told in its:
        known = ours.get(str(told.get("run_id")))
        if told.get("vantage") != "exit" or known is None:
            continue
        if known.get("vantage") != "exit" or any(known.get(n) != told.get(n) for n in ("exit", "at")):
            yield f"was held against another control {told.get('run_id')}"
        shown, facts = _table(told, "facts"), _table(known, "facts")
        if shown.keys() != facts.keys() or not all(_is_same_text(shown[name], facts[name]) for name in shown):
            yield f"was told other facts of control {told.get('run_id')}"


def of_tool(record: Json) -> tuple[object, object, object]:
    """Which question it was: tool, digest, parameters."""
    tool = record.get("tool") or {}
    return tool.get("id"), tool.get("digest"), tool.get("params")


def network_of(record: Json) -> tuple[object, object]:
    """Which network it was: a lab is not the public one."""
    vantage = _table(record, "vantage")
    return vantage.get("kind"), vantage.get("name") or None


def _is_same_text(one: object, other: object) -> bool:
    """Of two records an address of ours may be hidden in the one, or in the other."""
    return one == other or is_same_fact(one, other) or is_same_fact(other, one)


def _begins(reason: object, of_run: object) -> bool:
    """Whether a verdict's reason is that of a run; how often it was seen may follow."""
    if not isinstance(reason, str) or not isinstance(of_run, str):
        return reason == of_run
    if VANTAGE in reason or VANTAGE in of_run:  # hidden in one of them, perhaps, and what follows is short
        return any(_is_same_text(reason[:end], of_run) for end in (len(reason), *_ends(reason)))
    return reason.startswith(of_run)


def _ends(reason: str) -> Iterator[int]:
    end = len(reason)
    for _ in range(NOTES_MAX):
        if (end := reason.rfind(" (", 0, end)) <= 0:
            return
        yield end


def _table(record: Json, name: str) -> Json:
    found = record.get(name)
    return found if isinstance(found, Mapping) else {}
