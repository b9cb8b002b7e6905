"""The head of a page of `results show`: what was found, of whom, by which tool and rule, when. Pure."""

from collections.abc import Iterator
from typing import Any

from ..report.fields import moment, status_word
from .page import Line
from .results_runs import failure_words
from .results_store import exit_name
from .results_table import STYLES

Json = dict[str, Any]


def head_lines(record: Json, verdict: Json, *, is_run: bool) -> Iterator[Line]:
    """What was found, and of whom. `verdict`: what the record says of itself; of a run, its own."""
    tool, of_exit = record.get("tool") or {}, record.get("exit") or {}
    status = status_word(record)
    severity = f" ({verdict['severity']})" if verdict.get("severity") else ""
    about = f"{tool.get('id') or ' '.join(tool.get('argv') or ())} through {exit_name(record)}"
    yield Line(f"{status.upper()}{severity}: {about}", STYLES.get(status, "bold"))
    if verdict.get("reason"):
        yield Line(str(verdict["reason"]), "", 2)
    yield Line()
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
        ("failure", _failure(record, verdict)),
        ("when", _when(record)),
        ("id", record.get("run_id") or record.get("verdict_id")),
        ("scan", record.get("scan_id")),
        ("replays", record.get("replays")),
    ]
    for name, told in rows:
        if told:
            yield Line(str(told), "", 0, f"{name:<10}", "bold")


def _failure(record: Json, verdict: Json) -> str | None:
    failure = record.get("failure")
    return failure_words(failure, record.get("layer") or verdict.get("layer")) if failure else None


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


def _when(record: Json) -> str:
    times = record.get("t") or {}
    began, ended = record.get("started") or record.get("start") or times.get("queue"), times.get("end")
    return f"{moment(began)} to {moment(record.get('ended') or ended) or '?'} UTC"
