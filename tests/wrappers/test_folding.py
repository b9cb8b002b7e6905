"""What capitals and blanks make no difference in: what a protocol compares so, and nothing else."""

import json
import os
import time
from functools import cache
from pathlib import Path

import pytest

from exitpin import tools_d
from exitpin.orchestrator.audit.agreement import Control, Controls
from exitpin.orchestrator.audit.facts import folded
from exitpin.orchestrator.audit.verdict import Observation, judge
from exitpin.orchestrator.cli.tools_words import lines_of
from exitpin.orchestrator.tool import FOLD_ALL as ALL
from exitpin.orchestrator.tool import Command, Condition, Extract, Rule, Status, Tool, Value
from exitpin.wrappers.extraction import Extraction, Harvest, extract, search
from exitpin.wrappers.tool_files import Catalogue, Layer
from exitpin.wrappers.tool_schema import ToolFileError, read_tool
from exitpin.wrappers.tool_trust import Trust

from .tool_tables import table

DEADLINE_S = 4.0
PATH = os.environ["PATH"]
HEADERS = (
    "Server: nginx",
    "Content-Type: text/html; charset=utf-8",
    "Content-Security-Policy: script-src 'self' https://a.test/Path",
    "Cross-Origin-Opener-Policy: same-origin",
    "Location: http://a.test/Path",
    "Strict-Transport-Security: max-age=9; includeSubDomains",
    "X-Frame-Options: DENY",
    "Set-Cookie: Session=1",
)


@cache
def ours(tool_id: str) -> Tool:
    return Catalogue([Layer(Path(tools_d.__file__).parent, is_ours=True)], Trust({}), Path("/")).entry(tool_id).usable()


def read(stdout: bytes, **how: object) -> Extraction:
    wanted = Extract("f", **how)  # type: ignore[arg-type]
    rules = (Rule(Status.SUSPECT, (Condition("f", "differs", True),)), Rule(Status.OK))
    return extract(Tool("t", "t", Command(("true",)), rules, extracts=(wanted,)), Harvest(stdout, facts=stdout))


def status(wanted: Tool, seen: Harvest, honest: Harvest) -> Status:
    controls = Controls(tuple(Control("exit", extract(wanted, honest).facts, 0.0) for _ in range(4)), quorum=2)
    observation = Observation(0, None, False, "", extract(wanted, seen).facts)
    return judge(wanted, observation, controls, {}, search).status


def answer(*headers: str) -> Harvest:
    head = "".join(f"{line}\r\n" for line in ("HTTP/1.1 200 OK", *headers, "")).encode()
    return Harvest(json.dumps({"http_code": 200}).encode(), artifacts={"headers": head})


def dig(name: str, *, address: str = "192.0.2.10") -> Harvest:
    head = ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 1\n"
    return Harvest(f"{head}www.a.test. 60 IN CNAME {name}\n{name} 60 IN A {address}\n".encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("X-Frame-Options:DENY", "x-frame-options:deny"),
        ("X-Frame-Options: \t DENY ", "x-frame-options:deny"),
        ("max-age=1 ;  preload , x", "max-age=1;preload,x"),
        ("a  B\tc", "a b c"),
        ("\u0130\u00c4\u212a \u00a0", "\u0130\u00c4\u212a \u00a0"),
        ("\udcff A", "\udcff a"),
        ("", ""),
    ],
)
def test_only_capitals_of_ascii_and_blanks_that_part_nothing_are_folded(text: str, expected: str) -> None:
    assert folded(text) == expected
    assert folded(expected) == expected


@pytest.mark.parametrize(
    ("stdout", "how", "expected"),
    [
        (b"Ab  C\n", {}, "ab c"),
        (b"Ab: C\nAB:C\n", {"how": "lines", "form": "set"}, ("ab:c",)),
        (b'["A", "a", "b"]', {"how": "json", "every": True, "form": "set"}, ("a", "b")),
        (b'{"a": "B"}', {"how": "json", "argument": "/a"}, "b"),
        (b"f=Ab\n", {"source": "facts"}, "ab"),
        (b"x=A x=a", {"how": "regex", "argument": "x=(.)", "every": True}, ("a", "a")),
        (b"Name:  Va Lue", {"fold": r"^\w+:[ \t]*"}, "name:Va Lue"),
    ],
)
def test_each_form_of_extraction_can_be_folded(stdout: bytes, how: dict[str, object], expected: Value) -> None:
    found = read(stdout, **{"fold": ALL, **how})
    assert (found.facts["f"], found.failure) == (expected, "")


