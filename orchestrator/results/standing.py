"""Verdicts as their columns tell of them, for whoever compares many: no record is parsed for it.

Asks whoever can read the store; what the verdicts mean beside each other is `difference.py`'s and `history.py`'s.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from .wanted import FINDINGS, STATUSES, exit_condition

AT_ONCE = 500  # values of one statement; SQLite takes more
REASON_MAX = 4096  # characters
SKIPPED = "skipped"
LATEST_MAX = 64  # verdicts on an exit, of which those of the latest scan that asked it count


class Rows(Protocol):
    """A store that is read: `stored.Reader`."""

    def rows(self, statement: str, given: Iterable[object] = ()) -> Iterator[tuple[Any, ...]]: ...

    def record(self, record_id: str) -> object: ...


class Standing(NamedTuple):
    """What one verdict says. `question`: tool, and parameters as `rows.params_key` has them; `digest`: of the tool's
    file; `at`: when it ended, seconds since the epoch."""

    record_id: str
    scan_id: str
    tool: str
    params_key: str
    digest: str
    exit: str
    nickname: str
    status: str
    severity: str | None
    at: float

    @property
    def question(self) -> tuple[str, str]:
        return self.tool, self.params_key

    @property
    def is_finding(self) -> bool:
        return self.status in FINDINGS

    @property
    def rank(self) -> int:
        """The gravest has 0."""
        return STATUSES.index(self.status) if self.status in STATUSES else len(STATUSES)


class ScanTold(NamedTuple):
    """What is known of a scan. `consensus`: its valid-after; empty: nobody wrote that down."""

    scan_id: str
    started: float
    consensus: str
    network: str


_COLUMNS = (
    "record_id, scan_id, ifnull(tool, ''), ifnull(params_key, ''), ifnull(tool_digest, ''),"
    " ifnull(exit_fingerprint, ''), ifnull(exit_nickname, ''), status, severity, ended"
)


def in_scan(reader: Rows, scan_id: str, tool: str | None = None) -> list[Standing]:
    """The verdicts of a scan. Raises OperatorError."""
    only, given = (" AND tool = ?", [tool]) if tool is not None else ("", [])
    statement = f"SELECT {_COLUMNS} FROM runs WHERE scan_id = ? AND kind = 'verdict'{only}"
    return list(map(Standing._make, reader.rows(statement, [scan_id, *given])))


def of_exit(reader: Rows, fingerprint: str, tool: str | None = None) -> list[Standing]:
    """The verdicts on an exit, the oldest first. Raises OperatorError."""
    only, given = (" AND tool = ?", [tool]) if tool is not None else ("", [])
    statement = (
        f"SELECT {_COLUMNS} FROM runs WHERE exit_fingerprint = ? AND kind = 'verdict'{only} ORDER BY ended, rowid"
    )
    return list(map(Standing._make, reader.rows(statement, [fingerprint, *given])))


def exits_named(reader: Rows, name: str) -> list[tuple[str, str]]:
    """Fingerprint and latest nickname of each exit that a name, or the beginning of a fingerprint, may mean."""
    condition, given = exit_condition(name)
    statement = (
        "SELECT exit_fingerprint, ifnull(exit_nickname, ''), max(ended) FROM runs"
        f" WHERE {condition} AND +kind = 'verdict' AND exit_fingerprint IS NOT NULL GROUP BY 1 ORDER BY 3 DESC"
    )
    return [(fingerprint, nickname) for fingerprint, nickname, _ in reader.rows(statement, given)]


class Why(NamedTuple):
    """What a verdict rests on. `rule`: what the rule that reached it asks for, in words; empty: no rule did."""

    reason: str
    rule: str


def reasons(reader: Rows, record_ids: Sequence[str]) -> dict[str, str]:
    """Why these verdicts say what they say, by their ids. Raises OperatorError."""
    return {name: why.reason for name, why in whys(reader, record_ids).items()}


def whys(reader: Rows, record_ids: Sequence[str]) -> dict[str, Why]:
    """The same, with the rules. Raises OperatorError."""
    # as bytes: what a suspect wrote may hold half of a surrogate pair, which SQLite takes and Python would not
    is_object = "CASE WHEN json_valid(record) THEN json_type(record) = 'object' END"
    reason, rule = (
        f"ifnull(CAST(substr(json_extract(record, '$.{name}'), 1, ?) AS BLOB), x'')" for name in ("reason", "when")
    )
    told = f"CASE WHEN {is_object} THEN {reason} END, CASE WHEN {is_object} THEN {rule} END"
    found: dict[str, Why] = {}
    for some in _chunks(record_ids):
        statement = f"SELECT record_id, {told} FROM runs WHERE record_id IN ({', '.join('?' * len(some))})"
        for name, *both in reader.rows(statement, [REASON_MAX, REASON_MAX, *some]):
            if None in both:
                reader.record(name)  # which says why it can't be read
            else:
                found[name] = Why(*(one.decode("utf-8", "surrogatepass") for one in both))
    return found


def planned_exits(reader: Rows, scan_id: str) -> frozenset[str] | None:
    """Whom a scan was to ask; None: it was recorded by a version that did not write that down."""
    exits_told = "CASE WHEN json_valid(scan) THEN json_extract(scan, '$.exits') END"
    for (text,) in reader.rows(f"SELECT {exits_told} FROM scans WHERE scan_id = ?", [scan_id]):
        exits = json.loads(text) if isinstance(text, str) else None
        return frozenset(map(str, exits)) if isinstance(exits, list) else None
    return None


def scans_told(reader: Rows, scan_ids: Sequence[str]) -> dict[str, ScanTold]:
    """What is known of these scans, by their ids. Raises OperatorError."""
    statement = "SELECT scan_id, started, ifnull(consensus, ''), ifnull(network, '') FROM scans WHERE scan_id IN ({})"
    found: dict[str, ScanTold] = {}
    for some in _chunks(scan_ids):
        rows = reader.rows(statement.format(", ".join("?" * len(some))), some)
        found.update((row[0], ScanTold._make(row)) for row in rows)
    return found


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), AT_ONCE):
        yield values[start : start + AT_ONCE]


class _Told(NamedTuple):
    """One verdict on an exit. `is_open`: an error that an interruption left open, which asked nobody, or not to the
    end."""

    scan_id: str
    status: str
    failure_kind: str | None
    ended: float
    is_open: object


def pasts_of(reader: Rows, exits: Iterable[str]) -> dict[str, tuple[float, bool]]:
    """Of each of these exits that a scan came to: when the latest that did was there, and whether it found something.
    Raises OperatorError."""
    is_open = (
        "CASE status WHEN 'error' THEN CASE WHEN json_valid(record) THEN json_extract(record, '$.interrupted') END END"
    )
    statement = (
        f"SELECT scan_id, status, failure_kind, ended, {is_open} FROM runs WHERE exit_fingerprint = ?"
        f" AND kind = 'verdict' ORDER BY ended DESC LIMIT {LATEST_MAX}"
    )
    found: dict[str, tuple[float, bool]] = {}
    for name in exits:
        scans: dict[str, list[_Told]] = {}
        for told in map(_Told._make, reader.rows(statement, [name])):
            scans.setdefault(told.scan_id, []).append(told)
        past = next(filter(None, map(_past, scans.values())), None)
        if past is not None:
            found[name] = past
    return found


def _past(verdicts: Sequence[_Told]) -> tuple[float, bool] | None:
    """What those of one scan on an exit, the latest first, say of it; None: the scan did not come to it.

    One that was given up before it asked the exit did not, whatever it skipped. But whose policy refused all that there
    was to ask has had its turn: it would come first for ever, and leave no room for anybody (`limit`).
    """
    asked = [told for told in verdicts if told.status != SKIPPED and not told.is_open]
    if asked:
        return asked[0].ended, any(told.status in FINDINGS for told in asked)
    has_refused = any(told.failure_kind == "policy" for told in verdicts)
    return (verdicts[0].ended, False) if has_refused and not any(told.is_open for told in verdicts) else None
