"""Completion as the shells do it: each case is typed into bash and zsh on a terminal, and asked of fish."""

import argparse
import subprocess
from pathlib import Path

import pytest

from exitpin.orchestrator.cli.completion import SHELLS, takes
from exitpin.orchestrator.cli.main import INSIDE, VERBS, whole_parser
from exitpin.wrappers import shells
from exitpin.wrappers.shells import Takes

from .known import own_tools, running_lab
from .shells import Shell

pytestmark = pytest.mark.timeout(120)

NONE: list[str] = []
FILES = ["a-file", "sp ace;$x"]
EXITS = ["exit01", "exit02", "exit03", "fast"]
CASES = {
    "exitpin ": sorted([*VERBS, *INSIDE]),
    "exitpin re": ["replay", "report", "results"],
    "exitpin --vers": ["--version"],
    "exitpin lab ": ["change", "down", "exec", "status", "up"],
    "exitpin tools sh": ["show"],
    "exitpin run --conta": ["--contact", "--containment"],
    "exitpin run --containment gu": ["guard", "guard+netns"],
    "exitpin run --containment=gu": ["guard", "guard+netns"],
    "exitpin run --lab -e exit0": ["exit01", "exit02", "exit03"],
    "exitpin run --lab -e exit01,exit0": ["exit01,exit02", "exit01,exit03"],
    "exitpin run --lab --exit=exit0": ["exit01", "exit02", "exit03"],
    "exitpin exits --lab --exit f": ["fast"],
    "exitpin audit --lab tls-cert -e ": ["all", "any", *EXITS],
    "exitpin run --lab --wide --flag St": ["Stable"],
    "exitpin run --allow un": ["unix:"],
    "exitpin run --allow pi": ["pipe:"],
    "exitpin audit tls": ["tls-cert", "tls-downgrade"],
    "exitpin audit tls-cert dns-p": ["dns-path"],
    "exitpin audit @tl": ["@tls"],
    "exitpin audit ./a": ["./a-file"],
    "exitpin tools list @dn": ["@dns"],
    "exitpin results list --tool tls-c": ["tls-cert"],
    "exitpin results list --status tampered,sus": ["tampered,suspect"],
    "exitpin results export --format p": ["parquet"],
    "exitpin results bundle -o a-f": ["a-file"],
    "exitpin results bundle -o sp": ["sp ace;$x"],
    "exitpin run --lab -e nob": NONE,
    "exitpin run --sample ": NONE,
    "exitpin lab change re": ["rekey", "remove", "restore"],
    "exitpin lab up --profile ho": ["hostile"],
    "exitpin lab down --name la": ["laboratory"],
    "exitpin sh -e any a-f": ["a-file"],
    "exitpin sh -e any a-file a-f": ["a-file"],
    "exitpin doctor unsh": ["unshare"],
    "exitpin completion f": ["fish"],
    # What exitpin runs, with and without `--`, and its own options rather than ours.
    "exitpin run --lab -e exit01 -- unsh": ["unshare"],
    "exitpin run --lab -e exit01 unsh": ["unshare"],
    "exitpin lab exec unsh": ["unshare"],
    "exitpin run --lab -e exit01 -- cat a-f": ["a-file"],
}
KNOWS_OWN_TOOL = {
    "bash": "_command_offset() { COMPREPLY=(--own-option); }",
    "zsh": "autoload -Uz compinit && compinit -u -D\n_own() { compadd -- --own-option }\ncompdef _own own-tool",
    "fish": "complete -c own-tool -l own-option",
}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    lab = running_lab(tmp_path / "labs", "default", EXITS)
    running_lab(tmp_path / "labs", "laboratory", [])
    one = Shell(request.param, tmp_path, lab)
    for name in FILES:
        (one.work / name).touch()
    return one


def test_each_shell_completes_verbs_options_and_names(shell: Shell) -> None:
    found = shell.all_completed(list(CASES))
    as_typed = {line: [] if words == [line.split(" ")[-1]] else words for line, words in found.items()}
    assert as_typed == CASES


