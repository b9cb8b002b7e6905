#!/bin/sh
# /// exitpin
# schema = "exitpin.tool/1"
# id = "page-hash"
# summary = "Is a page given another body on its way?"
# by_hand = ["curl", "-sS", "{{url}}"]
# requires.curl = {}
# params.url = { type = "url", schemes = ["http"], lab = "http://web.test/page" }
# destination = [{ url = "{{url}}" }]
# run.argv = ["sh", "{{script}}", "{{url}}"]
# verdict = [
#   { status = "error", when = [{ field = "exit_code", not = 0 }], reason = "no whole answer (curl: {{exit_code}})" },
#   { status = "error", when = [{ field = "code", matches = "^5" }], reason = "the target answers {{code}}" },
#   { status = "suspect", when = [{ field = "code", differs = true }], reason = "status {{code}}, which no control got" },
#   { status = "tampered", when = [{ field = "body", differs = true }], reason = "a body that no control got: {{body}}" },
#   { status = "ok" },
# ]
# baseline.exits = 4
# ///
set -eu
code=$(curl -qsS --max-time 20 -o page -w '%{http_code}' "$1")
sum=$(sha256sum page)
exitpin emit code="$code" body="${sum%% *}"
exitpin evidence page page.html
