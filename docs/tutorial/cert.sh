#!/bin/sh
# /// exitpin
# schema = "exitpin.tool/1"
# id = "cert"
# summary = "Is the certificate that arrives the server's own?"
# requires.openssl = {}
# params.host = { type = "host", lab = "secure.test" }
# destination = [{ host = "{{host}}", port = 443 }]
# run.argv = ["sh", "{{script}}", "{{host}}"]
# verdict = [
#   { status = "error", when = [{ field = "exit_code", not = 0 }], reason = "no certificate" },
#   { status = "tampered", reason = "not valid, and no control's: {{issuer}}", when = [
#     { field = "leaf", differs = true }, { field = "valid", is = "no" }] },
#   { status = "suspect", reason = "valid, and no control's: {{issuer}}", when = [{ field = "leaf", differs = true }] },
#   { status = "ok" },
# ]
# baseline.exits = 4
# ///
set -eu
openssl s_client -connect "$1:443" -servername "$1" -showcerts </dev/null >told
leaf=$(openssl x509 -in told -noout -fingerprint -sha256)
issuer=$(openssl x509 -in told -noout -issuer)
if openssl verify -verify_hostname "$1" -untrusted told told; then valid=yes; else valid=no; fi
exitpin emit leaf="$leaf" issuer="$issuer" valid="$valid"
exitpin evidence told chain.txt
