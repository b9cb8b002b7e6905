"""What a lab is, as data: its relays with their policies and behaviours, its targets with their names and addresses.

Nothing here starts anything. The supervisor builds torrcs from it, the targets their services and names, `lab status`
its tables. The behaviours are the planted truth: verdict code must never import this module.

Addresses: exits leave from 203.0.113.0/24 and 2001:db8:e::/64, and are listed under that IPv4 address in the consensus.
Authorities and middles live on 127.N.0.1, each in a /16 of its own, so that the rules for choosing a first hop hold.
Every address of 192.0.2.0/24, 198.51.100.0/24 and 2001:db8:1::/48 answers on all service ports.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..errors import EXIT_USAGE, OperatorError
from .conduct import Conduct, decode

EXITS_DEFAULT = 16
EXITS_MIN = 5
PROFILE_DEFAULT = "plain"
EXITS_MAX = 200

EXIT_NETWORK = "203.0.113.0/24"
TARGET_NETWORKS = ("192.0.2.0/24", "198.51.100.0/24")
IPV6_NETWORK = "2001:db8::/32"
TARGET_NETWORK6 = "2001:db8:1::/48"

PROBE_ADDRESS = "192.0.2.1"
DNS_ADDRESS = "192.0.2.53"
BLACKHOLE_ADDRESS = "198.51.100.66"
UNREACHABLE_ADDRESS = "198.51.100.67"
SERVFAIL_NAME = "servfail.test"
ROTATING_NAME = "rotating.test"
LONG_CHAIN_NAME = "long-chain.test"

ECHO_PORT = 7
SSH_PORT = 22
SMTP_PORTS = (25, 587)
DNS_PORT = 53
HTTP_PORTS = (80, 8080)
IMAP_PORT = 143
HTTPS_PORT = 443
SINK_PORTS = tuple(range(9000, 9100))
REFUSED_PORT = 81


class Role(StrEnum):
    """What a relay is for."""

    AUTHORITY = "authority"
    MIDDLE = "middle"
    EXIT = "exit"


NOTHING_DECLARED = Conduct(policy=())


@dataclass(frozen=True, slots=True)
class Relay:
    """One tor process that relays. `address` is where it is listed and, for an exit, what targets see."""

    nickname: str
    role: Role
    address: str
    or_port: int
    address6: str = ""
    dir_port: int = 0
    conduct: Conduct = NOTHING_DECLARED

    @property
    def policy(self) -> tuple[str, ...]:
        """The exit policy that it declares."""
        return self.conduct.policy

    @property
    def behaviour(self) -> str:
        return self.conduct.behaviour

    @property
    def is_voted_exit(self) -> bool:
        """Whether the authorities vote it the Exit flag."""
        return self.role is Role.EXIT and self.conduct.exit_flag

    @property
    def has_dns(self) -> bool:
        """Whether names resolve at this exit as they should."""
        return self.role is Role.EXIT and not self.conduct.resolver

    @property
    def resolver_address(self) -> str:
        """Where the name server of this exit listens: one of its own when it lies."""
        if self.conduct.resolver == "dead":
            return BLACKHOLE_ADDRESS
        return f"127.53.0.{self.address.rpartition('.')[2]}" if self.conduct.resolver else DNS_ADDRESS


@dataclass(frozen=True, slots=True)
class Target:
    """A server by name. `kind` is what `--host NAME=KIND` refers to; `ports` are those it is meant to be tried on."""

    name: str
    kind: str
    addresses: tuple[str, ...]
    ports: tuple[int, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """The whole lab."""

    relays: tuple[Relay, ...]
    targets: tuple[Target, ...]

    @property
    def authorities(self) -> tuple[Relay, ...]:
        return tuple(relay for relay in self.relays if relay.role is Role.AUTHORITY)

    @property
    def middles(self) -> tuple[Relay, ...]:
        return tuple(relay for relay in self.relays if relay.role is Role.MIDDLE)

    @property
    def exits(self) -> tuple[Relay, ...]:
        return tuple(relay for relay in self.relays if relay.role is Role.EXIT)


BUILT_IN_TARGETS = (
    Target("probe.test", "probe", (PROBE_ADDRESS,), (80,), "the lab's own readiness check; never slow"),
    Target(
        "web.test",
        "web",
        ("192.0.2.10", "2001:db8:1::10"),
        (*HTTP_PORTS, HTTPS_PORT),
        "/ /page /headers /ip /bytes/N /delay/S /redirect /status/N /repo.git",
    ),
    Target("public.test", "public", ("192.0.2.10",), (80,), "the web target under a name with one address"),
    Target(
        "secure.test",
        "secure",
        ("192.0.2.15", "2001:db8:1::15"),
        (80, HTTPS_PORT),
        "port 80 sends one to https; https has a Strict-Transport-Security",
    ),
    Target("files.test", "files", ("192.0.2.16", "2001:db8:1::16"), (80, HTTPS_PORT), "/tool.bin /big.html"),
    Target("changing.test", "changing", ("192.0.2.17", "2001:db8:1::17"), (80, HTTPS_PORT), "never the same: / /ads"),
    Target(
        ROTATING_NAME, "rotating", ("192.0.2.18", "2001:db8:1::18"), (HTTPS_PORT,), "one of two certificates, by chance"
    ),
    Target(
        "mail.test",
        "mail",
        ("192.0.2.25", "2001:db8:1::25"),
        (*SMTP_PORTS, IMAP_PORT),
        "SMTP and IMAP with STARTTLS; takes no mail",
    ),
    Target(
        "evil.test",
        "evil",
        ("192.0.2.68", "2001:db8:1::68"),
        (80, HTTPS_PORT),
        "/random/N /regex /escapes /headers/N /endless /slow: what readers of output must withstand",
    ),
    Target(LONG_CHAIN_NAME, "long-chain", ("192.0.2.67",), (HTTPS_PORT,), "a chain of 200 certificates"),
    Target("v4.test", "v4", ("192.0.2.11",), (*HTTP_PORTS, HTTPS_PORT), "has an IPv4 address only"),
    Target("v6.test", "v6", ("2001:db8:1::11",), (*HTTP_PORTS, HTTPS_PORT), "has an IPv6 address only"),
    Target("echo.test", "echo", ("192.0.2.12", "2001:db8:1::12"), (ECHO_PORT,), "sends back what it gets"),
    Target(
        "sink.test",
        "sink",
        ("192.0.2.13", "2001:db8:1::13"),
        SINK_PORTS,
        "one line: own address and port, peer address and port; then an echo",
    ),
    Target("ssh.test", "ssh", ("192.0.2.22", "2001:db8:1::22"), (SSH_PORT,), "any user, no password; says who you are"),
    Target("dns.test", "dns", (DNS_ADDRESS, "2001:db8:1::53"), (DNS_PORT,), "UDP and TCP"),
    Target(
        "refused.test", "refused", ("192.0.2.14", "2001:db8:1::14"), (REFUSED_PORT,), "nothing listens on this port"
    ),
    Target("blackhole.test", "blackhole", (BLACKHOLE_ADDRESS,), (80,), "packets vanish: a timeout on every port"),
    Target("unreachable.test", "unreachable", (UNREACHABLE_ADDRESS,), (80,), "no route to host on every port"),
)

_HOST_NAME = re.compile(r"(?=.{1,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")


def build(
    exits: int = EXITS_DEFAULT,
    hosts: tuple[tuple[str, str], ...] = (),
    cast: Sequence[Conduct] | None = None,
    nicknames: Sequence[str] = (),
) -> Network:
    """The lab with so many exits; `hosts` are (name, kind of a built-in target) pairs that become names of it.

    `cast`: how each of the exits conducts itself, in order; None: as in the profile `plain`. `nicknames`: of those
    behind the exits that are numbered.
    """
    if not EXITS_MIN <= exits <= EXITS_MAX:
        raise OperatorError(f"A lab has {EXITS_MIN} to {EXITS_MAX} exits, not {exits}.", "Use --exits.", EXIT_USAGE)
    if cast is None:
        from . import profile  # reads a file, and is slow to import for those who only look at a lab

        cast = profile.load(PROFILE_DEFAULT).cast(exits)
    assert len(cast) == exits, f"BUG: {exits} exits and {len(cast)} conducts"
    authorities = tuple(Relay(f"auth{n}", Role.AUTHORITY, f"127.{n}.0.1", 5001, dir_port=7000) for n in range(1, 4))
    middles = tuple(Relay(f"mid{n}", Role.MIDDLE, f"127.{10 + n}.0.1", 5001) for n in range(1, 5))
    targets = BUILT_IN_TARGETS + tuple(_declared(host) for host in hosts)
    _check_hosts(cast, targets)
    return Network(authorities + middles + _exits(cast, nicknames), targets)


def of_spec(spec: Mapping[str, Any]) -> Network:
    """The lab that a supervisor has been told to start."""
    hosts = tuple((name, kind) for name, kind in spec["hosts"])
    return build(len(spec["cast"]), hosts, [decode(one) for one in spec["cast"]], spec["added"])


def addresses_of(host: str, targets: Sequence[Target]) -> tuple[str, ...]:
    """The addresses of a target's name, or of a literal address; none when there is no such target."""
    try:
        return (str(ipaddress.ip_address(host)),)
    except ValueError:
        name = host.lower().rstrip(".")
        return next((target.addresses for target in targets if target.name == name), ())


