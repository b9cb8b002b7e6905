"""Everything that happened to one run, folded into one flat record (`exitpin.run/1`) with one failure and its blame.

Pure. The record is self-contained: who reads it a year later needs fingerprint, behaviour, proof and how to repeat
it.
"""

import shlex
from collections.abc import Mapping
from math import isinf

from .connections import Connection
from .effects import CircuitFailed
from .model import Failure, Relay
from .outcomes import stream_failure
from .runs import Life

SCHEMA = "exitpin.run/1"
FAILURE_FIELDS = ("kind", "blame", "retryable", "detail")
WITNESSES = ("source-address", "source-port", "socks-username")


def fold(life: Life, scan: Mapping[str, object], output: Mapping[str, object]) -> dict[str, object]:
    """The record of a run that is DONE. `scan`: what all runs share; `output`: stdout, stderr, and if they were cut."""
    run, times = life.run, life.times
    failure = failure_of(life)
    return {
        "schema": SCHEMA,
        "run_id": run.run_id,
        "scan_id": scan["scan_id"],
        "attempt": run.attempt,
        "status": status_of(failure),
        "vantage": scan.get("vantage"),
        "start": times.start,
        "t": {name: getattr(times, name) for name in ("queue", "circuit", "first_stream", "first_byte", "end")},
        "exit": exit_table(run.exit, scan.get("consensus")),
        "source_address": run.address,
        "circuits": [{"id": c.circuit_id, "path": list(c.path), "reason": c.reason} for c in life.circuits],
        "unbuilt": [_unbuilt(one) for one in life.unbuilt],
        "streams": [_stream(connection) for connection in life.connections],
        "denied": [{"pid": d.pid, "reason": d.reason, "what": d.what} for d in life.denied],
        "denied_count": life.denied_count,
        "processes": _processes(life),
        "containment": scan.get("containment"),
        "tool": {"argv": list(run.argv)},
        "process": {**_process(life), **output},
        "failure": failure_table(failure),
        "evidence": evidence_files(scan),
        "reproduce": _command_line(life, scan),
    }


def _unbuilt(failed: CircuitFailed) -> dict[str, object]:
    return {
        "id": failed.circuit_id, "path": list(failed.path), "reached": failed.reached, "reason": failed.reason,
        "suspects": list(failed.suspects), "blame": failed.blame,
    }  # fmt: skip


def _processes(life: Life) -> list[dict[str, object]]:
    """Those that said hello, and those without hooks that connected all the same, by way of the kernel."""
    greeted: list[dict[str, object]] = [{"pid": pid, "exe": exe, "hello": True} for pid, exe in life.processes.items()]
    unhooked = {pid: exe for pid, exe in life.unhooked.items() if pid not in life.processes}
    return greeted + [{"pid": pid, "exe": exe, "hello": False} for pid, exe in unhooked.items()]


def evidence_files(scan: Mapping[str, object]) -> list[dict[str, object]]:
    """The evidence that is a file of the caller's: the log of the whole session."""
    return [{"name": "events", "file": scan["events"]}] if scan.get("events") else []


def _command_line(life: Life, scan: Mapping[str, object]) -> str:
    """What to type to have this run again, on the same network. `verb` and `words` of the scan: another one than `run`,
    and what ends its command line."""
    verb, tail = scan.get("verb", "run"), scan.get("words")
    words = ["exitpin", str(verb), "-e", life.run.exit.fingerprint, *vantage_words(scan.get("vantage"))]
    words += _containment_words(scan.get("containment"))
    if life.resolve != "mapped":
        words += ["--resolve", life.resolve]
    if not isinf(life.run.timeout_s):
        words += ["--timeout", f"{life.run.timeout_s:g}s"]
    return shlex.join([*words, *(map(str, tail) if isinstance(tail, list) else ("--", *life.run.argv))])


