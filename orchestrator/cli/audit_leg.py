"""One leg of a scan: all that is asked by one snapshot, and whoever hears of it: the store, standard output, the
command of --on, the user. Called by `audit_scan.py`, which has made the plan.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from ...wrappers.output import LineWriter, printable
from ..audit import scan_record
from ..audit.alerts import Alerts
from ..audit.ledger import listening
from ..audit.recalling import Recollection
from ..audit.scanning import Scan, Work
from ..errors import EXIT_FAILED, OperatorError
from ..network import Network
from ..results.store import Store
from . import audit_resume
from .audit_account import Account, exit_status
from .audit_alerts import Alerting, untold
from .audit_consensus import Expiry
from .audit_findings import findings_table
from .audit_guard import Guard
from .audit_shortage import Shortage
from .say import say


class Leg:
    """`has_outlived`: its snapshot's validity ended first, and another leg has to go on."""

    def __init__(self, args: argparse.Namespace, account: Account, network: Network, store: Store) -> None:
        self._args = args
        self._account = account
        self._network = network
        self._store = store
        self._writer = LineWriter(1, lambda: self._scan.interrupt("whoever read the output has gone"))
        self._shortage = Shortage(self.stop)
        self._scan: Scan  # from `run` on, as the next three
        self._record: scan_record.Record
        self._alerting: Alerting
        self._guard: Guard
        self._expiry: Expiry | None = None
        self.has_outlived = False

    async def run(self, work: Work, known: Recollection, write_down: Callable[[], scan_record.Record]) -> int:
        """Ask, and tell what came of it; the exit status. `write_down`: records what is begun, before anything is."""
        keepers = [self._store.add, *map(listening, (self._account.add, self._judged, self._shortage.judged))]
        if self._args.json:
            keepers.append(listening(self._show))
        self._scan = Scan(work, self._network, self._account.plan, keepers, known, self._store)
        is_shown = sys.stderr.isatty() and not self._args.json
        self._guard = Guard(self._scan, self._account, is_shown=is_shown)
        with self._guard:  # from the first word to the last: whoever is impatient still hears how to go on
            await self._begin(work, known, write_down)
            expiry = self._expiry = Expiry(self._network.snapshot, self._scan.drain)
            try:
                await self._scan.run()
            finally:
                expiry.cancel()
                await self._end()
            is_cut_short = self._state == scan_record.INTERRUPTED
            self.has_outlived = expiry.has_come and is_cut_short and self._guard.interrupted_by is None
            if self.has_outlived:
                say(self._account.outlived(self._network.snapshot.valid_after))
                return EXIT_FAILED
            self._tell()
        if self._writer.problem is not None:
            return EXIT_FAILED
        return exit_status(self._account, self._args.fail_on, self._guard.interrupted_by, self._scan.trust_lost)

    async def _begin(self, work: Work, known: Recollection, write_down: Callable[[], scan_record.Record]) -> None:
        self._record = await asyncio.to_thread(write_down)
        alerts = Alerts(work.scan_id, self._args.on, self._record.get("alerted"))
        self._alerting = Alerting(alerts, self._args, work.environment, self._scan.guests, self._keep_record)
        self._guard.alerting = self._alerting
        self._store.on_problem, self._store.on_recorded = self._lose, self._alerting.recorded
        self._store.on_short_of_files = self._shortage.met
        for record in known.superseded:
            self._store.add(record)
        due = await asyncio.to_thread(untold, alerts, self._account.known, self._account.store)
        self._alerting.catch_up(due)

    # What others say while it runs.

    def say(self, sentence: str) -> None:
        """A sentence beside the progress."""
        self._guard.say(sentence)

    def stop(self, why: str) -> None:
        """End it: what runs is interrupted."""
        self._account.problem(f"stopped: {why}")
        self._scan.interrupt(why)

    def unlimited(self, why: str) -> None:
        """The limits can't be kept any more."""
        self._account.problem(why)
        asyncio.get_running_loop().call_soon(self._scan.interrupt, why)

    def _lose(self, why: str) -> None:
        self._scan.interrupt(f"a record could not be written: {why}")
        self._alerting.lost()

    # Its records.

    def _judged(self, record: Mapping[str, Any]) -> None:
        self._alerting.judged(record)

    def _show(self, record: Mapping[str, Any]) -> None:
        is_outlived = self._expiry is not None and self._expiry.has_come
        if is_outlived and record.get("interrupted") and record["status"] == "error":
            return  # its question is asked by the next snapshot
        if self._args.runs or record["schema"] != "exitpin.run/1":
            self._writer.put(json.dumps(record, ensure_ascii=True).encode() + b"\n")

    def _keep_record(self) -> None:
        """With those that somebody was told of."""
        self._record = scan_record.with_alerted(self._record, self._alerting.alerts.told)
        self._store.add_scan(self._record)

    # Its end.

    @property
    def _state(self) -> str:
        return self._account.state(self._scan.trust_lost)

    async def _end(self) -> None:
        """All that was judged is told and recorded, as far as it can be."""
        await self._alerting.finish()
        self._guard.hide_progress()
        self._store.add_scan(scan_record.end(self._record, time.time(), self._state))
        try:
            await self._store.close()
        except OperatorError as error:
            self._account.problem(str(error))
            self._account.recorded = await asyncio.to_thread(
                audit_resume.recorded, self._account.scan_id, self._account.store
            )
        await self._writer.close()

    def _tell(self) -> None:
        account = self._account
        sentences = account.sentences(interrupted=self._guard.interrupted_by, trust_lost=self._scan.trust_lost)
        for sentence in [*sentences, *self._alerting.alerts.sentences(account.again)]:
            print(f"exitpin: {printable(sentence)}", file=sys.stderr)
        if not self._args.json:
            print(findings_table(account.findings_recorded, account.scan_id), end="", flush=True)
