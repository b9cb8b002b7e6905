"""What a command has written and is kept, though it goes elsewhere, too."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sh

from exitpin.wrappers import kept
from exitpin.wrappers.kept import TooMuchOutput

from .test_commands import Here, here, run

__all__ = ["here"]

BOTH = ("-c", r"printf 'a\377\nb'; printf 'c\nd' >&2")
MAKE: dict[str, Callable[[Path], Any]] = {
    "name": str,
    "path": lambda path: path,
    "file": lambda path: path.open("wb"),
    "text": lambda path: path.open("w", encoding="latin-1", errors="replace"),
    "descriptor": lambda path: os.open(path, os.O_WRONLY | os.O_CREAT),
    "buffer": lambda _: io.BytesIO(),
    "callback": lambda _: [].append,
}


@pytest.mark.parametrize("kind", sorted(MAKE))
@pytest.mark.parametrize(("stream", "tee"), [("out", True), ("out", "out"), ("out", ("out", "err")), ("err", "err")])
def test_what_goes_elsewhere_is_kept_too(here: Here, tmp_path: Path, kind: str, stream: str, tee: Any) -> None:
    given = MAKE[kind](tmp_path / "elsewhere")
    ran = run(here, "sh", *BOTH, _tee=tee, _return_cmd=True, **{f"_{stream}": given})
    assert (ran.stdout, ran.stderr) == (b"a\xff\nb", b"c\nd")
    if kind == "callback":
        assert given.__self__ == (["a\N{REPLACEMENT CHARACTER}\n", "b"] if stream == "out" else ["c\n", "d"])
    elif kind == "buffer":
        assert given.getvalue() == getattr(ran, f"std{stream}")
    else:
        expected = getattr(ran, f"std{stream}")
        assert (tmp_path / "elsewhere").read_bytes() == expected
    if kind == "descriptor":
        os.close(given)


def test_only_what_is_asked_for_is_kept(here: Here, tmp_path: Path) -> None:
    ran = run(here, "sh", *BOTH, _tee="err", _out=str(tmp_path / "a"), _err=str(tmp_path / "b"), _return_cmd=True)
    assert (ran.stdout, ran.stderr) == (b"", b"c\nd")


@pytest.mark.parametrize("stream", ["out", "err"])
def test_who_writes_more_than_is_kept_is_ended_wherever_it_goes(
    here: Here, monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    monkeypatch.setattr(kept, "KEPT_MAX", 10)
    with pytest.raises(TooMuchOutput):
        run(here, "sh", "-c", f"exec yes >&{1 if stream == 'out' else 2}", _tee=stream, **{f"_{stream}": os.devnull})
    assert run(here, "echo", "a", _tee=True, _out=os.devnull) == "a\n"


def test_what_fails_to_be_written_elsewhere_is_raised(here: Here) -> None:
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space"):
        run(here, "sh", "-c", "echo a; exec sleep 60", _tee=True, _out=full)
    with pytest.raises(sh.ErrorReturnCode_3):
        run(here, "sh", "-c", "exit 3", _tee=True, _out=os.devnull)
