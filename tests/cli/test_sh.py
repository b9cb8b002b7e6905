"""`exitpin sh`: which shell it is, and what is told of what a script gave."""

from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.cli.run_given import SHOWN_MAX, add_given, given_in_words
from exitpin.orchestrator.cli.sh import OF_BASH, SH_PROMPT, interpreter_of, shell_of
from exitpin.orchestrator.errors import OperatorError
from exitpin.wrappers.desk import Given


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ("echo", ["sh"]),
        ("", ["sh"]),
        ("#!", ["sh"]),
        ("#!/bin/bash", ["/bin/bash"]),
        ("#! /usr/bin/env -S bash -e", ["/usr/bin/env", "-S bash -e"]),
        ("#!/usr/bin/python3 -I ", ["/usr/bin/python3", "-I"]),
        ("#!" + "x" * 5000, ["x" * 254]),
    ],
)
def test_a_script_is_run_by_what_the_kernel_would_take(tmp_path: Path, first: str, words: list[str]) -> None:
    (tmp_path / "script").write_text(f"{first}\nexit\n")
    assert interpreter_of("script", f"{tmp_path}/script") == words


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 127), ("/", 126)])
def test_what_can_not_be_read_ends_as_in_a_shell(path: str, status: int) -> None:
    with pytest.raises(OperatorError) as caught:
        interpreter_of(path, path)
    assert caught.value.exit_status == status


@pytest.mark.parametrize("shell", ["/bin/bash", "/usr/bin/zsh", "/usr/bin/fish", ""])
def test_the_shell_to_type_in_is_bash_with_a_prompt_of_ours(tmp_path: Path, shell: str) -> None:
    (tmp_path / "bash").touch(0o755)
    environment = {"SHELL": shell, "PATH": str(tmp_path)}
    assert shell_of(environment) == (["bash", "--rcfile", str(OF_BASH), "-i"], {})
    assert OF_BASH.is_file()


@pytest.mark.parametrize(
    ("shell", "there", "name"), [("/bin/dash", "dash", "dash"), ("/bin/ksh", "sh", "sh"), ("", "sh", "sh")]
)
def test_a_plain_sh_stays_one_and_is_what_there_is_without_bash(
    tmp_path: Path, shell: str, there: str, name: str
) -> None:
    (tmp_path / there).touch(0o755)
    assert shell_of({"SHELL": shell, "PATH": str(tmp_path)}) == ([name, "-i"], {"PS1": SH_PROMPT})


def record() -> dict[str, Any]:
    return {"status": "ok", "failure": None, "evidence": []}


def test_the_record_has_what_was_given() -> None:
    told = record()
    add_given(told, Given({"a": "1"}, "", ("/e/run-1/page",)))
    evidence = [{"name": "evidence:page", "file": "/e/run-1/page"}]
    assert told == {"status": "ok", "failure": None, "facts": {"a": "1"}, "evidence": evidence}


def test_facts_that_can_not_be_read_are_a_failure_unless_there_is_a_graver_one() -> None:
    told, failed = record(), {**record(), "status": "error", "failure": {"kind": "circuit-lost"}}
    for each in (told, failed):
        add_given(each, Given({}, "the fact a is set twice"))
    assert (told["status"], told["failure"]["kind"], told["facts"]) == ("error", "parse", None)
    assert failed["failure"] == {"kind": "circuit-lost"}


@pytest.mark.parametrize(
    ("given", "sentences"),
    [
        (Given(), []),
        (Given({"verdict": "ok"}), ["it says ok (not confirmed: `exitpin audit` does that)"]),
        (
            Given({"verdict": "tampered", "reason": "x", "a": "1"}),
            ["it says tampered: x (not confirmed: `exitpin audit` does that)", "facts: a=1"],
        ),
        (Given({"a": "1", "b": ""}), ["facts: a=1, b="]),
        (Given({}, "", ("/e/a", "/e/b")), ["evidence: /e/a, /e/b"]),
        (Given({}, "the fact a is set twice"), ["parse: the fact a is set twice"]),
    ],
)
def test_what_was_given_is_told_in_sentences(given: Given, sentences: list[str]) -> None:
    assert list(given_in_words(given)) == sentences


def test_facts_without_end_fill_no_screen() -> None:
    (sentence,) = given_in_words(Given({"a": "x" * 4096, "b": "y"}))
    assert len(sentence) == len("facts: ") + SHOWN_MAX
