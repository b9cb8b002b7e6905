"""Scripts that complete command lines in bash, zsh and fish: shtab makes them of a parser, `completion.SHELL` adds
names.

The parser says what there is; what an argument takes is said by the caller, in words of `Takes`. Called by the command
line, when somebody asks for a script.
"""

import argparse
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

import shtab

VARIABLE = "_exitpin_"


class Takes(StrEnum):
    """What an argument takes: in each shell there is a function of that name, after `_exitpin_`."""

    EXITS = "exits"
    EXIT = "exit"
    TOOLS = "tools"
    TOOLS_OR_FILES = "tools_or_files"
    LABS = "labs"
    FILES = "files"
    PROFILES_OR_FILES = "profiles_or_files"
    COMMANDS = "commands"
    FLAGS = "flags"
    ALLOWED = "allowed"
    STATUSES = "statuses"


def script(
    shell: str,
    parser: argparse.ArgumentParser,
    takes: Callable[[argparse.Action], Takes | None],
    words: Mapping[str, Sequence[str]],
    program: str,
) -> str:
    """The script for a shell. `takes` may say None, for what nobody can name; `words`: lists that the functions of
    some of `Takes` choose from, by its name; `program`: whom to ask for names when PATH has no exitpin. The parser is
    changed, and of no other use afterwards."""
    held = {"_".join(path): one for path, one in parsers(parser) if command_of(one) is not None}
    valued = [f"{name}:{option}" for name, one in held.items() for option in options_with_value(one)]
    given = {**words, "holding": list(held), "valued": valued, "program": [program]}
    for path, one in parsers(parser):
        one.description = None if path else one.description  # the list of verbs has its short sentences
        for action in list(_out_of_reach(one)):
            one._remove_action(action)
        for action in one._actions:
            _mark(action, shell, takes(action), is_command=action is command_of(one) and path[-1:] != ("sh",))
            if shell == "zsh" and action.nargs != 0:
                action.option_strings = [_with_value(option) for option in action.option_strings]
    own = Path(__file__).with_name(f"completion.{shell}").read_text("utf-8")
    written = shtab.complete(parser, shell, preamble=f"{_assigned(shell, given)}\n{own}")
    return f"{_mended(written) if shell == 'zsh' else written}\n{_ENDS[shell]}"


def parsers(parser: argparse.ArgumentParser, *path: str) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """The parser, and those of its verbs and of theirs, each with its words."""
    yield path, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, inner in action.choices.items():
                yield from parsers(inner, *path, verb)


def command_of(parser: argparse.ArgumentParser) -> argparse.Action | None:
    """The argument that is a whole command line, after which there are no options of ours."""
    return next((action for action in parser._actions if action.nargs == argparse.REMAINDER), None)


def _out_of_reach(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments behind one that takes any number of words: no TAB ever comes to them, and zsh would not offer that
    one's words for them."""
    names = [action for action in parser._actions if not action.option_strings]
    several = next((place for place, action in enumerate(names) if action.nargs == "*"), len(names))
    yield from names[several + 1 :]


def options_with_value(parser: argparse.ArgumentParser) -> list[str]:
    """Each spelling of an option after which a value stands."""
    return [option for action in parser._actions if action.nargs != 0 for option in action.option_strings]


def _mark(action: argparse.Action, shell: str, takes: Takes | None, *, is_command: bool) -> None:
    """Say it to shtab, which looks for an attribute `complete`. Commands are completed by their own scripts: in zsh by
    `_exitpin_command`; for the others `completion.SHELL` sees to it."""
    if is_command and shell == "zsh":
        action.complete = {"zsh": "_exitpin_command"}  # type: ignore[attr-defined]
    elif takes is not None and not action.choices and not (shell == "fish" and action.nargs == argparse.REMAINDER):
        name = f"{VARIABLE}{takes}"
        action.complete = {"bash": name, "zsh": name, "fish": f"({name})"}  # type: ignore[attr-defined]


def _with_value(option: str) -> str:
    """As zsh's _arguments wants an option whose value may also stand in the same word."""
    return f"{option}=" if option.startswith("--") else f"{option}+"


def _mended(written: str) -> str:
    """What shtab 1.13 lacks for zsh: `source <(exitpin completion zsh)` starts a shell, too, as `eval` does; of an
    argument that may be repeated each one is completed, not the first alone; and a verb has its own verbs, without
    those of its verbs."""
    written = written.replace("$zsh_eval_context[-1] == eval", "$zsh_eval_context[-1] == (eval|file)")
    written = re.sub(r'(?m)^( +)"\(\*\)::?', r'\1"*:', written)
    listed = re.compile(r"(?ms)^(\w+)_commands\(\) \{\n  local _commands=\(\n(.*?)^  \)$")
    written = listed.sub(lambda one: "".join(_own_verbs(one[0], one[1], written)), written)
    chosen = re.compile(r"(?m)^ +\S+\) _arguments -C -s \$(\w+) ;;\n")
    return chosen.sub(lambda one: one[0] if f"\n{one[1]}=(" in written else "", written)


def _own_verbs(text: str, prefix: str, written: str) -> Iterator[str]:
    """The lines of a list of verbs, without those that have no options under that prefix."""
    for line in text.splitlines(keepends=True):
        verb = re.match(r"    ([\w-]+):'", line)
        name = "" if verb is None else verb[1].replace("-", "_")
        if not name or f"\n{prefix}_{name}_options=(" in written:
            yield line


def _assigned(shell: str, given: Mapping[str, Sequence[str]]) -> str:
    """Global variables of the script."""
    form = "set -g {} {}" if shell == "fish" else "typeset -g {}={}" if shell == "zsh" else "{}={}"
    return "\n".join(form.format(VARIABLE + name, shlex.quote(" ".join(values))) for name, values in given.items())


_ENDS = {
    "bash": "complete -F _exitpin exitpin\n",
    "zsh": "",
    # Inside of a command that exitpin runs no option is ours.
    "fish": """\
function _shtab_exitpin_using
  _shtab_exitpin_scan
  test "$_shtab_exitpin_cmdpath" = "$argv"; and not _exitpin_in_command
end
complete -c exitpin -n _exitpin_in_command -a '(_exitpin_command)'
""",
}
