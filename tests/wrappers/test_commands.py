"""Commands in the manner of `sh` that are no runs: what is made of a success without a record, and what is left."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sh

from exitpin.wrappers.commands import command_class, find


class Here:
    """Runs commands here, and leaves a record of one's choice."""

    def __init__(self, directory: Path, record: object) -> None:
        self._directory, self._record, self._numbers = directory, record, count()
        self.nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self.under_way: set[Path] = set()

    def record_path(self) -> Path:
        path = self._directory / str(next(self._numbers))
        self.under_way.add(path)
        return path

    def forget(self, path: Path) -> None:
        self.under_way.discard(path)
        path.unlink(missing_ok=True)

    def take_record(self, path: Path, exit_: str, argv: Sequence[str], *, is_killed: bool) -> Mapping[str, Any] | None:
        self.under_way.discard(path)
        if not path.exists():
            return None
        record: dict[str, Any] = json.loads(path.read_text())
        path.unlink()
        return record

    def environment(self, given: Mapping[str, str] | None) -> dict[str, str]:
        return {**(os.environ if given is None else given)}

    def command(self, exit_: str, argv: Sequence[str], record: Path, options: Sequence[str] = ()) -> list[str]:
        if argv[0].endswith("refused"):
            raise RuntimeError("closed meanwhile")
        if self._record is not None:
            record.write_text(json.dumps(self._record))
        return ["/usr/bin/env", "PINNED=yes", *argv]


@pytest.fixture
def here(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Here]:
    way = Here(tmp_path, getattr(request, "param", {"process": {}}))
    yield way
    os.close(way.nothing)


def run(way: Here, name: str, *args: str, **kwargs: Any) -> Any:
    return command(way, name)(*args, **kwargs)


def command(way: Here, name: str) -> sh.Command:
    return find(command_class(way, "exit01"), name)


def test_a_success_has_its_record_which_is_taken_away(here: Here, tmp_path: Path) -> None:
    printed = run(here, "echo", "out")
    assert (printed, printed.record, [*tmp_path.iterdir()]) == ("out\n", {"process": {}}, [])


@pytest.mark.parametrize("here", [None], indirect=True)
@pytest.mark.parametrize("habits", [{}, {"_bg": True}, {"_iter": True}])
def test_a_success_without_a_record_proves_nothing(here: Here, habits: dict[str, Any]) -> None:
    with pytest.raises(sh.ErrorReturnCode_125) as raised:
        list(run(here, "echo", "out", **habits).wait() if habits.get("_bg") else run(here, "echo", "out", **habits))
    assert raised.value.record is None
    with pytest.raises(sh.ErrorReturnCode_3):
        run(here, "sh", "-c", "exit 3")


def test_ctrl_c_in_a_loop_over_lines_goes_to_the_command_too(here: Here, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    script = 'until [ -e "$0" ]; do sleep 0.05; done; sleep 2; kill -INT "$1"; exec sleep 60'
    lines = run(here, "sh", "-c", script, str(ready), str(os.getpid()), _iter=True)
    with pytest.raises(KeyboardInterrupt):
        ready.touch()
        next(lines)
    with pytest.raises(sh.SignalException_SIGINT):
        lines.wait(30)


def test_a_command_that_can_not_be_started_leaves_no_descriptor(here: Here, tmp_path: Path) -> None:
    refused = tmp_path / "refused"
    refused.write_text("#!/bin/sh\n")
    refused.chmod(0o755)
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(RuntimeError, match="closed meanwhile") as raised:
        run(here, str(refused), _iter=True)
    assert sorted(os.listdir("/proc/self/fd")) == before, raised.traceback


def test_what_is_no_text_is_read_all_the_same(here: Here) -> None:
    printed = run(here, "printf", r"a\377b")
    assert (printed, printed.stdout, printed.record) == ("a\N{REPLACEMENT CHARACTER}b", b"a\xffb", {"process": {}})
    assert [*run(here, "printf", r"a\377\nb", _iter=True)] == ["a\N{REPLACEMENT CHARACTER}\n", "b"]
    assert run(here, "printf", r"a\377b", _decode_errors="ignore") == "ab"
