"""The control channel over a real socket pair, with a peer that plays Tor by a script."""

import asyncio

import pytest

from exitpin.orchestrator.ports import Reply
from exitpin.wrappers.tor import ControlError

from .scripted_tor import Peer, played, turns


def test_pipelined_replies_come_in_order_with_the_events_between_them() -> None:
    async def script(peer: Peer) -> None:
        for command in ("ATTACHSTREAM 1 7", "CLOSESTREAM 2 1", "GETINFO version"):
            peer.send(command)
        assert await peer.reads() == "ATTACHSTREAM 1 7\r\nCLOSESTREAM 2 1\r\nGETINFO version\r\n"
        await peer.says(
            "650 STREAM 1 SENTCONNECT 7 x:80", "250 OK", "650 STREAM 2 CLOSED 0 x:80",
            '552 Unknown stream "2"', "250-version=0.4.9.11", "250 OK", "650 CIRC 7 CLOSED",
        )  # fmt: skip
        assert peer.heard == [
            "STREAM 1 SENTCONNECT 7 x:80",
            ("ATTACHSTREAM 1 7", (250, ["OK"])),
            "STREAM 2 CLOSED 0 x:80",
            ("CLOSESTREAM 2 1", (552, ['Unknown stream "2"'])),
            ("GETINFO version", (250, ["version=0.4.9.11", "OK"])),
            "CIRC 7 CLOSED",
        ]
        assert peer.channel.longest_wait_s() == 0.0

    played(script)


def test_data_replies_and_events_of_several_lines_are_each_one() -> None:
    async def script(peer: Peer) -> None:
        peer.send("GETINFO ns/all")
        await peer.says("250+ns/all=", "r one", "..dot", "650 not an event", ".", "250 OK")
        await peer.says("650-CONF_CHANGED", "650-__LeaveStreamsUnattached=0", "650 OK")
        await peer.says("650+NS", "r one", ".", "650 OK")
        assert peer.heard == [
            ("GETINFO ns/all", (250, ["ns/all=\nr one\n.dot\n650 not an event", "OK"])),
            "CONF_CHANGED\n__LeaveStreamsUnattached=0\nOK",
            "NS\nr one\nOK",
        ]

    played(script)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_lines_may_come_in_any_pieces(size: int) -> None:
    text = b"650 STREAM 1 NEW 0 x:80\r\n250+a=\r\n1\r\n.\r\n250 OK\r\n650 CIRC 1 LAUNCHED\r\n"

    async def script(peer: Peer) -> None:
        peer.send("GETINFO a")
        for at in range(0, len(text), size):
            peer.socket.send(text[at : at + size])
            await turns()
        assert peer.heard == ["STREAM 1 NEW 0 x:80", ("GETINFO a", (250, ["a=\n1", "OK"])), "CIRC 1 LAUNCHED"]

    played(script)


def test_bytes_that_are_no_utf8_come_through() -> None:
    async def script(peer: Peer) -> None:
        peer.socket.send(b"650 STREAM 1 NEW 0 \xff:80\r\n")
        await turns()
        assert peer.heard == ["STREAM 1 NEW 0 \udcff:80"]

    played(script)


def test_what_comes_before_somebody_listens_is_kept_in_order() -> None:
    async def script(peer: Peer) -> None:
        peer.channel.on_event = peer.channel.unheard.append
        await peer.says("650 STREAM 1 NEW 0 x:80", "650 CONF_CHANGED")
        assert peer.channel.unheard == ["STREAM 1 NEW 0 x:80", "CONF_CHANGED"]

    played(script)


@pytest.mark.parametrize("command", ["GETINFO version", "ATTACHSTREAM 1 7", "ATTACHSTREAM 10 70", "CLOSESTREAM 1 0"])
def test_a_command_is_sent_as_it_is(command: str) -> None:
    async def script(peer: Peer) -> None:
        peer.send(command)
        assert await peer.reads() == f"{command}\r\n"

    played(script)