def _check_hosts(cast: Sequence[Conduct], targets: Sequence[Target]) -> None:
    for one in cast:
        for host in (host for meddle in one.meddle for host in meddle.when.hosts):
            if not addresses_of(host, targets):
                names = ", ".join(target.name for target in targets)
                raise OperatorError(
                    f"exit {one.behaviour!r}: when: host: there is no target {host!r}.",
                    f"Use an address or one of {names}; `--host NAME=KIND` declares more.",
                    EXIT_USAGE,
                )


def _exits(cast: Sequence[Conduct], nicknames: Sequence[str]) -> tuple[Relay, ...]:
    names = [f"exit{n:02}" for n in range(1, len(cast) - len(nicknames) + 1)] + [*nicknames]
    return tuple(
        Relay(name, Role.EXIT, f"203.0.113.{10 + n}", 5001, f"2001:db8:e::{10 + n}", 0, conduct)
        for n, (name, conduct) in enumerate(zip(names, cast, strict=True), start=1)
    )


def _declared(host: tuple[str, str]) -> Target:
    name, kind = host[0].lower().rstrip("."), host[1]
    if not _HOST_NAME.match(name):
        raise OperatorError(
            f"{host[0]!r} is not a host name.", "Use --host NAME=KIND, such as www.example.org=web.", EXIT_USAGE
        )
    for target in BUILT_IN_TARGETS:
        if target.kind == kind:
            return Target(name, kind, target.addresses, target.ports, f"declared as {target.name}")
    kinds = ", ".join(target.kind for target in BUILT_IN_TARGETS)
    raise OperatorError(f"There is no target {kind!r}.", f"Use one of {kinds}.", EXIT_USAGE)
