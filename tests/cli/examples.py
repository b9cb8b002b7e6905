"""The examples of the help, which are those of the manual, and the command lines of README and manuals."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from exitpin.orchestrator.cli import giving
from exitpin.orchestrator.cli.main import whole_parser
from exitpin.orchestrator.cli.manual import commands
from exitpin.orchestrator.cli.manual_text import read

ROOT = Path(__file__).resolve().parent.parent.parent
BETWEEN = {"|", "||", "&&", ";", "&", "(", ")"}


def of_the_help() -> list[str]:
    """Each example, as one would type it, in all texts of `--help`; each once."""
    texts = [f"{parser.description or ''}\n\n{parser.epilog or ''}" for _, parser, _ in commands(whole_parser())]
    found = [example for text in texts for example in read(text).examples]
    given = [line.strip() for text in giving.HELP.values() for line in text.splitlines() if line.startswith("  ")]
    return list(dict.fromkeys(["\n".join(example.lines) for example in found] + given))


def of_the_documents() -> list[str]:
    """What stands behind a prompt in README and docs/, with the lines that continue it."""
    texts = [path.read_text("utf-8") for path in (ROOT / "README.rst", *sorted((ROOT / "docs").glob("*.rst")))]
    return [line for text in texts for line in _typed(text) if line.startswith("exitpin ")]


def _typed(text: str) -> Iterator[str]:
    """What stands behind each prompt, up to the line that ends it: no backslash at its end, and no quote is open."""
    lines = text.splitlines()
    for at, first in enumerate(lines):
        if first.lstrip().startswith("$ "):
            typed = first.lstrip()[2:]
            while not _is_whole(typed):
                at += 1
                typed += f"\n{lines[at]}"
            yield typed


def _is_whole(line: str) -> bool:
    try:
        shlex.split(line, comments=True)
    except ValueError:
        return False
    return True


def calls(line: str) -> Iterator[list[str]]:
    """Each call of exitpin in a command line for sh, without its name: also behind assignments, and of xargs."""
    lexer = shlex.shlex(line.replace("\\\n", " "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in BETWEEN:
            words.append(word)
            continue
        at = next((n for n, one in enumerate(words) if one == "exitpin" or one.endswith("/exitpin")), None)
        if at is not None:
            end = next((n for n, one in enumerate(words) if _redirects(one) and n > at), len(words))
            yield words[at + 1 : end - (end < len(words) and words[end - 1].isdigit())]
        words = []


def _redirects(word: str) -> bool:
    return set(word) <= set("<>&|") and not {"<", ">"}.isdisjoint(word)