@pytest.mark.parametrize(
    "command",
    [
        "ATTACHSTREAM 1 0",
        "attachstream 1 0",
        "ATTACHSTREAM 1 00",
        "ATTACHSTREAM 1 0 ",
        "ATTACHSTREAM  1  0",
        "ATTACHSTREAM 1 0 HOP=1",
        "ATTACHSTREAM 1",
        "ATTACHSTREAM 1 x",
        "ATTACHSTREAM 1 7 HOP=1",
        "GETINFO version\r\nATTACHSTREAM 1 0",
        "GETINFO version\nQUIT",
        "GETINFO\rQUIT",
    ],
)
def test_a_command_that_would_leave_a_stream_to_tor_or_hide_another_is_a_bug(command: str) -> None:
    async def script(peer: Peer) -> None:
        with pytest.raises(AssertionError, match="BUG"):
            peer.send(command)
        peer.send("QUIT")
        assert await peer.reads() == "QUIT\r\n"

    played(script)


def test_an_exception_at_an_event_ends_trust_once_and_nothing_after_it_is_heard() -> None:
    async def script(peer: Peer) -> None:
        def stumble(line: str) -> None:
            peer.heard.append(line)
            raise ValueError("not a STREAM line")

        peer.channel.on_event = stumble
        peer.send("GETINFO version")
        await peer.says("650 STREAM odd", "650 STREAM 2 NEW 0 x:80", "250 OK")
        assert peer.heard == ["STREAM odd", ("GETINFO version", (599, peer.lost))]
        assert peer.is_lost() and "not a STREAM line" in peer.lost[0] and "STREAM odd" in peer.lost[0]
        assert [str(error) for error in peer.raised] == ["not a STREAM line"]

    played(script)


def test_an_exception_at_a_reply_ends_trust_too() -> None:
    async def script(peer: Peer) -> None:
        def stumble(reply: Reply) -> None:
            raise KeyError("request")

        peer.channel.send("EXTENDCIRCUIT 0 $A", stumble)
        await peer.says("250 EXTENDED 7", "650 STREAM 2 NEW 0 x:80")
        assert peer.is_lost() and peer.heard == []

    played(script)


def test_a_channel_that_is_closed_at_a_line_says_no_more_of_what_it_read() -> None:
    async def script(peer: Peer) -> None:
        def leave(line: str) -> None:
            peer.heard.append(line)
            peer.channel.close()

        peer.channel.on_event = leave
        await peer.says("650 STREAM 1 NEW 0 x:80", "650 STREAM 2 NEW 0 x:80")
        assert peer.heard == ["STREAM 1 NEW 0 x:80"] and peer.lost == []

    played(script)


