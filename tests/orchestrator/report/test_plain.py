"""Plain text of 72 columns: nothing that others wrote begins a line, ends the head, or makes a line long."""

import shlex

import pytest

from exitpin.orchestrator.report.plain import (
    WIDTH,
    ascii_text,
    command,
    cut,
    header,
    paragraph,
    quotation,
    rows,
    section,
)

from .hostile import TEXT


@pytest.mark.parametrize("text", [TEXT, "x" * 500, "a " * 200, "\n\n", "", "\tx\r\ny"])
def test_no_line_is_longer_than_72_columns_or_holds_what_a_terminal_obeys(text: str) -> None:
    lines = [*paragraph(text), *paragraph(text, "    "), *quotation(text), *rows([("label", text)]), cut(text)]
    lines += [*header("Subject", text), *quotation(text, "+ ", "      ", 3)]
    assert all(len(line) <= WIDTH and line.isascii() and line.isprintable() for line in lines)


def test_each_line_of_a_quotation_is_behind_its_mark_and_there_are_few() -> None:
    lines = quotation(f"{TEXT}\nSubject: x\n.\n" * 50, lines_max=6)
    assert len(lines) == 6
    assert all(line.startswith("  >") for line in lines)
    assert lines[-1].startswith("  > ... (")


def test_a_value_makes_no_second_header() -> None:
    lines = list(header("Subject", "exit\r\nBcc: all@example.org\n\nbody"))
    assert lines == ["Subject: exit\\r\\nBcc: all@example.org\\n\\nbody"]
    folded = list(header("Subject", "word " * 40))
    assert all(line.startswith(" ") for line in folded[1:])


@pytest.mark.parametrize(
    "words",
    [
        ["curl", "-w", "%{json}", "http://a.example/$x'\"`"],
        ["tor", "--ExitNodes", "A" * 40, "--StrictNodes", "1", "--DataDirectory", "./a b"],
        ["sh", "-c", "x" * 100, "y"],
    ],
)
def test_a_command_line_is_one_for_a_shell_and_its_lines_break_between_words(words: list[str]) -> None:
    lines = command(words, end="</dev/null")
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert shlex.split("\n".join(lines).replace("\\\n", " ")) == [*words, "</dev/null"]
    assert all(len(line) <= WIDTH or len(line.split()) <= 3 for line in lines)


def test_an_option_stays_with_its_value() -> None:
    lines = command(["program", *(word for n in range(9) for word in (f"--option{n}", f"value{n}"))])
    assert len(lines) > 1
    assert all(f"--option{n} value{n}" in "\n".join(lines) for n in range(9))


def test_a_table_leaves_out_what_is_not_known_and_a_section_too() -> None:
    assert rows([("a", "1"), ("b", ""), ("c", "2")]) == ["  a            1", "  c            2"]
    assert section("TITLE", [], []) == []
    assert section("TITLE", ["x"], [], ["y"]) == ["TITLE", "-----", "", "x", "", "y", ""]


def test_what_is_not_ascii_is_shown_as_escapes() -> None:
    assert ascii_text("ä\u202e\ud800\t\x1b") == "\\xe4\\u202e\\ud800\\t\\x1b"
