"""Checks the first record of a store many times over, in two processes; stops after the first of it until it is told to
go on. Given: the store. Its exit status, where nothing interrupts it: how many threads are left of that."""

import sys
import threading
from pathlib import Path

from exitpin.orchestrator.cli.ending import ended_by_signals, exit_status_of
from exitpin.orchestrator.results.checking import FEW, check_store


def work() -> int:
    with ended_by_signals():
        for number, _ in enumerate(check_store(Path(sys.argv[1]), [1] * 2 * FEW, 2)):
            if number == 0:
                print("begun", flush=True)
                sys.stdin.readline()
    return threading.active_count() - 1


if __name__ == "__main__":  # each process of the pool imports this, too
    sys.exit(exit_status_of(work))
