"""Who left through which exit, by the targets' own log: 64 tools at a time, started from Python in each of its ways."""

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import exitpin
from exitpin.orchestrator.lab import ground_truth, start
from exitpin.orchestrator.lab.ground_truth import read_arrivals, read_claims
from exitpin.orchestrator.lab.network import PROBE_ADDRESS
from exitpin.orchestrator.lab.state import LabState, load

from .conftest import eventually, lab_or_skip
from .test_ground_truth import EXITS, LIMIT_S, PLANNED, PROGRAMS, TOOLS

Records = list[Mapping[str, Any]]
SCRIPT = ["bash", str(PROGRAMS / "one_of_64.sh")]


@pytest.fixture(scope="module")
def own_lab() -> Iterator[LabState]:
    """A lab with 16 plain exits, used by nobody else: every connection in its log counts, since a test began."""
    name = f"pytruth-{os.getpid()}"
    lab_or_skip(name, 20)
    try:
        yield load(name)
    finally:
        start.down(name)


def variables(meeting: Path, number: int) -> dict[str, str]:
    return {**os.environ, "MEETING": str(meeting), "NUMBER": str(number)}


def let_go(meeting: Path, lock: Any) -> None:
    """The tools go on when all of them are there."""

    def are_there() -> None:
        assert len(list(meeting.iterdir())) == TOOLS + 1

    eventually(are_there, 120)
    fcntl.flock(lock, fcntl.LOCK_UN)


def by_commands(lab: LabState, meeting: Path, lock: Any) -> Records:
    with exitpin.open(lab=True, name=lab.name) as tor:
        exits = [tor.exit(name) for name in EXITS]
        bash = [exits[n % len(EXITS)].bash for n in range(TOOLS)]
        running = [
            one(SCRIPT[1], _env=variables(meeting, n + 1), _bg=True, _timeout=LIMIT_S) for n, one in enumerate(bash)
        ]
        let_go(meeting, lock)
        return [one.wait().record for one in running]


def by_session(lab: LabState, meeting: Path, lock: Any) -> Records:
    async def main() -> Records:
        async with exitpin.Session(lab=True, name=lab.name) as session:
            runs = [
                session.run(EXITS[n % len(EXITS)], SCRIPT, env=variables(meeting, n + 1), timeout=LIMIT_S)
                for n in range(TOOLS)
            ]
            *records, _ = await asyncio.gather(*runs, asyncio.to_thread(let_go, meeting, lock))
            return records

    return asyncio.run(main())


def by_functions(lab: LabState, meeting: Path, lock: Any) -> Records:
    """Each in a thread of ours; what it starts is pinned as it is."""
    records: Records = []

    def started(given: dict[str, str]) -> None:
        import subprocess

        subprocess.run(SCRIPT, env={**os.environ, **given}, check=True)

    with exitpin.open(lab=True, name=lab.name) as tor, ThreadPoolExecutor(TOOLS + 1) as pool:
        exits = [tor.exit(name) for name in EXITS]

        def call(number: int) -> None:
            given = {"MEETING": str(meeting), "NUMBER": str(number)}
            one = exits[(number - 1) % len(EXITS)]
            one.python(started, given, _timeout=LIMIT_S, _on_record=lambda record: records.append(record))

        calls = [pool.submit(call, n + 1) for n in range(TOOLS)]
        let_go(meeting, lock)
        for one in calls:
            one.result()
    return records


@pytest.mark.lab
@pytest.mark.timeout(240)
@pytest.mark.parametrize("way", [by_commands, by_session, by_functions], ids=lambda way: way.__name__)
def test_every_connection_of_64_tools_at_a_time_leaves_through_the_claimed_exit(
    own_lab: LabState, tmp_path: Path, way: Callable[[LabState, Path, Any], Records]
) -> None:
    meeting, seen = tmp_path / "meeting", own_lab.log_file.stat().st_size
    meeting.mkdir()
    with open(meeting / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        records = way(own_lab, meeting, lock)
    assert {record["run_id"]: record["failure"] for record in records if record["failure"]} == {}
    assert len({record["run_id"] for record in records}) == TOOLS

    lines = own_lab.log_file.read_bytes()[seen:].decode().splitlines()
    arrivals = read_arrivals(lines, frozenset({PROBE_ADDRESS}))
    relays = {address: one.fingerprint for one in own_lab.relays for address in (one.address, one.address6)}
    owners = {host: record["run_id"] for record in records for host in own_hosts(record)}
    score = ground_truth.score(read_claims(records), arrivals, relays=relays, owners=owners)  # type: ignore[arg-type]
    print(score.summary(PLANNED))
    assert score.problems == ()
    assert (score.claimed, score.arrived, score.right) == (PLANNED, PLANNED, PLANNED) == (1000, 1000, 1000)
    assert {record["exit"]["nickname"] for record in records} == set(EXITS)


def own_hosts(record: Mapping[str, Any]) -> set[str]:
    """The addresses that are one tool's alone, by the number that its first destination tells."""
    hosts = (stream["destination"].rpartition(":")[0] for stream in record["streams"] if not stream["is_lookup"])
    number = next(host.rpartition(".")[2] for host in hosts if host.startswith("198.51.100."))
    return {f"198.51.100.{number}", f"192.0.2.1{int(number):02}", f"2001:db8:1::1:{number}"}
