"""The men in the middle: one process behind all exits of the lab that meddle with their connections.

`python -m exitpin.wrappers.lab_mitm SPEC`, the lab's spec; started by `lab_boot.py` when some exit's conduct needs it;
says `ready` on stdout. Rules of nftables lead the connections of exactly those exits, to targets and on the ports that
their meddlers want, to a listener here, which finds out where each was to go (SO_ORIGINAL_DST), chooses what is done
to it, and makes the connection to the target as the exit's own: bound to its address, and with a mark that the rules
let pass. What no meddler wants is passed on. Name servers that lie live here too.
"""

import asyncio
import json
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..orchestrator.errors import OperatorError
from ..orchestrator.lab import network
from ..orchestrator.lab.conduct import Meddle, When
from . import lab_dns, lab_meddle_dns
from .lab_meddling import MARK, Meeting, attend, chain, connect_from, default_ports, meddler, options_of, streams_of
from .lab_truth import GroundTruth

PORT = 7000
BACKLOG = 4096
ACCEPT_BATCH = 64
SO_ORIGINAL_DST = 80  # linux/netfilter_ipv4.h, and IP6T_SO_ORIGINAL_DST likewise
ANY_PORT = "1-65535"


@dataclass(slots=True)
class Plan:
    """One thing that an exit does: to whom (addresses; none: everybody), on which ports (none: all), how often."""

    meddle: Meddle
    hosts: frozenset[str]
    ports: frozenset[int]
    met: int = 0

    def concerns(self, destination: tuple[str, int]) -> bool:
        """Whether a connection to there is meant; those that are, are counted."""
        if (self.hosts and destination[0] not in self.hosts) or (self.ports and destination[1] not in self.ports):
            return False
        self.met += 1
        after = self.met - self.meddle.when.after
        return after > 0 and after % self.meddle.when.every == 0


@dataclass(slots=True)
class Door:
    """One exit that meddles."""

    relay: network.Relay
    plans: tuple[Plan, ...]

    @property
    def ports(self) -> frozenset[int]:
        """Those that its connections are led to us on; none: all."""
        several = [plan.ports for plan in self.plans]
        return frozenset().union(*several) if all(several) else frozenset()


def doors(lab: network.Network) -> tuple[Door, ...]:
    """The exits that meddle."""
    return tuple(
        Door(relay, tuple(_plan(meddle, lab) for meddle in relay.conduct.meddle))
        for relay in lab.exits
        if relay.conduct.meddle
    )


def liars(lab: network.Network) -> list[tuple[str, str, dict[str, Any]]]:
    """The name servers that are to be opened: address, what it does, options."""
    return [
        (relay.resolver_address, relay.conduct.resolver, dict(relay.conduct.resolver_options))
        for relay in lab.exits
        if relay.conduct.resolver not in ("", "dead")
    ]


def is_needed(lab: network.Network) -> bool:
    """Whether some exit's conduct asks for this process."""
    return bool(doors(lab) or liars(lab))


def _plan(meddle: Meddle, lab: network.Network) -> Plan:
    when: When = meddle.when
    hosts = frozenset(address for host in when.hosts for address in network.addresses_of(host, lab.targets))
    return Plan(meddle, hosts, frozenset(when.ports or default_ports(meddle.name)))


def rules(all_doors: Sequence[Door]) -> str:
    """What nft is told: new connections of these exits to targets come to us, but ours and the lab's own probe's. They
    take the place of those that were there."""
    return "\n".join(
        [
            *(f"table {family} exitpin {{}}\ndelete table {family} exitpin" for family in ("ip", "ip6")),
            *_table("ip", network.TARGET_NETWORKS, [(door.relay.address, door.ports) for door in all_doors]),
            *_table("ip6", (network.TARGET_NETWORK6,), [(door.relay.address6, door.ports) for door in all_doors]),
        ]
    )


def _table(family: str, targets: Sequence[str], sources: Sequence[tuple[str, frozenset[int]]]) -> Iterator[str]:
    yield f"table {family} exitpin {{"
    yield "chain out {"
    yield "type nat hook output priority -100; policy accept;"
    yield f"meta mark {MARK:#x} accept"
    if family == "ip":
        yield f"ip daddr {network.PROBE_ADDRESS} accept"
    yield f"{family} daddr != {{ {', '.join(targets)} }} accept"
    for address, ports in sources:
        wanted = ", ".join(map(str, sorted(ports))) or ANY_PORT
        yield f"{family} saddr {address} tcp dport {{ {wanted} }} redirect to :{PORT}"
    yield from "}}"


