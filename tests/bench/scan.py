"""A big scan without Tor: what exitpin itself costs, in memory and CPU time. python tests/bench/scan.py [--json].

Real: the driver, its schedule, cases, controls, extraction, rules, records, evidence and store. Played: tor
(`StandIn`: circuits that take a while, some of which fail) and the tools (`Play`: no process is started), so that no
stream is attached and no attribution checked. One exit in 20 lies about one thing, one in 50 carries nothing; a scan
that does not find exactly those is worth no figure. Each size has a process of its own: peaks are its own.
"""

import argparse
import asyncio
import json
import multiprocessing
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from figures import Measure

from exitpin.orchestrator.audit.assessing import Assessor
from exitpin.orchestrator.audit.auditing import Auditor
from exitpin.orchestrator.audit.cases import Case
from exitpin.orchestrator.audit.disclosure import ToolUse
from exitpin.orchestrator.audit.errands import Errand, Terms
from exitpin.orchestrator.audit.ledger import RecordLedger, listening
from exitpin.orchestrator.audit.params import Bound
from exitpin.orchestrator.audit.scan_plan import make_scan_plan
from exitpin.orchestrator.audit.schedule import Limits, Schedule
from exitpin.orchestrator.circuits import Pace
from exitpin.orchestrator.evidence import EvidenceLog
from exitpin.orchestrator.first_hops import first_hop_chooser
from exitpin.orchestrator.loop import Session
from exitpin.orchestrator.model import Run
from exitpin.orchestrator.results.store import Store
from exitpin.orchestrator.tool import Command, Condition, Door, Extract, Rule, Status, Tool
from exitpin.orchestrator.witness import Witness
from exitpin.wrappers.stand_in import Port, StandIn, stand_in_snapshot
from exitpin.wrappers.stand_in_launch import Play, StandInLauncher

SIZES = (100, 1000)
JOBS = 64
RUN_S, CIRCUIT_S, CIRCUIT_FAILURES = 0.05, 0.02, 0.02
LIAR_EVERY, DEAD_EVERY = 20, 50
BODY = b"<p>what an honest target says</p>\n" * 120
TICK_S = 0.005
MIB = 1 << 10  # in KiB, as getrusage counts on Linux

Figures = dict[str, float]


def tools() -> tuple[Tool, ...]:
    """Three of the usual kinds: one value, a set, a digest of all."""
    no_answer = Rule(Status.ERROR, (Condition("exit_code", "not", 0),), reason="no answer")
    kinds = (
        (Extract("key", "stdout", "regex", r"key (\S+)"), Condition("key", "differs", True)),
        (
            Extract("links", how="regex", argument=r"link (\S+)", every=True, form="set"),
            Condition("links", "adds", True),
        ),
        (Extract("body", form="sha256"), Condition("body", "differs", True)),
    )
    return tuple(
        Tool(
            id=f"tool-{extract.name}",
            summary="A play",
            command=Command((extract.name, "{{run.id}}")),
            verdict=(no_answer, Rule(Status.TAMPERED, (condition,), reason="changed"), Rule(Status.OK)),
            extracts=(extract,),
            doors=(Door("a.test", "80"),),
            digest=extract.name,
        )
        for extract, condition in kinds
    )


