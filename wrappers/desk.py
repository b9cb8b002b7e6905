"""What a command that somebody typed finds of its run, and what it gave to it: `exitpin run` and `exitpin sh`. A
declared tool has a workspace of its own instead (`workspace.py`).

What was given is read when the run is over, within the same limits as a tool's facts. Nobody judges it. Called by
`launch.py`; the command line tells it (`run_given.py`).
"""

import asyncio
import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from ..orchestrator.tool import Limits
from .harvest import FACTS_BYTES, Harvest, Sources, read_artifact
from .runtime import remove_tree
from .values import Unreadable

FILES_MAX = 64
LOOKED_AT_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Given:
    """`facts` by name; `problem`: why they are not all of them, empty if they are; `evidence`: files that were kept;
    `kind`: of the failure that the problem is."""

    facts: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    evidence: tuple[str, ...] = ()
    kind: str = "parse"


class Desk:
    """The folder of one run, for its artifacts, and the file beside it for its facts. `evidence`: where its files are
    to stay; None, or where no folder can be made: nowhere."""

    def __init__(self, directory: Path, evidence: Path | None) -> None:
        self._directory = directory
        self._facts = directory.with_suffix(".facts")
        self._evidence = evidence
        self._is_there = False

    def make(self) -> dict[str, str]:
        """The folder, and the variables that name its places. Raises OSError."""
        os.mkdir(self._directory, 0o700)
        self._is_there = True
        os.close(os.open(self._facts, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        places = {"EXITPIN_FACTS": str(self._facts), "EXITPIN_ARTIFACTS": str(self._directory)}
        try:
            if self._evidence is not None:
                os.makedirs(self._evidence, 0o700)
                places["EXITPIN_EVIDENCE"] = str(self._evidence)
        except OSError:  # events may go to /dev/fd/3, which has no neighbours
            self._evidence = None
        return places

    def take(self) -> Given:
        """What was given; and the folder goes."""
        given = self.given()
        self.clear()
        return given

    def clear(self) -> None:
        """Remove the folder. What a tool left in it may be much: that is done beside the loop, or where no thread is to
        be had with all other folders, at the end. Raises nothing."""
        with contextlib.suppress(OSError):
            os.unlink(self._facts)
        try:
            os.rmdir(self._directory)
        except OSError:
            if self._is_there:
                with contextlib.suppress(RuntimeError):
                    asyncio.get_running_loop().run_in_executor(None, remove_tree, self._directory)

    def given(self) -> Given:
        """What there is now that the run is over; no folder of evidence stays empty. Raises nothing."""
        if not self._is_there:
            return Given()
        try:
            content = read_artifact(str(self._facts.parent), self._facts.name, FACTS_BYTES + 1) or b""
        except (OSError, Unreadable):
            return Given({}, "its facts can't be read", self._kept())
        sources = Sources(Harvest(facts=content), Limits())
        facts = sources.emitted()
        problem = f"the fact {sources.twice[0]} is set twice" if sources.twice else ""
        sure = {name: value for name, value in facts.items() if name not in sources.twice}
        return Given(sure, problem, self._kept())

    def _kept(self) -> tuple[str, ...]:
        if self._evidence is None:
            return ()
        try:
            with os.scandir(self._evidence) as found:
                looked_at = islice(found, LOOKED_AT_MAX)
                names = [entry.path for entry in looked_at if entry.is_file(follow_symlinks=False)]
        except OSError:
            return ()
        if not names:
            with contextlib.suppress(OSError):
                os.rmdir(self._evidence)
                os.rmdir(self._evidence.parent)
        return tuple(sorted(names)[:FILES_MAX])
