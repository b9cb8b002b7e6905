"""What a long-running watch says of itself to whoever watches over it: `exitpin.watch-state/1`, a small file of JSON
that it writes anew whenever something of this changes. Pure.

`exitpin watch` makes one and writes it; `report prom` and `report status` read it. Times are seconds since the epoch:
how long ago something was is for the reader to say, who knows what time it is.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

from .fields import number, text, whole

SCHEMA = "exitpin.watch-state/1"
STATES = ("scanning", "waiting", "paused", "stopped")
TEXT_MAX = 400


@dataclass(frozen=True, slots=True)
class WatchTold:
    """`watch`: its name; `state`: one of STATES; `written`: when it said so. `iteration`: the number of the last one
    that began, 0: none yet; `scan`: the scan of the plan that it is of, and `scan_id`. `last_ended`: when an iteration
    ended last, whatever its scan; `due`: when the next one is to begin; None: there is none. `valid_after`: of the
    snapshot of `scan_id`, seconds since the epoch; `paused`: why nothing is scanned, in a sentence; empty: it is not
    paused; `store`: the file of its records."""

    watch: str
    state: str
    written: float
    iteration: int = 0
    scan: str = ""
    scan_id: str = ""
    last_ended: float | None = None
    due: float | None = None
    valid_after: float | None = None
    paused: str = ""
    store: str = ""


def watch_json(told: WatchTold) -> bytes:
    """The file."""
    return json.dumps({"schema": SCHEMA, **asdict(told)}, ensure_ascii=True).encode() + b"\n"


def read_watch(content: bytes) -> WatchTold:
    """What stands in the file. Raises ValueError for what is none."""
    try:
        found: Any = json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if text(found, "schema") != SCHEMA:
        raise ValueError(f"its schema is not {SCHEMA}")
    state, written = text(found, "state"), number(found, "written")
    if state not in STATES or written is None:
        raise ValueError(f"it does not say since when it is {', '.join(STATES[:-1])} or {STATES[-1]}")
    watch, scan, scan_id, paused = (text(found, name)[:TEXT_MAX] for name in ("watch", "scan", "scan_id", "paused"))
    store = text(found, "store")
    last_ended, due, valid_after = (number(found, name) for name in ("last_ended", "due", "valid_after"))
    iteration = whole(found, "iteration")
    return WatchTold(watch, state, written, iteration, scan, scan_id, last_ended, due, valid_after, paused, store)
