"""Which two scans `results diff` compares: the last two of one job, iterations of a watch, or those that are named.

A job is what somebody asks again and again (`report/watch.py`): the same tools with the same parameters on the same
network; of what `exitpin watch` started, the scan of that name in its plan.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..errors import EXIT_USAGE, OperatorError
from ..report.fields import table, text, whole
from ..report.watch import job_name
from ..results.rows import ScanRow
from ..results.scan_lock import is_running
from ..results.stored import Reader
from ..results.wanted import REPLAYS
from .results_find import find_scan
from .results_store import shown

_LAST = re.compile(r"last(?:~(\d{1,6}))?\Z")
_HINT = "`exitpin results list --scans` shows all; say two of them."

_TOLD = ", ".join(
    f"CASE WHEN json_valid(scan) THEN json_extract(scan, '$.{name}') END" for name in ("tools", "exits[0]", "iteration")
)
"""Of a scan's record, which names all its exits, only what names its job."""
_ENDED = (
    f"SELECT {', '.join(ScanRow._fields[:-1])}, {_TOLD} FROM scans WHERE EXISTS"
    f" (SELECT 1 FROM runs WHERE runs.scan_id = scans.scan_id AND kind = 'verdict') AND {REPLAYS} IS NULL"
    " ORDER BY started DESC, rowid DESC"
)


class Ended(NamedTuple):
    """A scan that has ended. `job`: with its network; `number`: which iteration of its watch it is, None: of none."""

    scan_id: str
    job: tuple[str, ...]
    number: int | None


def two_scans(reader: Reader, names: Sequence[str], tool: str | None, watch: str | None) -> tuple[str, str]:
    """The ids of the earlier scan and the later one. `tool`: scans that ask it, with the same parameters; `watch`: the
    iterations of this watch, or of WATCH/SCAN. Raises OperatorError."""
    if not names:
        return _last_two(reader, tool, watch)
    if len(names) != 2:
        raise OperatorError("say two scans, or none.", "`exitpin results list --scans` shows all.", EXIT_USAGE)
    before, after = (_named(reader, name, tool, watch) for name in names)
    if before is None or after is None:
        raise OperatorError("say two scans, or none.", "`exitpin results list --scans` shows all.", EXIT_USAGE)
    return before, after


def iteration_words(reader: Reader, scans: Sequence[str]) -> str:
    """`, iterations 41 and 42 of nightly`; nothing, where they are not of one watch."""
    found = [table(reader.scan(name), "iteration") for name in scans]
    watches = {text(one, "watch") for one in found}
    if len(watches) != 1 or "" in watches:
        return ""
    return f", iterations {' and '.join(str(whole(one, 'number')) for one in found)} of {watches.pop()}"


def _last_two(reader: Reader, tool: str | None, watch: str | None) -> tuple[str, str]:
    latest: dict[tuple[str, ...], str] = {}
    for one in _ended(reader, tool, watch):
        after = latest.setdefault(one.job, one.scan_id)
        if after != one.scan_id:
            return one.scan_id, after
    if watch is not None:
        raise OperatorError(f"no two iterations of a watch {shown(watch)} have ended.", _HINT, EXIT_USAGE)
    raise OperatorError(
        "no two scans of one network that ask the same (tools, with their parameters) have ended.", _HINT, EXIT_USAGE
    )


def _named(reader: Reader, name: str, tool: str | None, watch: str | None) -> str | None:
    """`last`, `last~N` (as many before it, of its job), with a watch the number of an iteration; or a scan's id."""
    last = _LAST.fullmatch(name)
    if last is not None:
        return _before_the_last(reader, name, int(last[1] or 0), tool, watch)
    if watch is not None and name.isdecimal() and len(name) < 10:
        found = next((one for one in _ended(reader, tool, watch) if one.number == int(name)), None)
        if found is None:
            raise OperatorError(f"no iteration {name} of {shown(watch)} has ended here.", _HINT, EXIT_USAGE)
        return found.scan_id
    return find_scan(reader, name)


def _before_the_last(reader: Reader, name: str, back: int, tool: str | None, watch: str | None) -> str:
    job = None
    for one in _ended(reader, tool, watch):
        job = job or one.job
        if one.job == job and (back := back - 1) < 0:
            return one.scan_id
    raise OperatorError(f"there is no scan {name}: so many of that job have not ended.", _HINT, EXIT_USAGE)


def _ended(reader: Reader, tool: str | None, watch: str | None) -> Iterator[Ended]:
    """The latest first; as many are read as somebody wants."""
    name, _, part = (watch or "").partition("/")
    for *fields, tools, exit, iteration in reader.rows(_ENDED):
        row = ScanRow._make([*fields, ""])
        of = table(_parsed(iteration))
        is_wanted = watch is None or (text(of, "watch") == name and part in ("", text(of, "scan")))
        asks = tool is None or tool in row.tools.split(",")
        if is_wanted and asks and not (row.state == "running" and is_running(reader.blobs.directory, row.scan_id)):
            job = (text(of, "watch"), text(of, "scan")) if of else (_job(row, _parsed(tools), exit, tool),)
            yield Ended(row.scan_id, (row.network or "", *job), whole(of, "number") if of else None)


def _job(row: ScanRow, tools: object, exit: object, tool: str | None) -> str:
    told = [one for one in tools if tool is None or text(one, "id") == tool] if isinstance(tools, list) else []
    return job_name(row, {"tools": told, "exits": [exit] if row.exits == 1 and exit else []})


def _parsed(value: object) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return None
