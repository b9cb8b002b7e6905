"""The report socket with real hooks' packets on it: what the kernel says is held against what a report says."""

import errno
import fcntl
import os
import socket
import struct
from pathlib import Path

import pytest

from exitpin.orchestrator.effects import AnswerCall
from exitpin.orchestrator.events import CallLost, ConnectReported, Denied, Hello, LookupReported, PeerAsked
from exitpin.orchestrator.model import Destination, Endpoint
from exitpin.shim import bindings

from .fake_hooks import DEADLINE_S, NONCE, FakeTree, Run, played, turns

PID = os.getpid()
TO = bindings.Endpoint(socket.AF_INET, "192.0.2.1", 80)


def bound(host: str = "127.64.0.1", kind: int = socket.SOCK_STREAM) -> socket.socket:
    one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    one.bind((host, 0))
    return one


def connect_report(tool: socket.socket, nonce: bytes = NONCE, **changes: object) -> bytes:
    host, port = tool.getsockname()[:2]
    given = {"source": bindings.Endpoint(tool.family, host, port), "destination": TO, "pid": PID, "tid": PID, **changes}
    return bindings.encode_report(bindings.Op.CONNECT, nonce, **given)  # type: ignore[arg-type]


def heard(hook: socket.socket) -> bytes:
    """What the hook has got: an answer, or b"" when it was hung up on."""
    return hook.recv(1024)


@pytest.mark.parametrize("host", ["127.64.0.1", "::ffff:127.64.0.1"])
def test_a_connect_is_told_with_the_kernels_words(tmp_path: Path, host: str) -> None:
    async def script(run: Run) -> None:
        with bound(host) as tool:
            packet = connect_report(tool, pid=1, tid=1)
            hook = await run.report(packet, tool.fileno())
            (event,) = run.events
            source = Endpoint("127.64.0.1", tool.getsockname()[1])
            assert isinstance(event, ConnectReported)
            assert (event.pid, event.source, event.destination) == (PID, source, Destination("192.0.2.1", 80))
            assert (event.problem, event.is_weak) == (None, False)
            assert run.packets == [(packet, PID)]
            run.reports.answer(AnswerCall(event.call, errno.ECONNREFUSED))
            assert struct.unpack_from("=Iii", heard(hook)) == (bindings.MAGIC, errno.ECONNREFUSED, 0)
            assert heard(hook) == b"" and not run.reports.calls

    played(tmp_path, script)


