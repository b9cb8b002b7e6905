"""Evidence for one page: pieces of the store and records of runs, read once however many verdicts rest on them.

A scan's controls are shared: the same twenty runs stand under each finding of a tool. Kept is what is asked for again,
and little of it. A piece that is missing or damaged is none, with a reason; nothing here raises for it. Called by
`details.py`.
"""

from functools import lru_cache

from ...wrappers.certificates import certificates
from ..results.exhibit import BlobError, exhibits
from ..results.stored import Reader
from .differences import Chain
from .fields import Record, table, text

RUNS_KEPT = 256
PIECES_KEPT = 16
CHAINS_KEPT = 512
ARTIFACT = "artifact:"


class Exhibition:
    """What is kept of the runs of one store."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.run = lru_cache(RUNS_KEPT)(self._run)
        self.content = lru_cache(PIECES_KEPT)(self._content)
        self._chain = lru_cache(CHAINS_KEPT)(self._chain_of)

    def chain(self, run: Record) -> Chain:
        """The certificates in what a run's tool wrote; none, if it was not kept."""
        sha256 = digests(run).get("stdout")
        if sha256 is not None:
            return self._chain(sha256)
        return certificates(text(table(run, "process"), "stdout").encode("utf-8", "replace"))

    def _run(self, run_id: str) -> Record | None:
        return self._reader.record(run_id) if run_id else None

    def _content(self, sha256: str) -> tuple[bytes, str]:
        """A piece, and why there is none."""
        try:
            return self._reader.blobs.read(sha256), ""
        except BlobError as error:
            return b"", str(error)

    def _chain_of(self, sha256: str) -> Chain:
        return certificates(self.content(sha256)[0])


def digests(run: Record) -> dict[str, str]:
    """The pieces of a run by name: their SHA-256."""
    return {text(item, "name"): text(item, "sha256") for item in exhibits(run)}


def artifacts(run: Record) -> list[str]:
    """The names of the pieces that are files which the tool left."""
    return [name for name in digests(run) if name.startswith(ARTIFACT)]
