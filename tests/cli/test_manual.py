"""The manual: a page for each command, right in roff, made of the parsers; and its examples, which can be typed."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exitpin.orchestrator.cli import giving
from exitpin.orchestrator.cli.main import INSIDE, VERBS, _parser, whole_parser
from exitpin.orchestrator.cli.manual import commands, pages, write_pages
from exitpin.orchestrator.cli.manual_places import options_of
from exitpin.orchestrator.cli.manual_roff import body, filled
from exitpin.orchestrator.cli.manual_text import Code, Example, Item, Paragraph, read
from exitpin.orchestrator.cli.selectors import parse_destination
from exitpin.orchestrator.lab import state as lab_state
from exitpin.orchestrator.results.store import store_path
from exitpin.orchestrator.settings import config_files
from exitpin.wrappers.runtime import data_directory
from exitpin.wrappers.tool_files import load_catalogue

from .examples import calls, of_the_documents, of_the_help

PAGES = dict(pages("0.1.0", "2026-05-01"))
SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"]
OFFLINE = ("config", "tools", "completion")
PLACEHOLDERS = re.compile(r"\./|fpath|--chaos")  # the reader's own, or real processes: test_tools.py runs those


def sections(page: str) -> list[str]:
    return re.findall(r"(?m)^\.SH (.*)$", page)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("share") / "man" / "man1"
    write_pages(place, {"SOURCE_DATE_EPOCH": "1777636800"})
    yield place


def test_there_is_a_page_for_each_command(folder: Path) -> None:
    names = {"-".join(["exitpin", *path]) for path, _, _ in commands(whole_parser())}
    assert names >= {"exitpin", "exitpin-results-list", *(f"exitpin-{verb}" for verb in VERBS)}
    assert {path.stem for path in folder.iterdir()} == names | {f"exitpin-{verb}" for verb in INSIDE}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_its_sections_in_order(name: str) -> None:
    found = sections(PAGES[name])
    wanted = [one for one in SECTIONS if one != "OPTIONS" or name.removeprefix("exitpin-")[:-2] not in INSIDE]
    assert [one for one in found if one in wanted] == wanted
    assert set(found) - set(wanted) <= {"VERBS", "ENVIRONMENT", "FILES"}


def test_a_page_names_each_option_of_its_command() -> None:
    for path, parser, _ in commands(whole_parser()):
        page = PAGES[f"{'-'.join(['exitpin', *path])}.1"].replace("\\-", "-")
        assert [option for option in options_of(parser) if f"\\fB{option}\\fR" not in page] == [], path


@pytest.mark.parametrize("tool", [("groff", "-man", "-ww", "-z"), ("mandoc", "-T", "lint")])
def test_no_page_has_anything_that_a_formatter_warns_of(tool: tuple[str, ...], folder: Path) -> None:
    if shutil.which(tool[0]) is None:
        pytest.skip(f"{tool[0]} is not installed")
    for page in sorted(folder.iterdir()):
        said = subprocess.run([*tool, str(page)], capture_output=True, text=True, check=False, timeout=60)
        assert (said.stdout + said.stderr, said.returncode) == ("", 0)


def test_man_finds_a_page_and_whatis_its_line(folder: Path) -> None:
    if shutil.which("man") is None:
        pytest.skip("man is not installed")
    environment = {
        **os.environ,
        "MANPATH": str(folder.parent),
        "MANWIDTH": "80",
        "MANPAGER": "cat",
        "LC_ALL": "C.UTF-8",
    }
    said = subprocess.run(
        ["man", "exitpin-run"], env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    if "minimized" in said:
        pytest.skip("man is a stub here")
    assert "exitpin-run - run a command through one or more exits" in said
    assert "-e, --exit EXITS" in said and "exitpin run -e EXITS [OPTIONS] -- CMD ARG..." in said


def test_each_page_that_is_referred_to_is_there() -> None:
    for name, page in PAGES.items():
        for other in re.findall(r"exitpin[a-z-]*(?=\\fR\(1\)| \(1\))", page.replace("\\-", "-")):
            assert f"{other}.1" in PAGES, f"{name} refers to {other}"


def test_the_files_that_pages_name_are_those_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    home = {"HOME": "/home/u"}
    monkeypatch.setattr(os, "environ", home)
    monkeypatch.setattr(Path, "home", classmethod(lambda _: Path("/home/u")))
    places = [*config_files(home), store_path(home), data_directory()]
    text = PAGES["exitpin.1"].replace("\\(ti", "/home/u").replace("\\-", "-")
    assert [str(place) for place in places if f"\\fI{place}\\fR" not in text] == []
    assert f"\\fB{lab_state.ENV_NAME}\\fR" in text or lab_state.ENV_NAME in text


@pytest.mark.parametrize("line", [*of_the_help(), *of_the_documents()])
def test_an_example_can_be_typed(line: str) -> None:
    known = load_catalogue({}, "/").ids()
    found = list(calls(line))
    for words in found:
        if words[0] in giving.VERBS:
            continue
        args = _parser(words).parse_args(words)
        for text in getattr(args, "destinations", ()):
            parse_destination(text)
        for tool in getattr(args, "tools", None) or ():
            assert tool in known or tool[0] in "@." or "my-" in tool, tool
    assert found or line.split()[0] in ("mutt", "sendmail")


@pytest.mark.parametrize(
    "line",
    [
        one
        for one in of_the_help()
        if one.startswith(tuple(f"exitpin {verb}" for verb in OFFLINE)) and not PLACEHOLDERS.search(one)
    ],
)
def test_an_example_that_needs_no_network_is_right(line: str, tmp_path: Path) -> None:
    if "jq" in line and shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    (tmp_path / "exitpin").write_text(f'#!/bin/sh\nexec {sys.executable} -m exitpin "$@"\n')
    (tmp_path / "exitpin").chmod(0o755)
    for place in (".local/share/bash-completion/completions", ".config/fish/completions"):
        (tmp_path / place).mkdir(parents=True)
    environment = {"HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    said = subprocess.run(
        ["sh", "-ec", line], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert said.returncode == 0, said.stderr


def test_a_help_text_is_taken_apart_by_its_habits() -> None:
    told = read(
        "It does\nthis.\n\n  one    the first\n         of two\n  two    the\n\n           code = 1\n\n"
        "exit status, of one: the command's own; 2 misused (badly; very)\n                     3 not there\n"
        "Behind it.\n\n  as it is\n\nexamples:\n  exitpin x       what for\n  exitpin y | \\\n    z\n  exitpin w\n"
    )
    assert told.blocks == [
        Paragraph("It does this."),
        Item("one", (Paragraph("the first of two"),)),
        Item("two", (Paragraph("the"), Code(("code = 1",)))),
        Paragraph("Behind it."),
        Code(("as it is",)),
    ]
    assert told.statuses == [
        Paragraph("Of one:"), Paragraph("the command's own"), Item("2", (Paragraph("misused (badly; very)"),)),
        Item("3", (Paragraph("not there"),)),
    ]  # fmt: skip
    assert told.examples == [
        Example(("exitpin x",), "what for"), Example(("exitpin y | \\", "  z")), Example(("exitpin w",))
    ]  # fmt: skip


@pytest.mark.parametrize("text", [".so /etc/passwd", "'br", "\\fBnot bold\\fR", "a `.TH` b --option \\n(.x"])
def test_no_text_can_be_taken_for_a_request(text: str) -> None:
    for lines in (filled(text), list(body([Code((text,))]))):
        inner = [line for line in lines if line not in (".PP", ".nf", ".fi", ".RE", ".RS 4")]
        assert len(inner) == 1 and not inner[0].startswith((".", "'"))
        assert "\\fBnot bold" not in inner[0] and "\\n(" not in inner[0]
