"""`--containment` and `--allow`: how firmly a verb holds what it starts."""

import argparse
import ipaddress
import os
import stat
from collections.abc import Iterable, Mapping

from ..containment import APART, LEVELS, Abilities, Containment, contain
from ..errors import EXIT_USAGE, OperatorError
from ..tool import Tool
from .say import say

UNIX, PIPE, WRITE = "unix:", "pipe:", "write:"


def add_containment(group: "argparse._ActionsContainer") -> None:
    """Add --containment and --allow."""
    group.add_argument(
        "--containment", choices=(*LEVELS, *APART), metavar="LEVEL",
        help="the least: shim, guard, notify, each with +netns for a network of its own, too; a stronger one where that"
        " is not there, or can't hold what is run (static programs and Go want notify), or a refusal"
        " (default: guard; notify for those, and dig)",
    )  # fmt: skip
    group.add_argument(
        "--allow", action="append", type=_allowed, default=[], metavar="WHAT",
        help="listen: the tool may listen on Unix sockets of its own (multiprocessing managers do);"
        " unix:PATH: it may reach this Unix socket of others, and have it as standard input or output; unix:@NAME: this"
        " abstract one, to be reached at shim and notify alone; pipe:PATH: it may open this named pipe, though a daemon"
        " reads it; write:PATH: with --read-only, it may write to this file, or in this folder; repeatable",
    )  # fmt: skip
    group.add_argument(
        "--read-only", action="store_true",
        help="the tool may change no file, nor make or remove one, but in the folders of its run and what --allow"
        " write:PATH names: else other programs (a spool, a synchronised folder, your shell when it starts) may act on"
        " what it writes, without Tor",
    )  # fmt: skip
    group.add_argument(
        "--dns-server", type=_public_address, metavar="IP",
        help="at the level notify, and of no effect below it: where questions for other than addresses go, over TCP"
        " through the exit (default: whom the tool asks, if that is public)",
    )  # fmt: skip


def containment_of(args: argparse.Namespace, wanted: Mapping[str, str], known: Abilities | None = None) -> Containment:
    """The level in force, as `contain` finds it for what was asked and what is `wanted` by what is to be run. Says on
    stderr when it is not the one that was asked for, and what has no effect at it. `known`: what this machine can do,
    if it was tried before. Raises OperatorError when it would be less."""
    from ...wrappers.machine import abilities

    if "listen" in args.allow and args.containment is None:
        wanted = {**wanted, "notify": "only a supervisor can tell a Unix socket that listens from others"}
    paths, pipes, writes = (
        [word.removeprefix(kind) for word in args.allow if word.startswith(kind)] for kind in (UNIX, PIPE, WRITE)
    )
    containment = contain(
        args.containment, known or abilities(), may_listen="listen" in args.allow, unix=paths,
        pipes=[os.path.realpath(path) if stat.S_ISFIFO(_mode_of(path)) else path for path in pipes],
        writes=[_there(path, args.read_only) for path in writes], is_read_only=args.read_only,
        dns_server=args.dns_server, wanted=wanted,
    )  # fmt: skip
    if args.containment not in (None, containment.level):
        say(f"containment level is {containment.level}, and {args.containment} was asked for: {containment.why}")
    for sentence in containment.idle:
        say(sentence)
    for path in paths:
        if path.startswith("/") and not stat.S_ISSOCK(_mode_of(path)):
            say(f"--allow unix:{path}: there is no socket, so that this has no effect")
    for path in pipes:
        if not stat.S_ISFIFO(_mode_of(path)):
            say(f"--allow pipe:{path}: there is no named pipe, so that this has no effect")
    return containment


def wanted_by(tools: Iterable[Tool]) -> dict[str, str]:
    """The levels that declared tools want, and which of them is one that does."""
    return {tool.command.containment: f"{tool.id} wants it" for tool in tools}


def _public_address(word: str) -> str:
    from ..names import is_private

    if "%" in word:
        raise argparse.ArgumentTypeError(f"{word} has a zone: it means something on this machine alone")
    try:
        address = str(ipaddress.ip_address(word))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word!r} is no IP address") from None
    if is_private(address):
        raise argparse.ArgumentTypeError(f"{word} is private: no exit could reach it")
    return address


def _mode_of(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except (OSError, ValueError):
        return 0


def _there(path: str, read_only: bool) -> str:
    """The file or folder itself, whatever its name leads to later. Raises OperatorError where there is none, and, if a
    tool may otherwise only read, where it could change there what exitpin runs others by."""
    from ...wrappers.runtime import runtime_directory

    try:
        place = os.path.realpath(path, strict=True)
    except (OSError, ValueError):
        problem = f"--allow write:{path}: there is no such file or folder"
        raise OperatorError(f"{problem}.", "Make it first.", EXIT_USAGE) from None
    ours = os.path.realpath(runtime_directory())
    if read_only and os.path.commonpath([place, ours]) in (place, ours):
        problem = f"--allow write:{path}: exitpin keeps there what it runs by ({ours})"
        hint = "Name a folder without that, or set XDG_RUNTIME_DIR to a folder elsewhere."
        raise OperatorError(f"{problem}.", hint, EXIT_USAGE)
    return place


def _allowed(word: str) -> str:
    is_name = word.startswith(f"{UNIX}@") and word != f"{UNIX}@"
    if word == "listen" or is_name or word.startswith((f"{UNIX}/", f"{PIPE}/", f"{WRITE}/")):
        return word
    raise argparse.ArgumentTypeError(
        f"{word!r} is neither `listen` nor `unix:`, `pipe:` or `write:` with an absolute path (or `unix:@name`)"
    )


def warn_of(containment: Containment) -> None:
    """Say on stderr what the level leaves open, if it is the weakest."""
    for line in containment.warning.splitlines():
        say(line)