def test_the_digest_of_a_match_is_one_of_what_is_folded() -> None:
    small, capital, plain = (
        read(stdout, how="regex", argument="x=(.)", form="sha256", fold=fold).facts["f"]
        for stdout, fold in ((b"x=a", ALL), (b"x=A", ALL), (b"x=A", ""))
    )
    assert small == capital != plain


def test_long_texts_are_folded_before_they_are_cut() -> None:
    small, capitals = (read(text * 5000, fold=ALL).facts["f"] for text in (b"a", b"A"))
    assert small == capitals
    assert small != read(b"a" * 5001, fold=ALL).facts["f"]


@pytest.mark.parametrize("line", ["\ta;" * 50_000, "a" + " " * 200_000, "A: " * 60_000, "x" * 200_000])
@pytest.mark.parametrize("fold", [ALL, r"(?i)^(?:x-frame-options):.*|^[\w-]+:[ \t]*"])
def test_hostile_texts_are_folded_in_no_time(fold: str, line: str) -> None:
    started = time.process_time()
    found = read(line.encode(), how="lines", fold=fold)
    assert time.process_time() - started < DEADLINE_S
    assert found.failure == ""


def test_a_pattern_that_takes_too_long_fails_the_extraction_once_for_all_texts() -> None:
    started = time.process_time()
    found = read((b"ab " * 4000 + b"!\n") * 20, how="lines", fold=r"(\S+\s+)*\d$")
    assert time.process_time() - started < DEADLINE_S
    assert (found.facts["f"], found.failure) == (None, "parse")
    assert "took longer than 0.5 s" in found.problems[0]


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("Server:", "server:"),
        ("X-Frame-Options: DENY", "X-Frame-Options:  DENY"),
        ("X-Frame-Options: DENY", "x-frame-options:deny"),
        ("max-age=9; includeSubDomains", "Max-Age=9;includesubdomains"),
        ("text/html; charset=utf-8", "text/html;charset=UTF-8"),
        ("Content-Security-Policy: ", "content-security-policy:"),
    ],
)
def test_a_front_end_that_spells_headers_otherwise_is_no_lie(there: str, here: str) -> None:
    text = "\n".join(HEADERS)
    assert there in text
    seen = text.replace(there, here).split("\n")
    assert status(ours("http-headers"), answer(*seen), answer(*HEADERS)) is Status.OK


@pytest.mark.parametrize(
    ("there", "here", "expected"),
    [
        ("a.test/Path\nCross", "a.test/path\nCross", Status.TAMPERED),
        (": same-origin", ": Same-Origin", Status.TAMPERED),
        ("X-Frame-Options: DENY", "X-Frame-Options: SAMEORIGIN", Status.TAMPERED),
        ("Location: http://a.test/Path", "Location: http://a.test/path", Status.SUSPECT),
        ("Server: nginx", "Server: Nginx", Status.SUSPECT),
        ("Session=", "session=", Status.TAMPERED),
    ],
)
def test_where_capitals_count_in_a_header_they_are_seen(there: str, here: str, expected: Status) -> None:
    text = "\n".join(HEADERS)
    assert there in text
    seen = text.replace(there, here).split("\n")
    assert status(ours("http-headers"), answer(*seen), answer(*HEADERS)) is expected


def test_a_name_in_other_letters_is_the_same_answer_of_a_resolver() -> None:
    honest = dig("edge.cdn.test.")
    assert status(ours("dns-path"), dig("edge.CDN.test."), honest) is Status.OK
    assert status(ours("dns-path"), dig("edge.evil.test."), honest) is Status.TAMPERED
    assert status(ours("dns-path"), dig("edge.cdn.test.", address="192.0.2.66"), honest) is Status.TAMPERED


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ("pem = 'X', fold = true", "is for texts, in which capitals"),
        ("regex = 'x', type = 'int', fold = true", "is for texts, in which capitals"),
        ("regex = 'x', as = 'size', fold = true", "is for texts, in which capitals"),
        ("as = 'sha256', fold = true", "is for texts, and this is a digest of bytes"),
        ("fold = ''", "is empty, and would match anything"),
        ("fold = '('", "is no regular expression"),
        ("fold = 3", "must be true, or a pattern of what to fold, not 3"),
    ],
)
def test_what_can_not_be_folded_is_told(how: str, problem: str) -> None:
    with pytest.raises(ToolFileError, match=problem) as caught:
        read_tool(table(f"extract.code = {{ {how} }}"), "probe.toml")
    assert caught.value.problems[0].startswith("probe.toml: extract.code.fold: ")


def test_what_is_folded_stands_in_what_a_tool_is_shown_as() -> None:
    lines = "\n".join(lines_of(ours("dns-path")))
    assert "answers: every match of" in lines
    assert "as set, capitals and blanks not counting" in lines
