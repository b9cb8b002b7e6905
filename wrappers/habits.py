"""The special arguments of `sh` (`_timeout=`, `_in=`): which of them a command through an exit takes.

Each one is known here, or refused: what a later `sh` adds might start a program past the exit. Source: sh 2.4, its
`Command._call_args`.
"""

import signal
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

HABITS: Final = {
    "tty_out": False, "bg_exc": False, "new_session": True, "timeout_signal": signal.SIGTERM,
    "decode_errors": "replace",
}  # fmt: skip
"""Defaults that differ from those of `sh`."""
FOREGROUND: Final = {"_in": 0, "_out": 1, "_err": 2, "_new_session": False, "_fg": None}
"""What `_fg=True` is here: `sh` would start the tool itself, past the exit. None is what it takes for False."""
ELSEWHERE: Final = {"_fg": False}
"""What is given instead where it is not asked for: `_fg` may be baked, or a default of `sh`."""
TAKEN: Final = frozenset({
    "fg", "bg", "bg_exc", "in", "out", "err", "err_to_out", "in_bufsize", "out_bufsize", "err_bufsize",
    "internal_bufsize", "env", "piped", "iter", "iter_noblock", "iter_poll_time", "ok_code", "cwd", "long_sep",
    "long_prefix", "tty_in", "tty_out", "unify_ttys", "encoding", "decode_errors", "timeout", "timeout_signal",
    "no_out", "no_err", "no_pipe", "tee", "done", "tty_size", "truncate_exc", "new_session", "new_group",
    "arg_preprocess", "log_msg", "close_fds", "pass_fds", "return_cmd", "async",
})  # fmt: skip
REFUSED: Final = {
    "with": "before others by `with`, those of `sh` would start past the exit: write exit.env('A=b', 'curl')",
    "preexec_fn": "what it does, it does before the run, past the exit: write a script, or exit.python(...)",
    "uid": "the tor of a program serves its own user alone",
}
"""Those that are refused, and why."""


def checked(call_args: Mapping[str, Any]) -> dict[str, Any]:
    """The special arguments that somebody has given. Raises TypeError for one that is refused."""
    for name, value in call_args.items():
        if name not in TAKEN and value is not None and value is not False:
            raise TypeError(f"_{name} is refused: {REFUSED.get(name, 'nobody knows what it would start')}")
    given = dict(call_args)
    if given.get("arg_preprocess"):
        given["arg_preprocess"] = partial(_preprocessed, given["arg_preprocess"])
    return given


def _preprocessed(preprocess: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """What a command's own function makes of its arguments: it can't take it to the foreground of `sh`, nor out of
    ours."""
    where = FOREGROUND if kwargs["_fg"] is None else ELSEWHERE
    args, kwargs = preprocess(args, kwargs)
    if kwargs.get("_fg"):
        raise TypeError("_fg is refused from _arg_preprocess: give it to the command")
    return args, {**kwargs, **where}
