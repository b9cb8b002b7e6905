"""Jobs as monitoring is told of them, made up."""

from typing import Any

from exitpin.orchestrator.report.watch import Watched
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
