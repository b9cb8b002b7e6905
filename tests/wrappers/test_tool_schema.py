"""A tool's file: what it becomes, and what is said of each way to get it wrong: the file, the key, the remedy."""

import tomllib

import pytest

from exitpin.orchestrator.errors import EXIT_USAGE
from exitpin.orchestrator.tool import Condition, Extract, Fixture, Limits, Param, Status
from exitpin.wrappers.tool_schema import ToolFileError, read_tool
from exitpin.wrappers.tool_skeleton import skeleton
from exitpin.wrappers.tool_tables import script_block

from .tool_tables import table
from .wrong_tools import ERRORS, WARNINGS


def problems(more: str, without: str = "") -> list[str]:
    with pytest.raises(ToolFileError) as caught:
        read_tool(table(more, without=without), "tools.d/probe.toml")
    assert caught.value.exit_status == EXIT_USAGE
    assert str(caught.value).splitlines() == caught.value.problems
    return caught.value.problems


@pytest.mark.parametrize(("more", "without", "told"), ERRORS, ids=[told[:50] for *_, told in ERRORS])
def test_each_mistake_is_told_with_file_key_and_remedy(more: str, without: str, told: str) -> None:
    found = problems(more, without)
    assert all(line.startswith("tools.d/probe.toml: ") for line in found)
    assert any(told in line for line in found), "\n".join(found)


def test_a_version_from_the_future_is_told_before_anything_else() -> None:
    assert problems('schema = "exitpin.tool/2"\nnew_key = 3\nid = 4') == [
        'tools.d/probe.toml: schema: "exitpin.tool/2" is of a later version of exitpin; this one reads exitpin.tool/1:'
        " upgrade exitpin"
    ]


def test_all_mistakes_of_a_file_are_told_at_once_those_of_form_and_those_of_meaning() -> None:
    found = problems(
        'severity = "worst"\nkolour = 1\ndestination = [{ url = "{{ulr}}" }]\nredact = ["("]\n'
        "verdict = [{ status = 'broken', when = [{ field = 'kode', is = 1, regex = 'x' }] }, { status = 'ok' }]"
    )
    assert [line.split(": ")[1] for line in found] == [
        "severity",
        "verdict[0].when[0].regex",
        "kolour",
        "redact[0]",
    ]  # with a table lost, nobody can say which names it held
    found = problems('severity = "worst"\nredact = ["("]\ndestination = [{ url = "{{ulr}}", port = [1] }]')
    assert [line.split(": ")[1] for line in found] == ["severity", "destination[0].port", "redact[0]"]


def test_a_problem_is_one_line_that_no_terminal_obeys() -> None:
    more = 'severity = "\\u001b[31m\\nx"\n"\\u001b[8m" = 1\n'
    more += 'verdict = [{ status = "ok", when = [{ field = "a\\u009b", is = 1 }] }]'
    assert all(line.isprintable() for line in problems(more))


def test_one_mistake_is_told_once() -> None:
    assert len(problems("extract.code = { from = 'stdout', regexp = '(x)', type = 'int' }")) == 1
    assert len(problems("params = 3")) == 1
    assert len(problems("verdict = 3")) == 1
    assert len(problems("run = 'curl'")) == 1
    assert len(problems("extract = []")) == 1


@pytest.mark.parametrize(("more", "without", "told"), WARNINGS, ids=[told[:50] for *_, told in WARNINGS])
def test_what_is_probably_not_meant_is_a_warning(more: str, without: str, told: str) -> None:
    _, warnings = read_tool(table(more, without=without), "probe.toml")
    assert any(line.startswith(f"probe.toml: {told}") for line in warnings), warnings


def test_a_file_without_faults_has_no_warnings() -> None:
    tool, warnings = read_tool(table(), "/etc/exitpin/tools.d/probe.toml", digest="d")
    assert warnings == []
    assert (tool.id, tool.path, tool.script, tool.digest) == ("probe", "/etc/exitpin/tools.d/probe.toml", "", "d")


def test_values_are_read_as_they_are_meant() -> None:
    tool, _ = read_tool(
        table(
            "run.timeout = '2m'\nrun.kill_after = 1.5\nrun.cwd = '{{artifacts}}'\nrun.network = { dns = 'exit' }\n"
            "run.limits = { stdout = '1MiB', memory = 'unlimited', cpu = '500ms', procs = 'unlimited' }\n"
            "params.ports = { type = 'port', list = true, default = [80, 443], lab = 80, help = 'which' }\n"
            "baseline = { mode = 'direct+exits', exits = 1, max_age = '15m' }\nselect = 'any'\n"
            "confirm = { statuses = ['tampered'] }\nkeep = { 'artifact:body' = 'always' }"
        ),
        "probe.toml",
    )
    command = tool.command
    assert (command.timeout_s, command.kill_after_s, command.cwd, command.resolve) == (
        120.0,
        1.5,
        "{{artifacts}}",
        "exit",
    )
    assert command.limits == Limits(1 << 20, 64 << 10, 2 << 20, None, 0.5, None)
    assert tool.param("ports") == Param("ports", "port", "80,443", "80", is_list=True, help="which")
    assert (tool.baseline.max_age_s, tool.select, tool.keep) == (900.0, "any", (("artifact:body", "always"),))
    assert tool.confirm.statuses == (Status.TAMPERED,)


