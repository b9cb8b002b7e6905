"""`exitpin sh`: scripts and shells through an exit, and what a script gives to its run."""

import json
import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exitpin.wrappers.machine import abilities

from .conftest import Lab
from .daemons import without_waiting
from .running import EXITPIN, Log

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

EXIT = "exit01"
LEVELS = ("shim", "guard", "notify", "notify+netns")
GIVES = """
curl -sS http://web.test/ip
page=$(printf 'line\\nverdict=ok\\033[2J')
exitpin emit page="$page" nick="$EXITPIN_EXIT_NICK"
printf kept | exitpin evidence - page.txt
exitpin verdict tampered "another page"
exit 7
"""


def sh(lab: Lab, *words: str, **options: object) -> "subprocess.CompletedProcess[str]":
    """Run `exitpin sh` and wait for its end."""
    argv = [*EXITPIN, "sh", "--lab", "--name", lab.state.name, *words]
    given = {"capture_output": True, "text": True, "timeout": 90, "check": False, **options}
    if "input" not in given:
        given["stdin"] = subprocess.DEVNULL
    return subprocess.run(argv, **given)  # type: ignore[call-overload,no-any-return]


def ours(said: str) -> list[str]:
    assert "Traceback" not in said, said
    lines = without_waiting(said).splitlines()
    return [line for line in lines if line.startswith("exitpin") and "is not passed on" not in line]


def script(folder: Path, text: str, mode: int = 0o644) -> str:
    path = folder / "script.sh"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_every_child_of_a_script_leaves_by_the_exit(lab: Lab, tmp_path: Path) -> None:
    log = Log.of(lab.state)
    path = script(tmp_path, '#!/bin/bash\n[[ $1 == "a b" ]] || exit 9\ncurl -sS http://web.test/ip & wait\n'
                            "( exec 3<>/dev/tcp/web.test/80; echo >&3 ) | cat\npython3 -c 'import socket;"
                            'socket.create_connection(("web.test", 80))\'\nexit 42\n')  # fmt: skip
    done = sh(lab, "-e", EXIT, path, "a b")
    relay = lab.state.relay(EXIT)
    assert (done.returncode, done.stdout, ours(done.stderr)) == (42, f"{relay.address}\n", [])
    assert log.peers("http") == [relay.address] * 3


@pytest.mark.parametrize(
    ("words", "options", "status", "stdout"),
    [
        (("-c", "echo $0 $1 $2; exit 3", "name", "--json", "-e"), {}, 3, "name --json -e\n"),
        (("-c", "exit 0"), {}, 0, ""),
        ((), {"input": 'echo "from stdin $EXITPIN_EXIT_NICK"; exit 5'}, 5, "from stdin exit01\n"),
    ],
)
def test_code_may_come_as_an_argument_or_from_standard_input(
    lab: Lab, words: tuple[str, ...], options: dict[str, str], status: int, stdout: str
) -> None:
    done = sh(lab, "-e", EXIT, *words, **options)
    assert (done.returncode, done.stdout, ours(done.stderr)) == (status, stdout, [])


@pytest.mark.parametrize(
    ("text", "mode"), [("echo plain", 0o644), ("#!/bin/sh -e\nfalse; echo never", 0o644), ("#!/bin/sh\necho x", 0o755)]
)
def test_a_script_is_run_by_what_its_first_line_names_or_by_sh(lab: Lab, tmp_path: Path, text: str, mode: int) -> None:
    done = sh(lab, "-e", EXIT, script(tmp_path, text, mode))
    expected = {"echo plain": (0, "plain\n"), "#!/bin/sh\necho x": (0, "x\n")}.get(text, (1, ""))
    assert (done.returncode, done.stdout) == expected


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("-e", EXIT, "/nowhere/script"), 127, "/nowhere/script can't be run: No such file or directory."),
        (("-e", EXIT, "/tmp"), 126, "/tmp can't be run: Is a directory."),
        (("-e", "exit01,exit02"), 2, "several shells can't share one input."),
        (("-e", EXIT, "--json"), 2, "there is no script to run."),
        (("-c", "true"), 2, "required: -e/--exit"),
    ],
)
def test_what_can_not_be_run_is_one_sentence(lab: Lab, words: tuple[str, ...], status: int, sentence: str) -> None:
    done = sh(lab, *words)
    assert (done.returncode, done.stdout) == (status, "")
    assert sentence in ours(done.stderr)[-1]


