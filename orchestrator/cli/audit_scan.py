"""What `exitpin audit` does once it knows its vantage: tools, exits, plan; then the scan, its records and its end."""

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from ...wrappers.output import printable
from ...wrappers.requirements import Requirements
from ..allowance import Starts
from ..audit import scan_record
from ..audit.recalling import Recollection, left_to_do, standing
from ..audit.scan_plan import ScanPlan, make_scan_plan, with_gone
from ..audit.scanning import Work, tool_use
from ..errors import EXIT_USAGE, OperatorError
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
from .audit_account import Account
from .audit_consensus import noted, valid_network
from .audit_exits import Exits, Place, exits_of
from .audit_leg import Leg
from .audit_resume import Resumed
from .audit_told import PlanTold
from .audit_tools import Chosen, choose_tools
from .changes_told import of_a_scan
from .containment import containment_of, wanted_by, warn_of
from .politeness import first_hops_of, pace_of, refuse_a_wide_scan, settings_in_force, spacing_of, timeout_max_of
from .run_record import evidence_file

PER_EXIT_LAB, PER_EXIT_REAL = 24, 1
PROBES_MAX = 1_000_000


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
            next_step = self._next_step(chosen)
            network = await valid_network(network, self._vantage, next_step, is_waiting=self._is_waiting)
            if self._resumed is not None and not self._args.dry_run:
                self._hold(stack)
                self._resumed = audit_resume.read_again(self._resumed, self.store)
            if self._args.iteration is not None and not self._args.dry_run:  # who is new is seen before it is asked for
                self._change = await asyncio.to_thread(self._noted, network)
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

    def _noted(self, network: Network) -> NetworkChange | None:
        return noted(network.snapshot, self._vantage, self.store, store_patience_s(self._environment))

    @property
    def is_retry(self) -> bool:
        """Whether what ended in an error is asked again, and nothing else."""
        return self._resumed is not None and self._resumed.is_retry

    def _next_step(self, chosen: Chosen) -> str:
        """What to do once there is a consensus again."""
        if self._resumed is None:
            return "try again"
        again = audit_resume.command(self.scan_id, self._args, chosen.secrets, is_retry=self.is_retry)
        return f"go on: {again}"

    # The plan.

    def _plan(self, network: Network, chosen: Chosen, exits: Exits) -> tuple[ScanPlan, Recollection]:
        tools = [tool for tool, _, _ in chosen.bound]
        unmet = {tool.id: why for tool in tools if (why := self._requirements.unmet(tool)) is not None}
        whole = make_scan_plan(
            network.snapshot, exits.relays, chosen.bound,
            unmet=unmet, repeat=self._args.repeat, is_direct_allowed=self._args.direct_control,
        )  # fmt: skip
        if whole.probes > PROBES_MAX:
            raise OperatorError(
                f"{whole.probes:,} probes are too many for one scan, {PROBES_MAX:,} is the most.",
                "Choose fewer exits (--sample, --limit) or tools, or ask each less often (--repeat).",
                EXIT_USAGE,
            )
        if self._resumed is None:
            return whole, Recollection()
        whole = with_gone(whole, exits.gone, network.snapshot.valid_after)
        known = audit_resume.recollect(self._resumed, whole, self.store, network.snapshot.valid_after)
        return left_to_do(whole, known, retry_failed=self.is_retry), known

    def _tell_plan(self, plan: ScanPlan, known: Recollection) -> None:
        told = PlanTold(self._args, self._settings, self._vantage, self._environment, self.store)
        for sentence in told.sentences(plan, known, self._resumed):
            print(f"exitpin: {printable(sentence)}", file=sys.stdout if self._args.dry_run else sys.stderr)

    # The scan.

    async def _carry_out(
        self, network: Network, plan: ScanPlan, known: Recollection, chosen: Chosen, store: Store, starts: Starts
    ) -> int:
        account = Account(
            plan, self.store, self.scan_id,
            again=audit_resume.command(self.scan_id, self._args, chosen.secrets),
            retry=audit_resume.command(self.scan_id, self._args, chosen.secrets, is_retry=True),
            is_retry=self.is_retry,
            known=[verdict.record for verdict in standing(plan, known)],
        )  # fmt: skip
        leg = Leg(self._args, account, network, store)
        wait_s = pace_of(self._settings, self._vantage, is_scan=True).outage_max_s
        around = of_a_scan(self._settings, wait_s, leg.say, leg.stop)
        work = self._work(network, plan, chosen, around, starts)
        starts.watch(leg.unlimited, Waits(self._settings, leg.say))
        status = await leg.run(work, known, lambda: self._begin(network, plan, work, store))
        self.has_outlived = leg.has_outlived
        return status

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
            events=evidence_file(self._args.events) if self._args.events else None,
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
            self._change = self._noted(network)
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
