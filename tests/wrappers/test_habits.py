"""The special arguments of `sh`, one by one: each is taken, and what it starts is pinned; or it is refused."""

import asyncio
import io
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import sh

from exitpin.wrappers.habits import REFUSED, TAKEN

from .test_commands import Here, command, here

__all__ = ["here"]

VALUES: dict[str, Any] = {
    "fg": True, "bg": True, "bg_exc": True, "in": "text", "err_to_out": True, "in_bufsize": 1, "out_bufsize": 0,
    "err_bufsize": 0, "internal_bufsize": 9, "env": {"PATH": os.environ["PATH"]}, "piped": True, "iter": True,
    "iter_noblock": True, "iter_poll_time": 0.1, "ok_code": [0, 1], "cwd": "/", "long_sep": " ", "long_prefix": "-",
    "tty_in": True, "tty_out": True, "unify_ttys": False, "encoding": "utf-8", "decode_errors": "ignore", "timeout": 20,
    "timeout_signal": signal.SIGTERM, "no_out": True, "no_err": True, "no_pipe": True, "tee": True,
    "done": lambda *_: None, "tty_size": (9, 9), "truncate_exc": False, "new_session": False, "new_group": True,
    "arg_preprocess": lambda args, kwargs: (args, kwargs), "log_msg": lambda *_: "said", "close_fds": True,
    "pass_fds": {0}, "return_cmd": True, "async": True, "out": io.StringIO(), "err": io.StringIO(),
}  # fmt: skip
SCRIPT = 'echo "$PINNED" > "$0"'


def test_each_one_that_there_is_is_known() -> None:
    assert {*sh.Command._call_args} == TAKEN | {*REFUSED} and not TAKEN & {*REFUSED}
    assert {*VALUES} == TAKEN


@pytest.mark.parametrize("name", sorted(TAKEN))
@pytest.mark.parametrize("is_baked", [False, True])
def test_whatever_is_asked_for_it_goes_through_the_exit(here: Here, tmp_path: Path, name: str, is_baked: bool) -> None:
    seen = tmp_path / "seen"
    asked = {f"_{name}": VALUES[name]}

    async def running() -> Any:
        if is_baked:
            return command(here, "sh").bake(**asked)("-c", SCRIPT, str(seen))
        return command(here, "sh")("-c", SCRIPT, str(seen), **asked)

    ran = asyncio.run(running())
    if hasattr(ran, "process"):
        ran.process.wait()
    assert seen.read_text() == "yes\n"


@pytest.mark.parametrize("name", [*REFUSED, "new_of_a_later_sh"])
def test_what_would_start_something_past_the_exit_is_refused(
    here: Here, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sh.Command._call_args, "new_of_a_later_sh", None)
    with pytest.raises(TypeError, match=f"_{name} is refused: "):
        command(here, "true")(**{f"_{name}": 1})
    with pytest.raises(TypeError, match=f"_{name} is refused: "):
        command(here, "true").bake(**{f"_{name}": 1})()


def test_nothing_stands_before_others(here: Here) -> None:
    with pytest.raises(TypeError, match="_with is refused"), command(here, "env").bake("A=b"):
        pass
    with sh.env.bake("A=b"), pytest.raises(TypeError, match="_with is refused"):
        command(here, "true")()
    assert command(here, "true")() == ""


def test_no_command_goes_to_the_foreground_of_sh_by_its_preprocessor(here: Here) -> None:
    with pytest.raises(TypeError, match="_fg is refused"):
        command(here, "true").bake(_arg_preprocess=lambda args, kwargs: (args, {"_fg": True}))()


def test_one_that_was_baked_for_the_foreground_is_pinned_when_it_is_called_for_less(
    here: Here, capfd: pytest.CaptureFixture[str]
) -> None:
    baked = command(here, "sh").bake(_fg=True)
    assert baked("-c", "echo $PINNED", _fg=False) == "yes\n"
    assert baked("-c", "cat", _fg=False, _in="text") == "text"
    assert capfd.readouterr().out == ""
    assert baked("-c", "echo $PINNED") is None
    assert capfd.readouterr().out == "yes\n"


@pytest.mark.parametrize("preprocess", [lambda args, _: (args, {}), lambda args, kwargs: (args, kwargs)])
def test_no_preprocessor_takes_the_foreground_away_or_leaves_it_to_sh(
    here: Here, capfd: pytest.CaptureFixture[str], preprocess: Any
) -> None:
    baked = command(here, "sh").bake(_fg=True).bake(_arg_preprocess=preprocess)
    assert baked("-c", "echo $PINNED") is None
    assert capfd.readouterr().out == "yes\n"
    assert baked("-c", "echo $PINNED", _fg=False) == "yes\n"


def test_what_a_program_has_made_the_default_of_sh_starts_nothing_past_the_exit(
    here: Here, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in (("fg", True), ("with", True), ("preexec_fn", (tmp_path / "seen").touch), ("uid", 1)):
        monkeypatch.setitem(sh.Command._call_args, name, value)
    assert command(here, "sh")("-c", "echo $PINNED") == "yes\n"
    assert not (tmp_path / "seen").exists()


def test_what_is_refused_is_refused_whatever_it_says_of_its_truth(here: Here) -> None:
    class Untrue:
        def __bool__(self) -> bool:
            return False

        def __call__(self) -> None:
            raise AssertionError("BUG: it was called")

    for given in ({"_preexec_fn": Untrue()}, {"_uid": 0}, {"_with": Untrue()}):
        with pytest.raises(TypeError, match="is refused: "):
            command(here, "true")(**given)
    assert command(here, "true")(_preexec_fn=None, _with=False) == ""
