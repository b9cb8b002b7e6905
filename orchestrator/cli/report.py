"""`exitpin report`: what was found, for those who were not there. Each form lives in a module of its own."""

import argparse

from . import report_email, report_html, report_prom, report_status


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = subparsers.add_parser("report", help="findings for people, and for what watches over scans")
    verbs = parser.add_subparsers(title="verbs", dest="report_verb", metavar="VERB", required=True)
    for form in (report_email, report_html, report_prom, report_status):
        form.register(verbs)
