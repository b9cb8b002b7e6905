"""The end of a function's process: what comes back of what it raised. The runs are none."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from exitpin.wrappers.calls import ChildTraceback, RemoteError, RunFailed

from .test_calls import Played, outcome


@pytest.mark.parametrize(
    ("error", "type_name", "message"),
    [
        (asyncio.CancelledError("by itself"), "CancelledError", "by itself"),
        (KeyboardInterrupt(), "KeyboardInterrupt", ""),
        (GeneratorExit(), "GeneratorExit", ""),
        (BaseExceptionGroup("both", [KeyboardInterrupt(), OSError()]), "BaseExceptionGroup", "both"),
    ],
)
def test_what_would_interrupt_the_caller_comes_back_as_an_exception_of_ours(
    tmp_path: Path, error: BaseException, type_name: str, message: str
) -> None:
    """A task that is cancelled, and a Ctrl-C, are the caller's own alone."""

    def raises() -> None:
        raise error

    with pytest.raises(RemoteError, match=f"{type_name}: {message}") as raised:
        outcome(Played(tmp_path), raises)
    assert raised.value.type_name == type_name and "in raises" in raised.value.traceback
    assert isinstance(raised.value.__cause__, ChildTraceback)


@pytest.mark.parametrize(("end", "status"), [("sys.exit('no')", 1), ("sys.exit(7)", 7)])
def test_a_function_that_exits_has_that_status_and_no_answer(tmp_path: Path, end: str, status: int) -> None:
    namespace: dict[str, Any] = {}
    exec(f"import sys\ndef exits():\n    {end}\n", namespace)
    with pytest.raises(RunFailed, match=f"gave no answer: exit status {status}"):
        outcome(Played(tmp_path), namespace["exits"])
