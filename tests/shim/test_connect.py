"""connect(2) under the shim: what the tool sees, what the orchestrator is told."""

import errno
import queue
import signal
import socket
import subprocess
import sys

import pytest

from exitpin.shim import bindings
from exitpin.shim.bindings import Endpoint, Flag, Op, Reason

OPENS = {
    "blocking": ["connect=OK", "errno=1234", "talk=OK"],
    "nonblocking": ["connect=OK", "so_error=0 flags=2048 cloexec=1", "talk=OK"],
    "epoll_before": ["connect=OK", "events=1 out=1"],
    "options": ["connect=OK", "nodelay=1 keepalive=1", "talk=OK"],
    "ipv6": ["connect=OK", "talk=OK"],
    "v6only": ["mapped=ENETUNREACH", "connect=OK", "talk=OK"],
    "v4mapped": ["connect=OK", "talk=OK"],
    "twice": ["first=OK", "second=EISCONN", "talk=OK"],
    "unspec": ["first=OK", "disconnect=OK", "second=OK", "talk=OK"],
    "threads": ["fails=0"],
    "forks": ["child=OK", "talk=OK"],
    "vforks": ["talk=OK", "parent=OK"],
    "close_all": ["connect=OK", "talk=OK", "again=OK"],
    "high_fd": ["connect=OK"],
    "alias": ["connect=OK"],
    "retry": [
        "first=ECONNREFUSED",
        "again=ECONNREFUSED",
        "third=OK",
        "talk=OK",
        "first6=ECONNREFUSED",
        "second6=OK",
        "talk6=OK",
    ],
    "retry_bound": [
        "any=OK",
        "held=EINVAL",
        "first=ECONNREFUSED",
        "second=ECONNREFUSED",
        "released=OK",
        "held_again=EINVAL",
        "third=OK",
        "talk=OK",
        "own=OK",
        "own_first=ECONNREFUSED",
        "own_second=OK",
        "own_talk=OK",
    ],
}

AT_LEVEL_SHIM = pytest.mark.parametrize("shim", ["shim"], indirect=True)  # the kernel says no before the hook at guard


@pytest.mark.parametrize("case", OPENS)
def test_a_tool_connects_through_the_orchestrator(shim, case):
    run = shim.probe("connects", case)
    assert run.lines == OPENS[case]
    assert run.of(bindings.NoticeKind.EXITED).status == 0


def test_the_report_names_source_destination_and_process(shim):
    run = shim.probe("connects", "blocking")
    (report,) = shim.stand_in.of(Op.CONNECT)
    assert report.pid == report.tid == run.of(bindings.NoticeKind.STARTED).pid
    assert report.source is not None and report.source.host == "127.64.0.9"
    assert report.destination == Endpoint(socket.AF_INET, "198.51.100.7", 80)
    assert report.flags == Flag.NONE


def test_a_nonblocking_socket_is_reported_as_such(shim):
    shim.probe("connects", "nonblocking")
    assert shim.stand_in.of(Op.CONNECT)[0].flags == Flag.NONBLOCK


def test_an_ipv6_socket_stands_on_the_mapped_run_address(shim):
    shim.probe("connects", "v6only")
    (report,) = shim.stand_in.of(Op.CONNECT)
    assert report.source is not None
    assert (report.source.family, report.source.host) == (socket.AF_INET6, "::ffff:127.64.0.9")
    assert report.destination == Endpoint(socket.AF_INET6, "2001:db8::7", 80)
    assert report.flags == Flag.V6ONLY


def test_a_mapped_destination_is_reported_as_ipv4(shim):
    shim.probe("connects", "v4mapped")
    assert shim.stand_in.of(Op.CONNECT)[0].destination == Endpoint(socket.AF_INET, "198.51.100.7", 80)


def test_every_retry_brings_a_source_of_its_own_address_and_a_port(shim):
    shim.probe("connects", "retry")
    sources = [report.source for report in shim.stand_in.of(Op.CONNECT)]
    assert len(sources) == 5
    assert all(source.host.endswith("127.64.0.9") and source.port > 0 for source in sources)
    assert all(report.flags & Flag.BOUND == 0 for report in shim.stand_in.of(Op.CONNECT))


