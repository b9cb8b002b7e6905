"""What runs of a tool took, as earlier scans have it: the mean of the latest ones.

Asks whoever can read the store. A run that failed counts as it was: whoever plans the next scan will have such, too.
"""

from typing import NamedTuple

from .standing import Rows

LATEST = 20_000  # runs of all tools among which those of a tool are looked for
ENOUGH = 200


class Measured(NamedTuple):
    """The means of so many `runs`, a run: streams, bytes from the tool to Tor and back."""

    runs: int
    streams: float
    bytes_up: float
    bytes_down: float


def measured(reader: Rows, tool: str) -> Measured | None:
    """Of the latest runs of a tool, whatever its parameters were; None: there is none. Raises OperatorError."""
    latest = f"SELECT rowid AS place, tool FROM runs WHERE kind = 'run' ORDER BY ended DESC LIMIT {LATEST}"
    mine = f"SELECT place FROM ({latest}) WHERE tool = ? LIMIT {ENOUGH}"
    streams = "json_each(CASE WHEN json_valid(record) THEN record ELSE '{}' END, '$.streams')"
    sums = ", ".join(f"total(CASE WHEN {_is_count(name)} THEN {_of(name)} END)" for name in ("bytes_up", "bytes_down"))
    statement = f"SELECT count(DISTINCT runs.rowid), count(value), {sums} FROM runs LEFT JOIN {streams} AS stream"
    statement += f" ON stream.type = 'object' WHERE runs.rowid IN ({mine})"
    ((runs, *totals),) = reader.rows(statement, [tool])
    return Measured(runs, *(float(total) / runs for total in totals)) if runs else None


def _of(name: str) -> str:
    return f"json_extract(stream.value, '$.{name}')"


def _is_count(name: str) -> str:
    return f"json_type(stream.value, '$.{name}') = 'integer'"
