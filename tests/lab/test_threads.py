"""Tools of many threads: connects at once, of kinds that go different ways, and on sockets that threads share."""

import ast
from collections import Counter

import pytest

from .conftest import Lab
from .running import records

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]
EXIT = "exit01"
LEVELS = pytest.mark.parametrize("level", ["shim", "guard", "notify"])

SHARE = """
import errno, socket, sys, threading
from collections import Counter
came = Counter()
for _ in range(10):
    shared, together = socket.socket(), threading.Barrier(4)
    def go():
        together.wait()
        try:
            shared.connect(("192.0.2.10", 80))
            came["OK"] += 1
        except OSError as error:
            came[errno.errorcode[error.errno]] += 1
    threads = [threading.Thread(target=go) for _ in range(4)]
    [one.start() for one in threads]
    [one.join() for one in threads]
    shared.sendall(b"GET /ip HTTP/1.0\\r\\nHost: web.test\\r\\n\\r\\n")
    came[shared.makefile().read().split()[-1]] += 1
    shared.close()
print(dict(came))
"""
MIX = """
import socket, threading
together = threading.Barrier(8)
def go(family, host):
    for _ in range(15):
        with socket.socket(family) as one:
            together.wait()
            one.connect((host, 80))
kinds = [(socket.AF_INET6, "2001:db8::10"), (socket.AF_INET, "192.0.2.10")] * 4
threads = [threading.Thread(target=go, args=kind) for kind in kinds]
[one.start() for one in threads]
[one.join() for one in threads]
"""


@LEVELS
def test_of_those_who_connect_one_socket_at_once_one_does_and_the_others_hear_of_it(lab: Lab, level: str) -> None:
    (record,) = records(lab.state, "-e", EXIT, "--containment", level, "--", "python3", "-c", SHARE)
    came = Counter(ast.literal_eval(record["process"]["stdout"]))
    assert record["failure"] is None
    assert (came["OK"], came[lab.state.relay(EXIT).address]) == (10, 10)
    assert came["EALREADY"] + came["EISCONN"] == 30
    assert [stream["status"] for stream in record["streams"]] == ["succeeded"] * 10


@LEVELS
def test_connects_that_take_a_ticket_and_such_that_do_not_come_all_into_the_record(lab: Lab, level: str) -> None:
    (record,) = records(lab.state, "-e", EXIT, "--containment", level, "--ipv6", "--", "python3", "-c", MIX)
    assert record["failure"] is None, record["process"]
    assert [stream["status"] for stream in record["streams"]] == ["succeeded"] * 120
