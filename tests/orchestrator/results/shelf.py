"""A finding and its pieces, in memory, to be changed and checked."""

import copy
from typing import Any

from exitpin.orchestrator.results.check import Checked, check_run
from exitpin.orchestrator.results.check_verdict import check_verdict
from exitpin.orchestrator.results.exhibit import BlobError, exhibit, pack
from exitpin.orchestrator.results.pieces import Pieces

from .proven import OUTPUT, events_of, finding

Record = dict[str, Any]


class Shelf:
    """Pieces by their hash."""

    def __init__(self) -> None:
        self.records, blobs = finding()
        self.contents = {blob.sha256: blob for blob in blobs}
        self.verdict, self.run, self.control = copy.deepcopy(self.records)
        self.pieces = Pieces(self.read)
        self.more: list[bytes] = []

    def add(self, run: Record, name: str, content: bytes) -> None:
        """One piece more for a run."""
        self.more.append(content)
        run["evidence"].append(exhibit(name, pack(content)))

    def read(self, sha256: str) -> bytes:
        contents = [
            events_of("s-0001"),
            events_of("s-0002"),
            OUTPUT,
            b"router evil 198.51.100.1 9001 0 0\n",
            *self.more,
        ]
        found = {pack(content).sha256: content for content in contents}
        if sha256 not in found:
            raise BlobError(f"evidence {sha256[:16]} is missing")
        return found[sha256]

    def find(self, run_id: str) -> Record | None:
        return {"s-0001": self.run, "s-0002": self.control}.get(run_id)

    def check(self, *, is_whole: bool = False) -> Checked:
        found = check_verdict(self.verdict, self.pieces, self.find, is_whole=is_whole)
        for run in (self.run, self.control):
            found.add(check_run(run, self.pieces))
        return found

    def judge(self, status: str, *others: str) -> None:
        """Let the run of the verdict, and others that are gone, be judged so."""
        self.run["verdict"]["status"] = self.run["status"] = status
        self.verdict["runs"] = [
            {**self.verdict["runs"][0], "run_id": f"s-{number:04}", "status": one}
            for number, one in zip([1, *range(3, 30)], [status, *others], strict=False)
        ]
