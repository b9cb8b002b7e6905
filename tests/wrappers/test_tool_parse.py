"""The files of tools that judge for themselves (`run.parse`): what they become, and what is said of wrong ones."""

import pytest

from exitpin.orchestrator.audit.said import EXTRACTS, RULES
from exitpin.orchestrator.cli.tools_words import lines_of
from exitpin.wrappers.tool_schema import ToolFileError, read_tool

from .tool_tables import table


@pytest.mark.parametrize("parse", ["status", "tap"])
def test_a_tool_that_judges_for_itself_has_the_rules_of_its_form(parse: str) -> None:
    tool, warnings = read_tool(table(f"run.parse = '{parse}'", without="verdict"), "probe.toml")
    assert (tool.command.parse, tool.verdict, warnings) == (parse, RULES[parse], [])
    assert tool.extracts[:2] == EXTRACTS[parse]
    assert {extract.name for extract in tool.extracts[2:]} == {"code", "links", "chain"}
    assert "otherwise nothing: error of the tool" in "\n".join(lines_of(tool))


@pytest.mark.parametrize(
    ("toml", "without", "answer"),
    [
        ("run.parse = 'exit'", "", 'run.parse: "exit" is not valid; valid are status, tap'),
        ("run.parse = 'status'", "", "verdict: is for what does not judge for itself; leave it out, or run.parse"),
        ("run.parse = 'tap'", "", "verdict: is for what does not judge for itself; leave it out, or run.parse"),
        ("", "verdict", "verdict: is missing; write e.g. verdict = [{"),
        ("verdict = []", "", "verdict: is empty"),
        (
            "run.parse = 'status'\nextract.verdict = { from = 'facts' }", "verdict",
            'extract.verdict: is read by run.parse = "status" already; take another name',
        ),
        (
            "run.parse = 'tap'\nextract.passed = { regex = 'ok' }", "verdict",
            'extract.passed: is read by run.parse = "tap" already; take another name',
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_what_to_write_instead(toml: str, without: str, answer: str) -> None:
    with pytest.raises(ToolFileError) as caught:
        read_tool(table(toml, without=without), "probe.toml")
    (problem,) = caught.value.problems
    assert problem.startswith(f"probe.toml: {answer}")


def test_what_a_script_says_and_nobody_reads_is_told() -> None:
    with pytest.raises(ToolFileError, match=r"run.parse: nobody reads what the script says by `exitpin verdict`"):
        read_tool(table(), "probe.sh", script="[ -s x ] || exitpin verdict tampered 'no x'\n")
    read_tool(table(), "probe.sh", script="# as `exitpin verdict` does\n")
