"""Which verdicts somebody is told of at once, each by one command, and when the next one may start. Pure.

A verdict is told when it is on disk, so that whoever is called finds it there: `judged` puts it by, `recorded` frees
it. One that an interruption left open is not told, for it is asked anew. Each is told once: what `told` holds (verdict
ids, with the status that was told) goes with the scan's record, so that a scan that goes on does not tell it again; a
kill between the command's end and that record repeats one or two. An alert storm tells nobody anything: beyond
ALERTS_MAX of one scan they are counted, and told together at the end (`exitpin.alerts/1`). After FAILURES_MAX commands
that failed one after the other no more are tried: what was not told is told when the scan goes on.

Called by the command line, which carries the commands out (`cli/audit_alerts.py`).
"""

import json
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..results.rows import VERDICT

STATUSES = ("tampered", "suspect", "broken", "error")
SUMMARY = "exitpin.alerts/1"
ALERTS_MAX = 50  # of one scan, each by itself
AT_ONCE = 2
FAILURES_MAX = 3  # in a row
TIMEOUT_MIN_S, TIMEOUT_MAX_S = 1.0, 3600.0  # of one command

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Alert:
    """What one command is given: `line`, JSON in ASCII with its end. `verdicts`: whom it is about, ids and statuses."""

    verdicts: Mapping[str, str]
    line: bytes


@dataclass(frozen=True, slots=True)
class _Verdict:
    """One that waits to be on disk. `line` None: it will be told with all others beyond the limit."""

    status: str
    tool: str
    line: bytes | None


class Alerts:
    """The alerts of a scan. `on`: which statuses; `told`: by earlier sessions. Nothing is started here: `take` what may
    be, and say when it has `ended`."""

    def __init__(self, scan_id: str, on: Iterable[str], told: Mapping[str, str] | None = None) -> None:
        self._scan_id = scan_id
        self._on = frozenset(on)
        self.told = dict(told or {})
        self.failed = 0
        self.succeeded = 0
        self.problem = ""
        self._accepted = len(self.told)
        self._unrecorded: dict[str, _Verdict] = {}
        self._queue: deque[Alert] = deque()
        self._surplus: dict[str, _Verdict] = {}
        self._running = 0
        self._in_a_row = 0
        self._is_over = self._is_lost = False
        self._untold = 0

    # What is to be told.

    def is_due(self, record: Record) -> bool:
        """Whether somebody wants to be told of it, and was not."""
        if record.get("schema") != VERDICT or record.get("interrupted") or record.get("status") not in self._on:
            return False
        return self.told.get(str(record.get("verdict_id"))) != str(record["status"])

    def judged(self, record: Record) -> None:
        """A record that will be on disk soon."""
        if self._is_lost or not self.is_due(record):
            return
        name, line = str(record["verdict_id"]), None
        if name not in self._unrecorded and self._accepted < ALERTS_MAX:
            self._accepted += 1
            line = _line(record)
        self._unrecorded[name] = _Verdict(str(record["status"]), str((record.get("tool") or {}).get("id")), line)

    def recorded(self, record_ids: Iterable[str]) -> None:
        """These are on disk."""
        for name in record_ids:
            verdict = self._unrecorded.pop(name, None)
            if verdict is None:
                continue
            if verdict.line is None:
                self._surplus[name] = verdict
            else:
                self._put(Alert({name: verdict.status}, verdict.line))

    def lost(self) -> None:
        """What is not on disk by now will never be, and nothing that comes."""
        self._is_lost = True
        self._unrecorded.clear()

    @property
    def is_waiting_for_disk(self) -> bool:
        return bool(self._unrecorded)

    def close(self) -> None:
        """No verdict will come any more: those beyond the limit are told together."""
        if self._surplus:
            self._put(Alert({name: one.status for name, one in self._surplus.items()}, self._summary()))
            self._surplus = {}

    def _put(self, alert: Alert) -> None:
        if self._is_over:
            self._untold += len(alert.verdicts)
        else:
            self._queue.append(alert)

    # Telling it.

    def take(self) -> Alert | None:
        """What may be told now; it counts as running until it has `ended`."""
        if not self._queue or self._running >= AT_ONCE:
            return None
        self._running += 1
        return self._queue.popleft()

    def ended(self, alert: Alert, problem: str | None) -> None:
        """Its command has ended. `problem`: why it failed; None: it was told."""
        self._running -= 1
        if problem is None:
            self.told.update(alert.verdicts)
            self.succeeded += 1
            self._in_a_row = 0
            return
        self.failed += 1
        self.problem = problem
        self._untold += len(alert.verdicts)
        self._in_a_row += 1
        if self._in_a_row == FAILURES_MAX:
            self.stop()

    def stop(self) -> None:
        """Tell nobody any more."""
        self._is_over = True
        self._untold += sum(len(alert.verdicts) for alert in self._queue)
        self._queue.clear()

    @property
    def is_idle(self) -> bool:
        return not self._running and not self._queue

    @property
    def untold(self) -> int:
        """Verdicts that nobody was told of."""
        return self._untold + len(self._surplus)

    def sentences(self, again: str) -> list[str]:
        """What to say at the end. `again`: what to type, so that the rest is told."""
        if not self.succeeded and not self.untold:
            return []
        said = f"alerts: {self.succeeded} told"
        if self.failed:
            said += f", {self.failed} failed, the last: {self.problem}"
        if self.untold:
            verdicts = "1 verdict was" if self.untold == 1 else f"{self.untold} verdicts were"
            said += f"; {verdicts} not told; to tell: {again}"
        return [said]

    def _summary(self) -> bytes:
        names = list(self._surplus)
        return _line(
            {
                "schema": SUMMARY,
                "scan_id": self._scan_id,
                "count": len(names),
                "statuses": dict(Counter(one.status for one in self._surplus.values())),
                "tools": dict(Counter(one.tool for one in self._surplus.values())),
                "verdict_ids": names[:ALERTS_MAX],
            }
        )


def _line(record: Record) -> bytes:
    return json.dumps(record, ensure_ascii=True).encode() + b"\n"
