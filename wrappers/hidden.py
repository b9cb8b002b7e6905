"""What is hidden from a run: the Unix sockets of daemons, and the named pipes that they read; and the run that waits
until that is known.

Decides nothing; called by `launch.py`, before each run. What is found is `daemons.py` and `named_pipes.py`.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import NamedTuple

from ..orchestrator.containment import Containment
from ..shim import bindings
from .daemons import Sockets, sockets_of_others
from .named_pipes import NamedPipes, Pipes, hidden_from
from .recent import Recent
from .unix_given import Inode

LOOK_S = 30.0
"""As long a run waits for the sockets; one from which nobody can say what is to be hidden does not begin."""
PIPES_S = 2.0
"""And for the pipes: then those count that were found last, and its record says that there may be others."""


def containment_options(
    containment: Containment, hidden: Iterable[str] = (), own: Iterable[str] = (), pipes: Iterable[str] = ()
) -> list[str]:
    """The launcher's arguments for a level, and what it hides. `own`: files and folders of the run; `pipes`: named
    pipes of others that it was given, and are there."""
    options = {
        "--guard": containment.is_guarded, "--notify": containment.is_supervised, "--netns": containment.is_apart,
        "--alone": containment.is_alone and not containment.is_guarded,
        "--own-mounts": containment.has_own_mounts,
        "--listen": containment.may_listen and containment.level != "shim",
        "--read-only": containment.is_read_only,
    }  # fmt: skip
    chosen = [option for option, is_there in options.items() if is_there]
    writable = (*sorted(containment.writes), *sorted(pipes), *own) if containment.is_read_only else ()
    named = {"--given": sorted(containment.unix), "--hide": hidden, "--write": writable}
    return [*chosen, *(word for option, paths in named.items() for path in paths for word in (option, path))]


class Daemons(Recent[Sockets]):
    """The Unix sockets of others, but for those that are `allowed`, and ours."""

    def __init__(
        self,
        ours: str,
        allowed: Collection[Inode],
        look: Callable[[str, Collection[Inode]], Sockets] = sockets_of_others,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(partial(look, ours, allowed), clock)


class Hiding(NamedTuple):
    """What is not to be there for a run, and whether that is all that there should not be, of either kind."""

    paths: list[str]
    finds_all: bool
    finds_pipes: bool


class Looking:
    """A run that waits: `then` hears what is hidden from it, once, unless it is called off before; None: nobody can
    say. `daemons`, `pipes`: None where those are not hidden; `caller`: of the run, `given`: pipes that it may have."""

    def __init__(
        self,
        daemons: Daemons | None,
        pipes: NamedPipes | None,
        caller: int,
        given: Collection[Inode],
        then: Callable[[Hiding | None], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self._recent_pipes = pipes
        self._caller, self._given, self._then = caller, given, then
        self._is_over = False
        self._sockets = Sockets([], True) if daemons is None else None
        self._pipes = Pipes({}, True) if pipes is None else None
        self._timers = [loop.call_later(LOOK_S, self._give_up), loop.call_later(PIPES_S, self._go_on_without)]
        if daemons is not None:
            daemons.ask(self._heard_of_sockets)
        if pipes is not None:
            pipes.ask(self._heard_of_pipes)
        self._tell()

    def call_off(self) -> bool:
        """Whether it waited still."""
        waited, self._is_over = not self._is_over, True
        for timer in self._timers:
            timer.cancel()
        return waited

    def _heard_of_sockets(self, found: Sockets | None) -> None:
        self._sockets = found
        self._give_up() if found is None else self._tell()

    def _heard_of_pipes(self, found: Pipes | None) -> None:
        self._pipes = found
        self._give_up() if found is None else self._tell()

    def _go_on_without(self) -> None:
        if self._pipes is None:
            last = self._recent_pipes.last if self._recent_pipes is not None else None
            self._pipes = (last or Pipes({}, False))._replace(is_whole=False)
            self._tell()

    def _give_up(self) -> None:
        if self.call_off():
            self._then(None)

    def _tell(self) -> None:
        if self._sockets is None or self._pipes is None or not self.call_off():
            return
        paths, is_whole = self._sockets
        pipes = hidden_from(self._pipes, self._caller, self._given, bindings.HIDDEN_MAX - len(paths))
        self._then(Hiding([*paths, *pipes.paths], is_whole, pipes.is_whole))
