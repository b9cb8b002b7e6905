"""The evidence file: every entry in its order, written in batches, whole and synced at the end."""

import gzip
import json
import os
from pathlib import Path

import pytest

from exitpin.orchestrator.evidence import FLUSH_LINES, EvidenceLog
from exitpin.orchestrator.verify import read_evidence, verify

from .proof import evidence, records

HEADER = {"session": "s", "tor": "0.4.9.11", "started": "now"}


def lines(path: Path) -> list[str]:
    packed = path.read_bytes()
    return (gzip.decompress(packed) if path.suffix == ".gz" else packed).decode().splitlines()


@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.gz", "new/folder/events.jsonl"])
@pytest.mark.parametrize("count", [0, 1, FLUSH_LINES - 1, FLUSH_LINES, 2 * FLUSH_LINES + 3])
def test_what_was_added_is_there_in_its_order(tmp_path: Path, name: str, count: int) -> None:
    log = EvidenceLog(tmp_path / name, HEADER)
    for number in range(count):
        log.add({"t": number, "tor": f"STREAM {number}"})
    log.close()
    read = [json.loads(line) for line in lines(tmp_path / name)]
    assert read[0] == {"schema": "exitpin.events/1", **HEADER}
    assert [entry["t"] for entry in read[1:]] == list(range(count))


def test_a_batch_is_written_when_it_is_full_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EvidenceLog(path, HEADER)
    for number in range(FLUSH_LINES - 2):
        log.add({"t": number})
    assert path.stat().st_size == 0
    log.add({"t": "full"})
    log.add({"t": "next"})
    assert path.stat().st_size > 0
    log.close()
    assert json.loads(lines(path)[-1]) == {"t": "next"}


def test_only_its_owner_may_read_it_and_an_old_one_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("old\n" * 100)
    path.chmod(0o600)
    EvidenceLog(path, HEADER).close()
    assert len(lines(path)) == 1
    assert path.stat().st_mode & 0o077 == 0
    old_mask = os.umask(0)
    try:
        EvidenceLog(tmp_path / "open.jsonl", HEADER).close()
    finally:
        os.umask(old_mask)
    assert (tmp_path / "open.jsonl").stat().st_mode & 0o077 == 0


def test_bytes_that_are_no_text_survive(tmp_path: Path) -> None:
    log = EvidenceLog(tmp_path / "events.jsonl", HEADER)
    line = b'STREAM 1 NEW 0 \xff:80 SOCKS_USERNAME="\xc3\xa9\n"'.decode("utf-8", "surrogateescape")
    log.add({"tor": line})
    log.close()
    (_, entry) = lines(tmp_path / "events.jsonl")
    assert json.loads(entry)["tor"] == line


@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.gz"])
def test_closing_twice_and_adding_after_it_do_no_harm(tmp_path: Path, name: str) -> None:
    log = EvidenceLog(tmp_path / name, HEADER)
    log.close()
    log.add({"t": 1})
    log.close()
    assert len(lines(tmp_path / name)) == 1


def test_evidence_may_go_nowhere() -> None:
    log = EvidenceLog(None, HEADER)
    log.add({"t": 1})
    log.close()


def test_a_session_that_was_written_is_a_session_that_can_be_verified(tmp_path: Path) -> None:
    header, *entries = evidence()
    log = EvidenceLog(tmp_path / "events.jsonl.gz", {key: header[key] for key in HEADER})
    for entry in entries:
        log.add(entry)
    log.close()
    verdict = verify(read_evidence(lines(tmp_path / "events.jsonl.gz")), records())
    assert (verdict.consistent, verdict.problems) == (3, [])
