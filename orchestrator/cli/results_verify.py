"""`exitpin results verify`: what was recorded, held against its evidence: a store, a bundle, or files of `run`.

Here is the verb and its help; what it does lives in `results_verify_records.py`, imported when it is carried out: the
other verbs of `results` should not wait for it.
"""

import argparse

from .results_store import add_store

HELP = """\
Hash all evidence once more, and recompute, without Tor, which exit carried each connection: from Tor's raw lines and
the shim's raw reports, compared with the records; and whether each verdict tells of its runs what they tell themselves.

  verify                    the whole store
  verify --scan ID          one scan
  verify ID...              verdicts, with their runs and controls; or single runs
  verify FILE               a bundle (results bundle), by itself: no store is needed
  verify EVENTS RECORDS     what `run --events` and `run --json` wrote

It says "consistent": records and evidence agree with each other. It can't say "proven": whoever wrote them could have
written all of it.
"""

EPILOG = """\
A line for each disagreement, and for each piece that is missing, damaged or cut; at most 50 are shown, --json has all.
At last a line with what was checked. Runs of which no events were kept (of earlier versions) are counted apart.

exit status: 0 consistent; 1 not, or there was nothing that could be checked; 2 misused

examples:
  exitpin results verify
  exitpin results verify --scan last --json
  exitpin results verify finding.tar.gz
  exitpin results verify scan.ndjson.gz scan.ndjson
"""


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "verify", help="hold records against their evidence", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("what", metavar="ID|FILE", nargs="*", help="ids, a bundle, or EVENTS and RECORDS (- for stdin)")
    parser.add_argument("--scan", metavar="ID", help="a scan's id, or how it begins; last; all")
    parser.add_argument("--json", action="store_true", help="the result as one JSON object")
    add_store(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """0 when all is consistent, 1 when not. Raises OperatorError."""
    from .results_verify_records import verify

    return verify(args)
