"""The SOCKS dialogue on the tool's own socket: step by step, not a byte too many, and the socket as it was."""

import asyncio
import socket
import struct

import pytest

from exitpin.orchestrator.model import Destination

from .played_socks import ACCEPTED, AUTH, CONNECT, GREETING, METHOD, NAME, OPENED, Dialogue, played, request


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("is_blocking", [True, False])
def test_a_stream_is_opened_step_by_step_on_the_tools_socket(family: socket.AddressFamily, is_blocking: bool) -> None:
    async def script(one: Dialogue) -> None:
        await one.ready_for_reply()
        assert one.tor.getpeername() == ("127.64.0.1", one.tool.getsockname()[1]), "the endpoint that was claimed"
        await one.says(OPENED)
        assert await one.answered() == (0, "")

    played(script, family=family, is_blocking=is_blocking)


@pytest.mark.parametrize(
    ("destination", "is_lookup", "command"),
    [
        (NAME, False, CONNECT),
        (Destination("192.0.2.1", 443), False, request(1, b"\x01\xc0\x00\x02\x01\x01\xbb")),
        (Destination("::1", 22), False, request(1, b"\x04" + b"\x00" * 15 + b"\x01\x00\x16")),
        (Destination("example.com", 0), True, request(0xF0, b"\x03\x0bexample.com\x00\x00")),
        (Destination("192.0.2.1", 0), True, request(0xF1, b"\x01\xc0\x00\x02\x01\x00\x00")),
        (Destination("2001:db8::1", 0), True, request(0xF1, b"\x04\x20\x01\x0d\xb8" + b"\0" * 11 + b"\1\0\0")),
    ],
)
def test_what_is_asked_for_is_the_destination(destination: Destination, is_lookup: bool, command: bytes) -> None:
    async def script(one: Dialogue) -> None:
        await one.ready_for_reply(command)

    played(script, destination, is_lookup)


REPLIES = {
    "IPv4": OPENED,
    "IPv6": b"\x05\x00\x00\x04" + b"\x00" * 18,
    "a name": b"\x05\x00\x00\x03\x04test\x00\x00",
    "an empty name": b"\x05\x00\x00\x03\x00\x00\x00",
    "a long name": b"\x05\x00\x00\x03\xff" + b"x" * 255 + b"\x00\x00",
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
@pytest.mark.parametrize("is_blocking", [True, False])
def test_the_first_bytes_of_a_server_that_speaks_first_are_the_tools(reply: bytes, is_blocking: bool) -> None:
    async def script(one: Dialogue) -> None:
        await one.ready_for_reply()
        await one.says(reply + b"SSH-2.0-server\r\n")
        assert await one.answered() == (0, "")
        assert one.tool.recv(4096, socket.MSG_DONTWAIT) == b"SSH-2.0-server\r\n"

    played(script, is_blocking=is_blocking)


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_replies_may_come_byte_by_byte(reply: bytes) -> None:
    async def script(one: Dialogue) -> None:
        one.start()
        await one.reads(GREETING)
        for message, heard in ((METHOD, AUTH + CONNECT), (ACCEPTED, b""), (reply, b"")):
            for at in range(len(message)):
                assert one.answers == []
                await one.says(message[at : at + 1])
            await one.reads(heard)
        assert await one.answered() == (0, "")

    played(script)


@pytest.mark.parametrize("code", [1, 2, 4, 5, 6, 0xF0, 255])
def test_a_refusal_is_its_code_once(code: int) -> None:
    async def script(one: Dialogue) -> None:
        await one.ready_for_reply()
        await one.says(bytes([5, code]) + OPENED[2:])
        assert await one.answered() == (code, "")
        one.tor.close()
        await asyncio.sleep(0)
        assert len(one.answers) == 1

    played(script)


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (b"\x05\x00\x00\x01\xc0\x00\x02\x07\x00\x00", (0, "192.0.2.7")),
        (b"\x05\x00\x00\x04" + b"\x00" * 15 + b"\x01\x00\x00", (0, "::1")),
        (b"\x05\x00\x00\x03\x04test\x00\x00", (-1, "")),
        (b"\x05\x04\x00\x01\x00\x00\x00\x00\x00\x00", (4, "")),
    ],
)
def test_a_look_up_answers_with_an_address(reply: bytes, answer: tuple[int, str]) -> None:
    async def script(one: Dialogue) -> None:
        await one.ready_for_reply(request(0xF0, b"\x03\x0bexample.com\x00\x00"))
        await one.says(reply)
        assert await one.answered() == answer

    played(script, Destination("example.com", 0), is_lookup=True)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        (b"web.test", (0, "web.test")),
        (b"_a-1.WEB.test.", (0, "_a-1.WEB.test.")),
        (b"evil\n.test", (-1, "")),
        (b"a b", (-1, "")),
        (b"\xff.test", (-1, "")),
        (b"a..test", (-1, "")),
        (b"x" * 64 + b".test", (-1, "")),
        (b"x." * 127 + b"x", (-1, "")),
        (b"", (-1, "")),
    ],
)
def test_whose_an_address_is_has_to_be_a_host_name(name: bytes, answer: tuple[int, str]) -> None:
    async def script(one: Dialogue) -> None:
        await one.ready_for_reply(request(0xF1, b"\x01\xc0\x00\x02\x01\x00\x00"))
        await one.says(b"\x05\x00\x00\x03" + bytes([len(name)]) + name + b"\x00\x00")
        assert await one.answered() == answer

    played(script, Destination("192.0.2.1", 0), is_lookup=True)


