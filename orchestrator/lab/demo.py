"""`make demo`: a private Tor network, four everyday tools through every exit of it at once, and who saw what.

Three parts: the lab's life (`main`: it ends with this process, however that ends), the runs inside it (`Demo`), and
what is shown (`Board`). What must come of each run stands in `demo_plan.py`; whether it did is judged by
`ground_truth.py` from the targets' own log.
"""

import argparse
import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ...shim import bindings
from ...wrappers.launch import ToolLaunch, ToolLauncher
from ...wrappers.namespaces import run_inside
from ...wrappers.runtime import scratch_directory
from ..circuits import Pace
from ..errors import OperatorError
from ..evidence import EvidenceLog
from ..loop import Session
from ..network import Network, Vantage, open_network
from ..observation import failure_of, fold
from ..ports import Launch
from ..runs import Life
from ..selection import first_hop_chooser
from ..verify import read_evidence, verify
from . import start
from .demo_plan import TOOLS, Case, plan_cases, seen_as
from .ground_truth import Arrival, plain, read_arrivals, read_claims, score
from .network import EXITS_DEFAULT, PROBE_ADDRESS, Behaviour
from .state import LabState, load

EXIT_WRONG = 1
PENDING = 64
INNER_END_S = 15.0
HOPS = 2
WIDE = 112
SHORT = {"refused": "no", "failed": "BAD"}

Result = tuple[str, str, str]
"""(ok, refused or failed; why; its style)."""


class Board:
    """The table: a row for each exit, a column for each tool. On a terminal it fills as runs end."""

    def __init__(self, console: Console, lab: LabState) -> None:
        self._exits = [relay for relay in lab.relays if relay.role == "exit"]
        self._results: dict[tuple[str, str], Result] = {}
        self._seen: dict[str, str] = {}
        self._is_wide = console.width >= WIDE
        self._live = Live(self.table(), console=console, auto_refresh=False) if console.is_terminal else None
        self._console = console

    def __enter__(self) -> "Board":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.update(self.table(), refresh=True)
            self._live.stop()
        else:
            self._console.print(self.table())

    def show(self, case: Case, result: Result) -> None:
        self._results[case.exit.nickname, case.tool.title] = result
        if self._live is not None:
            self._live.update(self.table(), refresh=True)

    def target_saw(self, arrivals: list[Arrival]) -> None:
        """Fill the last column: the addresses from which targets saw this exit's tools come."""
        peers = Counter(arrival.peer[0] for arrival in arrivals)
        for relay in self._exits:
            count = peers[plain(relay.address)]
            self._seen[relay.nickname] = f"{relay.address} x{count}" if count else "nothing"

    def table(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2 if self._is_wide else 1, 0, 0))
        for title in ("exit", "declares", *(tool.title for tool in TOOLS), "targets saw"):
            table.add_column(title, no_wrap=True)
        for relay in self._exits:
            declares = Text("" if relay.behaviour == Behaviour.PLAIN else relay.behaviour, "cyan")
            cells = [self._cell(relay.nickname, tool.title) for tool in TOOLS]
            table.add_row(relay.nickname, declares, *cells, Text(self._seen.get(relay.nickname, ""), "dim"))
        return table

    def _cell(self, nickname: str, title: str) -> Text:
        word, why, style = self._results.get((nickname, title), ("...", "", "dim"))
        word = word if self._is_wide else SHORT.get(word, word)
        return Text(f"{word}: {why}" if why else word, style)


