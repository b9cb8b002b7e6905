"""Python functions over an exit: whatever connects is pinned, what is returned or raised comes back, and no more."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import exitpin
from exitpin import Pinned
from exitpin.wrappers.calls import ANSWER_MAX

from .conftest import Lab
from .running import Log

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def one(lab: Lab) -> Iterator[Pinned]:
    with exitpin.open(lab=True, name=lab.state.name) as tor:
        yield tor.exit("exit01")


def by_socket() -> str:
    with socket.create_connection(("web.test", 80)) as connection:
        connection.sendall(b"GET /ip HTTP/1.0\r\nHost: web.test\r\n\r\n")
        return connection.makefile().read().splitlines()[-1]


def by_urllib() -> str:
    from urllib.request import urlopen

    return str(urlopen("http://web.test/ip").read().decode().strip())


def by_http_client() -> str:
    from http.client import HTTPConnection

    connection = HTTPConnection("web.test")
    connection.request("GET", "/ip")
    return connection.getresponse().read().decode().strip()


def by_ssl() -> str:
    import ssl
    from http.client import HTTPSConnection

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = HTTPSConnection("web.test", context=context)
    connection.request("GET", "/ip")
    return connection.getresponse().read().decode().strip()


def by_asyncio() -> str:
    import asyncio

    async def main() -> str:
        reader, writer = await asyncio.open_connection("web.test", 80)
        writer.write(b"GET /ip HTTP/1.0\r\nHost: web.test\r\n\r\n")
        return (await reader.read()).decode().splitlines()[-1]

    return asyncio.run(main())


def by_subprocess() -> str:
    return subprocess.check_output(["curl", "-sS", "http://web.test/ip"], text=True).strip()


def by_threads() -> str:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        (address,) = {*pool.map(lambda _: by_urllib(), range(8))}
    return address


WAYS = [by_socket, by_urllib, by_http_client, by_ssl, by_asyncio, by_subprocess, by_threads]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_whatever_connects_leaves_by_the_exit(lab: Lab, one: Pinned, way: Callable[[], str]) -> None:
    log = Log.of(lab.state)
    records: list[Any] = []
    assert one.python(way, _on_record=records.append) == one.relay.address
    assert set(log.peers("http", "https")) == {one.relay.address}
    assert records[0]["status"] == "ok" and records[0]["exit"]["nickname"] == "exit01"


def test_arguments_go_there_and_results_come_back_by_value(one: Pinned) -> None:
    given = {"a": [1, 2.5, None]}

    def changed(value: dict[str, Any], *, more: bytes) -> tuple[dict[str, Any], bytes, int]:
        value["b"] = (yield_ := 3)
        return value, more, yield_

    assert one.python(changed, given, more=b"\0\xff") == ({"a": [1, 2.5, None], "b": 3}, b"\0\xff", 3)
    assert "b" not in given
    assert one.python(lambda: os.getpid()) != os.getpid()


class Odd(ValueError):
    """An exception that can't be made anew from what it was made of."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} {two}")


def test_an_exception_comes_back_with_the_traceback_of_its_process(one: Pinned) -> None:
    def failing() -> None:
        raise KeyError("boo")

    with pytest.raises(KeyError, match="boo") as raised:
        one.python(failing)
    assert isinstance(raised.value.__cause__, exitpin.ChildTraceback)
    assert "in failing" in str(raised.value.__cause__)
    with pytest.raises(ConnectionRefusedError) as refused:
        one.python(socket.create_connection, ("web.test", 9))
    assert refused.value.errno == 111

    def odd() -> None:
        raise Odd(1, 2)

    with pytest.raises(exitpin.RemoteError, match="Odd: 1 2"):
        one.python(odd)


def test_what_is_printed_goes_where_ours_goes(one: Pinned, capfd: pytest.CaptureFixture[str]) -> None:
    assert one.python(print, "seen") is None
    assert capfd.readouterr() == ("seen\n", "")


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda: os._exit(3), "exit status 3"),
        (lambda: os._exit(0), "its process ended without one"),
        (lambda: os.kill(os.getpid(), 9), "signal 9"),
        (lambda: time.sleep(60), "timeout: over 1 s"),
        (lambda: b"x" * ANSWER_MAX, "exit status 1"),
    ],
)
def test_without_an_answer_it_has_failed(one: Pinned, function: Callable[[], object], why: str) -> None:
    with pytest.raises(exitpin.RunFailed, match=why) as raised:
        one.python(function, _timeout=1 if why.startswith("timeout") else 60)
    assert raised.value.record is not None


def test_an_answer_may_be_as_large_as_is_said(one: Pinned) -> None:
    assert len(one.python(lambda: b"x" * (ANSWER_MAX - 1000))) == ANSWER_MAX - 1000


def test_a_program_that_it_starts_can_not_write_the_answer(one: Pinned) -> None:
    def inherited() -> str:
        seen = "ls -l /proc/self/fd"
        return subprocess.check_output(["sh", "-c", seen], text=True, close_fds=False)

    assert "exitpin-call" not in one.python(inherited)


def test_nothing_is_patched_in_either_process(one: Pinned) -> None:
    before = (socket.socket, socket.create_connection, socket.getaddrinfo)

    def names() -> list[str]:
        return [socket.socket.__module__, socket.create_connection.__module__, socket.getaddrinfo.__module__]

    assert one.python(names) == ["socket"] * 3
    assert before == (socket.socket, socket.create_connection, socket.getaddrinfo)
