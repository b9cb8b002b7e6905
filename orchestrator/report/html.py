"""One scan as one page: a single file without network, that shows whatever an exit wrote and obeys nothing of it.

Three walls. Every text that the template prints passes `shown` (control and bidi characters become visible escapes)
and then autoescape; there is no place where a template could forget either. What runs or styles is named by its SHA-256
in a Content-Security-Policy that allows nothing else, and no address at all; Trusted Types keep the script itself from
making markup of text. And the script reads text and moves elements; it makes none of what it reads.

The table of all exits is always whole; what of the details fits beside it is `budget.py`'s to say. Decides nothing
about verdicts. Called by `exitpin report html`.
"""

import base64
import hashlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ...wrappers.output import printable
from ..counted import counted
from ..results.stored import Reader, RunTimes
from ..results.wanted import FINDINGS, STATUSES
from .budget import SMALL, Budget, told_of
from .charts import Histogram, Strip, histogram, strip
from .details import Details
from .survey import Survey, survey_of

SIZE_MAX = 1_900_000  # bytes: under 2 MB with room to spare
SCANS_SHOWN = 12
TEMPLATES = Path(__file__).parent / "templates"
LETTERS = {"tampered": "t", "suspect": "s", "broken": "b", "error": "e", "skipped": "x", "ok": "o"}
STATE_WORDS = {
    "running": ", the scan is still under way",
    "killed": ", the scan ended without a word",
    "interrupted": ", the scan was interrupted",
    "failed": ", the scan failed",
    "earlier": ", as far as an earlier version recorded them",
}
_TOOL_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def page(
    reader: Reader,
    scan_id: str,
    *,
    tool: str = "",
    title: str = "",
    size_max: int = SIZE_MAX,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """The report of a scan; `tool`: of one tool's verdicts. Raises OperatorError where the store can't be read."""
    survey = survey_of(reader, scan_id, tool)
    environment = _environment()
    template = environment.get_template("report.html.j2")
    style, script = _sources(survey)
    given: dict[str, Any] = {
        "survey": survey,
        "title": title or f"Scan {scan_id}",
        "policy": policy(style, script),
        "style": Markup(style),
        "script": Markup(script),
        "by_tool": [strip(used.name, used.counts, used.summary) for used in survey.tools],
        "by_scan": _scans(reader, scan_id),
        "small": SMALL,
        "times": _times(reader.times(scan_id, tool or None)),
    }
    every = frozenset(verdict.place for row in survey.exits for verdict in told_of(survey, row))
    frame = template.render(**given, drafts=(), places=every, brief=1, silent=1)
    macros: Any = environment.get_template("details.html.j2").module
    budget = Budget(survey, Details(reader, clock), macros, size_max - len(frame.encode()))
    budget.spend()
    places = frozenset(verdict.place for draft in budget.drafts for verdict in draft.told)
    told = {"drafts": budget.drafts, "brief": budget.brief, "silent": budget.silent}
    return template.render(**given, **told, places=places)


def shown(value: object) -> object:
    """What a template prints of a value: text without what a reader of it would obey. Markup is the template's own."""
    if isinstance(value, Markup) or not isinstance(value, str) or value.isprintable():
        return value
    return printable(value.encode("utf-8", "backslashreplace"))


def policy(style: str, script: str) -> str:
    """The Content-Security-Policy of a page with just this style and this script."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:;"
        " base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, finalize=shown, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.globals.update(LETTERS=LETTERS, FINDINGS=FINDINGS, STATUSES=STATUSES, STATE_WORDS=STATE_WORDS)
    environment.filters["s"] = counted
    return environment


def _sources(survey: Survey) -> tuple[str, str]:
    """The style and the script. On a phone a tool's name stands before its verdict: the style puts it there, once."""
    style = (TEMPLATES / "report.css").read_text("utf-8")
    for place, used in enumerate(survey.tools):
        if _TOOL_NAME.fullmatch(used.name):
            style += f'#matrix td:nth-child({place + 3}){{--tool:"{used.name} "}}\n'
    script = (TEMPLATES / "report.js").read_text("utf-8")
    for source in (style, script):
        if re.search(r"</(style|script)|<!--", source, re.IGNORECASE):
            raise AssertionError("BUG: a source that ends its own element")
    return style, script


def _scans(reader: Reader, scan_id: str) -> list[Strip]:
    """The last scans of the store, the newest first, this one among them if it is one of them."""
    found: list[Strip] = []
    for row in reader.scan_rows():
        counts: dict[str, int] = {}
        for (_, status), count in reader.tally(row.scan_id).items():
            counts[status] = counts.get(status, 0) + count
        note = f"{row.exits or 0:,} exits, {len(row.tools.split(','))} tools, {row.state}"
        found.append(strip(row.scan_id, counts, note, row.scan_id == scan_id))
        if len(found) == SCANS_SHOWN:
            break
    return found


def _times(times: Iterator[RunTimes]) -> list[Histogram]:
    """From the moment that a run was queued for its circuit: its own waiting is the scan's pace, not the exit's."""
    steps: dict[str, list[float]] = {"circuit": [], "first_stream": [], "first_byte": [], "end": []}
    for run in times:
        for name, values in steps.items():
            at = getattr(run, name)
            if isinstance(at, int | float) and isinstance(run.queue, int | float):
                values.append(max(0.0, at - run.queue))
    words = {
        "circuit": ("Circuit open", "until Tor said that it is built"),
        "first_stream": ("First connection", "until the tool asked for one"),
        "first_byte": ("First byte", "until a target's first answer came back"),
        "end": ("Whole run", "until the last process had ended"),
    }
    return [histogram(words[name][0], values, words[name][1]) for name, values in steps.items()]
