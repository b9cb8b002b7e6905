"""The part of a mail that says what was asked, and what came back beside what other exits were given. Pure."""

from collections.abc import Sequence

from ..audit.agreement import SHARE
from ..tool import Status
from .differences_told import difference_lines
from .fields import Record, table, tables, text
from .finding import Finding
from .plain import WIDTH, ascii_text, cut, paragraph, quotation, section
from .told import BOTH, FIELD, HEAD, HERE, NOTE, THERE, Told

STRETCH_MAX = 10  # lines of a body with the same mark
LINES_MAX = 70  # of all that differs
STDERR_LINES = 6
PLACES_MAX = 4
LEGEND = """\
Beside each other: behind + what this relay gave and others did not, behind - what others were given and this relay did
not give; each with how many runs gave it."""
SHARED = "Behind = stands what both gave."
RARE = "What few of many others were given may be another relay's fault, and was not relied upon."


def seen(finding: Finding) -> list[str]:
    """Question, answer, difference."""
    record = finding.record
    question = text(table(record, "tool"), "summary")
    run = finding.accusing[0] if finding.accusing else {}
    test = text(table(record, "tool"), "id")
    asked = f"The test {test} asks: {question}" if question else f"The test was {test}."
    places = list(dict.fromkeys(map(_place, tables(run, "streams"))))[:PLACES_MAX]
    if places:
        asked += f" Through this relay we asked for {', '.join(places)}."
    return section(
        "WHAT WAS SEEN",
        paragraph(asked),
        ["What it says of what came back (a control is another exit):"],
        quotation(text(record, "reason")),
        *_difference(finding),
        *(_complaints(run) if finding.status == Status.BROKEN else ()),
    )


def _place(stream: Record) -> str:
    return f"{'the address of ' if stream.get('is_lookup') else ''}{text(stream, 'destination')}"


def differences(finding: Finding) -> list[Told]:
    """What stands beside each other in the mail."""
    return difference_lines(finding.detail, text(finding.record, "when"), is_brief=True, stretch_max=STRETCH_MAX)


def _difference(finding: Finding) -> list[list[str]]:
    told = differences(finding)
    if not told:
        return []
    legend = LEGEND + (f" {SHARED}" if any(one.mark == BOTH for one in told) else "")
    legend += f" {RARE}" if any(one.mark == THERE and _is_rare(one.seen) for one in told) else ""
    lines = [line for one in told for line in _lines(one)][1:]
    if len(lines) > LINES_MAX:
        lines = [*lines[:LINES_MAX], "    (more than that differs; the rest is left out here)"]
    return [paragraph(legend), lines]


def _is_rare(count: str) -> bool:
    """`1 of 26`: fewer than would have to agree."""
    given, _, of = count.partition(" of ")
    return given.isdecimal() and of.isdecimal() and int(given) < SHARE * int(of)


def _lines(told: Told) -> list[str]:
    if told.mark == HEAD:
        return ["", cut(f"  {told.text}")]
    if told.mark == FIELD:
        return [cut(f"   {told.text}")]
    if told.mark == NOTE:
        return paragraph(told.text, "      ")
    mark = f"{told.mark} " if told.mark != BOTH else "= "
    assert told.mark in (HERE, THERE, BOTH)
    if not told.seen:
        return quotation(told.text, mark, "    ", 2)
    label = f"    {mark}{told.seen}"
    if len(label) + 2 + len(ascii_text(told.text)) <= WIDTH:
        return [f"{label}  {ascii_text(told.text)}"]
    return [f"{label}:", *quotation(told.text, mark, "    ", 5)]


def _complaints(run: Record) -> Sequence[list[str]]:
    """How it failed: of one attempt that got nothing."""
    process, failure = table(run, "process"), table(run, "failure")
    ends = [f"exit status {text(process, 'rc')}"] if process.get("rc") is not None else []
    ends += ["timed out"] if process.get("timed_out") else []
    for stream in tables(run, "streams")[:3]:
        why = " ".join(filter(None, (text(stream, "reason"), text(stream, "remote_reason"))))
        what = "look-up of" if stream.get("is_lookup") else "connection to"
        ends.append(f"{what} {text(stream, 'destination')}: {text(stream, 'status')}{f' ({why})' if why else ''}")
    ends.append(text(failure, "detail"))
    ends = list(dict.fromkeys(filter(None, ends)))
    blocks = [paragraph(f"How the first attempt ended: {'; '.join(ends)}.")] if ends else []
    stderr = text(process, "stderr").strip()
    if stderr:
        blocks += [["What the tool complained of:"], quotation(stderr, lines_max=STDERR_LINES)]
    return blocks