def test_a_port_that_a_failed_connect_released_is_not_claimed_again(shim):
    """Also `mismatches`: the socket leaves from the very port that was reported."""
    shim.probe("connects", "retry_bound")
    reports = shim.stand_in.of(Op.CONNECT)
    assert [report.source.host for report in reports] == ["127.64.0.9"] * 3 + ["203.0.113.9", "127.64.0.9"]
    assert [report.flags for report in reports] == [Flag.NONE] * 3 + [Flag.BOUND, Flag.NONE]


def test_getpeername_tells_what_the_tool_asked_for(shim):
    run = shim.probe("connects", "peers")
    assert run.lines == [
        "v4=OK",
        "198.51.100.7 80 size=16",
        "v6=OK",
        "2001:db8::7 443 size=28",
        "mapped=OK",
        "::ffff:198.51.100.9 25",
        "short=OK",
        "size=16",
        "unconnected=ENOTCONN",
        "bad=EBADF",
    ]


def test_this_machine_and_groups_are_out_of_reach(shim):
    run = shim.probe("refusals", "local_targets")
    assert [line.partition("=")[2] for line in run.lines] == ["EACCES"] * 6 + ["ENETUNREACH"] * 3
    reasons = [report.reason for report in shim.stand_in.of(Op.DENIED)]
    assert reasons == [Reason.LOOPBACK] * 6 + [Reason.MULTICAST] * 3
    assert shim.stand_in.of(Op.DENIED)[0].destination == Endpoint(socket.AF_INET, "127.0.0.1", 9050)
    assert shim.stand_in.of(Op.CONNECT) == []


def test_bad_arguments_get_the_errors_of_the_kernel(shim, world, programs):
    bare = subprocess.run([*world.enter(), programs["refusals"], "natives"], capture_output=True, text=True, check=True)
    assert shim.probe("refusals", "natives").stdout == bare.stdout


def test_unix_and_routing_sockets_pass(shim):
    run = shim.probe("refusals", "unix_passes")
    assert run.lines == ["socketpair=OK", "connect=ENOENT", "sendto=OK", "netlink=OK", "pair4=EOPNOTSUPP"]


def test_sockets_that_tor_cannot_carry_are_not_made(shim):
    run = shim.probe("refusals", "sockets")
    assert run.lines == [
        "udp=EACCES",
        "udp6=EACCES",
        "icmp=EACCES",
        "raw=EACCES",
        "mptcp=EPROTONOSUPPORT",
        "sctp=EPROTONOSUPPORT",
        "packet=EACCES",
        "vsock=EAFNOSUPPORT",
        "audit=EAFNOSUPPORT",
        "tcp=OK",
    ]
    reasons = [report.reason for report in shim.stand_in.of(Op.DENIED)]
    raw, protocol, family = [Reason.RAW] * 2, [Reason.PROTOCOL] * 2, [Reason.FAMILY] * 2
    assert reasons == [Reason.UDP, Reason.UDP, *raw, *protocol, Reason.RAW, *family]


def test_a_unix_socket_of_somebody_else_is_asked_for(shim):
    run = shim.probe("refusals", "unix_passes")
    assert run.lines[1] == "connect=ENOENT"
    (asked,) = shim.stand_in.of(Op.UNIX)
    assert (asked.name, asked.flags) == ("/nowhere", 0)


@pytest.mark.parametrize("answer", [bindings.encode_answer(errno.EACCES), None], ids=["refused", "gone"])
def test_a_unix_socket_that_is_refused_is_not_reached(shim, answer):
    shim.stand_in.on[Op.UNIX] = lambda report, passed: answer
    assert shim.probe("refusals", "unix_passes").lines[1] == "connect=EACCES"


@AT_LEVEL_SHIM
def test_binding_goes_to_the_run_address_and_listening_nowhere(shim):
    run = shim.probe("refusals", "bound")
    assert run.lines == [
        "fixed=EACCES",
        "any=OK",
        "twice=EINVAL",
        "connect=OK",
        "any6=OK",
        "connect6=OK",
        "own=OK",
        "connect_own=OK",
        "foreign=EADDRNOTAVAIL",
        "listen=EACCES",
        "listen6=EACCES",
        "listen_unix=EINVAL",
    ]
    connects = shim.stand_in.of(Op.CONNECT)
    assert [report.source.host for report in connects] == ["127.64.0.9", "::ffff:127.64.0.9", "203.0.113.9"]
    assert [report.flags for report in connects] == [Flag.NONE, Flag.NONE, Flag.BOUND]
    assert {report.reason for report in shim.stand_in.of(Op.DENIED)} == {Reason.LISTEN}


