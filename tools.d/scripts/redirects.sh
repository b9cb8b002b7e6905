#!/bin/bash
# Is the way from http to https cut off (sslstrip)?
# /// exitpin
# schema = "exitpin.tool/1"
# id = "redirects"
# summary = "Is the redirect from http to https stripped?"
# description = """
# Asks a site over plain HTTP and compares where it sends its visitors. Where controls are sent to https and this exit's
# visitor is served a page, or is sent on without it, somebody keeps visitors where they can be read.
# """
# severity = "high"
# tags = ["http", "tls", "sslstrip"]
# references = ["https://www.cs.kau.se/philwint/spoiled_onions/"]
# by_hand = ["curl", "-sSi", "http://{{host}}:{{port}}/"]
#
# requires.bash = {}
# requires.curl = { argv = ["curl", "--version"], regex = '^curl (\S+)' }
#
# params.host = { type = "host", lab = "secure.test", help = "a site that redirects from http to https" }
# params.port = { type = "port", default = 80 }
# destination = [{ host = "{{host}}", port = "{{port}}" }]
#
# run.argv = ["bash", "{{script}}", "{{host}}", "{{port}}"]
# run.timeout = "60s"
#
# extract.code = { from = "facts", type = "int" }
# extract.location = { from = "facts" }
# extract.scheme = { from = "facts" }
#
# baseline = { mode = "exits", exits = 4, quorum = 2 }
# confirm = { runs = 2 }
# keep = { facts = "on-finding", "artifact:headers" = "on-finding", "artifact:body" = "on-finding" }
# redact = ['(?i)^set-cookie2?[ \t]*:.*(?:\n[ \t].*)*']
#
# verdict = [
#   { status = "error", when = [{ field = "code", absent = true }], reason = "no whole answer (curl exit status {{exit_code}})" },
#   { status = "error", when = [{ field = "code", gt = 499 }], reason = "the target answers {{code}}" },
#   { status = "suspect", when = [{ exit_code = 63 }, { field = "scheme", differs = true }], reason = "status {{code}} with more than 1 MiB, and no control's was" },
#   { status = "suspect", when = [{ field = "code", in = [403, 429, 451] }, { field = "code", differs = true }], reason = "status {{code}} that no control saw: a page of the exit's, or the target refuses this exit's address" },
#   { status = "tampered", when = [{ field = "scheme", not = "https" }, { field = "scheme", differs = true }], reason = "controls are sent to https; this exit's visitor gets status {{code}}, location {{location}}" },
#   { status = "suspect", when = [{ field = "location", differs = true }], reason = "sent to {{location}}, as no control was" },
#   { status = "suspect", when = [{ field = "code", differs = true }], reason = "status {{code}}, as no control saw" },
#   { status = "ok" },
# ]
#
# test = [
#   { expect = "ok", facts = "fixtures/redirects/honest.facts", control = { facts = "fixtures/redirects/honest.facts" } },
#   { expect = "tampered", facts = "fixtures/redirects/stripped.facts", control = { facts = "fixtures/redirects/honest.facts" } },
#   { expect = "tampered", facts = "fixtures/redirects/plain-http.facts", control = { facts = "fixtures/redirects/honest.facts" } },
#   { expect = "suspect", facts = "fixtures/redirects/elsewhere.facts", control = { facts = "fixtures/redirects/honest.facts" } },
#   { expect = "suspect", facts = "fixtures/redirects/forbidden.facts", control = { facts = "fixtures/redirects/honest.facts" } },
#   { expect = "suspect", facts = "fixtures/redirects/found.facts", control = { facts = "fixtures/redirects/honest.facts" } },
#   { expect = "error", facts = "fixtures/redirects/down.facts", control = { facts = "fixtures/redirects/honest.facts" } },
#   { expect = "suspect", exit_code = 63, facts = "fixtures/redirects/large.facts", control = { facts = "fixtures/redirects/honest.facts" } },
#   { expect = "error", exit_code = 63, facts = "fixtures/redirects/large-down.facts", control = { facts = "fixtures/redirects/honest.facts" } },
#   { expect = "error", exit_code = 7, control = { facts = "fixtures/redirects/honest.facts" } },
# ]
# ///
set -eu

# No pipe: it would hide that curl failed, and a dead port would look like an answer without a redirect.
code=$(curl -qsS --proto =http --max-time 45 --max-filesize 1048576 -w '%{http_code}' \
    -D "$EXITPIN_ARTIFACTS/headers" -o "$EXITPIN_ARTIFACTS/body" "http://$1:$2/") || {
    status=$?
    # Too large: curl has the status, and has not read on.
    [ "$status" -ne 63 ] || printf '%s\n' "code=$code" >>"$EXITPIN_FACTS"
    exit "$status"
}

# curl is content with a head that was cut: what was sent to whom can't be said then.
[ "$(tail -c 4 "$EXITPIN_ARTIFACTS/headers" | tr -d '\r' | od -An -c | tr -d ' ')" = '\n\n' ] || exit 18

location=$(tr -d '\r' <"$EXITPIN_ARTIFACTS/headers" | sed -n 's/^[Ll][Oo][Cc][Aa][Tt][Ii][Oo][Nn]:[ \t]*//p' | head -n 1)
case $location in
    [Hh][Tt][Tt][Pp][Ss]://*) scheme=https ;;
    [Hh][Tt][Tt][Pp]://*) scheme=http ;;
    *) scheme=none ;;
esac
printf '%s\n' "code=$code" "location=${location:-none}" "scheme=$scheme" >>"$EXITPIN_FACTS"
