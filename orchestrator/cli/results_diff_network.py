"""What `results diff` tells of the network itself: policies and flags that changed from one snapshot to the other."""

from collections.abc import Collection, Iterator, Sequence
from functools import cache
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
    if [] in documents:
        scan = (before, after)[documents.index([])]
        return [], f"changed policies and flags can't be told: no snapshot was kept with scan {scan}"
    was, now = documents
    return exit_changes(was, now, exits), None


def _documents(reader: Reader, scan_id: str) -> list[Documents]:
    """The documents that a scan went by, of each leg. Raises BlobError."""
    found = []
    read = cache(reader.blobs.read)  # several legs may have gone by one consensus
    for leg in tables(reader.scan(scan_id), "legs"):
        kept = {text(item, "name"): text(item, "sha256") for item in tables(leg, "evidence")}
        if "consensus" in kept:
            described = read(kept["descriptors"]) if "descriptors" in kept else b""
            found.append(Documents(read(kept["consensus"]), described))
    return [leg for leg in found[:-1] if leg.descriptors] + found[-1:]


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
