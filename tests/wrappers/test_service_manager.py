"""What a service manager hears, on a socket as it has one."""

import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from exitpin.wrappers.service_manager import TEXT_MAX, tell, watchdog_s


class Manager:
    """Its end: `heard` is the next datagram, None if there is none."""

    def __init__(self, address: str) -> None:
        self.environment = {"NOTIFY_SOCKET": address}
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)

    def heard(self) -> str | None:
        try:
            return self.socket.recv(1 << 16).decode()
        except BlockingIOError:
            return None


@pytest.fixture(params=["a path", "an abstract name"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    path = os.path.relpath(tmp_path / "notify") if len(str(tmp_path)) > 90 else str(tmp_path / "notify")
    found = Manager(path if request.param == "a path" else f"@exitpin-{secrets.token_hex(8)}")
    with found.socket:
        yield found


def test_it_hears_each_fact_on_a_line(manager: Manager) -> None:
    tell(manager.environment, READY="1", STATUS="certs: iteration 3")
    assert manager.heard() == "READY=1\nSTATUS=certs: iteration 3\n"


def test_a_text_can_add_no_fact_of_its_own_and_is_cut(manager: Manager) -> None:
    tell(manager.environment, STATUS="one\nMAINPID=1\n\ttwo")
    assert manager.heard() == "STATUS=one MAINPID=1 two\n"
    tell(manager.environment, STATUS="x" * 100_000)
    assert manager.heard() == f"STATUS={'x' * TEXT_MAX}\n"


def test_one_that_does_not_read_is_not_waited_for(manager: Manager) -> None:
    for _ in range(5000):
        tell(manager.environment, WATCHDOG="1")
    assert manager.heard() == "WATCHDOG=1\n"


@pytest.mark.parametrize("address", ["", "notify", "/nowhere/notify", "@nobody-listens-there", "/" + "x" * 300])
def test_where_there_is_none_nobody_is_told(address: str) -> None:
    tell({"NOTIFY_SOCKET": address}, READY="1")
    tell({}, READY="1")


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_a_sign_of_life_is_wanted_twice_in_the_time_that_it_names(
    environment: dict[str, str], seconds: float | None
) -> None:
    assert watchdog_s(environment) == seconds
