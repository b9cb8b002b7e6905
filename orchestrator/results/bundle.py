"""A bundle: findings and all that they rest on in one archive, which a third person can check with exitpin alone. Pure.

  README.txt               what it is, how to check it, and what that does and does not show
  bundle.json              schema, what is in it, SHA-256 of both lists
  evidence/ab/cdef....gz   pieces, named by the SHA-256 of their content, as in a store
  records.ndjson           verdicts, then runs, a record a line
  scans.ndjson             the scans that they are of

A tar (ustar: plain files, short names) in gzip. The same choice from the same store makes the same bytes: members are
sorted, have no time and no owner. What it looks like is said here; with I/O it is written by `bundling.py`, read by
`unbundling.py`, and both keep to the same limits (`excess`).
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..counted import counted

SCHEMA = "exitpin.bundle/1"
README, ABOUT, RECORDS, SCANS = "README.txt", "bundle.json", "records.ndjson", "scans.ndjson"
PIECE = re.compile(r"evidence/([0-9a-f]{2})/([0-9a-f]{62})\.gz")

FINGERPRINT = re.compile(rb"[0-9A-Fa-f]{40}")
FINDINGS_MAX = 50  # lines of the README
LINE_MAX = 16 << 20  # of a list: a run with every fact as long as it may be has 10 MB
ITEMS_MAX = {"evidence": 200, "runs": 1_000, "controls": 1_000, "circuits": 1_000, "streams": 10_000}
ID_MAX = 200  # characters
PARSED = ("events", "facts")
NESTS_MAX = 1_000_000  # lists and tables of one line

TEXT = """\
{title}
{line}

{findings}

To check it
-----------

With exitpin {exitpin} or later:

  exitpin results verify THIS_FILE

That needs neither Tor nor a network nor a store. Every piece of evidence is hashed again; for each connection of each
run it is recomputed, from Tor's raw control lines and the raw reports of the preload library, which circuit and which
exit carried it; and each verdict is held against its runs and controls. Or look for yourself: records.ndjson has one
JSON record a line (docs/record.rst explains each field), evidence/ab/cdef....gz is gzip of the content whose SHA-256 is
abcdef...: of name "events", lines of exitpin.events/1; of other names what the tool was given through the exit.

What it shows, and what it does not
-----------------------------------

It is CONSISTENT, not PROVEN: records and evidence agree with each other, and with how Tor names streams and circuits.
Whoever made this file could have written all of it. Nobody signed anything: a relay signs nothing of what it carries.

It names the relay that carried a connection, not who changed what came back: that may be its provider, its resolver or
somebody behind them. A verdict says what was seen at that time through that exit and not through the controls. To see
for yourself, ask the same of the same exit: each record ends with the command (reproduce).

What it may tell of whoever made it
-----------------------------------

{privacy}
"""

WHOLE = """\
The records are whole. They name the vantage, programs and paths of the machine, process ids and loopback addresses, the
parameters that are not secret, and what was seen without Tor, which may tell the machine's own address. The value of a
secret parameter, of four characters or more, was replaced wherever it stood as it was given. But keys of records and
scans, and with them the ids of verdicts, are digests into which it went: whoever guesses a value can check it by them,
and a short one is soon guessed."""

PUBLIC = """\
The records are public ones: without the vantage, local paths and programs, command lines, secret parameters and the
digests into which these went, and without what was seen without Tor. The pieces of evidence are raw all the same:
"events" hold loopback addresses, process ids, the SOCKS tags of each connection, times, and the relays before the exit;
"stdout" and "artifact" hold what came through the exit, as the tool wrote it. Error output, and what a control without
Tor left, is not in here."""


class Contents(NamedTuple):
    """What is in a bundle, as `bundle.json` says it. `hashes`: SHA-256 of the lists, by name."""

    exitpin: str
    is_public: bool
    verdicts: int
    runs: int
    scans: int
    pieces: int
    hashes: Mapping[str, str]

    def told(self) -> bytes:
        """`bundle.json`."""
        return json.dumps({"schema": SCHEMA, **self._asdict()}, indent=1, sort_keys=True).encode() + b"\n"


class Allowance(NamedTuple):
    """What a file may make anybody read, so that a small one keeps nobody busy. `unpacked_bytes`: of the archive;
    `parsed_bytes`: of events and facts; `again_bytes`: of runs that are read once more, since verdicts name them;
    `named`: runs and controls that verdicts name, all together."""

    unpacked_bytes: int
    members: int
    records: int
    parsed_bytes: int
    again_bytes: int
    named: int


def allowance(size_bytes: int) -> Allowance:
    """By the size of the file. What a scan leaves has a tenth of that, and less: records shrink to a twentieth when
    they are packed, events to a fifth, and no record takes less than a kilobyte."""
    return Allowance(
        min(4 << 30, (64 << 20) + 128 * size_bytes), min(200_000, 5_000 + size_bytes // 50),
        min(500_000, 5_000 + size_bytes // 50), min(1 << 30, (32 << 20) + 32 * size_bytes),
        min(8 << 30, (64 << 20) + 400 * size_bytes), min(50_000_000, 50_000 + size_bytes // 10),
    )  # fmt: skip


def piece_name(sha256: str) -> str:
    """Where a piece is within the archive."""
    return f"evidence/{sha256[:2]}/{sha256[2:]}.gz"


def line_of(record: Mapping[str, Any]) -> bytes:
    """As the lists have it."""
    return json.dumps(record, ensure_ascii=True, sort_keys=True).encode() + b"\n"


def excess(record: Mapping[str, Any]) -> str | None:
    """What a record names more of than any record in a bundle may; None: it does not."""
    for name, most in ITEMS_MAX.items():
        items = record.get(name)
        if isinstance(items, list) and len(items) > most:
            return f"has more than {most:,} {name}"
    if len(str(record.get("verdict_id", record.get("run_id")))) > ID_MAX:
        return f"has a name of more than {ID_MAX} characters"
    return None


def finding_line(record: Mapping[str, Any]) -> str:
    """A finding in one line of the README."""
    tool, of_exit = record.get("tool") or {}, record.get("exit") or {}
    return f"{record.get('status')} {tool.get('id')} {of_exit.get('fingerprint')}: {str(record.get('reason'))[:200]!r}"


def readme_accuses(text: bytes, findings: Sequence[str]) -> bool:
    """Whether the text names an exit otherwise than the findings of the records do: people read it first."""
    told = sorted(line.encode("ascii", "backslashreplace") for line in findings[:FINDINGS_MAX])
    return sorted(line.strip() for line in text.splitlines() if FINGERPRINT.search(line)) != told


def readme(contents: Contents, findings: Sequence[str]) -> bytes:
    """The text for a third person. `findings`: a line each, of which some are shown."""
    title = f"Evidence of what Tor exits did, collected by exitpin {contents.exitpin}"
    runs, pieces = counted(contents.runs, "run"), counted(contents.pieces, "piece")
    told = f"{counted(contents.verdicts, 'verdict')} from {runs}, with {pieces} of evidence:"
    shown = [f"  {line}" for line in findings[:FINDINGS_MAX]]
    if len(findings) > FINDINGS_MAX:
        shown.append(f"  and {len(findings) - FINDINGS_MAX} more, in {RECORDS}")
    privacy = PUBLIC if contents.is_public else WHOLE
    text = TEXT.format(
        title=title, line="=" * len(title), findings="\n".join([told, "", *shown]), exitpin=contents.exitpin,
        privacy=privacy,
    )  # fmt: skip
    return text.encode("ascii", "backslashreplace")
