"""exitpin: run any command-line tool through chosen Tor exits, and prove which exit carried each connection.

    open            tor, and commands through its exits in the manner of `sh`
    Tor, Pinned     what it gives, and what one exit gives
    Session         the same for asyncio, typed
    Exit            an exit, as a value
    RunRecord, VerdictRecord                            the types of records (docs/record.rst)
    OperatorError, RunFailed, RemoteError, ChildTraceback, TooMuchOutput    what is raised

Each is imported when it is first asked for: `import exitpin` takes no longer than it did. docs/python.rst is the
manual.
"""

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from exitpin.orchestrator.errors import OperatorError
    from exitpin.wrappers.calls import ChildTraceback, RemoteError, RunFailed
    from exitpin.wrappers.kept import TooMuchOutput

    from .exits import Exit
    from .opened import Pinned, Tor, open
    from .records import RunRecord, VerdictRecord
    from .session import Session

__all__ = [
    "ChildTraceback",
    "Exit",
    "OperatorError",
    "Pinned",
    "RemoteError",
    "RunFailed",
    "RunRecord",
    "Session",
    "TooMuchOutput",
    "Tor",
    "VerdictRecord",
    "__version__",
    "open",
]

_PLACES = {
    "ChildTraceback": "wrappers.calls", "Exit": "exits", "OperatorError": "orchestrator.errors", "Pinned": "opened",
    "RemoteError": "wrappers.calls",
    "RunFailed": "wrappers.calls", "RunRecord": "records", "Session": "session", "TooMuchOutput": "wrappers.kept",
    "Tor": "opened", "VerdictRecord": "records", "open": "opened",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f".{_PLACES[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