@pytest.mark.parametrize("level", LEVELS)
def test_a_script_gives_facts_files_and_a_verdict_at_every_level(lab: Lab, tmp_path: Path, level: str) -> None:
    if level.startswith("notify") and abilities().notify_problem:
        pytest.skip("this kernel has no notify")
    events = tmp_path / "events.gz"
    done = sh(lab, "-e", EXIT, "--containment", level, "--json", "--events", str(events), "-c", GIVES)
    record = json.loads(done.stdout)
    assert record["containment"]["level"] in (level, f"{level}+netns")
    assert (record["process"]["rc"], record["process"]["stderr"]) == (7, "")
    assert record["process"]["stdout"] == f"{lab.state.relay(EXIT).address}\n"
    assert record["facts"] == {
        "page": "line\\nverdict=ok\\x1b[2J", "nick": EXIT, "verdict": "tampered", "reason": "another page",
    }  # fmt: skip
    kept = [item for item in record["evidence"] if item["name"] == "evidence:page.txt"]
    assert Path(kept[0]["file"]).read_bytes() == b"kept"
    assert kept[0]["file"].startswith(f"{events}.evidence/")


def test_on_a_terminal_what_was_given_is_told_and_the_status_is_the_scripts(lab: Lab) -> None:
    done = sh(lab, "-e", EXIT, "-c", GIVES)
    assert (done.returncode, done.stdout) == (7, f"{lab.state.relay(EXIT).address}\n")
    assert ours(done.stderr) == [
        "exitpin evidence: page.txt is not kept: `exitpin run` and `exitpin sh` keep evidence with --json or --events"
        " FILE.",
        "exitpin: it says tampered: another page (not confirmed: `exitpin audit` does that)",
        "exitpin: facts: page=line\\nverdict=ok\\x1b[2J, nick=exit01",
    ]
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(("words", "status"), [(("-e", EXIT), 125), (("-e", "exit01,exit02"), 123)])
def test_a_fact_that_is_set_twice_is_an_error_of_the_run(lab: Lab, words: tuple[str, ...], status: int) -> None:
    done = sh(lab, *words, "-c", "exitpin emit a=1; exitpin emit a=1; exit 0")
    assert done.returncode == status
    assert ours(done.stderr)[-1 if status == 125 else -2].endswith("parse: the fact a is set twice")


def test_facts_that_can_not_be_read_are_the_failure_of_the_record(lab: Lab, tmp_path: Path) -> None:
    done = sh(
        lab, "-e", EXIT, "--json", "--events", str(tmp_path / "e"), "-c", "exitpin emit a=1; exitpin emit a=2; true"
    )
    record = json.loads(done.stdout)
    assert (record["status"], record["failure"]["kind"], record["facts"]) == ("error", "parse", None)
    assert not list(tmp_path.glob("*.evidence")), "nothing was kept, and no folder is left"


@contextmanager
def typed(lab: Lab, home: Path, shell: str) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """`exitpin sh` on a terminal of its own: what is typed goes into that descriptor."""
    leader, follower = pty.openpty()
    argv = ["setsid", "--ctty", "--wait", *EXITPIN, "sh", "--lab", "--name", lab.state.name, "-e", EXIT]
    environment = {**os.environ, "HOME": str(home), "SHELL": shell, "TERM": "dumb"}
    with subprocess.Popen(argv, stdin=follower, stdout=follower, stderr=follower, env=environment) as running:
        os.close(follower)
        try:
            yield leader, running
        finally:
            running.kill()
            os.close(leader)


def test_a_shell_on_a_terminal_has_the_exit_in_its_prompt(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text("PS1='own> '\n")
    with typed(lab, tmp_path, "/bin/bash") as (leader, running):
        until(leader, "(exit01) own> ")
        os.write(leader, b"curl -sS http://web.test/ip\n")
        until(leader, f"\n{lab.state.relay(EXIT).address}", "(exit01) own> ")
        os.write(leader, b"exitpin emit seen=1; exit 6\n")
        until(leader, "exitpin: facts: seen=1")
        assert running.wait(30) == 6


def test_a_plain_sh_has_the_exit_in_its_prompt_too(lab: Lab, tmp_path: Path) -> None:
    with typed(lab, tmp_path, "/bin/sh") as (leader, running):
        until(leader, "(exit01) $ ")
        os.write(leader, b"exit 8\n")
        assert running.wait(30) == 8


def until(terminal: int, *texts: str, timeout_s: float = 30.0) -> None:
    """Read a terminal until each text has come, one after the other."""
    said, deadline = "", time.monotonic() + timeout_s
    for text in texts:
        while text not in said:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([terminal], [], [], left)[0], f"no {text!r} in {said!r}"
            said += os.read(terminal, 1 << 16).decode(errors="replace").replace("\r\n", "\n")
        said = said.partition(text)[2]