def test_the_options_of_a_command_are_its_own(shell: Shell) -> None:
    shell.first = KNOWS_OWN_TOOL[shell.name]
    lines = ("run --lab -e fast -- own-tool --", "run --lab -e fast own-tool --", "lab exec own-tool --o")
    found = shell.all_completed([f"exitpin {line}" for line in lines])
    assert found == {f"exitpin {line}": ["--own-option"] for line in lines}


def test_even_a_name_that_can_not_be_is_not_carried_out(shell: Shell) -> None:
    told = "good$(touch owned)\\ta `touch owned`\\ngood;touch owned\\n"
    (shell.folder / "programs" / "exitpin").write_text(f"#!/bin/sh\nprintf '{told}'\n")
    shell.all_completed(["exitpin tools show goo", "exitpin audit -e goo"])
    assert sorted(path.name for path in shell.work.iterdir()) == FILES


def test_no_name_is_ever_carried_out(shell: Shell) -> None:
    own_tools(shell.work, ["$(touch owned)", "`touch owned`", "a;touch owned", "good"], "$(touch owned)")
    (shell.work / "zz$(touch owned)").touch()
    one, *more = "exitpin tools show goo", "exitpin tools show ", "exitpin audit zz"
    assert shell.all_completed([one, *more])[one] == ["good"]
    shell.completed("exitpin run -e '$(touch owned)' --flag ")
    assert sorted(path.name for path in shell.work.iterdir()) == [*FILES, "tools.d", "zz$(touch owned)"]


@pytest.mark.parametrize("way", ["eval", "source", "fpath"])
def test_zsh_takes_the_script_in_each_way_that_people_install_it(way: str, tmp_path: Path) -> None:
    first = load = ""
    if way == "fpath":
        first = "mkdir functions; cp $SCRIPT functions/_exitpin; fpath=($PWD/functions $fpath)"
    else:
        load = 'eval "$(exitpin completion zsh)"' if way == "eval" else "source <(exitpin completion zsh)"
    one = Shell("zsh", tmp_path, {}, first, load)
    found = one.all_completed(["exitpin tools sh", "exitpin completion f"])
    assert list(found.values()) == [["show"], ["fish"]]


def test_bash_completes_commands_by_their_own_scripts(tmp_path: Path) -> None:
    library = Path("/usr/share/bash-completion/bash_completion")
    if not library.exists():
        pytest.skip("bash-completion is not installed")
    one = Shell("bash", tmp_path, {}, f". {library}")
    assert one.completed("exitpin run -e any -- exitpin completion f") == ["fish"]


@pytest.mark.parametrize("shell_name", SHELLS)
def test_a_script_that_is_not_looked_for_in_path_asks_the_program_that_wrote_it(shell_name: str) -> None:
    program = "/opt/a place/exitpin"
    text = shells.script(shell_name, whole_parser(), takes, {"flags": [], "statuses": []}, program)
    assert "_exitpin_program" in text and program in text


def test_it_is_said_of_each_argument_what_it_takes() -> None:
    said = {takes(action) for _, parser in shells.parsers(whole_parser()) for action in parser._actions}
    assert said == {None, *Takes}


def test_an_argument_of_which_nothing_is_said_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="BUG: nothing is said of what colour"):
        takes(argparse.ArgumentParser().add_argument("--colour", metavar="COLOUR"))


@pytest.mark.parametrize("shell_name", SHELLS)
def test_each_thing_to_take_is_a_function_of_each_shell(shell_name: str) -> None:
    text = (Path(shells.__file__).parent / f"completion.{shell_name}").read_text("utf-8")
    for each in Takes:
        assert f"_exitpin_{each}() {{" in text or f"function _exitpin_{each}" in text


def test_the_script_is_one_of_its_shell(shell: Shell) -> None:
    argv = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-config", "-n"]}[shell.name]
    subprocess.run([*argv, str(shell.folder / "script")], check=True, timeout=30)
