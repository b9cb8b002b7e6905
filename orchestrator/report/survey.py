"""A scan as a whole: which exits were asked what, and what each verdict says in one line. Called by `html.py`.

Reads the verdicts of one scan, one record after the other, and keeps of each what a row of a table shows: a scan of
1,500 exits by five tools stays a few MiB. Says also how complete the scan is: it must not look better for what is
missing. Decides nothing: every verdict stands as it was recorded.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..results.public import public_id
from ..results.scan_lock import is_running
from ..results.stored import Reader
from ..results.wanted import FINDINGS, STATUSES, Wanted
from ..tool import SEVERITIES
from .fields import Record, clipped, in_one_line, items, moment, number, table, tables, text, whole

REASON_MAX = 180  # characters, in a row


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verdict, as a row tells of it. `place`: its number in the report, the gravest first; `name`: by what the
    report names it, its id or, where that would tell of a secret, another one."""

    place: int
    verdict_id: str
    tool: str
    fingerprint: str
    status: str
    severity: str
    reason: str
    lied: int
    of: int
    is_interrupted: bool
    name: str

    @property
    def rank(self) -> tuple[int, int, str]:
        """By what the gravest comes first."""
        status = STATUSES.index(self.status) if self.status in STATUSES else len(STATUSES)
        severity = SEVERITIES.index(self.severity) if self.severity in SEVERITIES else -1
        return status, -severity, self.tool


