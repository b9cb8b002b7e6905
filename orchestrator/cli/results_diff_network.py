"""What `results diff` tells of the network itself: policies and flags that changed from one snapshot to the other."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from ..report.fields import tables, text
from ..results.changed_exits import Documents, ExitChange, exit_changes
from ..results.exhibit import BlobError
from ..results.stored import Reader
from .results_store import shown

SHOWN_MAX = 160  # characters of a cell


def changes_between(
    reader: Reader, before: str, after: str, exits: Collection[str]
) -> tuple[list[ExitChange], str | None]:
    """What changed of the exits that both scans were to ask, and why that can't be told, if it can't."""
    try:
        documents = [_documents(reader, scan) for scan in (before, after)]
    except BlobError as error:
        return [], f"changed policies and flags can't be told: {error}"
    if None in documents:
        scan = (before, after)[documents.index(None)]
        return [], f"changed policies and flags can't be told: no snapshot was kept with scan {scan}"
    one, other = documents
    assert one is not None and other is not None
    return exit_changes(one, other, exits), None


def _documents(reader: Reader, scan_id: str) -> Documents | None:
    """The documents that a scan went by. Raises BlobError."""
    named = [(text(item, "name"), text(item, "sha256")) for leg in tables(reader.scan(scan_id), "legs")
             for item in tables(leg, "evidence")]  # fmt: skip
    consensus = [sha256 for name, sha256 in named if name == "consensus"]
    descriptors = dict.fromkeys(sha256 for name, sha256 in named if name == "descriptors")
    if not consensus:
        return None
    return Documents(reader.blobs.read(consensus[-1]), [reader.blobs.read(sha256) for sha256 in descriptors])


def network_rows(changes: Sequence[ExitChange]) -> Iterator[list[str]]:
    """Lines of the table: what is no more stands before, what is new after."""
    for change in changes:
        exit = f"{shown(change.nickname)}/{shown(change.exit)[:8]}"
        yield [change.kind, "", exit, _cell(change.lost), _cell(change.gained), "", "", ""]


def plain(changes: Sequence[ExitChange]) -> list[dict[str, Any]]:
    """As JSON values."""
    return [
        {"change": change.kind, "exit": {"fingerprint": change.exit, "nickname": change.nickname or None},
         "lost": list(change.lost), "gained": list(change.gained)}
        for change in changes
    ]  # fmt: skip


def _cell(words: Sequence[str]) -> str:
    told = shown(", ".join(words))
    return told if len(told) <= SHOWN_MAX else f"{told[:SHOWN_MAX]}..."
