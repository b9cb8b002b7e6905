"""Runs of declared tools on the private network: where they may go, what they are given, what ends them."""

import json
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from exitpin.wrappers.torsocks import passthrough_dir

from .conftest import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

WEB = ("www.example.org", 80)
FETCH = ("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}")
FORKS = 'f() { [ "$1" -eq 0 ] || { f $(($1 - 1)) & f $(($1 - 1)) & wait; }; }; f 12'
SLEEP = f"sleep 4321.{os.getpid()}"  # nobody else's on this machine
STUBBORN = f"exec <&-; trap '' TERM; (trap '' TERM; setsid {SLEEP} &); while :; do sleep 1; done"
PLACES = 'pwd; stat -c "%a %s" "$HOME" "$EXITPIN_FACTS"; cat'
LEAVES = f"(setsid {SLEEP} &); echo left"
SPEC: dict[str, dict[str, Any]] = {
    "allowed": {"argv": (*FETCH, "http://www.example.org/"), "setup": {"destinations": [WEB]}},
    "resolved by the exit": {
        "argv": (*FETCH, "http://WWW.example.org/"), "setup": {"destinations": [WEB], "resolve": "exit"},
    },
    "another address": {"argv": (*FETCH, "http://192.0.2.10/"), "setup": {"destinations": [WEB]}},
    "another port": {"argv": (*FETCH, "http://www.example.org:8080/"), "setup": {"destinations": [WEB]}},
    "another name": {"argv": (*FETCH, "http://web.test/"), "setup": {"destinations": [WEB]}},
    "environment": {"argv": ("env",), "setup": {"environment": {"LANG": "C"}}},
    "places": {"argv": ("sh", "-c", PLACES), "setup": {"stdin": "given\n"}},
    "no stdin": {"argv": ("sh", "-c", "readlink /proc/self/fd/0")},
    "unread": {"argv": ("sh", "-c", "exec <&-; echo done"), "setup": {"stdin": "x" * 1_000_000}},
    "talks": {"argv": ("head", "-c", "10000000", "/dev/zero"), "setup": {"stdout_max": 1000}},
    "leaves": {"argv": ("sh", "-c", LEAVES)},
    "stubborn": {"argv": ("sh", "-c", STUBBORN), "timeout_s": 5.0, "setup": {"kill_after_s": 0.3}},
    "forks": {"argv": ("sh", "-c", FORKS), "setup": {"procs_max": 8}},
    "computes": {"argv": ("sh", "-c", "while :; do :; done"), "setup": {"cpu_s": 1.0}},
    "fills memory": {
        "argv": (sys.executable, "-c", "bytearray(1 << 30)"), "setup": {"memory_max": 256 << 20},
    },
    "fills the disk": {
        "argv": ("sh", "-c", 'for n in 1 2; do head -c 9000 /dev/zero >"$EXITPIN_ARTIFACTS/$n"; done'),
        "setup": {"artifacts_max": 5000},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def told(lab: Lab, directory: Path) -> dict[str, dict[str, Any]]:
    """What became of each run."""
    script = Path(__file__).with_name("setup_runs.py")
    words = [sys.executable, str(script), lab.state.name, str(directory)]
    done = lab.exec(words, input=json.dumps(SPEC), timeout=100)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def denied(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["reason"], one["what"]) for one in record["denied"]]


@pytest.mark.parametrize("name", ["allowed", "resolved by the exit"])
def test_a_tool_reaches_what_it_declared(told: dict[str, Any], name: str) -> None:
    assert (told[name]["stdout"], told[name]["status"]) == ("200", "ok"), told[name]
    assert "destination" not in [reason for reason, _ in denied(told[name])]


@pytest.mark.parametrize(
    ("name", "what", "rc"),
    [
        ("another address", "192.0.2.10:80", 7),
        ("another port", "www.example.org:8080", 7),
        ("another name", "web.test", 6),
    ],
)
def test_a_tool_reaches_nothing_else_and_is_not_the_exits_fault(
    told: dict[str, Any], name: str, what: str, rc: int
) -> None:
    record = told[name]
    assert ("destination", what) in denied(record)
    assert (record["process"]["rc"], record["streams"], record["status"]) == (rc, [], "error")


def test_a_tool_inherits_nothing_but_where_commands_are_found(told: dict[str, Any], directory: Path) -> None:
    given = dict(line.split("=", 1) for line in told["environment"]["stdout"].splitlines())
    own = {name for name in given if name.startswith("EXITPIN")}
    assert {"EXITPIN", "EXITPIN_RUN_ID", "EXITPIN_EXIT_FP", "EXITPIN_ARTIFACTS", "EXITPIN_FACTS"} <= own
    assert set(given) - own <= {"LANG", "HOME", "PATH", "LD_PRELOAD"}
    assert given["HOME"] == str(directory / "environment" / "home")
    assert given["PATH"].split(":").count(str(passthrough_dir())) == 1
    assert given["PATH"].startswith(f"{passthrough_dir()}:")


def test_a_tool_starts_at_home_with_what_it_is_given(told: dict[str, Any], directory: Path) -> None:
    lines = told["places"]["stdout"].splitlines()
    assert lines[0] == str(directory / "places" / "home")
    assert (lines[1].split()[0], lines[2], lines[3]) == ("700", "600 0", "given")
    assert told["no stdin"]["stdout"] == "/dev/null\n"
    assert told["unread"]["stdout"] == "done\n"


def test_no_more_is_kept_of_what_it_says_than_allowed(told: dict[str, Any]) -> None:
    assert told["talks"]["status"] == "ok"
    assert told["talks"]["process"]["truncated"] and len(told["talks"]["stdout"]) == 1000


def test_it_ends_in_time_whatever_it_does_and_leaves_nothing(told: dict[str, Any]) -> None:
    record = told["stubborn"]
    assert record["process"]["timed_out"] and record["process"]["signal"] == signal.SIGKILL
    assert 5.3 <= record["t"]["end"] - record["start"] < 10  # it is waited for 5 s after the grace
    assert told["leaves"]["process"]["swept"] >= 1
    lines = [shlex.join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert not [line for line in lines if SLEEP in line]


def test_a_bomb_of_forks_is_the_tools_fault_and_ends_soon(told: dict[str, Any]) -> None:
    record = told["forks"]
    assert (record["failure"]["kind"], record["failure"]["blame"]) == ("tool", "tool")
    assert record["failure"]["detail"] == "more than 8 processes at a time"
    assert record["t"]["end"] - record["start"] < 20  # the run may last 30


def test_a_tool_that_goes_over_its_limits_is_recorded_so(told: dict[str, Any]) -> None:
    assert told["computes"]["process"]["signal"] == signal.SIGXCPU
    assert "MemoryError" in told["fills memory"]["stderr"]
    assert told["fills the disk"]["artifacts_bytes"] == 10_000
    assert told["allowed"]["artifacts_bytes"] == 0
