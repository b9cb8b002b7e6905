"""Which scan, or which record, a name on the command line means: its id, or how that begins.

Called by the verbs that take one. Whatever the store says itself is shown escaped: an id of a store may be anybody's.
"""

from collections.abc import Iterator, Sequence

from ..errors import EXIT_USAGE, OperatorError
from ..results.stored import Reader, Record, Wanted
from .results_store import shown

NAMED_MAX = 10  # of the ids that a name may mean


def find_scan(reader: Reader, name: str) -> str | None:
    """The id of a scan by its name or how it begins; None for all. Raises OperatorError when it is not just one."""
    if name == "all":
        return None
    _refuse_nothing(name, "scan")
    if name == "last":
        return reader.latest_scan()
    found = reader.scan_ids(name, NAMED_MAX)
    if name in found:
        return name
    if len(found) == 1:
        return found[0]
    if not found:
        raise OperatorError(f"there is no scan {shown(name)}.", "`exitpin results list --scans` shows all.", EXIT_USAGE)
    raise OperatorError(f"{shown(name)} begins the ids of several scans.", _one_of(found), EXIT_USAGE)


def find_record(reader: Reader, name: str) -> Record:
    """The record with this id, or the only one whose id begins so. Raises OperatorError; Unreadable is one."""
    _refuse_nothing(name, "record")
    found = reader.record(name, strictly=True)
    if found is not None:
        return found
    near = reader.ids(name, NAMED_MAX)
    if not near:
        hint = "`exitpin results list` shows the ids of verdicts, with --runs those of the runs of audits and replays;"
        hint += " the records of `exitpin run` are not kept here."
        raise OperatorError(f"there is no record {shown(name)}.", hint, EXIT_USAGE)
    if len(near) > 1:
        raise OperatorError(f"{shown(name)} begins the ids of several records.", _one_of(near), EXIT_USAGE)
    only = reader.record(near[0], strictly=True)
    assert only is not None
    return only


def unknown_words(reader: Reader, tool: str | None, exit_name: str | None = None) -> Iterator[str]:
    """Where nothing was found: what this store has never heard of, so that a slip of the pen is no good news."""
    if tool is not None and not reader.has(Wanted(tool=tool)):
        yield f"no record here is of a tool {shown(tool)}"
    if exit_name is not None and not reader.has(Wanted(exit=exit_name)):
        yield f"no record here is of an exit {shown(exit_name)} (a nickname, or how a fingerprint begins)"


def _refuse_nothing(name: str, what: str) -> None:
    if not name:
        raise OperatorError(f"an empty id names no {what}.", f"Say the id of a {what}, or how it begins.", EXIT_USAGE)


def _one_of(found: Sequence[str]) -> str:
    """What to say instead, of as many as were looked up."""
    return f"Say one of {', '.join(map(shown, found))}{', ...' if len(found) >= NAMED_MAX else '.'}"
