"""Every attribution, recomputed offline from the evidence: Tor's raw lines and the shim's raw reports, no Tor needed.

Reads nothing that the live session concluded, but what it claimed: for each stream of a record it asks of the
evidence

  a report    the record's pid reported this source endpoint, with the run's nonce, before the stream was there
  a claim     it was claimed for this circuit with this tag, after the report and before STREAM NEW
  NEW         Tor saw it come from that endpoint, with that tag, for that destination, and no other stream had the tag
  SENT        it was sent on that circuit, and no line of it names another one
  the circuit BUILT with the record's path before that, its last hop the record's exit
  success     SUCCEEDED for a connection that the record calls succeeded

and, the other way round, that every stream that Tor sent anywhere for a SOCKS client stands in a record. It says
"consistent": whoever writes the evidence could write it all. What makes it proof is that our own tor wrote the
lines.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .control_lines import ControlLineError, StreamEvent, parse_circ, parse_endpoint, parse_stream
from .model import Endpoint

SENT = frozenset({"SENTCONNECT", "SENTRESOLVE"})
ON_A_CIRCUIT = SENT | {"REMAP", "SUCCEEDED"}
OP_CONNECT = 2
_SOURCE_OFFSET = 40


@dataclass(frozen=True, slots=True)
class Seen:
    """A line about one stream, and where in the evidence it stands."""

    place: int
    event: StreamEvent


@dataclass(frozen=True, slots=True)
class Report:
    """A CONNECT report: where it stands, the nonce that it carries, and the pid that the kernel named."""

    place: int
    nonce: bytes
    pid: object


@dataclass(slots=True)
class Evidence:
    """The evidence file, indexed. Places are line numbers: the order is the proof."""

    runs: dict[str, tuple[int, Mapping[str, object]]] = field(default_factory=dict)
    reports: dict[tuple[str, Endpoint], list[Report]] = field(default_factory=dict)
    claims: dict[tuple[str, str], tuple[int, Mapping[str, object]]] = field(default_factory=dict)
    streams: dict[int, list[Seen]] = field(default_factory=dict)
    tags: dict[str, set[int]] = field(default_factory=dict)
    built: dict[int, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    circuit_ends: dict[int, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Verdict:
    """What was checked, and every disagreement, as a sentence."""

    records: int = 0
    streams: int = 0
    consistent: int = 0
    refused: int = 0
    problems: list[str] = field(default_factory=list)


def read_evidence(lines: Iterable[str]) -> Evidence:
    """Index an evidence file. Raises ValueError when it is none; a line that can't be read becomes a problem."""
    evidence = Evidence()
    for place, text in enumerate(lines, start=1):
        try:
            entry = json.loads(text)
            if place == 1:
                if entry.get("schema") != "exitpin.events/1":
                    raise ValueError("not evidence of exitpin: the first line has no schema exitpin.events/1")
            elif "tor" in entry:
                _tor_line(evidence, place, entry["tor"])
            elif "begin" in entry:
                evidence.runs[entry["run"]] = (place, entry["begin"])
            elif "claim" in entry:
                evidence.claims[entry["run"], entry["claim"]["tag"]] = (place, entry["claim"])
            elif "report" in entry:
                _report(evidence, place, entry)
        except (ValueError, KeyError, TypeError, AttributeError, ControlLineError) as error:
            if place == 1:
                raise ValueError(str(error)) from error
            evidence.problems.append(f"line {place} of the evidence can't be read: {error}")
    return evidence


def _tor_line(evidence: Evidence, place: int, line: str) -> None:
    if line.startswith("STREAM "):
        event = parse_stream(line)
        evidence.streams.setdefault(event.stream_id, []).append(Seen(place, event))
        if event.socks_username and event.status in ON_A_CIRCUIT:
            evidence.tags.setdefault(event.socks_username, set()).add(event.stream_id)
    elif line.startswith("CIRC "):
        circuit = parse_circ(line)
        if circuit.status == "BUILT" and not circuit.conflux:
            path = tuple(hop.fingerprint for hop in circuit.path)
            if evidence.built.setdefault(circuit.circuit_id, (place, path))[1] != path:
                evidence.problems.append(f"circuit {circuit.circuit_id} was BUILT with two paths")
        elif circuit.status in ("CLOSED", "FAILED"):
            evidence.circuit_ends.setdefault(circuit.circuit_id, place)


