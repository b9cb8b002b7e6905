"""What `exitpin audit` does once it knows its vantage: tools, exits, plan; then the scan, its records and its end."""

import argparse
import asyncio
import json
import secrets
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from ...wrappers.output import LineWriter, printable
from ...wrappers.requirements import Requirements
from ..allowance import Starts
from ..audit import scan_record
from ..audit.alerts import Alerts
from ..audit.ledger import listening
from ..audit.recalling import Recollection, left_to_do, standing
from ..audit.scan_plan import ScanPlan, make_scan_plan, with_gone
from ..audit.scanning import Scan, Work, tool_use
from ..errors import EXIT_FAILED, EXIT_USAGE, OperatorError
from ..model import Fingerprint
from ..network import Network, Vantage, open_network
from ..network_change import NetworkChange
from ..results.blobs import blobs_directory
from ..results.exhibit import Exhibit, pack
from ..results.scan_lock import held
from ..results.store import Store, store_path, store_patience_s
from ..results.stored import open_store
from ..surroundings import Surroundings
from . import audit_resume
from .allowing import Waits, open_starts
from .audit_account import Account, exit_status
from .audit_alerts import Alerting, untold
from .audit_consensus import Expiry, noted, valid_network
from .audit_exits import Exits, Place, exits_of
from .audit_findings import findings_table
from .audit_guard import Guard
from .audit_resume import Resumed
from .audit_shortage import Shortage
from .audit_told import PlanTold
from .audit_tools import Chosen, choose_tools
from .changes_told import of_a_scan
from .containment import containment_of, wanted_by, warn_of
from .politeness import first_hops_of, pace_of, refuse_a_wide_scan, settings_in_force, spacing_of, timeout_max_of
from .say import say

PER_EXIT_LAB, PER_EXIT_REAL = 24, 1


