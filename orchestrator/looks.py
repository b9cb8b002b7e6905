"""Looks: circuits that are built to see whether the hops of another one still answer, and carry nothing.

One goes the same way as the circuit in question; the pool closes it as soon as the hops before its exit have answered.
Pure but for the futures of those who wait; called by the attacher.
"""

import asyncio
from collections.abc import Sequence
from itertools import count

from .circuit import Want
from .circuits import Pool
from .effects import Effect, LookEnded
from .model import Fingerprint


class Looks:
    """Those under way, each with whoever waits for what it shows."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._numbers = count(1)
        self._waiting: dict[str, asyncio.Future[bool]] = {}

    def begin(self, path: Sequence[Fingerprint]) -> "asyncio.Future[bool]":
        """Queue one before everything else. `path`: of the circuit in question, with its exit."""
        name = f"look {next(self._numbers)}"
        self._pool.wanted.appendleft(Want(name, path[-1], through=tuple(path[:-1])))
        found = self._waiting[name] = asyncio.get_running_loop().create_future()
        return found

    def ended(self, told: LookEnded) -> None:
        """The pool's word on one."""
        found = self._waiting.pop(told.look, None)
        if found is not None and not found.done():
            found.set_result(told.is_well)

    def give_up(self) -> list[Effect]:
        """Nobody asks any more: whoever waits is told that the hops are not well."""
        names, self._waiting = self._waiting, {}
        for found in names.values():
            if not found.done():
                found.set_result(False)
        return [effect for name in names for effect in self._pool.release(name)]
