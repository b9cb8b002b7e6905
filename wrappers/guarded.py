"""What a program gives a command to read, and what it does with its output: called in threads of `sh`, where an
exception would be lost, and the command would wait for ever.

Here it is told, and the stream is over. Called by `running.py`. Source: sh 2.4, its `StreamWriter` and `StreamReader`.
"""

import inspect
import io
import os
import queue
import weakref
from collections.abc import Callable, Iterator
from typing import Any

CHUNK = 1024
OnFailed = Callable[[Any], None]


def guarded_input(given: Any, on_failed: OnFailed) -> Any:
    """What `sh` is given instead as stdin: it ends where an exception is raised, or a chunk is no text and no bytes."""
    is_piped = hasattr(given, "_pipe_fd")  # another command of `sh`
    if given is None or is_piped or isinstance(given, int | str | bytes) or _is_file(given):
        return given
    if isinstance(given, queue.Queue):
        return _Queue(given, on_failed)
    return _guarded(_chunks(given), on_failed)


def guarded_output(
    given: Any, encoding: str, errors: str, more: Callable[[], tuple[Any, Any]], on_failed: OnFailed, is_teed: bool
) -> Any:
    """What `sh` is given instead for an output. `more`: a callback's second and third argument: stdin and process;
    `is_teed`: what is written comes by us, to a file, too."""
    if is_teed and isinstance(given, int):
        given = os.fdopen(given, "wb", closefd=False)
    elif isinstance(given, int) or (_is_file(given) and not is_teed):
        return given
    if given is None or not (callable(given) or hasattr(given, "write")):
        return given
    return _Output(given, encoding, errors, more, on_failed)


def guarded_end(done: Callable[..., object], on_failed: OnFailed) -> Callable[..., None]:
    """What `sh` calls instead at the end, in whichever thread has seen it."""

    def guarded(*told: object) -> None:
        try:
            done(*told)
        except BaseException as error:
            on_failed(error)

    return guarded


def arity(callback: Any) -> int:
    """With how many arguments it is called, 1 to 3: as `sh` counts them, with those that have a default."""
    try:
        parameters = inspect.signature(callback).parameters.values()
    except (TypeError, ValueError):
        return 1
    count = sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters)
    return count if count in (2, 3) else 1


class _Output:
    """Gets bytes, and hands them on as its owner wants them, until that returns something true, or raises."""

    def __init__(
        self, given: Any, encoding: str, errors: str, more: Callable[[], tuple[Any, Any]], on_failed: OnFailed
    ) -> None:
        self._given, self._more, self._on_failed = given, more, on_failed
        self._count = arity(given) if callable(given) else 0
        is_text = callable(given) or isinstance(given, io.StringIO)
        self._encoding = encoding if is_text else getattr(given, "encoding", None)
        self._errors = errors
        self._is_over = False

    def write(self, chunk: bytes) -> None:
        if self._is_over:
            return
        try:
            text = chunk if self._encoding is None else self._decoded(chunk)
            if self._count:
                self._is_over = bool(self._given(text, *self._more()[: self._count - 1]))
            else:
                self._given.write(text)
                getattr(self._given, "flush", bool)()
        except BaseException as error:
            self._is_over = True
            self._on_failed(error)

    def _decoded(self, chunk: bytes) -> str | bytes:
        """As text; bytes, where a callback has asked for strict decoding of what is none."""
        try:
            return chunk.decode(self._encoding or "utf-8", self._errors)
        except UnicodeDecodeError:
            if not self._count:
                raise
            return chunk


class _Queue(queue.Queue[Any]):
    """Another queue, whose items are looked at."""

    def __init__(self, inner: "queue.Queue[Any]", on_failed: OnFailed) -> None:
        super().__init__()
        self._inner, self._on_failed = inner, on_failed

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        chunk = self._inner.get(block, timeout)
        try:
            return None if chunk is None else _checked(chunk)
        except TypeError as error:
            self._on_failed(error)
            return None


def _guarded(chunks: Iterator[Any], on_failed: OnFailed) -> Iterator[Any]:
    try:
        yield from map(_checked, chunks)
    except GeneratorExit:
        raise
    except BaseException as error:
        on_failed(error)


def _chunks(given: Any) -> Iterator[Any]:
    """As `sh` reads what it knows: what is called, or read, until it gives nothing; and whatever can be iterated."""
    if callable(given):
        while chunk := given():
            yield chunk
    elif hasattr(given, "read"):
        while chunk := given.read(CHUNK):
            yield chunk
    else:
        yield from given


def _checked(chunk: Any) -> str | bytes:
    if not isinstance(chunk, str | bytes):
        raise TypeError(f"stdin is made of text and bytes, and not of {chunk!r}")
    return chunk


def _is_file(given: Any) -> bool:
    try:
        return given.fileno() is not None
    except (AttributeError, OSError, ValueError):
        return False


def weakly(method: OnFailed) -> OnFailed:
    """Calls it as long as its object is there, and does not keep it there."""
    found = weakref.WeakMethod(method)

    def call(what: Any) -> None:
        if (alive := found()) is not None:
            alive(what)

    return call
