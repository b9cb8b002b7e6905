"""The lab's small internet: every service on every address, and the ground truth of who connected.

A process of its own: `python -m exitpin.wrappers.lab_targets SPEC`. One accept path serves all TCP services: it
writes the connection to the log first, and only then hands the socket to the service, so that no answer can come
before its line. A peer declared slow waits at that point. Needs asyncssh and dnspython (extra `lab`).

The log's form is `lab_truth.py`'s; a DNS datagram's line has "service": "dns-udp" and "name": what was asked for.
"""

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from ..orchestrator.lab import network
from . import lab_dns
from .lab_certificates import make_certificates
from .lab_http import HttpProtocol
from .lab_mail import ImapServer, SmtpServer
from .lab_truth import Endpoint, GroundTruth

BACKLOG = 16384
IP_PKTINFO = 8  # linux/in.h; the socket module has it from Python 3.14 on
ACCEPT_BATCH = 128
SSH_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256")

Serve = Callable[[socket.socket, Endpoint, Endpoint], Coroutine[Any, Any, Any]]


@dataclass(frozen=True, slots=True)
class Service:
    """A TCP service: its name in the log, its ports, and what it does with an accepted socket."""

    name: str
    ports: tuple[int, ...]
    serve: Serve


class Echo(asyncio.Protocol):
    """Sends back what it gets, after a greeting if there is one."""

    def __init__(self, greeting: bytes = b"") -> None:
        self.greeting = greeting

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.greeting:
            transport.write(self.greeting)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class OpenDoor(asyncssh.SSHServer):
    """Everybody may come in."""

    def begin_auth(self, username: str) -> bool:
        return False


class DnsOverTcp(asyncio.Protocol):
    """Messages with a length of two bytes before each (RFC 1035, 4.2.2)."""

    def __init__(self, zone: lab_dns.Zone) -> None:
        self.zone = zone
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while len(self.buffer) >= 2 and len(self.buffer) >= 2 + (size := int.from_bytes(self.buffer[:2], "big")):
            wire, self.buffer = self.buffer[2 : 2 + size], self.buffer[2 + size :]
            found = lab_dns.answer(self.zone, wire)
            if found is None:
                self.transport.close()
                return
            self.transport.write(len(found[0]).to_bytes(2, "big") + found[0])


def services(directory: Path, lab: network.Network, zone: lab_dns.Zone, tls: ssl.SSLContext) -> tuple[Service, ...]:
    """All TCP services of the lab."""
    loop = asyncio.get_running_loop()
    repository = directory / "repo.git"
    kinds = {target.name: target.kind for target in lab.targets}

    def with_protocol(
        make: Callable[[Endpoint, Endpoint], asyncio.Protocol], context: ssl.SSLContext | None = None
    ) -> Serve:
        async def serve(accepted: socket.socket, own: Endpoint, peer: Endpoint) -> None:
            with suppress(OSError):
                await loop.connect_accepted_socket(lambda: make(own, peer), accepted, ssl=context)

        return serve

    def web(own: Endpoint, peer: Endpoint) -> HttpProtocol:
        return HttpProtocol(peer[0], repository, kinds)

    def safe_web(own: Endpoint, peer: Endpoint) -> HttpProtocol:
        return HttpProtocol(peer[0], repository, kinds, is_tls=True)

    def sink(own: Endpoint, peer: Endpoint) -> Echo:
        return Echo(f"{own[0]} {own[1]} {peer[0]} {peer[1]}\n".encode())

    return (
        Service("http", network.HTTP_PORTS, with_protocol(web)),
        Service("https", (network.HTTPS_PORT,), with_protocol(safe_web, tls)),
        Service("echo", (network.ECHO_PORT,), with_protocol(lambda own, peer: Echo())),
        Service("sink", network.SINK_PORTS, with_protocol(sink)),
        Service("dns", (network.DNS_PORT,), with_protocol(lambda own, peer: DnsOverTcp(zone))),
        Service("smtp", network.SMTP_PORTS, with_protocol(lambda own, peer: SmtpServer(tls))),
        Service("imap", (network.IMAP_PORT,), with_protocol(lambda own, peer: ImapServer(tls))),
        Service("ssh", (network.SSH_PORT,), make_ssh([host_key(directory, kind) for kind in SSH_KINDS])),
    )


def make_ssh(keys: list[asyncssh.SSHKey]) -> Serve:
    def greet(process: "asyncssh.SSHServerProcess[str]") -> None:
        process.stdout.write(f"you come from {process.get_extra_info('peername')[0]}\n")
        process.exit(0)

    async def serve(accepted: socket.socket, own: Endpoint, peer: Endpoint) -> None:
        with suppress(OSError, asyncssh.Error):
            # Without `gss_host` asyncssh looks up our host's name at each connection, and everything waits for it.
            await asyncssh.run_server(
                accepted, server_host_keys=keys, server_factory=OpenDoor, process_factory=greet, gss_host=None
            )

    return serve


def host_key(directory: Path, kind: str) -> asyncssh.SSHKey:
    """The server's key of that kind: made once, and the same when the targets are started again."""
    path = directory / f"host-key-{kind}"
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_bytes(asyncssh.generate_private_key(kind).export_private_key())
        draft.rename(path)
    return asyncssh.read_private_key(str(path))


