"""`exitpin results verify EVENTS RECORDS`: the records that `run --json` printed, and what `run --events` wrote."""

import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import EXIT_USAGE, OperatorError
from ..verify import Verdict, read_evidence, verify
from ..verify_evidence import TOO_DEEP
from .results_verify_told import Disagreements, harmless

SCHEMAS = ("exitpin.run/1", "exitpin.verdict/1")


def execute(events: str, records: str, *, as_json: bool) -> int:
    """0 when all is consistent, 1 when not. Raises OperatorError for files that are none of ours."""
    with _mapped(events, "Give the file that `run --events` wrote."):
        evidence = read_evidence(_lines(events))
    with _mapped(records, "Give what `run --json` printed."):
        verdict = verify(evidence, _records(records))
    if as_json:
        print(json.dumps({name: getattr(verdict, name) for name in verdict.__slots__}))
    else:
        _show(verdict)
    return 1 if verdict.problems else 0


def _show(verdict: Verdict) -> None:
    told = Disagreements()
    told.add(verdict.problems)
    told.end()
    word = "inconsistent" if verdict.problems else "consistent"
    print(
        f"{word}: {verdict.consistent} of {verdict.streams} streams in {verdict.records} records,"
        f" {verdict.refused} streams that nobody claimed were refused"
    )


@contextmanager
def _mapped(name: str, advice: str) -> Iterator[None]:
    """What a file that is not what it should be raises, as one sentence."""
    try:
        yield
    except RecursionError as error:
        raise OperatorError(f"{name}: {TOO_DEEP}.", advice, EXIT_USAGE) from error
    except (ValueError, TypeError) as error:
        raise OperatorError(f"{name}: {harmless(str(error))}.", advice, EXIT_USAGE) from error


def _records(name: str) -> list[dict[str, object]]:
    """The runs of a file: verdicts are left out, and of a run that was judged again the last record counts."""
    records = [json.loads(line) for line in _lines(name) if line.strip()]
    if not all(isinstance(record, dict) and record.get("schema") in SCHEMAS for record in records):
        raise ValueError(f"not all of it is records of {' or '.join(SCHEMAS)}")
    runs = [record for record in records if record["schema"] == SCHEMAS[0]]
    return list({str(record.get("run_id")): record for record in runs}.values())


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
