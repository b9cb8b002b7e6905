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
#   { status = "tampered", when = [{ field = "leaf", differs = true }, { field = "valid", is = "no" }], reason = "not valid, and no control's: {{issuer}}" },
#   { status = "suspect", when = [{ field = "leaf", differs = true }], reason = "valid, and no control's: {{issuer}}" },
#   { status = "ok" },
# ]
# baseline.exits = 4
# ///
set -eu
openssl s_client -connect "$1:443" -servername "$1" -showcerts </dev/null >told
openssl x509 -in told -out leaf.pem
leaf=$(openssl x509 -in leaf.pem -noout -fingerprint -sha256)
issuer=$(openssl x509 -in leaf.pem -noout -issuer)
if openssl verify -verify_hostname "$1" -untrusted told leaf.pem; then valid=yes; else valid=no; fi
exitpin emit leaf="$leaf" issuer="$issuer" valid="$valid"
exitpin evidence told chain.txt
