"""Evidence, read and indexed: Tor's lines by stream and circuit, the shim's reports by source, our claims by tag.

Decides nothing but what can't be read; what agrees with what is `verify.py`'s. Places are line numbers: the order in
which things happened is the proof.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .control_lines import ControlLineError, StreamEvent, parse_circ, parse_stream
from .model import Endpoint

SCHEMA = "exitpin.events/1"
SENT = frozenset({"SENTCONNECT", "SENTRESOLVE"})
ON_A_CIRCUIT = SENT | {"REMAP", "SUCCEEDED"}
DAEMON = "daemon-"
OP_CONNECT = 2
UNREADABLE_MAX = 1_000
TOO_DEEP = "it is nested too deeply"
_SOURCE_OFFSET = 40


@dataclass(frozen=True, slots=True)
class Seen:
    """A line about one stream, where in the evidence it stands, and when it came (seconds since the epoch)."""

    place: int
    at: float
    event: StreamEvent


@dataclass(slots=True)
class Evidence:
    """An evidence file. `tags`: the streams that were on a circuit with that SOCKS user name; `reports`: by run, nonce
    and source, where each pid that the kernel named first sent a CONNECT report, the first of them first;
    `reporters`: where run, nonce and pid first stand in a report of any kind; `used`: the circuits that something was
    claimed for, or that a stream with a SOCKS user name was on; `circuits`: those that Tor said anything of, and
    `has_unbuilt`: whether they include those that failed: earlier daemons left them out."""

    runs: dict[str, tuple[int, Mapping[str, object]]] = field(default_factory=dict)
    reports: dict[tuple[str, bytes, Endpoint], dict[object, int]] = field(default_factory=dict)
    reporters: dict[tuple[str, bytes, object], int] = field(default_factory=dict)
    claims: dict[tuple[str, str], tuple[int, Mapping[str, object]]] = field(default_factory=dict)
    streams: dict[int, list[Seen]] = field(default_factory=dict)
    tags: dict[str, set[int]] = field(default_factory=dict)
    built: dict[int, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    circuit_ends: dict[int, int] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)
    circuits: set[int] = field(default_factory=set)
    has_unbuilt: bool = True
    problems: list[str] = field(default_factory=list)


def read_evidence(lines: Iterable[str]) -> Evidence:
    """Index an evidence file. Raises ValueError when it is none; a line that can't be read becomes a problem."""
    evidence, place = Evidence(), 0
    for place, text in enumerate(lines, start=1):
        try:
            entry = json.loads(text)
            if place > 1:
                _index(evidence, place, entry)
            elif entry.get("schema") != SCHEMA:
                raise ValueError(f"not evidence of exitpin: the first line has no schema {SCHEMA}")
            else:
                is_daemons = str(entry.get("session")).startswith(DAEMON)
                evidence.has_unbuilt = not is_daemons or entry.get("unbuilt") is True
        except (ValueError, KeyError, TypeError, AttributeError, ControlLineError, RecursionError) as error:
            why = TOO_DEEP if isinstance(error, RecursionError) else str(error)
            if place == 1:
                raise ValueError(why) from error
            evidence.problems.append(f"line {place} of the evidence can't be read: {why}")
            if len(evidence.problems) >= UNREADABLE_MAX:
                raise ValueError(f"{UNREADABLE_MAX} lines of it can't be read, and no more were tried") from error
    if place == 0:
        raise ValueError("not evidence of exitpin: it is empty")
    return evidence


def _index(evidence: Evidence, place: int, entry: Mapping[str, object]) -> None:
    """One entry after the first. Raises ValueError, KeyError, TypeError and AttributeError for what is none of ours."""
    run_id = entry.get("run")
    if "tor" in entry:
        at = entry.get("t")
        _tor_line(evidence, place, at if isinstance(at, int | float) else 0.0, _text(entry["tor"]))
    elif "begin" in entry:
        if evidence.runs.setdefault(_text(run_id), (place, _object(entry["begin"])))[0] != place:
            raise ValueError(f"run {run_id} begins twice")
    elif "claim" in entry:
        claim = _object(entry["claim"])
        if evidence.claims.setdefault((_text(run_id), _text(claim["tag"])), (place, claim))[0] != place:
            raise ValueError(f"{claim['tag']} is claimed twice")
        if isinstance(circuit_id := claim.get("circuit"), int):
            evidence.used.add(circuit_id)
    elif "report" in entry:
        _report(evidence, place, entry)
    else:
        raise ValueError("it is no entry of exitpin")


def _tor_line(evidence: Evidence, place: int, at: float, line: str) -> None:
    if line.startswith("STREAM "):
        event = parse_stream(line)
        evidence.streams.setdefault(event.stream_id, []).append(Seen(place, at, event))
        if event.socks_username and event.status in ON_A_CIRCUIT:
            evidence.tags.setdefault(event.socks_username, set()).add(event.stream_id)
            evidence.used.add(event.circuit_id)
    elif line.startswith("CIRC "):
        circuit = parse_circ(line)
        evidence.circuits.add(circuit.circuit_id)
        if circuit.status == "BUILT" and not circuit.conflux:
            path = tuple(hop.fingerprint for hop in circuit.path)
            if evidence.built.setdefault(circuit.circuit_id, (place, path))[1] != path:
                evidence.problems.append(f"circuit {circuit.circuit_id} was BUILT with two paths")
        elif circuit.status in ("CLOSED", "FAILED"):
            evidence.circuit_ends.setdefault(circuit.circuit_id, place)


def _report(evidence: Evidence, place: int, entry: Mapping[str, object]) -> None:
    """Index a report by who sent it, a CONNECT also by its source (the layout is that of shim/wire.h)."""
    packet = bytes.fromhex(_text(entry["report"]))
    evidence.reporters.setdefault((_text(entry["run"]), packet[8:24], entry.get("pid")), place)
    if len(packet) < 80 or int.from_bytes(packet[6:8], "little") != OP_CONNECT:
        return
    family = int.from_bytes(packet[_SOURCE_OFFSET : _SOURCE_OFFSET + 2], "little")
    port = int.from_bytes(packet[_SOURCE_OFFSET + 2 : _SOURCE_OFFSET + 4], "little")
    address = packet[_SOURCE_OFFSET + 4 : _SOURCE_OFFSET + 20]
    quad = address[:4] if family == 2 else address[12:]
    source = Endpoint(".".join(str(byte) for byte in quad), port)
    reports = evidence.reports.setdefault((_text(entry["run"]), packet[8:24], source), {})
    reports.setdefault(entry.get("pid"), place)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.80} is no string")
    return value


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r:.80} is no object")
    return value
