"""What a record may tell of a tool's use: without its secrets, as much of its output as was asked for, facts that fit.

Pure; the only place where a secret is taken out. It is found as it was given, and as a fact has it that is folded: one
that a tool encodes (in base64, say) is the business of the tool's `redact`.
"""

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..tool import Facts, Status, Tool
from .facts import folded

OUTPUT_MAX = 64 << 10  # characters of each of stdout and stderr
ERROR_OUTPUT_MAX = 4 << 10  # of stderr, where a run failed: what its tool complained of
ITEMS_MAX = 256  # of one fact that is a list
FACT_MAX = 64 << 10  # characters of all of them
SECRET = "(secret)"
SECRET_MIN = 4  # shorter ones are hidden as arguments only: they would be found in every other word
_CUT = re.compile(r"(.*)(\.\.\. sha256:[0-9a-f]{64})", re.DOTALL)


def _as_it_is(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool as a scan used it. `params`: what each was bound to, as text, secrets included; `given`: which of them
    somebody gave; `clean` applies the tool's `redact`; `word`: what to type to name the tool."""

    tool: Tool
    params: Mapping[str, str]
    given: frozenset[str] = frozenset()
    binary: str = ""
    version: str = ""
    clean: Callable[[str], str] = _as_it_is
    word: str = ""
    secrets: tuple[str, ...] = field(init=False)
    """The values that nobody may read."""

    def __post_init__(self) -> None:
        names = {param.name for param in self.tool.params if param.is_secret}
        found = {self.params[name] for name in names if self.params.get(name)}
        if any(each.fold for each in self.tool.extracts):
            found |= set(filter(None, map(folded, found)))
        object.__setattr__(self, "secrets", tuple(sorted(found, key=len, reverse=True)))  # asked for often


def param_shown(use: ToolUse, name: str) -> str:
    """The value of a parameter, if it may be read."""
    declared = use.tool.param(name)
    return SECRET if declared is not None and declared.is_secret else _hide_text(use.params[name], use.secrets)


def output_kept(use: ToolUse, status: str, stdout: bytes, stderr: bytes) -> dict[str, Any]:
    """The output that stays. `on-finding`: of a run that accuses its exit; of one that failed, the end of stderr."""
    when = {"stdout": "on-finding", "stderr": "on-finding", **dict(use.tool.keep)}
    limits = use.tool.command.limits
    kept: dict[str, Any] = {}
    for name, written, limit in (("stdout", stdout, limits.stdout), ("stderr", stderr, limits.stderr)):
        kept[name], kept[f"{name}_bytes"] = None, len(written)
        is_finding = Status(status).is_finding
        if when[name] == "always" or (when[name] == "on-finding" and is_finding):
            kept[name] = _output(use, written, limit)[:OUTPUT_MAX]
        elif when[name] == "on-finding" and name == "stderr" and status == Status.ERROR:
            kept[name] = _output(use, written, limit)[-ERROR_OUTPUT_MAX:]
    return kept


def _output(use: ToolUse, written: bytes, limit: int) -> str:
    """Cleaned whole: what is cut first can hide half of a secret. No more than `limit` was read of it."""
    if len(written) >= limit:
        written = without_half(use, written)
    return told(use, written.decode("utf-8", "backslashreplace"))


def facts_shown(use: ToolUse, facts: Facts, names: Iterable[str] | None = None) -> dict[str, Any]:
    """These facts (None: all), cut to what can be stored and shown."""
    return {name: _fact(use, facts.get(name)) for name in (facts if names is None else names)}


def _fact(use: ToolUse, value: object) -> object:
    if isinstance(value, str):
        return _text(use, value)
    if isinstance(value, tuple):
        return _list(use, value)
    return _plain(value)


def _text(use: ToolUse, value: str) -> str:
    """One that was too long ends in its digest, and what stands before that was cut."""
    cut = _CUT.fullmatch(value) if use.secrets else None
    return told(use, value) if cut is None else told(use, _without_half(use, cut[1])) + cut[2]


def _list(use: ToolUse, items: tuple[str, ...]) -> list[str]:
    """A long list is cut, and two that differ still do."""
    shown: list[str] = []
    left = FACT_MAX
    for item in items[:ITEMS_MAX]:
        shown.append(_text(use, item))
        left -= len(shown[-1])
        if left < 0:
            break
    if len(shown) < len(items):
        shown.append(f"... ({len(items)} in all, sha256 {_digest(chr(10).join(items))})")
    return shown


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def told(use: ToolUse, text: str) -> str:
    """Text that may hold what a suspect, or the user, said: without secrets."""
    return use.clean(_hide_text(text, use.secrets))


def bytes_told(use: ToolUse, content: bytes, *, is_cut: bool = False) -> bytes:
    """Bytes that may hold secrets, without them; to the last bit what they were, where there is nothing to hide.
    `is_cut`: more came after them."""
    if not use.secrets and not use.tool.redact:
        return content
    if is_cut:
        content = without_half(use, content)
    return told(use, content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def without_half(use: ToolUse, content: bytes) -> bytes:
    """Bytes that somebody has cut, without the end that may be half of a secret."""
    if not use.secrets:
        return content
    return _without_half(use, content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _without_half(use: ToolUse, text: str) -> str:
    """Whole secrets are hidden first: what is taken away must not cut one in two. Counted in bytes, for a cut goes
    through letters, too."""
    longest = max((len(secret.encode()) for secret in use.secrets if len(secret) >= SECRET_MIN), default=1)
    hidden = _hide_text(text, use.secrets)
    return hidden[: max(0, len(hidden) - longest + 1)]


def is_tellable(use: ToolUse, facts: Facts) -> bool:
    """Whether the facts may be kept as they were judged: nothing in them has to be hidden."""
    if not use.secrets and not use.tool.redact:
        return True
    texts = [item for value in facts.values() for item in (value if isinstance(value, tuple) else (value,))]
    return all(_text(use, text) == text for text in texts if isinstance(text, str))


def without(value: object, secrets: tuple[str, ...]) -> Any:
    """The value, whatever it is made of, without secrets."""
    if not secrets:
        return value
    if isinstance(value, str):
        return _hide_text(value, secrets)
    if isinstance(value, Mapping):
        return {name: without(each, secrets) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [without(each, secrets) for each in value]
    return value


def _hide_text(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        if len(secret) >= SECRET_MIN:
            text = text.replace(secret, SECRET)
    return text


def without_any(text: str, secrets: tuple[str, ...]) -> str:
    """As `_hide_text`, and the short ones too: of a command line."""
    for secret in secrets:
        text = text.replace(secret, SECRET)
    return text


def _plain(value: object) -> object:
    """JSON has no NaN and no infinity."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
