"""`exitpin exitmap`: a module of exitmap, as it was published, through each chosen exit. A probe is a run like any
other: `exitmap_scan.py` says what comes before and after."""

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import EXIT_USAGE, OperatorError
from .asked import Caller
from .lab_place import folders_of
from .repeats import check_counts
from .run import add_options
from .vantage import inside

if TYPE_CHECKING:
    from ...wrappers.exitmap.imports import Outline
    from ..network import Vantage

HELP = """\
Run an exitmap module, unmodified, through each chosen exit (default: all): each probe is a run of its own, on a Tor
circuit of its own, as under `exitpin run`. Whatever the module opens, in Python, in commands, or in programs that it
starts by itself, leaves by that exit, or not at all.

What a module logs and dumps is kept with the run. Of its destinations an exit must allow one.

setup() has no network unless you say which: --setup EXIT gives it a circuit of its own, and --setup direct this
machine's network, in the clear. A setup() that wants a network and has none ends the scan: the module would compare
what exits answer with nothing.
"""

EPILOG = """\
exit status: 0 every probe returned; 123 one raised, exited or hung; 125 a run could not be attributed, or setup() or
             teardown() failed; 2 exitpin was misused; 128+N exitpin was interrupted by signal N

examples:
  exitpin exitmap --lab -e exit01,exit02 ./dnsresolution.py --host v4.test
  exitpin exitmap ./dnspoison.py --setup direct --sample 20 --json > scan.ndjson
  exitpin exitmap ./patchingCheck.py --setup FINGERPRINT -e all --not-flag BadExit --wide -a ./analysis
"""

LEVELS = ("debug", "info", "warning", "error", "critical")


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "exitmap", help="run modules of exitmap through exits", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add_options(parser, required=False)
    parser.set_defaults(resolve=None)
    group = parser.add_argument_group("the module")
    group.add_argument("-H", "--host", metavar="HOST", help="its target, for modules that take one")
    group.add_argument("-p", "--port", type=int, metavar="PORT", help="the port of its target")
    group.add_argument(
        "--setup", metavar="EXIT", default="offline",
        help="where setup() connects from: this exit, `direct` (this machine, in the clear) or `offline` (the default)",
    )  # fmt: skip
    group.add_argument(
        "-a", "--analysis-dir", metavar="PATH",
        help="where the module's files go, into a folder with its name and the time (default: each run's evidence)",
    )  # fmt: skip
    group.add_argument(
        "-v", "--verbosity", choices=LEVELS, metavar="LEVEL", default="info", help="the least level of log lines (info)"
    )
    parser.add_argument("module", metavar="MODULE.py", help="the module's file")
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Carry out the scan."""
    check_counts(args)
    path, outline = _module(args.module)
    if args.port is not None and not 0 < args.port < 65536:
        raise OperatorError(f"{args.port} is no port.", "Write one from 1 to 65535.", EXIT_USAGE)
    if args.host is not None and (not args.host or not args.host.isprintable() or " " in args.host):
        raise OperatorError(f"{args.host!r} is no host.", "Write a name or an address.", EXIT_USAGE)
    files = {"--events": args.events, "--joblog": args.joblog}
    if args.analysis_dir:
        files["--analysis-dir"] = f"{args.analysis_dir}/{path.stem}"
    folders = [*folders_of(files)]
    environment = Caller.of_this_process().environment

    def work(vantage: "Vantage") -> int:
        from .exitmap_scan import ModuleScan

        for folder in folders:
            folder.refuse_another()
        return asyncio.run(ModuleScan(args, vantage, path, outline, environment).execute())

    return inside(args, work)


def _module(name: str) -> "tuple[Path, Outline]":
    """Its file, and what that says of itself. Raises OperatorError for what can't be a module of exitmap's."""
    from ...wrappers.exitmap.imports import Outline

    path = Path(name).absolute()
    try:
        outline = Outline.of(path)
    except OSError as error:
        hint = "Name the module's file, e.g. src/modules/checktest.py of a checkout of exitmap."
        raise OperatorError(f"{name} can't be read: {error.strerror}.", hint, EXIT_USAGE) from None
    except (SyntaxError, ValueError) as error:
        place = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        hint = "Modules for Python 2 have to be ported first (2to3)."
        raise OperatorError(f"{name}{place}: this is not Python 3: {error}.", hint, EXIT_USAGE) from None
    if "probe" not in outline.names:
        hint = "`exitpin run` and `exitpin sh` run programs and scripts."
        raise OperatorError(f"{name} is no exitmap module: it defines no probe().", hint, EXIT_USAGE)
    return path, outline
