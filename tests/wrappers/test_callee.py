"""The end of a function's process: what comes back of what it raised, and who is waited for. The runs are none."""

import asyncio
import atexit
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exitpin.wrappers import callee_end
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


def leaves_a_thread() -> int:
    threading.Thread(target=threading.Event().wait, name="forever").start()
    return os.getpid()


def leaves_a_process() -> int:
    child = multiprocessing.get_context("fork").Process(target=threading.Event().wait, name="forever")
    child.start()
    assert child.pid is not None
    return child.pid


def leaves_both() -> int:
    leaves_a_thread()
    return leaves_a_process()


def leaves_a_thread_and_an_end() -> int:
    atexit.register(threading.Event().wait)
    return leaves_a_thread()


def leaves_an_end() -> int:
    atexit.register(threading.Event().wait)
    return os.getpid()


@pytest.mark.parametrize(
    ("leaves", "told"),
    [
        (leaves_a_thread, "forever"),
        (leaves_a_process, "forever"),
        (leaves_both, "forever, forever"),
        (leaves_a_thread_and_an_end, "forever"),
        (leaves_an_end, "what is called at its end"),
    ],
)
def test_what_a_function_leaves_that_never_ends_keeps_no_answer_back(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], leaves: Callable[[], int], told: str
) -> None:
    """Whoever it is has ended, too; and what is registered is called, where it is another's turn."""
    kept = tmp_path / "kept"

    def leaving() -> int:
        left = leaves()
        atexit.register(kept.write_text, "at the end")
        sys.stdout.write("no end of a line")
        return left

    left = outcome(Played(tmp_path), leaving)
    assert kept.read_text() == "at the end"
    out, err = capfd.readouterr()
    assert out == "no end of a line"
    assert err == f"exitpin: the function is over, and after 2 s this was not, and is ended: {told}\n"
    with pytest.raises(ProcessLookupError):
        os.kill(left, 0)


def test_what_ends_by_itself_is_waited_for_as_python_does(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def late() -> None:
        threading.main_thread().join()
        (tmp_path / "late").write_text("written")

    def leaving() -> str:
        callee_end.PATIENCE_S = 30.0
        threading.Thread(target=late).start()
        atexit.register(lambda: print((tmp_path / "late").read_text()))
        return "returned"

    assert outcome(Played(tmp_path), leaving) == "returned"
    assert capfd.readouterr() == ("written\n", "")


def test_what_a_function_raises_that_left_a_thread_comes_back(tmp_path: Path) -> None:
    def raises() -> None:
        leaves_a_thread()
        raise LookupError("raised")

    with pytest.raises(LookupError, match="raised"):
        outcome(Played(tmp_path), raises)
