"""The tools that come with exitpin: each is right, has a stored answer for all that it can say, and accuses nobody for
what a dead port, a target with two answers or one with a new answer for everybody look like."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from exitpin import tools_d
from exitpin.orchestrator.audit.agreement import Control, Controls
from exitpin.orchestrator.audit.params import bind
from exitpin.orchestrator.audit.verdict import Judgement, Observation, judge
from exitpin.orchestrator.cli.tools_fixtures import EXIT, NONCE, Tried, report_fixtures, try_fixtures
from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.tool import Status, Tool, Value
from exitpin.wrappers.extraction import Harvest, extract, search
from exitpin.wrappers.redaction import redactor
from exitpin.wrappers.tool_files import Catalogue, Entry, Layer
from exitpin.wrappers.tool_trust import Trust

FOLDER = Path(tools_d.__file__).parent
PATH = os.environ.get("PATH", os.defpath)
IDS = sorted(path.stem for path in FOLDER.glob("*.toml")) + [
    path.stem for path in sorted(FOLDER.glob("scripts/*.sh")) if "# /// exitpin" in path.read_text("utf-8")
]
VALUES = {**EXIT, "host": "web.test", "name": "web.test", "canary": "web.test", "zone": "nx.test", "nonce": NONCE}

DEAD_CODES = {"curl": (5, 6, 7, 28, 35, 52, 56, 97), "dig": (9, 10), "getent": (2,), "ssh-keyscan": (0, 1)}
GARBAGE = (b"", b"\x00\xff" * 400, b"SSH-2.0-x\r\n", b"HTTP/1.0 200 OK\r\n\r\n", b"220 x\r\n" * 50)


@cache
def entry(tool_id: str) -> Entry:
    return Catalogue([Layer(FOLDER, is_ours=True)], Trust({}), Path("/")).entry(tool_id)


def tool(tool_id: str) -> Tool:
    return entry(tool_id).usable()


@cache
def tried(tool_id: str) -> Sequence[Tried]:
    """What it says of its stored answers."""
    return tuple(try_fixtures(tool(tool_id), PATH))


def controls(*facts: Mapping[str, Value]) -> Controls:
    return Controls(tuple(Control("exit", each, 0.0) for each in facts), quorum=2)


def healthy(wanted: Tool) -> Mapping[str, Value]:
    """The facts of the tool's first fixture, which is an `ok` one."""
    first = next(fixture for fixture in wanted.fixtures if fixture.expect is Status.OK)

    def content(name: str) -> bytes:
        return (Path(wanted.path).parent / name).read_bytes() if name else b""

    artifacts = {name: content(file) for name, file in first.artifacts}
    return extract(wanted, Harvest(content(first.stdout), b"", artifacts, content(first.facts)), path=PATH).facts


def said(wanted: Tool, facts: Mapping[str, Value], against: Controls, code: int = 0, failure: str = "") -> Judgement:
    return judge(wanted, Observation(code, None, False, failure, facts), against, VALUES, search)


def test_there_are_at_least_fourteen_tools() -> None:
    assert len(IDS) >= 14


@pytest.mark.parametrize("tool_id", IDS)
def test_a_tool_is_right_and_gives_no_cause_for_a_warning(tool_id: str) -> None:
    assert entry(tool_id).problems == []
    assert entry(tool_id).warnings == []


@pytest.mark.parametrize("tool_id", IDS)
def test_a_tool_says_of_its_stored_answers_what_it_should(tool_id: str) -> None:
    assert [one.line() for one in tried(tool_id) if not one.is_expected] == []


@pytest.mark.parametrize("tool_id", IDS)
def test_a_tool_has_a_stored_answer_for_each_status_that_its_rules_name(tool_id: str) -> None:
    named = {rule.status for rule in tool(tool_id).verdict}
    assert Status.OK in named
    assert named & {Status.TAMPERED, Status.SUSPECT, Status.BROKEN}
    assert named - {fixture.expect for fixture in tool(tool_id).fixtures} == set()


@pytest.mark.parametrize("tool_id", IDS)
def test_each_rule_of_a_tool_is_reached_by_a_stored_answer_or_is_an_error(tool_id: str) -> None:
    reached = {one.judgement.rule for one in tried(tool_id)}
    rules = enumerate(tool(tool_id).verdict)
    assert [rule.reason for place, rule in rules if place not in reached and rule.status is not Status.ERROR] == []


