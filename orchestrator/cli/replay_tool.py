"""The tool of a recorded run, to be run again: its file, its parameters, and in what they are not what they were.

Parameters are the recorded ones. What is secret was not recorded: it is given again, or it is configured, or it is a
default; whether that is what it was then, the run's key tells. Called by `replay_run.py`.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...wrappers.tool_files import Catalogue
from ..audit.disclosure import SECRET
from ..audit.keys import audit_key, run_key
from ..audit.params import Bound, bind, share
from ..errors import EXIT_USAGE, OperatorError
from ..tool import Tool
from .results_store import shown
from .same_question import Part, changes

OTHER_TOOL = "the tool's file has changed since then"
OTHER_PARAMETERS = "the parameters may differ from those of then"
CAVEATS = {Part.TOOL: OTHER_TOOL, Part.PARAMETERS: OTHER_PARAMETERS}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolAgain:
    """A tool and its parameters. `caveats`: why the answer may differ though the exit does the same, or be the same
    though it was asked something else."""

    tool: Tool
    bound: Bound
    caveats: tuple[str, ...]


def tool_again(
    record: Json,
    word: str,
    catalogue: Catalogue,
    params: Sequence[str],
    configured: Mapping[str, Mapping[str, str]],
    *,
    anyway: bool,
    is_lab: bool,
) -> ToolAgain:
    """The tool of the run that `record` is of. `word`: how it was named; `params`: of the command line; `configured`:
    [params] of the configuration; `anyway`: also when it is not the same question. Raises OperatorError."""
    told = record["tool"]
    (tool,) = catalogue.resolve([word])
    recorded = {name: str(value) for name, value in (told.get("params") or {}).items()}
    # A value that is no secret itself may hold one, and was recorded without it.
    hidden = {param.name for param in tool.params if param.is_secret or SECRET in recorded.get(param.name, "")}
    given = share([tool], params)[tool.id]
    if refused := sorted(given.keys() - hidden):
        hint = f"`exitpin audit {shlex.quote(shown(word))}` asks another question."
        raise OperatorError(f"-p {', '.join(refused)}: a replay has the recorded parameters.", hint, EXIT_USAGE)
    kept = {name: value for name, value in recorded.items() if name not in hidden}
    bound = bind(tool, {**kept, **given}, configured.get(tool.id, {}), is_lab=is_lab)
    digest = str(told.get("digest"))
    then = {"digest": digest, "key": record.get("key"), "secret": sorted(hidden)}
    fingerprint = str((record.get("exit") or {}).get("fingerprint"))
    # By the digest of then: of a file that has changed it still says whether the parameters are the same.
    key = run_key(audit_key(digest, bound.values), fingerprint)
    found = list(changes(tool.id, then, tool.digest, key, f"run {shown(record.get('run_id'))}"))
    if found and not anyway:
        remedy = f"{found[0].remedy} Or --anyway asks" if found[0].remedy else "--anyway asks"
        raise OperatorError(found[0].sentence, f"{remedy} as it is now.", EXIT_USAGE)
    return ToolAgain(tool, bound, tuple(CAVEATS[change.part] for change in found))
