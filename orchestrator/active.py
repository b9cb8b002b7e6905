"""A run under way: its life, its hold on the world, and the ticket by which its next connect need not wait for us.

A ticket says what would be decided now, and is good for as long as nothing is decided: it is recalled before each step,
and what was done by it is stepped first. Called by `loop.py`.
"""

import asyncio
from dataclasses import dataclass, field

from .ports import Ahead, Launch
from .runs import Life


@dataclass(eq=False, slots=True)
class Active:
    """A run under way. `ahead`: who makes connects by tickets; None: nobody does."""

    life: Life
    launch: Launch
    ahead: Ahead | None = None
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    _is_ticket_due: bool = False

    def recall(self) -> None:
        """Nothing is done by a ticket from now on, and what was has been stepped."""
        if self.ahead is not None:
            self.launch.recall()

    def offer_ticket(self) -> None:
        """At the end of this turn of the loop, whatever else happens in it; once."""
        if self.ahead is not None and not self._is_ticket_due:
            self._is_ticket_due = True
            asyncio.get_running_loop().call_soon(self._offer)

    def _offer(self) -> None:
        self._is_ticket_due = False
        ticket = self.life.ticket()
        if ticket is not None and self.ahead is not None:
            self.launch.go_ahead(ticket, self.ahead)
