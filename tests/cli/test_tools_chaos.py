"""`exitpin tools test --chaos`: tools that take a dead port for what it is, and tools that do not.

On a silent port a run is cut off after seconds here; `make torture` lets our own tools wait as long as they would.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

TIMEOUT_S = 90.0
CLIENT = """
import socket
there = socket.create_connection(("a.test", 7))
there.sendall(b"?")
print(there.recv(99))
"""
# A pipe hides that its first command failed, and a rule that knows of no empty answer believes all that comes.
NAIVE = """
schema = "exitpin.tool/1"
id = "NAME"
summary = "Is the banner changed?"
destination = [{ host = "a.test", port = "7" }]
run.argv = ["sh", "-c", "PYTHON -I {{tool_dir}}/client.py | cat"]
extract.banner = { regex = '(?s).+' }
verdict = [
RULES
  { status = "tampered", when = [{ field = "banner", differs = true }], reason = "another banner: {{banner}}" },
  { status = "ok" },
]
test = [{ stdout = "good.txt", control = "good.txt", expect = "ok" }]
"""
CAREFUL = """  { status = "error", when = [{ field = "banner", matches = "^b.(?!welcome)" }], reason = "no banner" },"""
PATIENT = '  { status = "error", when = [{ field = "banner", absent = true }], reason = "no banner" },'


def tool_file(folder: Path, name: str, rules: str = "", **other: str) -> Path:
    """A tool of that name, with these rules before its own. `other`: texts of it, and what stands in their place."""
    (folder / "good.txt").write_text("b'welcome'\n")
    (folder / "client.py").write_text(CLIENT)
    text = NAIVE.replace("NAME", name).replace("PYTHON", sys.executable).replace("RULES", rules)
    for before, after in other.items():
        assert before in text
        text = text.replace(before, after)
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def started(tools: Sequence[Path | str], timeout_s: float, form: str) -> "subprocess.Popen[str]":
    """Where no tools are found but those that come with exitpin."""
    options = ["--chaos", "--timeout", f"{timeout_s:g}s", *(["--json"] if form == "json" else [])]
    command = [sys.executable, "-m", "exitpin", "tools", "test", *options, *map(str, tools)]
    environment = {**os.environ, "XDG_CONFIG_HOME": "/nowhere"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd="/"
    )


def chaos(
    *tools: Path | str, timeout_s: float = 6.0, form: str = "table", patience_s: float = TIMEOUT_S
) -> tuple[int, str, str]:
    with started(tools, timeout_s, form) as process:
        out, err = process.communicate(timeout=patience_s)
        return process.returncode, out, err


def outcomes(*paths: Path, timeout_s: float = 6.0) -> tuple[int, list[dict[str, Any]]]:
    status, out, _ = chaos(*paths, timeout_s=timeout_s, form="json")
    return status, [json.loads(line) for line in out.splitlines()]


def test_a_tool_that_calls_a_dead_port_tampered_fails_and_is_told_where(tmp_path: Path) -> None:
    status, out, err = chaos(tool_file(tmp_path, "naive"))
    assert status == 1 and "0 of 1 tools" in err
    told = [line for line in out.splitlines() if line.startswith("naive: ")]
    begins = "naive: closed port, dead for the exit's run alone (rule b): tampered by rule 1 of its verdict"
    assert any(line.startswith(begins) and line.endswith("; it must be error or broken") for line in told)
    assert any(line.startswith("naive: garbage port") and "another banner: b" in line for line in told)
    assert "!b tampered" in out


def test_a_tool_that_knows_no_answer_from_another_answer_passes(tmp_path: Path) -> None:
    status, found = outcomes(tool_file(tmp_path, "careful", f"{PATIENT}\n{CAREFUL}"))
    assert status == 0, found
    ports = {"closed", "silent", "reset", "garbage", "empty", "unresolved"}
    assert {(each["port"], each["rule"]) for each in found} == {(port, rule) for port in ports for rule in "ab"}
    assert {each["status"] for each in found} == {"error"}


def test_a_tool_that_finds_nothing_wrong_with_a_dead_port_fails(tmp_path: Path) -> None:
    """Both were told nothing, so nothing differs: an `ok` would hide a target that is down."""
    status, found = outcomes(tool_file(tmp_path, "agreeing", differs="adds"))
    assert status == 1
    empty = [each for each in found if each["port"] == "closed" and each["rule"] == "a"]
    assert [(each["status"], each["verdict_rule"]) for each in empty] == [("ok", 2)]


def test_a_tool_that_never_comes_to_the_port_has_shown_nothing(tmp_path: Path) -> None:
    path = tool_file(tmp_path, "lost", client="nowhere")
    status, out, _ = chaos(path)
    assert status == 1
    assert "lost: closed port: nothing was tested: it opened no connection; it said: " in out and "nowhere.py" in out


def test_a_tool_that_believes_an_exit_that_a_port_is_open_fails(tmp_path: Path) -> None:
    """It says no word and hears none, so all that it knows is that the exit said SUCCEEDED."""
    path = tool_file(tmp_path, "mute", PATIENT, differs="adds")
    (tmp_path / "client.py").write_text("import socket; socket.create_connection(('a.test', 7)); print(\"b'welcome'\")")
    status, out, _ = chaos(path)
    assert status == 1
    assert out.splitlines()[1].split() == ["mute", "error", *["!b", "ok"] * 4, "error"]


def test_to_a_tool_that_only_looks_up_names_a_wrong_address_is_not_dead(tmp_path: Path) -> None:
    path = tool_file(
        tmp_path, "asking", PATIENT, run="run.network = { dns = 'exit' }\nrun", **{'port = "7"': "port = 0"}
    )
    (tmp_path / "client.py").write_text("import socket; print(socket.gethostbyname('a.test'))")
    status, out, _ = chaos(path)
    assert status == 0, out
    assert out.splitlines()[1].split() == ["asking", "error", "error", "error", "-", "error", "error"]


def test_a_tool_that_is_not_installed_is_not_tested_and_does_not_fail(tmp_path: Path) -> None:
    path = tool_file(tmp_path, "absent", PATIENT, summary="requires.no-such-program-here = {}\nsummary")
    status, out, err = chaos(path)
    assert (status, out) == (0, "") and "absent was not tested: no-such-program-here is not installed" in err


def test_a_missing_fixture_is_said_before_anything_runs(tmp_path: Path) -> None:
    path = tool_file(tmp_path, "naive")
    (tmp_path / "good.txt").unlink()
    status, _, err = chaos(path)
    assert status == 2 and "good.txt can't be read" in err


def test_the_same_seed_gives_the_same_garbage(tmp_path: Path) -> None:
    path = tool_file(tmp_path, "naive")
    reasons = [
        [each["reason"] for each in outcomes(path)[1] if (each["port"], each["rule"]) == ("garbage", "b")]
        for _ in range(2)
    ]
    assert reasons[0] == reasons[1] and len(reasons[0]) == 1


@pytest.mark.parametrize("options", [["--timeout", "soon"], ["--timeout", "0s"], ["-p", "nonsense=1"]])
def test_options_that_mean_nothing_are_refused(tmp_path: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "exitpin", "tools", "test", "--chaos", str(tool_file(tmp_path, "naive")), *options]
    assert subprocess.run(command, capture_output=True, timeout=TIMEOUT_S).returncode == 2


def test_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    marker = tmp_path / "began"
    path = tool_file(tmp_path, "slow", PATIENT, **{'"-c", "': f'"-c", "touch {marker}; sleep 60; '})
    with started([path], 60.0, "table") as process:
        deadline = time.monotonic() + TIMEOUT_S
        while not marker.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130 and "Traceback" not in err and out == ""


@pytest.mark.timeout(300)
def test_every_tool_of_ours_takes_dead_ports_for_what_they_are() -> None:
    status, out, err = chaos("@all", timeout_s=8.0, patience_s=270.0)
    assert status == 0, out + err
