"""How fast the store answers with half a year in it: python tests/bench/results.py [--scans N] [--keep FILE].

Whole processes, as a user starts them, their start included, on 900,000 verdicts that were made up (`synthesis.py`:
360 scans of 2,500 exits, some 2.7 KB of JSON each, 4 GB in all). The file is read warm: it was just written. The last
row is its size on disk, without the evidence, which real scans have for each run.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from documents import fingerprint_of
from figures import Measure, table
from synthesis import Size, fill, record_bytes

WHOLE = Size()
TIMES = 5  # of each command in a round
BYTES_A_RECORD = 4_600  # of the file, indexes included
ROOM = 1.5  # of that has to be free
GOAL = "under 1"

EXIT = fingerprint_of(17)
COMMANDS = {
    "results list": ("list",),
    "results list --scan all --status findings": ("list", "--scan", "all", "--status", "findings"),
    "results list --scan all": ("list", "--scan", "all"),
    "results list --scan all -e": ("list", "--scan", "all", "-e", EXIT[:8]),
    "results list --scans -n 0": ("list", "--scans", "-n", "0"),
    "results diff": ("diff",),
    "results history": ("history", EXIT[:8]),
}


def measures(rounds: int, size: Size | None = None) -> list[Measure]:
    """Each command so many times; of a tenth of the records when there is one round only."""
    size = size or (WHOLE if rounds > 1 else Size(WHOLE.scans // 10, WHOLE.exits))
    with tempfile.TemporaryDirectory(prefix="xb-") as directory:
        size = _what_fits(Path(directory), size)
        path = Path(directory, "results.sqlite")
        fill(path, size)
        return measure(path, rounds, size)


def measure(path: Path, rounds: int, size: Size) -> list[Measure]:
    """The commands on a store that is there."""
    found = {name: Measure(f"{name}, {size.records:,} records", "s", figure="{} s", goal=GOAL) for name in COMMANDS}
    for _ in range(rounds * TIMES):
        for name, words in COMMANDS.items():
            found[name].add("ours", _seconds(path, words))
    for one in found.values():
        one.per_round = one.sides["ours"]
    room = Measure(f"file of {size.records:,} records", "MB")
    room.add("ours", path.stat().st_size / 1e6)
    return [*found.values(), room]


def _seconds(path: Path, words: tuple[str, ...]) -> float:
    """Of one command, from its start to its end. It must find something."""
    command = [sys.executable, "-m", "exitpin", "results", *words, "--store", str(path)]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    if done.returncode not in (0, 1) or not done.stdout:
        raise SystemExit(f"{' '.join(words)} found nothing: {done.stderr}")
    return took


def _what_fits(directory: Path, size: Size) -> Size:
    """As much of it as the disk has room for."""
    free = shutil.disk_usage(directory).free
    scans = min(size.scans, int(free / ROOM / BYTES_A_RECORD / size.exits))
    if scans < 2:
        raise SystemExit(f"{directory} has no room for a store: set TMPDIR")
    return Size(scans, size.exits)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=WHOLE.scans, metavar="N", help="how many (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of %(default)s rounds, five times each")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="make the store there, if it is not, and leave it")
    args = parser.parse_args()
    size = Size(args.scans, WHOLE.exits)
    if args.keep is None:
        print(table(measures(args.rounds, size)))
        return 0
    if not args.keep.exists():
        fill(args.keep, _what_fits(args.keep.parent, size))
    print(table(measure(args.keep, args.rounds, size)))
    print(f"{args.keep.stat().st_size:,} bytes, {record_bytes(args.keep):,} of JSON a record")
    return 0


if __name__ == "__main__":
    sys.exit(main())
