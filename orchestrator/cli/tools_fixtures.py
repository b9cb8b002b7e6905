"""The fixtures of tools, read and judged: what runs once printed, and what their controls did.

Nothing is run but filters, which have no network. Called by `tools_test.py` and by tests.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...wrappers.extraction import ExtractionTimeout, Harvest, extract, search
from ...wrappers.output import printable
from ..audit.agreement import Control, Controls
from ..audit.templates import fill_known
from ..audit.verdict import Judgement, Observation, judge
from ..errors import EXIT_USAGE, OperatorError
from ..tool import Fixture, Status, Tool

NONCE = "00112233445566778899aabbccddeeff"
EXIT = {"exit.fp": "0" * 40, "exit.fp8": "0" * 8, "exit.nick": "fixture", "exit.ip": "203.0.113.11", "exit.ports": ""}


@dataclass(frozen=True, slots=True)
class Tried:
    """One fixture and what came of it. `place`: its number in the file, from 0; `problems`: of reading the facts."""

    tool: Tool
    place: int
    fixture: Fixture
    judgement: Judgement
    problems: tuple[str, ...] = ()

    @property
    def is_expected(self) -> bool:
        return self.judgement.status is self.fixture.expect

    def line(self) -> str:
        """For people: what was expected stands there only when something else came."""
        state = "ok  " if self.is_expected else "FAIL"
        said = f"{self.judgement.status}" + (f": {self.judgement.reason}" if self.judgement.reason else "")
        wanted = "" if self.is_expected else f" (expected {self.fixture.expect})"
        told = "" if self.is_expected else "".join(f"; {problem}" for problem in self.problems)
        return f"{state} {self.tool.id} test[{self.place}] {said}{wanted}{told}"

    def table(self) -> dict[str, object]:
        """The JSON object."""
        return {
            "tool": self.tool.id,
            "test": self.place,
            "expected": str(self.fixture.expect),
            "status": str(self.judgement.status),
            "passed": self.is_expected,
            "rule": self.judgement.rule,
            "reason": self.judgement.reason,
            "layer": self.judgement.layer,
            "undecided": list(self.judgement.undecided),
            "problems": list(self.problems),
        }


def report_fixtures(tools: Sequence[Tool], *, is_json: bool, path: str) -> int:
    """Try all fixtures and print a line for each. `path`: where filters are looked for."""
    count = failed = 0
    bare = [tool.id for tool in tools if not tool.fixtures]
    for tool in tools:
        for tried in try_fixtures(tool, path):
            count += 1
            failed += not tried.is_expected
            print(json.dumps(tried.table()) if is_json else printable(tried.line()))
    if bare:
        print(f"exitpin: without a test: {', '.join(bare)}", file=sys.stderr)
    print(f"exitpin: {count} tests of {len(tools) - len(bare)} tools, {failed} failed", file=sys.stderr)
    return 1 if failed else 0


def try_fixtures(tool: Tool, path: str) -> Iterator[Tried]:
    """Each fixture of a tool, judged. Raises OperatorError when one of its files can't be read."""

    def harvest(stdout: str, stderr: str, artifacts: tuple[tuple[str, str], ...], facts: str) -> Harvest:
        files = {name: _content(tool, file) for name, file in artifacts}
        return Harvest(_content(tool, stdout), _content(tool, stderr), files, _content(tool, facts))

    for place, fixture in enumerate(tool.fixtures):
        found = extract(tool, harvest(fixture.stdout, fixture.stderr, fixture.artifacts, fixture.facts), path=path)
        controls = None
        if fixture.control or fixture.control_artifacts or fixture.control_facts:
            control = harvest(fixture.control, "", fixture.control_artifacts, fixture.control_facts)
            facts = extract(tool, control, path=path).facts
            quorum = tool.baseline.quorum
            controls = Controls(tuple(Control("exit", facts, 0.0) for _ in range(quorum)), quorum)
        seen = Observation(fixture.exit_code, None, False, fixture.failure, found.facts)
        try:
            judgement = judge(tool, seen, controls, _values(tool, fixture), search)
            if found.failure:
                judgement = Judgement(Status.ERROR, "a fact can't be read", None, found.failure)
        except ExtractionTimeout as error:
            judgement = Judgement(Status.ERROR, str(error), None, "parse")
        yield Tried(tool, place, fixture, judgement, found.problems)


def _values(tool: Tool, fixture: Fixture) -> dict[str, str]:
    """What placeholders stand for: the fixture's parameters, else the lab's, else the defaults, else the names."""
    run = {**EXIT, "run.id": "fixture", "nonce": NONCE}
    given = dict(fixture.params)
    params = {p.name: given.get(p.name, p.lab or p.default or p.name) for p in tool.params}
    return {**run, **{name: fill_known(value, run) for name, value in params.items()}}


def _content(tool: Tool, name: str) -> bytes:
    """A file beside the tool's own; of no file nothing."""
    if not name:
        return b""
    path = Path(tool.path).parent / name
    try:
        return path.read_bytes()
    except OSError as error:
        hint = "Paths in `test` are relative to the tool's file."
        raise OperatorError(f"{tool.id}: {path}: {error.strerror}.", hint, EXIT_USAGE) from error
