"""Which records `results verify` checks, and what it says of them all. Called by `results_verify.py`."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from ..errors import EXIT_USAGE, OperatorError
from ..results.check import Checked
from ..results.checking import cant_be_read, check_named_by, check_record, check_scans, check_store
from ..results.stored import Reader, Unreadable, Wanted
from . import results_verify_files
from .results_find import find_record, find_scan
from .results_store import opened, shown
from .results_verify_told import Disagreements


def verify(args: argparse.Namespace) -> int:
    """0 when all is consistent, 1 when not. Raises OperatorError."""
    if len(args.what) == 2 and not args.scan and any(_is_file(name) for name in args.what):
        return results_verify_files.execute(*args.what, as_json=args.json)
    if len(args.what) == 1 and not args.scan and _is_file(args.what[0]):
        return _tell(_bundle(Path(args.what[0])), args)
    if args.what and args.scan:
        raise OperatorError("say ids, or --scan, not both.", "", EXIT_USAGE)
    with opened(args) as reader:
        reader.on_unreadable = None  # here it is a disagreement like others
        return _tell(_chosen(reader, args.what) if args.what else _all(reader, args.scan or "all"), args)


def _is_file(name: str) -> bool:
    """An id has no slash and no dot, and is no file."""
    return name == "-" or "/" in name or Path(name).suffix != "" or (name != "" and Path(name).exists())


def _bundle(path: Path) -> Iterator[Checked]:
    from ..results.unbundling import check_bundle

    if not path.exists():
        raise OperatorError(f"there is no file {shown(path)}.", "", EXIT_USAGE)
    if path.is_dir():
        raise OperatorError(f"{shown(path)} is a directory.", "Name a bundle (`exitpin results bundle`).", EXIT_USAGE)

    return check_bundle(path)


def _chosen(reader: Reader, names: Iterable[str]) -> Iterator[Checked]:
    """These records; of a verdict its runs and controls, too."""
    for name in names:
        try:
            record = find_record(reader, name)
        except Unreadable as unreadable:
            yield cant_be_read(unreadable)
            continue
        yield check_record(reader, record)
        if "verdict_id" in record:
            yield from check_named_by(reader, record)


def _all(reader: Reader, scan: str) -> Iterator[Checked]:
    scan_id = find_scan(reader, scan)
    yield from check_scans(reader, scan_id)
    places, done = reader.places(Wanted(scan=scan_id)), 0
    for checked in check_store(reader.path, places):
        done += checked.runs + checked.verdicts
        if sys.stderr.isatty():
            print(f"\r\033[Kexitpin: {done:,} of {len(places):,} records", end="", file=sys.stderr, flush=True)
        yield checked
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _tell(found: Iterable[Checked], args: argparse.Namespace) -> int:
    """Print what does not agree as it is known, then what was checked. Problems quote records and files of others."""
    total, told = Checked(), Disagreements(is_shown=not args.json)
    for checked in found:
        told.add(checked.problems)
        if not args.json:  # of millions of them only the number is kept
            checked.problems = ()
        total.add(checked)
    word = "inconsistent" if told.count else "consistent" if _is_anything(total) else "unchecked"
    if args.json:
        print(json.dumps({"result": word, **asdict(total)}, ensure_ascii=True))
    else:
        told.end()
        print(f"{word}: {_summary(total)}")
    return 0 if word == "consistent" else 1


def _is_anything(total: Checked) -> bool:
    """Whether there was a run whose events were kept; where there are no runs at all, a piece that could be hashed."""
    return total.runs > total.bare if total.runs else total.pieces > 0


def _summary(total: Checked) -> str:
    words = [
        f"{total.verdicts:,} verdicts, {total.runs:,} runs, {total.streams:,} streams,"
        f" {total.pieces:,} pieces of evidence rehashed"
    ]
    if total.bare:
        words.append(f"{total.bare:,} runs have no events: an earlier version kept none")
    if total.gone:
        words.append(f"{total.gone:,} runs of verdicts that accuse nobody are not there any more")
    return "; ".join(words)
