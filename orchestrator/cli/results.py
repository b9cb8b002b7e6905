"""`exitpin results verify`: recompute every attribution of recorded runs from their evidence."""

import argparse
import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import EXIT_USAGE, OperatorError
from ..verify import read_evidence, verify

HELP = """\
Recompute, without Tor, which exit carried each connection of recorded runs: from Tor's raw lines and the shim's raw
reports (`exitpin run --events`), compared with the records (`exitpin run --json`).

It says "consistent": the evidence agrees with itself and with the records. Exit status 0; 1 when anything disagrees.
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = subparsers.add_parser("results", help="check recorded results")
    verbs = parser.add_subparsers(title="verbs", dest="results_verb", metavar="VERB", required=True)
    verifier = verbs.add_parser(
        "verify", help="recompute attributions", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verifier.add_argument("events", metavar="EVENTS", help="what `run --events` wrote")
    verifier.add_argument("records", metavar="RECORDS", help="what `run --json` wrote; - for stdin")
    verifier.add_argument("--json", action="store_true", help="the result as one JSON object")
    verifier.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """0 when all is consistent, 1 when not."""
    try:
        evidence = read_evidence(_lines(args.events))
    except ValueError as error:
        raise OperatorError(
            f"{args.events}: {error}.", "Give the file that `run --events` wrote.", EXIT_USAGE
        ) from error
    try:
        records = [json.loads(line) for line in _lines(args.records) if line.strip()]
        if not all(isinstance(record, dict) and record.get("schema") == "exitpin.run/1" for record in records):
            raise ValueError("not all of it is records of exitpin.run/1")
        verdict = verify(evidence, records)
    except (ValueError, TypeError) as error:
        raise OperatorError(f"{args.records}: {error}.", "Give what `run --json` printed.", EXIT_USAGE) from error
    if args.json:
        print(json.dumps({name: getattr(verdict, name) for name in verdict.__slots__}))
    else:
        for problem in verdict.problems:
            print(f"INCONSISTENT {problem}")
        word = "inconsistent" if verdict.problems else "consistent"
        print(
            f"{word}: {verdict.consistent} of {verdict.streams} streams in {verdict.records} records,"
            f" {verdict.refused} foreign streams were refused"
        )
    return 1 if verdict.problems else 0


def _lines(name: str) -> Iterator[str]:
    if name == "-":
        yield from sys.stdin
        return
    path = Path(name)
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            yield from lines
    except (OSError, EOFError, zlib.error) as error:
        raise OperatorError(f"{name} can't be read: {error}.", "", EXIT_USAGE) from error
