"""The client as a child of ours (`exitpin run --record`): how it is told of a run, and what it leaves: a record, or its
last words. Decides nothing about runs. Called by what `import exitpin` offers.
"""

import json
import os
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from ..orchestrator.errors import EXIT_USAGE, OperatorError


def client_path() -> str:
    """Where the command exitpin lies that belongs to this Python. Raises OperatorError: nowhere."""
    places = (os.path.dirname(sys.executable), sysconfig.get_path("scripts"))
    found = next((path for place in places if os.access(path := os.path.join(place, "exitpin"), os.X_OK)), None)
    found = found or shutil.which("exitpin")
    if found is None:
        raise OperatorError(f"the command exitpin lies neither beside {sys.executable} nor in PATH.", "Install it.")
    return found


def refusal(said: str, status: int) -> OperatorError:
    """What exitpin said last on stderr, as an error."""
    lines = [line for line in said.splitlines() if line.startswith("exitpin: ")]
    told = lines[-1].removeprefix("exitpin: ") if lines else said.strip() or f"exit status {status}"
    return OperatorError(told, "", status)


def unanswered(words: Sequence[str], timeout_s: float) -> OperatorError:
    """A verb that took too long, as an error."""
    return OperatorError(
        f"`exitpin {words[0]}` has not answered within {timeout_s:g} s.", "`exitpin doctor` looks for what is wrong."
    )


def one_exit(name: str) -> str:
    """The name, if -e takes it for one exit. Raises OperatorError for lists of them."""
    if name in ("", "all") or "," in name or name.startswith(("@", "-")):
        hint = 'Name a fingerprint, a nickname, or "any"; `exits()` lists all.'
        raise OperatorError(f"one exit is wanted, and not {name!r}.", hint, EXIT_USAGE)
    return name


def timeout_words(timeout_s: float | None) -> list[str]:
    """The option that says how long a run may take; None: as long as it likes."""
    return [] if timeout_s is None else ["--timeout", f"{timeout_s * 1000:.0f}ms"]


def take_record(path: Path) -> dict[str, Any] | None:
    """The record that stands there, which is then gone; None: there is none. Raises OperatorError for one that can't be
    read, and for those of several runs."""
    try:
        lines = path.read_bytes().splitlines()
        path.unlink(missing_ok=True)
        if len(lines) < 2:
            return cast(dict[str, Any], json.loads(lines[0])) if lines else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        why = f"the record of a run can't be read: {getattr(error, 'strerror', error)}."
        raise OperatorError(why, "Nothing is proven of this run: run it again.") from error
    raise OperatorError(f"there were {len(lines)} runs, and one was wanted.", "Leave out what asks for several.")
