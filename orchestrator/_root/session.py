"""Tor for asyncio, typed: runs, audits and functions through its exits, many at a time.

A run is the client (`exitpin run --record`) as a child of ours; what it prints is read here, as far as it is kept. A
task that is cancelled ends its run first, and is over when nothing is left of it. See `opened.py` for `sh`.
"""

import asyncio
import json
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar, cast

from exitpin.wrappers.awaited import Ended, end, ended, read, uninterrupted
from exitpin.wrappers.client import refusal, timeout_words, unanswered
from exitpin.wrappers.own_daemon import VERB_S, OwnDaemon

from .exits import Choice, Destination, Exit, name_of, read_exits
from .opened import TIMEOUT_S, network_words, pace
from .options import Containment, hold, options_of_a_run, options_of_an_audit
from .records import RunRecord, VerdictRecord

T = TypeVar("T")
LINE_MAX = LIST_MAX = 64 << 20
"""Bytes of one verdict, and of the list of all exits."""
AUDIT_ENDS = (0, 1, 3)


class Session:
    """Tor for one event loop, as an asynchronous context; the same as `exitpin.open`, with the same arguments.

    `lab`: the private network, by its `name` if there are several; `build_delay`, `build_jitter`: such as "3s";
    `containment`, `allow`: of all runs. All methods may be called many times at once: each run has a circuit to itself,
    while it lasts. Raises OperatorError.

    >>> import asyncio, exitpin
    >>> async def main() -> None:
    ...     async with exitpin.Session(lab=True) as session:
    ...         names = ["exit01", "exit02", "exit03"]
    ...         runs = [session.run(name, ["curl", "-sS", "http://web.test/ip"]) for name in names]
    ...         for record in await asyncio.gather(*runs):
    ...             assert record["process"]["stdout"] == record["exit"]["addresses"][0] + "\\n"
    >>> asyncio.run(main())
    """

    def __init__(
        self,
        *,
        lab: bool = False,
        name: str | None = None,
        build_delay: str | None = None,
        build_jitter: str | None = None,
        containment: Containment | None = None,
        allow: str | Iterable[str] = (),
    ) -> None:
        held = hold(containment, allow)
        self._daemon = OwnDaemon(network_words(lab, name), pace(build_delay, build_jitter), held)

    async def __aenter__(self) -> "Session":
        starting = asyncio.create_task(asyncio.to_thread(self._daemon.start))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            await uninterrupted(asyncio.to_thread(self._daemon.stop))
            await asyncio.wait([starting])
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await uninterrupted(asyncio.to_thread(self._daemon.stop))

    async def exits(
        self,
        *,
        to: Destination | Sequence[Destination] = (),
        flags: Iterable[str] = (),
        not_flags: Iterable[str] = (),
        family: Iterable[str] = (),
        contact: str | None = None,
        bad_exits: bool = False,
        sample: int | None = None,
        seed: int | None = None,
        options: Sequence[str] = (),
    ) -> list[Exit]:
        """As `Tor.exits`.

        >>> import asyncio, exitpin
        >>> async def main() -> int:
        ...     async with exitpin.Session(lab=True) as session:
        ...         return len(await session.exits(flags=["Exit"], sample=2))
        >>> asyncio.run(main())
        2
        """
        choice = Choice(to, flags, not_flags, family, contact, bad_exits, sample, seed, options)
        process = await asyncio.create_subprocess_exec(
            *self._daemon.verb("exits", "--json", *choice.words()), stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
            env=self._daemon.environment(None), start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(VERB_S):
                done = await ended(process, size_max=LIST_MAX)
        except TimeoutError:
            raise unanswered(["exits"], VERB_S) from None
        if done.status:
            raise refusal(done.stderr, done.status)
        return read_exits(done.stdout)

    async def run(
        self,
        exit: Exit | str,
        argv: Sequence[str],
        *,
        timeout: float | None = TIMEOUT_S,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        options: Sequence[str] = (),
    ) -> RunRecord:
        """Run a command through an exit (a value, fingerprint or nickname); its record, however it ended.

        `timeout`: in seconds, from the start of the command, None: none (a turn and a circuit come before, which are
        bounded, too: docs/python.rst); `stdin`: what the command reads there, nothing by default; `env`: all of its
        variables, ours by default; `cwd`: its directory; `options`: more of `exitpin run`, such as "--allow=listen", as
        far as it remains one run through this exit.
        `process.stdout` and `process.stderr` are text as in the records of `--json`, of 1 MiB at most each (then
        `truncated` is true); the last lines of stderr may be exitpin's. Cancelled, it returns when the run has ended.

        Raises OperatorError where there was no run: no such exit, or several; a wrong option; the session is closed.

        >>> import asyncio, exitpin
        >>> async def main() -> str | None:
        ...     async with exitpin.Session(lab=True) as session:
        ...         record = await session.run("exit01", ["tr", "a-z", "A-Z"], timeout=30, stdin=b"loud")
        ...         return record["process"]["stdout"]
        >>> asyncio.run(main())
        'LOUD'
        """
        chosen = [*options_of_a_run(options), *timeout_words(timeout)]
        path = self._daemon.record_path()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._daemon.command(name_of(exit), argv, path, chosen),
                stdin=DEVNULL if stdin is None else PIPE, stdout=PIPE, stderr=PIPE, cwd=cwd,
                env=self._daemon.environment(env), start_new_session=True,
            )  # fmt: skip
            done = await self._ended(process, stdin, self._daemon.patience_s(timeout))
        except BaseException:
            self._daemon.forget(path)
            raise
        found = self._daemon.take_record(path, name_of(exit), argv, is_killed=done.status < 0)
        record = cast(RunRecord | None, found)
        if record is None:
            raise refusal(done.stderr, done.status)
        written = record["process"]
        written["stdout"], written["stderr"], written["truncated"] = done.stdout, done.stderr, done.is_cut
        return record

    @staticmethod
    async def _ended(process: Process, stdin: bytes | None, patience_s: float | None) -> Ended:
        """How it ended, or was ended."""
        try:
            async with asyncio.timeout(patience_s):
                return await ended(process, stdin)
        except TimeoutError:
            return Ended(-signal.SIGTERM, "", f"exitpin: there was no run within {patience_s:g} s", True)

    async def audit(
        self,
        tools: str | Sequence[str],
        exits: Exit | str | Iterable[Exit | str] = "all",
        *,
        params: Mapping[str, str] | None = None,
        repeat: int | None = None,
        options: Sequence[str] = (),
    ) -> AsyncIterator[VerdictRecord]:
        """Judge exits with declared tools (ids, "@tags", paths); each verdict as it is known, as `exitpin audit` gives
        them.

        `params`: values of the tools' parameters, by NAME or TOOL.NAME; `repeat`: probes of each exit by each tool;
        `options`: more of `exitpin audit`. All is kept in your store, too (`exitpin results list`). It has tor to
        itself: it begins when the runs under way have ended, and runs that are asked for meanwhile wait. Who leaves the
        loop ends it: use `contextlib.aclosing` to have it ended there and then.

        Raises OperatorError: no such tool, a missing parameter, exitpin or tor failed.

        >>> import asyncio, exitpin
        >>> async def main() -> None:
        ...     async with exitpin.Session(lab=True) as session:
        ...         async for verdict in session.audit("dns-path", ["exit01", "exit02"]):
        ...             print(verdict["exit"]["nickname"], verdict["status"])
        >>> asyncio.run(main())
        exit... ok
        exit... ok
        """
        named = [tools] if isinstance(tools, str) else list(tools)
        chosen = [exits] if isinstance(exits, (str, Exit)) else list(exits)
        words = ["-e", ",".join(map(name_of, chosen)), *(f"--param={n}={v}" for n, v in (params or {}).items())]
        words += [*([] if repeat is None else ["--repeat", str(repeat)])]
        words += options_of_an_audit(options)
        process = await asyncio.create_subprocess_exec(
            *self._daemon.verb("audit", "--json", *words, *named), stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
            env=self._daemon.environment(None), start_new_session=True, limit=LINE_MAX,
        )  # fmt: skip
        said = asyncio.create_task(read(process.stderr))
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                yield cast(VerdictRecord, json.loads(line))
            status = await process.wait()
        finally:
            await end(process)
            text, _ = await said
        if status not in AUDIT_ENDS:
            raise refusal(text, status)

    async def python(
        self,
        exit: Exit | str,
        function: Callable[..., T],
        /,
        *args: Any,
        _timeout: float | None = TIMEOUT_S,
        _on_record: Callable[[Mapping[str, Any]], None] | None = None,
        **kwargs: Any,
    ) -> T:
        """What a function returns that runs through an exit, in a process of its own: as `exit.python` of
        `exitpin.open`.

        >>> import asyncio, exitpin, socket
        >>> async def main() -> bool:
        ...     async with exitpin.Session(lab=True) as session:
        ...         return await session.python("exit01", socket.gethostbyname, "web.test") != ""
        >>> asyncio.run(main())
        True
        """
        from exitpin.wrappers.calls import Call

        with Call(self._daemon, name_of(exit), (function, args, kwargs), _timeout) as call:
            process = await asyncio.create_subprocess_exec(
                *call.command, stdin=DEVNULL, pass_fds=call.descriptors, env=self._daemon.environment(None),
                start_new_session=True,
            )  # fmt: skip
            try:
                async with asyncio.timeout(call.patience_s):
                    call.ended((await ended(process)).status)
            except TimeoutError:
                call.ended(process.returncode or 0, is_late=True)
            if _on_record is not None and call.record is not None:
                _on_record(call.record)
            result: T = call.result()
        return result
