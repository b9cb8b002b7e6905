"""A tool's file to begin with: valid, and each part explained. Called by `exitpin tools new`."""

from ..orchestrator.tool import SCHEMA

SKELETON = f"""\
schema = "{SCHEMA}"
id = "@ID@"  # the file's name
summary = "Is what @ID@ reads changed on the way?"  # the question that a verdict answers
severity = "high"  # of a `tampered` verdict: info low medium high critical
tags = ["http"]  # `exitpin audit @http` runs all tools with this tag

# What has to be installed. Not there, or too old: skipped, and no exit is blamed.
requires.curl = {{ argv = ["curl", "--version"], regex = '^curl (\\S+)', min = "7.70.0" }}

# Arguments: `-p url=...`, or [params.@ID@] in config.toml. Types: str int float bool host ip port url path enum
# duration fingerprint. `lab` is the default on `exitpin lab`'s network.
params.url = {{ type = "url", schemes = ["http"], lab = "http://web.test/", help = "a page that never changes" }}

# Chooses the exits whose policy allows it, and is all that a run may open.
destination = [{{ url = "{{{{url}}}}" }}]

# @WHAT@
run.argv = @ARGV@
run.timeout = "50s"

# Facts, read from stdout, stderr, artifact:FILE, or facts (which the tool gives by `exitpin emit NAME=VALUE`).
@EXTRACT@

# What the facts are compared with: the same run through other exits, two of which must agree.
baseline = {{ mode = "exits", exits = 3, quorum = 2 }}

@JUDGES@# First match wins. What says nothing about the exit comes first; `tampered` needs something that came back.
verdict = [
  {{ status = "error", when = [{{ field = "exit_code", not = 0 }}], reason = "it failed (exit {{{{exit_code}}}})" }},
  {{ status = "error", when = [{{ field = "body", absent = true }}], reason = "no body" }},
  {{ status = "tampered", when = [{{ field = "body", differs = true }}], reason = "no control got {{{{body}}}}" }},
  {{ status = "ok" }},
]
"""

_PLAIN = {
    "@WHAT@": "Never a shell: one element, one argument.",
    "@ARGV@": '["curl", "-qsSf", "--max-time", "40", "-o", "{{artifacts}}/body", "{{url}}"]',
    "@EXTRACT@": 'extract.body = { from = "artifact:body", as = "sha256" }',
    "@JUDGES@": "",
}
_SCRIPT = {
    "@WHAT@": "This script, with its arguments. What it starts runs on the same circuit.",
    "@ARGV@": '["sh", "{{script}}", "{{url}}"]',
    "@EXTRACT@": 'extract.body = { from = "facts" }',
    "@JUDGES@": (
        '# Or leave out `verdict`, write run.parse = "status", and let the script say `exitpin verdict tampered WHY`,\n'
        "# or exit status 0 (ok), 100 (tampered), 101 (suspect), 102 (broken); all else is an error, of nobody's.\n"
    ),
}
_CODE = """\
set -eu
# no pipe: it would hide curl's failure
curl -qsSf --max-time 40 -o "$EXITPIN_ARTIFACTS/body" "$1"
sum=$(sha256sum "$EXITPIN_ARTIFACTS/body")
exitpin emit body="${sum%% *}"
"""


def skeleton(tool_id: str, *, is_script: bool) -> str:
    """A valid, commented file to begin with."""
    text = SKELETON
    for mark, words in {**(_SCRIPT if is_script else _PLAIN), "@ID@": tool_id}.items():
        text = text.replace(mark, words)
    if not is_script:
        return text
    block = "".join(f"# {line}\n" if line else "#\n" for line in text.splitlines())
    return f"#!/bin/sh\n# /// exitpin\n{block}# ///\n{_CODE}"
