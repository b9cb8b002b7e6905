"""`exitpin exitmap`: modules written by exitmap's contract, a clause each, judged by what the targets saw."""

import json
import os
import signal
import subprocess
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from exitpin.wrappers.machine import abilities

from ..ended import ended_by
from .conftest import Lab
from .exitmap_modules import ENDS, MANY, RESOLVES, STATE, WANTS
from .running import EXITPIN, Log, nickname

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


class Scanned:
    """What came of `exitpin exitmap --json`."""

    def __init__(self, lab: Lab, folder: Path, text: str, *words: str) -> None:
        module = folder / "modules" / "tried.py"
        module.parent.mkdir(exist_ok=True)
        module.write_text(text)
        argv = [*EXITPIN, "exitmap", "--lab", "--name", lab.state.name, "--json", str(module), *words]
        self.log = Log.of(lab.state)
        done = subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False, cwd=folder)
        self.status, self.stderr = done.returncode, done.stderr
        self.records: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]

    def by_exit(self) -> dict[str, dict[str, Any]]:
        return {record["exit"]["nickname"]: record for record in self.records}


def logged(record: dict[str, Any]) -> list[tuple[str, str]]:
    """(level, line) of what its module logged."""
    facts = record["facts"].items()
    return [(name.rpartition(".")[2], text) for name, text in facts if name.startswith("log.")]


