"""The manuals name what there is: keys and words of a tool's file, verbs and options of the commands around it."""

import argparse
import re
import shutil
import subprocess
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent, indent

import pytest

from exitpin.orchestrator.audit.said import STATUSES
from exitpin.orchestrator.audit.templates import BUILT_IN
from exitpin.orchestrator.cli import audit, giving, main, replay, report, results, run, sh, tools
from exitpin.orchestrator.tool import BASELINE_MODES, MATCHERS, PARAM_TYPES, RUN_SUBJECTS, Status
from exitpin.wrappers.tool_files import Catalogue, Layer
from exitpin.wrappers.tool_forms import Form, ToolForm
from exitpin.wrappers.tool_trust import Trust

ROOT = Path(__file__).resolve().parent.parent
TOOLS = (ROOT / "docs" / "tools.rst").read_text("utf-8")
TUTORIAL = (ROOT / "docs" / "tutorial.rst").read_text("utf-8")
TUTORS = sorted((ROOT / "docs" / "tutorial").glob("*.sh"))
SHELLS = {"#!/bin/sh": "sh", "#!/bin/bash": "bash"}
README = (ROOT / "README.rst").read_text("utf-8")
AUDITS = (ROOT / "docs" / "audits.rst").read_text("utf-8")
RESULTS = (ROOT / "docs" / "results.rst").read_text("utf-8")
WORDS = [*MATCHERS, *RUN_SUBJECTS, *PARAM_TYPES, *BASELINE_MODES, *map(str, Status), *BUILT_IN]
EXAMPLES = [
    (TOOLS, "toml", "page.toml"), (README, "toml", "page.toml"), (TOOLS, "sh", "greeting.sh"),
    (TOOLS, "sh", "no-scripts.sh"), (TOOLS, "bash", "page-tests.bats"),
    *((TUTORIAL, SHELLS[path.read_text().splitlines()[0]], path.name) for path in TUTORS),
]  # fmt: skip


def forms(annotation: object) -> Iterator[type[Form]]:
    """The tables that a type of pydantic's is made of."""
    if isinstance(annotation, type) and issubclass(annotation, Form):
        yield annotation
    for part in typing.get_args(annotation):
        yield from forms(part)


def tables(form: type[Form], seen: set[type[Form]]) -> set[type[Form]]:
    """The table and all that it holds."""
    if form not in seen:
        seen.add(form)
        for field in form.model_fields.values():
            for inner in forms(field.annotation):
                tables(inner, seen)
    return seen


def keys() -> set[str]:
    """Every key of a tool's file, as it is spelt there."""
    return {field.alias or name for form in tables(ToolForm, set()) for name, field in form.model_fields.items()}


def is_named(word: str, text: str) -> bool:
    """Whether the word stands in the text as code: alone, or in a dotted key."""
    code = "\n".join(re.findall(r"``([^`]+)``", text))
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", code) is not None


@pytest.mark.parametrize("key", sorted(keys()))
def test_the_manual_of_tools_names_each_key_of_the_schema(key: str) -> None:
    assert is_named(key, TOOLS)


@pytest.mark.parametrize("word", WORDS)
def test_the_manual_of_tools_names_each_word_that_has_a_meaning(word: str) -> None:
    assert is_named(word, TOOLS)


@pytest.mark.parametrize(("text", "kind", "name"), EXAMPLES)
def test_the_examples_of_the_manuals_are_right(text: str, kind: str, name: str, tmp_path: Path) -> None:
    blocks = re.findall(rf"(?m)^\.\. code(?:-block)?:: {kind}\n\n((?:   .*\n|\n)+)", text)
    file = tmp_path / name
    (block,) = [block for block in blocks if f'id = "{file.stem}"' in block]
    file.write_text(dedent(block), "utf-8")
    entry = Catalogue([Layer(tmp_path)], Trust({}), tmp_path).at(f"./{name}")
    assert entry.problems == []
    assert entry.warnings == []
    entry.usable()


