"""What is known of a scan as a whole (`exitpin.scan/1`): who was to be asked what, with which tools and settings, by
which consensus, and how far it came. With it, and nothing else, an interrupted scan is gone on with. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ..results.exhibit import Exhibit
from ..results.rows import DONE, FAILED, INTERRUPTED, RUNNING, SCAN
from .disclosure import ToolUse, param_shown

Record = dict[str, Any]

__all__ = [
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "RUNNING",
    "Record",
    "begin",
    "end",
    "go_on",
    "tool_of_scan",
    "with_alerted",
]


def tool_of_scan(use: ToolUse, key: str) -> Record:
    """A tool as a scan uses it. `key`: of tool and parameters (`keys.audit_key`)."""
    tool = use.tool
    return {
        "id": tool.id,
        "word": use.word or tool.id,
        "digest": tool.digest,
        "key": key,
        "params": {name: param_shown(use, name) for name in use.params},
        "given": sorted(use.given),
        "secret": sorted(param.name for param in tool.params if param.is_secret),
    }


def begin(
    scan_id: str,
    started: float,
    *,
    exitpin: str,
    vantage: Mapping[str, object],
    consensus: str,
    snapshot: Sequence[Exhibit],
    tools: Sequence[Record],
    exits: Sequence[str],
    settings: Mapping[str, object],
    iteration: Mapping[str, object] | None = None,
    change: Mapping[str, object] | None = None,
) -> Record:
    """A scan that begins. `started`: seconds since the epoch; `exitpin`: its version; `consensus`: its valid-after;
    `snapshot`: the documents; `settings`: what the command line asked for, but for tools, parameters and exits;
    `iteration`: which one it is of a watch; `change`: as for `go_on`."""
    scan = {
        "schema": SCAN,
        "scan_id": scan_id,
        "started": started,
        "exitpin": exitpin,
        "vantage": dict(vantage),
        "tools": list(tools),
        "exits": list(exits),
        "planned": len(tools) * len(exits),
        "settings": dict(settings),
        "iteration": None if iteration is None else dict(iteration),
        "legs": [],
    }
    return go_on(scan, started, consensus=consensus, snapshot=snapshot, change=change)


def go_on(
    scan: Record,
    started: float,
    *,
    consensus: str,
    snapshot: Sequence[Exhibit],
    change: Mapping[str, object] | None = None,
) -> Record:
    """The same with one more leg, which begins now, by a snapshot of its own. `change`: what has become of the network
    since the snapshot before it (`NetworkChange.told`); None: that is not known."""
    evidence = [exhibit.told() for exhibit in snapshot]
    leg = {
        "started": started, "ended": None, "how": None, "consensus": consensus, "evidence": evidence, "change": change,
    }  # fmt: skip
    legs = [*scan["legs"], leg]
    return {**scan, "state": RUNNING, "ended": None, "consensus": consensus, "evidence": _all(legs), "legs": legs}


def with_alerted(scan: Record, alerted: Mapping[str, str]) -> Record:
    """The same, with the verdicts that somebody was told of (`alerts.py`): ids, and the statuses that were told."""
    return {**scan, "alerted": dict(alerted)} if alerted else scan


def end(scan: Record, ended: float, how: str) -> Record:
    """The same when its last leg is over. `how`: done, interrupted or failed."""
    *before, last = scan["legs"]
    return {**scan, "state": how, "ended": ended, "legs": [*before, {**last, "ended": ended, "how": how}]}


def _all(legs: Sequence[Record]) -> list[Record]:
    """The pieces of all legs, each once."""
    return list({item["sha256"]: item for leg in legs for item in leg["evidence"]}.values())
