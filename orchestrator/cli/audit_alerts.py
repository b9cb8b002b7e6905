"""The alerts of `exitpin audit`, carried out: a command for each verdict that somebody wants to hear of.

What is told, and when, `audit/alerts.py` decides; a command is `wrappers/alert_command.py`'s. Lives on the loop, beside
the scan, which waits for nothing of it but at its end.
"""

import argparse
import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ...wrappers.alert_command import AlertCommand
from ..audit.alerts import ALERTS_MAX, Alert, Alerts
from ..results.stored import open_store


class Alerting:
    """Starts and ends the commands. `on_told` is called after each that succeeded."""

    def __init__(
        self,
        alerts: Alerts,
        args: argparse.Namespace,
        environment: Mapping[str, str],
        guests: set[int],
        on_told: Callable[[], None],
    ) -> None:
        self.alerts = alerts
        self._argv = args.command
        self._timeout_s = args.alert_timeout
        self._environment = environment
        self._guests = guests
        self._on_told = on_told
        self._running: list[AlertCommand] = []
        self._changed = asyncio.Event()

    @property
    def under_way(self) -> int:
        """How many commands run."""
        return len(self._running)

    def judged(self, record: Mapping[str, Any]) -> None:
        """A verdict that is about to be recorded, or any other record."""
        self.alerts.judged(record)

    def catch_up(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Verdicts that have been recorded for long."""
        for record in records:
            self.alerts.judged(record)
            self.alerts.recorded([str(record["verdict_id"])])
        self._pump()

    def recorded(self, record_ids: Iterable[str]) -> None:
        """These are on disk."""
        self.alerts.recorded(record_ids)
        self._pump()

    def lost(self) -> None:
        """The store takes nothing more."""
        self.alerts.lost()
        self._changed.set()

    def stop(self) -> None:
        """End what runs, and start nothing."""
        self.alerts.lost()
        self.alerts.stop()
        for command in list(self._running):
            command.end()
        self._changed.set()

    async def finish(self) -> None:
        """Return when all that was recorded has been told, or can't be. No verdict may come any more."""
        while self.alerts.is_waiting_for_disk:
            await self._change()
        self.alerts.close()
        self._pump()
        while not self.alerts.is_idle:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _pump(self) -> None:
        while (alert := self.alerts.take()) is not None:
            self._start(alert)
        self._changed.set()

    def _start(self, alert: Alert) -> None:
        def ended(problem: str | None) -> None:
            self._running.remove(command)
            self._ended(alert, problem)

        try:
            command = AlertCommand(self._argv, alert.line, self._timeout_s, self._environment, self._guests, ended)
        except (OSError, ValueError) as error:
            asyncio.get_running_loop().call_soon(self._ended, alert, f"it could not be started: {error}")
        else:
            self._running.append(command)

    def _ended(self, alert: Alert, problem: str | None) -> None:
        self.alerts.ended(alert, problem)
        if problem is None:
            self._on_told()
        self._pump()


def untold(alerts: Alerts, verdicts: Iterable[Mapping[str, Any]], store: Path) -> list[Mapping[str, Any]]:
    """The records of those verdicts of earlier sessions that somebody should have been told of; beyond as many as are
    told each by itself only what is known of them. Raises OperatorError."""
    due = [one for one in verdicts if alerts.is_due(one)]
    reader = open_store(store) if due else None
    if reader is None:
        return due
    with reader:
        some = (reader.record(str(one["verdict_id"])) for one in due[:ALERTS_MAX])
        return [*filter(None, some), *due[ALERTS_MAX:]]
