"""Everything about one verdict, laid out for a page: what differs, its runs, its controls, its past.

Reads the records that a verdict names, and their evidence (`exhibition.py`); what differs is `differences.py`'s and
`bodies.py`'s to find, each run is laid out by `run_details.py`. Each part is capped: no exit fills a report. What was
capped says so. Called by `html.py`.
"""

import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..results.commands import command_shown, tool_file
from ..results.public import has_secrets, public_id
from ..results.stored import PastVerdict, Reader
from ..results.wanted import FINDINGS
from .bodies import BodyDifference, body_difference
from .differences import CertificateDifference, FactDifference, certificate_difference, fact_differences
from .exhibition import ARTIFACT, Exhibition, artifacts, digests
from .fields import Record, clipped, in_one_line, items, moment, number, table, tables, text, whole
from .run_details import OUTPUT_LINE, REASON_MAX, RunShown, run_shown
from .survey import Verdict, exit_words

RUNS_MAX = 12  # shown of one verdict, those that lied first
CONTROLS_MAX = 40
BODIES_MAX = 3
OUTPUT_LINES = 16
PAST_MAX = 24  # earlier verdicts, of this tool with these parameters on this exit
PAST_READ = 400


class ControlShown(NamedTuple):
    who: str
    at: str
    run_id: str


class BodyShown(NamedTuple):
    """A file that the tool left. `there_count` of `there_of` controls were given what it is compared with."""

    name: str
    difference: BodyDifference | None
    here_count: int
    here_of: int
    there_count: int
    there_of: int
    note: str


