"""What `exitpin replay` does once it knows its vantage: the tool as it was, the exit, and the runs."""

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from ...wrappers.output import printable
from ...wrappers.requirements import Requirements
from ...wrappers.tool_files import load_catalogue
from ..allowance import Starts
from ..audit import scan_record
from ..audit.controls import ControlPool
from ..audit.errands import Audit
from ..audit.keys import audit_key
from ..audit.params import Bound, selection_destinations
from ..audit.replaying import Replayer, replay
from ..audit.scanning import Work, tool_use
from ..errors import EXIT_FAILED, OperatorError
from ..model import Fingerprint, Relay
from ..network import Network, Vantage, open_network
from ..results.exhibit import Blob
from ..results.store import Store, store_path
from ..tool import Tool
from .allowing import Waits, open_starts
from .changes_told import of_runs
from .containment import containment_of, wanted_by, warn_of
from .guarding import guarding
from .politeness import first_hops_of, pace_of, settings_in_force, timeout_max_of
from .replay_told import tell
from .replay_tool import ToolAgain, tool_again
from .results_store import shown
from .say import say

Json = dict[str, Any]


class ReplayRun:
    """One `exitpin replay`. `record`: of the run; `scan`: what is known of its scan."""

    def __init__(
        self, args: argparse.Namespace, vantage: Vantage, environment: Mapping[str, str], record: Json, scan: Json
    ) -> None:
        self._args = args
        self._vantage = vantage
        self._environment = environment
        self._record = record
        self._scan = scan
        self._rng = Random(secrets.randbits(64))
        self._settings = settings_in_force(args, environment, vantage)
        self._store_path = Path(args.store or store_path(environment)).absolute()
        self._made: list[Json] = []
        self._interrupted_by: int | None = None
        self._unlimited = ""  # why nothing may be started any more
        self.scan_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"

    async def execute(self) -> int:
        """Make the runs, record them, and say what differs. Raises OperatorError before the first run, never after."""
        word, again = self._tool()
        tool = again.tool
        self._containment = containment_of(self._args, wanted_by([tool]))
        self._requirements = Requirements(self._environment, self._containment)
        if (why := self._requirements.unmet(tool)) is not None:
            raise OperatorError(f"{tool.id} can't be run here: {why}.", "`exitpin doctor` says what is missing.")
        async with open_network(self._vantage) as network, AsyncExitStack() as stack:
            relay = self._relay(network)
            if not self._vantage.is_lab:
                warn_of(self._containment)
            audit, store = self._audit(tool, again.bound), Store(self._store_path)
            try:
                starts = stack.enter_context(open_starts(self._settings, self._vantage, self._environment))
                work = self._work(network, tool, relay, word, starts)
                store.add_scan(self._scan_record(work, network, audit, relay))
                ended, trust_lost = await replay(
                    work,
                    network,
                    audit,
                    relay,
                    self._args.repeat,
                    self._keeper(store),
                    lambda replayer: self._guarding(replayer, starts),
                )
                await store.close()
            finally:
                await store.abandon()
        stopped = trust_lost if trust_lost is not None else self._unlimited
        if stopped:
            print(f"exitpin: stopped: {printable(stopped)}", file=sys.stderr)
        doubts = {one.run_id: one.doubts[0] for one in ended if one.doubts}
        status = tell(self._store_path, self._record, self._made, doubts, again.caveats, as_json=self._args.json)
        if self._interrupted_by is not None:
            return 128 + self._interrupted_by
        return EXIT_FAILED if stopped else status

    # What is made again.

    def _tool(self) -> tuple[str, ToolAgain]:
        """How it was named, and what it is now. Raises OperatorError where that is not what it was."""
        word = str(self._told_of_tool().get("word") or self._record["tool"]["id"])
        return word, tool_again(
            self._record, word, load_catalogue(self._environment, Path.cwd()), self._args.params, self._settings.params,
            anyway=self._args.anyway, is_lab=self._vantage.is_lab,
        )  # fmt: skip

    def _told_of_tool(self) -> Json:
        """What the scan says of the tool."""
        tools: list[Json] = self._scan.get("tools") or []
        return next((one for one in tools if one.get("id") == self._record["tool"]["id"]), {})

    def _relay(self, network: Network) -> Relay:
        told = self._record.get("exit") or {}
        relay = network.snapshot.relays.get(Fingerprint(str(told.get("fingerprint"))))
        if relay is None:
            raise OperatorError(
                f"exit {shown(told.get('nickname'))} ({shown(told.get('fingerprint'))}) is not in the consensus of"
                f" {network.snapshot.valid_after} UTC.",
                "It has left the network, or this is another network than the recorded one.",
            )
        return relay

    def _audit(self, tool: Tool, bound: Bound) -> Audit:
        key = audit_key(tool.digest, bound.values)
        return Audit(tool, bound, key, ControlPool(tool.baseline), (), selection_destinations(tool, bound))

    def _work(self, network: Network, tool: Tool, relay: Relay, word: str, starts: Starts) -> Work:
        pace = pace_of(self._settings, self._vantage)
        around = of_runs(self._settings, pace.outage_max_s, say)
        return Work(
            scan_id=self.scan_id,
            vantage=self._vantage,
            environment=self._environment,
            containment=self._containment,
            jobs=1,
            per_exit=1,
            spacing_s=0.0,
            jitter_s=0.0,
            pace=pace,
            starts=starts,
            first_hops=first_hops_of(self._settings, network.snapshot, {relay}, around.health),
            surroundings=around,
            rng=self._rng,
            timeout_max_s=timeout_max_of(self._settings, self._vantage),
            given={tool.id: frozenset(self._told_of_tool().get("given") or ())},
            words={tool.id: word} if word != tool.id else {},
            versions={tool.id: self._requirements.versions(tool)},
        )

    def _scan_record(self, work: Work, network: Network, audit: Audit, relay: Relay) -> Json:
        """A replay is a scan without verdicts: nothing was planned, and nothing is left to do."""
        from exitpin import __version__

        vantage = {"kind": self._vantage.kind, "name": self._vantage.name, "tor": network.tor_version}
        begun = scan_record.begin(
            self.scan_id, time.time(), exitpin=__version__, vantage=vantage, consensus=network.snapshot.valid_after,
            snapshot=(), tools=[scan_record.tool_of_scan(tool_use(work, audit), audit.key)], exits=[relay.fingerprint],
            settings={},
        )  # fmt: skip
        return {
            **scan_record.end(begun, time.time(), scan_record.DONE),
            "planned": 0,
            "replays": self._record["run_id"],
        }

    def _keeper(self, store: Store) -> Any:
        def keep(record: Json, blobs: Sequence[Blob]) -> None:
            told = {**record, "replays": self._record["run_id"]}
            self._made.append(told)
            store.add(told, blobs)

        return keep

    def _guarding(self, replayer: Replayer, starts: Starts) -> AbstractContextManager[None]:
        """A signal ends what runs; so does an exception that nobody caught, and a limit that can't be kept."""
        loop = asyncio.get_running_loop()

        def stop(why: str) -> None:
            self._unlimited = why
            loop.call_soon(replayer.interrupt, why)

        starts.watch(stop, Waits(self._settings))

        def interrupted(signo: int) -> None:
            self._interrupted_by = signo
            replayer.interrupt("interrupted by the user")

        return guarding(interrupted, replayer.lose_trust)