@pytest.mark.parametrize(
    "line",
    ["", "250", "25x OK", "OK", "250 reply without a command", "250?OK", "250OK and more", "\u0662\u0665\u0660 OK"],
)
def test_a_line_that_is_none_ends_trust(line: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.says(line, "250 OK", "650 STREAM 2 NEW 0 x:80")
        assert peer.is_lost() and peer.heard == []

    played(script)


def test_an_event_within_a_reply_ends_trust() -> None:
    async def script(peer: Peer) -> None:
        peer.send("GETINFO a b")
        await peer.says("250-a=1", "650 STREAM 2 NEW 0 x:80", "250 OK")
        assert peer.is_lost()
        assert peer.heard == [("GETINFO a b", (599, peer.lost))]

    played(script)


def test_the_end_of_the_connection_answers_what_waits_and_what_is_asked_later() -> None:
    async def script(peer: Peer) -> None:
        peer.send("GETINFO a")
        await peer.reads()
        peer.socket.close()
        await turns()
        assert peer.lost == ["tor ended the control connection"]
        assert peer.heard == [("GETINFO a", (599, peer.lost))]
        peer.send("GETINFO b")
        await turns()
        assert peer.heard[1:] == [("GETINFO b", (599, peer.lost))]
        with pytest.raises(ControlError, match="599"):
            await peer.channel.ask("GETINFO c")
        assert peer.is_lost()

    played(script)


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_tor_that_dies_with_something_unread_or_before_it_is_asked_has_ended_it(is_asked: bool) -> None:
    async def script(peer: Peer) -> None:
        for act in (lambda: peer.send("GETINFO a"), peer.socket.close)[:: 1 if is_asked else -1]:
            act()
        await turns()
        assert peer.lost == ["tor ended the control connection"]

    played(script)


def test_closing_it_ourselves_is_no_loss() -> None:
    async def script(peer: Peer) -> None:
        peer.channel.close()
        peer.channel.close()
        await turns()
        assert peer.lost == []

    played(script)


def test_a_peer_that_does_not_read_delays_commands_and_loses_none() -> None:
    commands = [f"GETINFO {number} {'x' * 5000}" for number in range(200)]

    async def script(peer: Peer) -> None:
        for command in commands:
            peer.send(command)
        text = ""
        while text.count("\r\n") < len(commands):
            text += await peer.reads()
        assert text.split("\r\n")[:-1] == commands

    played(script)


def test_asking_gives_the_lines_of_a_positive_reply_and_raises_for_any_other() -> None:
    async def script(peer: Peer) -> None:
        asked = asyncio.gather(
            peer.channel.ask("GETINFO version"), peer.channel.ask("GETINFO nonsense"), return_exceptions=True
        )
        await turns()
        await peer.says("250-version=0.4.9.11", "250 OK", '552 Unrecognized key "nonsense"')
        version, refused = await asked
        assert version == ["version=0.4.9.11", "OK"]
        assert isinstance(refused, ControlError) and "552" in str(refused)

    played(script)


def test_asking_gives_up_after_its_time_and_a_late_answer_hurts_nobody() -> None:
    async def script(peer: Peer) -> None:
        with pytest.raises(ControlError, match="did not answer GETINFO"):
            await peer.channel.ask("GETINFO version", timeout_s=0.001)
        assert peer.channel.longest_wait_s() > 0.0
        asked = asyncio.ensure_future(peer.channel.ask("GETINFO b"))
        await turns()
        await peer.says("250-version=late", "250 OK", "250-b=2", "250 OK")
        assert await asked == ["b=2", "OK"]
        assert peer.lost == []

    played(script)


def test_data_that_is_asked_for_as_such_is_bytes_and_no_part_of_a_text() -> None:
    async def script(peer: Peer) -> None:
        asking = asyncio.ensure_future(peer.channel.ask_data("GETINFO desc/all-recent"))
        await peer.says("650 CIRC 1 LAUNCHED", "250+desc/all-recent=", "router x", "..dot", "", "contact \U0001f9c5")
        await peer.says("250 no reply", "650 no event", ".", "250 OK", "650 CIRC 2 LAUNCHED")
        assert await asking == "router x\n.dot\n\ncontact \U0001f9c5\n250 no reply\n650 no event\n".encode()
        assert peer.heard == ["CIRC 1 LAUNCHED", "CIRC 2 LAUNCHED"]

    played(script)


@pytest.mark.parametrize(("line", "data"), [("250-ns/all=", b""), ("250-ns/all=r one", b"r one")])
def test_data_may_be_of_one_line_or_none(line: str, data: bytes) -> None:
    async def script(peer: Peer) -> None:
        asking = asyncio.ensure_future(peer.channel.ask_data("GETINFO ns/all"))
        await peer.says(line, "250 OK")
        assert await asking == data

    played(script)


def test_data_that_belongs_to_nobody_who_asked_for_bytes_is_text() -> None:
    async def script(peer: Peer) -> None:
        peer.send("GETINFO a")
        asking = asyncio.ensure_future(peer.channel.ask_data("GETINFO b"))
        await peer.says(
            "650+EVENT", "of data", ".", "650 OK", "250+a=", "1", ".", "250 OK", "250+b=", "2", ".", "250 OK"
        )
        assert await asking == b"2\n"
        assert peer.heard == ["EVENT\nof data\nOK", ("GETINFO a", (250, ["a=\n1", "OK"]))]

    played(script)