def test_a_pin_is_one_control_and_is_agreed_upon() -> None:
    pinned = "baseline = { mode = 'pinned', pins = { code = 200 } }\nverdict = [{ status = 'ok' }]"
    tool, _ = read_tool(table(pinned), "probe.toml")
    assert (tool.baseline.quorum, tool.baseline.pins) == (1, (("code", "200"),))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ field = 'chain.0', differs = true }", Condition("chain.0", "differs", True)),
        ("{ field = 'chain.count', gt = 1 }", Condition("chain.count", "gt", 1)),
        ("{ field = 'code', not = 0 }", Condition("code", "not", 0)),
        ("{ field = 'code', in = [200, 301] }", Condition("code", "in", ("200", "301"))),
        ("{ field = 'links', is = ['a', 'b'] }", Condition("links", "is", ("a", "b"))),
        ("{ field = 'code', in_cidr = '10.0.0.0/8' }", Condition("code", "in_cidr", ("10.0.0.0/8",))),
        ("{ field = 'code', is = '{{url}}' }", Condition("code", "is", "{{url}}")),
        ("{ exit_code = [5, 6] }", Condition("exit_code", "in", ("5", "6"))),
        ("{ exit_code = 5 }", Condition("exit_code", "is", 5)),
        ("{ field = 'exit_code', not = 0 }", Condition("exit_code", "not", 0)),
        ("{ signal = 9 }", Condition("signal", "is", 9)),
        ("{ timed_out = true }", Condition("timed_out", "is", True)),
        ("{ failure = ['dns'] }", Condition("failure", "in", ("dns",))),
        ("{ failure = 'refused' }", Condition("failure", "is", "refused")),
    ],
)
def test_conditions_have_one_subject_one_matcher_and_one_operand(text: str, expected: Condition) -> None:
    rule = f"verdict = [{{ status = 'broken', when = [{text}], reason = 'x' }}, {{ status = 'ok' }}]"
    tool, _ = read_tool(table(rule), "probe.toml")
    assert tool.verdict[0].when == (expected,)
    assert tool.verdict[1].when == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", Extract("x")),
        ("{ from = 'stderr', regex = 'a', all = true }", Extract("x", "stderr", "regex", "a", every=True)),
        ("{ json = '' }", Extract("x", how="json")),
        ("{ json = '/a/0', type = 'bool' }", Extract("x", how="json", argument="/a/0", type="bool")),
        ("{ pem = 'X', as = 'sha256' }", Extract("x", how="pem", argument="X", form="sha256", every=True)),
        ("{ lines = true, as = 'set' }", Extract("x", how="lines", form="set", every=True)),
        ("{ from = 'artifact:b', as = 'size' }", Extract("x", "artifact:b", form="size")),
        ("{ from = 'facts' }", Extract("x", "facts")),
        ("{ filter = ['jq', '.a'] }", Extract("x", filter=("jq", ".a"))),
        ("{ fold = true }", Extract("x", fold="(?s).+")),
        ("{ fold = false }", Extract("x")),
        ("{ lines = true, fold = '^a:' }", Extract("x", how="lines", every=True, fold="^a:")),
    ],
)
def test_extractions_name_their_source_and_form(text: str, expected: Extract) -> None:
    tool, _ = read_tool(table(f"extract.x = {text}"), "probe.toml")
    assert tool.extracts[-1] == expected


def test_a_control_of_a_test_is_a_file_or_all_that_it_left() -> None:
    tool, _ = read_tool(
        table(
            "test = [{ stdout = 'a.txt', control = 'b.txt', expect = 'ok', params = { url = 'http://x.example/' } },\n"
            "{ exit_code = 7, expect = 'error', control = { exit_code = 1, artifacts = { body = 'c' }, facts = 'd' } }]"
        ),
        "probe.toml",
    )
    assert tool.fixtures == (
        Fixture(Status.OK, "a.txt", control="b.txt", params=(("url", "http://x.example/"),)),
        Fixture(
            Status.ERROR,
            exit_code=7,
            control_exit_code=1,
            control_artifacts=(("body", "c"),),
            control_facts="d",
        ),
    )


SCRIPT = """#!/bin/sh
# {{note}} ignored=1
printf 'location=%s' "$x" >> "$EXITPIN_FACTS"
"""


def test_what_a_script_writes_is_a_fact_and_what_it_does_not_is_none() -> None:
    rules = (
        "extract = {}\nrun.argv = ['{{script}}']\nverdict = [{ status = 'error', when = [{ field = 'location',"
        " absent = true }], reason = '{{location}}' }, { status = 'ok' }]"
    )
    whole = {**table(rules), "extract": {}}
    tool, _ = read_tool(whole, "scripts/probe.sh", script=SCRIPT)
    assert tool.extracts == (Extract("location", "facts"),)
    assert tool.script == "scripts/probe.sh"
    whole["verdict"][0]["when"][0]["field"] = "ignored"
    with pytest.raises(ToolFileError, match='"ignored" is not extracted'):
        read_tool(whole, "scripts/probe.sh", script=SCRIPT)


@pytest.mark.parametrize("is_script", [False, True])
def test_what_new_writes_is_right_and_without_warnings(is_script: bool) -> None:
    text = skeleton("my-check", is_script=is_script)
    block = script_block(text.encode()) if is_script else text
    assert block is not None
    tool, warnings = read_tool(tomllib.loads(block), "my-check.sh", script=text if is_script else None)
    assert (tool.id, warnings) == ("my-check", [])


def test_a_problem_is_told_of_the_file_that_its_key_came_from() -> None:
    with pytest.raises(ToolFileError) as caught:
        read_tool(
            table("run.timeout = 'x'\nredact = ['(']"),
            "probe.toml",
            origins={("run", "timeout"): "probe.toml.d/slow.toml", ("id",): "probe.toml"},
        )
    assert [line.split(": ")[0] for line in caught.value.problems] == ["probe.toml.d/slow.toml", "probe.toml"]
