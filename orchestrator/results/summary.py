"""The scans of a store, each counted: what `results list --scans` shows.

Asks whoever can read the store. Records are counted in their index, and none of them is read.
"""

from dataclasses import dataclass

from .rows import DONE
from .standing import Rows
from .wanted import REPLAYS, STATUSES, Wanted, where

UNTOLD = """
    WITH RECURSIVE ids (id) AS (
        SELECT min(scan_id) FROM runs
        UNION ALL SELECT (SELECT min(scan_id) FROM runs WHERE scan_id > id) FROM ids WHERE id IS NOT NULL
    )
    SELECT id FROM ids WHERE id IS NOT NULL AND id NOT IN (SELECT scan_id FROM scans)
"""
"""Scans without a row of their own. Not DISTINCT: that reads the index entry by entry."""

OPEN_ONES = (
    "SELECT count(*) FROM runs WHERE scan_id = ? AND kind = 'verdict' AND status IN ('error', 'suspect')"
    " AND CASE WHEN json_valid(record) THEN json_extract(record, '$.interrupted') END"
)
IS_GONE_ON_WITH = "CASE WHEN json_valid(scan) THEN json_array_length(scan, '$.legs') > 1 END"


@dataclass(frozen=True, slots=True)
class ScanSummary:
    """One scan. `counts`: its verdicts by status, the gravest first; `runs`: its runs, controls included, and none that
    was asked anew; `open_ones`: how many of its verdicts an interruption left open; `ended`: when it did, or its last
    record; `state`: as its row says (`scan_lock.true_state` knows better); `planned`: how many verdicts it was to have,
    None: nobody said; `replays`: the run that it made again, None: it is no replay."""

    scan_id: str
    started: float
    ended: float
    tools: tuple[str, ...]
    exits: int
    runs: int
    verdicts: int
    open_ones: int
    counts: dict[str, int]
    state: str
    planned: int | None
    replays: str | None


def summaries(reader: Rows, limit: int | None = None) -> list[ScanSummary]:
    """Every scan, newest first; replays, too, and one of which nobody wrote down more than its records. Raises
    OperatorError."""
    told = f"scan_id, started, ended, tools, exits, state, planned, {REPLAYS}, {IS_GONE_ON_WITH}"
    latest = f"SELECT {told} FROM scans ORDER BY started DESC, rowid DESC LIMIT {-1 if limit is None else int(limit)}"
    untold = (
        "SELECT scan_id, min(ifnull(started, ended)), max(ended), ifnull(group_concat(DISTINCT tool), ''),"
        " count(DISTINCT CASE WHEN role IS NOT 'control' THEN exit_fingerprint END), 'earlier', NULL, NULL, 1"
        " FROM runs WHERE scan_id = ?"
    )
    found = list(reader.rows(latest))
    for (name,) in list(reader.rows(UNTOLD)):
        found += reader.rows(untold, [name])
    found.sort(key=lambda row: float(row[1]), reverse=True)
    return [_counted(reader, *row) for row in found[:limit]]


def _counted(
    reader: Rows, scan_id: str, started: float, ended: float | None, tools: str, exits: int | None, state: str,
    planned: int | None, replays: object, is_gone_on_with: int | None,
) -> ScanSummary:  # fmt: skip
    counts, runs, last = {}, 0, started
    grouped = "SELECT kind, status, count(*), max(ended) FROM runs WHERE scan_id = ? GROUP BY kind, status"
    for kind, status, count, latest in reader.rows(grouped, [scan_id]):
        last = max(last, latest)
        if kind == "verdict":
            counts[status] = count
        else:
            runs += count
    if is_gone_on_with:  # only then some may have been asked anew, and no index tells which
        which, given = where(Wanted(scan=scan_id, kind="run", is_counted=True))
        ((runs,),) = reader.rows(f"SELECT count(*) FROM runs{which}", given)
    open_ones = 0
    if state != DONE:  # where all is known there is none
        ((open_ones,),) = reader.rows(OPEN_ONES, [scan_id])
    return ScanSummary(
        scan_id=scan_id,
        started=started,
        ended=ended or last,
        tools=tuple(sorted(filter(None, tools.split(",")))),
        exits=exits or 0,
        runs=runs,
        verdicts=sum(counts.values()),
        open_ones=open_ones,
        counts={status: counts[status] for status in (*STATUSES, *sorted(counts)) if status in counts},
        state=state,
        planned=planned,
        replays=None if replays is None else str(replays),
    )
