#!/bin/sh
# /// exitpin
# schema = "exitpin.tool/1"
# id = "names"
# summary = "Does the exit's resolver find my server, and nothing where nothing is?"
# requires.getent = {}
# params.name = { type = "host", lab = "web.test" }
# params.address = { type = "ip", lab = "192.0.2.10" }
# params.nothing = { type = "host", lab = "{{nonce}}.nx.test" }
# destination = [{ host = "{{nothing}}", port = 0 }, { host = "{{name}}", port = 0 }]
# run.argv = ["sh", "{{script}}", "{{name}}", "{{address}}", "{{nothing}}"]
# run.network.dns = "exit"
# run.parse = "tap"
# ///
echo 1..2
getent ahostsv4 "$3" >nothing && printf 'not '
echo "ok 1 - what does not exist is not found"
getent ahostsv4 "$1" >found || { echo "Bail out! $1 is not found"; exit 1; }
told=$(cut -d ' ' -f 1 found | sort -u)
echo "# it is at $told"
[ "$told" = "$2" ] || printf 'not '
echo "ok 2 - $1 is at $2"
