"""What `exitpin audit` does once it knows its vantage: tools, exits, plan; then the scan, its records and its end."""

import argparse
import json
import os
import secrets
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from ...wrappers.output import LineWriter, printable
from ...wrappers.requirements import Requirements
from ...wrappers.tool_files import is_path, load_catalogue
from ..errors import EXIT_FAILED, EXIT_USAGE, OperatorError
from ..ledger import audit_key
from ..network import Network, Vantage, open_network
from ..params import Bound, bind, share
from ..results.store import Store, store_path
from ..scan_plan import ScanPlan, make_scan_plan
from ..scanning import Scan, Work
from ..settings import BUILT_IN
from ..tool import Tool
from .audit_account import Account, exit_status, findings_table, plan_sentences
from .audit_guard import Guard
from .politeness import WARNING, first_hops_of, pace_of, refuse_a_wide_scan, settings_in_force
from .selectors import choose

PER_EXIT_LAB, PER_EXIT_REAL = 24, 1
LAB_TIMEOUT_MAX_S = 45.0


class AuditScan:
    """One `exitpin audit`."""

    def __init__(self, args: argparse.Namespace, vantage: Vantage, environment: Mapping[str, str]) -> None:
        if (args.jobs is not None and args.jobs < 1) or args.repeat < 1:
            raise OperatorError("--jobs and --repeat want a number from 1.", "", EXIT_USAGE)
        self._args = args
        self._vantage = vantage
        self._environment = environment
        self._seed = args.seed if args.seed is not None else secrets.randbits(63)
        self._rng = Random(self._seed)
        self._settings = settings_in_force(args, environment, vantage)
        self._given: dict[str, frozenset[str]] = {}
        self._words: dict[str, str] = {}
        self.scan_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"

    async def execute(self) -> int:
        """Carry everything out. Raises OperatorError before the first run, never after."""
        tools = self._tools()
        async with open_network(self._vantage) as network:
            plan = self._plan(network, tools)
            for sentence in plan_sentences(plan, self._settings, is_lab=self._vantage.is_lab):
                print(f"exitpin: {printable(sentence)}", file=sys.stdout if self._args.dry_run else sys.stderr)
            if self._args.dry_run:
                return 0
            if not self._vantage.is_lab:
                places = [destination for audit in plan.audits for destination in audit.destinations]
                runs = plan.probes + plan.controls()
                refuse_a_wide_scan(self._settings, runs, places, is_allowed=self._args.wide)
                print(WARNING, file=sys.stderr)
            return await self._carry_out(network, plan)

    def _tools(self) -> list[tuple[Tool, Bound, str]]:
        """The tools with their parameters, all that is wrong told at once."""
        catalogue = load_catalogue(self._environment, Path.cwd())
        tools = catalogue.resolve(self._args.tools)
        for note in catalogue.notes:
            print(f"exitpin: {printable(note)}", file=sys.stderr)
        given = share(tools, self._args.params)
        configured = {} if self._vantage.is_lab else self._settings.params
        self._given = {t.id: frozenset({*given[t.id], *configured.get(t.id, {})}) for t in tools}
        self._words = {catalogue.at(w).usable().id: str(Path(w).absolute()) for w in self._args.tools if is_path(w)}
        bound, wrong = [], []
        for tool in tools:
            try:
                one = bind(tool, given[tool.id], self._settings.params.get(tool.id, {}), is_lab=self._vantage.is_lab)
            except OperatorError as error:
                wrong.append(error.message)
                continue
            bound.append((tool, one, audit_key(tool.digest, one.values)))
        if wrong:
            raise OperatorError("\n".join(wrong), "Nothing was started.", EXIT_USAGE)
        return bound

    def _plan(self, network: Network, tools: list[tuple[Tool, Bound, str]]) -> ScanPlan:
        selection = choose(self._args, network.snapshot, self._rng)
        print(f"exitpin: {printable(selection.account())}", file=sys.stderr)
        if not selection.exits:
            raise OperatorError("the selection is empty.", "`exitpin exits` shows what each option leaves.")
        requirements = Requirements(self._environment)
        unmet = {tool.id: why for tool, _, _ in tools if (why := requirements.unmet(tool)) is not None}
        return make_scan_plan(
            network.snapshot, selection.exits, tools,
            unmet=unmet, repeat=self._args.repeat, is_direct_allowed=self._args.direct_control,
        )  # fmt: skip

    async def _carry_out(self, network: Network, plan: ScanPlan) -> int:
        events, store_file = self._events_path(), Path(self._args.store or store_path(self._environment)).absolute()
        account = Account(plan, Path(store_file), self.scan_id)
        writer = LineWriter(1, lambda: guard.interrupt("whoever read the output has gone"))
        store = Store(store_file, lambda problem: account.problem(f"a record could not be written: {problem}"))
        work = Work(
            scan_id=self.scan_id,
            vantage=self._vantage,
            environment=self._environment,
            jobs=self._settings.jobs,
            per_exit=PER_EXIT_LAB if self._vantage.is_lab else PER_EXIT_REAL,
            spacing_s=0.0 if self._vantage.is_lab else self._settings.build_delay_s,
            jitter_s=0.0 if self._vantage.is_lab else self._settings.build_jitter_s,
            pace=pace_of(self._settings, self._vantage),
            first_hops=first_hops_of(self._settings, network.snapshot, {relay for _, relay in plan.pairs}),
            timeout_max_s=self._timeout_max_s(),
            events=events,
            rng=self._rng,
            given=self._given,
            words=self._words,
        )
        keepers = [store.add, account.add]
        if self._args.json:
            keepers.append(lambda record: self._show(writer, record))
        scan = Scan(work, network, plan, keepers)
        guard = Guard(scan, account, is_shown=sys.stderr.isatty() and not self._args.json)
        try:
            with guard:
                await scan.run()
        finally:
            try:
                await store.close()
            except OperatorError as error:
                account.problem(str(error))
            await writer.close()
        for sentence in account.sentences(interrupted=guard.interrupted_by, trust_lost=scan.trust_lost):
            print(f"exitpin: {printable(sentence)}", file=sys.stderr)
        if not self._args.json:
            print(findings_table(account), end="", flush=True)
        if writer.problem is not None:
            return EXIT_FAILED
        return exit_status(account, self._args.fail_on, guard.interrupted_by, scan.trust_lost)

    def _timeout_max_s(self) -> float | None:
        """What no run may exceed. In the lab all is near: who waits for minutes there waits for the dead."""
        if self._settings.origin("timeout") != BUILT_IN:
            return self._settings.timeout_s
        return LAB_TIMEOUT_MAX_S if self._vantage.is_lab else None

    def _show(self, writer: LineWriter, record: Mapping[str, object]) -> None:
        if self._args.runs or record["schema"] != "exitpin.run/1":
            writer.put(json.dumps(record, ensure_ascii=True).encode() + b"\n")

    def _events_path(self) -> Path:
        if self._args.events:
            return Path(self._args.events).absolute()
        base = self._environment.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
        return Path(base, "exitpin", "events", f"{self.scan_id}.ndjson.gz")
