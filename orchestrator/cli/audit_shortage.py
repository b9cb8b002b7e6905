"""A scan that is out of descriptors: every run from then on would fail, and say nothing about any exit. So it stops,
and says which limit to raise. Called by `audit_scan.py`.
"""

import asyncio
import re
import resource
from collections.abc import Callable, Mapping
from typing import Any

MARK = "oo many open files"
"""What EMFILE and ENFILE are in words (strerror(3)), wherever they were met."""
OURS = ("exec", "parse", "shim", "tool")
"""Kinds of failure whose detail, where the blame is local, is a sentence of exitpin's own: nothing in it comes from an
exit, a target, or what a tool wrote. Streams that our tor refused are local, too, and name their destination."""

_REPEATS_OTHERS = re.compile(r"internal error: (?!OSError\(2[34], )")


class Shortage:
    """Hears of every record and of what could not be written; what an exit or a tool says is no shortage. `stop` is
    called once, with a sentence, when whoever tells of a record has ended with it."""

    def __init__(self, stop: Callable[[str], object]) -> None:
        self._stop = stop
        self._is_told = False

    def judged(self, record: Mapping[str, Any]) -> None:
        """A record of the scan; only runs count."""
        failure = record.get("failure")
        if record["schema"] != "exitpin.run/1" or failure is None:
            return
        detail = str(failure.get("detail"))
        if failure.get("blame") == "local" and failure.get("kind") in OURS and not _REPEATS_OTHERS.match(detail):
            self.met(detail)

    def met(self, why: str) -> None:
        """Something failed, and this is why."""
        if MARK in why and not self._is_told:
            self._is_told = True
            asyncio.get_running_loop().call_soon(self._stop, sentence())


def sentence() -> str:
    """What is wrong, and what to raise."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return (
        f"no more files could be opened: this process may have {limit} at a time. Raise that limit (`ulimit -n`, or"
        " LimitNOFILE= of a unit), or run fewer jobs (--jobs)"
    )
