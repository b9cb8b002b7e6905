"""Jobs as monitoring is told of them, made up."""

from typing import Any

from exitpin.orchestrator.report.watch import Watched
from exitpin.orchestrator.report.watch_told import WatchTold
from exitpin.orchestrator.results.stored import Accusation

NOW = 100_000.0
HOSTILE = 'a"b\\c\nd | e\u2028\ud800'


def accusation(status: str, number: int = 1, **changes: object) -> Accusation:
    told = ("tls-cert", status, None, f"{number:040X}", f"exit{number:02d}", f"s1-v{number}")
    return Accusation(*told)._replace(**changes)  # type: ignore[arg-type]


def a_job(*accused: Accusation, ok: int = 5, **changes: Any) -> Watched:
    """A scan of one tool that ended an hour ago, with these findings and so many verdicts that are ok."""
    tally: dict[tuple[str, str], int] = {("tls-cert", "ok"): ok} if ok else {}
    for one in accused:
        tally[one.tool, one.status] = tally.get((one.tool, one.status), 0) + 1
    told: dict[str, Any] = {
        "name": "tls-cert host=www.example.org", "lab": "", "scan_id": "s1", "state": "done", "started": NOW - 4000.0,
        "ended": NOW - 3600.0, "planned": sum(tally.values()), "tally": tally, "accused": accused,
    }  # fmt: skip
    return Watched(**{**told, **changes})


def a_watch(**changes: Any) -> WatchTold:
    """A watch that waits for its next iteration, which is due in an hour."""
    told: dict[str, Any] = {
        "watch": "nightly", "state": "waiting", "written": NOW - 60.0, "iteration": 41, "scan": "all", "scan_id": "s41",
        "last_ended": NOW - 3600.0, "due": NOW + 3600.0, "valid_after": NOW - 7200.0,
    }  # fmt: skip
    return WatchTold(**{**told, **changes})
