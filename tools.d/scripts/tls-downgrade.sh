#!/bin/bash
# Is a newer TLS version kept from being agreed on?
# /// exitpin
# schema = "exitpin.tool/1"
# id = "tls-downgrade"
# summary = "Is an old TLS version forced upon the client?"
# description = """
# Shakes hands with all versions on offer, and compares what was agreed on. Nobody can change that within a handshake
# unnoticed; but whoever stands in the middle may speak an older version than the server, or cut off each handshake that
# offers the newest, so that clients try again without it. Where the first is cut off, the script tries both kinds again
# and again, in random order: an exit that only loses connections loses some of both, and lets some of both through.
# """
# severity = "high"
# tags = ["tls", "downgrade"]
# references = ["https://www.rfc-editor.org/rfc/rfc7507"]
# by_hand = ["openssl", "s_client", "-brief", "-connect", "{{host}}:{{port}}", "-servername", "{{host}}"]
#
# requires.bash = {}
# requires.openssl = { argv = ["openssl", "version"], regex = '^OpenSSL (\S+)', min = "1.1.1" }
#
# params.host = { type = "host", pattern = '(?#a name, no address)[^:]*[A-Za-z][^:]*', lab = "secure.test", help = "a server with the newest TLS" }
# params.port = { type = "port", default = 443 }
# destination = [{ host = "{{host}}", port = "{{port}}" }]
#
# run.argv = ["bash", "{{script}}", "{{host}}", "{{port}}"]
# run.timeout = "240s"
#
# extract.protocol = { from = "artifact:first", regex = '(?m)^Protocol version: (\S+)$' }
# extract.cipher = { from = "artifact:first", regex = '(?m)^Ciphersuite: (\S+)$' }
# extract.verification = { from = "artifact:first", regex = '(?m)^Verification(?: error)?: (.*)$' }
# extract.fallback = { from = "artifact:fallback", regex = '(?m)^Protocol version: (\S+)$' }
# extract.cut = { from = "facts", type = "int" }
# extract.passed = { from = "facts", type = "int" }
#
# baseline = { mode = "exits", exits = 4, quorum = 2 }
# confirm = { runs = 2 }
# keep = { artifacts = "on-finding" }
#
# verdict = [
#   { status = "tampered", when = [
#     { field = "protocol", absent = true }, { field = "cut", gt = 11 }, { field = "passed", gt = 4 },
#     { field = "fallback", absent = false }, { field = "protocol", missing = true },
#   ], reason = "each of {{cut}} handshakes with all versions is cut off, and {{passed}} without the newest go through ({{fallback}}); controls need no such thing" },
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
#   { expect = "tampered", exit_code = 1, facts = "fixtures/tls-downgrade/cut.facts", artifacts = { first = "fixtures/tls-downgrade/reset.txt", fallback = "fixtures/tls-downgrade/old.txt" }, control = { artifacts = { first = "fixtures/tls-downgrade/honest.txt" } } },
#   { expect = "tampered", artifacts = { first = "fixtures/tls-downgrade/old-self-signed.txt" }, control = { artifacts = { first = "fixtures/tls-downgrade/honest.txt" } } },
#   { expect = "suspect", artifacts = { first = "fixtures/tls-downgrade/old.txt" }, control = { artifacts = { first = "fixtures/tls-downgrade/honest.txt" } } },
#   { expect = "suspect", artifacts = { first = "fixtures/tls-downgrade/weak.txt" }, control = { artifacts = { first = "fixtures/tls-downgrade/old.txt" } } },
#   { expect = "error", exit_code = 1, facts = "fixtures/tls-downgrade/dead.facts", artifacts = { first = "fixtures/tls-downgrade/reset.txt", fallback = "fixtures/tls-downgrade/reset.txt" }, control = { artifacts = { first = "fixtures/tls-downgrade/honest.txt" } } },
#   { expect = "error", exit_code = 1, artifacts = { first = "fixtures/tls-downgrade/refused.txt" }, control = { artifacts = { first = "fixtures/tls-downgrade/honest.txt" } } },
# ]
# ///
set -u
host=$1 port=$2
WITH_ALL=11 WITHOUT_NEWEST=6

# handshake NAME SECONDS OPTION...: leaves what openssl says in the artifact NAME, and fails as openssl does.
handshake() {
    local name=$1 seconds=$2
    shift 2
    timeout "$seconds" openssl s_client -brief -connect "$host:$port" -servername "$host" -verify_hostname "$host" \
        -cipher ALL:@SECLEVEL=0 -min_protocol TLSv1 "$@" </dev/null >"$EXITPIN_ARTIFACTS/$name" 2>&1
}

without_newest() {
    handshake try 10 -max_protocol TLSv1.2 || handshake try 10 -max_protocol TLSv1.1 || return
    mv "$EXITPIN_ARTIFACTS/try" "$EXITPIN_ARTIFACTS/fallback"
}

handshake first 30 && exit 0
cut=1 passed=0 all=$WITH_ALL old=$WITHOUT_NEWEST
while ((all + old > 0)); do
    if ((RANDOM % (all + old) < all)); then
        handshake first 10 && exit 0
        cut=$((cut + 1)) all=$((all - 1))
    else
        without_newest && passed=$((passed + 1))
        old=$((old - 1))
    fi
    # Where nothing goes through, the rest would tell no more.
    ((cut >= 4 && passed == 0 && old == 0)) && break
done
printf '%s\n' "cut=$cut" "passed=$passed" >>"$EXITPIN_FACTS"
exit 1
