"""(c, d) How many runs of curl a second, 64 at a time, over 16 exits; and what a run costs in CPU time.

The ceiling is what the same tor does with nobody judging: for each run a fresh circuit over two hops, `curl
--socks5-hostname` from a source address of its own, the stream attached by that address, the circuit closed. (This tor
ignores SOCKS user names where a client offers to go without, as curl does.) Nothing is captured, compared or kept.
Ours is `exitpin run`: the same circuits, and every connection proved. Both run the same number of times through each
exit, in random order, and both count from the first circuit asked for to the end of the last run.
"""

import os
import random
import select
import signal
import time
from collections import deque
from dataclasses import dataclass

from bare_control import BareControl
from figures import Measure
from place import WEB, Place, cpu_of_the_lab_s, run_ours

JOBS = 64
CURL = ("/usr/bin/curl", "-sS", "-m", "60")


def measure(place: Place, rounds: int, repeat: int) -> list[Measure]:
    """`rounds` times `repeat` runs through each exit, by each side in turn."""
    rate = Measure("curl, 16 exits, -j 64", "runs/s", figure="{} of the ceiling", goal="at least 0.90")
    whole = Measure("CPU of a run, all processes", "ms", figure="{} of the ceiling's")
    own = Measure("CPU of a run, orchestrator", "ms", note="bare: the loop that spawns curl and attaches")
    kept = Measure("curl, the same with --json", "runs/s", note="records and evidence written")
    lag = Measure("event loop late, p99", "ms", note="a timer of 5 ms; on a busy machine mostly the machine's")
    busy = Measure("event loop busy, p99", "ms", note="CPU time of the loop between two such timers")
    runs = repeat * len(place.exits)
    for _ in range(rounds):
        before = cpu_of_the_lab_s()
        ceiling = Ceiling(place, repeat).run()
        rate.add("bare", runs / ceiling.wall_s)
        whole.add("bare", (cpu_of_the_lab_s() - before) / runs * 1e3)
        own.add("bare", ceiling.cpu_s / runs * 1e3)
        ours = _ours(place, repeat)
        rate.add("ours", runs / ours["wall_s"])
        whole.add("ours", ours["whole_s"] / runs * 1e3)
        own.add("ours", ours["cpu_s"] / runs * 1e3)
        lag.add("ours", ours["lag_p99_ms"])
        busy.add("ours", ours["busy_p99_ms"])
        kept.add("ours", runs / _ours(place, repeat, "--json", "--events", str(place.fresh(".gz")))["wall_s"])
    rate.compare("ratio", "ours", "bare")
    whole.compare("ratio", "ours", "bare")
    return [rate, kept, whole, own, lag, busy]


def _ours(place: Place, repeat: int, *options: str) -> dict[str, float]:
    """The watched run; `whole_s` leaves out the start of the command line, as the rates do."""
    exits = [word for relay in place.exits for word in ("-e", relay.fingerprint)]
    arguments = [*exits, "--repeat", str(repeat), "-j", str(JOBS), *options, "--", *CURL, WEB]
    shown = place.fresh(".out")
    before = cpu_of_the_lab_s()
    with shown.open("wb") as output:
        summary = run_ours(place, *arguments, stdout=output.fileno())
    summary["whole_s"] = cpu_of_the_lab_s() - before - summary["start_cpu_s"]
    if summary["runs"] != repeat * len(place.exits) or summary["failed"]:
        raise RuntimeError(f"not every run succeeded: {summary}")
    return summary


@dataclass(slots=True)
class Slot:
    """One run of the ceiling."""

    exit: str
    circuit: str = ""
    pid: int = 0


class Ceiling:
    """All runs through each exit, JOBS at a time, with as little as will do."""

    def __init__(self, place: Place, repeat: int) -> None:
        self._place = place
        self._waiting = deque(relay.fingerprint for relay in place.exits for _ in range(repeat))
        random.shuffle(self._waiting)
        self._total = len(self._waiting)
        self._control = BareControl(place.control())
        self._asked: deque[Slot] = deque()
        self._building: dict[bytes, Slot] = {}
        self._running: dict[int, Slot] = {}
        self._proxy = f"127.0.0.1:{place.lab.socks_port}"
        self._circuits: dict[bytes, str] = {}
        self._output = place.fresh(".out")
        self.wall_s = self.cpu_s = 0.0

    def run(self) -> "Ceiling":
        """Carry it out. RuntimeError when a curl failed or an exit was not seen as often as it should be."""
        wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        before = signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        output = os.open(self._output, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        poll = select.poll()
        control = self._control.fileno()
        poll.register(control, select.POLLIN)
        poll.register(wake, select.POLLIN)
        began, cpu = time.monotonic(), time.process_time()
        for _ in range(JOBS):
            self._next()
        while self._asked or self._building or self._running:
            for descriptor, _ in poll.poll():
                if descriptor == control:
                    for line in self._control.lines():
                        self._hear(line, output)
                else:
                    os.read(wake, 4096)
                    self._reap()
        self.wall_s, self.cpu_s = time.monotonic() - began, time.process_time() - cpu
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, before)
        for descriptor in (wake, woken, output):
            os.close(descriptor)
        self._control.close()
        seen = self._output.read_text().split()
        if sorted(set(seen)) != sorted(relay.address for relay in self._place.exits) or len(seen) != self._total:
            raise RuntimeError(f"{len(seen)} answers to {self._total} runs")
        return self

    def _next(self) -> None:
        if self._waiting:
            slot = Slot(self._waiting.popleft())
            self._asked.append(slot)
            middle = random.choice(self._place.middles)
            self._control.send(f"EXTENDCIRCUIT 0 ${middle},${slot.exit} purpose=general")

    def _hear(self, line: bytes, output: int) -> None:
        if b" NEW 0 " in line:
            circuit = self._circuits[line[line.index(b"SOURCE_ADDR=") + 12 :].partition(b":")[0]]
            self._control.send(f"ATTACHSTREAM {line.split(b' ', 3)[2].decode()} {circuit}")
        elif line.startswith(b"250 EXTENDED "):
            slot = self._asked.popleft()
            circuit = line[13:]
            slot.circuit = circuit.decode()
            self._building[circuit] = slot
        elif line.startswith(b"650 CIRC ") and b" BUILT " in line:
            slot = self._building.pop(line.split(b" ", 3)[2], None)
            if slot is not None:
                self._spawn(slot, output)
        elif line[:3] in (b"551", b"552") or (line.startswith(b"650 CIRC") and b" FAILED " in line):
            raise RuntimeError(line.decode())

    def _spawn(self, slot: Slot, output: int) -> None:
        number = int(slot.circuit)
        own = f"127.{96 + (number >> 16) % 32}.{number >> 8 & 255}.{number & 255}"
        self._circuits[own.encode()] = slot.circuit
        command = [*CURL, "--socks5-hostname", self._proxy, "--interface", f"host!{own}", WEB]
        slot.pid = os.posix_spawn(CURL[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, output, 1)])
        self._running[slot.pid] = slot

    def _reap(self) -> None:
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            slot = self._running.pop(pid)
            if status != 0:
                raise RuntimeError(f"curl through {slot.exit} ended with {status}")
            self._control.send(f"CLOSECIRCUIT {slot.circuit}")
            self._next()