class Output(NamedTuple):
    name: str
    lines: tuple[str, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class Detail:
    """One verdict on one exit. `told`: further words about it, by name; `tool_file`:
    what has to be there for `reproduce`, empty: nothing; `commands`: where else to look, by what for."""

    verdict: Verdict
    reason: str
    told: tuple[tuple[str, str], ...]
    exit: tuple[tuple[str, str], ...]
    facts: tuple[FactDifference, ...]
    certificate: CertificateDifference | None
    bodies: tuple[BodyShown, ...]
    outputs: tuple[Output, ...]
    runs: tuple[RunShown, ...]
    runs_left_out: int
    controls: tuple[ControlShown, ...]
    past: tuple[PastVerdict, ...]
    reproduce: str
    tool_file: str
    commands: tuple[tuple[str, str], ...]


class Details:
    """Lays out verdicts of one store. `clock`: as time.monotonic."""

    def __init__(self, reader: Reader, clock: Callable[[], float]) -> None:
        self._reader = reader
        self._kept = Exhibition(reader)
        self._clock = clock

    def of(self, verdict: Verdict) -> Detail | None:
        """One of them; None: its record has gone meanwhile."""
        record = self._reader.record(verdict.verdict_id)
        return None if record is None else self.laid_out(verdict, record)

    def laid_out(self, verdict: Verdict, record: Record) -> Detail:
        """One whose record is at hand; it may be made of a single run's."""
        runs = [(told, self._kept.run(text(told, "run_id"))) for told in tables(record, "runs")]
        runs.sort(key=lambda run: text(run[0], "status") not in FINDINGS)
        own = [full for _, full in runs if full is not None]
        lies = [full for told, full in runs if full is not None and text(told, "status") in FINDINGS] or own
        controls = [self._control(each) for each in tables(record, "controls")]
        again = command_shown(record, to_others=True)
        return Detail(
            verdict=verdict,
            reason=clipped(in_one_line(text(record, "reason")), REASON_MAX),
            told=_told(record),
            exit=exit_words(table(record, "exit")),
            facts=fact_differences(own, controls),
            certificate=certificate_difference(
                [self._kept.chain(run) for run in lies], [self._kept.chain(control) for control in controls]
            ),
            bodies=tuple(self._body(name, lies, controls) for name in _names(lies)[:BODIES_MAX]),
            outputs=tuple(self._outputs(lies[:1])),
            runs=tuple(run_shown(told, full) for told, full in runs[:RUNS_MAX]),
            runs_left_out=max(0, len(runs) - RUNS_MAX),
            controls=tuple(map(_control_shown, controls[:CONTROLS_MAX])),
            past=self._past(record),
            reproduce=shlex.join(again),
            tool_file=tool_file(again),
            commands=_commands(record),
        )

    def _control(self, told: Record) -> Record:
        """A control with all facts of its own run, where that is in the store; the verdict names the compared ones."""
        full = self._kept.run(text(told, "run_id")) or {}
        facts = {**table(full, "facts"), **table(told, "facts")}
        return {**full, "facts": facts, "vantage": text(told, "vantage"), "exit": text(told, "exit"),
                "at": told.get("at"), "run_id": text(told, "run_id")}  # fmt: skip

    def _body(self, name: str, lies: Sequence[Record], controls: Sequence[Record]) -> BodyShown:
        """What most of the runs that lied were given beside what most controls were. Not beside what the machine that
        looked was given without Tor: pages tell their visitors' addresses."""
        own = Counter(sha256 for run in lies if (sha256 := digests(run).get(name)))
        others = Counter(sha256 for one in controls if one["vantage"] == "exit" and (sha256 := digests(one).get(name)))
        here, count = max(own.items(), key=lambda one: (one[0] not in others, one[1], one[0]))
        counts = count, own.total()
        shown = name.removeprefix(ARTIFACT)
        if not others:
            return BodyShown(shown, None, *counts, 0, 0, "no control's was kept: nothing to compare it with")
        there, there_count = max(others.items(), key=lambda one: (one[1], one[0]))
        contents = [self._kept.content(sha256) for sha256 in (here, there)]
        if why := "; ".join(why for _, why in contents if why):
            return BodyShown(shown, None, *counts, there_count, others.total(), why)
        difference = body_difference(contents[0][0], contents[1][0], self._clock)
        return BodyShown(shown, difference, *counts, there_count, others.total(), "")

    def _outputs(self, runs: Sequence[Record]) -> list[Output]:
        """What the tool wrote, of one run."""
        found: list[Output] = []
        for run in runs:
            for name in ("stdout", "stderr"):
                if written := text(table(run, "process"), name).rstrip("\n"):
                    lines = written.split("\n")
                    shown = tuple(clipped(line, OUTPUT_LINE) for line in lines[:OUTPUT_LINES])
                    found.append(Output(name, shown, max(0, len(lines) - OUTPUT_LINES)))
        return found

    def _past(self, record: Record) -> tuple[PastVerdict, ...]:
        """Verdicts on this exit by the same question, the oldest first, this one included."""
        past = self._reader.past(text(table(record, "exit"), "fingerprint"), PAST_READ)
        tool = text(table(record, "tool"), "id")
        keys = {one.params_key for one in past if one.scan_id == text(record, "scan_id") and one.tool == tool}
        same = [one for one in past if one.tool == tool and one.params_key in keys]
        return tuple(same[:PAST_MAX][::-1]) if len(same) > 1 else ()


def _names(runs: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(name for run in runs for name in artifacts(run)))


def _told(record: Record) -> tuple[tuple[str, str], ...]:
    failure = table(record, "failure")
    words = " ".join(filter(None, (text(failure, "kind"), text(failure, "detail"))))
    kept = Counter(text(item, "name") for item in tables(record, "evidence"))
    told = (
        ("rule", f"{whole(record, 'rule') + 1}: {text(record, 'when')}" if text(record, "when") else ""),
        ("undecided", ", ".join(map(str, items(record, "undecided")))),
        ("layer", text(record, "layer")),
        ("failure", clipped(words, REASON_MAX)),
        ("blame", text(record, "blame")),
        ("asked", f"{moment(number(record, 'started'))} to {moment(number(record, 'ended'))} UTC"),
        ("evidence", ", ".join(name for name in kept if name)),
        ("id", public_id(record)),
    )
    return tuple((name, value) for name, value in told if value)


def _commands(record: Record) -> tuple[tuple[str, str], ...]:
    """For whoever has the store. An id that must not be told is found by what was asked of whom."""
    if has_secrets(record):
        scan, tool = text(record, "scan_id"), text(table(record, "tool"), "id")
        words = shlex.join(["--scan", scan, "--tool", tool, "-e", text(table(record, "exit"), "fingerprint")])
        return (("its id", f"exitpin results list {words}"),)
    name = shlex.quote(text(record, "verdict_id"))
    return (("all of it", f"exitpin results show {name}"), ("against its evidence", f"exitpin results verify {name}"))


def _control_shown(control: Record) -> ControlShown:
    names = {"exit": text(control, "exit"), "direct": "the machine that looked, without Tor"}
    vantage = text(control, "vantage")
    return ControlShown(names.get(vantage, vantage), moment(number(control, "at"))[11:], text(control, "run_id"))