class Demo:
    """The runs of one demo, inside the lab."""

    def __init__(self, lab: LabState, console: Console) -> None:
        self._lab = lab
        self._console = console
        self._scan_id = f"demo-{secrets.token_hex(3)}"
        self._cases: dict[str, Case] = {}
        self._records: list[dict[str, object]] = []
        self._as_declared = 0
        self._surprises: list[str] = []
        self._is_interrupted = False
        self._board = Board(console, lab)

    async def execute(self) -> int:
        """Run everything and judge it; the exit status."""
        with scratch_directory() as directory:
            async with open_network(Vantage("lab", self._lab.control_socket, self._lab.name)) as network:
                rng = Random(secrets.randbits(64))
                cases = plan_cases(self._lab, network.snapshot, self._scan_id, rng)
                self._cases = {case.run.run_id: case for case in cases}
                self._announce(cases)
                began, seen_before = time.monotonic(), self._lab.log_file.stat().st_size
                with self._board:
                    await self._carry_out(network, directory, rng)
                    lines = self._lab.log_file.read_bytes()[seen_before:].splitlines()
                    arrivals = read_arrivals(lines, frozenset({PROBE_ADDRESS}))
                    self._board.target_saw(arrivals)
            took = time.monotonic() - began
            return self._judge(arrivals, directory / "events.ndjson", took)

    def _announce(self, cases: list[Case]) -> None:
        exits, arriving = len({case.exit.nickname for case in cases}), sum(case.must_arrive for case in cases)
        self._say(
            f"{exits} exits, {len(TOOLS)} tools: {len(cases)} runs side by side, "
            "each on a circuit of its own and to a target address of its own.\n"
            f"By what the exits declare, {arriving} connections must arrive, {len(cases) - arriving} must be refused.\n"
        )

    async def _carry_out(self, network: Network, directory: Path, rng: Random) -> None:
        runs = [case.run for case in self._cases.values()]
        evidence = EvidenceLog(directory / "events.ndjson", {"session": self._scan_id, "tor": network.tor_version})
        session = Session(
            network.channel,
            ToolLauncher(directory, bindings.PRELOAD, network.socks, dict(os.environ)),
            pace=Pace(0.0, 0.0, PENDING),
            first_hops=first_hop_chooser(network.snapshot, (), {run.exit.fingerprint for run in runs}, HOPS),
            rng=rng,
            evidence=evidence,
            on_finished=self._finished,
        )
        for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(signo, self._interrupt, session)
        try:
            await session.run(runs, len(runs))
        finally:
            evidence.close()

    def _interrupt(self, session: Session) -> None:
        self._is_interrupted = True
        session.interrupt()

    def _finished(self, life: Life, launch: Launch | None) -> None:
        assert isinstance(launch, ToolLaunch)
        case = self._cases[life.run.run_id]
        self._records.append(fold(life, {"scan_id": self._scan_id}, {}))
        output = "".join(bytes(o.kept).decode("utf-8", "replace") for o in (launch.stdout, launch.stderr) if o)
        failure = failure_of(life)
        found = failure.kind if failure else "" if case.tool.is_good(output, case.exit.address) else "answer"
        if found == case.refusal:
            self._as_declared += bool(found)
            self._board.show(case, ("refused", found, "yellow") if found else ("ok", "", "green"))
            return
        reason = failure.detail if failure else "not the answer that was due"
        self._surprises.append(f"{case.exit.nickname}, {case.tool.title}: {reason}")
        self._board.show(case, ("failed", found or "arrived", "bold red"))

    def _judge(self, arrivals: list[Arrival], events: Path, took: float) -> int:
        planned = sum(case.must_arrive for case in self._cases.values())
        refusals = Counter(case.exit.behaviour for case in self._cases.values() if case.refusal)
        owners = {case.target: run_id for run_id, case in self._cases.items()}
        truth = score(read_claims(self._records), arrivals, relays=seen_as(self._lab.relays), owners=owners)
        with open(events, encoding="utf-8") as lines:
            proof = verify(read_evidence(lines), self._records)
        for sentence in (*self._surprises, *truth.problems, *proof.problems):
            self._say(f"exitpin: {sentence}", "red")
        each = ", ".join(f"{behaviour} {count}" for behaviour, count in refusals.items())
        due = sum(refusals.values())
        self._say(f"\n{len(self._records)} runs in {took:.1f} s")
        self._say(f"recomputed from Tor's raw lines: {proof.consistent}/{proof.streams} streams consistent")
        self._say(f"policy refusals {self._as_declared}/{due} as declared ({each})")
        is_good = truth.is_perfect(planned)
        self._say(truth.summary(planned), "bold green" if is_good else "bold red")
        if self._is_interrupted:
            return 128 + signal.SIGINT
        return 0 if is_good and not self._surprises and not proof.problems else EXIT_WRONG

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style), soft_wrap=True)


def main(argv: list[str] | None = None) -> int:
    """Entry point; the exit status: 0 all right, 1 something wrong or missing, 125 no lab, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m exitpin.orchestrator.lab.demo",
        description="Tools through every exit of a private Tor network, judged by who saw them.",
    )
    parser.add_argument("--name", default=f"demo-{os.getpid()}", help="the lab's name (default: one of its own)")
    parser.add_argument(
        "--keep", action="store_true", help="leave the lab running, to go on with `exitpin run --lab --name NAME`"
    )
    parser.add_argument("--inside", metavar="NAME", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    try:
        return inside(args.inside) if args.inside else around(args.name, args.keep)
    except OperatorError as error:
        print(f"exitpin: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def inside(name: str) -> int:
    """The runs, in the namespaces of a running lab."""
    lab = load(name)
    width = None if sys.stdout.isatty() else 120
    return run_inside(
        lab.supervisor_pid, lambda: asyncio.run(Demo(lab, Console(highlight=False, width=width)).execute())
    )


def around(name: str, keep: bool) -> int:
    """Bring a lab up, run inside it, take it down whatever happens: unless it is kept, it dies with this process."""
    for signo in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signo, _leave)
    supervisor: subprocess.Popen[bytes] | None = None
    is_ours = False
    try:
        state, was_running, supervisor = start.up(name, EXITS_DEFAULT, stay=not keep, progress=_progress)
        is_ours = not was_running
        _clear()
        print(f"The lab {name} is up, after {state.start_s:.1f} s.", flush=True)
        status = _attend(subprocess.Popen([sys.executable, "-m", __spec__.name, "--inside", name]))
        if keep:
            print(
                f"exitpin: The lab stays. Next: exitpin lab status --name {name}, exitpin lab down --name {name}",
                file=sys.stderr,
            )
        return status
    finally:
        for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signo, signal.SIG_IGN)
        if is_ours and not keep:
            start.down(name)
        if supervisor is not None:
            supervisor.wait()


def _attend(inner: "subprocess.Popen[bytes]") -> int:
    """Wait for the runs; when we are interrupted, they have been as well, or are told now."""
    try:
        return inner.wait()
    except BaseException:
        with suppress(ProcessLookupError):
            inner.terminate()
        try:
            inner.wait(INNER_END_S)
        except subprocess.TimeoutExpired:
            inner.kill()
            inner.wait()
        raise


def _leave(signo: int, _: object) -> None:
    sys.exit(128 + signo)


def _progress(phase: str, done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[Klab: {phase}{f' {done}/{of}' if of > 1 else ''}", end="", file=sys.stderr, flush=True)


def _clear() -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