@pytest.mark.parametrize("tool_id", IDS)
def test_every_stored_answer_is_used(tool_id: str) -> None:
    folder = Path(tool(tool_id).path).parent / "fixtures" / tool_id
    used = {
        Path(tool(each).path).parent / file
        for each in IDS
        for one in tool(each).fixtures
        for file in (one.stdout, one.stderr, one.facts, one.control, one.control_facts, *dict(one.artifacts).values(),
                     *dict(one.control_artifacts).values())
        if file
    }  # fmt: skip
    assert sorted(path for path in folder.iterdir() if path not in used) == []


@pytest.mark.parametrize("tool_id", IDS)
def test_a_dead_or_garbled_answer_accuses_nobody_of_a_lie(tool_id: str) -> None:
    wanted = tool(tool_id)
    well = controls(healthy(wanted), healthy(wanted))
    program = wanted.command.argv[0]
    for code in (*DEAD_CODES.get(program, ()), 1, 3, 124):
        for garbage in GARBAGE:
            facts = extract(wanted, Harvest(garbage, garbage), path=PATH).facts
            judgement = said(wanted, facts, well, code, "refused")
            assert judgement.status in (Status.ERROR, Status.BROKEN), (code, garbage[:20], judgement)


@pytest.mark.parametrize("tool_id", IDS)
def test_what_is_dead_for_all_is_an_error(tool_id: str) -> None:
    wanted = tool(tool_id)
    facts = extract(wanted, Harvest(), path=PATH).facts
    assert said(wanted, facts, controls(facts, facts), 1, "refused").status is Status.ERROR


@pytest.mark.parametrize("seen", ["one", "two"])
def test_a_certificate_in_rotation_is_never_tampering(seen: str) -> None:
    """Half of the controls see one, half the other; or only one of them was seen so far."""
    wanted = tool("tls-cert")
    one = healthy(wanted)
    two = {**one, "chain": ("other",), "issuer": "CN = another"}
    mine = one if seen == "one" else two
    assert said(wanted, mine, controls(one, two, one, two)).status is Status.OK
    assert said(wanted, mine, controls(one, one, two)).status in (Status.OK, Status.SUSPECT)
    assert said(wanted, two, controls(one, one)).status is Status.SUSPECT


def test_a_page_that_is_another_for_everybody_is_judged_by_what_is_not() -> None:
    wanted = tool("http-body")
    facts = [{**healthy(wanted), "body": str(number)} for number in range(4)]
    assert said(wanted, {**healthy(wanted), "body": "mine"}, controls(*facts)).status is Status.OK
    injected = {**healthy(wanted), "body": "mine", "scripts": ("http://evil.test/x.js",)}
    assert said(wanted, injected, controls(*facts)).status is Status.TAMPERED


def test_a_page_with_new_scripts_for_everybody_accuses_nobody_of_a_script() -> None:
    wanted = tool("http-body")
    facts = [{**healthy(wanted), "body": str(n), "scripts": (f"http://cdn{n}.test/",)} for n in range(4)]
    mine = {**healthy(wanted), "body": "mine", "scripts": ("http://cdn9.test/",)}
    assert said(wanted, mine, controls(*facts)).status is Status.OK


@pytest.mark.parametrize(
    "line",
    [
        "Date: Mon, 01 Jan 2035 00:00:00 GMT",
        "Age: 17",
        'ETag: "another"',
        "X-Request-Id: 99",
        "CF-Ray: 1-AMS",
        "X-Cache: HIT",
        "Set-Cookie: session=another; Path=/",
    ],
)
def test_headers_that_vary_by_nature_accuse_nobody(line: str) -> None:
    wanted = tool("http-headers")
    folder = Path(wanted.path).parent / "fixtures" / "http-headers"
    headers = (folder / "honest.headers").read_bytes().rstrip(b"\r\n") + b"\r\n" + line.encode() + b"\r\n\r\n"
    harvest = Harvest((folder / "honest.json").read_bytes(), b"", {"headers": headers})
    facts = extract(wanted, harvest, path=PATH).facts
    assert said(wanted, facts, controls(healthy(wanted), healthy(wanted))).status is Status.OK


