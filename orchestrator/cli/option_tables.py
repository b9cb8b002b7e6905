"""A table of a file in the words of a command line: its keys are the names of options, with `_` for `-`.

So what an option may be is said once, by the parser that has it.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

from ..errors import EXIT_USAGE, OperatorError
from ..settings import KEYS

NUMBERS = tuple(key.name for key in KEYS)
"""Settings: what may stand there without quotes, such as seconds, is for them to say."""

Check = Callable[[argparse.Namespace], object]


class OptionsParser(argparse.ArgumentParser):
    """A parser that raises ValueError for what it refuses. `keys`: of options that tables call otherwise."""

    def __init__(self, keys: Mapping[str, str] | None = None) -> None:
        super().__init__(add_help=False, allow_abbrev=False)
        self._keys = keys or {}

    def error(self, message: str) -> NoReturn:
        raise ValueError(message.partition(": ")[2] or message)

    def key_of(self, action: argparse.Action) -> str:
        """By which key a table has an option."""
        key = action.option_strings[-1].removeprefix("--").replace("-", "_")
        return self._keys.get(key, key)


def option_arguments(
    table: Mapping[str, object],
    parser: OptionsParser,
    check: Check = lambda args: None,
) -> list[str]:
    """The options that a table stands for, each a word `--option=value`. `check` may refuse values, too, by an
    OperatorError or a ValueError.

    Raises OperatorError with a line for all that is wrong: keys that there are not, and values that are refused.
    """
    from ...wrappers.tool_problems import nearest

    options = {parser.key_of(action): action for action in parser._actions}
    words: list[str] = []
    wrong: list[str] = []
    for key, value in table.items():
        if key not in options:
            wrong.append(f"{key}: no such key; {nearest(key, options)}")
            continue
        try:
            mine = list(_words(options[key], value))
            check(parser.parse_args(mine))
        except (OperatorError, ValueError) as error:
            wrong.append(f"{key}: {error}")
        else:
            words += mine
    if wrong:
        raise OperatorError("\n".join(wrong), "", EXIT_USAGE)
    return words


def _words(action: argparse.Action, value: object) -> Iterator[str]:
    """`--option=value`, for each value. Raises ValueError."""
    option = action.option_strings[-1]
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise ValueError(f"must be true or false, not {_shown(value)}")
        yield from [option] if value else []
    elif action.type is int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"must be a whole number, not {_shown(value)}")
        yield f"{option}={value}"
    else:
        is_several = isinstance(action, argparse._AppendAction)
        for one in value if is_several and isinstance(value, list | tuple) else [value]:
            if not isinstance(one, str) and not (type(one) in (int, float) and _may_be_number(action)):
                raise ValueError(f"must be a text{' or a list of texts' if is_several else ''}, not {_shown(one)}")
            yield f"{option}={one}"


def _may_be_number(action: argparse.Action) -> bool:
    return action.metavar == "ASN" or action.dest in NUMBERS


def _shown(value: object) -> str:
    from ...wrappers.tool_problems import shown

    return shown(value)
