"""Every attribution, recomputed offline from the evidence: Tor's raw lines and the shim's raw reports, no Tor needed.

Reads nothing that the live session concluded, but what it claimed: for each stream of a record it asks of the
evidence

  a report    the record's pid reported this source endpoint, with the run's nonce, before the stream was there
  a claim     it was claimed for this circuit, exit and destination with this tag, after the report, before STREAM NEW
  NEW         Tor saw it come from that endpoint, with that tag, for that destination, and no other stream had the tag
  SENT        it was sent on that circuit, and no line of it names another one
  the circuit BUILT with the record's path before that, its last hop the record's exit
  the rules   every line of it passes the live table once more
  its end     status, reasons and address are what those lines lead to (`verify_replay.py`)

and of each record, that it blames its exit only for what a stream of it met there. A stream without an id must have
left no trace on a circuit. The other way round, every stream that Tor sent anywhere for a SOCKS client stands in a
record. It says "consistent": whoever writes the evidence could write it all. What makes it proof is that our own tor
wrote the lines.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from .control_lines import parse_endpoint
from .model import Endpoint, join_host_port
from .names import canonical_target
from .outcomes import stream_failure
from .verify_evidence import ON_A_CIRCUIT, SENT, Evidence, Seen, read_evidence
from .verify_replay import NO_REASONS, RESOLVEFAILED, SOCKS, TIMEOUT, claim_of, outcome_problems, reasons_of, replay
from .verify_told import exit_of, failure_in, list_of, one_of, path_problems, told_problems

__all__ = ["Evidence", "Verdict", "read_evidence", "verify"]

Json = Mapping[str, object]
NEW = frozenset({"NEW", "NEWRESOLVE"})
WITHOUT_A_STREAM = {
    "waiting": {NO_REASONS},
    "claimed": {NO_REASONS},
    "abandoned": {NO_REASONS},
    "failed": {TIMEOUT, SOCKS, RESOLVEFAILED},
}


@dataclass(slots=True)
class Verdict:
    """What was checked, and every disagreement, as a sentence."""

    records: int = 0
    streams: int = 0
    consistent: int = 0
    refused: int = 0
    problems: list[str] = field(default_factory=list)


def verify(evidence: Evidence, records: Iterable[Json]) -> Verdict:
    """Recompute every attribution of `records`. `problems` is empty when all of it is consistent."""
    verdict = Verdict(problems=list(evidence.problems))
    accounted: set[int] = set()
    for record in records:
        verdict.records += 1
        run_id = str(record.get("run_id"))
        streams = list_of(record, "streams")
        if run_id not in evidence.runs:
            if streams or not _never_begun(record):
                verdict.problems.append(f"{run_id}: the evidence knows no such run")
            continue
        verdict.problems += [f"{run_id}: {problem}" for problem in _record_problems(evidence, run_id, record)]
        for stream in _each_once(run_id, streams, verdict):
            _check(evidence, run_id, record, stream, verdict, accounted)
    _check_the_rest(evidence, accounted, verdict)
    return verdict


def _each_once(run_id: str, streams: Iterable[object], verdict: Verdict) -> Iterator[Json]:
    """The streams of a record that can be read. One that stands there often is looked at once: whoever wrote the record
    may have written it a million times."""
    told: set[int] = set()
    tags: set[str] = set()
    for stream in streams:
        if not isinstance(stream, Mapping):
            verdict.problems.append(f"{run_id}: a stream of the record can't be read: {stream!r:.200}")
            continue
        stream_id = stream.get("stream_id")
        if isinstance(stream_id, int) and stream_id in told:
            verdict.problems.append(f"{run_id}: stream {stream_id} stands in two places")
            continue
        if isinstance(stream_id, int):
            told.add(stream_id)
        elif isinstance(tag := stream.get("tag"), str) and tag in tags:
            verdict.problems.append(f"{run_id}: connection {tag} stands in two places")
            continue
        if isinstance(stream.get("tag"), str):
            tags.add(str(stream["tag"]))
        yield stream


def _never_begun(record: Json) -> bool:
    """Whether the record says itself that not even its beginning could be written down."""
    return record.get("start") is None and failure_in(record).get("kind") == "shim"


def _check(evidence: Evidence, run_id: str, record: Json, stream: Json, verdict: Verdict, accounted: set[int]) -> None:
    """One stream of one record. When the record itself says that its attribution failed, it accuses nobody."""
    stream_id, in_doubt = stream.get("stream_id"), failure_in(record).get("kind") == "attribution"
    name = f"{run_id}: stream {stream_id}"
    try:
        if stream_id is None:
            name = f"{run_id}: connection {stream.get('tag')}"
            problems = _problems_without_stream(evidence, stream)
        elif not isinstance(stream_id, int) or isinstance(stream_id, bool):
            verdict.problems.append(f"{run_id}: a stream of the record can't be read: {stream!r:.200}")
            return
        else:
            if stream_id in accounted:
                verdict.problems.append(f"{name} stands in two places")
            if any(s.event.socks_username == stream.get("tag") for s in evidence.streams.get(stream_id, ())):
                accounted.add(stream_id)
            verdict.streams += 1
            problems = _disagreements(evidence, run_id, record, stream)
            verdict.consistent += not problems
    except (ValueError, TypeError, AttributeError) as error:
        problems = [f"the record of it can't be read: {error}"]
    if not in_doubt:
        verdict.problems += [f"{name}: {problem}" for problem in problems]


def _check_the_rest(evidence: Evidence, accounted: set[int], verdict: Verdict) -> None:
    """Streams of clients that stand in no record: they must not have left.

    A REMAP or SUCCEEDED alone may belong to a stream of an earlier session, unless its tag was claimed in this one.
    """
    claimed = {tag for _, tag in evidence.claims}
    for stream_id, seen in evidence.streams.items():
        tags = {s.event.socks_username for s in seen} - {None}
        if stream_id in accounted or not (tags or any(s.event.purpose in ("USER", "DNS_REQUEST") for s in seen)):
            continue
        words = {s.event.status for s in seen}
        is_ours = bool(words & (NEW | SENT) or tags & claimed)
        if words & ON_A_CIRCUIT and is_ours:
            unseen = "" if words & NEW else ", and its NEW is missing"
            verdict.problems.append(f"stream {stream_id} left through a circuit and stands in no record{unseen}")
        elif words & NEW:
            verdict.refused += 1


def _record_problems(evidence: Evidence, run_id: str, record: Json) -> list[str]:
    """What is wrong with the record as a whole: address, exit, and whom it blames."""
    _, begin = evidence.runs[run_id]
    failure, status, problems = failure_in(record), record.get("status"), []
    if record.get("source_address") != begin.get("address"):
        problems.append(f"the record's address is not {begin.get('address')}, the run's")
    if begin.get("exit") != exit_of(record):
        problems.append(f"the run was begun for {begin.get('exit')}, the record names {exit_of(record)}")
    argv = tool.get("argv") if isinstance(tool := record.get("tool"), Mapping) else None
    if argv is not None and argv != begin.get("argv", argv):
        problems.append("the run was begun for another command than the record has")
    blames_exit = failure.get("blame") == "exit"
    due = "broken" if blames_exit else "error" if record.get("failure") is not None else "ok"
    is_judged = isinstance(record.get("verdict"), Mapping)  # by rules, of which there is no evidence here
    if status != due and not is_judged:
        problems.append(f"the record's status is {status}, its failure says {due}")
    if blames_exit and not _is_for_a_stream(record, failure):
        problems.append("it blames the exit for what none of its streams met")
    return problems + list(path_problems(evidence, record))


def _is_for_a_stream(record: Json, failure: Json) -> bool:
    """Whether the last settled connection failed in a way that may be the exit's fault.

    Whether a policy was declared, only the exit's descriptor tells, which is no evidence here.
    """
    streams = [s for s in list_of(record, "streams") if isinstance(s, Mapping)]
    settled = [
        s for s in streams if s.get("status") == "failed" or (s.get("status") == "succeeded" and not s.get("is_lookup"))
    ]
    if not settled or settled[-1].get("status") != "failed":
        return False
    reasons = (settled[-1].get("reason"), settled[-1].get("remote_reason"))
    if not all(reason is None or isinstance(reason, str) for reason in reasons):
        return False
    found = [stream_failure(*reasons, is_declared) for is_declared in (None, False, True)]
    return failure.get("kind") in [one.kind for one in found if one.blame == "exit"]


def _problems_without_stream(evidence: Evidence, stream: Json) -> list[str]:
    """Why this connection can't have been without a stream."""
    tag, status, problems = str(stream.get("tag")), str(stream.get("status")), []
    if left := evidence.tags.get(tag):
        problems.append(f"the record knows no stream of it, but {one_of(left)} left with its tag")
    if reasons_of(stream) not in WITHOUT_A_STREAM.get(status, ()):
        words = " ".join(str(word) for word in (status, stream.get("reason"), stream.get("remote_reason")) if word)
        problems.append(f"the record says {words} and knows no stream of it")
    if stream.get("circuit_id") is not None and type(stream["circuit_id"]) is not int:
        problems.append(f"its circuit_id {stream['circuit_id']!r:.40} is no number")
    if stream.get("resolved") is not None or stream.get("closed"):
        problems.append("the record knows what became of a stream and knows no stream of it")
    return problems


