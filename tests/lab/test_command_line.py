"""`exitpin run` as scripts see it: exit statuses, one sentence on stderr, clean stdout, and nothing left behind."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from exitpin.orchestrator.lab.network import build
from exitpin.orchestrator.lab.state import base_directory

from .conftest import Lab, eventually
from .daemons import without_waiting
from .running import EXITPIN, SecondController, command, nickname, run

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

EXIT = "exit01"


def sentences(said: str) -> list[str]:
    """The lines of ours on stderr, notes about proxies of this machine left out. A traceback is never one."""
    assert "Traceback" not in said, said
    lines = without_waiting(said).splitlines()
    return [line for line in lines if line.startswith("exitpin") and "is not passed on" not in line]


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("-e", "exit99", "--", "true"), 2, "neither a relay's fingerprint"),
        (("-e", "A" * 40, "--", "true"), 125, "no relay AAAA"),
        (("--bogus", "-e", EXIT, "--", "true"), 2, "unrecognized arguments: --bogus"),
        (("--", "true"), 2, "required: -e/--exit"),
        (("-e", EXIT), 2, "there is no command to run"),
        (("-e", EXIT, "--"), 2, "there is no command to run"),
        (("-e", EXIT, "--timeout", "soon", "--", "true"), 2, "--timeout: 'soon' is not a time"),
        (("-e", EXIT, "-j", "0", "--", "true"), 2, "from 1"),
        (("-e", EXIT, "--to", "nonsense", "--", "true"), 2, "'nonsense' is no destination"),
        (("-e", EXIT, "--contact", "(", "--", "true"), 2, "is no regular expression"),
        (("-e", "@/nowhere/exits", "--", "true"), 2, "/nowhere/exits: No such file"),
        (("-e", EXIT, "--control", "/x", "--", "true"), 2, "exclude each other"),
        (("-e", EXIT, "--joblog", "/nowhere/log", "--", "true"), 125, "/nowhere/log can't be written"),
        (("-e", EXIT, "--joblog", "/dev/full", "--", "true"), 125, "/dev/full can't be written"),
        (("-e", EXIT, "--events", "/proc/self/nowhere/log", "--", "true"), 125, "can't be written"),
        (("-e", EXIT, "--events", "/tmp/no-such-folder/log", "--", "true"), 125, "no folder /tmp/no-such-folder"),
        (("-e", EXIT, "--events", "/dev/full", "--", "true"), 125, "could not be written to its end"),
        (("-e", EXIT, "--record", "/dev/full", "--", "true"), 125, "could not be written to its end"),
        (("-e", EXIT, "--", "no-such-command"), 127, "no-such-command: command not found."),
        (("-e", EXIT, "--", "/nowhere/command"), 127, "/nowhere/command: command not found."),
        (("-e", EXIT, "--", "/etc/passwd"), 126, "/etc/passwd can't be executed: Permission denied."),
        (("-e", EXIT, "--", "/tmp"), 126, "/tmp can't be executed"),
        (("-e", EXIT, "--timeout", "0.5s", "--", "tail", "-f", "/dev/null"), 124, "timeout: over 0.5 s"),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_a_status(
    lab: Lab, words: tuple[str, ...], status: int, sentence: str
) -> None:
    done = run(lab.state, *words)
    assert (done.returncode, done.stdout) == (status, "")
    (said,) = sentences(done.stderr)
    assert sentence in said


def test_a_lab_that_is_down_is_said(lab: Lab) -> None:
    done = subprocess.run(
        [*EXITPIN, "run", "--lab", "--name", "nobodys", "-e", "all", "--", "true"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr == "exitpin: The lab nobodys is not running. Start it with `exitpin lab up --name nobodys`.\n"


HIDE_TOR = 'mount --bind /dev/null "$0" && exec "$@"'
NO_NAMESPACES = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set -sys_admin "$@"'


@pytest.mark.parametrize(
    ("script", "sentence"),
    [(HIDE_TOR, "The lab needs the program `tor`."), (NO_NAMESPACES, "This system does not let you make namespaces")],
)
def test_a_machine_that_can_have_no_lab_is_told_why(script: str, sentence: str) -> None:
    tor = shutil.which("tor", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(tor)]
    done = subprocess.run([*words, *EXITPIN, "lab", "up", "--name", "none"], capture_output=True, text=True)
    if not done.stderr.startswith("exitpin: "):
        pytest.skip(f"can't be simulated here: {done.stderr.strip()}")
    assert (done.returncode, done.stdout) == (125, "")
    (said,) = sentences(done.stderr)
    assert sentence in said
    subprocess.run([*EXITPIN, "lab", "down", "--name", "none"], check=True)
    assert list(base_directory().glob("none.*")) == []


def test_a_control_socket_that_nobody_serves_is_said(tmp_path: Path) -> None:
    words = [*EXITPIN, "run", "--control", str(tmp_path / "control"), "-e", EXIT, "--", "true"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (125, "")
    (said,) = sentences(done.stderr)
    assert "no control connection to tor" in said


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 37", 37), ("exit 255", 255)])
def test_the_childs_status_is_ours(lab: Lab, script: str, status: int) -> None:
    done = run(lab.state, "-e", EXIT, "--", "sh", "-c", script)
    assert (done.returncode, done.stdout, sentences(done.stderr)) == (status, "", [])


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGTERM, ["exitpin: sh was ended by SIGTERM"]),
        (signal.SIGKILL, ["exitpin: sh was ended by SIGKILL"]),
        (signal.SIGSEGV, ["exitpin: sh was ended by SIGSEGV"]),
        (signal.SIGPIPE, []),
    ],
)
def test_a_child_that_a_signal_ended_is_128_and_its_number(lab: Lab, number: signal.Signals, said: list[str]) -> None:
    done = run(lab.state, "-e", EXIT, "--", "sh", "-c", f"kill -{int(number)} $$")
    assert (done.returncode, done.stdout) == (128 + number, "")
    assert sentences(done.stderr) == said, "and nothing of the lab, which lives"


def test_the_foreground_is_the_tools_own(lab: Lab) -> None:
    done = run(
        lab.state, "-e", EXIT, "--", "sh", "-c", "cat; echo note >&2; exit 3", input=bytes(range(256)), text=False
    )
    assert (done.returncode, done.stdout) == (3, bytes(range(256)))
    assert b"note\n" in done.stderr


@pytest.mark.parametrize(
    ("script", "status", "account"),
    [
        ("exit 0", 0, "3 of 3 runs: 3 ok"),
        ('test "$EXITPIN_EXIT_NICK" != exit02', 123, "3 of 3 runs: 2 ok, 1 tool"),
        ('test "$EXITPIN_EXIT_NICK" != exit02 || kill -9 $$', 123, "3 of 3 runs: 2 ok, 1 tool"),
    ],
)
def test_several_exits_have_a_status_together(lab: Lab, script: str, status: int, account: str) -> None:
    done = run(lab.state, "-e", "exit01,exit02,exit03", "--", "sh", "-c", script)
    assert (done.returncode, done.stdout) == (status, "")
    assert account in done.stderr


def test_several_exits_where_one_is_not_attributed_are_125(lab: Lab) -> None:
    """One of three tools holds a stream whose circuit is taken away; the others did well."""
    script = 'test "$EXITPIN_EXIT_NICK" = exit02 || exit 0; exec 3<>/dev/tcp/192.0.2.12/7; cat <&3'
    control = SecondController(lab.state)
    argv = command(lab.state, "-e", "exit01,exit02,exit03", "--", "bash", "-c", script)
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
        eventually(lambda: _assert_held(control), 20)
        control.ask(f"CLOSECIRCUIT {control.streams('192.0.2.12')[0][1]}")
        _, said = running.communicate(timeout=30)
    assert running.returncode == 125
    assert "3 of 3 runs: 2 ok, 1 circuit-lost" in said


def _assert_held(control: SecondController) -> None:
    assert control.streams("192.0.2.12")


def test_lines_of_several_exits_are_tagged(lab: Lab) -> None:
    done = run(lab.state, "-e", "exit01,exit02", "--", "sh", "-c", "echo $EXITPIN_EXIT_NICK; printf unended")
    expected = []
    for name in ("exit01", "exit02"):
        tag = f"{name}/{lab.state.relay(name).fingerprint[:8]}"
        expected += [f"{tag}\t{name}", f"{tag}\tunended"]
    assert sorted(done.stdout.splitlines()) == expected


def test_json_is_one_record_a_line_and_nothing_else(lab: Lab) -> None:
    done = run(lab.state, "-e", "exit01,exit02", "--json", "--", "sh", "-c", r"printf '\033[31m\n\377'; cat")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {record["exit"]["nickname"] for record in found} == {"exit01", "exit02"}
    assert {record["process"]["stdout"] for record in found} == {"\x1b[31m\n\\xff"}
    assert "\x1b" not in done.stdout


def test_the_joblog_is_one_that_gnu_parallel_reads(lab: Lab, tmp_path: Path) -> None:
    log = tmp_path / "joblog"
    run(lab.state, "-e", "exit01,exit02", "--joblog", str(log), "--", "sh", "-c", "echo hi; exit 3")
    head, *jobs = [line.split("\t") for line in log.read_text().splitlines()]
    assert head == ["Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command"]
    assert {job[1] for job in jobs} == {lab.state.relay(name).fingerprint for name in ("exit01", "exit02")}
    assert [(job[5], job[6], job[7]) for job in jobs] == [("3", "3", "0")] * 2


@pytest.mark.parametrize("name", ["events.ndjson", "events.ndjson.gz"])
def test_events_and_records_verify_together(lab: Lab, tmp_path: Path, name: str) -> None:
    events, records = tmp_path / name, tmp_path / "records"
    words = ("-e", "exit01,exit02", "--json", "--events", str(events), "--", "curl", "-sS", "http://web.test/ip")
    records.write_text(run(lab.state, *words).stdout)
    done = subprocess.run([*EXITPIN, "results", "verify", str(events), str(records)], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split(",")[0]) == (0, "consistent: 2 of 2 streams in 2 records")
    swapped = records.read_text().replace(*(lab.state.relay(one).fingerprint for one in ("exit01", "exit02")))
    records.write_text(swapped)
    done = subprocess.run([*EXITPIN, "results", "verify", str(events), str(records)], capture_output=True, text=True)
    assert (done.returncode, "INCONSISTENT" in done.stdout) == (1, True)


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_output_that_can_not_be_written_is_no_success(lab: Lab, words: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        done = run(
            lab.state,
            "-e",
            "exit01,exit02",
            *words,
            "--",
            "echo",
            "hi",
            stdout=full,
            capture_output=False,
            stderr=subprocess.PIPE,
        )
    assert done.returncode == 125
    assert "stdout could not be written to its end: No space left on device" in "".join(sentences(done.stderr))


def test_an_empty_selection_says_what_dropped_it(lab: Lab) -> None:
    exit_ = nickname(lab.state, "rejects-443")
    done = run(lab.state, "-e", exit_, "--to", "192.0.2.10:443", "--", "true")
    assert (done.returncode, done.stdout) == (125, "")
    assert sentences(done.stderr)[0] == "exitpin: 0 of 1 exits (1: policy)"
    assert build(8).exits[4].nickname == exit_


def test_proxies_of_the_caller_are_not_passed_on(lab: Lab) -> None:
    done = run(lab.state, "-e", EXIT, "--", "env", env={"HTTP_PROXY": "http://192.0.2.99:1", "ALL_PROXY": "socks5://x"})
    assert not [line for line in done.stdout.splitlines() if line.upper().startswith(("HTTP_PROXY=", "ALL_PROXY="))]
    assert "HTTP_PROXY is not passed on" in done.stderr
    assert "EXITPIN=1" in done.stdout.splitlines()


@pytest.mark.parametrize("option", ["--events", "--joblog"])
def test_a_file_that_only_the_lab_would_see_is_refused(lab: Lab, tmp_path: Path, option: str) -> None:
    """It lies on what was mounted after the lab had begun."""
    place = tmp_path / "mounted"
    place.mkdir()
    argv = command(lab.state, "-e", EXIT, option, str(place / "file"), "--", "true")
    script = f'mount -t tmpfs none {place} || exit 77; "$@"; echo "status $?"; ls {place}'
    words = ["unshare", "--mount", "sh", "-c", script, "sh", *argv]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(done.stderr)
    assert done.stdout == "status 125\n", done.stderr
    assert f"inside the lab {place} is another folder" in done.stderr and f"another file by {option}" in done.stderr
    assert not list(place.iterdir())
