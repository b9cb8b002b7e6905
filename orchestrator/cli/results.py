"""`exitpin results`: what was recorded. Each verb lives in a module of its own."""

import argparse

from . import (
    results_bundle,
    results_diff,
    results_export,
    results_gc,
    results_history,
    results_list,
    results_show,
    results_verify,
)

VERBS = (
    results_list,
    results_show,
    results_diff,
    results_history,
    results_export,
    results_verify,
    results_bundle,
    results_gc,
)

EPILOG = """\
examples:
  exitpin results list                  what the last scan found
  exitpin results show ID               everything about one verdict, or one run
  exitpin results verify                is all of it consistent with its evidence?
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "results", help="list, show, compare, check and hand on what was recorded", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    verbs = parser.add_subparsers(title="verbs", dest="results_verb", metavar="VERB", required=True)
    for verb in VERBS:
        verb.register(verbs)