def _disagreements(evidence: Evidence, run_id: str, record: Json, stream: Json) -> list[str]:
    """Why this stream of this record is not what the evidence says; [] when they agree."""
    tag = str(stream.get("tag"))
    source = Endpoint(str(stream.get("source_address")), int(str(stream.get("source_port"))))
    seen = evidence.streams.get(int(str(stream.get("stream_id"))), [])
    news = [s for s in seen if s.event.status in NEW]
    if len(news) != 1:
        return [f"the evidence has {len(news)} NEW lines for it"]
    problems = [f"its {seen[0].event.status} came before its NEW"] if seen[0] is not news[0] else []
    problems += [*told_problems(stream), *_new_problems(news[0], stream, source)]
    if len(evidence.tags.get(tag, ())) > 1:
        problems.append(f"{len(evidence.tags[tag])} streams left with its tag")
    address = evidence.runs[run_id][1].get("address")
    if "source-address" in list_of(stream, "witnesses") and source.host != address:
        problems.append(f"it came from {source.host}, the run's address is {address}")
    problems += [f"its {s.event.status} carries another tag" for s in seen if s.event.socks_username not in (None, tag)]
    problems += _circuit_problems(evidence, record, stream, seen)
    place, claim = evidence.claims.get((run_id, tag), (0, {}))
    if not claim:
        return [*problems, "nothing was claimed with its tag"]
    if not place < news[0].place:
        problems.append("it was claimed after it was there")
    problems += _claim_problems(claim, record, stream, source)
    problems += _report_problems(evidence, run_id, stream, source, place)
    times = record.get("t")
    end = times.get("end") if isinstance(times, Mapping) else None
    if isinstance(end, int | float) and news[0].at > end:
        problems.append("it was there after the run had ended")
    claimed = claim_of(run_id, claim, stream.get("is_lookup") is True)
    replayed = replay(claimed, seen, end if isinstance(end, int | float) else None)
    return problems + list(replayed.violations) + outcome_problems(stream, replayed)


