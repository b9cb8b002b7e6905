"""What the demo does, as data: its tools, one case for each exit and tool, and what must come of each.

Pure. What must come of a case follows from what its exit *declares* and from nothing that happens: so it is known, and
counted, before anything is started. Called by `demo.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from ..model import Fingerprint, Run, Snapshot
from ..plan import make_plan
from ..policy import parse_policy
from .network import BLACKHOLE_ADDRESS, DNS_PORT, HTTP_PORTS, HTTPS_PORT, UNREACHABLE_ADDRESS
from .state import LabState, RelayState

TIMEOUT_S = 25.0
ODD_TIMEOUT_S = 8.0
"""Of runs through exits that delay what they carry, and whose answers count for nothing."""
TARGETS = tuple(
    address
    for address in (*(f"198.51.100.{n}" for n in range(1, 255)), *(f"192.0.2.{n}" for n in range(100, 255)))
    if address not in (BLACKHOLE_ADDRESS, UNREACHABLE_ADDRESS)
)
RESOLVED = "192.0.2.10"
ODD = frozenset({"fails-a-third", "prefers-ipv6"})
"""Honest exits whose answers can't be known beforehand."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A command line. `argv(address, name, ca)` for a target; `is_good(output, exit address)` knows its answer."""

    title: str
    port: int
    argv: Callable[[str, str, str], tuple[str, ...]]
    is_good: Callable[[str, str], bool]


TOOLS = (
    Tool(
        "curl http", HTTP_PORTS[0],
        lambda address, name, ca: ("curl", "-sS", f"http://{name}/ip"),
        lambda output, exit_: output.strip() == exit_,
    ),
    Tool(
        "curl https", HTTPS_PORT,
        lambda address, name, ca: ("curl", "-sS", "--cacert", ca, "--resolve", f"{name}:443:{address}", f"https://{name}/ip"),
        lambda output, exit_: output.strip() == exit_,
    ),
    Tool(
        "openssl", HTTPS_PORT,
        lambda address, name, ca: (
            "openssl", "s_client", "-brief", "-CAfile", ca, "-servername", name, "-connect", f"{address}:443",
        ),
        lambda output, exit_: "Verification: OK" in output,
    ),
    Tool(
        "dig +tcp", DNS_PORT,
        lambda address, name, ca: ("dig", "+tcp", "+short", "+tries=1", "+time=20", f"@{address}", "web.test"),
        lambda output, exit_: output.split() == [RESOLVED],
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One tool through one exit. `refusal`: the kind of failure that the exit declares for it; empty: must arrive.

    `is_predictable`: the exit passes on what it gets, so that its answer, or its refusal, is known beforehand. Of the
    others only *where* a connection came from is judged.
    """

    run: Run
    exit: RelayState
    tool: Tool
    target: str
    refusal: str
    is_predictable: bool


def plan_cases(lab: LabState, snapshot: Snapshot, scan_id: str, rng: Random) -> list[Case]:
    """A case for every exit and tool, in random order, each with a target address of its own."""
    exits = {relay.fingerprint: relay for relay in lab.relays if relay.role == "exit"}
    known = [snapshot.relays[Fingerprint(fingerprint)] for fingerprint in exits]
    runs = make_plan(known, (), scan_id=scan_id, timeout_s=TIMEOUT_S, rng=rng, repeat=len(TOOLS))
    left: dict[str, Iterator[Tool]] = {fingerprint: iter(TOOLS) for fingerprint in exits}
    cases = []
    for run, target in zip(runs, TARGETS, strict=False):
        relay, tool = exits[run.exit.fingerprint], next(left[run.exit.fingerprint])
        is_predictable = relay.kind == "honest" and not relay.expect and relay.behaviour not in ODD
        name = f"{target.replace('.', '-')}.ip.test" if is_predictable else target
        argv = tool.argv(target, name, str(lab.ca_file))
        run = replace(run, argv=argv, timeout_s=TIMEOUT_S if is_predictable else ODD_TIMEOUT_S)
        cases.append(Case(run, relay, tool, target, refusal(relay, tool, target), is_predictable))
    return cases


def refusal(relay: RelayState, tool: Tool, target: str) -> str:
    """The kind of failure that a relay declares for a tool's connection; empty when it should carry it."""
    return "" if parse_policy("\n".join(relay.policy)).allows(target, tool.port) else "policy"


def seen_as(relays: Sequence[RelayState]) -> dict[str, str]:
    """The addresses that targets see -> the fingerprint of the exit behind each."""
    return {
        address: relay.fingerprint
        for relay in relays
        for address in (relay.address, relay.address6)
        if relay.role == "exit"
    }
