"""What a command that somebody typed finds of its run, and what is found of it afterwards."""

import asyncio
import os
from pathlib import Path

import pytest

from exitpin.wrappers.desk import FILES_MAX, Desk, Given
from exitpin.wrappers.harvest import FACTS_BYTES


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path / "1.d", tmp_path / "kept" / "run-1")
    made.make()
    return made


def test_its_places_are_named_and_private(tmp_path: Path) -> None:
    places = Desk(tmp_path / "1.d", tmp_path / "kept" / "run-1").make()
    assert places == {
        "EXITPIN_FACTS": f"{tmp_path}/1.facts", "EXITPIN_ARTIFACTS": f"{tmp_path}/1.d",
        "EXITPIN_EVIDENCE": f"{tmp_path}/kept/run-1",
    }  # fmt: skip
    assert [Path(place).stat().st_mode & 0o777 for place in places.values()] == [0o600, 0o700, 0o700]


@pytest.mark.parametrize("evidence", [None, Path("/proc/self/fd/1.evidence/run")])
def test_where_no_evidence_can_be_kept_none_is_promised(tmp_path: Path, evidence: Path | None) -> None:
    desk = Desk(tmp_path / "1.d", evidence)
    assert "EXITPIN_EVIDENCE" not in desk.make()
    assert desk.given() == Given()


def test_what_was_given_is_read_when_it_is_over(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "1.facts").write_text("a=1\nno fact\nb=\x1b[2J\n")
    (tmp_path / "kept" / "run-1" / "page").write_text("x")
    (tmp_path / "kept" / "run-1" / "link").symlink_to("/etc/passwd")
    assert desk.given() == Given({"a": "1", "b": "\x1b[2J"}, "", (f"{tmp_path}/kept/run-1/page",))


def test_a_fact_that_was_given_twice_is_none_and_all_others_are(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "1.facts").write_text("a=1\nb=1\na=1\n")
    assert desk.given() == Given({"b": "1"}, "the fact a is set twice")


def test_nothing_given_leaves_no_folder(desk: Desk, tmp_path: Path) -> None:
    assert desk.given() == Given()
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_what_became_of_the_facts_can_harm_nobody(desk: Desk, tmp_path: Path, kind: str) -> None:
    facts = tmp_path / "1.facts"
    facts.unlink()
    {"link": lambda: facts.symlink_to("/etc/passwd"), "folder": facts.mkdir, "fifo": lambda: os.mkfifo(facts)}[kind]()
    assert desk.given() == Given({}, "its facts can't be read")


def test_facts_and_files_without_end_are_cut(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "1.facts").write_text("a=1\n" + "b" * FACTS_BYTES + "\nc=1\n")
    for number in range(FILES_MAX + 9):
        (tmp_path / "kept" / "run-1" / f"{number:03}").touch()
    given = desk.given()
    assert (given.facts, len(given.evidence)) == ({"a": "1"}, FILES_MAX)


@pytest.mark.parametrize("is_full", [False, True])
def test_nothing_is_left_of_it(desk: Desk, tmp_path: Path, is_full: bool) -> None:
    if is_full:
        (tmp_path / "1.d" / "deep").mkdir()
        (tmp_path / "1.facts").unlink()

    async def clears() -> None:
        desk.clear()

    asyncio.run(clears())
    assert not (tmp_path / "1.d").exists()


def test_a_folder_that_no_thread_can_remove_is_left_to_who_removes_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    async def script() -> None:
        desk = Desk(tmp_path / "1.d", None)
        desk.make()
        (tmp_path / "1.d" / "left").write_text("by the tool")
        monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", no_thread)
        assert desk.take() == Given()

    asyncio.run(script())
