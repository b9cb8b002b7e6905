"""How a watch is doing, for whoever looks from outside: the file of its status, metrics, and the service manager."""

import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from ...wrappers import service_manager
from ..errors import OperatorError
from ..watch.agenda import Due
from ..watch.plan import WatchPlan
from .say import say

SCHEMA = "exitpin.watch-state/1"
MODE = 0o644  # whoever monitors is another user


class Told:
    """Writes what there is to tell. A file that can't be written is told of once, and tried again."""

    def __init__(self, plan: WatchPlan, store: Path, environment: Mapping[str, str]) -> None:
        self._plan = plan
        self._store = store
        self._environment = environment
        self._problems: set[str] = set()
        self.paused: dict[str, str] = {}
        self.running: Due | None = None

    def tell(self, dues: Iterable[Due], words: str) -> None:
        """`dues`: what comes next of each scan; `words`: what the watch does now."""
        service_manager.tell(self._environment, READY="1", STATUS=words)
        state = self._state(dues)
        if self._plan.status is not None:
            self._write(Path(self._plan.status), (json.dumps(state, ensure_ascii=True) + "\n").encode())
        if self._plan.prometheus is not None:
            self._write(Path(self._plan.prometheus), None)

    def _state(self, dues: Iterable[Due]) -> dict[str, object]:
        running = self.running
        return {
            "schema": SCHEMA,
            "watch": self._plan.name,
            "pid": os.getpid(),
            "written": time.time(),
            "scans": [
                {
                    "scan": due.scan.name,
                    "state": "running" if running is not None and running.scan is due.scan else
                             "paused" if due.scan.name in self.paused else "waiting",
                    "number": due.number,
                    "due": due.at,
                    "interval_s": due.scan.interval_s,
                    "resumes": due.resumes,
                    "paused": self.paused.get(due.scan.name),
                }
                for due in dues
            ],
        }  # fmt: skip

    def _write(self, path: Path, content: bytes | None) -> None:
        from .whole_file import whole_file

        try:
            with whole_file(path, MODE) as file:
                file.write(self._metrics() if content is None else content)
        except (OperatorError, OSError) as error:
            if str(path) not in self._problems:
                say(str(error))
            self._problems.add(str(path))
        else:
            self._problems.discard(str(path))

    def _metrics(self) -> bytes:
        """Raises OperatorError when the store can't be read."""
        from .report_prom import metrics

        return metrics(self._store)
