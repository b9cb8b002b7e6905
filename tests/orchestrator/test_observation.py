"""A run's end folded into one flat record: one failure, and blame that one run can bear."""

import json
import shlex
from typing import Any

import pytest

from exitpin.orchestrator import effects as fx
from exitpin.orchestrator import events as ev
from exitpin.orchestrator.containment import Containment
from exitpin.orchestrator.model import Destination, Failure
from exitpin.orchestrator.observation import failure_of, fold, status_of
from exitpin.orchestrator.outcomes import BLAMES, KINDS
from exitpin.orchestrator.policy import parse_policy

from .lives import PID, SOURCE, Told, connect, lookup, opened, running, starting, waiting_for_circuit
from .values import EXIT, GUARD, relay

SCAN = {
    "scan_id": "s",
    "vantage": {"kind": "lab", "name": "mine"},
    "consensus": "2026-01-02 03:00:00",
    "events": "/tmp/events.jsonl",
}


def failed(told: Told, call: int, reason: str, remote_reason: str | None, **changes: object) -> None:
    """This call's stream is detached with these reasons, and closed."""
    told.step(connect(call, SOURCE.port + call, **changes))  # type: ignore[arg-type]
    claim = told.claims()[-1]
    told.step(fx.StreamSent(claim, 100 + call), fx.StreamFailed(claim, 100 + call, reason, remote_reason))
    told.step(fx.StreamClosed(claim, 100 + call, reason, remote_reason, was_open=False))


def succeeded(told: Told, call: int) -> None:
    told.step(connect(call, SOURCE.port + call))
    claim = told.claims()[-1]
    told.step(fx.StreamSent(claim, 100 + call), fx.StreamOpened(claim, 100 + call), ev.SocksAnswered(call, 0))
    told.step(fx.StreamClosed(claim, 100 + call, "DONE", None, was_open=True))


def exits(told: Told, rc: int | None, signal: int | None = None) -> Failure | None:
    told.step(ev.ProcessExited(rc, signal), ev.TreeEnded(0.1, 4096, 0))
    failure = failure_of(told.life)
    assert failure is None or (failure.kind in KINDS and failure.blame in BLAMES)
    return failure


def test_a_tool_that_was_content_has_no_failure_whatever_its_connections_did() -> None:
    told = running()
    failed(told, 2, "END", "CONNECTREFUSED")
    failure = exits(told, 0)
    assert failure is None and status_of(failure) == "ok"


@pytest.mark.parametrize(
    ("reason", "remote_reason", "kind", "blame", "status"),
    [
        ("END", "CONNECTREFUSED", "refused", "unknown", "error"),
        ("END", "RESOLVEFAILED", "dns", "unknown", "error"),
        ("END", "HIBERNATING", "overload", "exit", "broken"),
        ("TIMEOUT", None, "timeout", "unknown", "error"),
    ],
)
def test_a_tool_that_failed_with_its_connection_failed_for_that(
    reason: str, remote_reason: str | None, kind: str, blame: str, status: str
) -> None:
    told = running()
    failed(told, 2, reason, remote_reason)
    failure = exits(told, 7)
    assert failure is not None
    assert (failure.kind, failure.blame, status_of(failure)) == (kind, blame, status)
    assert "192.0.2.1:80" in failure.detail


def test_the_last_of_several_failures_counts() -> None:
    told = running()
    failed(told, 2, "END", "CONNECTREFUSED")
    failed(told, 3, "END", "RESOLVEFAILED")
    failure = exits(told, 7)
    assert failure is not None and failure.kind == "dns"


def test_a_failure_that_another_connection_made_good_is_not_why_the_tool_failed() -> None:
    told = running()
    failed(told, 2, "END", "HIBERNATING")
    succeeded(told, 3)
    failure = exits(told, 22)
    assert failure == Failure("tool", "tool", False, "exit status 22")


@pytest.mark.parametrize(("rc", "signal", "detail"), [(3, None, "exit status 3"), (None, 11, "signal 11")])
def test_a_tool_that_failed_by_itself_is_the_tools_business(rc: int | None, signal: int | None, detail: str) -> None:
    failure = exits(running(), rc, signal)
    assert failure == Failure("tool", "tool", False, detail) and status_of(failure) == "error"


@pytest.mark.parametrize("rc", [0, 7])
def test_what_ended_the_run_outweighs_what_the_tool_says(rc: int) -> None:
    told = running()
    failed(told, 2, "END", "CONNECTREFUSED")
    told.step(ev.TrustLost("tor died"))
    failure = exits(told, rc)
    assert failure is not None and (failure.kind, failure.blame) == ("tor", "local")


@pytest.mark.parametrize(
    ("policy", "host", "blame"),
    [
        ("accept *:80\nreject *:*", "192.0.2.1", "exit"),
        ("accept *:443\nreject *:*", "192.0.2.1", "local"),
        ("accept *:80\nreject *:*", "web.test", "exit"),
        ("accept *:443\nreject *:*", "web.test", "local"),
        ("reject 10.0.0.0/8:*\naccept *:*", "web.test", "unknown"),
        ("reject 10.0.0.0/8:*\naccept *:*", "10.1.2.3", "local"),
        (None, "192.0.2.1", "unknown"),
    ],
)
def test_a_refusal_by_policy_is_the_exits_only_if_its_descriptor_says_otherwise(
    policy: str | None, host: str, blame: str
) -> None:
    told = running(exit=relay(0xE1, policy=None if policy is None else parse_policy(policy)))
    to = Destination(host, 80)
    if host == "web.test":
        (answer,) = told.step(lookup(9, host))
        assert isinstance(answer, fx.AnswerCall)
        to = Destination(answer.endpoints[0][0], 80)
    failed(told, 2, "END", "EXITPOLICY", to=to)
    failure = exits(told, 7)
    assert failure is not None and (failure.kind, failure.blame) == ("policy", blame)


