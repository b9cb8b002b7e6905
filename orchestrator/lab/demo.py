"""`make demo`: a private Tor network with honest, broken and hostile exits; what is planted, and what is found.

Two acts inside one lab, whose life ends with this process, however that ends: everyday tools through every exit, judged
by who saw them (`demo_attribution.py`), then all declared audits, judged by what was planted (`demo_audit.py`).
"""

import argparse
import asyncio
import os
import secrets
import signal
import subprocess
import sys
from contextlib import suppress
from random import Random

from rich.console import Console
from rich.text import Text

from ...wrappers.namespaces import run_inside
from ...wrappers.runtime import scratch_directory
from ..errors import OperatorError
from ..network import Vantage, open_network
from . import start
from .demo_attribution import Attribution
from .demo_audit import Audit
from .state import LabState, load

EXIT_WRONG = 1
INNER_END_S = 15.0
PROFILE = "hostile"
WIDTH = 120


class Demo:
    """Both acts, inside the lab. `tools`: those of the second, as words for `exitpin audit`."""

    def __init__(self, lab: LabState, console: Console, tools: list[str]) -> None:
        self._lab = lab
        self._console = console
        self._scan_id = f"demo-{secrets.token_hex(3)}"
        self._attribution = Attribution(lab, f"{self._scan_id}-a", self._say)
        self._audit = Audit(lab, f"{self._scan_id}-b", console, self._say, tools)

    async def execute(self) -> int:
        """The exit status: 0 when all was right, proven, and found."""
        rng = Random(secrets.randbits(64))
        with scratch_directory() as directory:
            async with open_network(Vantage("lab", self._lab.control_socket, self._lab.name)) as network:
                is_attributed = await self._attribution.execute(network, directory, rng)
                if self._attribution.is_interrupted:
                    return 128 + signal.SIGINT
            async with open_network(Vantage("lab", self._lab.control_socket, self._lab.name)) as network:
                self._say("", "")
                is_found = await self._audit.execute(network, directory, rng)
        if self._audit.is_interrupted:
            return 128 + signal.SIGINT
        return 0 if is_attributed and is_found else EXIT_WRONG

    def _say(self, text: str, style: str) -> None:
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
    parser.add_argument("--profile", default=PROFILE, help="how the exits conduct themselves (default: hostile)")
    parser.add_argument("--seed", type=int, help="shuffles which exit has which behaviour")
    parser.add_argument("--inside", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument("tools", nargs="*", default=["@all"], metavar="TOOL", help="the audits (default: all)")
    args = parser.parse_args(argv)
    try:
        return inside(args.inside, args.tools) if args.inside else around(args)
    except OperatorError as error:
        print(f"exitpin: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def inside(name: str, tools: list[str]) -> int:
    """The runs, in the namespaces of a running lab."""
    lab = load(name)
    width = None if sys.stdout.isatty() else WIDTH
    console = Console(highlight=False, width=width)
    return run_inside(lab.supervisor_pid, lambda: asyncio.run(Demo(lab, console, tools).execute()))


def around(args: argparse.Namespace) -> int:
    """Bring a lab up, run inside it, take it down whatever happens: unless it is kept, it dies with this process."""
    for signo in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signo, _leave)
    name, keep = args.name, args.keep
    supervisor: subprocess.Popen[bytes] | None = None
    is_ours = False
    try:
        state, was_running, supervisor = start.up(
            name, profile=args.profile, seed=args.seed, stay=not keep, progress=_progress
        )
        is_ours = not was_running
        _clear()
        seeded = f", seed {state.seed}" if state.seed is not None else ""
        print(f"The lab {name} is up, after {state.start_s:.1f} s (profile {state.profile}{seeded}).", flush=True)
        command = [sys.executable, "-m", __spec__.name, "--inside", name, *args.tools]
        status = _attend(subprocess.Popen(command))
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
