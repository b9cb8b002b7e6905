"""A tool in words: for somebody who wants to know what would be run, and when an exit would be accused. Pure."""

import shlex
from collections.abc import Iterator, Mapping

from ..audit.templates import fill_known, names_in
from ..tool import FOLD_ALL, Baseline, Condition, Door, Extract, Param, Requirement, Rule, Tool, Value

WIDTH = 9
_MATCHERS: Mapping[str, str] = {
    "is": "is {}", "not": "is not {}", "in": "is one of {}", "matches": "matches {}", "gt": "is more than {}",
    "lt": "is less than {}", "in_cidr": "lies in {}",
}  # fmt: skip
_STATES: Mapping[str, tuple[str, str]] = {
    "absent": ("is absent", "is there"),
    "empty": ("is empty", "is not empty"),
    "differs": ("is no value that the controls agree on", "is a value that the controls agree on"),
    "adds": ("has something that the controls lack", "has nothing that the controls lack"),
    "missing": ("lacks something that the controls have", "lacks nothing that the controls have"),
}
_VANTAGES: Mapping[str, str] = {
    "none": "none: a run is judged by itself",
    "pinned": "values in the file",
    "direct": "this machine, without Tor (only with --direct-control)",
}
_AGAIN: Mapping[str, str] = {
    "": "on an error", "status": "when it says broken, or its circuit fails", "tap": "when its circuit fails",
}  # fmt: skip
"""By `run.parse`, which runs are made again: what such a tool leaves unsaid is an error of its own."""


def lines_of(tool: Tool) -> Iterator[str]:
    """The whole tool, a line at a time; texts of the file stand in it as they are."""
    yield f"{tool.id} ({tool.severity}): {tool.summary}"
    for line in tool.description.strip().splitlines():
        yield f"  {line}"
    yield from _entries("tags", [", ".join(tool.tags)])
    yield from _entries("file", [tool.path, f"sha256 {tool.digest}"])
    yield from _entries("runs", _command(tool))
    yield from _entries("needs", [_requirement(each) for each in tool.requires])
    which = "; exits that allow any of these are asked" if tool.select == "any" and len(tool.doors) > 1 else ""
    doors = [_door(door) for door in tool.doors] or ["nowhere: nothing may be opened"]
    yield from _entries("goes to", [*doors[:-1], doors[-1] + which])
    yield from _entries("takes", [_param(param) for param in tool.params])
    yield from _entries("reads", [_extract(each) for each in tool.extracts])
    yield from _entries("controls", [controls_words(tool.baseline)])
    unspoken = ["otherwise nothing: error of the tool"] if tool.command.parse else []
    rules = [f"{n}. {rule_words(rule, tool)}" for n, rule in enumerate(tool.verdict, 1)]
    yield from _entries("says", [*rules, *unspoken])
    confirmed = ", ".join(tool.confirm.statuses)
    yield from _entries("confirms", [f"{confirmed}: {tool.confirm.runs} more runs through the same exit"])
    yield from _entries("by hand", [" ".join(map(_word, tool.by_hand))])
    yield from _entries("see", tool.references)


def _entries(name: str, texts: "list[str] | tuple[str, ...]") -> Iterator[str]:
    for number, text in enumerate(text for text in texts if text):
        yield f"  {name if number == 0 else '':<{WIDTH}} {text}"


def _command(tool: Tool) -> list[str]:
    command = tool.command
    lines = [" ".join(map(_word, command.argv))]
    if command.stdin:
        lines.append(f"with {len(command.stdin.encode())} bytes of standard input")
    lines.append(f"for at most {command.timeout_s:g} s; again {_AGAIN[command.parse]}, up to {command.retries} times")
    return lines


def _word(word: str) -> str:
    """As a shell would want it; placeholders need no quotes."""
    bare = fill_known(word, dict.fromkeys(names_in(word), "x"))
    return word if shlex.quote(bare) == bare else shlex.quote(word)


def _requirement(each: Requirement) -> str:
    bounds = [f"{each.minimum} or later" if each.minimum else "", f"up to {each.maximum}" if each.maximum else ""]
    return " ".join([each.name, *filter(None, bounds)])


def _door(door: Door) -> str:
    if door.url:
        return door.url
    return f"{door.host}:{door.port}" if door.port != "0" else f"{door.host} (a look-up only)"


def _param(param: Param) -> str:
    what = f"{param.name} ({'list of ' if param.is_list else ''}{param.type})"
    default = f", default {param.default}" if param.default is not None else ", to be given"
    lab = f", in the lab {param.lab}" if param.lab is not None else ""
    choices = f", one of {' '.join(param.choices)}" if param.choices else ""
    return (
        f"{what}{default}{lab}{choices}{', secret' if param.is_secret else ''}{f': {param.help}' if param.help else ''}"
    )


def _extract(each: Extract) -> str:
    how = {
        "text": "all of it",
        "regex": f"{'every' if each.every else 'the first'} match of {each.argument}",
        "json": f"JSON at {each.argument or 'the top'}",
        "pem": f"every {each.argument} block",
        "lines": "every line",
        "tap": "the tests that failed" if each.every else "how many tests passed",
    }[each.how]
    if each.source == "facts":
        how = f"{each.argument or each.name}=... of $EXITPIN_FACTS"
    through = f" through {shlex.join(each.filter)}" if each.filter else ""
    source = "" if each.source == "facts" else f" of {each.source}"
    form = f", as {each.form}" if each.form != "text" else f", as {each.type}" if each.type != "str" else ""
    where = "" if each.fold == FOLD_ALL else f" in {each.fold}"
    folded = f", capitals and blanks{where} not counting" if each.fold else ""
    return f"{each.name}: {how}{source}{through}{form}{folded}"


def controls_words(baseline: Baseline) -> str:
    """What a run is compared with."""
    if baseline.mode in _VANTAGES:
        return _VANTAGES[baseline.mode]
    extra = " and this machine, without Tor (only with --direct-control)" if baseline.mode == "direct+exits" else ""
    minutes = f"{baseline.max_age_s / 60:g} min"
    return f"{baseline.exits} other exits{extra}; {baseline.quorum} have to agree; no older than {minutes}"


def rule_words(rule: Rule, tool: Tool) -> str:
    """`tampered if chain.0 is no value that ...`."""
    parts = [condition_words(each) for each in rule.when]
    if rule.any:
        either = " or ".join(condition_words(each) for each in rule.any)
        parts.append(f"({either})" if len(rule.any) > 1 and parts else either)
    when = f" if {' and '.join(parts)}" if parts else (" otherwise" if len(tool.verdict) > 1 else " always")
    return f"{rule.status}{when}{f': {rule.reason}' if rule.reason else ''}"


def condition_words(condition: Condition) -> str:
    """One condition as a clause."""
    subject = condition.subject.replace("exit_code", "the exit status")
    if subject == "timed_out":
        return "it timed out" if condition.operand else "it did not time out"
    if subject == "signal":
        subject = "the signal that ended it"
    if subject == "failure":
        subject = "the failure"
    if condition.matcher in _STATES:
        return f"{subject} {_STATES[condition.matcher][0 if condition.operand else 1]}"
    return f"{subject} {_MATCHERS[condition.matcher].format(_operand(condition.operand))}"


def _operand(value: Value) -> str:
    return (
        " ".join(value) if isinstance(value, tuple) else str(value).lower() if isinstance(value, bool) else str(value)
    )
