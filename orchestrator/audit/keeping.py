"""The evidence of one run, as pieces that the store can keep: its raw events always; of what its tool wrote as much as
the tool's `keep` says, without secrets.

Bytes of suspects are read and packed here: in threads, not on the loop. What a record tells of a run is
`disclosure.py`'s and `records.py`'s; where pieces lie, `results/`'s. Called by `assessing.py`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ...wrappers.harvest import FACTS_BYTES, Harvest, read_artifact
from ...wrappers.values import Unreadable
from ..results.blobs import CONTENT_MAX
from ..results.exhibit import Exhibit, pack
from ..tool import Tool
from .disclosure import ToolUse, bytes_told

EVENTS_MAX = 16 << 20  # a tool that opens connections without end gets no more
FILES_MAX = 64  # of one run
PEM_MAX = 1 << 20
EMITTED = "emitted"  # what the tool wrote to $EXITPIN_FACTS
EVIDENCE = "evidence:"  # what it asked to have kept
DEFAULTS = {"stdout": "on-finding", "stderr": "on-finding"}
_PEM = re.compile(rb"-----BEGIN [A-Z0-9 ]{1,40}-----[A-Za-z0-9+/=\s]{1,65536}?-----END [A-Z0-9 ]{1,40}-----\n?")


def events_exhibit(entries: Iterable[Mapping[str, object]]) -> Exhibit:
    """The run's slice of `exitpin.events/1`: `results verify` recomputes its attribution from it."""
    content, is_cut = bytearray(), False
    for entry in entries:
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        if len(content) + len(line) > EVENTS_MAX:
            is_cut = True
            break
        content += line
    return Exhibit("events", pack(bytes(content)), is_cut)


def facts_exhibit(facts: Mapping[str, object]) -> Exhibit:
    """Facts as they were judged, where those of the record had to be cut."""
    return Exhibit("facts", pack(json.dumps(facts, ensure_ascii=True).encode()))


def read_files(tool: Tool, harvest: Harvest, directory: str) -> dict[str, bytes]:
    """What is to be kept beside the tool's output, read before the run's folder goes: what it asked for itself, and
    what its `keep` names, artifacts and emitted facts.

    What can't be read is left out: it is no plain file, or there is none.
    """
    names = {name.removeprefix("artifact:") for name, _ in tool.keep if name.startswith("artifact:")}
    folder = harvest.artifacts
    if not isinstance(folder, str):
        return {}
    if any(name == "artifacts" for name, _ in tool.keep):
        names |= {path.name for path in _some(Path(folder))}
    found: dict[str, bytes] = {}
    left = tool.command.limits.artifacts
    kept = Path(directory, "evidence")
    wanted = [(str(kept), path.name, EVIDENCE) for path in _some(kept)]
    wanted += [(folder, name, "artifact:") for name in sorted(names)[:FILES_MAX]]
    for place, name, kind in wanted:
        content = _read(place, name, left + 1)
        if content is not None:
            found[f"{kind}{name}"] = content
            left = max(0, left - len(content))
    if any(name == "facts" for name, _ in tool.keep) and (content := _read(directory, "facts", FACTS_BYTES + 1)):
        found[EMITTED] = content
    return found


def kept_exhibits(use: ToolUse, harvest: Harvest, files: Mapping[str, bytes], *, is_finding: bool) -> Iterator[Exhibit]:
    """The pieces that `keep` wants of this run. `is_finding`: it accuses, or is what others are held against.
    `files`: by `read_files`, in its order."""
    when = {**DEFAULTS, **dict(use.tool.keep)}
    for name, content, is_cut in _sources(use.tool, harvest, files, wants_pem="pem" in when):
        kind = "facts" if name == EMITTED else name
        policy = when.get(kind) or (when.get("artifacts") if name.startswith("artifact:") else None)
        policy = "always" if name.startswith(EVIDENCE) else policy
        if content and (policy == "always" or (policy == "on-finding" and is_finding)):
            told = bytes_told(use, content, is_cut=is_cut)  # what hides a secret can be longer than it
            yield Exhibit(name, pack(told[:CONTENT_MAX]), is_cut or len(told) > CONTENT_MAX)


def _sources(
    tool: Tool, harvest: Harvest, files: Mapping[str, bytes], *, wants_pem: bool
) -> Iterator[tuple[str, bytes, bool]]:
    """What could be kept, within its limit, and whether it was cut. Of a stream nothing beyond its limit is ever read:
    one that fills it counts as cut."""
    limits = tool.command.limits
    for name, content, limit in (("stdout", harvest.stdout, limits.stdout), ("stderr", harvest.stderr, limits.stderr)):
        yield name, content[:limit], len(content) >= limit
    if wants_pem:
        blocks = b"".join(match[0] for match in _PEM.finditer(harvest.stdout))
        yield "pem", blocks[:PEM_MAX], len(blocks) > PEM_MAX
    left = limits.artifacts
    for name, content in files.items():
        limit = FACTS_BYTES if name == EMITTED else left
        is_full = name.startswith(EVIDENCE) and len(content) == limits.artifacts  # the kernel let it have no more
        yield name, content[:limit], len(content) > limit or is_full
        left -= 0 if name == EMITTED else min(left, len(content))


def _some(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())[:FILES_MAX]
    except OSError:
        return []


def _read(folder: str, name: str, limit: int) -> bytes | None:
    try:
        return read_artifact(folder, name, limit)
    except (Unreadable, OSError):
        return None
