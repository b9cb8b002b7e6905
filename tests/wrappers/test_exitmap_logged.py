"""What a module logs, as facts of its run: within the room that they have, whatever an exit had it log."""

import logging
import re
from pathlib import Path

import pytest

from exitpin.wrappers.exitmap.logged import Facts
from exitpin.wrappers.harvest import FACTS_BYTES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "facts"
    path.touch()
    return path


def logger_of(facts: Facts) -> logging.Logger:
    log = logging.Logger("modules.tried")
    log.addHandler(facts)
    return log


def test_lines_are_facts_at_once_as_far_as_there_is_room(path: Path) -> None:
    facts = Facts(str(path))
    log = logger_of(facts)
    log.warning("two\nlines of %s\x1b[2J", "é")
    assert path.read_text() == "log.0001.warning=tried: two\\nlines of é\\x1b[2J\n"
    log.log(35, "odd")
    log.error("%d", "is no number")
    for _ in range(1000):
        log.info("x" * 3000)
    facts.tell_level()
    lines = path.read_text().splitlines()
    assert lines[-1] == "level=warning" and path.stat().st_size < FACTS_BYTES
    assert all(re.fullmatch(r"(log\.\d{4}\.[a-z]+|level)=.*", line) for line in lines)


@pytest.mark.parametrize(
    "text", ["\N{GRINNING FACE}" * 90, "\x01" * 90, "\U0010ffff" * 90, "x" * 100_000],
    ids=["wide", "control", "unassigned", "long"],
)  # fmt: skip
def test_no_text_takes_the_room_of_the_level(path: Path, text: str) -> None:
    facts = Facts(str(path))
    log = logger_of(facts)
    for _ in range(600):
        log.info(text)
    log.critical("after all of them")
    facts.give("raised", text * 2000)
    facts.tell_level()
    assert path.stat().st_size < FACTS_BYTES
    assert path.read_text().splitlines()[-1] == "level=critical"


def test_a_long_line_is_cut_and_leaves_room_for_others(path: Path) -> None:
    log = logger_of(Facts(str(path)))
    for text in ("x" * (1 << 20), "é" * 1500, "short"):
        log.info(text)
    first, second, third = path.read_bytes().splitlines()
    assert len(first) == len(b"log.0001.info=") + 2000
    assert second.decode().endswith("é")
    assert third == b"log.0003.info=tried: short"


def test_what_can_not_be_given_is_lost_for_the_facts_alone() -> None:
    logger_of(Facts("/dev/full")).warning("there is no room")
    logger_of(Facts("/nowhere/facts")).warning("there is no file")
    logger_of(Facts(None)).warning("nobody asked")
