"""All that there is to say of one finding, gathered from a store for a mail: its details, its runs, its evidence, and
what else the scan and earlier ones say of the exit. Decides nothing. Called by `exitpin report email`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..results.exhibit import exhibits
from ..results.stored import Reader
from ..results.wanted import FINDINGS, Wanted
from .by_hand import Recipe
from .details import Detail, Details
from .fields import Record, table, tables, text
from .survey import verdict_row

OTHERS_MAX = 20  # verdicts on the same exit
NOTHING = Recipe()


@dataclass(frozen=True, slots=True)
class Finding:
    """`record`: the verdict's; `runs`: those of its runs whose records are in the store; `others`: the scan's other
    verdicts on this exit that are findings, and `honest`: how many are ok; `evidence`: the pieces by whose they are;
    `exitpin`: its version; `by_hand`: what to type instead of the tool's command, if its file says so."""

    record: Record
    detail: Detail
    runs: Sequence[Record]
    others: Sequence[Record]
    honest: int
    evidence: Sequence[tuple[str, Sequence[Record]]]
    exitpin: str
    by_hand: Recipe = NOTHING

    @property
    def status(self) -> str:
        return text(self.record, "status")

    @property
    def lab(self) -> str:
        """The name of the lab where it was found; empty for the Tor network."""
        vantage = table(self.record, "vantage")
        return text(vantage, "name") or "?" if text(vantage, "kind") == "lab" else ""

    @property
    def accusing(self) -> Sequence[Record]:
        """The runs that lied; where none did, all of them."""
        return [run for run in self.runs if text(run, "status") in FINDINGS] or self.runs


def _is_same(one: Record, other: Record) -> bool:
    return text(one, "verdict_id") == text(other, "verdict_id")


def gather(reader: Reader, record: Record, clock: Callable[[], float], by_hand: Recipe = NOTHING) -> Finding:
    """The finding whose verdict this is. `clock`: as time.monotonic; `by_hand`: as the tool's file has it. Raises
    OperatorError."""
    detail = Details(reader, clock).laid_out(verdict_row(record), record)
    found = [reader.record(text(told, "run_id")) for told in tables(record, "runs")]
    runs = [run for run in found if run is not None]
    scan_id, fingerprint = text(record, "scan_id"), text(table(record, "exit"), "fingerprint")
    wanted = Wanted(scan=scan_id, exit=fingerprint, kind="verdict", gravest_first=True, limit=OTHERS_MAX)
    same_exit = list(reader.query(wanted))
    kept = [(f"run {text(run, 'run_id').rpartition('-')[2]}", list(exhibits(run))) for run in runs]
    return Finding(
        record=record,
        detail=detail,
        runs=runs,
        others=[one for one in same_exit if text(one, "status") in FINDINGS and not _is_same(one, record)],
        honest=sum(text(one, "status") == "ok" for one in same_exit),
        evidence=[("the relay", list(exhibits(record))), *kept],
        exitpin=text(reader.scan(scan_id), "exitpin"),
        by_hand=by_hand,
    )
