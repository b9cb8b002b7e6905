"""What was started lately, kept for the next process and shared with others: limits that a restart does not forget.

Every start is written down, under the lock of `starts_file.py`, before it happens. A circuit is decided in two steps,
for the disk is slow: its record is reserved and synced by a thread, while the loop asks again every few milliseconds;
then, under the lock and knowing what others did meanwhile, it is stamped with the moment of its start. Of several that
have reserved the first goes first. A run's record is reserved when its destination is open, and stamped when its tool
starts; no circuit is built before it is synced, too. So a kill or a power cut leaves what happened, or more. A run that
started while somebody else had the lock is stamped as soon as it can be had, before anything else is decided.

Time is CLOCK_BOOTTIME, which no setting of the clock moves and which goes on while the machine sleeps. What was written
before the last boot is as old as the wall clock says, and at least as old as the boot: no clock makes anybody wait
longer than the limit's own period.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import TypeVar

from ..orchestrator.allowance import Allowance, OnWait, Tally, open_at
from ..orchestrator.errors import OperatorError
from ..orchestrator.model import Destination
from .starts_file import CHUNK, HINT, SLOTS, Damaged, Start, StartsFile, cant_be_kept, short

KEPT_S = 3600.0
"""So long a start is remembered at least: the longest period of a limit."""
LOOK_S, UNDER_WAY_S, BUSY_S, SYNC_S = 30.0, 1.0, 0.005, 0.002
"""After so long it is worth asking again: at most; while nobody knows when another one begins; while somebody else has
the lock; while the disk works."""
PATIENCE_S = 10.0
LEAVING_S = 0.5
"""So long the lock is tried for when the file is let go of."""
SWEEP_S = 60.0
CIRCUIT = short("")
REMOVE = "Without it limits begin anew: remove it, and give the targets of the last hour a rest before you start again."

Clock = Callable[[], tuple[float, float]]
"""Seconds since the machine's boot, and since the epoch."""
T = TypeVar("T")


def clock() -> tuple[float, float]:
    """The machine's."""
    return time.clock_gettime(time.CLOCK_BOOTTIME), time.time()


def boot_id() -> bytes:
    """Which boot of the machine this is. Raises OperatorError."""
    try:
        return short(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip())
    except (OSError, ValueError) as error:
        raise OperatorError("/proc/sys/kernel/random/boot_id can't be read.", "exitpin needs /proc.") from error


def key_of(destination: Destination) -> bytes:
    """What stands for a destination."""
    return short(str(destination).lower())


