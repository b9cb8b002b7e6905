"""`stats`: how a scan went, for teardown()."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any


class Statistics:
    """Counters, as exitmap has them. `failed_circuit_relays`: by fingerprint, why its circuit failed."""

    def __init__(self) -> None:
        self.start_time = datetime.now()
        self.total_circuits = self.failed_circuits = self.successful_circuits = 0
        self.modules_run = self.finished_streams = self.failed_streams = 0
        self.failed_circuit_relays: dict[str, dict[str, Any]] = {}
        self.pending_circuits: dict[str, Any] = {}

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Statistics":
        """Those of a scan that has ended."""
        stats = cls()
        stats.start_time = datetime.fromtimestamp(told["started"])
        stats.modules_run = 1
        stats.total_circuits, stats.failed_circuits = told["probes"], len(told["failed"])
        stats.successful_circuits = stats.finished_streams = told["probes"] - len(told["failed"])
        stats.failed_circuit_relays = {
            fingerprint: {
                "reason_key": "circuit_failed", "error": detail, "tor_reason": detail, "first_hop": None,
                "timestamp": datetime.now().timestamp(),
            }
            for fingerprint, detail in told["failed"].items()
        }  # fmt: skip
        return stats

    def get_failed_circuit_relays(self) -> dict[str, dict[str, Any]]:
        """By fingerprint, why its circuit failed."""
        return self.failed_circuit_relays

    def update_circs(self, circ_event: object) -> None:
        """Circuits are counted elsewhere."""

    def print_progress(self, sampling: int = 50) -> None:
        """Progress is shown elsewhere."""

    def __str__(self) -> str:
        failed, total = self.failed_circuits, self.total_circuits
        share = 100 * failed / total if total else 0.0
        took = datetime.now() - self.start_time
        return f"Ran {self.modules_run} module(s) in {took} and {failed}/{total} circuits failed ({share:.2f}%)."