def _report(evidence: Evidence, place: int, entry: Mapping[str, str]) -> None:
    """Index a CONNECT report by its source (the layout is that of shim/wire.h; others don't name a source)."""
    packet = bytes.fromhex(entry["report"])
    if len(packet) < 80 or int.from_bytes(packet[6:8], "little") != OP_CONNECT:
        return
    family = int.from_bytes(packet[_SOURCE_OFFSET : _SOURCE_OFFSET + 2], "little")
    port = int.from_bytes(packet[_SOURCE_OFFSET + 2 : _SOURCE_OFFSET + 4], "little")
    address = packet[_SOURCE_OFFSET + 4 : _SOURCE_OFFSET + 20]
    quad = address[:4] if family == 2 else address[12:]
    source = Endpoint(".".join(str(byte) for byte in quad), port)
    report = Report(place, packet[8:24], entry.get("pid"))
    evidence.reports.setdefault((entry["run"], source), []).append(report)


def verify(evidence: Evidence, records: Iterable[Mapping[str, object]]) -> Verdict:
    """Recompute every attribution of `records`. `problems` is empty when all of it is consistent."""
    verdict = Verdict(problems=list(evidence.problems))
    accounted: set[int] = set()
    for record in records:
        verdict.records += 1
        run_id = str(record.get("run_id"))
        if run_id not in evidence.runs:
            verdict.problems.append(f"{run_id}: the evidence knows no such run")
            continue
        in_doubt = isinstance(failure := record.get("failure"), Mapping) and failure.get("kind") == "attribution"
        streams = record.get("streams")
        for stream in streams if isinstance(streams, list) else []:
            stream_id = stream.get("stream_id") if isinstance(stream, Mapping) else "?"
            if stream_id is None:
                continue
            if not isinstance(stream_id, int):
                verdict.problems.append(f"{run_id}: a stream of the record can't be read: {stream!r:.200}")
                continue
            if stream_id in accounted:
                verdict.problems.append(f"{run_id}: stream {stream_id} stands in two places")
            accounted.add(stream_id)
            verdict.streams += 1
            try:
                problems = _disagreements(evidence, run_id, record, stream)
            except (ValueError, TypeError, AttributeError) as error:
                problems = [f"the record of it can't be read: {error}"]
            if problems and in_doubt:
                continue  # the record itself accuses nobody: it says that its attribution failed
            verdict.problems += [f"{run_id}: stream {stream_id}: {problem}" for problem in problems]
            verdict.consistent += not problems
    for stream_id, seen in evidence.streams.items():
        if stream_id in accounted or not any(s.event.purpose in ("USER", "DNS_REQUEST") for s in seen):
            continue
        if any(s.event.status in ON_A_CIRCUIT for s in seen):
            verdict.problems.append(f"stream {stream_id} left through a circuit and stands in no record")
        else:
            verdict.refused += 1
    return verdict


