"""Whether a record of a run agrees with the evidence that it names. Pure: what is read is given.

Each piece of evidence is hashed once more, every attribution is recomputed from the run's own slice of the session's
events (`verify.py`), and facts are compared with the piece that has them uncut. So it says "consistent", and not
"proven": whoever writes records and evidence could write them all. Nothing of them is trusted, be it in a store or in a
bundle that somebody sent. What a verdict says of its runs is `check_verdict.py`'s; both are called by `checking.py` and
`unbundling.py`, which read.
"""

import hashlib
import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ..verify import read_evidence, verify
from .exhibit import BlobError, exhibits
from .pieces import Pieces
from .public import VANTAGE

EVENTS_MAX = 16 << 20  # no run has more; what claims to is none of ours
FACTS_MAX = 16 << 20  # bytes of the facts of one run, which are read at once
PIECES_MAX = 200  # of one record
ADDRESS = r"(?>\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f:]{2,39}(?:\.\d{1,3}){0,3})"
"""What an address may have been; never tried in two ways, for a stranger says how many there are."""
STATES = ("running", "done", "interrupted", "failed", "earlier")
MALFORMED = (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError, RecursionError)

Json = Mapping[str, Any]


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


def check_run(record: Json, pieces: Pieces) -> Checked:
    """A run and its evidence. Raises TooMuch."""
    run_id, found = str(record.get("run_id")), Checked(runs=1)
    good = check_pieces(run_id, record, pieces, found)
    found.bare = int(is_bare(record))
    if isinstance(judged := record.get("verdict"), Mapping) and judged.get("status") != record.get("status"):
        found.problems += (
            f"{run_id}: it says {record.get('status')!r:.40}, and was judged {judged.get('status')!r:.40}",
        )
    try:
        if "events" in good:
            _check_events(record, pieces.content(good["events"]), found)
        if "facts" in good and record.get("facts_exact") is True and isinstance(record.get("facts"), Mapping):
            _check_facts(run_id, record["facts"], pieces.content(good["facts"]), found)
    except BlobError as error:  # it was there a moment ago
        found.problems += (f"{run_id}: {error}",)
    return found


def check_scan(record: Json, pieces: Pieces | None) -> Checked:
    """A scan and the documents that it went by. `pieces` None: those are not there, as in a bundle."""
    name, found = str(record.get("scan_id")), Checked()
    if pieces is not None:
        check_pieces(name, record, pieces, found)
    try:
        tools, exits = record.get("tools") or (), record.get("exits") or ()
        if record.get("state") not in STATES:
            found.problems += (f"{name}: its state {record.get('state')!r:.80} is none",)
        planned_count = 0 if record.get("replays") is not None else len(tools) * len(exits)  # a replay judges nobody
        if tools and exits and record.get("planned") != planned_count:
            planned = f"{name}: it says that {record.get('planned')!r:.40} verdicts were planned"
            found.problems += (f"{planned}, of {len(tools)} tools and {len(exits)} exits",)
    except MALFORMED as error:
        found.problems += (f"{name}: it can't be read: {error!r:.200}",)
    return found


def is_bare(run: Json) -> bool:
    """Whether no events were kept of a run."""
    return not any(item.get("name") == "events" for item in exhibits(run))


def check_pieces(name: str, record: Json, pieces: Pieces, found: Checked) -> dict[str, str]:
    """Hash the pieces of a record; returns the SHA-256 of those that are what they should be, by name."""
    good: dict[str, str] = {}
    items = list(islice(exhibits(record), PIECES_MAX + 1))
    if len(items) > PIECES_MAX:
        found.problems += (f"{name}: it names more than {PIECES_MAX} pieces of evidence",)
        return good
    for item in items:
        what = f"{name}: {item.get('name')}"
        try:
            size = pieces.size(str(item["sha256"]))
        except BlobError as error:
            found.problems += (f"{what}: {error}",)
            continue
        found.pieces += 1
        found.size_bytes += size
        if size != item.get("size_bytes"):
            found.problems += (f"{what}: it has {size} bytes, the record says {item.get('size_bytes')}",)
        elif item.get("name") == "events" and item.get("is_cut"):
            found.problems += (f"{what}: it was cut, so that no attribution can be recomputed",)
        elif item.get("name") == "events" and size > EVENTS_MAX:
            found.problems += (f"{what}: it is larger than the events of any run",)
        elif item.get("name") == "facts" and size > FACTS_MAX:
            found.problems += (f"{what}: they are larger than what can be compared",)
        elif item.get("name") != "facts" or not item.get("is_cut"):
            good[str(item.get("name"))] = str(item["sha256"])
    return good


def _check_events(record: Json, events: bytes, found: Checked) -> None:
    try:
        evidence = read_evidence(line.decode("utf-8", "backslashreplace") for line in _lines(events))
        verdict = verify(evidence, [record])
    except MALFORMED as error:
        found.problems += (f"{record.get('run_id')}: its events can't be read: {error}",)
        return
    found.streams = verdict.streams
    found.problems += tuple(verdict.problems)


def _lines(content: bytes) -> Iterator[bytes]:
    """One by one: there may be millions, and a list of them is larger than they are."""
    start = 0
    while start < len(content):
        end = content.find(b"\n", start) + 1 or len(content)
        yield content[start:end]
        start = end


def _check_facts(run_id: str, shown: Json, content: bytes, found: Checked) -> None:
    """What the record shows of the facts, and the facts."""
    try:
        exact = json.loads(content)
        wrong = sorted(name for name in {*shown, *exact} if not _is_of(shown, exact, name))
    except MALFORMED as error:
        found.problems += (f"{run_id}: its facts can't be read: {error!r:.200}",)
        return
    found.problems += tuple(f"{run_id}: its {name:.80} is not the one of its evidence" for name in wrong)


def _is_of(shown: Json, exact: Json, name: str) -> bool:
    return name in shown and name in exact and is_same_fact(shown[name], exact[name])


def is_same_fact(shown: object, exact: object) -> bool:
    """Whether a record that shows this knew that: a list may have been cut, and an address of ours been hidden."""
    if isinstance(shown, list) and isinstance(exact, list):
        if shown and len(shown) <= len(exact) and shown[-1] == _rest_of(exact):
            return _are_same(shown[:-1], exact[: len(shown) - 1])
        return len(shown) == len(exact) and _are_same(shown, exact)
    if isinstance(shown, str) and isinstance(exact, str):
        parts = [re.escape(part) for part in shown.split(VANTAGE)]
        return shown == exact or (len(parts) > 1 and re.fullmatch(ADDRESS.join(parts), exact) is not None)
    if isinstance(exact, float) and not math.isfinite(exact):
        return shown == str(exact)
    return type(shown) is type(exact) and shown == exact


def _are_same(shown: Collection[object], exact: Collection[object]) -> bool:
    """Of no fact an item is a list."""
    pairs = zip(shown, exact, strict=True)
    return not any(isinstance(one, list) for one in shown) and all(is_same_fact(one, other) for one, other in pairs)


def _rest_of(items: list[object]) -> str:
    """What stands at the end of a list that was cut."""
    digest = hashlib.sha256("\n".join(map(str, items)).encode("utf-8", "surrogatepass")).hexdigest()
    return f"... ({len(items)} in all, sha256 {digest})"
