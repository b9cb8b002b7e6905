"""Tools' files for tests: right as they stand, and as easily made wrong."""

import tomllib
from pathlib import Path
from typing import Any

MINIMAL = """\
schema = "exitpin.tool/1"
id = "probe"
summary = "Is the answer changed on the way?"
tags = ["web"]
requires.curl = {}
params.url = { type = "url", default = "http://web.example/" }
params.token = { secret = true, default = "" }
destination = [{ url = "{{url}}" }]
run.argv = ["curl", "-qsS", "-o", "{{artifacts}}/body", "{{url}}"]
extract.code = { from = "stdout", regex = '(\\d+)', type = "int" }
extract.links = { from = "artifact:body", regex = 'href="(.*?)"', all = true, as = "set" }
extract.chain = { from = "stdout", pem = "CERTIFICATE", as = "sha256" }
baseline = { mode = "exits", exits = 3, quorum = 2 }
verdict = [
  { status = "error", when = [{ field = "code", absent = true }], reason = "no answer" },
  { status = "tampered", when = [{ field = "links", adds = true }], reason = "new: {{links}}" },
  { status = "suspect", when = [{ field = "chain.0", differs = true }], reason = "another" },
  { status = "ok" },
]
"""

SCRIPT = """\
#!/bin/sh
# /// exitpin
# schema = "exitpin.tool/1"
# id = "redirects"
# summary = "Is it?"
# tags = ["web"]
#
# params.host = { type = "host", default = "web.example" }
# destination = [{ host = "{{host}}", port = 80 }]
# run.argv = ["sh", "{{script}}", "{{host}}"]
# verdict = [
#   { status = "error", when = [{ field = "location", absent = true }], reason = "none" },
#   { status = "ok" },
# ]
# ///
echo "location=$1" >> "$EXITPIN_FACTS"
"""


def table(more: str = "", *, without: str = "") -> dict[str, Any]:
    """The table with `more` TOML, whose top-level keys replace what was there, and without one key."""
    whole = tomllib.loads(MINIMAL)
    for key, value in tomllib.loads(more).items():
        if key in ("params", "extract", "run", "requires") and isinstance(value, dict):
            whole[key] |= value
        else:
            whole[key] = value
    whole.pop(without, None)
    return whole


def made(folder: Path) -> Path:
    folder.mkdir(mode=0o755, parents=True)
    return folder


def put(folder: Path, name: str, text: str, mode: int = 0o644) -> Path:
    path = folder / name
    path.parent.mkdir(mode=0o755, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def named(tool_id: str, summary: str = "Is it?") -> str:
    return MINIMAL.replace('"probe"', f'"{tool_id}"').replace("Is the answer changed on the way?", summary)
