"""`--on STATUS,.. -- CMD ARG...`: the options of a verb that tells a command of what it found.

Everything behind the first `--` is the command, whatever it looks like: argparse, which would take its options for
ours, never sees it.
"""

import argparse
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from ..audit.alerts import ALERTS_MAX, STATUSES, TIMEOUT_MAX_S, TIMEOUT_MIN_S
from ..duration import duration_s
from ..errors import EXIT_USAGE, OperatorError

TIMEOUT_S = 60.0


def add_alerts(parser: argparse.ArgumentParser) -> None:
    """Add them. The parser's positional arguments end at `--` from now on."""
    group = parser.add_argument_group("alerts")
    group.add_argument(
        "--on", metavar="S,..", type=_statuses, default=frozenset(),
        help=f"run CMD for each verdict that is one of these ({', '.join(STATUSES)}), as soon as it is recorded, with"
        f" its record as a line of JSON on standard input; beyond {ALERTS_MAX} of a scan one line for all at the end",
    )  # fmt: skip
    group.add_argument("--alert-timeout", metavar="TIME", type=_seconds, default=TIMEOUT_S, help="end CMD then (60s)")
    group.add_argument(
        "command", nargs="?", metavar="-- CMD ARG...", help="what --on runs, without a shell and without Tor"
    )
    parse = parser.parse_known_args

    def until_dashes(args: Sequence[str] | None = None, namespace: Any = None) -> tuple[argparse.Namespace, list[str]]:
        words = list(args or ())
        end = words.index("--") if "--" in words else len(words)
        parsed, unknown = parse(words[:end], namespace)
        if parsed.command is not None:
            raise AssertionError("BUG: tools are taken for the command")
        parsed.command = words[end + 1 :]
        return parsed, unknown

    parser.parse_known_args = until_dashes  # type: ignore[method-assign, assignment]


def check_alerts(args: argparse.Namespace, environment: Mapping[str, str]) -> None:
    """Raises OperatorError where there is nobody to tell, or nothing to tell of."""
    if args.command and not args.on:
        raise OperatorError(
            "a command is named, and not what for.", "Say --on tampered, for instance, before `--`.", EXIT_USAGE
        )
    if args.on and not any(args.command):
        raise OperatorError("--on wants a command.", "Write it behind `--`: --on tampered -- CMD ARG...", EXIT_USAGE)
    if args.on and shutil.which(args.command[0], path=environment.get("PATH", os.defpath)) is None:
        hint = "Name a program that can be executed; nothing was started."
        raise OperatorError(f"{args.command[0]!r} is no command here.", hint, EXIT_USAGE)


def words_of(args: argparse.Namespace) -> list[str]:
    """As they are typed to have the same again; nothing, where nobody is told."""
    if not args.on:
        return []
    timeout = [] if args.alert_timeout == TIMEOUT_S else ["--alert-timeout", f"{args.alert_timeout:g}s"]
    return ["--on", ",".join(status for status in STATUSES if status in args.on), *timeout, "--", *args.command]


def plan_sentence(args: argparse.Namespace) -> str:
    """Whom a scan is going to tell of what."""
    statuses = ", ".join(status for status in STATUSES if status in args.on)
    return f"alerts: `{shlex.join(args.command)}` for each verdict that is {statuses}"


def _statuses(text: str) -> frozenset[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not set(words) <= set(STATUSES):
        raise argparse.ArgumentTypeError(f"{text!r}: say some of {', '.join(STATUSES)}")
    return frozenset(words)


def _seconds(text: str) -> float:
    try:
        found = duration_s(text)
    except ValueError:
        found = 0.0
    if not TIMEOUT_MIN_S <= found <= TIMEOUT_MAX_S:
        raise argparse.ArgumentTypeError(f"{text!r}: say a time from 1s to 1h")
    return found
