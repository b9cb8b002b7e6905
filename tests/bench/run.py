"""Measures exitpin beside its alternatives, inside a lab of its own: python tests/bench/run.py [--quick] [--json].

Sides are measured in turn, round after round, and compared within each round: what disturbs a machine disturbs both.
Goals stand beside the figures; nothing is judged here.
"""

import argparse
import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import connect
import exitmap
import load
import loop
import report
import results
import scan
import selecting
import start
from figures import Measure, table
from place import EXITS, SPECIAL_EXITS, Place

from exitpin.orchestrator.lab import start as lab
from exitpin.orchestrator.lab.state import load as load_state
from exitpin.wrappers.namespaces import run_inside

LAB_PARTS = ("start", "connect", "load", "loop")
OTHER_PARTS = {
    "exitmap": (exitmap.measures, "modules of exitmap, in a lab of their own"),
    "selecting": (selecting.measures, "selection and plan on a network of 9,000 relays"),
    "scan": (scan.measures, "a big scan"),
    "report": (report.measures, "the report of a big scan"),
    "results": (results.measures, "900,000 results"),
}
PARTS = (*LAB_PARTS, *OTHER_PARTS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: under two minutes")
    parser.add_argument("--json", action="store_true", help="every round's values, as JSON")
    parser.add_argument("--rounds", type=int, default=0, metavar="N", help="how many rounds (7; 5 with --quick)")
    parser.add_argument("--name", default="bench", help="the lab's name (default %(default)s)")
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part; may be repeated")
    args = parser.parse_args()
    args.began = time.monotonic()
    scanned: list[Measure] = []
    for part, (measures, what) in OTHER_PARTS.items():
        if part in (args.only or PARTS):
            _say(what)
            scanned += measures(1 if args.quick else 3)
    if not set(args.only or PARTS) & set(LAB_PARTS):
        _tell(args, scanned, len(scanned[0].sides["ours"]), "the tor of another lab, or none")
        return 0
    state, was_running, _ = lab.up(args.name, EXITS + SPECIAL_EXITS)
    # in a child: who has entered a lab stays there, and could not end it
    inside = multiprocessing.get_context("fork").Process(target=_enter, args=(state.supervisor_pid, args, scanned))
    try:
        inside.start()
        inside.join()
        return inside.exitcode or 0
    finally:
        if not was_running:
            lab.down(args.name)


def _enter(pid: int, args: argparse.Namespace, scanned: list[Measure]) -> None:
    sys.exit(run_inside(pid, lambda: measure(args, scanned)))


def measure(args: argparse.Namespace, scanned: list[Measure]) -> int:
    """What needs the lab, from inside it; then all figures. `scanned`: those that are known already."""
    rounds = args.rounds or (5 if args.quick else 7)
    parts = args.only or PARTS
    measures: list[Measure] = []
    with tempfile.TemporaryDirectory(prefix="xb-", dir="/tmp") as directory:
        place = Place(load_state(args.name), Path(directory))
        if "start" in parts:
            _say("start of /bin/true")
            measures += start.measure(place, rounds, 40 if args.quick else 100)
        if "connect" in parts:
            _say("one connect")
            measures += connect.measure(place, rounds, 80 if args.quick else 250)
        if "load" in parts:
            _say("curl, 64 at a time")
            measures += load.measure(place, rounds, 8 if args.quick else 20)
        if "loop" in parts:
            _say("a loop of calls")
            measures += loop.measure(place, rounds, 100 if args.quick else 250)
        version = place.lab.tor_version
    _tell(args, [*measures, *scanned], rounds, f"tor {version}")
    return 0


def _tell(args: argparse.Namespace, measures: list[Measure], rounds: int, tor: str) -> None:
    machine = f"{os.cpu_count()} CPUs, Linux {platform.release()}, Python {platform.python_version()}, {tor}"
    took = f"{rounds} rounds in {time.monotonic() - args.began:.0f} s; {machine}"
    if args.json:
        print(json.dumps({"about": took, "measures": [measure.plain() for measure in measures]}, indent=1))
    else:
        print(table(measures))
        print("\n".join(f"{measure.name}: {measure.note}" for measure in measures if measure.note))
        print(took)


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"bench: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