class KeptStarts:
    """`allowance.Starts`, on a file. For one loop; raises OperatorError when the file can't be used. `problem`: why
    nothing may start any more."""

    def __init__(self, path: Path, allowance: Allowance, clock: Clock = clock, boot: bytes | None = None) -> None:
        self._allowance = allowance
        self._horizon_s = max(KEPT_S, allowance.horizon_s)
        self._clock = clock
        self._boot = boot_id() if boot is None else boot
        self._tally: Tally[bytes] = Tally()
        self._reserved: int | None = None
        self._is_reserved_long = False
        self._under_way: dict[bytes, deque[int]] = {}
        self._unstamped: deque[tuple[int, Start]] = deque()
        self._thread = ThreadPoolExecutor(1, "starts")
        self._syncing: Future[None] | None = None
        self._written = self._synced = self._being_synced = 0
        self._busy_since: float | None = None
        self._swept_at = 0.0
        self.problem = ""
        self._on_problem: Callable[[str], None] = lambda why: None
        self._on_wait: OnWait = lambda place, wait_s: None
        self._file = StartsFile(path)
        self._asked(lambda now: None, None)  # knowing what is there
        if self.problem:
            self.close()
            raise OperatorError(self.problem)

    def close(self) -> None:
        """Let go of the file."""
        deadline = time.monotonic() + LEAVING_S
        while self._unstamped and not self.problem and time.monotonic() < deadline:
            self._asked(lambda now: None, None)
            if self._unstamped:
                time.sleep(BUSY_S)
        self._thread.shutdown()
        self._file.close()

    def watch(self, on_problem: Callable[[str], None], on_wait: OnWait) -> None:
        """As `allowance.Starts`."""
        self._on_problem, self._on_wait = on_problem, on_wait

    def times(self, destination: Destination | None) -> list[float]:
        """When there were starts towards it, or of circuits: ascending, by seconds of the first clock."""
        return list(self._tally.of(CIRCUIT if destination is None else key_of(destination)))

    def take_circuit(self) -> float:
        """As `allowance.Starts`."""
        return self._asked(self._circuit, BUSY_S)

    def take_run(self, destinations: Sequence[Destination]) -> Mapping[Destination, float]:
        """As `allowance.Starts`."""
        return self._asked(lambda now: self._run(destinations, now), dict.fromkeys(destinations, BUSY_S))

    def began(self, destinations: Sequence[Destination]) -> None:
        """As `allowance.Starts`."""
        now, _ = self._clock()
        for key in dict.fromkeys(key_of(destination) for destination in destinations):
            if key in self._under_way:
                self._unstamped.append((self._under_way[key].popleft(), self._start(key, now)))
                if not self._under_way[key]:
                    del self._under_way[key]
        self._asked(lambda now: None, None)

    # Under the lock.

    def _stamp(self) -> None:
        """Those that have begun, be it that the lock could not be had then."""
        while self._unstamped:
            number, start = self._unstamped[0]
            self._file.rewrite(number, start)
            self._tally.add(start.key, start.boot_at)
            self._unstamped.popleft()

    def _circuit(self, now: float) -> float:
        wait_s = open_at(self._tally.of(CIRCUIT), self._allowance.circuits) - now
        if wait_s <= 0 and self._reserved is None:
            wait_s = self._until_room(1, now)
        if wait_s > 0:
            self._is_reserved_long = True
            self._on_wait(None, wait_s)
            return min(wait_s, LOOK_S)
        if self._reserved is None:
            self._reserved = self._append(CIRCUIT, now)
        elif self._is_reserved_long:
            self._file.rewrite(self._reserved, self._start(CIRCUIT, now, is_under_way=True))
            self._written += 1
        self._is_reserved_long = False
        if not self._is_synced():
            return SYNC_S
        self._file.rewrite(self._reserved, self._start(CIRCUIT, now))
        self._tally.add(CIRCUIT, now)
        self._reserved = None
        return 0.0

    def _run(self, destinations: Sequence[Destination], now: float) -> Mapping[Destination, float]:
        waits = {}
        for one in dict.fromkeys(destinations):
            key = key_of(one)
            under_way = len(self._under_way.get(key, ()))
            wait_s = open_at(self._tally.of(key), self._allowance.windows_of(one), under_way) - now
            if wait_s > 0:
                waits[one] = min(wait_s, LOOK_S) if isfinite(wait_s) else UNDER_WAY_S
                if isfinite(wait_s):
                    self._on_wait(one, wait_s)
        keys = dict.fromkeys(key_of(one) for one in destinations)
        room_s = 0.0 if waits else self._until_room(len(keys), now)
        if room_s > 0:
            return dict.fromkeys(destinations, min(room_s, LOOK_S))
        if not waits:
            for key in keys:
                self._under_way.setdefault(key, deque()).append(self._append(key, now))
        return waits

    def _until_room(self, count: int, now: float) -> float:
        """Seconds until so many records may take the place of old ones."""
        last = self._file.count + count - 1 - SLOTS
        olds = (self._file.read(number) for number in range(max(0, self._file.count - SLOTS), last + 1))
        ends = [self._at(old, now, self._clock()[1]) + self._allowance.horizon_s for old in olds if old is not None]
        return max(0.0, max(ends, default=now) - now)

    def _append(self, key: bytes, now: float) -> int:
        number = self._file.append(self._start(key, now, is_under_way=True))
        self._written += 1
        return number

    def _start(self, key: bytes, now: float, *, is_under_way: bool = False) -> Start:
        return Start(key, self._boot, now, self._clock()[1], is_under_way)

    def _reload(self, now: float, wall: float) -> None:
        """Read what others have written: all of it, for what was there may have got another time."""
        mine = {number for numbers in self._under_way.values() for number in numbers}
        mine |= {number for number, _ in self._unstamped}
        tally: Tally[bytes] = Tally()
        too_old = 0
        for number, start in self._file.newest():
            at = self._at(start, now, wall)
            if at < now - self._horizon_s:
                too_old += 1
                if too_old > CHUNK:  # a stamp may be later than those of higher numbers, by less than an hour
                    break
                continue
            is_behind_us = self._reserved is not None and start.is_under_way and number >= self._reserved
            if number not in mine and not (start.key == CIRCUIT and is_behind_us):
                tally.add(start.key, at)
        self._tally = tally

    def _at(self, start: Start, now: float, wall: float) -> float:
        """When it was, on this boot's clock: below 0, if before the boot."""
        if start.boot == self._boot:
            return min(start.boot_at, now)
        return min(0.0, now - (wall - start.wall_at))

    @contextmanager
    def _turn(self) -> Iterator[float]:
        """Have the lock, know what others did: the time."""
        self._file.lock()
        try:
            self._busy_since = None
            now, wall = self._clock()
            if not self._file.is_as_left():
                self._reload(now, wall)
            elif now - self._swept_at > SWEEP_S:
                self._tally.forget(now - self._horizon_s)
                self._swept_at = now
            self._stamp()
            yield now
        finally:
            self._file.unlock()

    def _asked(self, do: Callable[[float], T], otherwise: T) -> T:
        """What `do` says, under the lock; `otherwise` while that can't be had, or there is a problem."""
        if self.problem:
            return otherwise
        try:
            with self._turn() as now:
                return do(now)
        except BlockingIOError:
            since = self._busy_since = self._busy_since or time.monotonic()
            if time.monotonic() - since > PATIENCE_S:
                self._fail(f"somebody else keeps {self._file.path} locked. `lsof {self._file.path}` says who.")
        except Damaged as error:
            self._fail(f"{self._file.path}, which keeps limits across restarts, can't be used: {error}. {REMOVE}")
        except OSError as error:
            self._fail(f"{cant_be_kept(self._file.path, error)} {HINT}")
        return otherwise

    def _fail(self, why: str) -> None:
        self.problem = why
        self._on_problem(why)

    def _is_synced(self) -> bool:
        """Whether all that was reserved is on the disk; sees to it. Raises OSError."""
        if self._syncing is not None and self._syncing.done():
            self._syncing.result()
            self._synced, self._syncing = self._being_synced, None
        if self._synced < self._written and self._syncing is None:
            self._being_synced = self._written
            self._syncing = self._thread.submit(os.fdatasync, self._file.descriptor)
        return self._synced >= self._written


def recent_starts(path: Path, allowance: Allowance) -> KeptStarts | None:
    """What was started lately; None: nothing was ever. Raises OperatorError."""
    return KeptStarts(path, allowance) if path.exists() else None
