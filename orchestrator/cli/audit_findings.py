"""The findings of a scan as its end shows them: a table on a terminal, and what to do next; elsewhere a line each."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ...wrappers.output import printable
from ..audit.keys import verdict_id
from ..results.wanted import STATUSES
from .results_store import exit_name, shown

SHOWN_MAX = 40  # on a terminal
COLUMNS = ("status", "severity", "tool", "exit", "lied", "reason", "id")

Json = Mapping[str, Any]


def findings_table(findings: Sequence[Json], scan_id: str) -> str:
    """The text to print, the gravest first; nothing for none. Of a verdict of an earlier session little is known."""
    rows = sorted(findings, key=_rank)
    if rows and sys.stdout.isatty():
        return _drawn(rows, scan_id)
    return "".join(f"{_line(record)}\n" for record in rows)


def _rank(record: Json) -> tuple[int, str, str, str]:
    """By what findings are sorted: not by when they were known, which is chance."""
    exit = record["exit"]
    return STATUSES.index(record["status"]), record["tool"]["id"], str(exit["nickname"]), exit["fingerprint"]


def _drawn(rows: Sequence[Json], scan_id: str) -> str:
    from .page import Line, print_page
    from .results_table import print_table, terminal

    first = shown(_id(rows[0], scan_id))
    steps = [f"exitpin results show {first}", f"exitpin report email {first}"]
    if len(rows) > SHOWN_MAX:
        steps.insert(0, f"exitpin results list --scan {scan_id} --status findings -n 0")
    console = terminal()
    with console.capture() as drawn:
        print_table(COLUMNS, [_cells(record, scan_id) for record in rows[:SHOWN_MAX]], console)
        if len(rows) > SHOWN_MAX:
            console.print(f"and {len(rows) - SHOWN_MAX} more")
        print_page([Line(), Line("next", "bold"), *(Line(step, "", 2) for step in steps)], console)
    return drawn.get()


def _cells(record: Json, scan_id: str) -> list[str]:
    lied = f"{record['lied']}/{record['of']}" if record["of"] else ""
    told = (record["status"], record.get("severity"), record["tool"]["id"])
    return [*map(shown, told), exit_name(record), lied, shown(record["reason"]), shown(_id(record, scan_id))]


def _id(record: Json, scan_id: str) -> str:
    return str(record.get("verdict_id") or verdict_id(scan_id, str(record["key"])))


def _line(record: Json) -> str:
    lied = f"{record['lied']} of {record['of']} lied" if record["lied"] else ""
    fields: Sequence[str] = (
        str(record["status"]),
        str(record["tool"]["id"]),
        str(record["exit"]["nickname"]),
        str(record["exit"]["fingerprint"]),
        lied,
        str(record["reason"]),
    )
    return "\t".join(printable(text).replace("\t", " ") for text in fields)
