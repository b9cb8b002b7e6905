"""Ctrl-C in two stages, progress on a terminal, and what nobody caught: all that looks after a scan while it runs."""

import asyncio
import signal
import sys
import time
from types import TracebackType
from typing import Any

from ...wrappers.output import printable
from ..audit.scanning import Scan
from ..counted import counted
from .audit_account import GRAVITY, Account
from .audit_alerts import Alerting
from .guarding import ours

SHOW_S = 0.25


class Guard:
    """A context around a scan, from what it writes down first. The first signal lets running jobs and alerts end, the
    second one ends them. `alerting`: None until there is any."""

    def __init__(self, scan: Scan, account: Account, *, is_shown: bool) -> None:
        self.alerting: Alerting | None = None
        self._scan = scan
        self._account = account
        self._is_shown = is_shown
        self._loop = asyncio.get_running_loop()
        self._began = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._signals = ours()
        self.interrupted_by: int | None = None

    def __enter__(self) -> "Guard":
        for signo in self._signals:
            self._loop.add_signal_handler(signo, self._signalled, signo)
        self._loop.set_exception_handler(self._uncaught)
        if self._is_shown:
            self._show()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for signo in self._signals:
            self._loop.remove_signal_handler(signo)
        self.hide_progress()

    def hide_progress(self) -> None:
        """There is none any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _signalled(self, signo: int) -> None:
        is_first = self.interrupted_by is None and signo == signal.SIGINT
        self.interrupted_by = signo
        if is_first:
            self._scan.drain()
            running = self._scan.under_way
            told = self.alerting.under_way if self.alerting is not None else 0
            alerts = f" and {counted(told, 'alert')}" if told else ""
            self.say(f"interrupted: {running} running jobs{alerts} may end; once more ends them")
        else:
            self._scan.interrupt("interrupted by the user")
            if self.alerting is not None:
                self.alerting.stop()

    def _uncaught(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        loop.default_exception_handler(context)
        self._scan.lose_trust(f"internal error: {context.get('exception') or context['message']}")

    def say(self, sentence: str) -> None:
        """A sentence beside the progress."""
        clear = "\r\x1b[K" if self._is_shown else ""
        print(f"{clear}exitpin: {printable(sentence)}", file=sys.stderr, flush=True)

    def _show(self) -> None:
        self._timer = self._loop.call_later(SHOW_S, self._show)
        auditor = self._scan.auditor
        if auditor is None:
            return
        planned = len(self._account.plan.pairs)
        done = planned - auditor.open_cases
        took = time.monotonic() - self._began
        findings = sum(self._account.statuses[status] for status in GRAVITY)
        rate = auditor.runs_done / took * 60 if took > 0 else 0.0
        left = _left(took, done, planned)
        line = f"{done}/{planned} verdicts, {auditor.running} running, {findings} findings, {rate:.0f} runs/min{left}"
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()


def _left(took_s: float, done: int, planned: int) -> str:
    """What remains at this rate; nothing while it can't be told."""
    if not 0 < done < planned:
        return ""
    seconds = int(took_s / done * (planned - done))
    return f", about {seconds // 60}:{seconds % 60:02} left"
