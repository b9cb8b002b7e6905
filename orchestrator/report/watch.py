"""The last scan of each job, as monitoring wants to know it. Called by `report prom` and `report status`.

A job is what somebody asks again and again: the same tools with the same parameters on the same network. Whoever looks
once more at a single exit has another job, so that it does not stand in for the nightly scan of all. Scans that are
under way count for nothing but that they are: what the one before found holds until its successor has ended. And one
that ended before its time takes back only what it asked again: what the scans before it found, back to the last that
was complete, is held beside its own findings. No record is read, only what stands in columns: it is asked for every few
minutes. Decides nothing about what is grave.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..results.rows import ScanRow
from ..results.scan_lock import is_running
from ..results.standing import Standing, in_scan
from ..results.stored import Accusation, Reader, Unreadable
from ..results.wanted import FINDINGS, Wanted
from .fields import Record, items, number, table, tables, text

ACCUSED_MAX = 1000  # of one scan: a report names no more
NAME_MAX = 160
COMPLETE = ("done", "earlier")
JUDGED = frozenset({*FINDINGS, "ok"})
HELD_SCANS = 30  # that ended before their time, one after the other: no more are looked through


@dataclass(frozen=True, slots=True)
class Watched:
    """The last scan of a job that has ended. `name`: what it asks; `lab`: the name of the lab, empty for the Tor
    network; `started`, `ended`: in seconds since the epoch; `state`: done, interrupted, failed, killed or earlier;
    `tally`: its verdicts by tool and status; `accused`: those that are findings, the gravest first; `is_under_way`:
    whether a later one is; `held`: findings of earlier scans that it is too incomplete to take back, and `held_by`: the
    scans that have them, the latest first."""

    name: str
    lab: str
    scan_id: str
    state: str
    started: float
    ended: float
    planned: int
    tally: Mapping[tuple[str, str], int]
    accused: tuple[Accusation, ...]
    is_under_way: bool = False
    held: tuple[Accusation, ...] = ()
    held_by: tuple[str, ...] = ()

    @property
    def counts(self) -> Counter[str]:
        """Its verdicts by status."""
        counts: Counter[str] = Counter()
        for (_, status), count in self.tally.items():
            counts[status] += count
        return counts

    @property
    def verdicts(self) -> int:
        return sum(self.tally.values())

    @property
    def is_complete(self) -> bool:
        """Whether every exit that was to be asked has its verdict."""
        return self.state in COMPLETE and self.verdicts >= self.planned


def watched(reader: Reader, since: float | None = None, tool: str | None = None) -> list[Watched]:
    """The jobs whose last scan began at or after `since`, the latest first; with `tool`: those that ask it. Raises
    OperatorError."""
    ended: dict[tuple[str, str], list[ScanRow]] = {}
    under_way: set[tuple[str, str]] = set()
    for row in reader.scan_rows(since):
        scan = _scan(row)
        if tool is not None and tool not in row.tools.split(","):
            continue
        job = _lab(row, scan), job_name(row, scan)
        if _is_under_way(reader, row):
            under_way.add(job)
        else:
            ended.setdefault(job, []).append(row)
    return [_with_held(reader, rows, *job, is_under_way=job in under_way) for job, rows in ended.items()]


def job_name(row: ScanRow, scan: Record) -> str:
    """What a scan asks, in the same words each time: its tools by name, each with its parameters, and whom, if that is
    one exit alone."""
    asked = sorted(
        " ".join([text(tool, "id"), *(f"{name}={value}" for name, value in sorted(table(tool, "params").items()))])
        for tool in tables(scan, "tools")
    )
    exits = items(scan, "exits")
    through = f" through {exits[0]}" if len(exits) == 1 else ""
    name = ", ".join(asked or sorted(row.tools.split(","))) + through
    if len(name) <= NAME_MAX:
        return name
    return f"{name[:NAME_MAX]}... {hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _with_held(reader: Reader, rows: Sequence[ScanRow], lab: str, name: str, *, is_under_way: bool) -> Watched:
    """The first of these scans, with what those before it found, where nobody answered since.""" ""
    last = _watched(reader, rows[0], lab, name, is_under_way=is_under_way)
    if last.is_complete:
        return last
    held: list[Accusation] = []
    held_by: list[str] = []
    answered = _answered(in_scan(reader, last.scan_id))
    for row in rows[1:HELD_SCANS]:
        standings = in_scan(reader, row.scan_id)
        found = [one for one in standings if one.is_finding and (one.question, one.exit) not in answered]
        held += [Accusation(one.tool, one.status, one.severity, one.exit, one.nickname, one.record_id) for one in found]
        held_by += [row.scan_id] if found else []
        answered |= _answered(standings)
        if row.state in COMPLETE and len(standings) >= (row.planned or 0):
            break
    held.sort(key=lambda one: FINDINGS.index(one.status))
    return replace(last, held=tuple(held[:ACCUSED_MAX]), held_by=tuple(held_by))


def _answered(standings: Iterable[Standing]) -> set[tuple[tuple[str, str], str]]:
    """Which questions, of which exits, got an answer."""
    return {(one.question, one.exit) for one in standings if one.status in JUDGED}


def _watched(reader: Reader, row: ScanRow, lab: str, name: str, *, is_under_way: bool) -> Watched:
    tally = reader.tally(row.scan_id)
    return Watched(
        name=name,
        lab=lab,
        scan_id=row.scan_id,
        state="killed" if row.state == "running" else row.state,
        started=row.started,
        ended=row.ended or _last_written(reader, row),
        planned=max(row.planned or 0, sum(tally.values())),
        tally=tally,
        accused=tuple(reader.accusations(row.scan_id, FINDINGS, ACCUSED_MAX)),
        is_under_way=is_under_way,
    )


def _last_written(reader: Reader, row: ScanRow) -> float:
    """When a scan that could not say so itself came to its end."""
    last = next(reader.query(Wanted(scan=row.scan_id, kind="verdict", limit=1)), {})
    return number(last, "ended") or row.started


def _is_under_way(reader: Reader, row: ScanRow) -> bool:
    return row.state == "running" and is_running(reader.blobs.directory, row.scan_id)


def _scan(row: ScanRow) -> Record:
    """Raises Unreadable: whose job it was, and whether a lab's, nobody may guess."""
    try:
        found = json.loads(row.scan)
    except (ValueError, RecursionError) as error:
        raise Unreadable("scan", row.scan_id, str(error)) from error
    return found if isinstance(found, dict) else {}


def _lab(row: ScanRow, scan: Record) -> str:
    """Whose results must never be taken for those of the Tor network."""
    vantage = table(scan, "vantage")
    if vantage:
        return text(vantage, "name") or "?" if text(vantage, "kind") == "lab" else ""
    return "" if row.network in (None, "", "own", "control") else str(row.network)
