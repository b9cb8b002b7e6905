"""A network that leads nowhere, made by a child that is gone at once: what it opens, and what it leaves behind."""

import asyncio
import contextlib
import ctypes
import errno
import os
import resource
import socket
from collections.abc import Callable

import pytest

from exitpin.shim._bindings import lib
from exitpin.shim.nowhere import Nowhere, network_of
from exitpin.wrappers.machine import abilities

from ..wrappers.apart import apart
from .refusing import refuse_sockets

pytestmark = pytest.mark.skipif(bool(abilities().notify_problem), reason=abilities().notify_problem)

PR_GET_DUMPABLE, PR_SET_DUMPABLE = 3, 4
NOBODY = 65534


def played(script: Callable[[], None]) -> None:
    """In a process of its own."""

    async def play() -> None:
        script()

    apart(play)


def opened() -> list[str]:
    return os.listdir("/proc/self/fd")


def test_its_sockets_are_of_one_network_which_is_not_ours() -> None:
    nowhere = Nowhere()
    with socket.socket() as ours, contextlib.closing(nowhere):
        made = [nowhere.datagrams(family) for family in (socket.AF_INET, socket.AF_INET6) * 10]
        assert {network_of(one) for one in (*made, *nowhere.servers)} == {nowhere.cookie} != {network_of(ours)}
        assert not any(os.get_inheritable(one.fileno()) for one in (*made, *nowhere.servers))
        for one in made:
            one.close()


def test_sockets_that_a_tool_makes_and_closes_leave_no_descriptors_behind() -> None:
    before = len(opened())
    with contextlib.closing(Nowhere()) as nowhere:
        for _ in range(3000):
            nowhere.datagrams(socket.AF_INET).close()
        assert len(opened()) - before <= lib.EXITPIN_NOWHERE_FDS + lib.EXITPIN_NOWHERE_BATCH
    assert len(opened()) == before


def test_where_there_are_no_descriptors_that_is_said_and_none_is_kept() -> None:
    def script() -> None:
        nowhere = Nowhere()
        before = opened()
        with open(os.devnull) as lowest:
            limit = lowest.fileno() + 3
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, 1024))
        with pytest.raises(OSError) as told:
            nowhere.datagrams(socket.AF_INET)
        assert told.value.errno == errno.EMFILE
        with pytest.raises(OSError) as told:
            Nowhere()
        assert told.value.errno == errno.EMFILE
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
        assert opened() == before

    played(script)


def test_a_family_that_is_none_is_refused_as_by_the_kernel() -> None:
    with contextlib.closing(Nowhere()) as nowhere, pytest.raises(OSError) as told:
        nowhere.datagrams(socket.AF_X25 if hasattr(socket, "AF_X25") else 200)
    assert told.value.errno == errno.EAFNOSUPPORT


def test_without_ipv6_in_the_kernel_ipv4_is_served() -> None:
    def script() -> None:
        refuse_sockets(socket.AF_INET6, errno.EAFNOSUPPORT)
        nowhere = Nowhere()
        (server,) = nowhere.servers
        with nowhere.datagrams(socket.AF_INET) as tool:
            tool.sendto(b"x", ("8.8.8.8", 53))
            assert server.recv(10) == b"x"
        with pytest.raises(OSError) as told:
            nowhere.datagrams(socket.AF_INET6)
        assert told.value.errno == errno.EAFNOSUPPORT

    played(script)


def test_nobody_who_waits_for_our_children_ever_sees_the_one_that_makes_it() -> None:
    def script() -> None:
        heard: list[int] = []
        import signal

        signal.signal(signal.SIGCHLD, lambda number, frame: heard.append(number))
        with contextlib.closing(Nowhere()) as nowhere:
            nowhere.datagrams(socket.AF_INET).close()
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        with open("/proc/thread-self/children") as children:
            assert (heard, children.read()) == ([], "")

    played(script)


def test_who_is_not_root_makes_a_user_namespace_for_it() -> None:
    def script() -> None:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)

        def standing() -> object:
            return os.readlink("/proc/thread-self/ns/net"), os.getresuid(), libc.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)

        before = standing()
        try:
            nowhere = Nowhere()
        except PermissionError:
            return  # not for everybody here
        with contextlib.closing(nowhere), nowhere.datagrams(socket.AF_INET) as tool:
            tool.sendto(b"x", ("192.0.2.1", 53))
            assert nowhere.servers[0].recv(10) == b"x"
            assert standing() == before, "of our memory, which it shared"

    if os.getuid() != 0:
        pytest.skip("only root becomes somebody else")
    played(script)


def test_it_is_made_beside_threads_and_a_running_loop() -> None:
    async def script() -> None:
        def work() -> None:
            with contextlib.closing(Nowhere()) as nowhere:
                for _ in range(50):
                    nowhere.datagrams(socket.AF_INET).close()

        await asyncio.gather(*(asyncio.to_thread(work) for _ in range(4)))

    before = opened()
    asyncio.run(script())
    assert len(opened()) == len(before)
