"""Records as anybody may read them: the exit, what it did and the digest of the proof, and nothing about who looked.

Pure. What may be told is listed here, field by field, and all else stays at home: a field that is new some day is not
public before somebody says so. `docs/results.rst` tells users the same. Called by `export` and `bundle`; mails and
pages take their name of a verdict from here.

Kept from a record that goes with its proof are the loopback address, ports, pids and tags of each stream and the whole
path of its circuit: without them nobody could recompute the attribution.
"""

import hashlib
import ipaddress
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .commands import SECRET, for_others
from .exhibit import exhibits
from .rows import RUN, SCAN

LOCAL, VANTAGE = "(local)", "(vantage)"
RAW_MAX = 12  # hex digits that name a verdict

RUN_FIELDS = (
    "schema", "run_id", "scan_id", "attempt", "role", "repetition", "nonce", "status", "start", "denied_count",
    "facts", "facts_exact",
)  # fmt: skip
VERDICT_FIELDS = (
    "schema", "verdict_id", "scan_id", "status", "severity", "rule", "when", "lied", "of", "undecided", "layer",
    "blame", "retryable", "interrupted", "started", "ended",
)  # fmt: skip
JUDGEMENT_FIELDS = ("status", "severity", "rule", "when", "reason", "lied", "of", "layer", "undecided")
EXIT_FIELDS = (
    "fingerprint", "nickname", "addresses", "observed_address", "flags", "family", "contact", "consensus",
)  # fmt: skip
TOOL_FIELDS = ("id", "summary", "digest", "version")
STREAM_FIELDS = (
    "destination", "is_lookup", "resolved", "stream_id", "circuit_id", "status", "closed", "reason", "remote_reason",
    "bytes_up", "bytes_down", "witnesses",
)  # fmt: skip
PROOF_FIELDS = ("pid", "source_address", "source_port", "tag")
TIMES = ("queue", "circuit", "first_stream", "first_byte", "end")
PROCESS_FIELDS = ("rc", "signal", "timed_out", "truncated", "stdout_bytes", "stderr_bytes")
FAILURE_FIELDS = ("kind", "blame", "retryable")
EXHIBIT_FIELDS = ("name", "sha256", "size_bytes", "is_cut")
SCAN_FIELDS = ("schema", "scan_id", "state", "started", "ended", "exitpin", "consensus", "exits", "planned")
WITHHELD_PIECES = ("stderr",)
"""Evidence that tells more of this machine than of the exit: it is named by its digest, and never handed out."""

_LOOPBACK = re.compile(r"\b127\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d{1,5})?\b")
_OUR_OPTIONS = ("--name", "--store", "--control", "--events")

Json = Mapping[str, Any]
Record = dict[str, Any]


def public(record: Json, *, with_proof: bool = False) -> Record | None:
    """A run or a verdict without its vantage; None: all of it is about the vantage, as of a run that used no exit.

    `with_proof`: for somebody who is given the events of its runs, too.
    """
    fingerprint = _table(record, "exit").get("fingerprint")
    if not isinstance(fingerprint, str) or not fingerprint.strip("0"):
        return None
    is_local = _table(record, "failure").get("blame") == "local" or record.get("blame") == "local"
    told = {
        **(_run(record, with_proof, is_local) if record.get("schema") == RUN else _verdict(record, is_local)),
        "key": None if has_secrets(record) else record.get("key"),
        "vantage": _some(_table(record, "vantage"), ("kind", "tor")),
        "exit": _some(_table(record, "exit"), EXIT_FIELDS),
        "tool": {**_some(_table(record, "tool"), TOOL_FIELDS), "params": _params(_table(record, "tool"))},
        "failure": _failure(record, is_local=is_local),
        "controls": [_control(control) for control in _tables(record, "controls")],
        "evidence": [_some(item, EXHIBIT_FIELDS) for item in exhibits(record)],
        "reproduce": _command_line(record),
    }
    hidden = [(_pattern(address), VANTAGE) for address in _our_addresses(record)]
    cleaned = _without(told, hidden if with_proof else [*hidden, (_LOOPBACK, LOCAL)])
    assert isinstance(cleaned, dict)
    return cleaned


def public_scan(scan: Json) -> Record:
    """A scan without its vantage, its settings, and what is secret of its tools."""
    if scan.get("schema") != SCAN:
        raise ValueError(f"not a scan of exitpin: schema {scan.get('schema')!r}")
    tools = [{**_some(tool, ("id", "digest")), "params": _params(tool)} for tool in _tables(scan, "tools")]
    vantage = _some(_table(scan, "vantage"), ("kind", "tor"))
    return {**_some(scan, SCAN_FIELDS), "vantage": vantage, "tools": tools}


def _run(record: Json, with_proof: bool, is_local: bool) -> Record:
    judgement = record.get("verdict")
    streams = (*STREAM_FIELDS, *PROOF_FIELDS) if with_proof else STREAM_FIELDS
    words = tuple(name for name in JUDGEMENT_FIELDS if name != "reason" or not is_local)
    return {
        **_some(record, (*RUN_FIELDS, "source_address") if with_proof else RUN_FIELDS),
        "t": _some(_table(record, "t"), TIMES),
        "unusable": None if is_local else record.get("unusable"),
        "circuits": [_circuit(circuit, with_proof) for circuit in _tables(record, "circuits")],
        "streams": [_some(stream, streams) for stream in _tables(record, "streams")],
        "denied": [_some(denied, ("reason",)) for denied in _tables(record, "denied")],
        "containment": _some(_table(record, "containment"), ("level", "asked", "open")),
        "process": _some(_table(record, "process"), PROCESS_FIELDS),
        "verdict": _some(judgement, words) if isinstance(judgement, Mapping) else None,
    }