@pytest.mark.parametrize("is_blocking", [True, False])
def test_the_tools_socket_keeps_its_flags_and_ours_dies_at_exec(tmp_path: Path, is_blocking: bool) -> None:
    async def script(run: Run) -> None:
        with bound() as tool:
            tool.setblocking(is_blocking)
            before = fcntl.fcntl(tool, fcntl.F_GETFL)
            await run.report(connect_report(tool), tool.fileno())
            (call,) = run.reports.calls.values()
            assert call.tool_socket is not None
            assert not os.get_inheritable(call.tool_socket.fileno()), "the next launcher would get it"
            assert fcntl.fcntl(tool, fcntl.F_GETFL) == before == fcntl.fcntl(call.tool_socket, fcntl.F_GETFL)

    played(tmp_path, script)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": bindings.Endpoint(socket.AF_INET, "127.64.0.1", 1)}, "the report says 127.64.0.1:1"),
        (
            {"source": bindings.Endpoint(socket.AF_INET, "127.64.0.2", 0), "keep_port": True},
            "the report says 127.64.0.2",
        ),
        ({"nonce": b"\x08" * 16}, "another run's nonce"),
    ],
)
def test_a_report_that_disagrees_with_its_socket_is_a_problem(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    async def script(run: Run) -> None:
        with bound() as tool:
            told = dict(changes)
            if told.pop("keep_port", False):
                told["source"] = told["source"]._replace(port=tool.getsockname()[1])  # type: ignore[attr-defined]
            await run.report(connect_report(tool, **told), tool.fileno())  # type: ignore[arg-type]
            (event,) = run.events
            assert isinstance(event, ConnectReported) and event.problem and words in event.problem
            assert event.source == Endpoint(*tool.getsockname()), "the kernel's word"

    played(tmp_path, script)


ZERO = bindings.Endpoint(socket.AF_INET, "0.0.0.0", 0)
REPORTS = {
    Hello: bindings.encode_report(bindings.Op.HELLO, NONCE),
    LookupReported: bindings.encode_report(bindings.Op.RESOLVE, NONCE, name=b"web.test", destination=ZERO),
    PeerAsked: bindings.encode_report(bindings.Op.PEER, NONCE, source=TO),
    Denied: bindings.encode_report(bindings.Op.DENIED, NONCE, reason=bindings.Reason.UDP, destination=TO),
}


@pytest.mark.parametrize("kind", [Hello, LookupReported, PeerAsked])
def test_a_report_with_another_nonce_is_a_problem_of_its_run(tmp_path: Path, kind: type) -> None:
    async def script(run: Run) -> None:
        await run.report(REPORTS[kind].replace(NONCE, b"\x08" * 16))
        (event,) = run.events
        assert type(event) is kind
        assert "nonce" in event.problem  # type: ignore[attr-defined]

    played(tmp_path, script)


@pytest.mark.parametrize("kind", [Hello, LookupReported, PeerAsked])
@pytest.mark.parametrize("nonce", [NONCE, b"\x08" * 16])
def test_a_stranger_is_refused_and_noted_and_fails_no_run_of_others(tmp_path: Path, kind: type, nonce: bytes) -> None:
    async def script(run: Run) -> None:
        hook = await run.report(REPORTS[kind].replace(NONCE, nonce))
        (event,) = run.events
        assert isinstance(event, Denied) and (event.pid, event.reason) == (PID, "stranger")
        assert heard(hook) == bindings.encode_answer(errno.EACCES, socket.EAI_AGAIN)

    played(tmp_path, script, FakeTree(is_member=False))


@pytest.mark.parametrize("kind", [Hello, LookupReported, PeerAsked])
def test_who_is_gone_and_may_have_been_a_stranger_fails_no_run(tmp_path: Path, kind: type) -> None:
    """A tool of another run knocks with a made-up nonce, and has ended before anybody looks whose it is."""

    async def script(run: Run) -> None:
        hook = await run.report(REPORTS[kind].replace(NONCE, b"\x08" * 16))
        assert run.events == [] and len(run.packets) == 1, "the evidence keeps it"
        assert heard(hook) == b""

    played(tmp_path, script, FakeTree(is_member=None))


@pytest.mark.parametrize("is_stranger", [True, False])
def test_a_strangers_refusal_is_not_counted_as_the_runs(tmp_path: Path, is_stranger: bool) -> None:
    packet = REPORTS[Denied] if is_stranger else REPORTS[Denied].replace(NONCE, b"\x08" * 16)

    async def script(run: Run) -> None:
        hook = await run.report(packet)
        assert run.events == [] and len(run.packets) == 1, "the evidence keeps it"
        assert heard(hook) == b""

    played(tmp_path, script, FakeTree(is_member=not is_stranger))


@pytest.mark.parametrize(
    ("packet", "event"),
    [
        (REPORTS[Hello], Hello(0, PID, f"/proc/{PID}/exe", None)),
        (REPORTS[LookupReported], LookupReported(0, PID, "web.test", 4, False, None)),
        (
            bindings.encode_report(
                bindings.Op.RESOLVE, NONCE, name=b"web.test", destination=bindings.Endpoint(socket.AF_INET6, "::", 0)
            ),
            LookupReported(0, PID, "web.test", 6, False, None),
        ),
        (
            bindings.encode_report(bindings.Op.RESOLVE, NONCE, name=b"web.test"),
            LookupReported(0, PID, "web.test", 0, False, None),
        ),
        (
            bindings.encode_report(bindings.Op.RESOLVE_PTR, NONCE, destination=TO._replace(port=0)),
            LookupReported(0, PID, "192.0.2.1", 0, True, None),
        ),
        (REPORTS[PeerAsked], PeerAsked(0, Endpoint("192.0.2.1", 80), None)),
        (REPORTS[Denied], Denied(PID, "udp", "192.0.2.1:80")),
        (
            bindings.encode_report(bindings.Op.DENIED, NONCE, reason=bindings.Reason.STATIC, name=b"/bin/busybox"),
            Denied(PID, "static", "/bin/busybox"),
        ),
    ],
)
def test_each_report_becomes_its_event(tmp_path: Path, packet: bytes, event: object) -> None:
    async def script(run: Run) -> None:
        await run.report(packet)
        (seen,) = run.events
        fields = [name for name in type(event).__slots__ if name != "call"]  # type: ignore[attr-defined]
        assert type(seen) is type(event)
        assert [getattr(seen, name) for name in fields] == [getattr(event, name) for name in fields]

    played(tmp_path, script)


@pytest.mark.parametrize("packet", [b"", b"x", b"x" * 80, b"x" * 2000, REPORTS[Hello][:-1], REPORTS[Hello] + b"x"])
def test_what_is_no_report_is_hung_up_on_and_its_descriptors_are_closed(tmp_path: Path, packet: bytes) -> None:
    async def script(run: Run) -> None:
        kept, sent = socket.socketpair()
        with kept, sent:
            hook = await run.report(packet, sent.fileno()) if packet else await run.report(b"")
            sent.close()
            kept.settimeout(DEADLINE_S)
            assert run.events == [] and not run.reports.calls
            assert kept.recv(1) == b"", "nobody holds the other end"
        hook.close()

    played(tmp_path, script)


@pytest.mark.parametrize("kind", ["none", "two", "file", "unix", "udp"])
def test_a_connect_without_one_tcp_socket_is_hung_up_on(tmp_path: Path, kind: str) -> None:
    async def script(run: Run) -> None:
        with bound() as tool, bound(kind=socket.SOCK_DGRAM) as datagram, socket.socket(socket.AF_UNIX) as local:
            with open(os.devnull) as file:
                descriptors = {"none": [], "two": [tool, tool], "file": [file], "unix": [local], "udp": [datagram]}[
                    kind
                ]
                hook = await run.report(connect_report(tool), *(one.fileno() for one in descriptors))  # type: ignore[attr-defined]
            assert run.events == [] and not run.reports.calls
            assert heard(hook) == b""

    played(tmp_path, script)


def test_a_report_may_come_after_its_connection(tmp_path: Path) -> None:
    async def script(run: Run) -> None:
        hook = run.hook()
        await turns()
        assert run.events == []
        hook.send(REPORTS[Hello])
        await turns()
        assert [type(event) for event in run.events] == [Hello]

    played(tmp_path, script)


@pytest.mark.parametrize("is_read", [True, False])
def test_a_hook_that_goes_away_is_told_of_only_if_it_had_reported(tmp_path: Path, is_read: bool) -> None:
    async def script(run: Run) -> None:
        hook = await run.report(REPORTS[Hello]) if is_read else run.hook()
        hook.close()
        await turns()
        assert [type(event) for event in run.events] == ([Hello, CallLost] if is_read else [])
        assert not run.reports.calls

    played(tmp_path, script)


def test_an_answered_call_is_not_lost(tmp_path: Path) -> None:
    async def script(run: Run) -> None:
        hook = await run.report(REPORTS[Hello])
        (event,) = run.events
        assert isinstance(event, Hello)
        run.reports.answer(AnswerCall(event.call))
        run.reports.answer(AnswerCall(event.call))
        hook.close()
        await turns()
        assert len(run.events) == 1

    played(tmp_path, script)


def test_closing_hangs_up_on_everybody(tmp_path: Path) -> None:
    async def script(run: Run) -> None:
        hooks = [await run.report(REPORTS[Hello]) for _ in range(3)]
        run.reports.close()
        assert [heard(hook) for hook in hooks] == [b""] * 3
        assert not (tmp_path / "s").exists()

    played(tmp_path, script)


def test_of_the_dead_only_refusals_count(tmp_path: Path) -> None:
    async def script(run: Run) -> None:
        for packet in (REPORTS[Hello], REPORTS[Denied]):
            run.hook().send(packet)
        run.reports.drain()
        assert [type(event) for event in run.events] == [Denied]
        assert not run.reports.calls

    played(tmp_path, script, FakeTree(is_member=None))
