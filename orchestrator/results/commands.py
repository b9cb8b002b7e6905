"""The command that a record gives for seeing it again (`reproduce`), as it is shown to be copied. Pure.

In the record a secret stands as `(secret)`, which a shell would hand on as a value like any other: the same command
would ask another question. Shown is a blank that is plainly to be filled in. And a tool that was named by its path is
to others a file that has to lie where they type: they have neither our folders nor business to know their names.
Called by `show`, mails, pages and `public.py`.
"""

import shlex
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

SECRET = "(secret)"  # in place of a value, in all that is recorded
BLANK = "..."

_AUDIT = ["exitpin", "audit"]
_TOOL = len(_AUDIT)


def command_shown(record: Mapping[str, Any], *, to_others: bool = False) -> list[str]:
    """Its words; none where there is no command, or none that a shell could read. `to_others`: to people who were not
    there."""
    words = _split(record.get("reproduce"))
    if words[:_TOOL] != _AUDIT or len(words) == _TOOL:
        return words
    tool = for_others(words[_TOOL]) if to_others else words[_TOOL]
    return [*_AUDIT, tool, *(filled_in(word) for word in words[_TOOL + 1 :])]


def for_others(word: str) -> str:
    """How others name a tool that somebody named so."""
    return f"./{word.rpartition('/')[2]}" if "/" in word else word


def filled_in(word: str) -> str:
    """A word of a command line, with a blank where a secret was."""
    return word.replace(SECRET, BLANK)


def tool_path(words: Sequence[str]) -> str:
    """The path by which this command, as `command_shown` has it, names its tool; empty: by its id."""
    named = words[_TOOL] if list(words[:_TOOL]) == _AUDIT and len(words) > _TOOL else ""
    return named if "/" in named else ""


def tool_file(words: Sequence[str]) -> str:
    """The name of the file that has to be there for this command, as `command_shown` has it; empty: it needs none."""
    return tool_path(words).rpartition("/")[2]


def blanks(words: Sequence[str]) -> list[str]:
    """The parameters of a command in which something has to be filled in, with their options."""
    return [word for option, value in pairwise(words) if option == "-p" and BLANK in value for word in (option, value)]


def _split(line: object) -> list[str]:
    try:
        return shlex.split(line) if isinstance(line, str) else []
    except ValueError:
        return []
