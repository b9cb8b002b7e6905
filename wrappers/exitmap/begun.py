"""What a module's top level has made, for processes in which it would make another thing: a random token, a time.

exitmap imports a module once, and forks. Here each process carries out the top level by itself. So what it made in
setup's process, and setup() let be, is handed on, and taken where a process has made something else: nothing else is
replaced, for functions may refer to it by a default or a closure. Left as each process has it is

  what can't be pickled, and what is called by its name: an open temporary file, and its path
  what other modules have as well, which are not handed on: `from random import choice` has all their state in it
  what draws random numbers, from which nobody could have drawn: it is seen to change
  what tells of one run: its exit, its folders

Called by `handing.py`.
"""

import contextlib
import io
import os
import pickle
import re
import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final

from .traces import PLAIN

BY_NAME: Final = (type, FunctionType, BuiltinFunctionType)
"""Pickled by name, and so the same everywhere."""
NO_STATE: Final = (*PLAIN, *BY_NAME, ModuleType, tuple, frozenset, Enum, re.Pattern)
"""It makes no difference whose of these something is."""
OF_A_RUN: Final = tuple(
    f"EXITPIN_{name}" for name in ("RUN_ID", "EXIT_FP", "EXIT_NICK", "EXIT_IP", "EVIDENCE", "FACTS", "ARTIFACTS")
)
TELLING: Final = 16
"""A word of so many bytes is nowhere by chance."""


class _NotHandedOn(Exception):
    pass


class _Pickler(pickle.Pickler):
    """Raises _NotHandedOn for what holds another module's, or what is of use in its process alone."""

    def __init__(self, file: io.BytesIO, others: frozenset[int]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        random = sys.modules.get("random")
        self._others = others
        self._alone = (weakref.finalize, *(() if random is None else (random.Random,)))

    def persistent_id(self, obj: object) -> None:
        if id(obj) in self._others or isinstance(obj, self._alone):
            raise _NotHandedOn


def made_by(own: Iterable[tuple[str, Any]], module: ModuleType) -> dict[str, bytes]:
    """By name the pickles of what is handed on. `own`: all that the module has, before setup()."""
    modules = [vars(one) for one in list(sys.modules.values()) if isinstance(one, ModuleType) and one is not module]
    others = frozenset(id(value) for one in modules for value in one.values() if not isinstance(value, NO_STATE))
    made: dict[str, bytes] = {}
    words = list(_words_of_the_run())
    for name, value in own:
        if isinstance(value, BY_NAME) or any(one.get(name, made) is value for one in modules):
            continue
        try:
            made[name] = _pickled(value, others)
        except Exception:  # it is refused, or whatever somebody's __reduce__ raises
            with contextlib.suppress(Exception):
                words += _patterns(value.name)
    return {name: content for name, content in made.items() if not _has_one(content, words)}


def differing(made: Mapping[str, bytes], own: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What of it this process, which has `own`, lacks or has otherwise: setup's. What can't be made anew is not
    there."""
    words = list(_words_of_the_run())
    for name, content in made.items():
        owner = name.rpartition(".")[0]
        if owner and owner not in own:
            continue
        with contextlib.suppress(Exception):
            here = _pickled(own[name], frozenset()) if name in own else b""
            if here != content and not _has_one(here, words):
                value = pickle.loads(content)
                if name not in own or not _is_equal(value, own[name]):
                    yield name, value


def _is_equal(one: object, other: object) -> bool:
    """A set has its texts in another order in each process."""
    return type(one) is type(other) and isinstance(one, set | frozenset | dict | list | tuple) and one == other


def _pickled(value: object, others: frozenset[int]) -> bytes:
    file = io.BytesIO()
    _Pickler(file, others).dump(value)
    return file.getvalue()


def _words_of_the_run() -> Iterator[bytes]:
    for name in OF_A_RUN:
        yield from _patterns(os.environ.get(name, ""))


def _patterns(word: str) -> Iterator[bytes]:
    """What is found in a pickle that has the word in a text, or, if it is a short one, as a text of its own."""
    content = word.encode("utf-8", "surrogatepass")
    if len(content) >= TELLING:
        yield content
    elif content:
        yield pickle.SHORT_BINUNICODE + bytes([len(content)]) + content


def _has_one(content: bytes, words: Iterable[bytes]) -> bool:
    return any(word in content for word in words)
