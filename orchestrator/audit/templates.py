"""Placeholders `{{name}}` in a tool's texts. Pure.

One pass: what a placeholder is replaced by is never looked at again, so a value that holds `{{` stays as it is.
"""

import re
from collections.abc import Iterable, Mapping

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_.-]*)\s*\}\}")

BUILT_IN = (
    "exit.fp", "exit.fp8", "exit.nick", "exit.ip", "exit.ports", "run.id", "nonce", "artifacts", "script", "tool_dir",
)  # fmt: skip
"""What every run knows beside its parameters. `nonce`: 16 hex digits, anew for each run; `exit.ports`: the ports of the
tool's destinations that the exit's policy allows, comma-separated."""


def names_in(text: str) -> tuple[str, ...]:
    """The placeholders of a text, in order."""
    return tuple(_PLACEHOLDER.findall(text))


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders replaced. Raises KeyError with the name of one that has no value."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)


def fill_known(text: str, values: Mapping[str, str]) -> str:
    """As `fill`, but a placeholder without a value stays."""
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)


def fill_all(texts: Iterable[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """Each text filled."""
    return tuple(fill(text, values) for text in texts)
