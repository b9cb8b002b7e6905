"""Whether a record agrees with the evidence that it names, and a verdict with its runs. Pure: what is read is given.

Of a run each piece of evidence is hashed once more, and every attribution is recomputed from its own slice of the
session's events (`verify.py`). Of a verdict it is asked whether its runs and controls are those that it tells of. So
it says "consistent", and not "proven": whoever writes records and evidence could write them all. Nothing of them is
trusted, be it in a store or in a bundle that somebody sent. Called by `checking.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ..verify import read_evidence, verify
from .exhibit import BlobError, exhibits
from .wanted import FINDINGS

LIES = ("tampered", "suspect")
ROLES = ("probe", "retry", "confirm")
UNREACHED = 8  # runs without an answer, of an exit that is called broken (`audit/conclusions.py`)
PIECES_MAX, NAMED_MAX = 200, 1_000  # of one record, which a stranger may have written
MALFORMED = (ValueError, TypeError, AttributeError, KeyError, RecursionError)

Json = Mapping[str, Any]
Read = Callable[[str], bytes]
Find = Callable[[str], Json | None]


@dataclass(slots=True)
class Checked:
    """What was looked at, and what does not agree. `bare`: runs of which no events were kept, as earlier versions did
    not; `gone`: runs and controls that a verdict names, which accuses nobody, and that are not there any more."""

    runs: int = 0
    verdicts: int = 0
    streams: int = 0
    pieces: int = 0
    size_bytes: int = 0
    bare: int = 0
    gone: int = 0
    problems: tuple[str, ...] = ()

    def add(self, other: "Checked") -> None:
        """Both together."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def check_run(record: Json, read: Read) -> Checked:
    """A run and its evidence. `read`: the content of a piece, its hash checked; raises BlobError."""
    run_id, found = str(record.get("run_id")), Checked(runs=1)
    contents = _pieces(run_id, record, read, found)
    events = contents.get("events")
    if events is None:
        found.bare = int(not _has_events(record))
        return found
    try:
        evidence = read_evidence(events.decode("utf-8", "backslashreplace").splitlines())
        verdict = verify(evidence, [record])
    except MALFORMED as error:
        found.problems += (f"{run_id}: its events can't be read: {error}",)
        return found
    found.streams = verdict.streams
    found.problems += tuple(verdict.problems)
    return found


def check_verdict(record: Json, read: Read, find: Find) -> Checked:
    """A verdict beside the runs and controls that it names. `find`: a run by its id, None: it is not there."""
    name, found = str(record.get("verdict_id")), Checked(verdicts=1)
    _pieces(name, record, read, found)
    is_finding = record.get("status") in FINDINGS
    try:
        if len(record.get("runs") or ()) + len(record.get("controls") or ()) > NAMED_MAX:
            raise ValueError(f"it names more than {NAMED_MAX} runs and controls")
        found.problems += tuple(f"{name}: {problem}" for problem in _sum_problems(record))
        for told in record.get("runs") or ():
            _compare(name, found, told, find(str(told["run_id"])), record, is_finding=is_finding)
        for told in record.get("controls") or ():
            if told.get("vantage") == "exit":
                _compare_control(name, found, told, find(str(told.get("run_id"))), is_finding=is_finding)
        lied = sum(told["status"] in LIES for told in record.get("runs") or ())
        if is_finding and lied != record.get("lied"):
            found.problems += (f"{name}: it says that {record.get('lied')} runs lied, and names {lied}",)
    except MALFORMED as error:
        found.problems += (f"{name}: it can't be read: {error!r:.200}",)
    return found


def _sum_problems(record: Json) -> list[str]:
    """Why a verdict can't be what its runs come to. Of one that an interruption left open less is known."""
    runs, status = list(record.get("runs") or ()), record.get("status")
    problems = ["it names a run twice"] if len({str(told["run_id"]) for told in runs}) < len(runs) else []
    vantages = {told.get("vantage") for told in record.get("controls") or ()}
    if vantages - {"exit", "direct", "pinned"}:
        problems.append("a control of it was seen from nowhere")
    if record.get("interrupted"):
        return problems
    statuses = [told.get("status") for told in runs]
    lied, honest = sum(map(LIES.__contains__, statuses)), statuses.count("ok")
    possible = {
        "tampered": "tampered" in statuses,
        "suspect": lied > 0,
        "broken": not lied and not honest and len(runs) >= UNREACHED,
        "ok": honest > 0 and not lied,
    }
    if not possible.get(str(status), True):
        problems.append(f"its runs ({', '.join(map(str, statuses)) or 'none'}) do not come to {status}")
    elif status in possible and (lied, lied + honest) != (record.get("lied"), record.get("of")):
        problems.append(
            f"it says {record.get('lied')} of {record.get('of')} lied, its runs say {lied} of {lied + honest}"
        )
    if any(told.get("role") not in ROLES for told in runs):
        problems.append("it counts a run that counts for nothing")
    return problems


