"""A scan that is out of descriptors hears of it once, by whatever met it."""

import asyncio
import resource

import pytest

from exitpin.orchestrator.cli.audit_shortage import Shortage

LIMIT = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
TOLD = f"no more files could be opened: this process may have {LIMIT} at a time. Raise that limit (`ulimit -n`"


def heard(*records: dict[str, object]) -> list[str]:
    """What is said after these records, when whoever told of each has ended with it."""
    found: list[str] = []

    async def listen() -> None:
        shortage = Shortage(found.append)
        for record in records:
            shortage.judged(record)
            assert found == []
        await asyncio.sleep(0)

    asyncio.run(listen())
    return found


def run(detail: str, kind: str = "shim", blame: str = "local") -> dict[str, object]:
    return {"schema": "exitpin.run/1", "failure": {"kind": kind, "blame": blame, "detail": detail}}


@pytest.mark.parametrize(
    "detail",
    [
        "the launcher could not be started: [Errno 24] Too many open files",
        "the run can't be prepared: [Errno 23] Too many open files in system",
        "the socket that came with a report could not be taken: too many open files",
        "internal error: OSError(24, 'Too many open files')",
    ],
)
def test_it_is_said_once_and_names_the_limit(detail: str) -> None:
    (said,) = heard(run(detail), run(detail))
    assert said.startswith(TOLD)


def test_whatever_else_failed_is_no_shortage() -> None:
    ended = {"schema": "exitpin.run/1", "failure": None}
    verdict = {"schema": "exitpin.verdict/1", "reason": "Too many open files", "failure": None}
    assert heard(run("tor ended the control connection"), ended, verdict) == []


def test_what_a_run_left_behind_that_could_not_be_opened_is_one() -> None:
    (said,) = heard(run("what it left can't be read: Too many open files", "parse"))
    assert said.startswith(TOLD)


@pytest.mark.parametrize(
    ("kind", "blame"),
    [("parse", "unknown"), ("tool", "tool"), ("protocol", "exit"), ("policy", "local"), ("attribution", "local")],
)
def test_the_words_of_an_exit_or_a_tool_end_no_scan(kind: str, blame: str) -> None:
    assert heard(run("the tool bailed out: Too many open files", kind, blame)) == []


def test_nor_do_they_when_one_of_our_own_errors_repeats_them() -> None:
    assert heard(run("internal error: ValueError('Too many open files')")) == []