@pytest.mark.parametrize(
    "said",
    [
        [b"\x04\x02"],
        [b"\x05\x00"],
        [b"\x05\xff"],
        [METHOD, b"\x01\x01"],
        [METHOD, b"\x05\x00"],
        [METHOD, ACCEPTED, b"\x04" + OPENED[1:]],
        [METHOD, ACCEPTED, b"\x05\x00\x00\x02" + OPENED[4:]],
        [METHOD, ACCEPTED, b"HTTP/1.0 200 OK\r\n"],
    ],
)
def test_what_is_not_the_socks_that_was_asked_for_is_no_connection(said: list[bytes]) -> None:
    async def script(one: Dialogue) -> None:
        one.start()
        for message in said:
            await one.says(message)
        assert await one.answered() == (-1, "")

    played(script)


@pytest.mark.parametrize("said", [[], [b"\x05"], [METHOD], [METHOD, ACCEPTED], [METHOD, ACCEPTED, OPENED[:5]]])
@pytest.mark.parametrize("is_abrupt", [True, False])
def test_an_end_before_the_reply_is_no_connection(said: list[bytes], is_abrupt: bool) -> None:
    async def script(one: Dialogue) -> None:
        one.start()
        for message in said:
            await one.says(message)
        if is_abrupt:
            one.tor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.tor.close()
        assert await one.answered() == (-1, "")
        await asyncio.sleep(0)
        assert len(one.answers) == 1

    played(script)


@pytest.mark.parametrize("destination", [Destination("", 80), Destination("x" * 256, 80), Destination("b\xfccher", 80)])
def test_a_destination_that_socks_can_not_say_is_no_connection(destination: Destination) -> None:
    async def script(one: Dialogue) -> None:
        one.start()
        await one.says(METHOD)
        await one.says(ACCEPTED)
        assert await one.answered() == (-1, "")

    played(script, destination)


@pytest.mark.parametrize("is_blocking", [True, False])
def test_a_port_that_nobody_listens_on_is_no_connection(is_blocking: bool) -> None:
    async def script(one: Dialogue) -> None:
        address = one.listener.getsockname()
        one.listener.close()
        one.dialogue.start(address)
        assert await one.answered() == (-1, "")
        assert len(one.answers) == 1

    played(script, is_blocking=is_blocking)


def test_a_dialogue_that_could_not_start_leaves_its_descriptors_number_to_others() -> None:
    async def script(one: Dialogue) -> None:
        loop, heard = asyncio.get_running_loop(), []
        address = one.listener.getsockname()
        one.listener.close()
        one.dialogue.start(address)
        assert await one.answered() == (-1, "")
        number = one.tool.fileno()
        one.tool.close()
        left, right = socket.socketpair()
        with left, right:
            if left.fileno() == number:
                reused, other = left, right
            else:
                reused, other = right, left
            assert reused.fileno() == number, "the kernel gives the lowest number that is free"
            loop.add_reader(number, heard.append, "readable")
            one.dialogue.stop()
            other.send(b"x")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            loop.remove_reader(number)
        assert heard

    played(script)


def test_a_stopped_dialogue_reads_and_says_no_more() -> None:
    async def script(one: Dialogue) -> None:
        one.start()
        await one.reads(GREETING)
        one.dialogue.stop()
        one.dialogue.stop()
        await one.says(METHOD)
        assert one.answers == []
        assert one.tool.recv(16, socket.MSG_DONTWAIT) == METHOD, "left for whoever has the socket"

    played(script)
