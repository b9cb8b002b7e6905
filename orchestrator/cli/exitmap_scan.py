"""What `exitpin exitmap` does that `exitpin run` does not: setup() first, destinations from it, what each probe is told
of its exit, teardown() last. Between them it is a scan of runs, whose command is one probe.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...wrappers.desk import Given
from ...wrappers.exitmap.imports import Outline
from ...wrappers.exitmap.scan_files import FOLDER, RETURNED, ScanFiles, Spec
from ...wrappers.launch import ToolLaunch
from ...wrappers.runtime import scratch_directory
from ..errors import OperatorError
from ..model import Destination
from ..network import Network, Vantage
from ..observation import failure_of
from ..ports import Launch
from ..runs import Life
from ..selection import Selection, allowed, find_relay
from .asked import Asked
from .exitmap_parts import DIRECT, OFFLINE, Parts, command_of
from .run_given import given_in_words
from .run_record import events_path, evidence_file
from .run_scan import Scan
from .say import say
from .selectors import choose, parse_destination

EXITED = "probe() has exited, and not returned"
ASKS_BY_ITSELF = "asks name servers itself, over UDP"


class ModuleScan(Scan):
    """One `exitpin exitmap`. `module`: its file; `outline`: what that says of itself, and the digest that holds."""

    def __init__(
        self,
        args: argparse.Namespace,
        vantage: Vantage,
        module: Path,
        outline: Outline,
        environment: Mapping[str, str],
    ) -> None:
        self._module = module
        self._outline = outline
        self._began = time.time()
        self._is_set_up = False
        self._destinations: tuple[Destination, ...] = ()
        args.resolve = args.resolve or ("exit" if "torsocks" in self._outline.imports else "mapped")
        super().__init__(args, vantage, Asked(command_of("probe", module), environment))
        self._scan.update(verb="exitmap", words=self._words())

    async def execute(self) -> int:
        """Carry everything out. Raises OperatorError before the first probe, never after."""
        with scratch_directory() as directory:
            self._files = ScanFiles(directory / "module")
            self._environment = {**self._environment, FOLDER: str(self._files.path)}
            self._parts = Parts(
                directory, self._environment, self._containment, self._settings, self._rng,
                self._module, self.scan_id, self._kept(),
            )  # fmt: skip
            try:
                status = await super().execute()
            except OperatorError:
                await self._tear_down()
                raise
            if status > 128 and self._has_teardown:
                say("interrupted: teardown() was not run")
                return status
            return await self._tear_down() or status

    @property
    def _has_teardown(self) -> bool:
        """Whether there is anything to be done at the end."""
        return self._is_set_up and "teardown" in self._outline.names

    async def _tear_down(self) -> int:
        """teardown(), if setup() came to its end; an exit status, 0: all is well."""
        if not self._has_teardown:
            return 0
        self._files.tell_stats(self._stats())
        return await self._parts.tear_down()

    async def _select(self, network: Network) -> Selection:
        """setup(), and then the exits that allow one of the destinations that it left."""
        args, snapshot = self._args, network.snapshot
        where = None if args.setup in (OFFLINE, DIRECT) else find_relay(snapshot, args.setup)
        known = await self._known(network)
        self._files.begin(self._spec(), snapshot.consensus)
        if args.setup == DIRECT:
            ended = await self._parts.set_up_directly()
        elif where is None:
            ended = await self._parts.set_up_offline()
        else:
            ended = await self._parts.set_up_through(network, self._vantage, where, self._scan)
        prepared = self._parts.prepared(self._files, ended)
        self._is_set_up = True
        self._destinations = tuple(Destination(*one) for one in prepared.destinations or ())
        selection = choose(args, snapshot, self._rng, self._destinations, known)
        for relay in selection.exits:
            text = snapshot.descriptors.get(relay.fingerprint, "")
            mine = None if prepared.destinations is None else allowed(relay, self._destinations)
            self._files.tell_exit(relay.fingerprint, text, mine)
        return selection

    def _words(self) -> list[str]:
        """What says on a command line which module it is, and how it is run."""
        args = self._args
        given = {"--host": args.host, "--port": args.port, "--setup": None if args.setup == OFFLINE else args.setup}
        return [str(self._module), *(f"{name}={value}" for name, value in given.items() if value is not None)]

    def _spec(self) -> Spec:
        args, first_hops = self._args, self._settings.first_hops
        folder = None
        if args.analysis_dir:
            stamp = time.strftime("%Y-%m-%d_%H:%M:%S%z", time.localtime(self._began))
            folder = str(Path(args.analysis_dir).absolute() / f"{stamp}_{self._module.stem}")
        first_hop = first_hops[0] if len(first_hops) == 1 else None
        return Spec(str(self._module), self._outline.digest, (args.host, args.port), args.verbosity, folder, first_hop)

    def _wanted(self) -> dict[str, str]:
        wanted = super()._wanted()
        if self._args.containment is None and "dns" in self._outline.imports:
            wanted = {**wanted, "notify": f"{self._module.name} imports dnspython, which {ASKS_BY_ITSELF}"}
        return wanted

    def _wants_foreground(self, runs: int) -> bool:
        return False

    def _named(self) -> list[Destination]:
        return [*(parse_destination(text) for text in self._args.destinations), *self._destinations]

    def _kept(self) -> Path:
        """Where this scan's evidence is kept: always, for findings are files and lines of a log here."""
        if self._args.events:
            return evidence_file(self._args.events)
        return events_path(self._environment, self.scan_id)

    def _events_path(self) -> Path:
        return self._kept()

    def _finished(self, life: Life, launch: Launch | None) -> None:
        """A probe that left with 0, and did not return, has not done what it was begun for."""
        if isinstance(launch, ToolLaunch):
            facts = dict(launch.given.facts)
            has_returned = facts.pop(RETURNED, None) is not None
            if not has_returned and failure_of(life) is None and not launch.given.problem:
                launch.given = replace(launch.given, problem=EXITED, kind="tool")
            launch.given = replace(launch.given, facts=facts)
        super()._finished(life, launch)

    def _in_words(self, given: Given) -> Iterator[str]:
        """What was dumped: lines of the log, and what was raised, have been shown as they came."""
        dumped = tuple(path for path in given.evidence if not path.endswith("/log.txt"))
        return given_in_words(replace(given, facts={}, evidence=dumped))

    def _stats(self) -> dict[str, Any]:
        """How the probes ended, as teardown() is told."""
        failures = [(life.run.exit.fingerprint, failure_of(life)) for life in self._lives]
        lost = {
            fingerprint: failure.detail
            for fingerprint, failure in failures
            if failure is not None and failure.kind in ("circuit", "circuit-lost")
        }
        hung = [fingerprint for fingerprint, failure in failures if failure is not None and failure.kind == "timeout"]
        return {"started": self._began, "probes": len(self._lives), "failed": lost, "terminated_relays": hung}
