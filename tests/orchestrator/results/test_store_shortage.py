"""The store while nothing can be written: what is waited for, for how long, and what is said."""

import asyncio
import resource
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.results.store import Store, store_patience_s

from ..recorded import ids, run_record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


def test_while_no_file_can_be_opened_what_is_to_be_written_waits(path: Path) -> None:
    had = resource.getrlimit(resource.RLIMIT_NOFILE)
    heard: list[str] = []

    def end_the_shortage(why: str) -> None:
        heard.append(why)
        resource.setrlimit(resource.RLIMIT_NOFILE, had)

    async def go() -> None:
        store = Store(path)
        store.on_short_of_files = end_the_shortage
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, had[1]))
        store.add(run_record())
        await store.close()

    try:
        asyncio.run(go())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, had)
    assert heard[0] == "Too many open files"
    assert len(ids(path)) == 1


def test_where_no_file_can_be_opened_for_long_what_was_to_be_written_is_lost_and_said(path: Path) -> None:
    had = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def go() -> None:
        store = Store(path, patience_s=0.1)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, had[1]))
        store.add(run_record())
        try:
            await store.close()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, had)

    with pytest.raises(OperatorError, match=r"1 record could not be written to .*: Too many open files"):
        asyncio.run(go())


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("", 30.0), ("0.5", 0.5), ("0", 0.0), ("-1", 30.0), ("nan", 30.0), ("1e9", 30.0), ("x", 30.0)],
)
def test_for_how_long_a_lock_is_waited_for_is_the_users_to_say(given: str, seconds: float) -> None:
    assert store_patience_s({"EXITPIN_STORE_PATIENCE": given} if given else {}) == seconds