def _new_problems(new: Seen, stream: Json, source: Endpoint) -> list[str]:
    event, problems = new.event, []
    if event.source_addr != source:
        problems.append(f"Tor saw it come from {event.source_addr}, the record says {source}")
    asked, is_lookup = str(stream.get("destination")), bool(stream.get("is_lookup"))
    due = canonical_target(f"{asked}:0" if is_lookup else asked)
    if canonical_target(event.target) != due or (event.status == "NEWRESOLVE") != is_lookup:
        problems.append(f"Tor saw {event.status} for {event.target}, the record says {asked}")
    if event.socks_username != stream.get("tag"):
        problems.append("its NEW does not carry the record's tag")
    return problems


def _claim_problems(claim: Json, record: Json, stream: Json, source: Endpoint) -> list[str]:
    asked = str(stream.get("destination"))
    due = {
        "source": source, "circuit": stream.get("circuit_id"), "exit": exit_of(record),
        "destination": canonical_target(join_host_port(asked, 0) if stream.get("is_lookup") else asked),
    }  # fmt: skip
    told = {**claim, "source": parse_endpoint(str(claim.get("source")))}
    if isinstance(target := claim.get("destination"), str):
        told["destination"] = canonical_target(target)
    return [
        f"the claim's {name} is {told.get(name)}, the record's {due[name]}"
        for name in due
        if told.get(name) != due[name]
    ]


def _report_problems(evidence: Evidence, run_id: str, stream: Json, source: Endpoint, place: int) -> list[str]:
    nonce, pid = bytes.fromhex(str(evidence.runs[run_id][1].get("nonce"))), stream.get("pid")
    if stream.get("is_lookup"):  # on the orchestrator's own socket; pid 0: the tool had gone when it was made
        is_known = pid == 0 or evidence.reporters.get((run_id, nonce, pid), place) < place
        return [] if is_known else [f"pid {pid} had reported nothing before it was claimed"]
    reports = evidence.reports.get((run_id, nonce, source), {})
    if next(iter(reports.values()), place) >= place:
        return ["the shim reported no such socket before it was claimed"]
    return [] if reports.get(pid, place) < place else [f"pid {pid} reported no such socket"]


def _circuit_problems(evidence: Evidence, record: Json, stream: Json, seen: list[Seen]) -> list[str]:
    circuit_id, problems = stream.get("circuit_id"), []
    # CONTROLLER_WAIT shows an old circuit, an end may show 0
    on_one = [s for s in seen if s.event.circuit_id != 0 and s.event.status != "CONTROLLER_WAIT"]
    on_it = [s for s in seen if s.event.status in ON_A_CIRCUIT]
    if others := {s.event.circuit_id for s in on_one + on_it} - {circuit_id}:
        problems.append(f"it was on circuit {sorted(others)}, the record says {circuit_id}")
    if not on_it and stream.get("status") != "succeeded":
        return problems
    place, path = evidence.built.get(int(str(circuit_id)), (0, ()))
    if not path:
        return [*problems, f"circuit {circuit_id} was never BUILT"]
    if not any(s.event.status in SENT for s in on_it):
        problems.append("it was never sent")
    elif not place < on_it[0].place:
        problems.append(f"it was sent before circuit {circuit_id} was BUILT")
    elif evidence.circuit_ends.get(int(str(circuit_id)), on_it[-1].place) < on_it[-1].place:
        problems.append(f"it was on circuit {circuit_id} after that had ended")
    if path[-1] != exit_of(record):
        problems.append(f"circuit {circuit_id} ends at {path[-1]}, the record names {exit_of(record)}")
    if not any(isinstance(c, Mapping) and c.get("id") == circuit_id for c in list_of(record, "circuits")):
        problems.append(f"the record lists no circuit {circuit_id}")
    return problems