def record(told: Told, **output: object) -> dict[str, Any]:
    """The record as it is stored: JSON and back."""
    folded: dict[str, Any] = json.loads(json.dumps(fold(told.life, SCAN, output)))
    return folded


def test_the_record_holds_what_the_proof_needs() -> None:
    told, claim = opened()
    told.step(fx.StreamRemapped(claim, "192.0.2.1"), ev.BytesSeen(9, 10, 20))
    told.step(fx.StreamClosed(claim, 9, "END", "DONE", was_open=True), ev.Denied(PID, "udp", "192.0.2.53:53"))
    exits(told, 0)
    seen = record(told, stdout="hello\n")
    assert seen["schema"] == "exitpin.run/1" and seen["status"] == "ok" and seen["failure"] is None
    assert seen["exit"]["fingerprint"] == EXIT and seen["source_address"] == "127.64.0.1"
    assert seen["circuits"] == [{"id": 7, "path": [GUARD, EXIT], "reason": None}]
    assert seen["unbuilt"] == []
    assert seen["streams"] == [
        {
            "pid": PID, "source_address": "127.64.0.1", "source_port": 40001, "tag": "tag1",
            "destination": "192.0.2.1:80", "is_lookup": False, "resolved": "192.0.2.1", "stream_id": 9,
            "circuit_id": 7, "status": "succeeded", "closed": True, "reason": "END", "remote_reason": "DONE",
            "bytes_up": 10, "bytes_down": 20, "witnesses": ["source-address", "source-port", "socks-username"],
        }
    ]  # fmt: skip
    assert seen["denied"] == [{"pid": PID, "reason": "udp", "what": "192.0.2.53:53"}] and seen["denied_count"] == 1
    assert seen["processes"] == [{"pid": PID, "exe": "/usr/bin/curl", "hello": True}]
    assert (seen["process"]["rc"], seen["process"]["stdout"]) == (0, "hello\n")
    assert seen["evidence"] == [{"name": "events", "file": "/tmp/events.jsonl"}]
    assert seen["reproduce"] == (
        f"exitpin run -e {EXIT} --lab --name mine --timeout 30s -- curl -sS http://example.com/"
    )


def test_what_is_typed_to_see_it_again_holds_the_tool_as_firmly() -> None:
    told, _ = opened()
    exits(told, 0)
    held = Containment(
        "notify", "notify", may_listen=True, unix=frozenset({"/tmp/x y"}), dns_server="192.0.2.53",
        is_read_only=True, writes=frozenset({"/srv/out"}),
    )  # fmt: skip
    seen = fold(told.life, {**SCAN, "containment": held.told()}, {})
    words = shlex.split(str(seen["reproduce"]))
    assert words[words.index("--containment") : words.index("--timeout")] == [
        "--containment", "notify", "--allow", "listen", "--allow", "unix:/tmp/x y", "--allow", "write:/srv/out",
        "--read-only", "--dns-server", "192.0.2.53",
    ]  # fmt: skip


def test_a_weak_witness_is_not_claimed_and_a_stream_that_never_was_has_none() -> None:
    told = running()
    told.step(connect(2, is_weak=True))
    told.step(fx.StreamSent(told.claims()[0], 9), connect(3, 40003))
    exits(told, 0)
    weak, never = record(told)["streams"]
    assert weak["witnesses"] == ["source-port", "socks-username"]
    assert (never["witnesses"], never["stream_id"]) == ([], None)


@pytest.mark.parametrize(
    ("told", "event", "kind"),
    [
        (waiting_for_circuit(), fx.CircuitUnavailable("s-0001", "552"), "circuit"),
        (starting(), ev.ProcessRefused("not-found", 127, ""), "exec"),
        (starting(), ev.LauncherLost("gone"), "shim"),
    ],
)
def test_a_run_whose_tool_never_ran_has_a_record_too(told: Told, event: object, kind: str) -> None:
    told.step(event)
    seen = record(told)
    assert seen["failure"]["kind"] == kind and seen["status"] == "error"
    assert seen["process"]["rc"] is None and seen["process"]["signal"] is None and seen["streams"] == []


def test_circuits_that_were_not_built_stand_in_the_record_with_whose_fault_that_was() -> None:
    told, path = waiting_for_circuit(), (GUARD, EXIT)
    told.step(fx.CircuitFailed("s-0001", 6, path, 0, "CHANNEL_CLOSED", (GUARD,), "first-hop"))
    told.step(fx.CircuitUnavailable("s-0001", "CHANNEL_CLOSED", "first-hop"))
    seen = record(told)
    assert seen["unbuilt"] == [
        {
            "id": 6, "path": [GUARD, EXIT], "reached": 0, "reason": "CHANNEL_CLOSED", "suspects": [GUARD],
            "blame": "first-hop",
        }
    ]  # fmt: skip
    assert (seen["failure"]["kind"], seen["failure"]["blame"], seen["status"]) == ("circuit", "first-hop", "error")
    assert told.life.circuit_ids == [6]


def test_a_clock_that_jumps_outweighs_what_the_tool_made_of_it_and_spares_who_waits_for_a_circuit() -> None:
    told = running()
    told.step(ev.ClockJumped("the machine was suspended for 99 s while it ran"))
    failure = exits(told, 28)
    assert failure is not None and (failure.kind, failure.blame) == ("clock", "local")
    waiting = waiting_for_circuit()
    waiting.step(ev.ClockJumped("it slept"))
    assert waiting.life.failure is None