class AuditScan:
    """One `exitpin audit`. `resumed`: the scan that goes on, if it is none of its own; `is_waiting`: whether a
    consensus that should be there is waited for."""

    def __init__(
        self,
        args: argparse.Namespace,
        vantage: Vantage,
        environment: Mapping[str, str],
        resumed: Resumed | None = None,
        *,
        is_waiting: bool = False,
    ) -> None:
        args.repeat = 1 if args.repeat is None else args.repeat
        if (args.jobs is not None and args.jobs < 1) or args.repeat < 1:
            raise OperatorError("--jobs and --repeat want a number from 1.", "", EXIT_USAGE)
        self._args = args
        self._vantage = vantage
        self._environment = environment
        self._resumed = resumed
        self._is_waiting = is_waiting
        self._seed = args.seed if args.seed is not None else secrets.randbits(63)
        self._rng = Random(self._seed if resumed is None else f"{self._seed} {time.time()}")
        self._settings = settings_in_force(args, environment, vantage)
        self.store = Path(args.store or store_path(environment)).absolute()
        now = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        self.scan_id = now if resumed is None else resumed.scan_id
        self.has_outlived = False
        self._change: NetworkChange | None = None
        self._ranks: Mapping[Fingerprint, int] = {}

    async def execute(self) -> int:
        """Carry everything out. Raises OperatorError before its first run, never after.

        Where its consensus ended before the scan did, `has_outlived` is True, and another one has to go on with it.
        """
        is_lab = self._vantage.is_lab
        if self._args.dry_run and (reader := open_store(self.store)) is not None:
            reader.close()  # what the scan itself would refuse, its plan does, too
        chosen = choose_tools(self._args, self._settings, self._environment, self._resumed, is_lab=is_lab)
        self._containment = containment_of(self._args, wanted_by(tool for tool, _, _ in chosen.bound))
        self._requirements = Requirements(self._environment, self._containment)
        async with AsyncExitStack() as stack:
            network = await stack.enter_async_context(open_network(self._vantage))
            network = await valid_network(network, self._vantage, self._next_step(), is_waiting=self._is_waiting)
            if self._resumed is not None and not self._args.dry_run:
                self._hold(stack)
                self._resumed = audit_resume.read_again(self._resumed, self.store)
            if self._args.iteration is not None and not self._args.dry_run:  # who is new is seen before it is asked for
                self._change = await asyncio.to_thread(noted, network.snapshot, self._vantage, self.store)
            place = Place(self.store, self._vantage.network)
            exits = await exits_of(self._args, network, place, self._rng, self._environment, self._resumed)
            self._ranks = exits.ranks
            plan, known = await asyncio.to_thread(self._plan, network, chosen, exits)
            await asyncio.to_thread(self._tell_plan, plan, known)
            if self._args.dry_run or (self.is_retry and not plan.pairs and not plan.skipped):
                return 0
            if not is_lab:
                places = [destination for audit in plan.audits for destination in audit.destinations]
                runs = plan.probes + plan.controls()
                refuse_a_wide_scan(self._settings, runs, places, is_allowed=self._args.wide)
                warn_of(self._containment)
            store = Store(self.store, patience_s=store_patience_s(self._environment))
            stack.push_async_callback(store.abandon)
            if self._resumed is None:
                self._hold(stack)
            starts = stack.enter_context(open_starts(self._settings, self._vantage, self._environment))
            return await self._carry_out(network, plan, known, chosen, store, starts)

    def _hold(self, stack: AsyncExitStack) -> None:
        """Hold the scan's lock from here on: what is known of it is read after that."""
        try:
            stack.enter_context(held(blobs_directory(self.store), self.scan_id))
        except OperatorError as error:
            if self._args.iteration is None:
                raise
            raise OperatorError(error.message, error.hint) from error  # nobody's misuse: a watch tries again

    @property
    def is_retry(self) -> bool:
        """Whether what ended in an error is asked again, and nothing else."""
        return self._resumed is not None and self._resumed.is_retry

    def _next_step(self) -> str:
        """What to do once there is a consensus again."""
        return "try again" if self._resumed is None else f"go on: {audit_resume.command(self.scan_id, self._args, {})}"

    # The plan.

    def _plan(self, network: Network, chosen: Chosen, exits: Exits) -> tuple[ScanPlan, Recollection]:
        tools = [tool for tool, _, _ in chosen.bound]
        unmet = {tool.id: why for tool in tools if (why := self._requirements.unmet(tool)) is not None}
        whole = make_scan_plan(
            network.snapshot, exits.relays, chosen.bound,
            unmet=unmet, repeat=self._args.repeat, is_direct_allowed=self._args.direct_control,
        )  # fmt: skip
        if self._resumed is None:
            return whole, Recollection()
        whole = with_gone(whole, exits.gone, network.snapshot.valid_after)
        known = audit_resume.recollect(self._resumed, whole, self.store)
        return left_to_do(whole, known, retry_failed=self.is_retry), known

    def _tell_plan(self, plan: ScanPlan, known: Recollection) -> None:
        told = PlanTold(self._args, self._settings, self._vantage, self._environment, self.store)
        for sentence in told.sentences(plan, known, self._resumed):
            print(f"exitpin: {printable(sentence)}", file=sys.stdout if self._args.dry_run else sys.stderr)

    # The scan.

    async def _carry_out(
        self, network: Network, plan: ScanPlan, known: Recollection, chosen: Chosen, store: Store, starts: Starts
    ) -> int:
        again = audit_resume.command(self.scan_id, self._args, chosen.secrets)
        stays = [verdict.record for verdict in standing(plan, known)]
        account = Account(plan, self.store, self.scan_id, again=again, known=stays)
        writer = LineWriter(1, lambda: scan.interrupt("whoever read the output has gone"))
        shortage = Shortage(lambda why: stop(why))
        keepers = [store.add, listening(account.add), listening(lambda record: alerting.judged(record))]
        keepers.append(listening(shortage.judged))
        if self._args.json:
            keepers.append(listening(lambda record: self._show(writer, record)))

        def stop(why: str) -> None:
            account.problem(f"stopped: {why}")
            scan.interrupt(why)

        wait_s = pace_of(self._settings, self._vantage, is_scan=True).outage_max_s
        around = of_a_scan(self._settings, wait_s, lambda sentence: guard.say(sentence), stop)
        work = self._work(network, plan, chosen, around, starts)
        scan: Scan = Scan(work, network, plan, keepers, known, store)
        told = await asyncio.to_thread(self._begin, network, plan, work, store)
        alerts = Alerts(self.scan_id, self._args.on, told.get("alerted"))
        alerting = Alerting(
            alerts, self._args, self._environment, scan.guests,
            lambda: store.add_scan(scan_record.with_alerted(told, alerts.told)),
        )  # fmt: skip
        guard = Guard(scan, account, alerting, is_shown=sys.stderr.isatty() and not self._args.json)

        def unlimited(why: str) -> None:
            account.problem(why)
            asyncio.get_running_loop().call_soon(scan.interrupt, why)

        starts.watch(unlimited, Waits(self._settings, guard.say))

        def lose(why: str) -> None:
            scan.interrupt(f"a record could not be written: {why}")
            alerting.lost()

        store.on_problem, store.on_recorded, store.on_short_of_files = lose, alerting.recorded, shortage.met
        for record in known.superseded:
            store.add(record)
        alerting.catch_up(await asyncio.to_thread(untold, alerts, stays, self.store))
        with guard:  # to the last word: whoever is impatient still hears how to go on
            expiry = Expiry(network.snapshot, scan.drain)
            try:
                await scan.run()
            finally:
                expiry.cancel()
                await alerting.finish()
                guard.hide_progress()
                told = scan_record.with_alerted(told, alerts.told)
                store.add_scan(scan_record.end(told, time.time(), account.state(scan.trust_lost)))
                try:
                    await store.close()
                except OperatorError as error:
                    account.problem(str(error))
                    account.recorded = await asyncio.to_thread(audit_resume.recorded, self.scan_id, self.store)
                await writer.close()
            is_cut_short = account.state(scan.trust_lost) == scan_record.INTERRUPTED
            self.has_outlived = expiry.has_come and is_cut_short and guard.interrupted_by is None
            if self.has_outlived:
                say(account.outlived(network.snapshot.valid_after))
                return EXIT_FAILED
            sentences = account.sentences(interrupted=guard.interrupted_by, trust_lost=scan.trust_lost)
            for sentence in [*sentences, *alerts.sentences(again)]:
                print(f"exitpin: {printable(sentence)}", file=sys.stderr)
            if not self._args.json:
                print(findings_table(account.findings_recorded, self.scan_id), end="", flush=True)
        if writer.problem is not None:
            return EXIT_FAILED
        return exit_status(account, self._args.fail_on, guard.interrupted_by, scan.trust_lost)

    def _work(self, network: Network, plan: ScanPlan, chosen: Chosen, around: Surroundings, starts: Starts) -> Work:
        is_lab, tested = self._vantage.is_lab, {relay for _, relay in plan.pairs}
        spacing_s, jitter_s = spacing_of(self._settings, self._vantage)
        return Work(
            scan_id=self.scan_id,
            vantage=self._vantage,
            environment=self._environment,
            containment=self._containment,
            jobs=self._settings.jobs,
            per_exit=PER_EXIT_LAB if is_lab else PER_EXIT_REAL,
            spacing_s=spacing_s,
            jitter_s=jitter_s,
            pace=pace_of(self._settings, self._vantage, is_scan=True),
            starts=starts,
            first_hops=first_hops_of(self._settings, network.snapshot, tested, around.health),
            surroundings=around,
            timeout_max_s=timeout_max_of(self._settings, self._vantage),
            events=Path(self._args.events).absolute() if self._args.events else None,
            rng=self._rng,
            ranks=self._ranks,
            given=chosen.given,
            words=chosen.words,
            versions={tool.id: self._requirements.versions(tool) for tool, _, _ in chosen.bound},
        )

    def _begin(self, network: Network, plan: ScanPlan, work: Work, store: Store) -> scan_record.Record:
        """Write down what is begun, with the documents that it rests on, before anything is."""
        from exitpin import __version__

        snapshot, now = network.snapshot, time.time()
        asked = dict.fromkeys(relay.fingerprint for relay in plan.relays())
        published = "".join(snapshot.descriptors.get(name, "") for name in asked)
        documents = {"consensus": snapshot.consensus, "descriptors": published}
        exhibits = [Exhibit(name, pack(text.encode("utf-8", "surrogateescape"))) for name, text in documents.items()]
        if self._args.iteration is None:
            self._change = noted(snapshot, self._vantage, self.store)
        changed = None if self._change is None else self._change.told()
        if self._resumed is not None:
            scan = scan_record.go_on(
                self._resumed.scan, now, consensus=snapshot.valid_after, snapshot=exhibits, change=changed
            )
        else:
            scan = scan_record.begin(
                self.scan_id, now,
                exitpin=__version__,
                vantage={"kind": self._vantage.kind, "name": self._vantage.name, "tor": network.tor_version},
                consensus=snapshot.valid_after, snapshot=exhibits,
                tools=[scan_record.tool_of_scan(tool_use(work, audit), audit.key) for audit in plan.audits],
                exits=list(asked), settings=audit_resume.settings_of(self._args, self._seed),
                iteration=self._args.iteration, change=changed,
            )  # fmt: skip
        store.add_scan(scan, [exhibit.blob for exhibit in exhibits])
        return scan

    def _show(self, writer: LineWriter, record: Mapping[str, object]) -> None:
        if self._args.runs or record["schema"] != "exitpin.run/1":
            writer.put(json.dumps(record, ensure_ascii=True).encode() + b"\n")
