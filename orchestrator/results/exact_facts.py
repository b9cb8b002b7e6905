"""The facts of a recorded run as they were judged, for whoever judges or compares once more.

Reads the run's evidence: a record shows facts only as long as anybody would read. Called by `audit --resume`, `replay`.
"""

import json
from collections.abc import Mapping
from typing import Any

from .exhibit import BlobError, exhibits
from .stored import Reader


def exact_facts(reader: Reader, record: Mapping[str, Any]) -> Mapping[str, object] | None:
    """The facts of a run as they were judged; None: there are none, or they were not kept so."""
    if not record.get("facts_exact") or record.get("facts") is None:
        return None
    kept = next((item for item in exhibits(record) if item["name"] == "facts"), None)
    if kept is None:
        return dict(record["facts"])
    try:
        found = json.loads(reader.blobs.read(str(kept["sha256"])))
    except (BlobError, ValueError):
        return None
    return found if isinstance(found, dict) else None
