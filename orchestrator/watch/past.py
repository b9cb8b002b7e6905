"""Which iterations of a watch the store knows: what a watch that is started anew begins with."""

import json
from collections.abc import Iterable, Sequence

from ..freshness import epoch_of
from ..results.rows import DONE
from ..results.scan_lock import is_running
from ..results.stored import Reader
from .agenda import Iteration
from .plan import PlannedScan

RECENT = 50
_LATEST = (
    "SELECT number, started, scan_id, state, consensus, legs FROM ("
    "SELECT json_extract(scan, '$.iteration.number') AS number, started, scan_id, state, consensus, rowid AS place,"
    " json_array_length(scan, '$.legs') AS legs"
    " FROM scans WHERE CASE WHEN json_valid(scan) THEN json_extract(scan, '$.iteration.watch') = ?"
    f" AND json_extract(scan, '$.iteration.scan') = ? END ORDER BY rowid DESC LIMIT {RECENT}"
    ") ORDER BY number DESC, place DESC LIMIT 1"
)
"""Not by when they started, for the clock may have been wrong; and not all of them, for each is read whole."""

_VERDICTS_OF = (
    "SELECT record_id, status FROM runs WHERE scan_id = ? AND kind = 'verdict'"
    " AND status IN (SELECT value FROM json_each(?))"
)


def latest_iterations(reader: Reader, watch: str, scans: Iterable[PlannedScan]) -> dict[str, Iteration]:
    """The latest iteration of each of these scans, by its name, as far as there was one. Raises OperatorError."""
    found = {}
    for scan in scans:
        for number, started, scan_id, state, consensus, legs in reader.rows(_LATEST, [watch, scan.name]):
            valid_after = epoch_of(consensus) if consensus else None
            is_told = _is_told(reader, scan_id, scan.alert_on)
            found[scan.name] = Iteration(int(number), started, scan_id, state == DONE, valid_after, is_told, legs or 0)
    return found


def _is_told(reader: Reader, scan_id: str, statuses: Sequence[str]) -> bool:
    """Whether somebody was told of each verdict of a scan with one of these statuses."""
    if not statuses:
        return True
    told = (reader.scan(scan_id) or {}).get("alerted") or {}
    return all(told.get(name) == status for name, status in reader.rows(_VERDICTS_OF, [scan_id, json.dumps(statuses)]))


def is_under_way(reader: Reader, scan_id: str) -> bool:
    """Whether somebody carries the scan out at this moment."""
    return is_running(reader.blobs.directory, scan_id)
