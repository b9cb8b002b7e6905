"""What a scan writes down: each run and each verdict as a record, with its evidence, for the store and whoever listens.

Records are made by `records.py`; this knows when there is one. Called by `auditing.py`, on its loop.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ..model import Fingerprint, Relay
from ..results.exhibit import Blob, Exhibit, pack
from .assessing import Ended
from .cases import Case, Conclusion
from .disclosure import ToolUse
from .errands import Audit, Errand
from .keys import key_of, verdict_id
from .records import Record, closed_finding, judged_again, run_record, verdict_record

Keep = Callable[[Record, Sequence[Blob]], None]
Listen = Callable[[Record], None]


class Ledger(Protocol):
    """Who writes down what came of a scan."""

    def run(self, errand: Errand, ended: Ended) -> None:
        """A run has been judged (or needs no judge), for the first time or again."""

    def verdict(self, audit: Audit, case: Case, conclusion: Conclusion, runs: Sequence[Ended]) -> None:
        """A case is closed."""

    def wait_for_disk(self, resume: Callable[[], None]) -> bool:
        """Whether so much waits to be written that no run should start; then `resume` is called when less does."""


class Disk(Protocol):
    """The store, as far as it may hold up a scan."""

    @property
    def is_full(self) -> bool: ...

    def call_when_drained(self, resume: Callable[[], None]) -> None: ...


class RecordLedger:
    """Hands records and their evidence to each of `keepers`. `uses`: how each tool is used, by its id; `shared`: as for
    `observation.fold`; `descriptors`: of the snapshot, by fingerprint; `disk`: what may be slower than the scan."""

    def __init__(
        self,
        uses: Mapping[str, ToolUse],
        shared: Mapping[str, object],
        keepers: Sequence[Keep],
        descriptors: Mapping[Fingerprint, str] | None = None,
        disk: Disk | None = None,
    ) -> None:
        self._uses = uses
        self._shared = shared
        self._keepers = keepers
        self._descriptors = descriptors or {}
        self._disk = disk
        self._is_waiting = False
        self._begun = time.time()

    def run(self, errand: Errand, ended: Ended) -> None:
        """A run has ended, or has been judged, or judged again."""
        use = self._uses[errand.audit.tool.id]
        if ended.told is not None:
            ended.told = judged_again(ended.told, use, ended.controls, ended.judgement)
            self._keep(ended.told, ())
            return
        evidence = list(ended.exhibits.values())
        record = run_record(
            ended.record,
            use,
            key=key_of(errand.audit, errand.relay),
            role=errand.role.value,
            repetition=errand.repetition,
            nonce=ended.values.get("nonce", ""),
            stdout=ended.harvest.stdout,
            stderr=ended.harvest.stderr,
            facts=ended.facts if ended.observation is not None else None,
            is_exact=ended.is_exact,
            failure=ended.failure,
            doubts=ended.doubts,
            unusable=ended.unusable,
            controls=ended.controls,
            judgement=ended.judgement,
            evidence=evidence,
        )
        self._keep(record, [one.blob for one in evidence if one.blob.packed])
        ended.exhibits = {one.name: one.kept() for one in evidence}

    def verdict(self, audit: Audit, case: Case, conclusion: Conclusion, runs: Sequence[Ended]) -> None:
        """A case is closed. Its controls are those of the last run that had any."""
        controls = next((ended.controls for ended in reversed(runs) if ended.controls is not None), None)
        key = key_of(audit, case.exit)
        evidence = [self._descriptor(case.exit)] if conclusion.status.is_finding else []
        record = verdict_record(
            conclusion,
            self._uses[audit.tool.id],
            case.exit,
            self._shared,
            verdict_id=verdict_id(str(self._shared["scan_id"]), key),
            key=key,
            attempts=case.attempts,
            controls=controls,
            started=min((attempt.ended_at for attempt in case.attempts), default=self._begun),
            ended=time.time(),
            evidence=[one for one in evidence if one is not None],
        )
        self._keep(record, [one.blob for one in evidence if one is not None])

    def close_finding(self, finding: Record, layer: str, why: str) -> None:
        """A finding of an earlier session can't be confirmed any more: it stands as it is."""
        self._keep(closed_finding(finding, layer, why), ())

    def wait_for_disk(self, resume: Callable[[], None]) -> bool:
        """Whether no run should start, for too much waits to be written; then `resume` is called when less does."""
        if self._disk is None or not self._disk.is_full:
            return False
        if not self._is_waiting:
            self._is_waiting = True
            self._disk.call_when_drained(lambda: self._drained(resume))
        return True

    def _drained(self, resume: Callable[[], None]) -> None:
        self._is_waiting = False
        resume()

    def _descriptor(self, relay: Relay) -> Exhibit | None:
        """The server descriptor of an exit of which something is found: what it declared at that time."""
        text = self._descriptors.get(relay.fingerprint)
        return None if text is None else Exhibit("descriptor", pack(text.encode("utf-8", "surrogateescape")))

    def _keep(self, record: Record, blobs: Sequence[Blob]) -> None:
        for keep in self._keepers:
            keep(record, blobs)


def listening(listen: Listen) -> Keep:
    """A keeper that wants the records alone."""
    return lambda record, _: listen(record)