def check_scan(record: Json, read: Read) -> Checked:
    """A scan and the documents that it went by."""
    found = Checked()
    _pieces(str(record.get("scan_id")), record, read, found)
    return found


def _pieces(name: str, record: Json, read: Read, found: Checked) -> dict[str, bytes]:
    """The content of each piece that is what it should be, by name."""
    contents: dict[str, bytes] = {}
    items = list(islice(exhibits(record), PIECES_MAX + 1))
    if len(items) > PIECES_MAX:
        found.problems += (f"{name}: it names more than {PIECES_MAX} pieces of evidence",)
        return contents
    for item in items:
        what = f"{name}: {item.get('name')}"
        try:
            content = read(str(item["sha256"]))
        except BlobError as error:
            found.problems += (f"{what}: {error}",)
            continue
        found.pieces += 1
        found.size_bytes += len(content)
        if len(content) != item.get("size_bytes"):
            found.problems += (f"{what}: it has {len(content)} bytes, the record says {item.get('size_bytes')}",)
        elif item.get("name") == "events" and item.get("is_cut"):
            found.problems += (f"{what}: it was cut, so that no attribution can be recomputed",)
        else:
            contents[str(item.get("name"))] = content
    return contents


def _compare(name: str, found: Checked, told: Json, run: Json | None, verdict: Json, *, is_finding: bool) -> None:
    """One run as the verdict tells of it, and its own record."""
    run_id = told["run_id"]
    if run is None:
        _missing(name, found, f"its run {run_id}", is_finding=is_finding)
        return
    for what in ("key", "scan_id"):
        if run.get(what) != verdict.get(what):
            found.problems += (f"{name}: its run {run_id} has another {what}",)
    if _fingerprint(run) != _fingerprint(verdict):
        found.problems += (f"{name}: its run {run_id} went through {_fingerprint(run)}",)
    if run.get("role") != told.get("role"):
        found.problems += (f"{name}: its run {run_id} is a {run.get('role')}",)
    if is_finding and told.get("status") in FINDINGS and not _has_events(run) and not _is_earlier(run):
        found.problems += (f"{name}: of its run {run_id} no events were kept: nothing proves whose it was",)
    judged = (run.get("verdict") or {}).get("status")
    if judged != told.get("status"):
        found.problems += (f"{name}: it says that run {run_id} is {told.get('status')}, its record says {judged}",)


def _compare_control(name: str, found: Checked, told: Json, run: Json | None, *, is_finding: bool) -> None:
    run_id = told.get("run_id")
    if run is None:
        _missing(name, found, f"its control {run_id}", is_finding=is_finding)
        return
    if _fingerprint(run) != told.get("exit"):
        found.problems += (f"{name}: its control {run_id} went through {_fingerprint(run)}",)
    facts = run.get("facts") or {}
    for fact, value in (told.get("facts") or {}).items():
        if facts.get(fact) != value:
            found.problems += (f"{name}: its control {run_id} saw another {fact}",)


def _missing(name: str, found: Checked, what: str, *, is_finding: bool) -> None:
    """A finding without what it rests on is none that can be checked; of other verdicts `gc` removes the runs."""
    if is_finding:
        found.problems += (f"{name}: {what} is missing",)
    else:
        found.gone += 1


def _is_earlier(record: Json) -> bool:
    """Whether it is of a version that kept one log for all runs, and named its path."""
    return any(isinstance(item, str) for item in record.get("evidence") or ())


def _has_events(record: Json) -> bool:
    return any(item.get("name") == "events" for item in exhibits(record))


def _fingerprint(record: Json) -> object:
    return (record.get("exit") or {}).get("fingerprint")