@pytest.mark.parametrize("path", TUTORS, ids=lambda path: path.stem)
def test_the_tutorial_shows_each_of_its_scripts_as_it_is(path: Path) -> None:
    script = path.read_text("utf-8")
    kind = SHELLS[script.splitlines()[0]]
    assert f".. code:: {kind}\n\n{indent(script, '   ')}\n" in TUTORIAL
    assert len(script.splitlines()) == 10 if path.stem == "first" else len(script.splitlines()) <= 25


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing_in_the_scripts_of_the_tutorial() -> None:
    done = subprocess.run(["shellcheck", *TUTORS], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def parsers(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The parsers of a command and of its verbs."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, inner in action.choices.items():
                yield from parsers(inner, f"{name} {verb}")


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    subparsers = argparse.ArgumentParser("exitpin").add_subparsers()
    for module in (audit, sh, tools, results, report, replay):
        module.register(subparsers)
    for name, parser in subparsers.choices.items():
        yield from parsers(parser, name)


def test_the_manuals_name_each_verb() -> None:
    text = README + AUDITS + TOOLS + RESULTS
    named = [name for name, _ in commands() if f"exitpin {name}" in text or is_named(name.split()[-1], text)]
    assert named == [name for name, _ in commands()]


def test_the_manuals_name_each_option() -> None:
    text = README + AUDITS + TOOLS + RESULTS
    missing = []
    for name, parser in commands():
        for action in (one for one in parser._actions if one.help is not argparse.SUPPRESS):
            spellings = [each for each in action.option_strings if each not in ("-h", "--help")]
            if spellings and not any(re.search(rf"(?<![\w-]){each}(?![\w-])", text) for each in spellings):
                missing.append(f"{name} {spellings[-1]}")
    assert missing == []


@pytest.mark.parametrize("verb", giving.VERBS)
def test_the_manuals_and_the_help_name_what_scripts_give(verb: str) -> None:
    assert f"``exitpin {verb} " in TOOLS
    assert set(main.INSIDE) == set(giving.VERBS)
    assert f"exitpin {verb}" in README + sh.HELP


def test_the_manual_tells_each_exit_status_that_is_a_verdict() -> None:
    for status, code in STATUSES.items():
        assert re.search(rf"(?m)^{code} +``{status}`` ", TOOLS)
        assert str(code) in giving.HELP["verdict"]


def test_the_readme_lists_each_tool_with_its_question_and_its_parameters() -> None:
    folder = ROOT / "tools.d"
    catalogue = Catalogue([Layer(folder, is_ours=True)], Trust({}), ROOT)
    rows = re.search(r"(?ms)^tool  +parameters.*?^=+.*?^=+", README)
    assert rows is not None
    told = re.sub(r"\s+", " ", rows[0])
    for tool_id in catalogue.ids():
        tool = catalogue.tool(tool_id)
        listed = re.search(rf"``{tool_id}`` (.*?)(?= ``|$| =)", told)
        assert listed is not None, tool_id
        assert all(param.name in listed[1] for param in tool.params), tool_id
        assert tool.summary in listed[1], tool_id


def test_what_an_interrupt_makes_the_status_of_is_told_for_each_verb() -> None:
    """test_interrupts.py has it from a run: 128 and the signal's number, whatever the commands returned."""
    tables = [one for one in README.split("\n\n") if one.startswith("==")]
    of_audit, of_run = (next(one for one in tables if name in one) for name in ("of ``audit``", "of ``run``"))
    assert "130 " in of_audit and "interrupted" in of_audit
    for told in (of_run, run.EPILOG):
        assert "128+N" in told and "interrupted" in told


def test_what_the_manuals_show_of_toml_is_toml() -> None:
    for text in (README, TOOLS):
        for block in re.findall(r"(?m)^\.\. code(?:-block)?:: toml\n\n((?:   .*\n|\n)+)", text):
            tomllib.loads(dedent(block))


def test_the_map_of_reports_has_a_line_for_each_module() -> None:
    folder = ROOT / "orchestrator" / "report"
    told = re.findall(r"(?m)^(\w+\.py)  ", (folder / "__init__.py").read_text("utf-8"))
    assert sorted(told) == sorted(path.name for path in folder.glob("*.py") if path.stem != "__init__")
