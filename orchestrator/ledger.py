"""What a scan writes down: each run and each verdict as a record, to the store and to whoever listens.

Records are made by `records.py`; this knows when there is one. Called by `auditing.py`, on its loop.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence

from .assessing import Ended
from .cases import Case, Conclusion
from .disclosure import ToolUse
from .errands import Audit, Errand
from .model import Relay
from .records import Record, run_record, verdict_record

Keep = Callable[[Record], None]


class RecordLedger:
    """Hands records to each of `keepers`. `uses`: how each tool is used, by its id; `shared`: as for
    `observation.fold`."""

    def __init__(self, uses: Mapping[str, ToolUse], shared: Mapping[str, object], keepers: Sequence[Keep]) -> None:
        self._uses = uses
        self._shared = shared
        self._keepers = keepers
        self._begun = time.time()
        self._count = 0

    def run(self, errand: Errand, ended: Ended) -> None:
        """A run has been judged, or needs no judge."""
        use = self._uses[errand.audit.tool.id]
        record = run_record(
            ended.record,
            use,
            key=key_of(errand.audit, errand.relay),
            role=errand.role.value,
            stdout=ended.harvest.stdout,
            stderr=ended.harvest.stderr,
            facts=ended.facts if ended.observation is not None else None,
            controls=ended.controls,
            judgement=ended.judgement,
        )
        self._keep(record)

    def verdict(self, audit: Audit, case: Case, conclusion: Conclusion, runs: Sequence[Ended]) -> None:
        """A case is closed. Its controls are those of the last run that had any."""
        controls = next((ended.controls for ended in reversed(runs) if ended.controls is not None), None)
        self._count += 1
        record = verdict_record(
            conclusion,
            self._uses[audit.tool.id],
            case.exit,
            self._shared,
            verdict_id=f"{self._shared['scan_id']}-v{self._count:05d}",
            key=key_of(audit, case.exit),
            attempts=case.attempts,
            controls=controls,
            started=min((attempt.ended_at for attempt in case.attempts), default=self._begun),
            ended=time.time(),
        )
        self._keep(record)

    def _keep(self, record: Record) -> None:
        for keep in self._keepers:
            keep(record)


def key_of(audit: Audit, relay: Relay) -> str:
    """By what the same question is recognised in another scan: tool digest, parameters, exit."""
    return hashlib.sha256(f"{audit.key}\0{relay.fingerprint}".encode()).hexdigest()


def audit_key(digest: str, values: Mapping[str, str]) -> str:
    """The part of the key that all exits share."""
    return hashlib.sha256(json.dumps([digest, sorted(values.items())]).encode()).hexdigest()
