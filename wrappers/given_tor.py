"""The strict conditions on a tor that exitpin did not start (`--control`): it must serve exitpin alone.

`__LeaveStreamsUnattached` is global: it takes the streams of everybody else from Tor, and the attacher closes them.
So what it needs must stand in the torrc (a reload would undo a SETCONF), nobody else may be using this tor, and a
stream of our own must show our exact source address. Called by `orchestrator/network.py` before anything else.
"""

import asyncio
import secrets
import socket
from pathlib import Path

from ..orchestrator.control_lines import parse_stream
from ..orchestrator.model import Destination, Endpoint
from .socks import SocksDialogue
from .tor import PINNING_OPTIONS, ControlChannel, ControlError

SELF_TEST_ADDRESS = "127.127.255.254"
SELF_TEST_S = 5.0
ADVICE = "Use a tor of exitpin's own (leave out --control), or prepare one: README.rst lists the torrc lines."


async def check_given_tor(channel: ControlChannel, socks: tuple[str, int]) -> None:
    """Raises ControlError, with what is wrong, unless this tor is dedicated to exitpin. Before any run."""
    problems = [*await _torrc_problems(channel), *await _use_problems(channel)]
    if not problems:
        problems = await _self_test(channel, socks)
    if problems:
        raise ControlError(f"this tor is not dedicated to exitpin: {'; '.join(problems)}.", ADVICE)


async def _torrc_problems(channel: ControlChannel) -> list[str]:
    names = [
        (await channel.ask(f"GETINFO {key}"))[0].partition("=")[2] for key in ("config-file", "config-defaults-file")
    ]
    lines: set[str] = set()
    for name in filter(None, names):
        try:
            lines |= {" ".join(line.split()).lower() for line in Path(name).read_text(errors="replace").splitlines()}
        except FileNotFoundError:
            continue
        except OSError as error:
            return [f"its torrc {name} can't be read ({error.strerror})"]
    problems = [
        f"`{option} {value}` does not stand in its torrc"
        for option, value in PINNING_OPTIONS.items()
        if f"{option} {value}".lower() not in lines
    ]
    for flag in ("NoIsolateSOCKSAuth", "NoIsolateClientAddr"):
        if not any(line.startswith("socksport ") and flag.lower() in line for line in lines):
            problems.append(f"no SocksPort line of its torrc has {flag}")
    return problems


async def _use_problems(channel: ControlChannel) -> list[str]:
    status = (await channel.ask("GETINFO stream-status"))[0].partition("=")[2].strip()
    foreign = [line for line in status.splitlines() if line.strip() and ".exit:" not in line]
    return [f"somebody else has {len(foreign)} stream(s) open on it"] if foreign else []


async def _self_test(channel: ControlChannel, socks: tuple[str, int]) -> list[str]:
    """Open one stream, see how Tor reports it, and close it: it never gets a circuit."""
    tag = f"exitpin-self-test.{secrets.token_hex(8)}"
    seen: asyncio.Future[Endpoint | None] = asyncio.get_running_loop().create_future()

    def heard(line: str) -> None:
        event = parse_stream(line) if line.startswith("STREAM ") else None
        if event is None or event.socks_username != tag:
            channel.unheard.append(line)
        elif event.status == "NEW" and not seen.done():
            seen.set_result(event.source_addr)
            channel.send(f"CLOSESTREAM {event.stream_id} 6", lambda reply: None)

    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.bind((SELF_TEST_ADDRESS, 0))
    ours = Endpoint(*connection.getsockname())
    channel.on_event = heard
    dialogue = SocksDialogue(connection, tag, Destination("self-test.invalid", 80), False, lambda reply, answer: None)
    try:
        dialogue.start(socks)
        found = await asyncio.wait_for(seen, SELF_TEST_S)
        return [] if found == ours else [f"a stream from {ours} is shown as coming from {found}"]
    except TimeoutError:
        return [f"it did not report a test stream within {SELF_TEST_S:g} s"]
    finally:
        channel.on_event = channel.unheard.append
        dialogue.stop()
        connection.close()