def test_no_tool_has_a_destination_on_the_real_network_by_default() -> None:
    """But the zone that is made for examples."""
    defaults = {p.default for i in IDS for p in tool(i).params if p.type in ("host", "url", "ip")}
    assert defaults <= {None, "example.com"}


def test_a_fixture_that_is_judged_otherwise_is_told_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = tool("ssh-hostkey")
    wrong = replace(wanted, fixtures=(replace(wanted.fixtures[0], expect=Status.TAMPERED),))
    assert report_fixtures([wanted], is_json=False, path=PATH) == 0
    assert report_fixtures([wanted, wrong], is_json=False, path=PATH) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "FAIL ssh-hostkey test[0] ok (expected tampered)"


@pytest.mark.parametrize("tool_id", ["tls-cert", "imap-starttls", "smtp-starttls", "tls-downgrade"])
@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"])
def test_a_certificate_is_asked_of_a_name_and_an_address_is_refused(tool_id: str, address: str) -> None:
    wanted = tool(tool_id)
    assert bind(wanted, {"host": "1.example.org"}, {}, is_lab=False).values["host"] == "1.example.org"
    with pytest.raises(OperatorError, match="a name, no address"):
        bind(wanted, {"host": address}, {}, is_lab=False)


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        ((0, 0, 0, 0), Status.TAMPERED),
        ((0, 0, 0, 18), Status.TAMPERED),
        ((10, 10, 10, 10), Status.TAMPERED),
        ((18, 18, 18, 18), Status.SUSPECT),
        ((0, 0, 18, 18), Status.SUSPECT),
        ((0, 10, 19, 62), Status.SUSPECT),
    ],
)
def test_what_validates_for_nobody_is_held_against_nobody(codes: Sequence[int], status: Status) -> None:
    """The run's certificate, which no control saw, is self-signed (18); `codes`: of the controls' own."""
    wanted = tool("tls-cert")
    well = healthy(wanted)
    seen = {**well, "chain": ("other",), "verify_code": 18}
    assert said(wanted, seen, controls(*({**well, "verify_code": code} for code in codes))).status is status


@pytest.mark.parametrize("tool_id", [i for i in IDS if "artifact:headers" in dict(tool(i).keep)])
@pytest.mark.parametrize(
    "line",
    ["Set-Cookie: a=SECRET", "set-cookie:a=SECRET; Path=/", "Set-Cookie:\ta=SECRET", "Set-Cookie2: SECRET",
     "Set-Cookie: a=\r\n SECRET;\r\n\tb=SECRET", "Set-Cookie : SECRET"],
)  # fmt: skip
def test_no_cookie_is_kept_with_the_headers(tool_id: str, line: str) -> None:
    kept = redactor(tool(tool_id).redact)(f"HTTP/1.1 200 OK\r\nServer: x\r\n{line}\r\nAge: 1\r\n\r\n")
    assert "SECRET" not in kept
    assert kept.startswith("HTTP/1.1 200 OK\r\nServer: x\r\n")
    assert kept.endswith("Age: 1\r\n\r\n")


def test_whoever_keeps_headers_is_known() -> None:
    assert [i for i in IDS if "artifact:headers" in dict(tool(i).keep)] == ["http-body", "http-headers", "redirects"]


@pytest.mark.parametrize("tool_id", ["tls-cert", "imap-starttls", "smtp-starttls"])
def test_a_certificate_with_long_names_hides_no_verify_code(tool_id: str) -> None:
    """openssl takes 100 KB of certificates and of authorities' names each, and prints a byte in up to 12 characters."""
    wanted = tool(tool_id)
    printed = (FOLDER / "fixtures/tls-cert/self-signed.txt").read_bytes()
    chain, mark, rest = printed.partition(b"---\nServer certificate")
    long = chain + b" 1 s:O = " + rb"\C3\BF" * 370_000 + b"\n" + mark + rest
    assert len(long) > 2_200_000
    seen = extract(wanted, Harvest(long, b"", {}, b"greeting=220\nstarttls=yes\n"), path=PATH)
    assert (seen.failure, seen.facts["verify_code"]) == ("", 18)
    assert said(wanted, seen.facts, controls(healthy(wanted), healthy(wanted))).status is Status.TAMPERED
    is_filed_first = wanted.command.argv[0] == "bash"  # in a file of the artifacts, by starttls.sh
    assert not is_filed_first or wanted.command.limits.artifacts >= wanted.command.limits.stdout
