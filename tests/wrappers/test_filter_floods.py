"""Filters that broke, and filters that the suspect made print too much: what becomes of the fact, and of the run."""

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from exitpin import tools_d
from exitpin.orchestrator.audit.agreement import Control, Controls
from exitpin.orchestrator.audit.verdict import Judgement, Observation, judge
from exitpin.orchestrator.tool import Command, Condition, Extract, Rule, Status, Tool
from exitpin.wrappers.extraction import Extraction, Harvest, extract, search
from exitpin.wrappers.tool_files import Catalogue, Layer
from exitpin.wrappers.tool_trust import Trust

PATH = os.environ["PATH"]
LONG = ("sh", "-c", "head -c 70000 /dev/zero; cat")
LONG_LIES = ("sh", "-c", 'read -r line; echo "$line"; case $line in *lie) head -c 70000 /dev/zero;; esac')


def tool(argv: Sequence[str], *asked: Condition, **how: object) -> Tool:
    """Whose one fact goes through a filter; a rule for each question makes it tampered."""
    wanted = Extract("f", filter=tuple(argv), **how)  # type: ignore[arg-type]
    rules = [Rule(Status.TAMPERED, (condition,), reason="so says {{f}}") for condition in asked]
    return Tool("t", "t", Command(argv=("true",)), (*rules, Rule(Status.OK, reason="{{f}}")), extracts=(wanted,))


def read(wanted: Tool, stdout: bytes) -> Extraction:
    return extract(wanted, Harvest(stdout), path=PATH)


def said(wanted: Tool, seen: Extraction, others: Extraction) -> Judgement:
    against = Controls(tuple(Control("exit", others.facts, 0.0) for _ in range(4)), quorum=2)
    return judge(wanted, Observation(0, None, False, "", seen.facts), against, {}, search)


def self_signed(organizations: int) -> bytes:
    """A certificate in PEM whose name has so many parts of 60 characters that openssl escapes: each prints 360."""
    key = ec.generate_private_key(ec.SECP256R1())
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "\u00ff" * 60) for _ in range(organizations)]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "secure.test"), *parts])
    begin = datetime(2026, 1, 1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(5).not_valid_before(begin).not_valid_after(begin + timedelta(900))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_a_man_in_the_middle_with_a_long_name_is_accused_all_the_same() -> None:
    folder = Path(tools_d.__file__).parent
    wanted = Catalogue([Layer(folder, is_ours=True)], Trust({}), Path("/")).entry("tls-cert").usable()
    honest = read(wanted, (folder / "fixtures/tls-cert/honest.txt").read_bytes())
    end = b"\nissuer=CN = x\n\nVerify return code: 18 (self-signed certificate)\n"
    seen = read(wanted, self_signed(200) + end)
    assert seen.failure == ""
    assert "printed more than 64 KiB" in str(seen.facts["leaf"])
    assert said(wanted, seen, honest).status is Status.TAMPERED


@pytest.mark.parametrize("argv", [("no-such-filter",), ("sh", "-c", "kill -9 $$")])
def test_a_broken_filter_whose_fact_only_a_reason_shows_makes_no_run_unusable(argv: Sequence[str]) -> None:
    found = read(tool(argv), b"abc")
    assert (found.facts, found.failure, len(found.problems)) == ({"f": None}, "", 1)


@pytest.mark.parametrize(
    "how", [{}, {"how": "lines", "form": "set"}, {"how": "regex", "argument": r"(\d)", "type": "int"}]
)
@pytest.mark.parametrize("matcher", ["differs", "adds", "missing"])
def test_who_floods_a_filter_has_what_no_control_has(matcher: str, how: dict[str, object]) -> None:
    wanted = tool(LONG_LIES, Condition("f", matcher, True), **how)
    honest, lie = read(wanted, b"1\n"), read(wanted, b"1 lie\n")
    assert (lie.failure, len(lie.problems)) == ("", 1)
    assert said(wanted, honest, honest).status is Status.OK
    assert said(wanted, lie, honest).status is Status.TAMPERED


@pytest.mark.parametrize(
    "asked",
    [Condition("f", matcher, "0") for matcher in ("is", "not", "in", "matches", "gt", "lt", "in_cidr")]
    + [Condition("f.count", "differs", True), Condition("f.1", "adds", True)],
)
def test_what_is_asked_of_a_flood_and_nobody_knows_makes_the_run_unusable(asked: Condition) -> None:
    found = read(tool(LONG, Condition("f", "differs", True), asked, how="lines"), b"abc")
    assert (found.facts, found.failure, len(found.problems)) == ({"f": None}, "parse", 1)


def test_a_flood_is_there() -> None:
    wanted = tool(LONG, Condition("f", "absent", True), Condition("f", "empty", True))
    assert said(wanted, read(wanted, b"abc"), read(wanted, b"abc")).status is Status.OK


def test_equal_floods_are_equal_and_others_are_not() -> None:
    wanted = tool(LONG, Condition("f", "differs", True))
    honest = read(wanted, b"abc")
    assert said(wanted, read(wanted, b"abc"), honest).status is Status.OK
    assert said(wanted, read(wanted, b"abd"), honest).status is Status.TAMPERED


def test_a_flood_without_an_end_is_not_read_to_its_end_and_is_the_same_each_time() -> None:
    found = [read(tool(("yes",)), b"") for _ in range(2)]
    assert found[0] == found[1]
    assert str(found[0].facts["f"]).startswith("yes printed more than 64 KiB: sha256:")


def test_a_filter_that_fails_is_no_flood_however_much_it_prints() -> None:
    found = read(tool(("sh", "-c", "head -c 70000 /dev/zero; exit 3")), b"")
    assert found.facts == {"f": None}
    assert "exit 3" in found.problems[0]
