"""From tor's answers to a plan, on a network of the public one's size: python tests/bench/selecting.py [--json].

9,000 relays of which 2,500 let something out (`made_up_network.py`), told by a played tor over a control socket as a
real one tells them. Real: the control channel, the snapshot, what is looked up, the filters, the plan of `run` and that
of `audit`. Each measurement has a process of its own, and its peak is that of the whole process, Python included.
"""

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from random import Random

from figures import Measure
from made_up_network import EXITS, RELAYS, VALID_AFTER, MadeUp, as_table, make

from exitpin.orchestrator.audit.params import Bound
from exitpin.orchestrator.audit.scan_plan import make_scan_plan
from exitpin.orchestrator.cli.selectors import add_selectors, choose, known_to
from exitpin.orchestrator.model import Relay, Snapshot
from exitpin.orchestrator.plan import make_plan
from exitpin.orchestrator.tool import Command, Door, Rule, Status, Tool
from exitpin.wrappers.directory import read_snapshot
from exitpin.wrappers.tor import ControlChannel

MIB = 1 << 10  # in KiB, as the kernel counts
OPEN = ("--to", "example.org:443", "--to", "192.0.2.7:80", "--bad-exits")
STRICT = (
    *OPEN, "--country", "us,de,nl,fr,se", "--not-country", "ro", "--not-as", "64496", "--first-seen", "48h", "--ipv6",
    "--bandwidth-min", "100", "--measured", "yes", "--contact", r"operator\d*[0-4]\.example", "--flag", "Fast",
)  # fmt: skip
HOUR_S, NEWCOMER_EVERY = 3600.0, 3

Figures = dict[str, float]


class PlayedTor:
    """Tor's end of one control connection: in this process, so that the measured one has only its own work."""

    def __init__(self, network: MadeUp, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        entries = network.consensus.partition("\nr ")[2]
        self._data = {
            "dir/status-vote/current/consensus": _escaped(network.consensus),
            "ns/all": _escaped(f"r {entries}"),
            "desc/all-recent": _escaped(network.descriptors),
        }
        self._said = {"consensus/valid-after": VALID_AFTER, "ip-to-country/ipv4-available": "1"}
        self._said.update((f"ip-to-country/{address}", country) for address, country in network.countries.items())
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rb") as questions:
            for line in questions:
                command, *keys = line.decode().split()
                if command == "GETCONF":
                    connection.sendall(f"250 {keys[0]}=1\r\n".encode())
                    continue
                for key in keys:
                    if key in self._data:
                        connection.sendall(f"250+{key}=\r\n".encode() + self._data[key] + b".\r\n")
                text = "".join(f"250-{key}={self._said[key]}\r\n" for key in keys if key in self._said)
                connection.sendall(text.encode() + b"250 OK\r\n")


def _escaped(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def tools() -> list[tuple[Tool, Bound, str]]:
    """Three, each for a port of its own."""
    doors = (Door("example.org", port) for port in ("443", "80", "22"))
    made = (
        Tool(id=f"tool-{door.port}", summary="A play", command=Command(("true",)), verdict=(Rule(Status.OK),),
             extracts=(), doors=(door,), digest=door.port)
        for door in doors
    )  # fmt: skip
    return [(tool, Bound(tool, {}), tool.digest) for tool in made]


async def select_and_plan(directory: Path) -> Figures:
    """All of it, once, in this process."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(directory / "control"))
    channel = ControlChannel(connection)
    marks = [(time.monotonic(), time.process_time())]

    def mark() -> None:
        marks.append((time.monotonic(), time.process_time()))

    snapshot = await read_snapshot(channel)
    mark()
    some = await _chosen(channel, snapshot, directory, STRICT)
    mark()
    most = await _chosen(channel, snapshot, directory, OPEN)
    runs = make_plan(most, ("true",), scan_id="bench", timeout_s=60.0, rng=Random(1))
    plan = make_scan_plan(snapshot, most, tools(), unmet={}, repeat=1, is_direct_allowed=False)
    mark()
    channel.close()
    if not 0 < len(some) < len(most) == len(runs) or len(plan.pairs) + len(plan.skipped) != 3 * len(most):
        raise RuntimeError(f"{len(some)} and {len(most)} exits, {len(runs)} runs, {len(plan.pairs)} pairs")
    stages = {
        name: 1000 * (after[1] - before[1])
        for name, before, after in zip(("snapshot_ms", "strict_ms", "plan_ms"), marks[:-1], marks[1:], strict=True)
    }
    (began, cpu_began), (ended, cpu_ended) = marks[0], marks[-1]
    return {
        "wall_s": ended - began, "cpu_ms": 1000 * (cpu_ended - cpu_began), **stages, "peak_mib": peak_kib() / MIB,
        "some": len(some), "most": len(most), "pairs": len(plan.pairs),
    }  # fmt: skip


async def _chosen(
    channel: ControlChannel, snapshot: Snapshot, directory: Path, words: tuple[str, ...]
) -> tuple[Relay, ...]:
    parser = argparse.ArgumentParser()
    add_selectors(parser, required=False)
    args = parser.parse_args([*words, "--as-file", str(directory / "as.dat")] if words is STRICT else words)
    now = time.time()
    seen = {name: now - HOUR_S * (n % NEWCOMER_EVERY * 40) for n, name in enumerate(snapshot.relays)}
    known = await known_to(args, channel, snapshot, lambda: seen)
    return choose(args, snapshot, Random(1), known=known).exits


def peak_kib() -> int:
    """Of this process since it became Python: getrusage would begin with that of its parent."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0])


def measure(network: MadeUp) -> Figures:
    """One measurement, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="xb-", dir="/tmp") as name:
        directory = Path(name)
        (directory / "as.dat").write_text(as_table(network.countries, Random(1)))
        PlayedTor(network, directory / "control")
        command = [sys.executable, __file__, "--inside", name]
        figures: Figures = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return figures


def measures(rounds: int) -> list[Measure]:
    """So many times, as rows for the table of all benchmarks."""
    name = f"selection and plan, {RELAYS:,} relays, {EXITS:,} exits"
    wall = Measure(name, "s", figure="{} s", goal="under 2")
    peak = Measure("the same, peak memory", "MiB", figure="{} MiB", goal="under 200")
    rows = {
        "cpu_ms": Measure("the same, CPU", "ms"),
        "snapshot_ms": Measure("of that, the snapshot", "ms"),
        "strict_ms": Measure("of that, all filters, with countries and AS", "ms"),
        "plan_ms": Measure("of that, policies and both plans", "ms"),
    }
    network = make()
    for _ in range(rounds):
        figures = measure(network)
        wall.add("ours", figures["wall_s"])
        peak.add("ours", figures["peak_mib"])
        for key, row in rows.items():
            row.add("ours", figures[key])
    wall.per_round, peak.per_round = wall.sides["ours"], peak.sides["ours"]
    return [wall, peak, *rows.values()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--relays", type=int, default=RELAYS, metavar="N", help="how many (%(default)s)")
    parser.add_argument("--exits", type=int, default=EXITS, metavar="N", help="how many of them (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one object")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        print(json.dumps(asyncio.run(select_and_plan(args.inside))))
        return 0
    figures = measure(make(args.relays, args.exits))
    print(json.dumps(figures) if args.json else "\n".join(f"{name:<12}{figures[name]:>12.4g}" for name in figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
