"""What a report says, as an event of the core: compared with the socket that it is about, and nothing decided.

Called by `reports.py`, which reads reports and answers them.
"""

import os
import socket
from collections.abc import Callable

from ..orchestrator import events
from ..orchestrator.model import Destination, Endpoint
from ..shim import bindings
from .report_calls import WaitingCall
from .unix_sockets import UnixName


def event_of(
    report: bindings.Report,
    call: WaitingCall,
    executable: Callable[[int], str],
    found_unix: tuple[int, bool],
    problem: str | None,
) -> object | None:
    """The event of a call; None: it lacks what its op needs. `executable`: what a process executes now; `found_unix`:
    where a Unix socket's name leads (`UnixAsked`'s error and is_allowed); `problem`: why the report can't be trusted,
    if that is known already."""
    number, pid = call.number, call.pid
    if report.op == bindings.Op.CONNECT:
        return _connect(report, call, problem)
    if report.op == bindings.Op.HELLO:
        return events.Hello(number, pid, executable(pid), problem)
    if report.op == bindings.Op.RESOLVE:
        family = 0 if report.destination is None else 6 if report.destination.family == socket.AF_INET6 else 4
        return events.LookupReported(number, pid, report.name or "", family, False, problem)
    if report.op == bindings.Op.RESOLVE_PTR and report.destination is not None:
        return events.LookupReported(number, pid, report.destination.host, 0, True, problem)
    if report.op == bindings.Op.UNIX:
        return events.UnixAsked(number, pid, str(unix_name(report)), *found_unix, problem)
    if report.op == bindings.Op.PEER and report.source is not None:
        return events.PeerAsked(number, _plain(report.source), problem)
    if report.op == bindings.Op.DENIED:
        return denied(report, pid)
    return None


def unix_name(report: bindings.Report) -> UnixName:
    """The Unix socket that a UNIX report asks for."""
    return UnixName.from_report(os.fsencode(report.name or ""))


def denied(report: bindings.Report, pid: int) -> events.Denied:
    """What was refused, and why."""
    what = report.name or ""
    if not what and report.destination is not None:
        what = str(Destination(report.destination.host, report.destination.port))
    return events.Denied(pid, reason_name(report.reason), what)


def reason_name(reason: bindings.Reason) -> str:
    """As records have it."""
    return reason.name.lower().replace("_", "-")


def _connect(report: bindings.Report, call: WaitingCall, problem: str | None) -> object | None:
    source = _source_of(call, report)
    if source is None or report.source is None or report.destination is None:
        return None
    if problem is None and source != _plain(report.source):
        problem = f"the socket is bound to {source}, the report says {report.source.host}:{report.source.port}"
    if problem is None and source.port == 0:
        problem = "the socket has no source port"
    destination = Destination(*_plain(report.destination))
    is_weak = bool(report.flags & bindings.Flag.BOUND)
    is_ahead = call.flight is not None
    is_taken = not is_ahead and _has_peer(call.tool_socket)
    return events.ConnectReported(call.number, call.pid, source, destination, is_weak, problem, is_ahead, is_taken)


def _has_peer(tool_socket: socket.socket | None) -> bool:
    try:
        return tool_socket is not None and bool(tool_socket.getpeername())
    except OSError:
        return False


def _source_of(call: WaitingCall, report: bindings.Report) -> Endpoint | None:
    """Where the socket is bound, by the kernel's word; where a ticket was used, as it was then: who has been answered
    may have bound it anew."""
    if call.tool_socket is None or report.source is None:
        return None
    return _plain(report.source) if call.flight is not None else _endpoint(*call.tool_socket.getsockname()[:2])


def _plain(endpoint: bindings.Endpoint) -> Endpoint:
    return _endpoint(endpoint.host, endpoint.port)


def _endpoint(host: str, port: int) -> Endpoint:
    """An endpoint as Tor will name it: IPv4 for a v4-mapped IPv6 address."""
    return Endpoint(host.removeprefix("::ffff:") if "." in host else host, port)
