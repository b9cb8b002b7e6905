"""What is kept of a run: as much as its tool says, nothing secret, nothing without end."""

import json
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.audit import keeping
from exitpin.orchestrator.audit.disclosure import ToolUse, bytes_told, facts_shown, is_tellable, output_kept
from exitpin.orchestrator.audit.keeping import events_exhibit, facts_exhibit, kept_exhibits, read_files
from exitpin.orchestrator.results.blobs import CONTENT_MAX, BlobFiles
from exitpin.orchestrator.results.exhibit import Exhibit
from exitpin.orchestrator.tool import Command, Limits, Param, Rule, Status, Tool
from exitpin.wrappers.harvest import Harvest
from exitpin.wrappers.redaction import redactor
from exitpin.wrappers.tool_values import KEPT_MAX
from exitpin.wrappers.values import storable

PEM = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def use(**changes: Any) -> ToolUse:
    params = changes.pop("params", {})
    given = {"command": Command(("true",)), "verdict": (Rule(Status.OK),), **changes}
    tool = Tool(id="t", summary="a tool", **given)
    return ToolUse(tool, params, clean=redactor(tool.redact))


def content(exhibit: Exhibit, tmp_path: Path) -> bytes:
    files = BlobFiles(tmp_path / "kept")
    files.prepare()
    files.write(exhibit.blob)
    return files.read(exhibit.blob.sha256)


def names(of: ToolUse, *, is_finding: bool, harvest: Harvest | None = None, **files: bytes) -> list[str]:
    given = harvest or Harvest(b"out " + PEM, b"err")
    kept = {f"artifact:{name}": value for name, value in files.items()}
    return [one.name for one in kept_exhibits(of, given, kept, is_finding=is_finding)]


@pytest.mark.parametrize(
    ("keep", "is_finding", "expected"),
    [
        ((), True, ["stdout", "stderr"]),
        ((), False, []),
        ((("stdout", "never"),), True, ["stderr"]),
        ((("stdout", "always"),), False, ["stdout"]),
        ((("pem", "always"),), False, ["pem"]),
        ((("pem", "on-finding"), ("stderr", "never")), True, ["stdout", "pem"]),
        ((("artifact:body", "on-finding"), ("stdout", "never"), ("stderr", "never")), True, ["artifact:body"]),
        ((("artifact:body", "on-finding"),), False, []),
        ((("artifacts", "always"),), False, ["artifact:body"]),
    ],
)
def test_as_much_is_kept_as_the_tool_says(keep: Any, is_finding: bool, expected: list[str]) -> None:
    assert names(use(keep=keep), is_finding=is_finding, body=b"page") == expected


def test_what_is_empty_is_no_evidence() -> None:
    assert names(use(), is_finding=True, harvest=Harvest()) == []


def test_bytes_stay_what_they_were(tmp_path: Path) -> None:
    wild = bytes(range(256)) * 4
    (kept,) = kept_exhibits(use(), Harvest(wild), {}, is_finding=True)
    assert content(kept, tmp_path) == wild and not kept.is_cut


def test_more_than_the_tool_may_write_is_cut_and_said(tmp_path: Path) -> None:
    small = use(command=Command(("true",), limits=Limits(stdout=10)))
    (kept,) = kept_exhibits(small, Harvest(b"x" * 11), {}, is_finding=True)
    assert content(kept, tmp_path) == b"x" * 10 and kept.is_cut


def test_secrets_and_what_is_to_be_redacted_are_in_no_evidence() -> None:
    secret = use(params={"token": "hunter22"}, redact=(r"Cookie: \S+",))
    hiding = ToolUse(
        Tool("t", "a tool", Command(("true",)), (Rule(Status.OK),), params=(Param("token", is_secret=True),)),
        {"token": "hunter22"},
    )
    assert bytes_told(hiding, b"\xff hunter22 \x00") == b"\xff (secret) \x00"
    assert bytes_told(secret, b"Cookie: abc\xff") == b"(redacted)"
    assert is_tellable(hiding, {"a": ("x", "y"), "n": 3, "none": None})
    assert not is_tellable(hiding, {"a": ("x", "hunter22")})
    assert not is_tellable(secret, {"a": "Cookie: abc"})


