"""`exitpin audit --resume` and `--retry-failed`: the scan to go on with, as it was begun; what of it is known, and what
is asked again. `audit_scan.py` carries it out.
"""

import argparse
import os
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..audit.recalling import KnownVerdict, Recollection, recall, standing
from ..audit.scan_plan import ScanPlan
from ..errors import EXIT_FAILED, EXIT_USAGE, OperatorError
from ..results.exact_facts import exact_facts
from ..results.scan_lock import is_running
from ..results.store import store_path
from ..results.stored import Reader, Wanted, open_store
from .alert_options import words_of
from .results_store import shown
from .same_question import changes
from .selectors import selectors_given

Json = dict[str, Any]

AS_IT_WAS = ("repeat", "seed", "direct_control", "wide", "order", "newcomers")
"""Settings that a scan keeps for all its life: they say what is asked, and of whom."""
UNLESS_SAID = (
    *("jobs", "rate", "per_destination", "build_delay", "build_jitter", "timeout", "hops", "network_wait"),
    *("containment", "allow", "read_only", "dns_server"),
)
"""Settings that may be other ones when it goes on."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """A scan to go on with. `is_retry`: what ended in an error is asked again, and nothing else."""

    scan: Json
    is_retry: bool

    @property
    def scan_id(self) -> str:
        return str(self.scan["scan_id"])


def find(args: argparse.Namespace, environment: Mapping[str, str]) -> Resumed:
    """The scan that is meant, its settings put into `args`. Raises OperatorError when there is none, or when the
    command line says what only a new scan can do."""
    from .results_find import find_scan

    is_retry = bool(args.retry_failed)
    refused = [*args.tools, *selectors_given(args)]
    if refused or args.repeat is not None:
        hint = "`exitpin audit --resume SCAN` is enough; for anything else begin a new scan."
        raise OperatorError("a scan that is resumed has its tools, exits and repetitions already.", hint, EXIT_USAGE)
    path = Path(args.store or store_path(environment))
    reader = open_store(path)
    if reader is None:
        raise OperatorError(f"nothing was recorded yet ({path}), so nothing can be resumed.", "", EXIT_USAGE)
    with reader:
        named = args.resume if args.resume not in (None, "last") else None
        scan_id = find_scan(reader, named) if named else reader.latest_scan() if is_retry else _unfinished(reader)
        scan = reader.scan(scan_id) if scan_id is not None else None
        if scan_id is not None and is_running(reader.blobs.directory, scan_id):
            hint = "Wait for its end, or end it: two at once would ask everything twice."
            # a watch tries again: what it goes on with may still be ending
            status = EXIT_USAGE if args.iteration is None else EXIT_FAILED
            raise OperatorError(f"scan {scan_id} is running.", hint, status)
    hint = "`exitpin results list --scans` shows all."
    if scan is None:
        raise OperatorError("there is no scan that was interrupted.", hint, EXIT_USAGE)
    if scan["state"] == "earlier":
        raise OperatorError(f"scan {scan_id} is of a version that kept too little to go on with.", hint, EXIT_USAGE)
    take_settings(args, scan)
    return Resumed(scan, is_retry)


def _unfinished(reader: Reader) -> str | None:
    """The latest scan that was interrupted or killed; one that is running only if there is no other."""
    found = reader.unfinished_scans()
    ended = (scan_id for scan_id in found if not is_running(reader.blobs.directory, scan_id))
    return next(ended, found[0] if found else None)


def read_again(resumed: Resumed, store: Path) -> Resumed:
    """The same, as it stands now that its lock is held: another session may have gone on with it meanwhile."""
    return as_it_stands(resumed.scan_id, store, is_retry=resumed.is_retry)


def as_it_stands(scan_id: str, store: Path, *, is_retry: bool) -> Resumed:
    """A scan of the store, to go on with."""
    reader = open_store(store)
    assert reader is not None
    with reader:
        scan = reader.scan(scan_id)
    assert scan is not None
    return Resumed(scan, is_retry)


def recorded(scan_id: str, store: Path) -> frozenset[str] | None:
    """The ids of the verdicts of a scan that the store has; None: it can't be read."""
    try:
        reader = open_store(store)
        if reader is None:
            return frozenset()
        with reader:
            return frozenset(reader.names(Wanted(scan=scan_id, kind="verdict")))
    except OperatorError:
        return None