def install(text: str) -> None:
    """Give the rules to the kernel. OperatorError when that fails."""
    try:
        subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True, capture_output=True, timeout=10)
    except FileNotFoundError as error:
        raise OperatorError("Exits that meddle need the program `nft`.", "Install nftables.") from error
    except subprocess.CalledProcessError as error:
        raise OperatorError(f"nft refuses the lab's rules: {error.stderr.splitlines()[0]}.") from error


@dataclass
class Lobby:
    """The listeners, and what comes to them."""

    lab: network.Network
    directory: Path
    by_address: dict[str, Door]
    truth: GroundTruth
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    resolving: set[str] = field(default_factory=set)

    def open(self) -> None:
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setblocking(False)
            listener.bind((host, PORT))
            listener.listen(BACKLOG)
            asyncio.get_running_loop().add_reader(listener.fileno(), self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPT_BATCH):
            try:
                accepted, peer = listener.accept()
            except OSError:
                return
            accepted.setblocking(False)
            task = asyncio.ensure_future(self._meet(accepted, peer[:2]))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _meet(self, accepted: socket.socket, peer: tuple[str, int]) -> None:
        try:
            door, destination = self.by_address[peer[0]], original_destination(accepted)
        except (KeyError, OSError):
            accepted.close()
            return
        self.truth.write("wire", destination, peer)
        relay = door.relay
        meeting = Meeting(
            relay.nickname,
            relay.address,
            destination,
            {},
            relay.address6,
            self._sibling(destination[0]),
            self.directory,
            self.truth,
        )
        chosen = [plan.meddle for plan in door.plans if plan.concerns(destination)]
        conduct = chain([(meddler(one.name), options_of(one.name, one.options)) for one in chosen])
        await attend(conduct, meeting, await streams_of(accepted), lambda: connect_from(meeting, *destination))

    def _sibling(self, address: str) -> str:
        owner = next((target for target in self.lab.targets if address in target.addresses), None)
        return next((one for one in owner.addresses if ":" in one), "") if owner is not None else ""


def original_destination(accepted: socket.socket) -> tuple[str, int]:
    """Where a redirected connection was to go (sockaddr_in, sockaddr_in6). OSError when it was not redirected."""
    if accepted.family == socket.AF_INET:
        raw = accepted.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
        return socket.inet_ntop(socket.AF_INET, raw[4:8]), int(struct.unpack("!H", raw[2:4])[0])
    raw = accepted.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, 28)
    return socket.inet_ntop(socket.AF_INET6, raw[8:24]), int(struct.unpack("!H", raw[2:4])[0])


async def run(path: Path) -> None:
    """Open everything, say so on stdout, and serve until the end. SIGHUP: the spec has more exits now."""
    spec = json.loads(path.read_text())
    lobby = Lobby(network.of_spec(spec), Path(spec["directory"]), {}, GroundTruth(Path(spec["log_file"])))
    lobby.open()
    changed = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, changed.set)
    opened = [await learn(lobby)]  # open as long as they are held
    print("ready", flush=True)
    while True:
        await changed.wait()
        changed.clear()
        lobby.lab = network.of_spec(json.loads(path.read_text()))
        opened.append(await learn(lobby))


async def learn(lobby: Lobby) -> lab_meddle_dns.Resolvers:
    """Attend to those exits of its lab that it does not attend to yet; the others go on counting."""
    fresh = [door for door in doors(lobby.lab) if door.relay.address not in lobby.by_address]
    lobby.by_address |= {address: door for door in fresh for address in (door.relay.address, door.relay.address6)}
    asked = [one for one in liars(lobby.lab) if one[0] not in lobby.resolving]
    lobby.resolving |= {address for address, _, _ in asked}
    resolvers = await lab_meddle_dns.open_resolvers(asked, lab_dns.zone(lobby.lab))
    if fresh:
        install(rules([door for address, door in lobby.by_address.items() if address == door.relay.address]))
    return resolvers


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        asyncio.run(run(Path(sys.argv[1])))
    except OperatorError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