@dataclass(frozen=True, slots=True)
class ExitRow:
    """One exit. `cells`: the gravest verdict of each tool, in the order of the survey's tools; None: there is none."""

    place: int
    fingerprint: str
    nickname: str
    cells: tuple[Verdict | None, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def worst(self) -> Verdict:
        return self.verdicts[0]


@dataclass(frozen=True, slots=True)
class ToolUsed:
    """A tool of the scan. `counts`: its verdicts by status."""

    name: str
    summary: str
    digest: str
    version: str
    params: tuple[tuple[str, str], ...]
    counts: Counter[str]


@dataclass(frozen=True, slots=True)
class Survey:
    """All of a scan. `only`: the tool whose verdicts alone were read. `state`: complete, running, killed, interrupted,
    failed, or earlier (recorded by a version that kept no scans)."""

    scan_id: str
    state: str
    network: str
    tor: str
    consensus: str
    started: str
    ended: str
    exitpin: str
    planned: int
    runs: int
    tools: tuple[ToolUsed, ...]
    exits: tuple[ExitRow, ...]
    counts: Counter[str]
    only: str = ""

    @property
    def verdicts(self) -> int:
        return self.counts.total()

    @property
    def accused(self) -> int:
        """How many exits have a finding."""
        return sum(row.worst.status in FINDINGS for row in self.exits)

    @property
    def honest(self) -> int:
        """How many exits were found honest in all that they were asked, and asked all of it."""
        return sum(all(cell is not None and cell.status == "ok" for cell in row.cells) for row in self.exits)


def survey_of(reader: Reader, scan_id: str, only: str = "") -> Survey:
    """Read it; `only`: of one tool. Raises OperatorError where the store can't be read."""
    scan = reader.scan(scan_id) or {}
    verdicts: list[Verdict] = []
    nicknames: dict[str, str] = {}
    used: dict[str, Record] = {}
    first: Record = {}
    times: list[float] = []
    for record in reader.query(Wanted(scan=scan_id, tool=only or None, kind="verdict", gravest_first=True)):
        verdict = verdict_row(record, len(verdicts))
        verdicts.append(verdict)
        nicknames.setdefault(verdict.fingerprint, text(table(record, "exit"), "nickname"))
        used.setdefault(verdict.tool, table(record, "tool"))
        first = first or record
        times += filter(None, (number(record, "started"), number(record, "ended")))
    tools = _tools(scan, used, verdicts, only)
    vantage = table(scan, "vantage") or table(first, "vantage")
    return Survey(
        scan_id=scan_id,
        state=_state(reader, scan_id, text(scan, "state")),
        network=network_words(vantage),
        tor=text(vantage, "tor"),
        consensus=text(scan, "consensus") or text(table(first, "exit"), "consensus"),
        started=moment(number(scan, "started") or min(times, default=None)),
        ended=moment(number(scan, "ended") or max(times, default=None)),
        exitpin=text(scan, "exitpin"),
        planned=len(verdicts) if only else max(whole(scan, "planned"), len(verdicts)),
        runs=reader.count(Wanted(scan=scan_id, tool=only or None, kind="run", is_counted=True)),
        tools=tools,
        exits=_exits(verdicts, nicknames, [tool.name for tool in tools]),
        counts=Counter(verdict.status for verdict in verdicts),
        only=only,
    )


def verdict_row(record: Record, place: int = 0) -> Verdict:
    """A verdict by its record. `place`: its number in the report."""
    return Verdict(
        place=place,
        verdict_id=text(record, "verdict_id"),
        tool=text(table(record, "tool"), "id"),
        fingerprint=text(table(record, "exit"), "fingerprint"),
        status=text(record, "status"),
        severity=text(record, "severity"),
        reason=clipped(in_one_line(text(record, "reason")), REASON_MAX),
        lied=whole(record, "lied"),
        of=whole(record, "of"),
        is_interrupted=bool(record.get("interrupted")),
        name=public_id(record),
    )


def _exits(verdicts: Iterable[Verdict], nicknames: dict[str, str], tools: Sequence[str]) -> tuple[ExitRow, ...]:
    """Those with the gravest verdict first; among equals by name."""
    by_exit: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_exit.setdefault(verdict.fingerprint, []).append(verdict)
    found = [(fingerprint, sorted(told, key=lambda v: v.rank)) for fingerprint, told in by_exit.items()]
    found.sort(key=lambda one: (one[1][0].rank[:2], nicknames[one[0]].casefold(), one[0]))
    rows = []
    for place, (fingerprint, told) in enumerate(found):
        gravest: dict[str, Verdict] = {}
        for verdict in told:
            gravest.setdefault(verdict.tool, verdict)
        cells = tuple(gravest.get(tool) for tool in tools)
        rows.append(ExitRow(place, fingerprint, nicknames[fingerprint], cells, tuple(told)))
    return tuple(rows)


def _tools(scan: Record, used: dict[str, Record], verdicts: Iterable[Verdict], only: str) -> tuple[ToolUsed, ...]:
    """In the scan's own order, with what its verdicts tell of each; then any other that has a verdict."""
    planned = {text(tool, "id"): tool for tool in tables(scan, "tools")}
    names = [name for name in dict.fromkeys([*planned, *sorted(used)]) if only in ("", name)]
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    for verdict in verdicts:
        counts[verdict.tool][verdict.status] += 1
    return tuple(_tool(name, {**planned.get(name, {}), **used.get(name, {})}, counts[name]) for name in names)


def _tool(name: str, told: Record, counts: Counter[str]) -> ToolUsed:
    params = tuple((str(key), clipped(str(value), 200)) for key, value in table(told, "params").items())
    return ToolUsed(name, text(told, "summary"), text(told, "digest"), text(told, "version"), params, counts)


def _state(reader: Reader, scan_id: str, state: str) -> str:
    """A scan that says it runs, and that nobody runs, was killed."""
    if state == "running":
        return state if is_running(reader.blobs.directory, scan_id) else "killed"
    return {"done": "complete", "": "earlier"}.get(state, state)


def network_words(vantage: Record) -> str:
    """Which network was looked at. Not from where: no address of the machine that looked stands in a report."""
    words = {"lab": "a private lab network", "own": "the Tor network", "control": "the Tor network"}
    kind = text(vantage, "kind")
    name = f" ({text(vantage, 'name')})" if kind == "lab" and text(vantage, "name") else ""
    return words.get(kind, "a network that was not recorded") + name


def exit_words(of_exit: Record) -> tuple[tuple[str, str], ...]:
    """What the consensus and its own descriptor tell of an exit, by name."""
    told = (
        ("address", ", ".join(map(str, items(of_exit, "addresses")))),
        ("contact", clipped(text(of_exit, "contact"), 300)),
        ("family", clipped(" ".join(map(str, items(of_exit, "family"))), 600)),
        ("flags", " ".join(map(str, items(of_exit, "flags")))),
    )
    return tuple((name, value) for name, value in told if value)