def _disagreements(
    evidence: Evidence, run_id: str, record: Mapping[str, object], stream: Mapping[str, object]
) -> list[str]:
    """Why this stream of this record is not what the evidence says; [] when they agree."""
    tag, circuit_id = str(stream.get("tag")), stream.get("circuit_id")
    source = Endpoint(str(stream.get("source_address")), int(str(stream.get("source_port"))))
    _, begin = evidence.runs[run_id]
    seen = evidence.streams.get(int(str(stream.get("stream_id"))), [])
    news = [s for s in seen if s.event.status in ("NEW", "NEWRESOLVE")]
    if len(news) != 1:
        return [f"the evidence has {len(news)} NEW lines for it"]
    new, problems = news[0], []
    if seen[0] is not new:
        problems.append(f"its {seen[0].event.status} came before its NEW")
    if new.event.source_addr != source:
        problems.append(f"Tor saw it come from {new.event.source_addr}, the record says {source}")
    asked, is_lookup = str(stream.get("destination")), bool(stream.get("is_lookup"))
    if new.event.target != (f"{asked}:0" if is_lookup else asked) or (new.event.status == "NEWRESOLVE") != is_lookup:
        problems.append(f"Tor saw {new.event.status} for {new.event.target}, the record says {asked}")
    if len(evidence.tags.get(tag, ())) > 1:
        problems.append(f"{len(evidence.tags[tag])} streams left with its tag")
    if record.get("source_address") != begin.get("address"):
        problems.append(f"the record's address is not {begin.get('address')}, the run's")
    if "source-address" in _list(stream, "witnesses") and source.host != begin.get("address"):
        problems.append(f"it came from {source.host}, the run's address is {begin.get('address')}")
    problems += [f"its {s.event.status} carries another tag" for s in seen if s.event.socks_username not in (None, tag)]
    if new.event.socks_username != tag:
        problems.append("its NEW does not carry the record's tag")
    problems += _claim_problems(evidence, run_id, stream, source, new.place)
    sent = [s for s in seen if s.event.status in SENT]
    others = {s.event.circuit_id for s in seen if _tells_circuit(s.event)} - {circuit_id}
    if others:
        problems.append(f"it was on circuit {sorted(others)}, the record says {circuit_id}")
    if sent or stream.get("status") == "succeeded":
        problems += _circuit_problems(evidence, record, circuit_id, [s for s in seen if s.event.status in ON_A_CIRCUIT])
    if begin.get("exit") != _exit_of(record):
        problems.append(f"the run was begun for {begin.get('exit')}, the record names {_exit_of(record)}")
    is_open = any(s.event.status == "SUCCEEDED" for s in seen)
    if stream.get("status") == "succeeded" and not stream.get("is_lookup") and not is_open:
        problems.append("the record says succeeded, Tor never did")
    return problems


def _tells_circuit(event: StreamEvent) -> bool:
    """Whether the line's circuit is the one that it is on: CONTROLLER_WAIT shows an old one, an end may show 0."""
    return event.status in ON_A_CIRCUIT or (event.circuit_id != 0 and event.status != "CONTROLLER_WAIT")


def _exit_of(record: Mapping[str, object]) -> object:
    exit_of = record.get("exit")
    return exit_of.get("fingerprint") if isinstance(exit_of, Mapping) else None


def _claim_problems(
    evidence: Evidence, run_id: str, stream: Mapping[str, object], source: Endpoint, new_place: int
) -> list[str]:
    place, claim = evidence.claims.get((run_id, str(stream.get("tag"))), (0, {}))
    if not claim:
        return ["nothing was claimed with its tag"]
    problems = []
    if not place < new_place:
        problems.append("it was claimed after it was there")
    if parse_endpoint(str(claim.get("source"))) != source or claim.get("circuit") != stream.get("circuit_id"):
        problems.append("the claim names another source or circuit")
    if stream.get("is_lookup"):
        return problems  # the orchestrator's own socket: no hook reports it
    nonce = bytes.fromhex(str(evidence.runs[run_id][1].get("nonce")))
    reports = [r for r in evidence.reports.get((run_id, source), []) if r.nonce == nonce and r.place < place]
    if not reports:
        problems.append("the shim reported no such socket before it was claimed")
    elif stream.get("pid") not in {report.pid for report in reports}:
        problems.append(f"pid {stream.get('pid')} reported no such socket")
    return problems


def _circuit_problems(
    evidence: Evidence, record: Mapping[str, object], circuit_id: object, on_it: list[Seen]
) -> list[str]:
    place, path = evidence.built.get(int(str(circuit_id)), (0, ()))
    if not path:
        return [f"circuit {circuit_id} was never BUILT"]
    problems = []
    if not any(s.event.status in SENT for s in on_it):
        problems.append("it was never sent")
    elif not place < on_it[0].place:
        problems.append(f"it was sent before circuit {circuit_id} was BUILT")
    elif evidence.circuit_ends.get(int(str(circuit_id)), on_it[-1].place) < on_it[-1].place:
        problems.append(f"it was on circuit {circuit_id} after that had ended")
    if path[-1] != _exit_of(record):
        problems.append(f"circuit {circuit_id} ends at {path[-1]}, the record names {_exit_of(record)}")
    listed = [c for c in _list(record, "circuits") if isinstance(c, Mapping) and c.get("id") == circuit_id]
    if not listed or tuple(_list(listed[0], "path")) != path:
        problems.append(f"the record's path of circuit {circuit_id} is not the one that Tor built")
    return problems


def _list(mapping: Mapping[str, object], key: str) -> list[object]:
    value = mapping.get(key)
    return value if isinstance(value, list) else []
