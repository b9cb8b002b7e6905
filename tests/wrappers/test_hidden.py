"""What is hidden from a run, and runs that wait until that is known."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.containment import Abilities, Containment
from exitpin.orchestrator.events import LauncherLost
from exitpin.shim import bindings
from exitpin.wrappers import hidden
from exitpin.wrappers.daemons import Sockets
from exitpin.wrappers.hidden import Daemons
from exitpin.wrappers.launch import ToolLaunch, ToolLauncher
from exitpin.wrappers.named_pipes import NamedPipes, Pipes, Reader

from .test_household import DEADLINE_S, apart
from .test_launch import A_RUN

HIDING = Containment("guard", abilities=Abilities(6, has_namespaces=True))
Look = Callable[..., Sockets]


class Process:
    """A launcher that only keeps how it was started."""

    def __init__(self, *_: object) -> None:
        self.options: list[str] | None = None

    def start(self, argv: object, *, options: list[str], **_: object) -> None:
        self.options = options

    def close(self) -> None:
        pass


DAEMON = [Reader(1, 1, has_terminal=False)]
NO_PIPES = Pipes({}, is_whole=True)


class Begun:
    """A run that begins, and what it posts."""

    def __init__(
        self,
        directory: Path,
        look: Look,
        clock: Callable[[], float] = lambda: 0.0,
        pipes: Callable[[], Pipes] = lambda: NO_PIPES,
        containment: Containment = HIDING,
        evidence: Path | None = None,
    ) -> None:
        self.events: list[Any] = []
        self.launcher = ToolLauncher(
            directory,
            bindings.PRELOAD,
            ("127.0.0.1", 1),
            {},
            containment=containment,
            evidence=evidence,
            process=Process,  # type: ignore[arg-type]
            closed=lambda _: [],
        )
        self.launcher.daemons = Daemons("/x", (), look, clock)
        self.launcher.pipes = NamedPipes(pipes)
        self.begin()

    def begin(self) -> None:
        launch = self.launcher.prepare(A_RUN, self.events.append, lambda *_: None)
        assert isinstance(launch, ToolLaunch)
        self.launch = launch
        assert launch.start() is None

    @property
    def options(self) -> list[str] | None:
        found: list[str] | None = self.launch._process.options  # type: ignore[attr-defined]
        return found

    async def until(self, is_so: Callable[[], object]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not is_so():
                await asyncio.sleep(0.001)


def test_each_run_hides_what_is_there_and_says_when_that_may_not_be_all(tmp_path: Path) -> None:
    async def script() -> None:
        found = [Sockets(["/run/one"], is_whole=True), Sockets(["/run/one", "/run/two"], is_whole=False)]
        later = iter([0, 0, 10, 10])
        run = Begun(tmp_path, lambda *_: found.pop(0), lambda: next(later))
        for paths, finds_all in ((["/run/one"], True), (["/run/one", "/run/two"], False)):
            await run.until(lambda: run.options)
            hides = [word for path in paths for word in ("--hide", path)]
            assert run.options == ["--guard", "--own-mounts", *hides]
            assert run.launch.containment.finds_all is finds_all
            assert run.launcher.containment.finds_all
            run.launch.close()
            if found:
                run.begin()

    apart(script)


def no_sockets(*_: object) -> Sockets:
    return Sockets([], is_whole=True)


def test_each_run_hides_the_named_pipes_of_daemons_from_whoever_called_it(tmp_path: Path) -> None:
    async def script() -> None:
        told = Pipes({path: DAEMON for path in ("/run/one", "/run/two")}, is_whole=False)
        run = Begun(tmp_path, lambda *_: Sockets(["/run/socket"], is_whole=True), pipes=lambda: told)
        await run.until(lambda: run.options)
        hides = [word for path in ("/run/socket", "/run/one", "/run/two") for word in ("--hide", path)]
        assert run.options == ["--guard", "--own-mounts", *hides]
        assert not run.launch.containment.finds_pipes and run.launcher.containment.finds_pipes
        run.launch.close()
        run.launcher.caller = 1
        run.begin()
        await run.until(lambda: run.options)
        assert run.options == ["--guard", "--own-mounts", "--hide", "/run/socket"]
        run.launch.close()

    apart(script)


def test_a_look_for_pipes_that_does_not_end_is_given_up_said_and_not_begun_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path may lead to a server that does not answer."""

    async def script() -> None:
        goes_on = threading.Event()
        looks: list[int] = []

        def look() -> Pipes:
            looks.append(1)
            assert goes_on.wait(DEADLINE_S)
            return Pipes({"/run/one": DAEMON}, is_whole=True)

        run = Begun(tmp_path, no_sockets, pipes=look)
        for _ in range(2):
            await run.until(lambda: run.options)
            assert (run.options, run.launch.containment.finds_pipes) == (["--guard", "--own-mounts"], False)
            run.launch.close()
            run.begin()
        monkeypatch.setattr(hidden, "PIPES_S", DEADLINE_S)
        goes_on.set()
        await run.until(lambda: run.options)
        run.launch.close()
        run.begin()
        await run.until(lambda: run.options)
        assert run.options == ["--guard", "--own-mounts", "--hide", "/run/one"]
        assert run.launch.containment.finds_pipes
        assert len(looks) == 1
        run.launch.close()

    monkeypatch.setattr(hidden, "PIPES_S", 0.05)
    apart(script)


