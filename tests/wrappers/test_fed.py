"""A command that another one is fed by, where no pipe joins the two: neither waits for what never comes."""

import asyncio
import queue
from typing import Any

import pytest
import sh

from exitpin.wrappers import kept
from exitpin.wrappers.kept import TooMuchOutput

from .test_commands import Here, command, here, run

__all__ = ["here"]

BYTES = ("-c", r"printf 'a\377\nb'")
WAYS = [
    {"_bg": True}, {"_return_cmd": True}, {"_iter": True}, {"_iter": True, "_tee": True}, {"_iter_noblock": True},
    {"_iter": "err"},
]  # fmt: skip


@pytest.mark.parametrize("habits", WAYS, ids=str)
@pytest.mark.parametrize("is_baked", [False, True])
def test_a_command_is_fed_by_another_however_that_is_read(here: Here, habits: dict[str, Any], is_baked: bool) -> None:
    words = ("-c", BYTES[1] + " >&2") if habits.get("_iter") == "err" else BYTES
    source = run(here, "sh", *words, **habits)
    fed = command(here, "cat").bake(_in=source)(_return_cmd=True) if is_baked else None
    fed = fed or run(here, "cat", _in=source, _return_cmd=True)
    assert fed.stdout == b"a\xff\nb"


def test_what_is_kept_of_a_command_feeds_as_many_as_like_it(here: Here) -> None:
    cat = command(here, "cat").bake(_in=run(here, "echo", "a", _bg=True))
    assert [cat(), cat()] == ["a\n", "a\n"]


def test_nobody_waits_for_who_feeds_before_he_reads(here: Here) -> None:
    given: queue.Queue[Any] = queue.Queue()
    source = run(here, "cat", _in=given, _bg=True)
    fed = run(here, "wc", "-c", _in=source, _bg=True)
    given.put("hello")
    given.put(None)
    assert str(fed).strip() == "5"


def test_who_reads_nothing_does_not_wait_for_who_feeds_him(here: Here) -> None:
    source = run(here, "sleep", "60", _bg=True)
    assert run(here, "true", _in=source) == ""
    source.terminate()


@pytest.mark.parametrize("habits", WAYS[:-1], ids=str)
def test_what_feeds_a_command_and_fails_ends_that_and_is_raised(here: Here, habits: dict[str, Any]) -> None:
    source = run(here, "sh", "-c", "echo a; exit 3", **{**habits, "_bg": True})
    with pytest.raises(sh.ErrorReturnCode_3):
        run(here, "sh", "-c", "cat; exec sleep 60", _in=source)


def test_who_writes_more_than_is_kept_feeds_nobody(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KEPT_MAX", 10)
    with pytest.raises(TooMuchOutput):
        run(here, "cat", _in=run(here, "yes", _bg=True))


def test_an_event_loop_goes_on_while_one_command_feeds_another(here: Here) -> None:
    given: queue.Queue[Any] = queue.Queue()

    async def main() -> Any:
        source = run(here, "cat", _in=given, _async=True)
        fed = asyncio.ensure_future(run(here, "tr", "a-z", "A-Z", _in=source, _async=True))
        given.put("text")
        given.put(None)
        return await fed

    assert asyncio.run(main()) == "TEXT"
