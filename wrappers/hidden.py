"""The Unix sockets that are hidden from runs: those of daemons, a second old at most, looked for in a thread.

A look reads folders that a tool may write to. Who is at work in one lets others wait, and may be starved by the tool
meanwhile, or the server of a file system be gone: then runs that are to begin wait, and nothing else does. Decides
nothing; called by `launch.py`, before each run. What is found is `daemons.py`.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterable

from ..orchestrator.containment import Containment
from .daemons import Sockets, sockets_of_others
from .unix_given import Inode

FRESH_S = 1.0
FRESH_PER_LOOK = 20
LOOK_S = 30.0
"""As long a run waits for it; one from which nobody can say what is to be hidden does not begin."""

Found = Callable[[Sockets | None], None]
"""Hears what was found; None: it could not be looked."""


def containment_options(containment: Containment, hidden: Iterable[str] = ()) -> list[str]:
    """The launcher's arguments for a level, and the sockets that it hides."""
    options = {
        "--guard": containment.is_guarded, "--notify": containment.is_supervised, "--netns": containment.is_apart,
        "--alone": containment.is_alone and not containment.is_guarded,
        "--own-mounts": containment.has_own_mounts,
        "--listen": containment.may_listen and containment.level != "shim",
    }  # fmt: skip
    chosen = [option for option, is_there in options.items() if is_there]
    given = [word for name in sorted(containment.unix) for word in ("--given", name)]
    return [*chosen, *given, *(word for path in hidden for word in ("--hide", path))]


class Daemons:
    """What there is now, a second old at most; older where a look takes long."""

    def __init__(
        self,
        ours: str,
        allowed: Collection[Inode],
        look: Callable[[str, Collection[Inode]], Sockets] = sockets_of_others,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ours = ours
        self._allowed = allowed
        self._look = look
        self._clock = clock
        self._fresh_until = float("-inf")
        self._found = Sockets([], False)
        self._waiting: list[Found] = []

    def ask(self, then: Found) -> None:
        """Look, if it was long ago: `then` hears on the loop, and at once if it was not."""
        began = self._clock()
        if began < self._fresh_until:
            then(self._found)
            return
        self._waiting.append(then)
        if len(self._waiting) == 1:
            thread = threading.Thread(
                target=self._main, args=(began, asyncio.get_running_loop()), name="daemons", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:  # no more threads
                self._over(None, error)

    def _main(self, began: float, loop: asyncio.AbstractEventLoop) -> None:
        found, problem = None, None
        try:
            found = self._look(self._ours, self._allowed)
            ended = self._clock()
            self._found, self._fresh_until = found, ended + max(FRESH_S, FRESH_PER_LOOK * (ended - began))
        except Exception as error:
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self._over, found, problem)

    def _over(self, found: Sockets | None, problem: Exception | None) -> None:
        self._waiting, waiting = [], self._waiting
        for then in waiting:
            then(found)
        if problem is not None and not isinstance(problem, OSError):
            raise problem


class Looking:
    """A run that waits for it, LOOK_S at most: `then` hears what was found, once, unless it is called off before."""

    def __init__(self, daemons: Daemons, then: Found) -> None:
        self._then = then
        self._is_over = False
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._heard, None)
        daemons.ask(self._heard)

    def call_off(self) -> bool:
        """Whether it waited still."""
        waited, self._is_over = not self._is_over, True
        self._timer.cancel()
        return waited

    def _heard(self, found: Sockets | None) -> None:
        if self.call_off():
            self._then(found)
