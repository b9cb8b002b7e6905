"""What a watch says of itself: the file that it writes, and what is read from it."""

import json
from dataclasses import asdict

import pytest

from exitpin.orchestrator.report.watch_told import SCHEMA, TEXT_MAX, WatchTold, read_watch, watch_json

from .watched import HOSTILE, NOW, a_watch


@pytest.mark.parametrize("told", [a_watch(), a_watch(paused=HOSTILE, state="paused"), WatchTold("w", "stopped", NOW)])
def test_what_was_written_is_read(told: WatchTold) -> None:
    content = watch_json(told)
    assert content.isascii() and content.count(b"\n") == 1
    assert read_watch(content) == told


def test_what_is_of_the_wrong_kind_counts_as_not_there_and_texts_are_cut() -> None:
    wrong = {"due": "soon", "last_ended": 1e999, "iteration": None}
    found = {"schema": SCHEMA, **asdict(a_watch(paused="x" * 9999)), **wrong}
    told = read_watch(json.dumps(found).encode())
    assert (told.due, told.last_ended, told.iteration, len(told.paused)) == (None, None, 0, TEXT_MAX)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b"{}", b"\xff", b"[" * 100_000),
        watch_json(a_watch()).replace(b"watch-state/1", b"watch-state/2"),
        watch_json(a_watch()).replace(b'"written"', b'"said"'),
        watch_json(a_watch(state="dancing")),
    ],
)
def test_what_is_no_such_file_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        read_watch(content)
