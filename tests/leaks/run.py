"""`make leaks`: every way out, bare and under each way to close it, judged on the wire. docs/leaks.rst tells how.

Exit status: 1 when exitpin leaks at guard or notify, or lets an address be told at notify+netns (with --without: when a
vector that has to leak does not), else 0.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exitpin.orchestrator.lab import start
from exitpin.orchestrator.lab.state import LabState, load

from . import build, packets
from .judging import STRICT, Ended, Phase, Word, is_failed, is_possible, judge, leaks_told, seen_of
from .vectors import DEFENCES, NUMBERS, OPEN, VECTORS, Vector
from .ways import BARE, EXIT, EXITPIN, LEVELS, RIVALS

HERE = Path(__file__).parent
INSIDE_S = 1800
EXITS = 5
EACH = "each"
Table = dict[str, dict[str, Word]]
"""By way, by vector."""


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="leaks", description=__doc__)
    ways = (*LEVELS, *RIVALS)
    parser.add_argument("--level", action="append", choices=ways, help="only this way (may be repeated)")
    parser.add_argument("--vector", action="append", metavar="NAME", help="only this vector (may be repeated)")
    parser.add_argument("--jobs", type=int, default=4, metavar="N", help="vectors at a time, bare and under the rivals")
    parser.add_argument(
        "--without", metavar="DEFENCE", help="leave a defence out: the vectors it stops must leak then; `each`: in turn"
    )
    parser.add_argument("--json", metavar="FILE", help="what was seen in each cell")
    parser.add_argument("--list", action="store_true", help="the vectors, and run nothing")
    parser.add_argument("--name", default=f"leaks-{os.getpid()}", help="of the lab, which is started and ended here")
    args = parser.parse_args(argv)
    unknown = sorted(set(args.vector or ()) - NUMBERS.keys())
    if unknown:
        parser.error(f"no such vector: {', '.join(unknown)} (see --list)")
    if args.without is not None and args.without not in (*DEFENCES, EACH):
        parser.error(f"no such defence: {args.without}; there are: {', '.join(DEFENCES)}; and {EACH}")
    return args


def main(argv: Sequence[str]) -> int:
    args = arguments(argv)
    for signo in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signo, lambda signo, _: sys.exit(128 + signo))
    if args.list:
        for vector in VECTORS:
            print(f"{NUMBERS[vector.name]:>4}  {vector.name:<26} {vector.theme:<16} {vector.row}")
        return 0
    if args.without == EACH:
        return max(try_(argparse.Namespace(**{**vars(args), "without": defence})) for defence in DEFENCES)
    return try_(args)


def try_(args: argparse.Namespace) -> int:
    """One table: all of a lab, from its start to its end."""
    wanted = set(DEFENCES[args.without]) if args.without else set(args.vector or NUMBERS)
    ways = args.level or (("guard",) if args.without else (*LEVELS, *RIVALS))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="exitpin-leaks-") as name:
        directory = Path(name)
        missing = build.build(directory / "programs")
        for program, needs in missing.items():
            print(f"leaks: {program} could not be built; it takes {needs}", file=sys.stderr)
        vectors = [one for one in VECTORS if one.name in wanted and one.program not in missing]
        start.up(args.name, EXITS, ())
        try:
            lab = load(args.name)
            told = perform(lab, directory, vectors, ways, args.jobs, args.without or "")
            table, cells = assess(lab, directory, vectors, told)
        finally:
            start.down(args.name)
    if args.json:
        Path(args.json).write_text(json.dumps({"absent": told["absent"], "missing": missing, "cells": cells}, indent=1))
    print(f"leaks: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return account(table, told["absent"], [one for one in VECTORS if one.name in wanted], args.without or "")


def perform(
    lab: LabState, directory: Path, vectors: Sequence[Vector], ways: Sequence[str], jobs: int, without: str
) -> dict[str, Any]:
    """Run all cells inside the lab; what `inside.py` wrote of them."""
    spec = {
        "lab": lab.name,
        "directory": str(directory),
        "vectors": [vector.name for vector in vectors],
        "ways": list(ways),
        "jobs": jobs,
        "without": without,
    }
    path = directory / "spec.json"
    path.write_text(json.dumps(spec))
    argv = [*EXITPIN, "lab", "exec", "--name", lab.name, "--", sys.executable, "-m", "leaks.inside", str(path)]
    path_more = os.pathsep.join(filter(None, (str(HERE.parent), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path_more}
    subprocess.run(argv, check=True, timeout=INSIDE_S, stdin=subprocess.DEVNULL, env=environment)
    told: dict[str, Any] = json.loads((directory / "cells.json").read_text())
    return told


def assess(
    lab: LabState, directory: Path, vectors: Sequence[Vector], told: Mapping[str, Any]
) -> tuple[Table, list[dict[str, Any]]]:
    """The words, and a record of each cell."""
    lines = [json.loads(line) for line in (directory / "wire.ndjson").read_text().splitlines()]
    frames = [(line["t"], packet) for line in lines for packet in packets.read(bytes.fromhex(line["frame"]))]
    if told["missed"]:
        raise RuntimeError(f"the sniffer missed {told['missed']} frames: what it has not seen can't be judged")
    strangers = [packet for _, packet in frames if packets.is_strange(packet)]
    if strangers:
        kinds = ", ".join(sorted({f"{one.kind} from {one.source} to {one.destination}" for one in strangers}))
        print(f"leaks: {len(strangers)} packets that tell of no vector: {kinds}", file=sys.stderr)
    truth = [json.loads(line) for line in lab.log_file.read_text().splitlines()]
    relay = lab.relay(EXIT)
    exits = (relay.address, relay.address6)
    table: Table = {}
    records = []
    impossible: set[str] = set()
    for plain in told["phases"]:
        phase = Phase(plain["way"], plain["port"], plain["started"], plain["ended"])
        words = table.setdefault(phase.way, {})
        for vector in vectors:
            cell = plain["cells"][vector.name]
            ended = Ended(cell["status"], cell["output"], cell["complaint"])
            seen = seen_of(NUMBERS[vector.name], phase, frames, truth)
            word = judge(vector.should_work(phase.way), seen, ended, exits)
            if phase.way == BARE and not is_possible(seen):
                impossible.add(vector.name)
            words[vector.name] = Word.IMPOSSIBLE if vector.name in impossible else word
            records.append(
                {
                    "vector": vector.name,
                    "number": NUMBERS[vector.name],
                    "row": vector.row,
                    "way": phase.way,
                    "word": str(words[vector.name]),
                    "packets": sorted({f"{one.kind} from {one.source or 'no IP'}" for one in seen.packets}),
                    "peers": sorted(seen.peers),
                    **cell,
                }
            )
    if len(impossible) == len(vectors) > 1:
        raise RuntimeError("nothing that ran bare was seen on the wire: the sniffer, or the wire, does not work")
    return table, records


def account(table: Table, absent: Mapping[str, str], vectors: Sequence[Vector], without: str) -> int:
    """Print the table and the line; the exit status."""
    ways = [way for way in table if way != BARE]
    print("  ".join([f"{'vector':<26}", f"{'row':<4}", f"{'bare':<10}", *(f"{way:<16}" for way in ways)]))
    for vector in vectors:
        words = {way: table[way].get(vector.name, Word.NOT_THERE) for way in table}
        bare = "seen" if words[BARE] is Word.LEAKED else str(words[BARE])
        shown = [] if bare != "seen" else [f"{words[way]!s:<16}" for way in ways]
        print("  ".join([f"{vector.name:<26}", f"{vector.row:<4}", f"{bare:<10}", *shown]).rstrip())
    for way, reason in absent.items():
        print(f"leaks: {way} not there: {reason}", file=sys.stderr)
    judged = {way: table[way] for way in ways}
    print(leaks_told(judged, list(absent)))
    for name, why in OPEN.items():
        if any(words.get(name) is Word.LEAKED for way, words in judged.items() if way in STRICT):
            print(f"open by decision: {name}: {why}")
    if without:
        words = [pair for words in judged.values() for pair in words.items()]
        kept = [f"{name} {word}" for name, word in words if word is not Word.LEAKED]
        print(f"without {without}, and still: {', '.join(kept)}" if kept else f"without {without}: all leak")
    return int(is_failed(judged, without))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
