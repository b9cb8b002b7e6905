"""Before the first circuit: a tor is subscribed to, and refused unless it leaves its streams to us."""

import asyncio

import pytest

from exitpin.wrappers.pinned_tor import prepare, socks_address
from exitpin.wrappers.tor import PINNING_OPTIONS, ControlError

from .scripted_tor import Peer, played


async def tor_with(peer: Peer, options: dict[str, str], listeners: str = '"127.0.0.1:9050"') -> list[str]:
    """Answer `prepare` as a tor with these options; returns the commands in their order."""
    asked: list[str] = []
    while not asked or not asked[-1].startswith("GETINFO"):
        for command in (await peer.reads()).splitlines():
            asked.append(command)
            word, _, rest = command.partition(" ")
            if word == "GETCONF":
                value = options.get(rest, "")
                peer.socket.send(f"250 {rest}{value and '='}{value}\r\n".encode())
            elif word == "SETEVENTS":
                peer.socket.send(b"250 OK\r\n")
            else:
                peer.socket.send(f"250-net/listeners/socks={listeners}\r\n250 OK\r\n".encode())
        if len([command for command in asked if command.startswith("GETCONF")]) == 3 and options != PINNING_OPTIONS:
            break
    return asked


def test_a_tor_that_pins_is_subscribed_to_before_its_options_are_read() -> None:
    async def script(peer: Peer) -> None:
        asked, address = await asyncio.gather(tor_with(peer, PINNING_OPTIONS), prepare(peer.channel))
        assert address == ("127.0.0.1", 9050)
        assert asked[0].startswith("SETEVENTS ") and "CONF_CHANGED" in asked[0], "so that no change is missed"
        assert {"STREAM", "CIRC", "CIRC_MINOR"} <= set(asked[0].split())

    played(script)


@pytest.mark.parametrize("option", PINNING_OPTIONS)
@pytest.mark.parametrize("value", ["", "7", "auto"])
def test_a_tor_with_another_option_is_refused_by_name(option: str, value: str) -> None:
    async def script(peer: Peer) -> None:
        options = {**PINNING_OPTIONS, option: value}
        results = await asyncio.gather(tor_with(peer, options), prepare(peer.channel), return_exceptions=True)
        assert isinstance(results[1], ControlError)
        assert option in str(results[1]) and results[1].hint

    played(script)


@pytest.mark.parametrize(
    ("listeners", "address"),
    [
        (['"127.0.0.1:9050"'], ("127.0.0.1", 9050)),
        (['"unix:/run/tor/socks"', '"127.0.0.1:9150"'], ("127.0.0.1", 9150)),
        (['"0.0.0.0:9050"', '"[::1]:9050"', '"127.0.0.2:1"'], ("127.0.0.2", 1)),
    ],
)
def test_the_first_loopback_socks_port_is_taken(listeners: list[str], address: tuple[str, int]) -> None:
    assert socks_address(listeners) == address


@pytest.mark.parametrize("listeners", [[], ['"unix:/run/tor/socks"'], ['"[::1]:9050"'], ['"127.0.0.1:"']])
def test_a_tor_without_one_is_refused(listeners: list[str]) -> None:
    with pytest.raises(ControlError, match="SOCKS port"):
        socks_address(listeners)