def _containment_words(containment: object) -> list[str]:
    if not isinstance(containment, Mapping):
        return []
    words = ["--containment", str(containment["asked"])] if containment.get("asked") else []
    for allowed in containment.get("allowed") or ():
        words += ["--allow", str(allowed)]
    if containment.get("read_only"):
        words.append("--read-only")
    if containment.get("dns_server"):
        words += ["--dns-server", str(containment["dns_server"])]
    return words


def vantage_words(vantage: object) -> list[str]:
    """The options that lead to the same network again."""
    if isinstance(vantage, Mapping) and vantage.get("kind") == "lab":
        return ["--lab", "--name", str(vantage.get("name"))]
    return []


def exit_table(relay: Relay, consensus: object) -> dict[str, object]:
    """A relay as records show it. `consensus`: its valid-after."""
    return {
        "fingerprint": relay.fingerprint,
        "nickname": relay.nickname,
        "addresses": [relay.address],
        "observed_address": None,
        "flags": sorted(relay.flags),
        "family": sorted(relay.family),
        "contact": relay.contact,
        "consensus": consensus,
    }


def failure_table(failure: Failure | None) -> dict[str, object] | None:
    """A failure as records show it."""
    return None if failure is None else {name: getattr(failure, name) for name in FAILURE_FIELDS}


def _process(life: Life) -> dict[str, object]:
    exited, ended = life.exited, life.ended
    return {
        "rc": exited.rc if exited else None,
        "signal": exited.signal if exited else None,
        "timed_out": life.timed_out,
        "cpu_s": ended.cpu_s if ended else None,
        "maxrss_kib": ended.maxrss_kib if ended else None,
        "swept": ended.swept if ended else None,
    }


def failure_of(life: Life) -> Failure | None:
    """The one failure: what ended the run; else, when the tool failed, why its connection did; else the tool's own.

    A connection that failed before another one succeeded (IPv6 before IPv4, a retry) is not why the tool failed.
    """
    if life.failure is not None:
        return life.failure
    rc = life.exited.rc if life.exited else None
    if rc == 0:
        return None
    settled = [c for c in life.connections if c.status == "failed" or (c.status == "succeeded" and not c.is_lookup)]
    if settled and settled[-1].status == "failed":
        return connection_failure(life, settled[-1])
    detail = f"exit status {rc}" if rc is not None else f"signal {life.exited.signal if life.exited else '?'}"
    return Failure("tool", "tool", False, detail)


def connection_failure(life: Life, connection: Connection) -> Failure:
    """Why one connection failed. For EXITPOLICY the exit's own descriptor tells whether it was declared.

    A name is refused for the address that the exit found: unless the descriptor says the same of all addresses, that
    stays unknown.
    """
    policy, destination = life.run.exit.policy, connection.destination
    is_declared = None if policy is None else policy.refuses(destination.host, destination.port)
    failure = stream_failure(connection.reason, connection.remote_reason, is_declared)
    return Failure(failure.kind, failure.blame, failure.retryable, f"{destination}: {failure.detail}")


def status_of(failure: Failure | None) -> str:
    """ok, broken (the exit's fault, without tampering) or error (says nothing about the exit)."""
    if failure is None:
        return "ok"
    return "broken" if failure.blame == "exit" else "error"


def _stream(connection: Connection) -> dict[str, object]:
    witnesses = [w for w in WITNESSES if not (connection.is_weak and w == "source-address")]
    return {
        "pid": connection.pid,
        "source_address": connection.source.host,
        "source_port": connection.source.port,
        "tag": connection.tag,
        "destination": str(connection.destination) if not connection.is_lookup else connection.destination.host,
        "is_lookup": connection.is_lookup,
        "resolved": connection.resolved,
        "stream_id": connection.stream_id,
        "circuit_id": connection.circuit_id,
        "status": connection.status,
        "closed": connection.is_closed,
        "reason": connection.reason,
        "remote_reason": connection.remote_reason,
        "bytes_up": connection.bytes_up,
        "bytes_down": connection.bytes_down,
        "witnesses": witnesses if connection.stream_id is not None else [],
    }
