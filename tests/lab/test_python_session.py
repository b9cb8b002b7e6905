"""A Session: many runs at once, what is cancelled, audits, and the types of all that."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import exitpin

from .conftest import Lab, eventually
from .running import Log
from .test_python_commands import ORPHAN, URL, _assert, assert_gone

PLAIN = ("exit01", "exit02", "exit03", "exit04")

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


@pytest.fixture
def within(lab: Lab) -> Callable[[Callable[[exitpin.Session], Awaitable[Any]]], Any]:
    """Do something in a session on the lab."""

    def run(body: Callable[[exitpin.Session], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            async with exitpin.Session(lab=True, name=lab.state.name) as session:
                return await body(session)

        return asyncio.run(main())

    return run


Within = Callable[[Callable[[exitpin.Session], Awaitable[Any]]], Any]


def test_a_run_is_its_record_however_it_ends(within: Within) -> None:
    async def body(session: exitpin.Session) -> None:
        script = f"cat; curl -sS {URL}; echo said >&2; exit 7"
        record = await session.run("exit01", ["sh", "-c", script], stdin=b"\xff given\n")
        process = record["process"]
        assert process["stdout"] == f"\\xff given\n{record['exit']['addresses'][0]}\n"
        assert (process["stderr"], process["rc"], process["truncated"]) == ("said\n", 7, False)
        assert (record["status"], len(record["streams"])) == ("error", 1)
        late = await session.run("exit01", ["sleep", "60"], timeout=0.3)
        assert late["failure"] is not None and late["failure"]["kind"] == "timeout"
        much = await session.run("exit01", ["head", "-c", "3000000", "/dev/zero"])
        assert (much["process"]["truncated"], len(much["process"]["stdout"] or "")) == (True, 1 << 20)
        assert (await session.run("exit01", ["pwd"], cwd="/usr"))["process"]["stdout"] == "/usr\n"
        unread = await session.run("exit01", ["true"], stdin=b"x" * (1 << 20))
        assert unread["status"] == "ok"

    within(body)


def test_where_there_was_no_run_it_says_so(within: Within) -> None:
    async def body(session: exitpin.Session) -> None:
        with pytest.raises(exitpin.OperatorError, match="'nosuch' is neither"):
            await session.run("nosuch", ["true"])
        missing = await session.run("exit01", ["nosuch"])
        assert missing["failure"] is not None and missing["process"]["rc"] is None
        with pytest.raises(exitpin.OperatorError, match="nosuch"):
            async for _ in session.audit("nosuch"):
                pass
        with pytest.raises(exitpin.OperatorError, match="one exit is wanted, and not 'all'"):
            await session.run("all", ["true"])
        with pytest.raises(exitpin.OperatorError, match="--repeat is no option of one run"):
            await session.run("exit01", ["true"], options=["--repeat=2"])
        with pytest.raises(exitpin.OperatorError, match="is no regular expression"):
            await session.exits(contact="(")

    within(body)


def test_who_is_not_open_runs_nothing(lab: Lab) -> None:
    """Without a daemon of its own an audit would find the usual one."""

    async def main() -> None:
        session = exitpin.Session(lab=True, name=lab.state.name)
        uses: list[Callable[[], Awaitable[object]]] = [
            lambda: session.run("exit01", ["true"]),
            lambda: session.python("exit01", len, ""),
            session.exits,
            session.audit("dns-path", "exit01").__anext__,
        ]
        for use in uses:
            with pytest.raises(exitpin.OperatorError, match="not open"):
                await use()
        async with session:
            assert (await session.run("exit01", ["true"]))["status"] == "ok"
        for use in uses[:3]:
            with pytest.raises(exitpin.OperatorError, match="not open"):
                await use()

    asyncio.run(main())


def test_many_at_once_each_through_its_exit(lab: Lab, within: Within) -> None:
    log = Log.of(lab.state)

    async def body(session: exitpin.Session) -> list[exitpin.RunRecord]:
        plain = [relay for relay in await session.exits(to=("web.test", 80)) if relay.nickname in PLAIN]
        return await asyncio.gather(*(session.run(relay, ["curl", "-sS", URL]) for relay in plain * 10))

    records = within(body)
    assert [record["failure"] for record in records] == [None] * 40
    for record in records:
        assert record["process"]["stdout"] == record["exit"]["addresses"][0] + "\n"
    assert sorted(log.peers("http")) == sorted(record["exit"]["addresses"][0] for record in records)
    assert len({record["run_id"] for record in records}) == 40


def test_who_is_cancelled_has_ended_the_run(within: Within, tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    async def body(session: exitpin.Session) -> None:
        run = asyncio.create_task(session.run("exit01", ["sh", "-c", ORPHAN, str(pid)]))
        await asyncio.to_thread(eventually, lambda: _assert(pid.exists() and pid.read_text()))
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert_gone(pid)
        pid.unlink()
        call = asyncio.create_task(session.python("exit01", _start_orphan, str(pid)))
        await asyncio.to_thread(eventually, lambda: _assert(pid.exists() and pid.read_text()))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert_gone(pid)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await session.run("exit01", ["sleep", "60"])
        assert (await session.run("exit01", ["true"]))["status"] == "ok"
        assert not [*session._daemon.record_path().parent.glob("*.json")]

    within(body)


def test_a_list_that_nobody_waits_for_any_more_has_ended(within: Within, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[asyncio.subprocess.Process] = []
    starts = asyncio.create_subprocess_exec

    async def noted(*argv: str, **how: Any) -> asyncio.subprocess.Process:
        asked.append(await starts(*argv, **how))
        return asked[-1]

    async def body(session: exitpin.Session) -> None:
        monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
        listing = asyncio.create_task(session.exits())
        while not asked:
            await asyncio.sleep(0.001)
        assert "exits" in cmdline_of(psutil.Process(asked[0].pid))
        listing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listing
        assert not [child for child in psutil.Process().children() if "exits" in cmdline_of(child)]

    within(body)


def cmdline_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _start_orphan(path: str) -> None:
    import subprocess

    subprocess.run(["sh", "-c", ORPHAN, path], check=False)


def test_a_session_that_is_cancelled_while_it_opens_leaves_nothing(lab: Lab) -> None:
    async def main() -> None:
        session = exitpin.Session(lab=True, name=lab.state.name)
        opening = asyncio.create_task(session.__aenter__())
        await asyncio.to_thread(eventually, lambda: _assert(session._daemon.pid))
        if opening.cancel():
            with pytest.raises(asyncio.CancelledError):
                await opening
        else:  # it was ready at once
            await session.__aexit__(None, None, None)
        assert not Path(f"/proc/{session._daemon.pid}").exists()

    asyncio.run(main())
    assert not [one.name for one in threading.enumerate() if "asyncio" in one.name]


def test_functions_run_beside_each_other(lab: Lab, within: Within) -> None:
    async def body(session: exitpin.Session) -> list[str]:
        def seen(mark: str) -> str:
            from urllib.request import urlopen

            return f"{mark} {urlopen(URL).read().decode().strip()}"

        return await asyncio.gather(*(session.python(f"exit0{n}", seen, str(n)) for n in (1, 2, 3, 4)))

    assert within(body) == [f"{n} {lab.state.relay(f'exit0{n}').address}" for n in (1, 2, 3, 4)]


def test_an_audit_gives_verdicts_as_they_come_and_ends_with_its_loop(within: Within) -> None:
    async def body(session: exitpin.Session) -> None:
        verdicts = [one async for one in session.audit("dns-path", ["exit01", "exit02"])]
        assert {(v["exit"]["nickname"], v["status"]) for v in verdicts} == {("exit01", "ok"), ("exit02", "ok")}
        async with contextlib.aclosing(session.audit("http-body", repeat=3)) as some:
            async for verdict in some:
                assert verdict["schema"] == "exitpin.verdict/1"
                break
        assert (await session.run("exit01", ["true"], timeout=20))["status"] == "ok"

    within(body)