def test_a_run_whose_look_has_no_thread_is_lost_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def script() -> None:
        run = Begun(tmp_path, no_sockets)
        assert isinstance(run.events[0], LauncherLost) and run.options is None
        run.launch.close()

    with monkeypatch.context() as here:
        here.setattr(threading.Thread, "start", no_thread)
        apart(script)


def test_a_look_that_takes_long_holds_up_nothing_but_the_run_that_waits_for_it(tmp_path: Path) -> None:
    """Its thread waits until the loop has gone on: who reads a folder has its lock, and may be starved by a tool."""

    async def script() -> None:
        goes_on = threading.Event()

        def look(*_: object) -> Sockets:
            assert goes_on.wait(DEADLINE_S / 2), "the loop was held up"
            return Sockets([], is_whole=True)

        run = Begun(tmp_path, look)
        assert run.options is None
        goes_on.set()
        await run.until(lambda: run.options is not None)
        run.launch.close()

    apart(script)


@pytest.mark.parametrize("ends", [lambda launch: launch.end(0), lambda launch: launch.kill(), ToolLaunch.close])
def test_a_run_that_is_ended_while_it_waits_never_begins(tmp_path: Path, ends: Callable[[ToolLaunch], None]) -> None:
    async def script() -> None:
        goes_on, is_over = threading.Event(), threading.Event()

        def look(*_: object) -> Sockets:
            goes_on.wait(DEADLINE_S)
            is_over.set()
            return Sockets([], is_whole=True)

        run = Begun(tmp_path, look)
        ends(run.launch)
        goes_on.set()
        heard: list[object] = []
        assert run.launcher.daemons is not None
        run.launcher.daemons.ask(heard.append)
        await run.until(lambda: heard and is_over.is_set())
        told = [] if ends is ToolLaunch.close else [LauncherLost("ended before it was started")]
        assert (run.options, run.events) == (None, told)
        run.launch.close()

    apart(script)


@pytest.mark.parametrize("what", ["sockets fail", "sockets hang", "pipes fail"])
def test_a_run_does_not_begin_where_nobody_can_say_what_is_to_be_hidden(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script() -> None:
        goes_on = threading.Event()

        def fails(*_: object) -> Any:
            raise OSError(24, "Too many open files")

        def hangs(*_: object) -> Sockets:
            goes_on.wait(DEADLINE_S)
            return Sockets([], is_whole=True)

        looks: dict[str, Look] = {"sockets fail": fails, "sockets hang": hangs}
        pipes = fails if what == "pipes fail" else lambda: NO_PIPES
        run = Begun(tmp_path, looks.get(what, no_sockets), pipes=pipes)
        await run.until(lambda: run.events)
        assert run.events == [LauncherLost("the Unix sockets of daemons could not be looked for")]
        assert run.options is None
        run.launch.close()
        goes_on.set()

    monkeypatch.setattr(hidden, "LOOK_S", 0.05)
    apart(script)


def test_a_new_daemon_is_found_as_soon_as_the_list_is_a_second_old() -> None:
    async def script() -> None:
        looks: list[str] = []
        now = 0.0

        def look(ours: str, allowed: object) -> Sockets:
            nonlocal now
            looks.append(ours)
            now += 0.2
            return Sockets([str(len(looks))], is_whole=True)

        daemons = Daemons("/x", (), look, lambda: now)

        async def found() -> list[str]:
            heard: asyncio.Future[Sockets | None] = asyncio.get_running_loop().create_future()
            daemons.ask(heard.set_result)
            sockets = await asyncio.wait_for(heard, DEADLINE_S)
            assert sockets is not None
            return sockets.paths

        assert [await found() for _ in range(3)] == [["1"]] * 3
        now += 1.1
        assert await found() == ["1"], "a look that took long is not repeated at once"
        now += 4
        assert await found() == ["2"]

    apart(script)
