"""What a scan is going to do, before anything is started: which tool against which exit, who is skipped and why, what
load that is, and what it can miss.

Pure. Every selected relay stands exactly once under each tool: in a pair, or among the skipped.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..model import Destination, Fingerprint, Relay, Snapshot
from ..tool import Tool
from .controls import ControlPool
from .errands import Audit
from .params import Bound, selection_destinations

RARE_LIARS = (2, 3, 10)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A tool that is not run against an exit. `layer`: policy, requirement, or gone (from the consensus, since the scan
    began)."""

    audit: Audit
    relay: Relay
    layer: str
    reason: str

    @property
    def is_for_good(self) -> bool:
        """Whether nothing that is done here lets it be asked: it is the exit's doing."""
        return self.layer in ("policy", "gone")


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """All pairs of tool and exit. `repeat`: probes of each; `repeats`: of these exits another number."""

    audits: tuple[Audit, ...]
    pairs: tuple[tuple[Audit, Relay], ...]
    skipped: tuple[Skipped, ...]
    repeat: int
    repeats: Mapping[Fingerprint, int] = field(default_factory=dict)

    @property
    def probes(self) -> int:
        """The runs that are certain; retries, controls and confirmations come on top."""
        return sum(self.repeat_of(relay) for _, relay in self.pairs)

    def repeat_of(self, relay: Relay) -> int:
        """How many probes of this exit."""
        return self.repeats.get(relay.fingerprint, self.repeat)

    def controls(self) -> int:
        """The control runs that are certain."""
        used = {id(audit): audit for audit, _ in self.pairs}
        return sum(a.tool.baseline.exits for a in used.values() if a.tool.baseline.mode in ("exits", "direct+exits"))

    def relays(self) -> list[Relay]:
        """Whom it is about: those that are asked, then those that are skipped by all tools."""
        everybody = (*(relay for _, relay in self.pairs), *(one.relay for one in self.skipped))
        return list({relay.fingerprint: relay for relay in everybody}.values())

    def only(self, is_wanted: Callable[[Audit, Relay], bool]) -> "ScanPlan":
        """The same, without what is not wanted."""
        pairs = tuple(pair for pair in self.pairs if is_wanted(*pair))
        skipped = tuple(one for one in self.skipped if is_wanted(one.audit, one.relay))
        return replace(self, pairs=pairs, skipped=skipped)

    def load(self) -> list[tuple[str, int]]:
        """How many runs go to each destination, the most first."""
        runs: Counter[str] = Counter()
        for audit, relay in self.pairs:
            for destination in dict.fromkeys(audit.destinations):
                runs[str(destination)] += self.repeat_of(relay)
        return runs.most_common()

    def clear_net(self) -> list[tuple[str, int]]:
        """The connections from this machine, without Tor, that direct controls mean: at least so many to each."""
        found: Counter[str] = Counter()
        for audit in {id(audit): audit for audit, _ in self.pairs}.values():
            if audit.tool.baseline.mode.startswith("direct"):
                found.update(str(destination) for destination in dict.fromkeys(audit.destinations))
        return found.most_common()


def make_scan_plan(
    snapshot: Snapshot,
    relays: Sequence[Relay],
    tools: Sequence[tuple[Tool, Bound, str]],
    *,
    unmet: Mapping[str, str],
    repeat: int,
    is_direct_allowed: bool,
    repeats: Mapping[Fingerprint, int] | None = None,
) -> ScanPlan:
    """The plan. `tools`: each with its parameters and its key; `unmet`: why a tool (by id) can't be run here."""
    audits, pairs, skipped = [], [], []
    everybody = [r for r in snapshot.relays.values() if {"Running", "Valid"} <= r.flags and "BadExit" not in r.flags]
    for tool, bound, key in tools:
        doors = selection_destinations(tool, bound)
        candidates = tuple(relay for relay in everybody if may_carry(tool, doors, relay) is None)
        pool = ControlPool(in_force(tool, is_direct_allowed).baseline)
        audit = Audit(in_force(tool, is_direct_allowed), bound, key, pool, candidates, doors)
        audits.append(audit)
        for relay in relays:
            reason = may_carry(tool, doors, relay)
            if tool.id in unmet:
                skipped.append(Skipped(audit, relay, "requirement", unmet[tool.id]))
            elif reason is not None:
                skipped.append(Skipped(audit, relay, "policy", reason))
            else:
                pairs.append((audit, relay))
    return ScanPlan(tuple(audits), tuple(pairs), tuple(skipped), repeat, repeats or {})


def with_gone(plan: ScanPlan, gone: Sequence[Fingerprint], valid_after: str) -> ScanPlan:
    """The plan of a scan that goes on, with the exits that have left the network since it began: they are told, too."""
    reason = f"it is not in the consensus of {valid_after}"
    relays = [Relay(name, "", "0.0.0.0", 0, frozenset(), None) for name in gone]
    missing = tuple(Skipped(audit, relay, "gone", reason) for audit in plan.audits for relay in relays)
    return replace(plan, skipped=(*plan.skipped, *missing))


def in_force(tool: Tool, is_direct_allowed: bool) -> Tool:
    """The tool as it is judged here: nothing leaves this machine outside Tor unless that was allowed; if it was, what
    this machine sees itself is a control for all tools that have any."""
    mode = tool.baseline.mode
    if is_direct_allowed and mode == "exits":
        return replace(tool, baseline=replace(tool.baseline, mode="direct+exits"))
    if not is_direct_allowed and mode.startswith("direct"):
        return replace(tool, baseline=replace(tool.baseline, mode="exits"))
    return tool


def may_carry(tool: Tool, doors: Sequence[Destination], relay: Relay) -> str | None:
    """Why the exit is not asked to carry this tool, by its own policy; None: it may."""
    if relay.policy is None:
        return "it has no descriptor that can be read"
    wanted = [door for door in doors if door.port]
    if doors and not wanted and not relay.could_exit:  # Tor's own rule, for RESOLVE (dns.c)
        return "its policy refuses everything, and so it looks up no name"
    refused = [door for door in wanted if not relay.policy.allows(door.host, door.port)]
    if refused and (tool.select == "all" or len(refused) == len(wanted)):
        return f"its policy refuses {refused[0]}" + (f" and {len(refused) - 1} more" if len(refused) > 1 else "")
    return None


def chance_of_seeing(one_in: int, repeat: int) -> float:
    """The chance that `repeat` runs meet a relay at a lie that it tells once in `one_in` connections, at random."""
    return 1.0 - (1.0 - 1.0 / one_in) ** repeat


def chances(repeat: int) -> str:
    """The sentence about what a scan can miss."""
    seen = ", ".join(f"once in {one_in}: {chance_of_seeing(one_in, repeat):.0%}" for one_in in RARE_LIARS)
    return f"with --repeat {repeat}, the chance to see a relay that lies {seen}"
