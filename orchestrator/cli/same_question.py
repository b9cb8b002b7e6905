"""Whether a tool asks today what it asked then: by the digest of its file, and by the key of its parameters.

A key has the secret parameters in it, and those are kept nowhere: it alone tells another secret from the same one.
Decides nothing; pure. Called by `audit --resume`, which refuses another question, and by `replay`, which asks it if it
is told to.
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple

from .results_store import shown


class Part(Enum):
    """What of a question has changed."""

    TOOL = "tool"
    PARAMETERS = "parameters"


class Change(NamedTuple):
    """`sentence`: what has changed since when; `remedy`: what to type about it, empty for nothing."""

    part: Part
    sentence: str
    remedy: str


def changes(tool_id: str, then: Mapping[str, Any], digest: str, key: str, when: str) -> Iterator[Change]:
    """In what the question is another one. `then`: the `digest` and `key` that were recorded, and `secret`, the names
    of the parameters that were not; `digest`, `key`: those of now; `when`: `scan ID`, or `run ID`."""
    if then.get("digest") != digest:
        digests = f"then {shown(then.get('digest'))[:16] or 'none'}, now {digest[:16]}"
        why = "what was found and what would be found do not compare"
        yield Change(Part.TOOL, f"{tool_id} has changed since {when} ({digests}): {why}.", "")
    if then.get("key") != key:
        secret = [shown(name) for name in then.get("secret") or ()]
        words = " ".join(f"-p {tool_id}.{name}=..." for name in secret)
        remedy = f"Give {', '.join(secret)} as it was then: {words}" if secret else ""
        yield Change(Part.PARAMETERS, f"{tool_id} has other parameters than in {when}.", remedy)
