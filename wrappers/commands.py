"""sh-style commands bound to an exit: `commands.curl("-sS", url)`, with the habits of `sh` (`habits.py`).

What `sh` starts is the client, which becomes the tool's parent: signals, pipes and exit statuses are the tool's own.
Called by `exitpin.Tor`. Source: sh 2.4, whose `Command` this builds on.
"""

from functools import partial
from typing import Any, ClassVar

import sh

from .fed import Output
from .habits import ELSEWHERE, FOREGROUND, HABITS, REFUSED, checked
from .running import Running, Way


def command_class(way: Way, exit_: str) -> type[sh.Command]:
    """The commands of one exit."""

    class PinnedCommand(sh.Command):
        _call_args: ClassVar[dict[str, Any]] = {**sh.Command._call_args, **dict.fromkeys(REFUSED), **HABITS}  # type: ignore[misc]
        RunningCommandCls = partial(Running, way, exit_)  # type: ignore[assignment]

        def __init__(self, path: str, search_paths: Any = None) -> None:
            super().__init__(path, search_paths)
            if "/" not in path:
                self._path = path  # found where the run looks for it

        @classmethod
        def _extract_call_args(cls, kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
            """As that of `sh`, which calls it for all that is given or baked."""
            call_args, others = super()._extract_call_args(kwargs)  # type: ignore[misc]
            source = call_args.get("in")
            if isinstance(source, Running) and not source.call_args["piped"]:
                call_args["in"] = Output(source)
            return checked(call_args), others

        def __enter__(self) -> None:
            checked({"with": True})

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            """As that of `sh`, but pinned in the foreground, too: `sh` is never told to go there. Raises TypeError for
            what is refused."""
            if sh.Command.thread_local.__dict__.get("_prepend_stack"):
                checked({"with": True})
            is_in_front = kwargs.get("_fg", self._partial_call_args.get("fg"))
            ran = super().__call__(*args, **{**kwargs, **(FOREGROUND if is_in_front else ELSEWHERE)})
            return None if is_in_front else ran

    return PinnedCommand


def find(commands: type[sh.Command], name: str) -> sh.Command:
    """The command of that name, or with dashes where it has underscores. Raises sh.CommandNotFound."""
    try:
        return commands(name)
    except sh.CommandNotFound:
        if "_" not in name:
            raise
        return commands(name.replace("_", "-"))
