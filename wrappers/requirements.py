"""Whether the programs that a tool requires are on this machine, and new enough; called before its first run.

What is not met is a sentence for `skipped(requirement)`: it says nothing about any exit. The commands are the tool
file's own, so they are run only of files that are trusted.
"""

import os
import re
import shutil
from collections.abc import Mapping

from ..orchestrator.containment import Containment
from ..orchestrator.tool import Requirement, Tool
from .filters import Ran, run_capped
from .output import printable

VERSION_MAX = 40
_RELEASE = re.compile(r"\d+(?:\.\d+)*")


class Requirements:
    """Asks each program once. `guests`: of the household, where there is one (see `filters.py`)."""

    def __init__(
        self, environment: Mapping[str, str], containment: Containment, guests: set[int] | None = None
    ) -> None:
        self._environment = {"PATH": environment.get("PATH", os.defpath), "LC_ALL": "C"}
        self._containment = containment
        self._guests = set() if guests is None else guests
        self._answers: dict[Requirement, str | None] = {}
        self._versions: dict[Requirement, str] = {}

    def unmet(self, tool: Tool) -> str | None:
        """The first requirement of the tool that is not met, as a sentence; None: all are."""
        if not self._containment.satisfies(tool.command.containment):
            return f"it wants containment {tool.command.containment}, and {self._containment.level} is in force"
        for requirement in tool.requires:
            if requirement not in self._answers:
                self._answers[requirement] = self._answer(requirement)
            if self._answers[requirement] is not None:
                return self._answers[requirement]
        return None

    def versions(self, tool: Tool) -> str:
        """What was found of the programs that the tool requires: `curl 7.88.1, openssl 3.0.15`."""
        known = [(one.name, self._versions[one]) for one in tool.requires if one in self._versions]
        return ", ".join(f"{name} {version}" for name, version in known)

    def _answer(self, wanted: Requirement) -> str | None:
        program = wanted.argv[0] if wanted.argv else wanted.name
        if shutil.which(program, path=self._environment["PATH"]) is None:
            return f"{program} is not installed"
        if not wanted.argv:
            return None
        try:
            ran = run_capped(wanted.argv, b"", self._environment, self._guests)
        except (OSError, TimeoutError, OverflowError) as error:
            return f"{wanted.name} could not be asked for its version: {error}"
        if not wanted.regex:
            return None if ran.code == 0 else f"{wanted.name}: {' '.join(wanted.argv)} failed with status {ran.code}"
        found = _found(wanted, ran)
        if found is None:
            return f"{wanted.name}: no version in what {' '.join(wanted.argv)} prints"
        self._versions[wanted] = printable(found[:VERSION_MAX])
        return _wrong_version(wanted, found)


def _found(wanted: Requirement, ran: Ran) -> str | None:
    text = (ran.stderr if wanted.stream == "stderr" else ran.stdout).decode("utf-8", "replace")
    match = re.search(wanted.regex, text, re.MULTILINE)
    return match[1 if match.re.groups else 0] if match else None


def _wrong_version(wanted: Requirement, found: str) -> str | None:
    from packaging.version import Version  # 10 ms, once there is something to compare

    release = _RELEASE.search(found)
    if release is None:
        return f"{wanted.name}: {printable(found[:VERSION_MAX])} is no version"
    version = Version(release[0])  # the numbers alone: 1.1.1w and 9.2p1 are no versions to packaging
    if wanted.minimum and version < Version(_RELEASE.findall(wanted.minimum)[0]):
        return f"{wanted.name} {printable(found[:VERSION_MAX])} is older than {wanted.minimum}"
    if wanted.maximum and version > Version(_RELEASE.findall(wanted.maximum)[0]):
        return f"{wanted.name} {printable(found[:VERSION_MAX])} is newer than {wanted.maximum}"
    return None
