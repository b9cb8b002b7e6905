"""A tor that serves us alone, for as long as we have it: checked before the first circuit, and left without one.

Called by `network.py`.
"""

from collections.abc import Sequence

from ..orchestrator.control_lines import parse_circ
from ..orchestrator.ports import COMMAND_TIMEOUT_S
from .tor import PINNING_OPTIONS, ControlChannel, ControlError

EVENTS = "STREAM CIRC CIRC_MINOR STREAM_BW CONF_CHANGED NETWORK_LIVENESS"


async def prepare(channel: ControlChannel) -> tuple[str, int]:
    """Check that this tor pins, subscribe to its events, and return its SOCKS address.

    Called before the first circuit. SETEVENTS comes first: a change after an option was read is an event. Raises
    ControlError for wrong options.
    """
    await channel.ask(f"SETEVENTS {EVENTS}")
    wrong = []
    for option, value in PINNING_OPTIONS.items():
        reply = await channel.ask(f"GETCONF {option}")
        if reply[-1] != f"{option}={value}":
            wrong.append(f"{option} is {reply[-1].partition('=')[2] or 'default'}, must be {value}")
    if wrong:
        raise ControlError(
            f"this tor does not leave its streams to a controller: {'; '.join(wrong)}.",
            "Put these lines into the torrc of a tor that serves exitpin alone, or leave out --control.",
        )
    return socks_address((await channel.ask("GETINFO net/listeners/socks"))[0].partition("=")[2].split())


async def close_circuits(channel: ControlChannel, timeout_s: float = COMMAND_TIMEOUT_S) -> int:
    """Close all that a controller began here, however far they are built; how many. Raises ControlError.

    This tor is ours alone, so they are those of an orchestrator that was killed, or of one that ends and has not heard
    yet what became of them. Tor builds none for streams by itself; those of its own have flags.
    """
    status = (await channel.ask("GETINFO circuit-status", timeout_s))[0].partition("=")[2]
    left = [parse_circ(f"CIRC {line}") for line in status.split("\n") if line and " BUILD_FLAGS=" not in line]
    ours = [circuit.circuit_id for circuit in left if circuit.purpose == "GENERAL"]
    for circuit_id in ours:
        channel.send(f"CLOSECIRCUIT {circuit_id}", lambda reply: None)
    return len(ours)


def socks_address(listeners: Sequence[str]) -> tuple[str, int]:
    """The first IPv4 loopback listener of `net/listeners/socks`. Raises ControlError."""
    for listener in listeners:
        host, _, port = listener.strip('"').rpartition(":")
        if host.startswith("127.") and port.isdigit():
            return host, int(port)
    raise ControlError(
        "this tor has no SOCKS port on 127.0.0.1.", "Add `SocksPort 127.0.0.1:auto NoIsolateClientAddr` to its torrc."
    )
