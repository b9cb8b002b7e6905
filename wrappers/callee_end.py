"""The end of a function's process whose answer is written: as Python ends, and in time.

Python waits for threads first, then it calls what is registered with atexit, where multiprocessing waits for its
processes. One of them that never ends would have the run end at its timeout, and the answer with it. So two threads
look on, which nothing waits for: the first ends those processes and, where it is threads that are waited for, calls in
the main thread's place what is registered; the second ends the process, whatever is not over. Called by `callee.py`.
"""

import atexit
import contextlib
import os
import sys
import threading
import time
from typing import NoReturn

PATIENCE_S = 2.0
"""So long Python may take for its end, and as long again what is called then."""


def end_in_time() -> None:
    """From now on the process ends before long, with exit status 0 if not by itself. Called in the main thread, which
    has nothing left to do."""
    turn = threading.Lock()

    def take_turn() -> None:
        if not turn.acquire(blocking=False):
            threading.Event().wait()  # the other one calls them, and ends the process

    def end_first() -> None:
        time.sleep(PATIENCE_S)
        _end_what_is_left()
        if turn.acquire(blocking=False):
            atexit.unregister(take_turn)
            atexit._run_exitfuncs()
            _end_now()

    def end_at_last() -> None:
        time.sleep(2 * PATIENCE_S)
        _end_now()

    atexit.register(take_turn)  # registered last, and called first
    for end in (end_first, end_at_last):  # both now: Python 3.12 starts no thread once it ends
        threading.Thread(target=end, daemon=True).start()


def _end_what_is_left() -> None:
    """End processes of multiprocessing, and say who was waited for."""
    threads = [one for one in threading.enumerate() if not one.daemon and one is not threading.main_thread()]
    processes = sys.modules["multiprocessing"].active_children() if "multiprocessing" in sys.modules else []
    left = ", ".join(one.name for one in (*threads, *processes)) or "what is called at its end"
    told = f"exitpin: the function is over, and after {PATIENCE_S:g} s this was not, and is ended: {left}"
    with contextlib.suppress(Exception):
        print(told, file=sys.stderr, flush=True)
    for process in processes:
        process.kill()


def _end_now() -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed, or whatever stands for it
            stream.flush()
    os._exit(0)