class Doors:
    """The listening sockets and the one accept path."""

    def __init__(self, truth: GroundTruth, late_s: Mapping[str, float]) -> None:
        self.truth = truth
        self.late_s = late_s
        self.tasks: set[asyncio.Task[Any]] = set()

    def open(self, service: Service) -> None:
        for port in service.ports:
            for family in (socket.AF_INET, socket.AF_INET6):
                listener = socket.socket(family, socket.SOCK_STREAM)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if port == network.DNS_PORT:  # an exit's own name server has an address of its own on it
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.setblocking(False)
                listener.bind(("", port))
                listener.listen(BACKLOG)
                asyncio.get_running_loop().add_reader(listener.fileno(), self._accept, listener, service)

    def _accept(self, listener: socket.socket, service: Service) -> None:
        for _ in range(ACCEPT_BATCH):
            try:
                accepted, _ = listener.accept()
                own, peer = accepted.getsockname()[:2], accepted.getpeername()[:2]
            except OSError:
                return
            accepted.setblocking(False)
            self.truth.write(service.name, own, peer)
            task = asyncio.ensure_future(self._serve(service, accepted, own, peer))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _serve(self, service: Service, accepted: socket.socket, own: Endpoint, peer: Endpoint) -> None:
        if peer[0] in self.late_s and own[0] != network.PROBE_ADDRESS:
            await asyncio.sleep(self.late_s[peer[0]])
        await service.serve(accepted, own, peer)


def open_datagram_dns(truth: GroundTruth, zone: lab_dns.Zone) -> None:
    """DNS over UDP. A reply leaves from the address that was asked, which a wildcard socket must be told each time."""
    for family, level, option, kind in (
        (socket.AF_INET, socket.IPPROTO_IP, IP_PKTINFO, IP_PKTINFO),
        (socket.AF_INET6, socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, socket.IPV6_PKTINFO),
    ):
        server = socket.socket(family, socket.SOCK_DGRAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # beside it, exits have name servers of their own
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.setsockopt(level, option, 1)
        server.setblocking(False)
        server.bind(("", network.DNS_PORT))
        asyncio.get_running_loop().add_reader(server.fileno(), _answer_datagrams, server, (level, kind), truth, zone)


def _answer_datagrams(
    server: socket.socket, packet_info: tuple[int, int], truth: GroundTruth, zone: lab_dns.Zone
) -> None:
    for _ in range(ACCEPT_BATCH):
        try:
            wire, controls, _, peer = server.recvmsg(4096, 256)
        except OSError:
            return
        own = next((content for level, kind, content in controls if (level, kind) == packet_info), b"")
        found = lab_dns.answer(zone, wire)
        if found is None or not own:
            continue
        if server.family == socket.AF_INET:  # struct in_pktinfo: interface, local address, destination address
            address, back = socket.inet_ntoa(own[8:12]), bytes(4) + own[8:12] + bytes(4)
        else:  # struct in6_pktinfo: address, interface
            address, back = socket.inet_ntop(socket.AF_INET6, own[:16]), own[:16] + bytes(4)
        truth.write("dns-udp", (address, network.DNS_PORT), peer[:2], name=found[1])
        with suppress(OSError):
            server.sendmsg([found[0]], [(*packet_info, back)], 0, peer)


def make_repository(directory: Path) -> None:
    """A tiny git repository that can be cloned over plain HTTP; nothing when there is no git."""
    script = (
        "test ! -e repo.git/info/refs && rm -rf work repo.git && "
        "git init -q -b main work && cd work && printf 'A file of the lab.\\n' > README && git add README && "
        "git commit -q -m 'Add a file' && cd .. && git clone -q --bare work repo.git && "
        "cd repo.git && git update-server-info"
    )
    who = {"NAME": "Lab", "EMAIL": "lab@example.org", "DATE": "2024-01-01T00:00:00Z"}
    fixed = {f"GIT_{role}_{field}": value for role in ("AUTHOR", "COMMITTER") for field, value in who.items()}
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(directory),
        "GIT_CONFIG_NOSYSTEM": "1",
        **fixed,
    }
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            ["sh", "-c", script], cwd=directory, env=environment, timeout=30, check=True, capture_output=True
        )


def latenesses(lab: network.Network) -> dict[str, float]:
    """By address of an exit, for how long its connections wait, in seconds."""
    slow = [relay for relay in lab.exits if relay.conduct.latency_s]
    return {address: relay.conduct.latency_s for relay in slow for address in (relay.address, relay.address6)}


async def run(path: Path) -> None:
    """Open everything, say so on stdout, and serve until the end. SIGHUP: the spec has other exits now."""
    spec = json.loads(path.read_text())
    directory = Path(spec["directory"])
    lab = network.of_spec(spec)
    zone = lab_dns.zone(lab)
    tls = make_certificates(directory, lab)
    truth = GroundTruth(Path(spec["log_file"]))
    doors = Doors(truth, latenesses(lab))

    def learn() -> None:
        now = network.of_spec(json.loads(path.read_text()))
        zone.learn(lab_dns.zone(now))
        doors.late_s = latenesses(now)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, learn)
    for service in services(directory, lab, zone, tls):
        doors.open(service)
    open_datagram_dns(truth, zone)
    print("ready", flush=True)
    await asyncio.to_thread(make_repository, directory)
    await asyncio.Event().wait()


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(run(Path(sys.argv[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