def play(run: Run) -> Play:
    """What one run writes, by its exit's number and its tool."""
    number, what = int(run.exit.fingerprint, 16), run.argv[0]
    if number % DEAD_EVERY == 1:
        return Play(RUN_S, b"", b"could not connect\n", 7)
    lies = number % LIAR_EVERY == 2 and what == ("key", "links", "body")[number // LIAR_EVERY % 3]
    told = b"key true\nlink http://a.test/1\nlink http://a.test/2\n" + BODY
    if lies:
        # Each its own lie: two that told the same might be each other's controls, and then believed, once in 100 scans.
        told = told.replace(b"true", b"false-%d" % number) + b"link http://evil%d.test/\n" % number
    return Play(RUN_S, told)


def expected(exits: int) -> Counter[str]:
    """What a scan must find."""
    numbers = range(1, exits + 1)
    liars = sum(n % LIAR_EVERY == 2 and n % DEAD_EVERY != 1 for n in numbers)
    dead = sum(n % DEAD_EVERY == 1 for n in numbers) * 3
    return Counter(tampered=liars, dead=dead, ok=exits * 3 - liars - dead)


async def scan(exits: int, directory: Path) -> Figures:
    """One scan; its figures."""
    rng, snapshot = Random(1), stand_in_snapshot(exits)
    prepared = [(tool, Bound(tool, {}), tool.digest) for tool in tools()]
    plan = make_scan_plan(
        snapshot, list(snapshot.relays.values()), prepared, unmet={}, repeat=1, is_direct_allowed=False
    )
    header = {"session": "bench", "tor": "stand-in", "started": "now"}
    shared: dict[str, object] = {"scan_id": "bench", "consensus": snapshot.valid_after, "vantage": {"kind": "lab"}}
    records: Counter[str] = Counter()
    store = Store(directory / "results.sqlite")
    uses = {tool.id: ToolUse(tool, {}) for tool in tools()}
    keepers = (store.add, listening(lambda record: records.update([str(record["schema"])])))
    ledger = RecordLedger(uses, shared, keepers, disk=store)
    witness = Witness({"schema": "exitpin.events/1", **header})
    evidence = EvidenceLog(directory / "events.ndjson.gz", header, witness.note)
    tor = StandIn(Port.CLOSED, circuit_s=CIRCUIT_S, circuit_failures=CIRCUIT_FAILURES)
    assessor = Assessor("/usr/bin:/bin")
    schedule = Schedule[Errand](Limits(JOBS, 2, 0.0, 0.0), rng)
    auditor = Auditor(Terms("bench", str(directory), shared), schedule, assessor, witness, ledger, rng)
    session = Session(
        tor, StandInLauncher(play), pace=Pace(0.0, 0.0, JOBS), first_hops=first_hop_chooser(snapshot), rng=rng,
        evidence=evidence, on_finished=auditor.finished,
    )  # fmt: skip
    lateness: list[float] = []
    ticking = asyncio.get_running_loop().create_task(tick(lateness))
    began, cpu_s, loop_s, before = time.monotonic(), time.process_time(), time.thread_time(), peak_kib()
    await auditor.serve(session, [(audit, Case(audit.tool, relay)) for audit, relay in plan.pairs])
    await store.close()
    evidence.close()
    wall_s, cpu_s, loop_s = time.monotonic() - began, time.process_time() - cpu_s, time.thread_time() - loop_s
    ticking.cancel()
    tor.close()
    assessor.close()
    if session.trust_lost:
        raise RuntimeError(session.trust_lost)
    check(exits, {status.value: count for status, count in auditor.verdicts.items()}, records)
    runs = auditor.runs_done
    lateness.sort()
    return {
        "exits": exits,
        "verdicts": auditor.verdicts.total(),
        "runs": runs,
        "wall_s": wall_s,
        "runs_a_second": runs / wall_s,
        "cpu_ms_a_run": cpu_s / runs * 1e3,
        "loop_cpu_ms_a_run": loop_s / runs * 1e3,
        "loop_late_p99_ms": lateness[int(len(lateness) * 0.99)] * 1e3,
        "peak_mib": peak_kib() / MIB,
        "grown_mib": (peak_kib() - before) / MIB,
        "grown_kib_a_pair": (peak_kib() - before) / len(plan.pairs),
        "store_kib_a_record": (directory / "results.sqlite").stat().st_size / 1024 / records.total(),
        "threads": threading.active_count(),
    }


def check(exits: int, verdicts: dict[str, int], records: Counter[str]) -> None:
    """Raises RuntimeError for a scan that is not what was played."""
    told, wanted = Counter(verdicts), expected(exits)
    unanswered = told["error"] + told["broken"]
    found = Counter(tampered=told["tampered"] + told["suspect"], dead=unanswered, ok=told["ok"])
    if found != wanted or records["exitpin.verdict/1"] != exits * 3:
        raise RuntimeError(f"found {dict(told)}, {dict(records)}; played {dict(wanted)}")


async def tick(lateness: list[float]) -> None:
    """How late a timer fires."""
    while True:
        due = time.monotonic() + TICK_S
        await asyncio.sleep(TICK_S)
        lateness.append(time.monotonic() - due)


def peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _child(exits: int, answer: "Connection") -> None:
    with tempfile.TemporaryDirectory(prefix="xb-", dir="/tmp") as directory:
        answer.send(asyncio.run(scan(exits, Path(directory))))


def measure(exits: int) -> Figures:
    """A scan in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(exits, theirs))
    process.start()
    theirs.close()
    try:
        figures: Figures = ours.recv()
    except EOFError:
        raise SystemExit("the scan failed") from None
    finally:
        process.join()
    return figures


def measures(rounds: int, exits: int = SIZES[-1]) -> list[Measure]:
    """The scan of the larger size, so many times, as rows for the table of all benchmarks."""
    cpu = Measure(f"scan of {exits:,} exits by 3 tools, CPU of a run", "ms", figure="{} ms", goal="at most 3")
    peak = Measure("the same, peak memory", "MiB", figure="{} MiB", goal="under 150")
    late = Measure("the same, event loop late, p99", "ms")
    for _ in range(rounds):
        figures = measure(exits)
        cpu.add("ours", figures["cpu_ms_a_run"])
        peak.add("ours", figures["peak_mib"])
        late.add("ours", figures["loop_late_p99_ms"])
    cpu.per_round, peak.per_round = cpu.sides["ours"], peak.sides["ours"]
    return [cpu, peak, late]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exits", type=int, action="append", metavar="N", help=f"how many (default: {SIZES})")
    parser.add_argument("--json", action="store_true", help="an object a line")
    args = parser.parse_args()
    found = [measure(exits) for exits in args.exits or SIZES]
    for figures in found if args.json else ():
        print(json.dumps(figures))
    for name in () if args.json else found[0]:
        print(f"{name:<20}", *(f"{figures[name]:>12.4g}" for figures in found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
