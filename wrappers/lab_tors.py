"""The lab's tor processes: the torrc of each relay and what the client's has on top of `torrc.client_torrc`.

A lab boots in one of two ways. The *founding* start runs authorities, and its client fetches the directory from them.
Every later start is *frozen*: the client begins with that directory, authorities stay off, and nobody looks for them.
A lab that *lives* is founded anew each time, and its authorities go on voting (`voting`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..orchestrator.lab.network import Network, Relay, Role
from ..orchestrator.lab.voting import Voting
from .torrc import Line, client_torrc, quoted, render

# Bumped when a change here makes old keys or directories useless.
TEMPLATE_VERSION = 1
# A consensus of 10 s intervals is valid for a week here, but a client drops descriptors older than five days.
FROZEN_MAX_AGE_S = 4 * 86400
NEVER_S = "2592000"
CONTACT = "lab@example.org"
_REVISION = re.compile(re.escape(CONTACT) + r" \(revision ([0-9]{1,9})\)")
FOUNDING = Voting(10, 60480)
# Of authorities that stay. One that was killed would call nobody Running that it has not tried again, which takes it 20
# minutes; and first hops that were killed would be Stable no more.
LIVING: tuple[Line, ...] = (
    ("AuthDirTestReachability", "0"),
    ("AuthDirVoteStableGuaranteeMinUptime", "1 second"),
    ("AuthDirVoteStableGuaranteeMTBF", "1 second"),
)


@dataclass(frozen=True, slots=True)
class Identities:
    """Who the relays are: fingerprints by nickname, and the authorities' v3 identities."""

    fingerprints: Mapping[str, str]
    v3_identities: Mapping[str, str]


def shared_lines(network: Network, who: Identities, voting: Voting = FOUNDING) -> tuple[Line, ...]:
    """What makes a tor a member of this network."""
    voted = ",".join("$" + who.fingerprints[relay.nickname] for relay in network.exits if relay.is_voted_exit)
    guards = ",".join("$" + who.fingerprints[relay.nickname] for relay in network.middles)
    return (
        ("TestingTorNetwork", "1"),
        ("AssumeReachable", "1"),
        ("PathsNeededToBuildCircuits", "0.25"),
        ("TestingDirAuthVoteExit", voted),
        ("TestingDirAuthVoteGuard", guards),
        ("TestingDirAuthVoteHSDir", "*"),
        ("TestingMinExitFlagThreshold", "0"),
        ("V3AuthNIntervalsValid", str(voting.valid)),
        ("ShutdownWaitLength", "0"),
        ("GeoIPFile", "/dev/null"),
        ("GeoIPv6File", "/dev/null"),
        *(("DirAuthority", _authority_line(relay, who)) for relay in network.authorities),
    )


def client_lines(network: Network, who: Identities, *, frozen: bool, voting: Voting) -> tuple[Line, ...]:
    """The `network` argument of `client_torrc` for a lab."""
    fetch = (
        (
            ("TestingClientConsensusDownloadInitialDelay", NEVER_S),
            ("TestingClientDownloadInitialDelay", NEVER_S),
        )
        if frozen
        else ()
    )
    # Without ExtendByEd25519ID relays never use a link between them twice, and each circuit costs a handshake.
    return (*shared_lines(network, who, voting), ("ExtendByEd25519ID", "1"), *fetch)


def client(
    network: Network, who: Identities, data_dir: Path, control_socket: Path, *, frozen: bool, voting: Voting = FOUNDING
) -> str:
    """The client's torrc."""
    lines = client_lines(network, who, frozen=frozen, voting=voting)
    return client_torrc(data_dir, control_socket=control_socket, network=lines)


