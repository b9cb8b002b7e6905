"""`exitpin report`: what was found, for those who were not there. Each form lives in a module of its own."""

import argparse

from . import report_email, report_html, report_prom, report_status

EPILOG = """\
examples:
  exitpin report html -o scan.html      the last scan as one page
  exitpin report email ID               a finding as a mail; printed, not sent
  exitpin report status                 a check for monitoring
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "report", help="findings for people, and for what watches over scans", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    verbs = parser.add_subparsers(title="verbs", dest="report_verb", metavar="VERB", required=True)
    for form in (report_email, report_html, report_prom, report_status):
        form.register(verbs)
