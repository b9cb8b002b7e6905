"""Which records somebody wants, as SQL says it. Pure; called by `stored.py`.

Conditions and orders are such that the indexes of `wrappers/database.py` answer them: of 900,000 verdicts no more rows
are read than are shown.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ..tool import GRAVEST_FIRST, SEVERITIES

STATUSES = tuple(map(str, GRAVEST_FIRST))
FINDINGS = tuple(str(status) for status in GRAVEST_FIRST if status.is_finding)
BY_SEVERITY = SEVERITIES[::-1]
SUPERSEDED = "superseded"  # a run's role: `audit/recalling.py` gives it
PREFIX_MIN = 4  # of a fingerprint; fewer digits name too many relays
HEX = frozenset("0123456789ABCDEF")

REPLAYS = "CASE WHEN planned = 0 AND json_valid(scan) THEN json_extract(scan, '$.replays') END"
"""The run that a scan made again; NULL: it is no replay. Only of what planned nothing the whole text is parsed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records; None or empty: any. `exit`: the beginning of a fingerprint, or a nickname; `since`: ended at or
    after, in seconds since the epoch; `gravest_first`: by status and severity, then newest first; `is_counted`: only
    what counts for something, which a run does not that was asked anew (it is `superseded`)."""

    scan: str | None = None
    tool: str | None = None
    exit: str | None = None
    statuses: frozenset[str] = frozenset()
    kind: str | None = None
    since: float | None = None
    limit: int | None = None
    gravest_first: bool = False
    is_counted: bool = False


def where(wanted: Wanted) -> tuple[str, list[object]]:
    """The WHERE clause, or nothing, and its values.

    A scan and an exit have few records, and an index finds them: with a + before all other columns SQLite does not go
    through all of a kind instead, in order, to pick them out.
    """
    plus = "" if wanted.scan is None and wanted.exit is None else "+"
    found: list[tuple[str, Iterable[object]]] = []
    if wanted.scan is not None:
        found.append(("scan_id = ?", [wanted.scan]))
    if wanted.tool is not None:
        found.append((f"{plus}tool = ?", [wanted.tool]))
    if wanted.exit is not None:
        found.append(exit_condition(wanted.exit))
    if wanted.statuses:
        found.append((f"{plus}status IN ({', '.join('?' * len(wanted.statuses))})", sorted(wanted.statuses)))
    if wanted.kind is not None:
        found.append((f"{plus}kind = ?", [wanted.kind]))
    if wanted.since is not None:
        found.append((f"{plus}ended >= ?", [wanted.since]))
    if wanted.is_counted:
        found.append((f"role IS NOT '{SUPERSEDED}'", []))
    if not found:
        return "", []
    return " WHERE " + " AND ".join(text for text, _ in found), [value for _, values in found for value in values]


def order(*, gravest_first: bool) -> str:
    """The ORDER BY clause."""
    return f" ORDER BY {BY_GRAVITY if gravest_first else ''}ended DESC, rowid DESC"


def exit_condition(name: str) -> tuple[str, list[object]]:
    """What is true of the records of an exit, and its values. `name`: as `Wanted.exit`."""
    digits = name.removeprefix("$").upper()
    if len(digits) < PREFIX_MIN or not set(digits) <= HEX:
        return "exit_nickname = ? COLLATE NOCASE", [name]
    return (
        "(exit_nickname = ? COLLATE NOCASE OR (exit_fingerprint >= ? AND exit_fingerprint < ?))",
        [name, digits, digits + "G"],
    )


def _rank(column: str, words: tuple[str, ...]) -> str:
    cases = " ".join(f"WHEN '{word}' THEN {number}" for number, word in enumerate(words))
    return f"CASE {column} {cases} ELSE {len(words)} END"


BY_GRAVITY = f"{_rank('status', STATUSES)}, {_rank('severity', BY_SEVERITY)}, "