def secretive(**changes: Any) -> ToolUse:
    given = {"command": Command(("true",), limits=Limits(stdout=100, stderr=100, artifacts=100)), **changes}
    params = (Param("password", is_secret=True),)
    return ToolUse(Tool("t", "a tool", verdict=(Rule(Status.OK),), params=params, **given), {"password": PASSWORD})


PASSWORD = "hunter2-hünter2"
BYTES = PASSWORD.encode()


def halves(content: bytes) -> list[bytes]:
    """The beginnings of the password, of three bytes and more, that stand in this."""
    return [BYTES[:n] for n in range(3, len(BYTES) + 1) if BYTES[:n] in content]


@pytest.mark.parametrize("n", range(1, len(BYTES) + 1))
@pytest.mark.parametrize("after", [b"", b"--", b"-" * 12])
def test_half_of_a_secret_is_not_kept_where_output_was_cut(n: int, after: bytes, tmp_path: Path) -> None:
    used = secretive(keep=(("artifact:body", "always"), ("facts", "never")))
    tail = BYTES + after + BYTES[:n]
    written = b"x" * (100 - len(tail)) + tail
    pieces = kept_exhibits(used, Harvest(written, written), {"artifact:body": written + b"."}, is_finding=True)
    found = {one.name: (content(one, tmp_path), one.is_cut) for one in pieces}
    assert found.keys() == {"stdout", "stderr", "artifact:body"}
    for kept, is_cut in found.values():
        assert is_cut and kept.startswith(b"x" * 40) and not halves(kept)
    for status in ("tampered", "error"):
        told = output_kept(used, status, written, written)
        assert "xxx" in told["stderr"] and not any(halves(str(told[one]).encode()) for one in ("stdout", "stderr"))


def test_what_was_not_cut_or_has_no_secret_is_kept_to_its_end(tmp_path: Path) -> None:
    short = kept_exhibits(secretive(), Harvest(b"the end"), {}, is_finding=True)
    plain = use(command=Command(("true",), limits=Limits(stdout=7)))
    assert [content(one, tmp_path) for one in short] == [b"the end"]
    assert [content(one, tmp_path) for one in kept_exhibits(plain, Harvest(b"the end"), {}, is_finding=True)] == [
        b"the end"
    ]
    assert output_kept(plain, "tampered", b"the end", b"")["stdout"] == "the end"


def test_half_of_a_secret_is_in_no_fact_that_was_too_long() -> None:
    for n in range(3, len(BYTES)):
        value = storable("x" * (4096 - len("... sha256:") - 64 - n) + PASSWORD * 9)
        assert PASSWORD[:3] in value and len(value) == 4096
        shown = facts_shown(secretive(), {"one": value, "many": (value,)})
        assert not halves(json.dumps(shown, ensure_ascii=False).encode()) and shown["one"].endswith(value[-64:])
        assert not is_tellable(secretive(), {"one": value}) and is_tellable(use(), {"one": value})


def test_no_piece_is_larger_than_one_can_be_however_much_longer_hiding_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert KEPT_MAX == CONTENT_MAX
    monkeypatch.setattr(keeping, "CONTENT_MAX", 50)
    used = use(redact=("x",), command=Command(("true",)))
    (kept,) = kept_exhibits(used, Harvest(b"x" * 40), {}, is_finding=True)
    assert len(content(kept, tmp_path)) == 50 and kept.is_cut


def test_of_files_that_are_too_many_together_the_last_ones_are_cut_and_said_to_be(folder: Path) -> None:
    for name in "abc":
        folder.joinpath("artifacts", name).write_bytes(b"x" * 60)
    used = secretive(keep=(("artifacts", "always"),))
    files = read_files(used.tool, Harvest(artifacts=str(folder / "artifacts")), str(folder))
    kept = list(kept_exhibits(used, Harvest(), files, is_finding=True))
    assert [(one.name, one.is_cut) for one in kept] == [("artifact:a", False), ("artifact:b", True)]


