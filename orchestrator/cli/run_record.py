"""What a run of a typed command begins with and leaves: its name, the level that it wants, its record, its evidence's
place.

Called for runs of this process (`run_scan.py`) and for those of clients (`daemon_lease.py`).
"""

import argparse
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from ...wrappers.desk import Given
from ...wrappers.environment import dropped_proxies
from ...wrappers.launch import ToolLaunch
from ...wrappers.output import Output
from ..containment import of_run
from ..errors import OperatorError
from ..evidence import EvidenceLog
from ..observation import fold
from ..runs import Life
from .run_given import add_given


def new_scan_id() -> str:
    """When it began, in UTC, and something that no other has."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def wanted_by_command(args: argparse.Namespace, command: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The level that a command (a path, or a name to be found) wants, and why: hooks can't steer every program. One
    that only resolves by itself can do without names, if a level was asked for."""
    from ...wrappers.program import look_at

    program = look_at(command, environment.get("PATH", os.defpath))
    if program.unhooked:
        return {"notify": f"{program.path}: {program.unhooked}"}
    if args.containment is None and program.wants_notify:
        return {"notify": f"{program.path}: it asks name servers itself, over UDP"}
    return {}


def notes_on(environment: Mapping[str, str]) -> Iterator[str]:
    """A sentence on each setting of the caller that a run does not obey."""
    if any(name.startswith("TORSOCKS_") for name in environment):
        from ...wrappers.torsocks import read_torsocks_settings

        yield from read_torsocks_settings(environment).notes()
    for name in dropped_proxies(environment):
        yield f"{name} is not passed on: inside a run every connection goes through the exit"


def events_path(environment: Mapping[str, str], scan_id: str) -> Path:
    """Where the evidence of records is kept that name no other place."""
    base = environment.get("XDG_STATE_HOME", "")
    if not base.startswith("/"):  # XDG Base Directory: a relative one is ignored
        base = os.path.join(environment.get("HOME") or os.path.expanduser("~"), ".local", "state")
    return Path(base, "exitpin", "events", f"{scan_id}.ndjson.gz")


def evidence_file(named: str) -> Path:
    """What --events names, in a folder that is there. Raises OperatorError."""
    path = Path(named).absolute()
    if not path.parent.is_dir():
        raise OperatorError(f"{path} can't be written: there is no folder {path.parent}.", "Nothing was started.")
    return path


def open_evidence(path: Path | None, header: Mapping[str, object]) -> EvidenceLog:
    """Where the evidence of runs goes that are yet to begin. Raises OperatorError."""
    try:
        return EvidenceLog(path, header)
    except OSError as error:
        raise OperatorError(f"{path} can't be written: {error.strerror}.", "Nothing was started.") from error


def close_evidence(evidence: EvidenceLog) -> None:
    """Write it to its end. Raises OperatorError."""
    try:
        evidence.close()
    except OSError as error:
        problem = f"{evidence.path} could not be written to its end: {error.strerror}."
        raise OperatorError(problem, "There is no proof of what was run.") from error


def given_of(launch: ToolLaunch | None) -> Given:
    """What the command gave to its run."""
    return Given() if launch is None else launch.given


def record_line(life: Life, launch: ToolLaunch | None, scan: Mapping[str, object]) -> bytes:
    """The run's record, as one line of JSON."""
    record = fold(life, of_run(scan, launch), _written(launch))
    add_given(record, given_of(launch))
    return json.dumps(record, ensure_ascii=True).encode() + b"\n"


def _written(launch: ToolLaunch | None) -> dict[str, object]:
    outputs: list[tuple[str, Output | None]] = [(name, getattr(launch, name, None)) for name in ("stdout", "stderr")]
    written: dict[str, object] = {"truncated": any(o is not None and o.is_truncated for _, o in outputs)}
    for name, output in outputs:
        written[name] = bytes(output.kept).decode("utf-8", "backslashreplace") if output else None
    return written
