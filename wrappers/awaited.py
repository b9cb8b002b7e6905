"""A child process that an event loop waits for: what it is given and prints, as far as that is kept, and its end.

Whoever is cancelled meanwhile has it ended first, and goes on when nothing is left of it: it is sent SIGTERM, which the
client answers when its run has ended. Called by `exitpin.Session`.
"""

import asyncio
import contextlib
import signal
from asyncio.subprocess import Process
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
OUTPUT_MAX = 1 << 20
"""Bytes of stdout, and of stderr, that are kept: as many as a record of `exitpin run --json` holds."""
CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended: its exit status, negative by a signal, and what it printed to pipes; `is_cut`: some is missing."""

    status: int
    stdout: str
    stderr: str
    is_cut: bool


async def ended(process: Process, stdin: bytes | None = None, size_max: int = OUTPUT_MAX) -> Ended:
    """Wait for its end, give it `stdin` and read its pipes, of which `size_max` bytes each are kept. When anything goes
    wrong with that, and when we are cancelled, it is ended first."""
    reading = (read(process.stdout, size_max), read(process.stderr, size_max))
    work: list[asyncio.Future[Any]] = [
        asyncio.ensure_future(one) for one in (*reading, _feed(process, stdin), process.wait())
    ]
    try:
        (stdout, is_cut), (stderr, is_err_cut), _, status = await asyncio.gather(*work)
    except BaseException:
        await end(process, work)
        raise
    return Ended(status, stdout, stderr, is_cut or is_err_cut)


async def end(process: Process, work: Iterable["asyncio.Future[Any]"] = ()) -> None:
    """End it, and our own work with it. Nothing of it is left after that: whoever cancels us has to wait, too."""
    await uninterrupted(_end(process, work))


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """What it comes to. A cancellation is raised when it has come to its end, and not before."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()


async def read(stream: asyncio.StreamReader | None, size_max: int = OUTPUT_MAX) -> tuple[str, bool]:
    """All that is printed there, as text, and whether it was cut; nothing where there is no pipe."""
    kept = bytearray()
    size = 0
    while stream is not None and (chunk := await stream.read(CHUNK)):
        size += len(chunk)
        kept += chunk[: size_max - len(kept)]
    return kept.decode("utf-8", "backslashreplace"), size > len(kept)


async def _end(process: Process, work: Iterable["asyncio.Future[Any]"]) -> None:
    for one in work:
        one.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    for stream in (process.stdout, process.stderr):
        with contextlib.suppress(Exception):  # somebody else reads it to its end, or it is broken
            await read(stream, 0)
    await process.wait()


async def _feed(process: Process, content: bytes | None) -> None:
    if process.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the command reads no more
        process.stdin.write(memoryview(content or b""))  # a str is a TypeError
        await process.stdin.drain()
    process.stdin.close()