@AT_LEVEL_SHIM
def test_a_socket_bound_to_a_device_is_refused(shim):
    assert shim.probe("refusals", "device").lines == ["set=OK", "connect=ENETUNREACH", "clear=OK", "again=OK"]
    assert [report.reason for report in shim.stand_in.of(Op.DENIED)] == [Reason.DEVICE]


def test_data_never_travels_with_the_syn(shim):
    run = shim.probe("refusals", "fastopen")
    assert run.lines == ["sendto=EOPNOTSUPP", "sendmsg=EOPNOTSUPP", "sendmmsg=EOPNOTSUPP", "unconnected=EPIPE"]


@AT_LEVEL_SHIM
def test_a_datagram_has_nowhere_to_go(shim):
    run = shim.probe("refusals", "datagrams")
    assert run.lines == [
        "sendto=EACCES",
        "unspec=EACCES",
        "sendmsg=EACCES",
        "sendmmsg=EACCES",
        "connect=EACCES",
        "bind=EACCES",
    ]
    assert {report.reason for report in shim.stand_in.of(Op.DENIED)} == {Reason.UDP}


def test_a_signal_does_not_end_the_wait(shim):
    started: queue.Queue[object] = queue.Queue()

    def answer_after_a_signal(report, passed):
        started.get(timeout=10).order(bindings.OrderKind.SIGNAL, signal.SIGUSR1)
        return shim.stand_in.open_stream(report, passed)

    shim.stand_in.on[Op.CONNECT] = answer_after_a_signal
    run = shim.start(shim.programs["connects"], "interrupted")
    started.put(run)
    assert run.wait().lines == ["connect=OK"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"x",
        bytes(56),
        bindings.encode_answer()[:-1],
        bindings.encode_answer() + b"x",
        bindings.encode_answer(-5),
        None,
    ],
    ids=["empty", "byte", "zeros", "short", "long", "negative", "closed"],
)
def test_an_odd_answer_is_no_network(shim, answer):
    shim.stand_in.on[Op.CONNECT] = lambda report, passed: answer
    assert shim.probe("connects", "blocking").lines[0] == "connect=ENETUNREACH"


def test_a_stream_that_failed_late_is_taken_from_the_tool(shim):
    def connect_then_fail(report, passed):
        shim.stand_in.open_stream(report, passed)
        return bindings.encode_answer(110)

    shim.stand_in.on[Op.CONNECT] = connect_then_fail
    assert shim.probe("connects", "blocking").lines == ["connect=ETIMEDOUT", "errno=110", "talk=EPIPE"]


def test_without_an_orchestrator_there_is_no_network_and_no_names(shim):
    script = """
import errno, socket, sys
sys.stdin.readline()
for family, host in ((socket.AF_INET, "198.51.100.7"), (socket.AF_INET6, "2001:db8::7")):
    print(errno.errorcode[socket.socket(family).connect_ex((host, 80))])
try:
    socket.getaddrinfo("example.org", 80)
except socket.gaierror as error:
    print(error.errno == socket.EAI_AGAIN)
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
except OSError as error:
    print(errno.errorcode[error.errno])
"""
    run = shim.start(sys.executable, "-c", script, stdin=subprocess.PIPE)
    run.next_notice()
    shim.stand_in.on[Op.HELLO] = shim.stand_in.default
    while not shim.stand_in.of(Op.HELLO):
        pass
    shim.stand_in.close()
    run.process.stdin.write("\n")
    run.process.stdin.flush()
    assert run.wait().lines == ["ENETUNREACH", "ENETUNREACH", "True", "EACCES"]


def test_the_wire_does_show_what_leaks(world, programs):
    """The positive control: the same program, bare, is seen."""
    command = [*world.enter(), programs["connects"], "blocking"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as bare:
        while not (seen := set(world.leaks())) and bare.poll() is None:
            pass
        bare.kill()
    assert seen == {"protocol 6 to 198.51.100.7"}
