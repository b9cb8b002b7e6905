"""`exitpin tools new` and `trust`: the two that write files."""

import argparse
import os
import re
import sys
from pathlib import Path

from ...wrappers.output import printable
from ...wrappers.tool_layers import trusting, user_folder
from ...wrappers.tool_skeleton import skeleton
from ...wrappers.tool_trust import Refused, Trust, digest_of
from ..errors import EXIT_USAGE, OperatorError
from .tools_found import catalogue


def write_new(args: argparse.Namespace) -> int:
    """Print the path of the file that was written. Raises OperatorError when there is one of that name."""
    folder = user_folder(os.environ)
    if folder is None:
        raise OperatorError("There is no place for it: HOME is not set.", "Set XDG_CONFIG_HOME or HOME.", EXIT_USAGE)
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", args.id):
        near = re.sub(r"[^a-z0-9]+", "-", args.id.lower()).strip("-")
        hint = f"Write {near}." if near else ""
        raise OperatorError(f"{args.id!r} is no tool's name: a-z, 0-9 and '-'.", hint, EXIT_USAGE)
    known = catalogue()
    replaced = known.entry(args.id).source.path if args.id in known.ids() else None
    path = folder / "scripts" / f"{args.id}.sh" if args.script else folder / f"{args.id}.toml"
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        # the mode is given, for a umask of 002 would make a file that is then refused
        with open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o644)) as file:
            file.write(skeleton(args.id, is_script=args.script))
    except FileExistsError:
        raise OperatorError(
            f"{path} is there already.", "Nothing was changed; take another name.", EXIT_USAGE
        ) from None
    except OSError as error:
        raise OperatorError(f"{path} can't be written: {error.strerror}.", "", EXIT_USAGE) from error
    print(path)
    if replaced is not None:
        print(f"exitpin: it stands in for {replaced}", file=sys.stderr)
    print(f"exitpin: edit it, then: exitpin tools check {args.id}; exitpin audit --lab {args.id}", file=sys.stderr)
    return 0


def give_trust(args: argparse.Namespace) -> int:
    """Trust files as they are, and print each with its digest. Raises OperatorError for what is not there, or could
    have been written by others; then nothing is trusted."""
    contents: list[tuple[Path, bytes]] = []
    for path in args.paths:
        try:
            found = list(trusting(path))
        except Refused as error:
            raise OperatorError(f"{path} is refused: {error}.", "Nothing was trusted.", EXIT_USAGE) from error
        except OSError as error:
            where = error.filename or path
            raise OperatorError(f"{where}: {error.strerror}.", "Name a file or a folder.", EXIT_USAGE) from error
        if not found:
            raise OperatorError(f"There are no tools in {path}.", "Nothing was trusted.", EXIT_USAGE)
        contents += found
    Trust(os.environ).give(contents)
    for file, content in dict(contents).items():
        print(f"{digest_of(content)}  {printable(str(file))}")
    return 0
