"""`exitpin report prom`: the last scans as metrics, in a file that node_exporter's textfile collector reads."""

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..report.watch_told import WatchTold
from ..results.blobs import blobs_directory
from ..results.store import store_path
from ..results.stored import open_store
from .report_options import add_watch_state, age_s, watch_told
from .results_store import add_store
from .whole_file import STDOUT, whole_file

HELP = """\
Print the last scan of each job (the same tools with the same parameters) as metrics in the text format of Prometheus:
verdicts by tool and status, findings by exit, when it began and ended, and whether it is complete. A scan that is under
way changes nothing until it has ended. Scans of a lab have network="lab NAME", all others network="tor". With
--watch-state FILE also what a watch says of itself: its iteration, when the next is due, its snapshot, why it pauses.
"""

EPILOG = """\
With -o the file is written beside its place and renamed, readable by everybody: a collector never sees half of it.

examples:
  exitpin report prom
  exitpin audit tls-cert --sample 50; exitpin report prom -o /var/lib/prometheus/node-exporter/exitpin.prom
"""

if TYPE_CHECKING:
    from ..report.watch import Watched

MAX_AGE = "30d"
MODE = 0o644  # whoever collects it is another user


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "prom", help="metrics for Prometheus", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write them there, by rename (stdout)")
    parser.add_argument(
        "--max-age", metavar="TIME", default=MAX_AGE, help="leave out jobs whose last scan began longer ago (30d)"
    )
    add_watch_state(parser)
    add_store(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Print or write the metrics. Where nothing was recorded yet they say that there is nothing."""
    watch = watch_told(args)
    whole = text(facts(args.store or store_path(os.environ), args.max_age), watch)
    with whole_file(args.output or STDOUT, MODE) as file:
        file.write(whole)
    return 0


class Facts(NamedTuple):
    """What the metrics of a store are made of: its jobs, and its size."""

    jobs: "list[Watched]"
    sizes: dict[str, int]


def facts(store: Path, max_age: str = MAX_AGE) -> Facts:
    """Of a store, without the jobs whose last scan began longer ago than that. Raises OperatorError."""
    from ..report.watch import watched

    reader = open_store(store)
    if reader is None:
        return Facts([], sizes(store))
    with reader:
        return Facts(watched(reader, time.time() - age_s(max_age)), sizes(store))


def text(found: Facts, watch: WatchTold | None) -> bytes:
    """The metrics of a store, and of a watch."""
    from ..report.prom import exposition

    return exposition(found.jobs, found.sizes, [] if watch is None else [watch]).encode()


def sizes(store: Path) -> dict[str, int]:
    """The bytes of a store's records and of its evidence."""
    records = sum(_size(store.with_name(store.name + suffix)) for suffix in ("", "-wal", "-shm"))
    return {"records": records, "evidence": sum(_sizes(blobs_directory(store)))}


def _sizes(directory: Path) -> Iterator[int]:
    for folder, _, names in os.walk(directory):
        yield from (_size(Path(folder, name)) for name in names)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # it went meanwhile, or never was
        return 0
