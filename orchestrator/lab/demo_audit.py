"""The demo's second act: every tool against every exit, and the verdicts beside what was planted.

The scan is that of `exitpin audit`, and knows nothing of what was planted: that is looked at when all verdicts are
there. Only how often an exit is asked is taken from it, as whoever looks for rare liars would say `--repeat 12`.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...wrappers.machine import abilities
from ...wrappers.requirements import Requirements
from ...wrappers.tool_files import load_catalogue
from ..audit.keys import audit_key
from ..audit.ledger import listening
from ..audit.params import bind
from ..audit.scan_plan import chances, make_scan_plan
from ..audit.scanning import Scan, Work
from ..circuits import Pace
from ..cli.audit_account import Account, plan_sentences
from ..cli.audit_guard import Guard
from ..containment import contain
from ..errors import OperatorError
from ..first_hops import first_hop_chooser
from ..model import Fingerprint, Relay
from ..network import Network, Vantage
from ..results.store import Store
from ..settings import Settings
from ..tool import Status
from .audit_score import QUIET, AuditScore, score_audit
from .state import LabState, RelayState

PENDING, JOBS, PER_EXIT, HOPS = 64, 64, 24, 2
TIMEOUT_MAX_S = 30.0
STYLES = {"tampered": "bold red", "suspect": "red", "broken": "yellow", "error": "magenta"}

Json = Mapping[str, Any]
Say = Callable[[str, str], None]


class Audit:
    """The scan of the second act. `tools`: words as `exitpin audit` takes them."""

    def __init__(self, lab: LabState, scan_id: str, console: Console, say: Say, tools: Iterable[str]) -> None:
        self._lab = lab
        self._scan_id = scan_id
        self._console = console
        self._say = say
        self._tools = list(tools)
        self._verdicts: list[Json] = []
        self._containment = contain(None, abilities())
        self.exits = {relay.fingerprint: relay for relay in lab.relays if relay.role == "exit"}
        self.is_interrupted = False

    async def execute(self, network: Network, directory: Path, rng: Random) -> bool:
        """Audit everybody, show the table, and score it; whether all was as planted."""
        tools = []
        for tool in load_catalogue({}, "/").resolve(self._tools):
            bound = bind(tool, {}, {}, is_lab=True)
            tools.append((tool, bound, audit_key(tool.digest, bound.values)))
        requirements = Requirements(os.environ, self._containment)
        unmet = {tool.id: why for tool, _, _ in tools if (why := requirements.unmet(tool)) is not None}
        relays = [network.snapshot.relays[Fingerprint(name)] for name in self.exits]
        plan = make_scan_plan(
            network.snapshot, relays, tools, unmet=unmet, repeat=1, is_direct_allowed=False,
            repeats={Fingerprint(exit.fingerprint): exit.repeat for exit in self.exits.values() if exit.repeat > 1},
        )  # fmt: skip
        for sentence in plan_sentences(plan, Settings(jobs=JOBS), is_lab=True):
            self._say(sentence, "dim")
        for repeat in sorted(set(plan.repeats.values())):
            self._say(chances(repeat), "dim")
        account = Account(plan, directory / "demo.sqlite", self._scan_id)
        store = Store(account.store, account.problem)
        scan = Scan(
            self._work(network, directory, rng, relays),
            network,
            plan,
            [store.add, *map(listening, (account.add, self._keep))],
        )
        guard = Guard(scan, account, is_shown=self._console.is_terminal)
        try:
            with guard:
                await scan.run()
        finally:
            await _close(store, account)
        self.is_interrupted = guard.interrupted_by is not None
        self._console.print(self._table())
        score = score_audit(list(self.exits.values()), self._verdicts)
        for problem in (*account.problems, *score.problems, *score.errors):
            self._say(f"exitpin: {problem}", "red")
        return self._tell(score, scan.auditor.runs_done if scan.auditor is not None else 0) and not account.problems

    def _work(self, network: Network, directory: Path, rng: Random, relays: list[Relay]) -> Work:
        return Work(
            scan_id=self._scan_id,
            vantage=Vantage("lab", self._lab.control_socket, self._lab.name),
            environment=dict(os.environ),
            containment=self._containment,
            jobs=JOBS,
            per_exit=PER_EXIT,
            spacing_s=0.0,
            jitter_s=0.0,
            pace=Pace(0.0, 0.0, PENDING),
            first_hops=first_hop_chooser(network.snapshot, (), {relay.fingerprint for relay in relays}, HOPS),
            rng=rng,
            timeout_max_s=TIMEOUT_MAX_S,
            events=directory / "audit.ndjson.gz",
        )

    def _keep(self, record: Json) -> None:
        if record["schema"] != "exitpin.run/1":
            self._verdicts.append(record)

    def _tell(self, score: AuditScore, runs: int) -> bool:
        counts: Counter[str] = Counter()
        for verdict in self._verdicts:
            counts[verdict["status"]] += 1
        told = ", ".join(f"{counts[status]} {status}" for status in Status if counts[status])
        self._say(f"\n{len(self._verdicts)} verdicts from {runs} runs: {told}", "")
        self._say(score.summary(), "bold green" if score.is_perfect else "bold red")
        return score.is_perfect

    def _table(self) -> Table:
        """A row for each exit: what it is, what was planted, what was found."""
        found: defaultdict[str, list[Json]] = defaultdict(list)
        for verdict in self._verdicts:
            if Status(verdict["status"]) not in QUIET:
                found[verdict["exit"]["fingerprint"]].append(verdict)
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        table.add_column("exit", no_wrap=True)
        table.add_column("conducts itself", no_wrap=True)
        table.add_column("planted", ratio=1)
        table.add_column("verdicts that are not ok (k of n runs lied)", ratio=1)
        for exit in self.exits.values():
            behaviour = Text(exit.behaviour, {"hostile": "red", "broken": "yellow"}.get(exit.kind, ""))
            table.add_row(exit.nickname, behaviour, _planted(exit), _found(found[exit.fingerprint]))
        return table


def _planted(exit: RelayState) -> Text:
    by_status: defaultdict[str, list[str]] = defaultdict(list)
    for tool, statuses in exit.expect.items():
        by_status[" or ".join(statuses)].append(tool)
    return _lines({status: sorted(tools) for status, tools in by_status.items()})


def _found(verdicts: Iterable[Json]) -> Text:
    by_status: defaultdict[str, list[str]] = defaultdict(list)
    for verdict in verdicts:
        lied = f" ({verdict['lied']} of {verdict['of']})" if verdict["lied"] else ""
        by_status[verdict["status"]].append(f"{verdict['tool']['id']}{lied}")
    return _lines({status: sorted(tools) for status, tools in by_status.items()})


def _lines(tools: Mapping[str, list[str]]) -> Text:
    """`tampered a, b` and so on, a line each."""
    lines = [
        Text.assemble((status, STYLES.get(status, "")), f" {', '.join(tools[status])}") for status in sorted(tools)
    ]
    return Text("\n").join(lines)


async def _close(store: Store, account: Account) -> None:
    try:
        await store.close()
    except OperatorError as error:
        account.problem(str(error))
