"""The command that a record gives for seeing it again, as people copy it."""

import shlex

import pytest

from exitpin.orchestrator.results.commands import blanks, command_shown, tool_file

PATH = "exitpin audit '/home/me/my tools/sec.toml' -e E1 --lab --name mine -p host=x -p 'token=(secret)'"


def test_a_secret_is_a_blank_that_no_shell_needs_quoted() -> None:
    words = command_shown({"reproduce": "exitpin audit sec -e E1 -p 'token=(secret)' -p host=x"})
    assert words == ["exitpin", "audit", "sec", "-e", "E1", "-p", "token=...", "-p", "host=x"]
    assert blanks(words) == ["-p", "token=..."]


def test_a_secret_within_a_value_is_a_blank_too() -> None:
    words = command_shown({"reproduce": "exitpin audit sec -e E1 -p 'url=http://me:(secret)@x/'"})
    assert words[-1] == "url=http://me:...@x/" and blanks(words) == ["-p", "url=http://me:...@x/"]


def test_whoever_named_a_file_by_its_path_is_shown_that_path() -> None:
    assert command_shown({"reproduce": PATH})[2] == "/home/me/my tools/sec.toml"


def test_others_are_shown_a_file_that_lies_where_they_type() -> None:
    words = command_shown({"reproduce": PATH}, to_others=True)
    assert words[:3] == ["exitpin", "audit", "./sec.toml"] and words[-1] == "token=..."
    assert tool_file(words) == "sec.toml"
    words = command_shown({"reproduce": "exitpin audit tls-cert -e E1"}, to_others=True)
    assert (words[2], tool_file(words), blanks(words)) == ("tls-cert", "", [])


def test_a_command_of_another_verb_is_what_it_was() -> None:
    words = ["exitpin", "run", "-e", "E1", "--", "/home/me/tool", "(secret)"]
    assert command_shown({"reproduce": shlex.join(words)}, to_others=True) == words


@pytest.mark.parametrize("line", [None, "", "exitpin audit 'x", 7, [], "exitpin audit", "exitpin audit x -p"])
def test_what_is_no_command_is_no_failure(line: object) -> None:
    words = command_shown({"reproduce": line}, to_others=True)
    assert tool_file(words) == "" and blanks(words) == []
