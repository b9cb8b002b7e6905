"""What came of a replay, beside the recorded run: on a page, or as JSON; and the exit status that it makes."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..audit.conclusions import LAYERS
from ..errors import EXIT_FAILED
from ..report.fields import moment
from ..report.rerun import Made, Rerun, compare
from ..results.exact_facts import exact_facts
from ..results.exhibit import BlobError, exhibits
from ..results.stored import Reader, open_store
from .page import Line, print_page, told_lines
from .results_store import exit_name, shown

NOT_OUTPUT = ("events", "facts")
SILENT = frozenset(LAYERS) - {"parse"}
"""Kinds of failures after which there is nothing to compare."""

Json = dict[str, Any]


def tell(
    store: Path,
    record: Json,
    made: Sequence[Json],
    doubts: Mapping[str, str],
    caveats: Sequence[str] = (),
    *,
    as_json: bool,
) -> int:
    """Print each of the runs made beside the recorded one. `doubts`: why the attribution of some can't be recomputed;
    `caveats`: why they may have been asked something else. 0: all are the same; 1: one differs; 125: one says nothing,
    or there is none."""
    reader = open_store(store)
    assert reader is not None
    statuses = []
    with reader:
        then = as_made(reader, record)
        for now in made:
            failure = now.get("failure") or {}
            why = doubts.get(now["run_id"]) or (failure.get("detail") if failure.get("kind") in SILENT else None)
            if why is not None:
                print(f"exitpin: {shown(now['run_id'])} says nothing: {shown(why)}", file=sys.stderr)
                statuses.append(EXIT_FAILED)
                continue
            found = compare(then, as_made(reader, now), time.monotonic)
            statuses.append(1 if found.differs else 0)
            (_print_json if as_json else _print_page)(record, now, found, caveats)
    return max(statuses, default=EXIT_FAILED)


def as_made(reader: Reader, record: Json) -> Made:
    """A run as it is compared, with what the store kept of it."""
    facts = exact_facts(reader, record)
    pieces = {}
    for piece in exhibits(record):
        if piece["name"] not in NOT_OUTPUT:
            try:
                pieces[str(piece["name"])] = reader.blobs.read(str(piece["sha256"]))
            except BlobError as error:
                print(f"exitpin: {shown(error)}", file=sys.stderr)
    return Made(record, facts if facts is not None else record.get("facts") or {}, pieces)


def _print_json(then: Json, now: Json, found: Rerun, caveats: Sequence[str]) -> None:
    told = {"then": then, "now": now, "is_same": not found.differs, "differs": found.differs, "caveats": list(caveats)}
    print(json.dumps(told, ensure_ascii=True))


def _print_page(then: Json, now: Json, found: Rerun, caveats: Sequence[str]) -> None:
    says = f"DIFFERENT in {', '.join(found.differs)}" if found.differs else "THE SAME"
    style = "bold red" if found.differs else "bold green"
    head = [Line(f"{says}: {now['tool']['id']} through {exit_name(now)}", style)]
    head += [Line(f"but {caveat}", "yellow", 2) for caveat in caveats]
    for label, one in (("- then", then), ("+ now", now)):
        head.append(Line(f"{one['run_id']}  {moment(one.get('start'))} UTC  {_path(one)}", "", 2, f"{label:<6}"))
    print_page([*head, Line(), *told_lines(found.lines), Line()])


def _path(record: Json) -> str:
    """Its circuit."""
    paths = [circuit.get("path") or () for circuit in record.get("circuits") or ()]
    return " > ".join(str(hop)[:8] for hop in paths[-1]) if paths else "no circuit"
