"""A connection between client and daemon: what is a packet, and what is none."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

import pytest

from exitpin.shim.bindings import Lease, LeaseKind, encode_lease
from exitpin.wrappers import lease as leases
from exitpin.wrappers.lease import LeaseConnection, memory_file, packed, unpacked

ASK = Lease(LeaseKind.ASK, arguments=2, variables=1, terminals=5)
TIMEOUT_S = 10.0


class Heard:
    """What a connection told."""

    def __init__(self, connection: socket.socket) -> None:
        self.packets: list[tuple[Lease, list[int], int]] = []
        self.is_gone = False
        self.woken = asyncio.Event()
        self.connection = LeaseConnection(connection, self._hear, self._lose)

    def _hear(self, lease: Lease, descriptors: list[int], pid: int) -> None:
        self.packets.append((lease, descriptors, pid))
        self.woken.set()

    def _lose(self) -> None:
        self.is_gone = True
        self.woken.set()

    async def next(self) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await self.woken.wait()
        self.woken.clear()


def connected(test: Callable[[Heard, socket.socket], Awaitable[None]]) -> None:
    async def body() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        heard = Heard(ours)
        try:
            await test(heard, theirs)
        finally:
            heard.connection.close()
            theirs.close()

    asyncio.run(body())


def test_a_packet_comes_with_its_descriptors_and_its_senders_pid() -> None:
    async def test(heard: Heard, client: socket.socket) -> None:
        with memory_file(b"content") as file:
            socket.send_fds(client, [encode_lease(ASK)], [file])
        await heard.next()
        ((lease, (descriptor,), pid),) = heard.packets
        assert (lease, pid) == (ASK, os.getpid())
        assert os.pread(descriptor, 99, 0) == b"content"
        os.close(descriptor)

    connected(test)


@pytest.mark.parametrize(
    "packet", [b"x", bytes(24), encode_lease(ASK)[:-1], encode_lease(ASK) + b"x", encode_lease(ASK)[:4] + b"\x09" * 20]
)
def test_whoever_speaks_nonsense_is_hung_up_on_and_its_descriptors_are_closed(packet: bytes) -> None:
    async def test(heard: Heard, client: socket.socket) -> None:
        before = len(os.listdir("/proc/self/fd"))
        with memory_file(b"") as file:
            socket.send_fds(client, [packet], [file] * 3)
        await heard.next()
        assert heard.is_gone and not heard.packets and not heard.connection.is_open
        assert len(os.listdir("/proc/self/fd")) == before - 1

    connected(test)


def test_more_descriptors_than_a_packet_has_are_nonsense() -> None:
    async def test(heard: Heard, client: socket.socket) -> None:
        before = len(os.listdir("/proc/self/fd"))
        with memory_file(b"") as file:
            socket.send_fds(client, [encode_lease(ASK)], [file] * 200)
        await heard.next()
        assert heard.is_gone and not heard.packets
        assert len(os.listdir("/proc/self/fd")) == before - 1

    connected(test)


def test_the_last_word_is_sent_to_who_is_there_and_lost_on_who_is_gone() -> None:
    async def test(heard: Heard, client: socket.socket) -> None:
        heard.connection.end(7, b"out" * 100_000, b"err")
        packet, (out, err), _, _ = socket.recv_fds(client, 99, 2)
        assert packet == encode_lease(Lease(LeaseKind.END, 7))
        assert (os.fstat(out).st_size, os.pread(err, 99, 0)) == (300_000, b"err")
        os.close(out)
        os.close(err)
        assert client.recv(1) == b""
        heard.connection.end(7)
        with pytest.raises(OSError):
            heard.connection.send(ASK)

    connected(test)


@pytest.mark.parametrize("words", [[], [""], ["a", "", "b\n"], ["\udcff", "ä" * 1000]])
def test_strings_travel_as_they_are(words: list[str]) -> None:
    with memory_file(packed(words)) as file:
        assert unpacked(file, len(words)) == words


@pytest.mark.parametrize(("content", "count"), [(b"a\0b\0", 1), (b"a\0b\0", 3), (b"a\0b", 2), (b"a", 0), (b"", 1)])
def test_other_strings_than_were_announced_are_refused(content: bytes, count: int) -> None:
    with memory_file(content) as file, pytest.raises(ValueError, match="announced"):
        unpacked(file, count)


def test_what_is_no_file_or_too_long_is_not_read() -> None:
    reading, writing = os.pipe()
    with pytest.raises(ValueError, match="no file"):
        unpacked(reading, 1)
    os.close(reading)
    os.close(writing)
    with memory_file(b"") as file:
        os.ftruncate(file, leases.STRINGS_MAX + 1)
        with pytest.raises(ValueError, match="too long"):
            unpacked(file, 1)


def test_a_nul_in_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        packed(["a\0b"])
