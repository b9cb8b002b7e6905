"""What is kept of a run: as much as its tool says, nothing secret, nothing without end."""

import json
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.audit import keeping
from exitpin.orchestrator.audit.disclosure import ToolUse, bytes_told, is_tellable
from exitpin.orchestrator.audit.keeping import events_exhibit, facts_exhibit, kept_exhibits, read_files
from exitpin.orchestrator.results.blobs import BlobFiles
from exitpin.orchestrator.results.exhibit import Exhibit
from exitpin.orchestrator.tool import Command, Limits, Param, Rule, Status, Tool
from exitpin.wrappers.harvest import Harvest
from exitpin.wrappers.redaction import redactor

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
