"""What a shell is told at TAB: names of exits, tools and labs, and nothing that could harm it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from exitpin.orchestrator.cli.main import NAMES, main

from .known import kept_consensus, own_tools, running_lab

TOOLS_OF_TLS = ["tls-cert", "tls-downgrade"]
SLOW = {
    "argparse",
    "asyncio",
    "pydantic",
    "rich",
    "shtab",
    "stem",
    "sqlite3",
    "subprocess",
    "exitpin.orchestrator.loop",
}
EVIL = ["$(touch owned)", "a;touch owned", "a`touch owned`", "-rf", "..", "tab\tname", "line\nname", "esc\x1b[31m"]

Ask = Callable[..., list[str]]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Ask in a folder where nothing is known but what comes with exitpin; the lines of the answer."""
    monkeypatch.delenv("EXITPIN_LAB", raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "EXITPIN_LAB_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))

    def answer(*words: str) -> list[str]:
        assert main([NAMES, *words]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        return said.out.splitlines()

    return answer


def set_all(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def names(lines: list[str]) -> list[str]:
    return [line.partition("\t")[0] for line in lines]


def test_tools_are_named_with_their_question(ask: Ask) -> None:
    said = ask("tools", "tls")
    assert names(said) == TOOLS_OF_TLS
    assert said[0] == "tls-cert\tDoes this exit hand us the server's own certificate?"


def test_scripts_with_a_table_are_tools_and_others_are_not(ask: Ask) -> None:
    assert "redirects" in names(ask("tools", ""))
    assert "starttls" not in names(ask("tools", ""))


def test_after_an_at_sign_tags_are_named(ask: Ask) -> None:
    assert names(ask("tools", "@tl")) == ["@tls"]
    assert "@all" in names(ask("tools", "@"))


def test_a_tool_of_ones_own_replaces_one_of_that_name(ask: Ask, tmp_path: Path) -> None:
    own_tools(tmp_path, ["tls-cert"], "Mine?")
    assert ask("tools", "tls-c") == ["tls-cert\tMine?"]


def test_what_can_be_no_id_is_no_name_and_what_is_said_is_printable(ask: Ask, tmp_path: Path) -> None:
    own_tools(tmp_path, [*EVIL, "good"], "\x1b]0;owned\x07\tand $(touch owned)", '["fine", "$(touch owned)"]')
    said = ask("tools", "")
    assert "good" in names(said) and not set(names(said)) & set(EVIL)
    assert all(line.count("\t") <= 1 and line.replace("\t", "").isprintable() for line in said)
    assert "@fine" in names(ask("tools", "@")) and "touch" not in "".join(ask("tools", "@"))


def test_exits_of_a_running_lab_are_named(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, running_lab(tmp_path / "labs", "default", ["exit01", "exit02"]))
    said = ask("exits", "ex", "exitpin", "run", "--lab")
    assert said == ["exit01\tAB010000 203.0.113.1", "exit02\tAB020000 203.0.113.2"]
    assert names(ask("exits", "", "run", "--lab")) == ["all", "any", "exit01", "exit02"]
    assert ask("exits", "ex", "run") == []


@pytest.mark.parametrize("line", [("--lab", "--name", "mine"), ("--name=mine", "--lab")])
def test_the_lab_is_the_one_that_the_line_names(
    line: tuple[str, ...], ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, running_lab(tmp_path / "labs", "default", ["exit01"]))
    set_all(monkeypatch, running_lab(tmp_path / "labs", "mine", ["other"]))
    assert names(ask("exits", "", "run", *line))[2:] == ["other"]
    assert names(ask("labs", "")) == ["default", "mine"]


def test_exits_of_the_kept_consensus_are_named_by_what_is_theirs_alone(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, three = ("AB" * 20, "CD" * 20, "EF" * 20)
    relays = [
        ("Alone", one, "Exit Fast Running"), ("Unnamed", two, "Exit Running"), ("unnamed", three, "Exit Running"),
        ("Guarding", "12" * 20, "Fast Guard"), ("Bad", "34" * 20, "BadExit Exit Running"),
    ]  # fmt: skip
    set_all(monkeypatch, kept_consensus(tmp_path / "cache", relays))
    assert ask("exits", "", "run") == ["all\teach exit", "any\ta random one", "Alone\tABABABAB 192.0.2.1"]
    assert ask("exits", "cd", "run") == [f"cd{two[2:]}\tUnnamed 192.0.2.1"]
    assert names(ask("exit", "EFE", "results", "list")) == [three]
    assert ask("exits", "Al", "run", "--control", "/run/other") == []


def test_in_a_list_what_is_in_it_already_is_not_named_again(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, running_lab(tmp_path / "labs", "default", ["exit01", "exit02", "exit03"]))
    assert names(ask("exits", "exit02,ex", "run", "--lab")) == ["exit02,exit01", "exit02,exit03"]


@pytest.mark.parametrize(
    "words", [(), ("exits",), ("nothing", "x"), ("labs", ""), ("exits", "", "--lab", "--name", "/")]
)
def test_what_is_not_known_has_no_names_and_no_complaint(words: tuple[str, ...], ask: Ask) -> None:
    assert set(names(ask(*words))) <= {"all", "any"}


@pytest.mark.parametrize("kind", ["exits", "tools", "labs"])
def test_a_name_costs_no_more_than_it_has_to(kind: str, tmp_path: Path) -> None:
    """The modules that take long are not even imported: this is asked at each TAB."""
    code = (
        "import sys; from exitpin.orchestrator.cli.main import main; main(sys.argv[1:]); "
        "sys.stderr.write(' '.join(sys.modules))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, NAMES, kind, "", "run", "--lab"], capture_output=True, text=True, check=True,
        timeout=60, cwd=tmp_path,
    )  # fmt: skip
    assert not SLOW & set(said.stderr.split())
