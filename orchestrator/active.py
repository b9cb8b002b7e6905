"""A run under way: its life, its hold on the world, and the ticket by which its next connect need not wait for us.

What an effect has to tell at once waits until all effects of its step are done: it may end the run.

A ticket says what would be decided now, and is good for as long as nothing is decided: it is recalled before each step,
and what was done by it is stepped first. Called by `loop.py`.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .effects import Effect
from .model import Run
from .ports import Ahead, Launch
from .runs import Life


@dataclass(eq=False, slots=True)
class Active:
    """A run under way. `ahead`: who makes connects by tickets; None: nobody does. `put_off`: events."""

    life: Life
    launch: Launch
    ahead: Ahead | None = None
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    put_off: deque[object] = field(default_factory=deque)
    is_performing: bool = False
    _is_ticket_due: bool = False

    def puts_off(self, event: object) -> bool:
        """What is posted while effects are carried out waits until they are."""
        if self.is_performing:
            self.put_off.append(event)
        return self.is_performing

    def perform(self, wishes: Iterable[Effect], one: Callable[[Effect], None]) -> None:
        """Carry out a step's effects."""
        self.is_performing = True
        try:
            for wish in wishes:
                one(wish)
        finally:
            self.is_performing = False

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


def tagger(run: Run) -> Callable[[int], str]:
    """Tags that name run and connection and that nobody can guess."""
    return lambda number: f"{run.run_id}.{number}.{secrets.token_hex(8)}"
