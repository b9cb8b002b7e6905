"""Which iterations of a watch the store knows: what a watch that is started anew begins with."""

from collections.abc import Iterable

from ..freshness import epoch_of
from ..results.scan_lock import is_running
from ..results.stored import Reader
from .agenda import Iteration

DONE = "done"

RECENT = 50
_LATEST = (
    "SELECT number, started, scan_id, state, consensus FROM ("
    "SELECT json_extract(scan, '$.iteration.number') AS number, started, scan_id, state, consensus, rowid AS place"
    " FROM scans WHERE CASE WHEN json_valid(scan) THEN json_extract(scan, '$.iteration.watch') = ?"
    f" AND json_extract(scan, '$.iteration.scan') = ? END ORDER BY rowid DESC LIMIT {RECENT}"
    ") ORDER BY number DESC, place DESC LIMIT 1"
)
"""Not by when they started, for the clock may have been wrong; and not all of them, for each is read whole."""


def latest_iterations(reader: Reader, watch: str, scans: Iterable[str]) -> dict[str, Iteration]:
    """The latest iteration of each of these scans, by its name, as far as there was one. Raises OperatorError."""
    found = {}
    for name in scans:
        for number, started, scan_id, state, consensus in reader.rows(_LATEST, [watch, name]):
            valid_after = epoch_of(consensus) if consensus else None
            found[name] = Iteration(int(number), started, scan_id, state == DONE, valid_after)
    return found


def is_under_way(reader: Reader, scan_id: str) -> bool:
    """Whether somebody carries the scan out at this moment."""
    return is_running(reader.blobs.directory, scan_id)
