"""Many records of a store held against their evidence, in several processes where there are many; memory stays flat.

With I/O: reads, and starts processes; what agrees with what is decided without either, in `check.py` and
`check_verdict.py`. Called by `results verify`.
"""

import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process, resource_tracker
from pathlib import Path

from ..errors import OperatorError
from .check import Checked, check_run, check_scan
from .check_verdict import check_verdict
from .pieces import Pieces
from .stored import Reader, Record, Unreadable, open_store

AT_ONCE = 200  # records of one piece of work
FEW = 5_000  # not worth the start of processes
AHEAD = 2  # pieces of work that wait, for each process


def check_store(path: Path, places: Sequence[int], processes: int | None = None) -> Iterator[Checked]:
    """Check the records that stand at these places, and tell after each few hundred what came of them, in their order.
    Raises OperatorError."""
    chunks = [places[start : start + AT_ONCE] for start in range(0, len(places), AT_ONCE)]
    count = processes or os.cpu_count() or 1
    if count == 1 or len(places) <= FEW:
        yield from (_check(str(path), chunk) for chunk in chunks)
        return
    with _kept_from_signals():
        resource_tracker.ensure_running()
    with ProcessPoolExecutor(count, get_context("spawn"), _watch_the_parent) as pool:
        waiting: deque[Future[Checked]] = deque()
        try:
            for chunk in chunks:
                with _kept_from_signals():  # this may start one of the processes
                    waiting.append(pool.submit(_check, str(path), chunk))
                if len(waiting) > AHEAD * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            what = "a process that checked records was killed: they are not all checked."
            raise OperatorError(what, "Perhaps there was too little memory.") from error
        finally:
            pool.shutdown(cancel_futures=True)  # not left to the interpreter's end, which may trip over its last steps


def check_scans(reader: Reader, scan_id: str | None) -> Iterator[Checked]:
    """What a scan, or each (None), was begun with."""
    pieces = Pieces(reader.blobs.read)
    names = [scan_id] if scan_id is not None else [row[0] for row in reader.rows("SELECT scan_id FROM scans")]
    for name in names:
        try:
            scan = reader.scan(name, strictly=True)
        except Unreadable as unreadable:
            yield cant_be_read(unreadable)
        else:
            if scan is not None:
                yield check_scan(scan, pieces)


def check_record(reader: Reader, record: Record, pieces: Pieces | None = None) -> Checked:
    """One record, whichever it is. `pieces`: those that were looked at already."""
    pieces = pieces or Pieces(reader.blobs.read)
    return check_verdict(record, pieces, reader.record) if "verdict_id" in record else check_run(record, pieces)


def cant_be_read(unreadable: Unreadable) -> Checked:
    """A record that says nothing."""
    return Checked(problems=(f"{unreadable.name}: its record can't be read: {unreadable.why}",))


def check_record_named(reader: Reader, record_id: str) -> Checked:
    """The record with this id; nothing, where it is not there."""
    try:
        record = reader.record(record_id, strictly=True)
    except Unreadable as unreadable:
        return cant_be_read(unreadable)
    return Checked() if record is None else check_record(reader, record)


def check_named_by(reader: Reader, verdict: Record) -> Iterator[Checked]:
    """The runs and controls that a verdict names, each once, as far as they are there."""
    told = [*(verdict.get("runs") or ()), *(verdict.get("controls") or ())]
    for run_id in dict.fromkeys(item.get("run_id") for item in told):
        if run_id is not None:
            yield check_record_named(reader, str(run_id))


def _check(path: str, places: Sequence[int]) -> Checked:
    """In a process of its own, perhaps. A record that was removed meanwhile is none any more."""
    found = Checked()
    reader = open_store(Path(path))
    if reader is not None:
        with reader:
            pieces = Pieces(reader.blobs.read)
            for place in places:
                try:
                    record = reader.at(place)
                except Unreadable as unreadable:
                    found.add(cant_be_read(unreadable))
                else:
                    if record is not None:
                        found.add(check_record(reader, record, pieces))
    return found


@contextmanager
def _kept_from_signals() -> Iterator[None]:
    """What is started within it hears none of these: a terminal sends them to all of us, and the parent alone answers.
    A mask and no disposition, for it holds before Python has begun there."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _watch_the_parent() -> None:
    """In a process of the pool: whatever ends the parent, be it SIGKILL, closes the pipe that this waits for. And the
    pool itself ends it by SIGTERM, when another one has gone."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_the_parent, name="parent", daemon=True).start()


def _end_with_the_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(128 + signal.SIGTERM)
