"""How to repeat a run without exitpin: an own tor with one exit, and what people type. Pure.

exitpin pins circuits one by one; by hand an exit is chosen by ExitNodes (tor(1)). The tool's file may say what to type
(`by_hand`); else it is the command itself, under torsocks, with its files in the folder where it is started.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ..audit.templates import fill_known, names_in
from .fields import Record, items, table, text

SOCKS_PORT = "9250"  # neither tor's own nor Tor Browser's
SCRIPTED = ("script", "tool_dir")


class Recipe(NamedTuple):
    """What a tool's file says to type by hand; no words: it says nothing. `is_stale`: it is not the file any more by
    which the verdict was made, and its words are left out, for they may ask another question."""

    words: tuple[str, ...] = ()
    is_stale: bool = False


def own_tor(fingerprint: str) -> list[str]:
    """The command line of a tor with no other exit."""
    return ["tor", "--SocksPort", SOCKS_PORT, "--DataDirectory", "./one-exit", "--ExitNodes", fingerprint,
            "--StrictNodes", "1"]  # fmt: skip


def through_it(words: Sequence[str]) -> list[str]:
    """A command line through that tor. tor-resolve speaks to it by itself."""
    if words[0] == "tor-resolve":
        return [*words, f"127.0.0.1:{SOCKS_PORT}"]
    return ["torsocks", "-P", SOCKS_PORT, *words]


def plain_command(verdict: Record, run: Record, by_hand: Sequence[str]) -> list[str] | None:
    """What people type; None: there is nothing that they could. `verdict`: its `tool.argv` is the template of `run`'s;
    `by_hand`: as the tool's file has it."""
    nonce = {"nonce": text(run, "nonce")} if text(run, "nonce") else {}
    params = table(table(verdict, "tool"), "params")
    values = {name: fill_known(str(value), nonce) for name, value in params.items()} | nonce | {"artifacts": "."}
    if by_hand:
        return [fill_known(word, values) for word in by_hand]
    template = [str(word) for word in items(table(verdict, "tool"), "argv")]
    words = [str(word) for word in items(table(run, "tool"), "argv")]
    if not words or any(name in SCRIPTED for word in template for name in names_in(word)):
        return None
    if len(template) != len(words):
        return words
    return [
        fill_known(pattern, values) if "artifacts" in names_in(pattern) else word
        for pattern, word in zip(template, words, strict=True)
    ]


def is_new_each_time(verdict: Record, by_hand: Sequence[str]) -> bool:
    """Whether a part of the command is drawn anew for each run."""
    tool = table(verdict, "tool")
    texts = [*items(tool, "argv"), *table(tool, "params").values(), *by_hand]
    return any("nonce" in names_in(str(one)) for one in texts)
