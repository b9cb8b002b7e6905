"""Names under the shim: what is answered here, what is asked of the orchestrator, what is refused."""

import socket

import pytest

from exitpin.shim import bindings
from exitpin.shim.bindings import Endpoint, Op, Reason


def by_name(run):
    return dict(line.split("=", 1) for line in run.lines)


@pytest.fixture
def answers(shim):
    return by_name(shim.probe("names", "addrinfo"))


def test_a_name_without_hints_is_asked_of_the_orchestrator(shim, answers):
    four = "198.18.0.7:80/2/1/6 198.18.0.7:80/2/2/17 198.18.0.7:80/2/3/0"
    six = "fd00::7:80/10/1/6 fd00::7:80/10/2/17 fd00::7:80/10/3/0"
    assert answers["no_hints"] == f"0 {four} {six}"
    assert shim.stand_in.of(Op.RESOLVE)[0].name == "example.org"


def test_errno_is_left_alone(answers):
    assert answers["errno"] == "77"


@pytest.mark.parametrize(
    ("case", "answer"),
    [
        ("literal6", "0 2001:db8::1:80/10/1/6"),
        ("hex", "0 127.0.0.1:80/2/1/6"),
        ("wrong_family", str(-9)),
        ("mapped", "0 ::ffff:198.51.100.1:80/10/1/6"),
        ("numeric_name", str(int(socket.EAI_NONAME))),
        ("service", "0 198.51.100.1:443/2/1/6"),
        ("no_service", str(int(socket.EAI_SERVICE))),
        ("numeric_service", str(int(socket.EAI_NONAME))),
        ("passive", "0 0.0.0.0:80/2/1/6"),
        ("loopback", "0 ::1:80/10/1/6"),
        ("localhost", "0 127.0.0.1:80/2/1/6"),
        ("under_localhost", "0 127.0.0.1:80/2/1/6"),
        ("canonical", "0 198.18.0.7:0/2/1/6 (example.org)"),
        ("inet6", "0 fd00::7:80/10/1/6"),
        ("missing", str(int(socket.EAI_NONAME))),
        ("invalid", str(int(socket.EAI_NONAME))),
        ("empty", str(int(socket.EAI_NONAME))),
        ("no_port", "0 198.51.100.1:0/2/1/6"),
        ("any_port", "0 198.51.100.1:0/2/1/6"),
        ("any_node", "0 0.0.0.0:80/2/1/6"),
        ("any_at_all", str(int(socket.EAI_NONAME))),
        ("nothing", str(int(socket.EAI_NONAME))),
        ("bad_family", str(int(socket.EAI_FAMILY))),
        ("bad_type", str(int(socket.EAI_SOCKTYPE))),
    ],
)
def test_getaddrinfo_answers(answers, case, answer):
    assert answers[case] == answer


def test_only_names_that_nobody_here_knows_are_asked(shim, answers):
    assert {report.name for report in shim.stand_in.of(Op.RESOLVE)} == {"example.org", "nothing.example"}


def test_the_family_wanted_is_reported(shim, answers):
    families = [report.destination and report.destination.family for report in shim.stand_in.of(Op.RESOLVE)]
    assert families[:3] == [None, socket.AF_INET, socket.AF_INET6]


def test_the_name_of_this_machine_stays_here(shim):
    assert shim.probe("names", "own_name").lines == ["error=0", "id=7f0101"]
    assert shim.stand_in.of(Op.RESOLVE) == []


def test_getnameinfo_answers(shim):
    run = shim.probe("names", "nameinfo")
    assert run.lines[0] == "0 seven.example https"
    assert run.lines[1].startswith("0 ") and run.lines[1].endswith(" http")
    assert run.lines[2] == "0 ::ffff:198.51.100.7 http"
    assert run.lines[3] == "0 203.0.113.1"
    assert run.lines[4] == f"{int(socket.EAI_NONAME)} {int(socket.EAI_OVERFLOW)} {int(socket.EAI_FAMILY)}"
    asked = [report.destination for report in shim.stand_in.of(Op.RESOLVE_PTR)]
    assert asked[0] == Endpoint(socket.AF_INET, "198.51.100.7", 0)


def test_the_old_calls_answer_as_the_new(shim):
    assert shim.probe("names", "hostent").lines == [
        "name=example.org 198.18.0.7 aliases=0 size=4",
        "name2=example.org fd00::7 aliases=0 size=16",
        "missing=1",
        "addr=seven.example 198.51.100.7 aliases=0 size=4",
        "small=ERANGE -1",
        "name_r=example.org 198.18.0.7 aliases=0 size=4",
        "name2_r=example.org fd00::7 aliases=0 size=16",
        "addr_r=seven.example 198.51.100.7 aliases=0 size=4",
    ]


def test_calls_that_speak_dns_themselves_are_refused(shim):
    assert shim.probe("names", "refused").lines == [
        "query=-1 2",
        "search=-1",
        "nsearch=-1",
        "send=-1",
        f"getaddrinfo_a={int(socket.EAI_AGAIN)}",
        "network=0",
        "rcmd=EACCES",
        "rexec=EACCES",
    ]
    denied = shim.stand_in.of(Op.DENIED)
    assert [report.reason for report in denied[:6]] == [Reason.RESOLVER] * 6
    assert denied[0].name == "example.org"


def test_an_error_of_the_orchestrator_is_passed_on(shim):
    shim.stand_in.on[Op.RESOLVE] = lambda report, passed: bindings.encode_answer(eai=socket.EAI_AGAIN)
    assert by_name(shim.probe("names", "hostent"))["missing"] == "2"
