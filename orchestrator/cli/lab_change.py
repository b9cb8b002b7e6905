"""`exitpin lab change`: relays of a lab that lives come, go, change policy and identity; its authorities stop."""

import argparse
import json
import sys

from ..duration import duration_s
from ..lab import state as lab_state
from ..lab.change import Change, Changed, Verb
from ..lab.state import LabState
from ..model import Snapshot

DESCRIPTION = """\
Change the network of a lab that lives (`exitpin lab up --voting 10s`). A change is made when the command returns; the
network hears of it as Tor's does: the relay publishes a descriptor, the authorities vote, the client fetches their
consensus, which takes one to three voting intervals. With --wait the command returns when the client's consensus shows
it. Who lived at which address, and when, is written to relays.jsonl in the lab's folder.
"""

EPILOG = """\
exit status: 0 it is made; 2 exitpin was misused; 124 it is made, and --wait has not seen it in time
             125 it could not be made

examples:
  exitpin lab change add newcomer --wait
  exitpin lab change add webonly --policy 'accept *:80'
  exitpin lab change add twin --like exit03           conducts itself as another does
  exitpin lab change policy exit02 'reject *:25' 'accept *:*' --wait
  exitpin lab change rekey exit05                     the same name and address, another fingerprint
  exitpin lab change remove exit06 exit07
  exitpin lab change restore exit06
  exitpin lab change authorities stop --wait          returns when the client's consensus is not valid any more
"""

RELAYS = "its nickname; exits, or relays for first hops"


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> list[argparse.ArgumentParser]:
    """Add the verb `change` of `lab`; the parsers of its own verbs."""
    formatter = argparse.RawDescriptionHelpFormatter
    change = verbs.add_parser(
        "change",
        help="add, remove or change relays of a lab that lives, or stop its authorities",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=formatter,
    )
    what = change.add_subparsers(dest="change_verb", required=True, metavar="VERB")

    add = what.add_parser("add", help="a new exit, under the next free address")
    add.add_argument("names", nargs=1, metavar="NICKNAME", help="up to 19 letters and digits")
    conduct = add.add_mutually_exclusive_group()
    conduct.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="RULE",
        help="its exit policy: 'accept *:80', may be repeated, or several with commas between (default: accepts all)",
    )
    conduct.add_argument("--like", default="", metavar="RELAY", help="let it conduct itself as this exit does")

    remove = what.add_parser("remove", help="stop relays; the authorities leave them out")
    restore = what.add_parser("restore", help="start removed ones again, as they were")
    rekey = what.add_parser("rekey", help="give relays a new identity under the same name and address")
    for parser in (remove, restore, rekey):
        parser.add_argument("names", nargs="+", metavar="RELAY", help=RELAYS)

    policy = what.add_parser("policy", help="let an exit declare, and keep to, another exit policy")
    policy.add_argument("names", nargs=1, metavar="RELAY", help="the exit's nickname")
    policy.add_argument(
        "policy", nargs="+", metavar="RULE", help="'accept *:80'; the last one is 'reject *:*' unless you say otherwise"
    )

    authorities = what.add_parser("authorities", help="stop voting and serving the directory, or start again")
    authorities.add_argument("action", choices=("stop", "start"), help="what they do")

    parsers = [add, remove, restore, policy, rekey, authorities]
    for parser in parsers:
        parser.add_argument("--wait", action="store_true", help="return when the client's consensus shows it")
        parser.add_argument(
            "--timeout", type=_time, metavar="TIME", help="how long --wait waits (default: ten voting intervals)"
        )
        parser.add_argument("--json", action="store_true", help="print the relays concerned as JSON")
        parser.set_defaults(execute=execute)
    return parsers


def execute(args: argparse.Namespace) -> int:
    """Have it made, and seen."""
    from ...wrappers import lab_ask

    lab = lab_state.load(args.name)
    change = change_of(args)
    changed = lab_ask.make(lab, change)
    snapshot = None
    if args.wait:
        assert lab.voting is not None, "BUG: a frozen lab has changed"
        snapshot = lab_ask.wait(lab, change, changed, args.timeout or 10.0 * lab.voting.interval_s)
    _print(lab, changed, snapshot, args.json)
    return 0


def change_of(args: argparse.Namespace) -> Change:
    """What the words of a command line ask for."""
    if args.change_verb == "authorities":
        return Change(Verb.STOP_AUTHORITIES if args.action == "stop" else Verb.START_AUTHORITIES)
    return Change(
        Verb(args.change_verb), tuple(args.names), tuple(getattr(args, "policy", ())), getattr(args, "like", "")
    )


def _print(lab: LabState, changed: list[Changed], snapshot: Snapshot | None, as_json: bool) -> None:
    seen = snapshot.valid_after if snapshot else None
    if as_json:
        relays = [
            {"nickname": one.nickname, "fingerprint": one.fingerprint, "address": one.address, "is_up": one.is_up}
            for one in changed
        ]
        print(json.dumps({"lab": lab.name, "relays": relays, "valid_after": seen}, indent=1))
        return
    for one in changed:
        print(f"{one.nickname:<19} {one.address:<15} {one.fingerprint}  {'up' if one.is_up else 'stopped'}")
    if seen:
        print(f"exitpin: The client's consensus is the one of {seen} UTC.", file=sys.stderr)


def _time(text: str) -> float:
    try:
        return duration_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 90s or 2m") from error
