"""A record as the tables of the store hold it: columns for what people look for, and all of it as JSON. Pure."""

import hashlib
import json
from collections.abc import Mapping
from typing import NamedTuple

RUN, VERDICT, SCAN = "exitpin.run/1", "exitpin.verdict/1", "exitpin.scan/1"
KINDS = {RUN: "run", VERDICT: "verdict"}
RUNNING, DONE, INTERRUPTED, FAILED = "running", "done", "interrupted", "failed"
"""How a scan stands, in its record."""

_ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


class Row(NamedTuple):
    """One run or verdict. `params_key` names tool, parameters and nothing else: see `params_key`."""

    record_id: str
    kind: str
    schema: str
    scan_id: str
    key: str | None
    role: str | None
    repetition: int | None
    attempt: int | None
    tool: str | None
    tool_digest: str | None
    params_key: str | None
    exit_fingerprint: str | None
    exit_nickname: str | None
    status: str
    severity: str | None
    failure_kind: str | None
    started: float | None
    ended: float
    record: str


class ScanRow(NamedTuple):
    """One scan: `state` is running, done, interrupted, failed, or `earlier` (of a version that kept none of this);
    `planned`: verdicts; `tools`: their ids, with commas between them."""

    scan_id: str
    started: float
    ended: float | None
    state: str
    network: str | None
    consensus: str | None
    planned: int | None
    exits: int | None
    tools: str
    scan: str


def row_of(record: Mapping[str, object]) -> Row:
    """The row of an `exitpin.run/1` or `exitpin.verdict/1`. Raises ValueError for what is neither or can't be JSON."""
    schema = record.get("schema")
    kind = KINDS.get(str(schema))
    if kind is None:
        raise ValueError(f"not a record of exitpin: schema {schema!r}")
    times, tool, of_exit = _table(record, "t"), _table(record, "tool"), _table(record, "exit")
    started = _number(record.get("started"), record.get("start"), times.get("queue"))
    ended = _number(record.get("ended"), times.get("end"), started)
    return Row(
        record_id=_text(record[f"{kind}_id"]) or "",
        kind=kind,
        schema=str(schema),
        scan_id=_text(record["scan_id"]) or "",
        key=_text(record.get("key")),
        role=_text(record.get("role")),
        repetition=_whole(record.get("repetition")),
        attempt=_whole(record.get("attempt")),
        tool=_text(tool.get("id")),
        tool_digest=_text(tool.get("digest")),
        params_key=params_key(tool),
        exit_fingerprint=_text(of_exit.get("fingerprint")),
        exit_nickname=_text(of_exit.get("nickname")),
        status=_text(record["status"]) or "",
        severity=_text(record.get("severity") or _table(record, "verdict").get("severity")),
        failure_kind=_text(_table(record, "failure").get("kind")),
        started=started,
        ended=ended or 0.0,
        record=_ENCODE(record),
    )


def scan_row_of(scan: Mapping[str, object]) -> ScanRow:
    """The row of an `exitpin.scan/1`. Raises ValueError for what is none."""
    if scan.get("schema") != SCAN:
        raise ValueError(f"not a scan of exitpin: schema {scan.get('schema')!r}")
    tools = scan.get("tools")
    ids = [str(tool.get("id")) for tool in tools if isinstance(tool, Mapping)] if isinstance(tools, list) else []
    vantage = _table(scan, "vantage")
    exits = scan.get("exits")
    return ScanRow(
        scan_id=_text(scan["scan_id"]) or "",
        started=_number(scan.get("started")) or 0.0,
        ended=_number(scan.get("ended")),
        state=str(scan["state"]),
        network=_text(vantage.get("name") or vantage.get("kind")),
        consensus=_text(scan.get("consensus")),
        planned=_whole(scan.get("planned")),
        exits=len(exits) if isinstance(exits, list) else None,
        tools=",".join(ids),
        scan=_ENCODE(scan),
    )


def params_key(tool: Mapping[str, object]) -> str | None:
    """By what the same question is recognised in another scan, whatever version of the tool asked it: SHA-256 of the
    tool's id and its parameters, as far as they may be told. None: no declared tool asked."""
    if tool.get("id") is None:
        return None
    params = tool.get("params")
    told = sorted((str(name), str(value)) for name, value in params.items()) if isinstance(params, Mapping) else []
    return hashlib.sha256(json.dumps([tool["id"], told]).encode()).hexdigest()


def _table(record: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = record.get(name)
    return found if isinstance(found, Mapping) else {}


def _number(*candidates: object) -> float | None:
    return next((float(n) for n in candidates if isinstance(n, int | float) and not isinstance(n, bool)), None)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    """As SQLite takes it: a lone surrogate has no UTF-8."""
    return None if value is None else str(value).encode("utf-8", "backslashreplace").decode()
