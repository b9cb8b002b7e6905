"""Filters: what they may do (read, and print a little), and what not (reach the network, stay, fill memory)."""

import asyncio
import os
import re
import socket
import threading
import time
from pathlib import Path

import pytest

from exitpin.orchestrator.tool import Command, Condition, Extract, Rule, Status, Tool
from exitpin.wrappers import filters, orphans
from exitpin.wrappers.extraction import Harvest, extract
from exitpin.wrappers.filters import FilterBroken, FilterFailed, Offline, run_capped
from exitpin.wrappers.household import Household

from .apart import apart

DEADLINE_S = 20.0
PATH = os.environ["PATH"]


def tool(*argv: str) -> Tool:
    wanted = (Extract("f", filter=argv), Extract("again", how="regex", argument="b", filter=argv))
    rules = (Rule(Status.SUSPECT, (Condition("f", "is", "x"),)), Rule(Status.OK))
    return Tool("t", "t", Command(argv=("true",)), rules, extracts=wanted)


def children() -> set[int]:
    import psutil

    return {child.pid for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE}


def are_gone(pids: set[int]) -> bool:
    """Who was killed is gone a moment later."""
    import psutil

    found = [child for child in psutil.Process().children() if child.pid in pids]
    return not psutil.wait_procs(found, timeout=DEADLINE_S)[1]


def test_a_filter_turns_the_bytes_of_a_source_into_others() -> None:
    found = extract(tool("tr", "a-z", "A-Z"), Harvest(b"abc\n"), path=PATH)
    assert found.facts["f"] == "ABC"


def test_two_facts_share_what_one_filter_printed(tmp_path: Path) -> None:
    log = os.path.join(tmp_path, "log")
    found = extract(tool("sh", "-c", f"echo x >> {log}; cat"), Harvest(b"abc\n"), path=PATH)
    assert found.facts == {"f": "abc", "again": "b"}
    with open(log, encoding="ascii") as lines:
        assert lines.read() == "x\n"


def test_bytes_that_the_filter_can_not_read_are_no_fact_and_a_problem() -> None:
    found = extract(tool("openssl", "x509", "-noout", "-subject"), Harvest(b"garbage"), path=PATH)
    assert found.facts == {"f": None, "again": None}
    assert found.failure == ""
    assert found.problems[0].startswith("f: openssl exit 1")


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (("no-such-filter",), "not found"),
        (("yes",), "more than 64 KiB"),
        (("sh", "-c", "kill -9 $$"), "signal 9"),
        (("sh", "-c", "head -c 99999 /dev/zero > {folder}/grown"), "signal 25"),
        # where it gets little of a processor, it is the clock that ends it
        (("sh", "-c", "ulimit -t 1; while :; do :; done"), "signal|too long|longer than"),
    ],
)
def test_a_filter_that_breaks_a_limit_fails_the_extraction(argv: tuple[str, ...], problem: str, tmp_path: Path) -> None:
    argv = tuple(word.format(folder=tmp_path) for word in argv)
    found = extract(tool(*argv), Harvest(b"abc"), path=PATH)
    assert found.failure == "parse"
    assert re.search(problem, found.problems[0])


def test_a_filter_that_does_not_end_is_killed_with_all_it_started() -> None:
    before = children()
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        run_capped(["sh", "-c", "sleep 60 & sleep 60"], b"", {"PATH": PATH}, set(), timeout_s=0.3)
    assert time.monotonic() - started < DEADLINE_S
    assert are_gone(children() - before)


def test_what_a_filter_leaves_behind_ends_with_it() -> None:
    """The pipe would stay open otherwise, and the next line would never come."""
    started = time.monotonic()
    assert Offline(PATH).run(["sh", "-c", "setsid sleep 60 >/dev/null 2>&1 & echo done"], b"") == b"done\n"
    assert time.monotonic() - started < DEADLINE_S


def test_a_filter_reaches_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        reach = f"exec 3<>/dev/tcp/127.0.0.1/{port}"
        assert run_capped(["bash", "-c", reach], b"", {"PATH": PATH}, set()).code == 0
        with pytest.raises(FilterFailed, match="exit 1"):
            Offline(PATH).run(["bash", "-c", reach], b"")


def test_a_filter_sees_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    names = Offline(PATH).run(["env"], b"").decode()
    assert {line.partition("=")[0] for line in names.splitlines()} <= {"PATH", "LC_ALL", "PWD", "SHLVL", "_"}


def test_where_no_namespace_can_be_made_no_filter_is_run(tmp_path: Path) -> None:
    unshare = os.path.join(tmp_path, "unshare")
    with open(unshare, "w", encoding="ascii") as script:
        script.write("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2\nexit 1\n")
    os.chmod(unshare, 0o755)
    with pytest.raises(FilterBroken, match=r"could reach the network .*Operation not permitted"):
        Offline(f"{tmp_path}:{PATH}").run(["cat"], b"abc")


def test_a_big_input_reaches_a_filter_that_prints_before_it_reads() -> None:
    assert Offline(PATH).run(["sh", "-c", "head -c 60000 /dev/zero; wc -c"], b"x" * (2 << 20)).endswith(b"2097152\n")


def test_a_filter_that_does_not_read_its_input_is_no_trouble() -> None:
    assert Offline(PATH).run(["true"], b"x" * (2 << 20)) == b""


async def swept_meanwhile(guests: set[int] | None, lasts_s: float) -> filters.Ran:
    """Run a command in a thread while the household sweeps orphans all the time."""
    household = Household()
    ended = threading.Event()
    command = ["sh", "-c", f"sleep {lasts_s}; echo whole"]
    mine = household.guests if guests is None else guests
    running = asyncio.get_running_loop().run_in_executor(None, run_capped, command, b"", {"PATH": PATH}, mine)
    running.add_done_callback(lambda _: ended.set())
    while not ended.is_set():
        for _ in orphans.killing(lambda: household.launchers | household.guests):
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)
    return await running


def test_the_household_spares_a_filter_that_is_its_guest() -> None:
    async def script() -> None:
        assert (await swept_meanwhile(None, 0.3)).stdout == b"whole\n"

    apart(script)


def test_the_household_kills_a_child_that_nobody_announced() -> None:
    async def script() -> None:
        assert (await swept_meanwhile(set(), 4.0)).stdout == b""

    apart(script)


def test_no_guest_is_left_when_a_command_could_not_be_started() -> None:
    guests: set[int] = set()
    with pytest.raises(OSError):
        run_capped(["/no/such/program"], b"", {}, guests)
    assert not guests
