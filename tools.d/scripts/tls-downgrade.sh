#!/bin/bash
# Is a newer TLS version kept from being agreed on?
# /// exitpin
# schema = "exitpin.tool/1"
# id = "tls-downgrade"
# summary = "Is an old TLS version forced upon the client?"
# description = """
# Shakes hands with all versions on offer, and compares what was agreed on. Nobody can change that within a handshake
# unnoticed; but whoever stands in the middle may speak an older version than the server, or cut off each handshake that
# offers the newest, so that clients try again without it. For this the script tries again as such clients do.
# """
# severity = "high"
# tags = ["tls", "downgrade"]
# references = ["https://www.rfc-editor.org/rfc/rfc7507"]
#
# requires.bash = {}
# requires.openssl = { argv = ["openssl", "version"], regex = '^OpenSSL (\S+)', min = "1.1.1" }
#
# params.host = { type = "host", lab = "secure.test", help = "a server with the newest TLS" }
# params.port = { type = "port", default = 443 }
# destination = [{ host = "{{host}}", port = "{{port}}" }]
#
# run.argv = ["bash", "{{script}}", "{{host}}", "{{port}}"]
# run.timeout = "120s"
#
# extract.protocol = { from = "artifact:first", regex = '(?m)^Protocol version: (\S+)$' }
# extract.cipher = { from = "artifact:first", regex = '(?m)^Ciphersuite: (\S+)$' }
# extract.verification = { from = "artifact:first", regex = '(?m)^Verification(?: error)?: (.*)$' }
# extract.fallback = { from = "artifact:fallback", regex = '(?m)^Protocol version: (\S+)$' }
# extract.again = { from = "artifact:again", regex = '(?m)^Protocol version: (\S+)$' }
#
# baseline = { mode = "exits", exits = 4, quorum = 2 }
# confirm = { runs = 2 }
# keep = { artifacts = "on-finding" }
#
# verdict = [
#   { status = "tampered", when = [
#     { field = "protocol", absent = true }, { field = "again", absent = true }, { field = "fallback", absent = false },
#     { field = "protocol", missing = true },
#   ], reason = "two handshakes with all versions are cut off, one between them without the newest goes through ({{fallback}}); controls need no such thing" },
#   { status = "error", when = [{ field = "protocol", absent = true }], reason = "no handshake (exit status {{exit_code}})" },
#   { status = "tampered", when = [
#     { field = "verification", not = "OK" }, { field = "verification", differs = true }, { field = "protocol", differs = true },
#   ], reason = "{{protocol}}, as with no control, and a certificate that does not validate: {{verification}}" },
#   { status = "suspect", when = [{ field = "protocol", differs = true }], reason = "{{protocol}}, as with no control" },
#   { status = "suspect", when = [{ field = "cipher", matches = '(?i)RC4|DES|NULL|EXP|anon|ADH|AECDH|MD5' }, { field = "cipher", differs = true }], reason = "the weak cipher {{cipher}}, as with no control" },
#   { status = "ok" },
# ]
#
# test = [
#   { expect = "ok", artifacts = { first = "fixtures/tls-downgrade/honest.txt" }, control = { artifacts = { first = "fixtures/tls-downgrade/honest.txt" } } },
#   { expect = "tampered", exit_code = 1, artifacts = { first = "fixtures/tls-downgrade/reset.txt", fallback = "fixtures/tls-downgrade/old.txt", again = "fixtures/tls-downgrade/reset.txt" }, control = { artifacts = { first = "fixtures/tls-downgrade/honest.txt" } } },
#   { expect = "tampered", artifacts = { first = "fixtures/tls-downgrade/old-self-signed.txt" }, control = { artifacts = { first = "fixtures/tls-downgrade/honest.txt" } } },
#   { expect = "suspect", artifacts = { first = "fixtures/tls-downgrade/old.txt" }, control = { artifacts = { first = "fixtures/tls-downgrade/honest.txt" } } },
#   { expect = "suspect", artifacts = { first = "fixtures/tls-downgrade/weak.txt" }, control = { artifacts = { first = "fixtures/tls-downgrade/old.txt" } } },
#   { expect = "error", exit_code = 1, artifacts = { first = "fixtures/tls-downgrade/reset.txt", fallback = "fixtures/tls-downgrade/reset.txt", again = "fixtures/tls-downgrade/reset.txt" }, control = { artifacts = { first = "fixtures/tls-downgrade/honest.txt" } } },
#   { expect = "error", exit_code = 1, artifacts = { first = "fixtures/tls-downgrade/refused.txt" }, control = { artifacts = { first = "fixtures/tls-downgrade/honest.txt" } } },
#   { expect = "error", artifacts = { first = "fixtures/tls-downgrade/reset.txt", fallback = "fixtures/tls-downgrade/old.txt", again = "fixtures/tls-downgrade/honest.txt" }, control = { artifacts = { first = "fixtures/tls-downgrade/honest.txt" } } },
# ]
# ///
set -u
host=$1 port=$2

# handshake NAME OPTION...: leaves what openssl says in the artifact NAME, and fails as openssl does.
handshake() {
    local name=$1
    shift
    timeout 30 openssl s_client -brief -connect "$host:$port" -servername "$host" -verify_hostname "$host" \
        -cipher ALL:@SECLEVEL=0 -min_protocol TLSv1 "$@" </dev/null >"$EXITPIN_ARTIFACTS/$name" 2>&1
}

handshake first && exit 0
handshake fallback -max_protocol TLSv1.2 || handshake fallback -max_protocol TLSv1.1
handshake again
