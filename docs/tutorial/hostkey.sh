#!/bin/sh
# /// exitpin
# schema = "exitpin.tool/1"
# id = "hostkey"
# summary = "Is the SSH host key that arrives the one that I know?"
# requires.ssh-keyscan = {}
# params.host = { type = "host", lab = "ssh.test" }
# params.key = { pattern = "AAAA[0-9A-Za-z+/=]+", help = "its ed25519 key, as known_hosts has it" }
# destination = [{ host = "{{host}}", port = 22 }]
# run.argv = ["sh", "{{script}}", "{{host}}", "{{key}}"]
# run.parse = "status"
# ///
set -eu
ssh-keyscan -T 20 -t ed25519 "$1" >keys
key=$(awk '$2 == "ssh-ed25519" { print $3; exit }' keys)
[ -n "$key" ] || exit 1
exitpin emit key="$key"
[ "$key" = "$2" ] || exitpin verdict tampered "another key: $key"
