"""`exitpin results show`: everything about one verdict, or one run, for somebody who was not there."""

import argparse
import json
from typing import Any

from ..errors import EXIT_USAGE, OperatorError
from ..results.stored import Reader
from .results_facts import facts_page
from .results_store import add_store, exit_name, moment, opened, shown

HELP = """\
Show everything about a verdict or a run: who was asked what, how many runs lied, which circuit and exit carried each
connection and by which witnesses that is known, what the controls saw, the facts side by side, and how to see it again.
"""

EPILOG = """\
ID is what `results list` shows in its last column, or how it begins, if nothing else begins so. What the exit may have
written is shown escaped. --json prints the record itself, whole (docs/record.rst).

examples:
  exitpin results show 20260501T1200-3f9a2b-v0001
  exitpin results show 20260501T1200-3f9a2b-v0001 --json | jq .exit
"""

OUTPUT_LINES = 12
STREAMS_MAX = 20

Json = dict[str, Any]


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "show", help="everything about one of them", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("id", metavar="ID", help="of a verdict or a run, or how it begins")
    parser.add_argument("--json", action="store_true", help="the record as one JSON object")
    add_store(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Print it. Raises OperatorError when the id is nobody's, or several records'."""
    with opened(args) as reader:
        record = find_record(reader, args.id)
        if args.json:
            print(json.dumps(record, ensure_ascii=True, indent=2))
            return 0
        for line in page(reader, record):
            print(shown(line))
    return 0


def find_record(reader: Reader, name: str) -> Json:
    """The record with this id, or the only one whose id begins so. Raises OperatorError."""
    found = reader.record(name)
    if found is not None:
        return found
    near = reader.ids(name) if name else []
    if not near:
        hint = "`exitpin results list` shows the ids of verdicts, with --runs those of runs."
        raise OperatorError(f"there is no record {shown(name)}.", hint, EXIT_USAGE)
    if len(near) > 1:
        hint = f"Say one of {', '.join(map(shown, near))}{', ...' if len(near) >= 10 else '.'}"
        raise OperatorError(f"{shown(name)} begins the ids of several records.", hint, EXIT_USAGE)
    only = reader.record(near[0])
    assert only is not None
    return only


def page(reader: Reader, record: Json) -> list[str]:
    """The lines of the whole page, not yet escaped."""
    is_run = "run_id" in record
    runs = [record] if is_run else [_run(reader, told) for told in record.get("runs") or ()]
    lines = _head(record, is_run)
    lines += ["", "runs" if len(runs) != 1 else "run"]
    for run in runs:
        lines += _run_lines(run)
    lines += facts_page(runs, record.get("controls") or [])
    if is_run or (len(runs) == 1 and runs[0].get("process")):
        lines += _output_lines(runs[0].get("process") or {})
    return [*lines, "", "to see it again", f"  {record.get('reproduce') or 'not known'}"]


def _run(reader: Reader, told: Json) -> Json:
    """A run of a verdict, from its own record; what the verdict tells of it, if that is gone."""
    found = reader.record(str(told.get("run_id")))
    return {**told, "is_gone": True} if found is None else {**found, "doubts": told.get("doubts")}


def _head(record: Json, is_run: bool) -> list[str]:
    verdict: Json = (record.get("verdict") or {}) if is_run else record
    tool, of_exit = record.get("tool") or {}, record.get("exit") or {}
    status = str(record.get("status")).upper()
    severity = f" ({verdict['severity']})" if verdict.get("severity") else ""
    lines = [f"{status}{severity}: {tool.get('id') or ' '.join(tool.get('argv') or ())} through {exit_name(record)}"]
    if verdict.get("reason"):
        lines.append(f"  {verdict['reason']}")
    lines.append("")
    rows = [
        ("exit", f"{of_exit.get('nickname')}  {of_exit.get('fingerprint')}"),
        ("", _exit_words(of_exit)),
        ("network", _network_words(record.get("vantage") or {})),
        ("tool", f"{tool.get('id')}: {tool['summary']}" if tool.get("summary") else tool.get("id")),
        ("", _tool_words(tool)),
        ("", _params_words(tool.get("params") or {})),
        ("rule", _rule_words(verdict)),
        ("runs", _lied_words(record) if not is_run else None),
        ("undecided", ", ".join(verdict.get("undecided") or ())),
        ("failure", _failure_words(record.get("failure"), record.get("layer") or verdict.get("layer"))),
        ("when", _when(record)),
        ("id", record.get("run_id") or record.get("verdict_id")),
        ("scan", record.get("scan_id")),
        ("evidence", ", ".join(record.get("evidence") or ())),
    ]
    return lines + [f"{name:<10} {told}" for name, told in rows if told]


def _exit_words(of_exit: Json) -> str:
    known = [
        ("", ", ".join(of_exit.get("addresses") or ())),
        ("flags ", " ".join(of_exit.get("flags") or ())),
        ("family ", " ".join(of_exit.get("family") or ())),
        ("contact ", of_exit.get("contact")),
        ("consensus of ", of_exit.get("consensus")),
    ]
    return "; ".join(f"{label}{value}" for label, value in known if value)


def _network_words(vantage: Json) -> str:
    names = {"lab": f"the lab {vantage.get('name') or ''}", "own": "the Tor network, by a tor of exitpin's own"}
    kind = str(vantage.get("kind") or "")
    where = names.get(kind, f"the Tor network, by {vantage.get('name') or kind}" if kind else "")
    return f"{where}, tor {vantage['tor']}" if vantage.get("tor") else where


def _tool_words(tool: Json) -> str:
    version = " ".join(str(tool[name]) for name in ("binary", "version") if tool.get(name))
    digest = f"digest {tool['digest'][:16]}" if tool.get("digest") else ""
    return "; ".join(filter(None, (" ".join(tool.get("argv") or ()), version, digest)))


def _params_words(params: Json) -> str:
    return ", ".join(f"{name}={value}" for name, value in params.items())


def _rule_words(verdict: Json) -> str | None:
    if verdict.get("rule") is None:
        return None
    return f"{verdict['rule'] + 1}: {verdict['status']} when {verdict.get('when')}"


def _lied_words(record: Json) -> str | None:
    answered, lied, runs = record.get("of") or 0, record.get("lied") or 0, len(record.get("runs") or ())
    if not answered:
        return f"none of {runs} got an answer" if runs else None
    return f"{lied} of {answered} that got an answer lied; {runs} in all"


def _failure_words(failure: Json | None, layer: object) -> str | None:
    if failure is None:
        return None
    again = "may pass if tried again" if failure.get("retryable") else "not worth another try"
    where = f", layer {layer}" if layer else ""
    return f"{failure.get('kind')} (blame: {failure.get('blame')}{where}; {again}): {failure.get('detail')}"


def _when(record: Json) -> str:
    times = record.get("t") or {}
    began, ended = record.get("started") or record.get("start") or times.get("queue"), times.get("end")
    return f"{moment(began)} to {moment(record.get('ended') or ended) or '?'} UTC"


def _run_lines(run: Json) -> list[str]:
    lines = [f"  {run.get('run_id')}  {run.get('role') or 'run'}, {run.get('status') or 'not judged'}"]
    verdict = run.get("verdict") or run
    if verdict.get("reason"):
        lines.append(f"    {verdict['reason']}")
    lines += [f"    in doubt: {doubt}" for doubt in run.get("doubts") or ()]
    if run.get("is_gone"):
        return [*lines, "    (its own record is not in the store)"]
    if run.get("failure"):
        lines.append(f"    {_failure_words(run['failure'], verdict.get('layer'))}")
    process = run.get("process") or {}
    lines.append(f"    the tool: {_end_words(process)}")
    for circuit in run.get("circuits") or ():
        why = f"  (ended: {circuit['reason']})" if circuit.get("reason") else ""
        lines.append(f"    circuit {circuit.get('id')}: {' > '.join(circuit.get('path') or ())}{why}")
    streams = run.get("streams") or []
    for stream in streams[:STREAMS_MAX]:
        lines += _stream_lines(stream)
    if len(streams) > STREAMS_MAX:
        lines.append(f"    and {len(streams) - STREAMS_MAX} streams more (--json has all)")
    lines += [f"    refused: {d.get('reason')} {d.get('what')} (pid {d.get('pid')})" for d in run.get("denied") or ()]
    return lines


def _end_words(process: Json) -> str:
    if process.get("timed_out"):
        return "timed out"
    if process.get("signal") is not None:
        return f"ended by signal {process['signal']}"
    return "did not end" if process.get("rc") is None else f"exit status {process['rc']}"


def _stream_lines(stream: Json) -> list[str]:
    what = "look-up of " if stream.get("is_lookup") else ""
    found = f" ({stream['resolved']})" if stream.get("resolved") else ""
    why = " ".join(str(stream[name]) for name in ("reason", "remote_reason") if stream.get(name))
    witnesses = ", ".join(stream.get("witnesses") or ()) or "none"
    return [
        f"    stream {stream.get('stream_id')} on circuit {stream.get('circuit_id')}: {what}{stream.get('destination')}"
        f"{found} {stream.get('status')}{f', {why}' if why else ''};"
        f" {stream.get('bytes_up')} bytes up, {stream.get('bytes_down')} down",
        f"      from {stream.get('source_address')}:{stream.get('source_port')} of pid {stream.get('pid')};"
        f" witnesses: {witnesses}",
    ]


def _output_lines(process: Json) -> list[str]:
    lines: list[str] = []
    for name in ("stdout", "stderr"):
        written = process.get(name)
        if written:
            parts = written.split("\n")
            lines += ["", f"{name}, as the tool wrote it", *(f"  | {part}" for part in parts[:OUTPUT_LINES])]
            if len(parts) > OUTPUT_LINES:
                lines.append(f"  and {len(parts) - OUTPUT_LINES} lines more (--json has all that was kept)")
    return lines