def command_line(file: Path) -> bytes:
    """Of a process that may have gone meanwhile."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def plain(lab: Lab) -> list[str]:
    return [one.nickname for one in lab.state.relays if one.role == "exit" and one.behaviour == "plain"]


def test_python_commands_and_subprocesses_leave_by_the_exit_of_their_probe(lab: Lab, tmp_path: Path) -> None:
    exits = plain(lab)
    repeat = -(-24 // len(exits))
    done = Scanned(lab, tmp_path, MANY, "-e", ",".join(exits), "--repeat", str(repeat), "--wide")
    assert (done.status, len(done.records)) == (0, repeat * len(exits)), done.stderr
    expected = Counter({lab.state.relay(one).address: 3 * repeat for one in exits})
    assert Counter(done.log.peers("http")) == expected
    for record in done.records:
        address = record["exit"]["addresses"][0]
        assert logged(record) == [("info", f"tried: {record['exit']['nickname']} sees {address}")]
        assert record["facts"]["level"] == "info"
        assert record["facts"]["module"] == f"tried.py sha256:{sha256(MANY.encode()).hexdigest()}"
        kept = {Path(one["file"]).name: Path(one["file"]) for one in record["evidence"]}
        dumped = [file.read_text() for name, file in kept.items() if name.startswith(record["exit"]["fingerprint"])]
        assert dumped == [f"dumped {address}"]
        assert "sees" in kept["log.txt"].read_text()
        assert [stream["status"] for stream in record["streams"]] == ["succeeded"] * 3


def test_what_setup_set_is_there_in_each_probe_and_in_teardown_and_nothing_of_a_probe_is(
    lab: Lab, tmp_path: Path
) -> None:
    narrow, other = nickname(lab.state, "rejects-443"), nickname(lab.state, "only-80")
    names = f"exit01,exit02,{narrow},{other}"
    done = Scanned(lab, tmp_path, STATE, "-e", names, "-a", "found", "-H", "web.test")
    assert done.status == 123, done.stderr
    (folder,) = (tmp_path / "found").iterdir()
    assert folder.name.endswith("_tried")
    assert {file.name: file.read_text().strip() for file in folder.iterdir()} == {
        "exit01": "True 2 [80, 443] True",
        "exit02": "True 2 [80, 443] True",
        narrow: "True 2 [80] True",
        other: "True 2 [80] True",
    }
    assert "tried [INFO] setup for web.test" in done.stderr
    assert "lock, which setup() set, can't be handed to probes" in done.stderr
    assert "tried [WARNING] teardown [True] 4 ['exit01', 'exit02'] []" in done.stderr
    assert [name for name, record in done.by_exit().items() if record["status"] != "ok"] == ["exit01"]
    assert "setup() set lock, which can't be handed" in done.by_exit()["exit01"]["facts"]["raised"]


def test_exits_that_allow_no_destination_of_the_module_are_dropped_with_the_reason(lab: Lab, tmp_path: Path) -> None:
    text = 'def probe(a, b, c, destinations): assert destinations == {("web.test", 443)}\n'
    done = Scanned(lab, tmp_path, text, "-H", "web.test", "-p", "443")
    total = len([one for one in lab.state.relays if one.role == "exit"])
    assert (done.status, len(done.records)) == (0, total - 2), done.stderr
    assert f"{total - 2} of {total} exits (2: policy)" in done.stderr


@pytest.mark.parametrize(
    ("what", "wanted"),
    [
        ("pass", "web.test"),
        ('socket.create_connection(("192.0.2.10", 80))', "web.test, 192.0.2.10:80"),
        ('__import__("subprocess").run(["curl", "-s", "http://192.0.2.10/"])', "web.test, 192.0.2.10:80"),
    ],
)
def test_a_setup_that_wants_a_network_and_has_none_ends_the_scan(
    lab: Lab, tmp_path: Path, what: str, wanted: str
) -> None:
    done = Scanned(lab, tmp_path, WANTS.replace("WHAT", what), "-e", "exit01")
    assert (done.status, done.records, done.log.peers()) == (125, [], [])
    assert "web.test" not in done.log.names()
    assert f"setup() of tried.py has no network, and wanted {wanted}." in done.stderr


def test_a_scan_that_is_refused_after_setup_is_torn_down(lab: Lab, tmp_path: Path) -> None:
    text = "def setup(): print('begun')\ndef probe(a, b, c): pass\ndef teardown(): print('ended')\n"
    done = Scanned(lab, tmp_path, text, "-e", nickname(lab.state, "only-80"), "-H", "web.test", "-p", "443")
    assert (done.status, done.records) == (125, [])
    said = [line for line in done.stderr.splitlines() if not line.endswith("exits (1: policy)")]
    assert said[:2] == ["setup\tbegun", "teardown\tended"] and "the selection is empty" in said[2]


def test_setup_may_go_through_an_exit_of_which_there_is_proof_or_out_in_the_clear(lab: Lab, tmp_path: Path) -> None:
    text = "import socket, urllib.request\n\ndef setup():\n    global seen, found\n" \
           '    seen = urllib.request.urlopen("http://web.test/ip").read().decode().strip()\n' \
           '    found = socket.gethostbyname("v4.test")\n\n' \
           "def probe(a, b, c):\n    print(seen, found)\n"  # fmt: skip
    relay = lab.state.relay("exit02")
    done = Scanned(lab, tmp_path, text, "-e", "exit01", "--setup", "exit02")
    assert (done.status, done.log.peers("http")) == (0, [relay.address]), done.stderr
    assert done.records[0]["process"]["stdout"] == f"{relay.address} 192.0.2.11\n"
    record = Path(done.stderr.partition("setup() went through exit02/")[2].partition(": ")[2].splitlines()[0])
    events = str(record).removesuffix(".record")
    verified = subprocess.run([*EXITPIN, "results", "verify", events, str(record)], capture_output=True, check=False)
    assert verified.returncode == 0, verified.stderr
    done = Scanned(lab, tmp_path, text, "-e", "exit01", "--setup", "direct")
    assert done.status == 0 and relay.address not in done.log.peers("http"), done.stderr


DAEMON = "    subprocess.run(['setsid', '-f', *tail])\n"


@pytest.mark.parametrize(
    ("end", "status"), [("", 0), ("    child.wait()\n", 125), (DAEMON, 0)], ids=["returns", "hangs", "daemonises"]
)
def test_what_a_direct_setup_started_has_ended_with_it(lab: Lab, tmp_path: Path, end: str, status: int) -> None:
    started = f"    tail = 'tail', '-f', '/dev/null', {str(tmp_path / 'mark')!r}\n    child = subprocess.Popen(tail)\n"
    text = f"import subprocess\n\ndef setup():\n{started}{end}\ndef probe(a, b, c): pass\n"
    (tmp_path / "mark").touch()
    done = Scanned(lab, tmp_path, text, "-e", "exit01", "--setup", "direct", "--timeout", "15s")
    assert (done.status, "failed: timeout: over 15 s" in done.stderr) == (status, status != 0), done.stderr
    lines = [command_line(file) for file in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [line for line in lines if str(tmp_path / "mark").encode() in line]


@pytest.mark.skipif(bool(abilities().notify_problem), reason="nobody sees what asks name servers by itself")
def test_a_setup_that_asks_name_servers_by_itself_is_answered_by_its_exit(lab: Lab, tmp_path: Path) -> None:
    setup = "global found\n    found = dns.resolver.resolve('v4.test')[0].address"
    text = f"import dns.resolver\n\ndef setup():\n    {setup}\n\ndef probe(a, b, c):\n    print(found)\n"
    done = Scanned(lab, tmp_path, text, "-e", "exit01", "--setup", "exit02")
    assert done.status == 0, done.stderr
    assert [record["process"]["stdout"] for record in done.records] == ["192.0.2.11\n"]
    assert done.records[0]["containment"]["level"] == "notify"
    done = Scanned(lab, tmp_path, text, "-e", "exit01")
    assert (done.status, done.records) == (125, [])
    assert "setup() of tried.py has no network, and wanted v4.test" in done.stderr


def test_probes_that_raise_exit_or_hang_are_accounted_for(lab: Lab, tmp_path: Path) -> None:
    words = ("-e", "exit01,exit02,exit03,exit04,exit05", "-H", "web.test", "-p", "80", "--timeout", "15s")
    done = Scanned(lab, tmp_path, ENDS, *words)
    found = {
        name: (record["status"], (record["failure"] or {}).get("kind"), record["process"]["rc"])
        for name, record in done.by_exit().items()
    }
    assert found == {
        "exit01": ("error", "tool", 1),
        "exit02": ("error", "tool", 7),
        "exit03": ("error", "tool", 0),
        "exit04": ("error", "timeout", None),
        "exit05": ("ok", None, 0),
    }
    assert done.status == 123 and "5 of 5 runs: 1 ok, 3 tool, 1 timeout" in done.stderr, done.stderr
    records = done.by_exit()
    assert records["exit03"]["failure"]["detail"] == "probe() has exited, and not returned"
    again = records["exit02"]["reproduce"]
    assert again.startswith("exitpin exitmap -e ") and again.endswith("tried.py --host=web.test --port=80"), again
    assert records["exit01"]["facts"]["raised"] == r"ValueError: no\nway"
    assert records["exit01"]["process"]["stderr"].splitlines()[1].endswith('tried.py", line 9, in probe')
    assert logged(records["exit05"]) == [("info", "command: ConnectionRefusedError: swallowed")]


def test_names_are_resolved_by_the_exit_of_the_probe(lab: Lab, tmp_path: Path) -> None:
    done = Scanned(lab, tmp_path, RESOLVES, "-e", "exit01,exit02", "-v", "debug")
    assert done.status == 0, done.stderr
    for record in done.records:
        found = logged(record)
        assert found[:2] == [
            ("info", "tried: v4.test is 192.0.2.11"),
            ("error", "tried: no-such-name.test: SOCKS Server error 4"),
        ]
        assert found[2][0] == "debug" and record["facts"]["level"] == "error"
        assert [stream["is_lookup"] for stream in record["streams"]] == [True, True]


SLEEPS = "    print('begun', flush=True)\n    __import__('time').sleep(60)\n"


@pytest.mark.parametrize(
    ("text", "where", "begun", "said"),
    [
        (f"def setup():\n{SLEEPS}def probe(a, b, c): pass\n", "offline", "setup\tbegun", "interrupted in setup()."),
        (f"def setup():\n{SLEEPS}def probe(a, b, c): pass\n", "direct", "begun", "interrupted in setup()."),
        (f"def probe(a, b, c):\n{SLEEPS}def teardown(): print('never')\n", "offline", "exit01/", "was not run"),
    ],
    ids=["setup", "direct", "probe"],
)
def test_ctrl_c_ends_all_and_says_so(lab: Lab, tmp_path: Path, text: str, where: str, begun: str, said: str) -> None:
    module = tmp_path / "tried.py"
    module.write_text(text)
    argv = [*EXITPIN, "exitmap", "--lab", "--name", lab.state.name, "-e", "exit01", "--setup", where, str(module)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    with subprocess.Popen(argv, **options) as process:  # type: ignore[call-overload]
        line = process.stdout.readline()
        while not line.startswith(begun):
            line = process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == ended_by(signal.SIGINT)
    assert said in rest and "Traceback" not in rest and "never" not in rest