def relay(
    one: Relay,
    network: Network,
    who: Identities,
    data_dir: Path,
    *,
    declares: bool = False,
    voting: Voting | None = None,
    revision: int = 0,
) -> str:
    """The torrc of an authority, a middle or an exit. `declares`: with the policy that the directory is to know, and
    not with the one that the exit keeps to; `voting`: the pace of a lab that lives; `revision`: what the relay's
    descriptor tells in its contact, so that one sees which torrc it was made of."""
    common: Sequence[Line] = (
        ("Nickname", one.nickname),
        ("DataDirectory", quoted(data_dir)),
        ("Log", f"notice file {data_dir / 'notice.log'}"),
        ("Address", one.address),
        ("ORPort", f"{one.address}:{one.or_port} IPv4Only"),
        ("SocksPort", "0"),
        ("ExitRelay", "1" if one.role is Role.EXIT else "0"),
        ("ContactInfo", contact(revision)),
        ("SafeLogging", "0"),
        ("NumCPUs", "1"),
        ("AvoidDiskWrites", "1"),
        ("KISTSchedRunInterval", "2 msec"),
        ("DoSCircuitCreationEnabled", "0"),
        ("DoSConnectionEnabled", "0"),
        ("DoSStreamCreationEnabled", "0"),
    )
    policy = one.policy if declares else one.conduct.enforce or one.policy
    is_secret = voting is not None and policy != one.policy
    silent: Sequence[Line] = (("PublishServerDescriptor", "0"),) if is_secret else ()
    own = _role_lines(one, data_dir, policy, voting or FOUNDING)
    return render((*common, *own, *silent, *shared_lines(network, who, voting or FOUNDING)))


def contact(revision: int) -> str:
    """The contact of a relay whose torrc is the one of that number."""
    return f"{CONTACT} (revision {revision})" if revision else CONTACT


def revision_of(words: str) -> int:
    """The reverse of `contact`; 0 for any other."""
    match = _REVISION.fullmatch(words)
    return int(match[1]) if match else 0


def resolv_conf(one: Relay) -> str:
    """The resolver configuration of an exit."""
    return f"nameserver {one.resolver_address}\n"


def _role_lines(one: Relay, data_dir: Path, policy: Sequence[str], voting: Voting) -> tuple[Line, ...]:
    if one.role is Role.AUTHORITY:
        lives = LIVING if voting is not FOUNDING else ()
        return (
            *lives,
            ("AuthoritativeDirectory", "1"),
            ("V3AuthoritativeDirectory", "1"),
            ("DirPort", f"{one.address}:{one.dir_port}"),
            ("TestingV3AuthInitialVotingInterval", "5"),
            ("TestingV3AuthInitialVoteDelay", "2"),
            ("TestingV3AuthInitialDistDelay", "2"),
            ("V3AuthVotingInterval", str(voting.interval_s)),
            ("V3AuthVoteDelay", "2"),
            ("V3AuthDistDelay", "2"),
        )
    # A relay needs no directory to extend circuits; fetching none saves most of its memory and its idle work.
    quiet = (("TestingServerConsensusDownloadInitialDelay", NEVER_S), ("TestingServerDownloadInitialDelay", NEVER_S))
    if one.role is Role.MIDDLE:
        return (*quiet, ("DirCache", "1"))
    return (
        *quiet,
        ("DirCache", "0"),
        ("IPv6Exit", "1"),
        ("OutboundBindAddressExit", one.address),
        ("OutboundBindAddressExit", f"[{one.address6}]"),
        *(("ExitPolicy", rule) for rule in policy),
        ("ServerDNSResolvConfFile", quoted(data_dir / "resolv.conf")),
        ("ServerDNSAllowBrokenConfig", "1"),
        ("ServerDNSDetectHijacking", "0"),
        ("ServerDNSTestAddresses", ""),
        # Without a directory an exit knows no relay, and would refuse to serve circuits from any of them.
        ("RefuseUnknownExits", "0"),
    )


def _authority_line(one: Relay, who: Identities) -> str:
    identity, fingerprint = who.v3_identities[one.nickname], who.fingerprints[one.nickname]
    return f"{one.nickname} orport={one.or_port} no-v2 v3ident={identity} {one.address}:{one.dir_port} {fingerprint}"
