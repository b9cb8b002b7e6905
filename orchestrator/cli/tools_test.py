"""`exitpin tools test`: do a tool's rules still say of stored answers what they should, and what of dead ports?

The former is `tools_fixtures.py`'s, the latter (`--chaos`) `tools_chaos.py`'s; here are the words of the command.
"""

import argparse
import os
import sys

DESCRIPTION = """\
Read and judge the stored answers of tools (`test` in their files), without any network: a line for each, `ok` if the
rules say what is expected. Without TOOL, all tools that come with exitpin and all of yours. With --chaos, run the tools
for real against ports that are closed, silent, resetting or that talk garbage, without Tor.

exit status: 0 all is as expected; 1 something is not; 2 exitpin was misused

examples:
  exitpin tools test
  exitpin tools test tls-cert @dns
  exitpin tools test ./mine.toml --json
  exitpin tools test --chaos http-body
  exitpin tools test --chaos @all --timeout 5m --seed 7
"""


def register_test(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `test`."""
    parser = subparsers.add_parser(
        "test",
        help="try tools on stored answers, or on dead ports",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tools", metavar="TOOL", nargs="*", help="ID, @TAG or ./FILE")
    parser.add_argument("--chaos", action="store_true", help="run against dead ports instead")
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    chaos = parser.add_argument_group("with --chaos")
    chaos.add_argument(
        "-p", "--param", dest="params", action="append", default=[], metavar="[TOOL.]NAME=VALUE",
        help="a tool's parameter, where the lab's default won't do; repeatable",
    )  # fmt: skip
    chaos.add_argument("--timeout", metavar="TIME", help="cut runs off after that (8s), unless the tool says less")
    chaos.add_argument("--seed", type=int, default=0, metavar="N", help="of the garbage")
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Test what is named, or everything."""
    from ...wrappers.output import printable
    from .tools_found import catalogue

    found = catalogue()
    tools = found.resolve(args.tools or ["@all"])
    for note in found.notes:
        print(f"exitpin: {printable(note)}", file=sys.stderr)
    if args.chaos:
        from .tools_chaos import run_chaos

        return run_chaos(tools, args)
    from .tools_fixtures import report_fixtures

    return report_fixtures(tools, is_json=args.json, path=os.environ.get("PATH", os.defpath))