def _verdict(record: Json, is_local: bool) -> Record:
    told = _some(record, VERDICT_FIELDS)
    if has_secrets(record):
        told["verdict_id"] = public_id(record)
    names = ("run_id", "role", "status", "reason", "t", "doubts")
    fields = tuple(name for name in names if name != "reason" or not is_local)
    return {
        **told,
        "reason": None if is_local else record.get("reason"),
        "runs": [_some(run, fields) for run in _tables(record, "runs")],
    }


def public_id(record: Json) -> str:
    """By what a verdict is named among strangers: mails and pages have this name, too. Its own id is the beginning of
    its key, and the key is a digest of secrets, too: of a short one it would tell which guess is right."""
    if not has_secrets(record):
        return str(record.get("verdict_id") or "")
    asked = [record.get("scan_id"), _table(record, "tool").get("id"), _table(record, "exit").get("fingerprint")]
    return f"{record.get('scan_id')}-v{hashlib.sha256(repr(asked).encode()).hexdigest()[:RAW_MAX]}"


def _circuit(circuit: Json, with_proof: bool) -> Record:
    """The hops before the exit say which relays we use."""
    path = circuit.get("path")
    hops = path if isinstance(path, list) else []
    return {"id": circuit.get("id"), "path": hops if with_proof else hops[-1:], "reason": circuit.get("reason")}


def _control(control: Json) -> Record:
    """What was seen without Tor was seen from our address, and may tell it."""
    if control.get("vantage") == "direct":
        return {"vantage": "direct", "exit": None, "run_id": None, "at": control.get("at"), "facts": {}}
    return _some(control, ("vantage", "exit", "run_id", "at", "facts"))


def _failure(record: Json, *, is_local: bool) -> Record | None:
    failure = record.get("failure")
    if not isinstance(failure, Mapping):
        return None
    return {**_some(failure, FAILURE_FIELDS), "detail": None if is_local else failure.get("detail")}


def _params(tool: Json) -> Record:
    """The parameters that may be told. A path is one of this machine's."""
    secret = tool.get("secret")
    names = set(map(str, secret)) if isinstance(secret, list) else set()
    told = _table(tool, "params")
    return {
        name: LOCAL if _is_local(value) else value
        for name, value in told.items()
        if value != SECRET and name not in names
    }


def has_secrets(record: Json) -> bool:
    """Whether a secret went into what the record was named by."""
    return any(value == SECRET for value in _table(_table(record, "tool"), "params").values())


def _command_line(record: Json) -> str | None:
    """How to see it again, from anywhere: without our network, our files and our secrets."""
    try:
        words = shlex.split(str(record.get("reproduce")))
    except ValueError:
        return None
    if _table(record, "tool").get("id") is None or words[:2] != ["exitpin", "audit"] or len(words) < 3:
        return None
    return shlex.join([*words[:2], for_others(words[2]), *_portable(words[3:])])


def _portable(words: list[str]) -> Iterator[str]:
    rest = iter(words)
    for word in rest:
        if word in _OUR_OPTIONS:
            next(rest, None)
        elif word in ("-e", "-p"):
            value = next(rest, "")
            if SECRET not in value and not _is_local(value.partition("=")[2]):
                yield from (word, value)


def _is_local(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("/", "~", "./", "../", "file:"))


def _our_addresses(record: Json) -> frozenset[str]:
    """Addresses that a control saw which used no exit: they may be ours, wherever else they stand."""
    seen: set[str] = set()
    for control in _tables(record, "controls"):
        if control.get("vantage") == "direct":
            for value in _table(control, "facts").values():
                seen.update(text for text in (value if isinstance(value, list) else [value]) if _is_address(text))
    return frozenset(seen)


def _is_address(text: object) -> bool:
    try:
        return isinstance(text, str) and bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _pattern(address: str) -> "re.Pattern[str]":
    """Where an address stands by itself, and not as a part of a longer one."""
    if ":" in address:
        return re.compile(rf"(?<![0-9A-Fa-f:]){re.escape(address)}(?![0-9A-Fa-f:])", re.IGNORECASE)
    return re.compile(rf"(?<![0-9.]){re.escape(address)}(?!\d|\.\d)")


def _without(value: object, hidden: Sequence["tuple[re.Pattern[str], str]"]) -> object:
    """The value, whatever it is made of, with a word in place of each of these."""
    if isinstance(value, str):
        for pattern, word in hidden:
            value = pattern.sub(word, value)
        return value
    if isinstance(value, Mapping):
        return {name: _without(each, hidden) for name, each in value.items()}
    if isinstance(value, list):
        return [_without(each, hidden) for each in value]
    return value


def _some(table: Json, names: tuple[str, ...]) -> Record:
    return {name: table[name] for name in names if name in table}


def _table(record: Json, name: str) -> Json:
    found = record.get(name)
    return found if isinstance(found, Mapping) else {}


def _tables(record: Json, name: str) -> list[Json]:
    found = record.get(name)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []
