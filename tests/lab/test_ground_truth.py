"""Who left through which exit, judged by the targets' own log: the scorer itself, then 64 tools at a time."""

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.lab import ground_truth, start
from exitpin.orchestrator.lab.ground_truth import Arrival, Claimed, Score, read_arrivals, read_claims
from exitpin.orchestrator.lab.network import PROBE_ADDRESS
from exitpin.orchestrator.lab.state import LabState, load

from .conftest import eventually, lab_or_skip

PROGRAMS = Path(__file__).with_name("programs")
EXITPIN = (sys.executable, "-m", "exitpin")
EXITS = [f"exit{n:02}" for n in range(1, 17)]
TOOLS = 64
PLANNED = 20 * 32 + 20 * 8 + 20 * 9 + 4 * 5
LIMIT_S = 150.0

RELAYS = {"203.0.113.1": "AA", "2001:db8:e::1": "AA", "203.0.113.2": "BB"}
OWNERS = {"192.0.2.101": "run-1", "192.0.2.102": "run-2", "2001:db8:1::101": "run-1"}


def claim(run: str, exit_: str, host: str, port: int = 80, is_open: bool = True) -> Claimed:
    return Claimed(run, exit_, (host, port), is_open)


def arrival(host: str, peer: str, port: int = 80) -> Arrival:
    return Arrival((host, port), (peer, 40000))


def judge(claims: list[Claimed], arrivals: list[Arrival]) -> Score:
    return ground_truth.score(claims, arrivals, relays=RELAYS, owners=OWNERS)


def figures(score: Score) -> tuple[int, int, int, int]:
    return score.right, score.wrong, score.unknown, score.missing


ONE = claim("run-1", "AA", "192.0.2.101")
TWO = claim("run-2", "BB", "192.0.2.102")
AT_ONE, AT_TWO = arrival("192.0.2.101", "203.0.113.1"), arrival("192.0.2.102", "203.0.113.2")


@pytest.mark.parametrize(
    ("claims", "arrivals", "expected"),
    [
        ([ONE, TWO], [AT_TWO, AT_ONE], (2, 0, 0, 0)),
        ([claim("run-1", "AA", "2001:db8:1::101")], [arrival("2001:db8:1::101", "2001:db8:e::1")], (1, 0, 0, 0)),
        ([ONE, ONE], [AT_ONE, AT_ONE], (2, 0, 0, 0)),
        ([], [], (0, 0, 0, 0)),
        # a stream that the tool saw fail may have arrived, and need not
        ([claim("run-1", "AA", "192.0.2.101", is_open=False)], [AT_ONE], (1, 0, 0, 0)),
        ([claim("run-1", "AA", "192.0.2.101", is_open=False)], [], (0, 0, 0, 0)),
        # the circuits of two runs were swapped
        ([ONE, TWO], [arrival("192.0.2.101", "203.0.113.2"), arrival("192.0.2.102", "203.0.113.1")], (0, 2, 0, 0)),
        # it left beside Tor
        ([ONE], [arrival("192.0.2.101", "192.0.2.101")], (0, 1, 0, 0)),
        # one record claims the target of another run
        ([claim("run-2", "AA", "192.0.2.101")], [AT_ONE], (0, 1, 0, 0)),
        # a connection that nobody recorded: at a used endpoint, at a port, at an address
        ([ONE], [AT_ONE, AT_ONE], (1, 0, 1, 0)),
        ([ONE], [AT_ONE, arrival("192.0.2.101", "203.0.113.1", port=81)], (1, 0, 1, 0)),
        ([ONE], [AT_ONE, arrival("192.0.2.9", "203.0.113.1")], (1, 0, 1, 0)),
        # records say more than targets saw
        ([ONE, TWO], [AT_ONE], (1, 0, 0, 1)),
        ([ONE, ONE], [AT_ONE], (1, 0, 0, 1)),
        ([ONE], [AT_TWO], (0, 0, 1, 1)),
    ],
)
def test_records_and_targets_are_compared_one_to_one(
    claims: list[Claimed], arrivals: list[Arrival], expected: tuple[int, int, int, int]
) -> None:
    score = judge(claims, arrivals)
    assert figures(score) == expected
    assert len(score.problems) == sum(expected[1:])
    assert score.is_perfect(len(claims)) == (expected[1:] == (0, 0, 0) and expected[0] == len(claims))


def test_what_the_plan_wanted_is_no_less_than_what_came() -> None:
    assert judge([ONE], [AT_ONE]).summary(1) == (
        "attribution: OK 1/1 connections left through the claimed exit (0 wrong, 0 unknown)"
    )
    assert judge([ONE], [AT_ONE]).summary(2).startswith("attribution: FAILED 1/2 ")
    assert judge([], []).summary(1).startswith("attribution: FAILED 0/1 ")


def test_claims_are_the_streams_that_were_sent_somewhere() -> None:
    stream = {
        "is_lookup": False,
        "stream_id": 5,
        "status": "succeeded",
        "destination": "192.0.2.101:80",
        "resolved": None,
    }
    streams: list[dict[str, Any]] = [
        stream,
        {**stream, "destination": "web.test:80", "resolved": "192.0.2.10"},
        {**stream, "destination": "[2001:DB8:1:0::101]:443"},
        {**stream, "destination": "nowhere.test:80", "status": "failed"},
        {**stream, "is_lookup": True, "destination": "web.test"},
        {**stream, "stream_id": None, "status": "waiting"},
    ]
    record = {"run_id": "run-1", "exit": {"fingerprint": "AA"}, "streams": streams}
    assert read_claims([record]) == [
        claim("run-1", "AA", "192.0.2.101"),
        claim("run-1", "AA", "192.0.2.10"),
        claim("run-1", "AA", "2001:db8:1::101", 443),
        claim("run-1", "AA", "nowhere.test", is_open=False),
    ]


def test_arrivals_are_the_tcp_lines_but_the_probes() -> None:
    lines = [
        {"service": service, "own": [own, 53], "peer": ["203.0.113.1", 40000]}
        for service, own in (("dns", "192.0.2.101"), ("dns-udp", "192.0.2.101"), ("http", PROBE_ADDRESS))
    ]
    found = read_arrivals([json.dumps(line) for line in lines], frozenset({PROBE_ADDRESS}))
    assert found == [arrival("192.0.2.101", "203.0.113.1", 53)]


@pytest.fixture(scope="module")
def wide_lab() -> Iterator[LabState]:
    """A lab with 16 plain exits, used by nobody else: every connection in its log counts."""
    name = f"truth-{os.getpid()}"
    lab_or_skip(name, 20)
    try:
        yield load(name)
    finally:
        start.down(name)


def owners_of(records: list[dict[str, Any]]) -> dict[str, str]:
    """Each run's own target addresses, by the number that the plan gave it (as in `programs/one_of_64.sh`)."""
    numbers = {record["run_id"]: int(record["run_id"].rpartition("-")[2]) for record in records}
    forms = ("198.51.100.{}", "192.0.2.1{:02}", "2001:db8:1::1:{}")
    return {form.format(number): run_id for run_id, number in numbers.items() for form in forms}


@pytest.mark.lab
@pytest.mark.timeout(240)
def test_every_connection_of_64_tools_at_a_time_leaves_through_the_claimed_exit(
    wide_lab: LabState, tmp_path: Path
) -> None:
    events, records_file = tmp_path / "events.ndjson.gz", tmp_path / "records.ndjson"
    command = [
        *EXITPIN, "run", "--lab", "--name", wide_lab.name, "-e", ",".join(EXITS), "--repeat", str(TOOLS // len(EXITS)),
        "-j", str(TOOLS), "--timeout", f"{LIMIT_S:g}s", "--json", "--events", str(events), "--",
        "bash", str(PROGRAMS / "one_of_64.sh"),
    ]  # fmt: skip
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    with open(meeting / "lock", "w") as lock, open(records_file, "wb") as out:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tools = subprocess.Popen(
            command, stdout=out, stderr=subprocess.PIPE, text=True, env={**os.environ, "MEETING": str(meeting)}
        )
        eventually(lambda: _assert_present(meeting), 120)
        fcntl.flock(lock, fcntl.LOCK_UN)
        _, said = tools.communicate(timeout=LIMIT_S + 30)
    records = [json.loads(line) for line in records_file.read_text().splitlines()]
    assert {record["run_id"]: record["failure"] for record in records if record["failure"]} == {}, said
    assert len(records) == TOOLS

    arrivals = read_arrivals(wide_lab.log_file.read_text().splitlines(), frozenset({PROBE_ADDRESS}))
    relays = {address: one.fingerprint for one in wide_lab.relays for address in (one.address, one.address6)}
    score = ground_truth.score(read_claims(records), arrivals, relays=relays, owners=owners_of(records))
    print(score.summary(PLANNED))
    assert score.problems == ()
    assert (score.claimed, score.arrived, score.right) == (PLANNED, PLANNED, PLANNED) == (1000, 1000, 1000)
    assert {record["exit"]["nickname"] for record in records} == set(EXITS)

    done = subprocess.run(
        [*EXITPIN, "results", "verify", str(events), str(records_file)], capture_output=True, text=True, check=False
    )
    print(done.stdout)
    assert (done.returncode, done.stdout.split()[0]) == (0, "consistent:"), done.stdout + done.stderr


def _assert_present(meeting: Path) -> None:
    assert len(list(meeting.iterdir())) == TOOLS + 1


@pytest.mark.lab
@pytest.mark.timeout(240)
def test_the_demo_ends_well_and_leaves_nothing_behind() -> None:
    """With one tool, which no dead resolver holds up; the whole of it is tortured with other seeds."""
    name = f"demo-{os.getpid()}"
    command = [sys.executable, "-m", "exitpin.orchestrator.lab.demo", "--name", name, "dns-path"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=220, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    right = r"attribution: OK (\d+)/\1 connections left through the claimed exit \(0 wrong, 0 unknown\)"
    assert any(re.fullmatch(right, line) for line in lines)
    assert lines[-1] == "precision 1.00 recall 1.00 (1 findings, 15 honest exits, 0 accused)"
    assert "\x1b" not in done.stdout
    assert not start.down(name)
