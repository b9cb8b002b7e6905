"""The records of an audit: of each run (`exitpin.run/1`, as `observation.fold` began it) and of the verdict on an exit
(`exitpin.verdict/1`). Pure; called by `auditing.py`, which hands them to the store.

Both are self-contained: whoever reads one a year later needs neither the tool's file nor the other records to know who
did what, and how to see it again. What of the tool and its output may be told is `disclosure.py`'s to say.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ..model import Failure, Relay
from ..observation import evidence_files, exit_table, failure_table, status_of, vantage_words
from ..results.exhibit import Exhibit
from ..tool import CONTROL_MATCHERS, Condition, Facts, Rule, Status, Tool
from .cases import Attempt, Conclusion
from .controls import Controls
from .disclosure import ToolUse, facts_shown, output_kept, param_shown, told, without, without_any
from .verdict import Judgement

VERDICT_SCHEMA = "exitpin.verdict/1"

Record = dict[str, Any]

_WORDS = {
    "is": "is {0}", "not": "is not {0}", "in": "is one of {0}", "matches": "matches {0}", "absent": "is absent",
    "empty": "is empty", "gt": "is more than {0}", "lt": "is less than {0}", "in_cidr": "is in {0}",
    "differs": "differs from what the controls agree on", "adds": "has what the controls lack",
    "missing": "lacks what the controls have",
}  # fmt: skip
_NEGATED = {
    "absent": "is there", "empty": "is not empty", "differs": "is what the controls agree on",
    "adds": "has nothing that the controls lack", "missing": "lacks nothing that the controls have",
}  # fmt: skip

_KINDS = {"control": "control", "no-rule": "no-rule", "parse": "parse", "interrupted": "interrupted",
          "exitpin": "attribution", "tor": "tor", "circuit": "circuit", "tool": "tool"}  # fmt: skip
"""The kind of a failure of which only the layer is known."""


def run_record(
    folded: Mapping[str, object],
    use: ToolUse,
    *,
    key: str,
    role: str,
    repetition: int = 1,
    nonce: str = "",
    stdout: bytes = b"",
    stderr: bytes = b"",
    facts: Facts | None = None,
    is_exact: bool = True,
    failure: Failure | None = None,
    doubts: Sequence[str] = (),
    unusable: str | None = None,
    controls: Controls | None = None,
    judgement: Judgement | None = None,
    evidence: Sequence[Exhibit] = (),
) -> Record:
    """The record of one run. `folded`: by `observation.fold`; `nonce`: what `{{nonce}}` stood for; `facts` None: they
    were not read; `is_exact`: whether they are, here or in the evidence, what is judged; `failure`: the one failure, of
    which the fold knows only what Tor and processes said; `doubts`: why its attribution can't be recomputed;
    `unusable`: why a control is none; `judgement` None: the run was not judged (a control, or not yet, or it says
    nothing about its exit)."""
    hidden: Record = {name: without(value, use.secrets) for name, value in folded.items()}
    argv = [without_any(str(word), use.secrets) for word in _table(folded.get("tool")).get("argv") or ()]
    own = hidden["status"] if failure is None else status_of(failure)
    status = own if judgement is None else judgement.status.value
    return {
        **hidden,
        "failure": without(failure_table(failure), use.secrets) or hidden["failure"],
        "doubts": list(doubts),
        "key": key,
        "role": role,
        "repetition": repetition,
        "nonce": nonce,
        "status": status,
        "tool": _tool(use, argv),
        "process": {**_table(hidden.get("process")), **output_kept(use, status, stdout, stderr)},
        "facts": None if facts is None else facts_shown(use, facts),
        "facts_exact": is_exact,
        "unusable": unusable,
        "controls": _controls(use, controls),
        "verdict": None if judgement is None else _judgement(use, judgement),
        "evidence": [*_exhibits(evidence), *hidden.get("evidence", ())],
        "reproduce": command_line(use, str(_table(folded.get("exit")).get("fingerprint")), folded.get("vantage")),
    }


def judged_again(told: Record, use: ToolUse, controls: Controls | None, judgement: Judgement | None) -> Record:
    """The record of a run of an earlier session, as it was written then, with what is said of it now."""
    if judgement is None:
        return told
    status, words = judgement.status.value, _judgement(use, judgement)
    return {**told, "status": status, "controls": _controls(use, controls), "verdict": words}


def verdict_record(
    conclusion: Conclusion,
    use: ToolUse,
    relay: Relay,
    scan: Mapping[str, object],
    *,
    verdict_id: str,
    key: str,
    attempts: Sequence[Attempt],
    controls: Controls | None,
    started: float,
    ended: float,
    evidence: Sequence[Exhibit] = (),
) -> Record:
    """The record of what all runs through one exit say. `scan`: as for `observation.fold`; `started`, `ended`: seconds
    since the epoch; `evidence`: beyond that of its runs."""
    failure = failure_of(conclusion, attempts, told(use, conclusion.reason))
    return {
        "schema": VERDICT_SCHEMA,
        "verdict_id": verdict_id,
        "scan_id": scan["scan_id"],
        "key": key,
        "status": conclusion.status.value,
        "severity": severity_of(use.tool, conclusion.status),
        **_rule(use, conclusion.rule),
        "reason": told(use, conclusion.reason),
        "lied": conclusion.lied,
        "of": conclusion.of,
        "undecided": list(conclusion.undecided),
        "layer": conclusion.layer or None,
        "blame": None if conclusion.status is Status.OK else conclusion.blame,
        "retryable": conclusion.retryable,
        "interrupted": conclusion.is_interrupted,
        "tool": _tool(use, [without_any(word, use.secrets) for word in use.tool.command.argv]),
        "exit": exit_table(relay, scan.get("consensus")),
        "vantage": scan.get("vantage"),
        "started": started,
        "ended": ended,
        "runs": [_attempt(use, attempt) for attempt in attempts],
        "controls": _controls(use, controls),
        "failure": failure_table(failure),
        "evidence": [*_exhibits(evidence), *evidence_files(scan)],
        "reproduce": command_line(use, relay.fingerprint, scan.get("vantage")),
    }


def closed_finding(finding: Record, layer: str, why: str) -> Record:
    """The record of a finding that an interruption left open, and that can't be confirmed any more. `layer`: policy or
    gone; `why`: in words."""
    return {**finding, "interrupted": False, "layer": layer, "reason": f"{finding['reason']} ({why})"}


def failure_of(conclusion: Conclusion, attempts: Sequence[Attempt], detail: str) -> Failure | None:
    """The one failure of a verdict that is no answer: its kind is that of the first run that failed, unless the layer
    says it better. None for what is ok, and for lies: those did get an answer."""
    if conclusion.status is Status.OK or conclusion.status.is_lie:
        return None
    kinds = [attempt.failure.kind for attempt in attempts if attempt.failure is not None]
    if conclusion.status is Status.SKIPPED:
        kind = "policy" if conclusion.layer == "policy" else "requirement"
    elif conclusion.layer in ("control", "no-rule", "parse") or not kinds:
        kind = _KINDS.get(conclusion.layer, "tool")
    else:
        kind = kinds[0]
    return Failure(kind, conclusion.blame, conclusion.retryable, detail)


def severity_of(tool: Tool, status: Status) -> str | None:
    """How grave a lie is: what the tool says of a proven one. None for what is no lie."""
    return tool.severity if status.is_lie else None


def rule_in_words(rule: Rule) -> str:
    """What a rule asks for: `chain differs from what the controls agree on, and verify_code is not 0`."""
    asked = [_condition(condition) for condition in rule.when]
    if rule.any:
        asked.append(" or ".join(map(_condition, rule.any)))
    return ", and ".join(asked) or "no other rule matched"


def command_line(use: ToolUse, fingerprint: str, vantage: object) -> str:
    """What to type to have this exit asked again, by the same tool on the same network."""
    words = ["exitpin", "audit", use.word or use.tool.id, "-e", fingerprint, *vantage_words(vantage)]
    for name in sorted(use.given):
        words += ["-p", f"{name}={param_shown(use, name)}"]
    return shlex.join(words)


def compared(tool: Tool) -> tuple[str, ...]:
    """The facts that the tool's rules hold against controls; all of them, if no rule does."""
    conditions = [condition for rule in tool.verdict for condition in (*rule.when, *rule.any)]
    subjects = {condition.subject for condition in conditions if condition.matcher in CONTROL_MATCHERS}
    names = [extract.name for extract in tool.extracts]
    found = [name for name in names if any(s == name or s.startswith(f"{name}.") for s in subjects)]
    return tuple(found or names)