def test_events_are_lines_and_what_has_no_end_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [{"schema": "exitpin.events/1"}, *({"tor": f"STREAM {number}"} for number in range(100))]
    whole = events_exhibit(entries)
    assert [json.loads(line) for line in content(whole, tmp_path).splitlines()] == entries and not whole.is_cut
    monkeypatch.setattr(keeping, "EVENTS_MAX", 200)
    cut = events_exhibit(entries)
    assert cut.is_cut and 0 < cut.blob.size_bytes <= 200
    assert all(json.loads(line) for line in content(cut, tmp_path).splitlines())


def test_exact_facts_are_json(tmp_path: Path) -> None:
    assert json.loads(content(facts_exhibit({"a": ["x"], "b": "\ud800"}), tmp_path)) == {"a": ["x"], "b": "\ud800"}


# The run's folder.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    artifacts.joinpath("body").write_bytes(b"page")
    artifacts.joinpath("link").symlink_to("/etc/passwd")
    tmp_path.joinpath("facts").write_bytes(b"a=b\n")
    return tmp_path


def test_only_what_is_to_be_kept_is_read_and_only_plain_files(folder: Path) -> None:
    harvest = Harvest(artifacts=str(folder / "artifacts"))
    named = use(keep=(("artifact:body", "on-finding"), ("artifact:link", "always"), ("artifact:no", "always"))).tool
    assert read_files(named, harvest, str(folder)) == {"artifact:body": b"page"}
    assert read_files(use().tool, harvest, str(folder)) == {}
    everything = use(keep=(("artifacts", "always"), ("facts", "always"))).tool
    assert read_files(everything, harvest, str(folder)) == {"artifact:body": b"page", "emitted": b"a=b\n"}


def test_a_folder_that_is_gone_and_a_run_without_one_leave_nothing(tmp_path: Path) -> None:
    tool = use(keep=(("artifacts", "always"), ("facts", "always"))).tool
    assert read_files(tool, Harvest(artifacts=str(tmp_path / "gone")), str(tmp_path / "gone")) == {}
    assert read_files(tool, Harvest(artifacts={"body": b"x"}), "") == {}


def test_all_files_together_are_no_more_than_the_tool_may_leave(folder: Path) -> None:
    for number in range(100):
        folder.joinpath("artifacts", f"file{number:03}").write_bytes(b"x" * 100)
    tool = use(keep=(("artifacts", "always"),), command=Command(("true",), limits=Limits(artifacts=1000))).tool
    found = read_files(tool, Harvest(artifacts=str(folder / "artifacts")), str(folder))
    assert len(found) <= keeping.FILES_MAX
    assert sum(map(len, found.values())) <= 1000 + keeping.FILES_MAX


def test_what_a_tool_asks_to_have_kept_is_kept_of_every_run_and_cut_at_its_limit(tmp_path: Path) -> None:
    for folder, file, content in (
        ("evidence", "chain.pem", b"pem"),
        ("evidence", "page", b"x" * 60),
        ("artifacts", "a", b"a"),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / file).write_bytes(content)
    (tmp_path / "evidence" / "passwd").symlink_to("/etc/passwd")
    of = use(command=Command(("true",), limits=Limits(artifacts=50)), keep=(("artifacts", "always"),))
    harvest = Harvest(artifacts=str(tmp_path / "artifacts"))
    files = read_files(of.tool, harvest, str(tmp_path))
    kept = {one.name: (one.blob.size_bytes, one.is_cut) for one in kept_exhibits(of, harvest, files, is_finding=False)}
    assert kept == {"evidence:chain.pem": (3, False), "evidence:page": (47, True)}


def test_evidence_that_fills_the_tools_limit_counts_as_cut(tmp_path: Path) -> None:
    """The kernel lets no file grow beyond it."""
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "page").write_bytes(b"x" * 50)
    of = use(command=Command(("true",), limits=Limits(artifacts=50)))
    harvest = Harvest(artifacts=str(tmp_path / "artifacts"))
    files = read_files(of.tool, harvest, str(tmp_path))
    (kept,) = kept_exhibits(of, harvest, files, is_finding=False)
    assert (kept.name, kept.is_cut) == ("evidence:page", True)