def take_settings(args: argparse.Namespace, scan: Json) -> None:
    """The command line of the scan, as far as this one does not say otherwise."""
    settings: Json = scan["settings"]
    for name in AS_IT_WAS:
        setattr(args, name, settings.get(name))
    for name in UNLESS_SAID:
        if getattr(args, name) in (None, []) and settings.get(name) is not None:
            setattr(args, name, settings[name])
    args.tools = [tool["word"] for tool in scan["tools"]]
    vantage = scan["vantage"]
    if not args.lab and not args.control and vantage.get("kind") == "lab":
        args.lab, args.name = True, args.name or vantage.get("name")


def settings_of(args: argparse.Namespace, seed: int) -> Json:
    """What `find` puts back."""
    return {**{name: getattr(args, name) for name in (*AS_IT_WAS, *UNLESS_SAID)}, "seed": seed}


def given_values(resumed: Resumed, tool_id: str) -> dict[str, str]:
    """The parameters of a tool as the scan had them, but for its secrets: those were not kept."""
    tool = next(tool for tool in resumed.scan["tools"] if tool["id"] == tool_id)
    return {name: str(value) for name, value in tool["params"].items() if name not in tool["secret"]}


def check_tool(resumed: Resumed, tool_id: str, digest: str, key: str) -> None:
    """Raises OperatorError when it is not the tool, or not the question, that the scan began with."""
    known: Json = next((tool for tool in resumed.scan["tools"] if tool["id"] == tool_id), {})
    for change in changes(tool_id, known, digest, key, f"scan {resumed.scan_id}"):
        word = shlex.quote(shown(known.get("word") or tool_id))
        hint = change.remedy or f"Begin a new scan: `exitpin audit {word}`."
        raise OperatorError(change.sentence, hint, EXIT_USAGE)


def recollect(resumed: Resumed, plan: ScanPlan, store: Path, consensus: str) -> Recollection:
    """What the store knows of the scan; its lock is held, so that nobody sweeps it from now on, and nobody sweeps while
    it is read. Raises OperatorError."""
    reader = open_store(store)
    assert reader is not None
    with reader, reader.blobs.writing():
        wanted = Wanted(scan=resumed.scan_id, kind="verdict")
        return recall(
            plan.pairs,
            [(audit, relay) for audit in plan.audits for relay in audit.candidates],
            map(KnownVerdict.of, reader.query(wanted)),
            reader.query(Wanted(scan=resumed.scan_id, kind="run")),
            lambda record: exact_facts(reader, record),
            now=time.time(),
            retry_failed=resumed.is_retry,
            consensus=consensus,
        )


def account_sentence(resumed: Resumed, plan: ScanPlan, known: Recollection) -> str:
    """What is skipped, and what is asked."""
    kept, stay = sum(map(len, known.runs.values())), len(standing(plan, known))
    left = len(plan.pairs) + len(plan.skipped)
    said = f"scan {resumed.scan_id}: {stay} of {resumed.scan['planned']} verdicts stay as they are"
    if kept:
        said += f", and {kept} runs that had ended are not made again"
    said += f"; {left} {'that ended in an error are asked again' if resumed.is_retry else 'are left to be asked'}"
    if known.superseded:
        said += f", {len(known.superseded)} of their runs anew (interrupted, in error, or too old to be compared)"
    untouched = int(resumed.scan["planned"]) - stay - left
    if resumed.is_retry and untouched > 0:
        said += f"; {untouched} were never answered: --resume without --retry-failed asks those"
    return said


def command(
    scan_id: str, args: argparse.Namespace, secrets: Mapping[str, tuple[str, ...]], *, is_retry: bool = False
) -> str:
    """What to type to go on. `secrets`: by tool the names of the secret parameters, which have to be given again;
    `is_retry`: what ended in an error is to be asked again, and nothing else."""
    words = ["exitpin", "audit", "--resume", scan_id]
    if args.store:
        words += ["--store", os.path.abspath(args.store)]
    if args.control:
        words += ["--control", args.control]
    if args.fail_on != "tampered":
        words += ["--fail-on", args.fail_on]
    if is_retry:
        words.append("--retry-failed")
    given = [f"-p {tool}.{name}=..." for tool, names in secrets.items() for name in names]
    told = [shlex.join(words_of(args))] if args.on else []
    return " ".join([shlex.join(words), *given, *told])