def _condition(condition: Condition) -> str:
    if condition.operand is False and condition.matcher in _NEGATED:
        return f"{condition.subject} {_NEGATED[condition.matcher]}"
    operand = condition.operand
    shown = ", ".join(map(str, operand)) if isinstance(operand, tuple) else str(operand)
    return f"{condition.subject} {_WORDS.get(condition.matcher, condition.matcher + ' {0}').format(shown)}"


def _tool(use: ToolUse, argv: list[str]) -> Record:
    tool = use.tool
    return {
        "id": tool.id,
        "summary": tool.summary,
        "digest": tool.digest,
        "argv": argv,
        "binary": use.binary or None,
        "version": use.version or None,
        "params": {name: param_shown(use, name) for name in use.params},
    }


def _controls(use: ToolUse, controls: Controls | None) -> list[Record]:
    names = compared(use.tool)
    return [
        {
            "vantage": sample.vantage,
            "exit": sample.exit,
            "run_id": sample.run_id or None,
            "at": sample.at,
            "facts": facts_shown(use, sample.facts, names),
        }
        for sample in (controls.samples if controls is not None else ())
    ]


def _judgement(use: ToolUse, judgement: Judgement) -> Record:
    """Of one run, in the fields of a verdict."""
    return {
        "status": judgement.status.value,
        "severity": severity_of(use.tool, judgement.status),
        **_rule(use, judgement.rule),
        "reason": told(use, judgement.reason),
        "lied": int(judgement.status.is_lie),
        "of": 1,
        "layer": judgement.layer or None,
        "undecided": list(judgement.undecided),
    }


def _rule(use: ToolUse, place: int | None) -> Record:
    """Which rule it was, by its place in the tool's file, and what it asks for."""
    words = None if place is None else told(use, rule_in_words(use.tool.verdict[place]))
    return {"rule": place, "when": words}


def _exhibits(evidence: Sequence[Exhibit]) -> list[Record]:
    return [one.told() for one in evidence]


def _attempt(use: ToolUse, attempt: Attempt) -> Record:
    judgement = attempt.judgement
    return {
        "run_id": attempt.run_id,
        "role": str(attempt.role),
        "status": None if judgement is None else judgement.status.value,
        "reason": None if judgement is None else told(use, judgement.reason),
        "t": attempt.ended_at,
        "doubts": list(attempt.doubts),
    }


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
