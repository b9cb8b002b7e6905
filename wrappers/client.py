"""The client as a child of ours (`exitpin run --record`): how it is told of a run, and what it leaves: a record, or its
last words. Decides nothing about runs. Called by what `import exitpin` offers.
"""

import contextlib
import json
import math
import os
import shutil
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ..orchestrator.errors import EXIT_USAGE, OperatorError

RECORD_S, UNBEGUN_S = 10.0, 0.5
NOTHING_PROVEN = "Nothing is proven of this run: run it again."


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
    """The option that says how long a run may take; None: as long as it likes. Raises OperatorError for what is no
    time."""
    if timeout_s is None:
        return []
    is_number = isinstance(timeout_s, int | float) and not isinstance(timeout_s, bool)
    if not is_number or not math.isfinite(timeout_s) or timeout_s <= 0:
        hint = "It is a number of seconds over 0, or None: as long as it takes."
        raise OperatorError(f"{timeout_s!r} is no timeout.", hint, EXIT_USAGE)
    return ["--timeout", f"{max(1, math.ceil(timeout_s * 1000))}ms"]


def take_record(path: Path, exit_: str, argv: Sequence[str]) -> dict[str, Any] | None:
    """The record that stands there of this command through this exit, which is then gone; None: there is none. Raises
    OperatorError for one that can't be read, for those of several runs, and for that of another run."""
    try:
        content = path.read_bytes()
        path.unlink(missing_ok=True)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OperatorError(f"the record of a run can't be read: {error.strerror}.", NOTHING_PROVEN) from error
    return read_record(content, exit_, argv)


def wait_for_record(path: Path) -> None:
    """Until it stands there whole: the daemon writes it a little later where its client was killed."""
    began = time.monotonic()
    while time.monotonic() - began < (RECORD_S if path.exists() else UNBEGUN_S):  # it may never have begun
        with contextlib.suppress(OSError):
            if path.read_bytes().endswith(b"\n"):
                return
        time.sleep(0.02)


def read_record(content: bytes, exit_: str, argv: Sequence[str]) -> dict[str, Any] | None:
    """The record in such a file. Raises OperatorError, as `take_record`."""
    lines = content.splitlines()
    try:
        record = cast(dict[str, Any], json.loads(lines[0])) if len(lines) == 1 else None
        is_another = record is not None and not _is_of(record, exit_, argv)
    except (ValueError, LookupError, TypeError) as error:
        raise OperatorError(f"the record of a run can't be read: {error}.", NOTHING_PROVEN) from error
    if len(lines) > 1:
        raise OperatorError(f"there were {len(lines)} runs, and one was wanted.", "Leave out what asks for several.")
    if is_another:
        raise OperatorError(f"the record of {argv[0]} through {exit_} is that of another run.", NOTHING_PROVEN)
    return record


def _is_of(record: Mapping[str, Any], exit_: str, argv: Sequence[str]) -> bool:
    """Whether it is of this command through this exit, as far as it is named: "any" may be each."""
    name = exit_.removeprefix("$").partition("~")[0].partition("=")[0].lower()
    named = (record["exit"]["fingerprint"].lower(), record["exit"]["nickname"].lower(), name if name == "any" else "")
    return name in named and record["tool"]["argv"] == list(map(os.fsdecode, argv))
