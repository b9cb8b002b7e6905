#!/bin/bash
# Does the exit's resolver invent addresses?
# /// exitpin
# schema = "exitpin.tool/1"
# id = "dns-nxdomain"
# summary = "Does the exit's resolver invent addresses for names that do not exist?"
# description = """
# Lets the exit resolve a random name that nobody has. Resolvers of some providers answer with the address of a page of
# theirs, full of advertisements, where the truth is that there is no such name. To Tor a dead resolver looks as if no
# name existed; so a name that does exist has to be resolved too.
# """
# severity = "medium"
# tags = ["dns"]
# references = ["https://www.rfc-editor.org/rfc/rfc8020"]
# by_hand = ["tor-resolve", "{{nonce}}.{{zone}}"]
#
# requires.bash = {}
# requires.getent = {}
#
# params.zone = { type = "host", default = "example.com", lab = "nx.test", help = "a zone without a wildcard" }
# params.canary = { type = "host", default = "example.com", lab = "public.test", help = "a name that exists" }
# destination = [{ host = "{{nonce}}.{{zone}}", port = "0" }, { host = "{{canary}}", port = "0" }]
#
# run.argv = ["bash", "{{script}}", "{{nonce}}.{{zone}}", "{{canary}}"]
# run.timeout = "90s"
# run.network = { dns = "exit" }
#
# extract.invented = { from = "artifact:invented", regex = '(?m)^(\d+\.\d+\.\d+\.\d+)\s', all = true, as = "set" }
# extract.canaries = { from = "artifact:canary", regex = '(?m)^(\d+\.\d+\.\d+\.\d+)\s', all = true, as = "set" }
#
# baseline = { mode = "exits", exits = 4, quorum = 2 }
# confirm = { runs = 2 }
# keep = { artifacts = "on-finding" }
#
# verdict = [
#   { status = "tampered", when = [{ field = "invented", adds = true }, { field = "invented", absent = false }], reason = "a name that does not exist is at {{invented}}" },
#   { status = "error", when = [{ field = "exit_code", not = 0 }], reason = "no look-up, or none to the end (exit status {{exit_code}})" },
#   { status = "error", when = [{ field = "canaries", absent = true }], reason = "{{canary}} is not resolved either" },
#   { status = "ok", when = [{ field = "invented", absent = true }] },
#   { status = "error", reason = "the zone {{zone}} has an address for every name: {{invented}}" },
# ]
#
# test = [
#   { expect = "ok", artifacts = { canary = "fixtures/dns-nxdomain/canary.txt", invented = "fixtures/dns-nxdomain/nothing.txt" }, control = { artifacts = { canary = "fixtures/dns-nxdomain/canary.txt", invented = "fixtures/dns-nxdomain/nothing.txt" } } },
#   { expect = "tampered", artifacts = { canary = "fixtures/dns-nxdomain/canary.txt", invented = "fixtures/dns-nxdomain/invented.txt" }, control = { artifacts = { canary = "fixtures/dns-nxdomain/canary.txt", invented = "fixtures/dns-nxdomain/nothing.txt" } } },
#   { expect = "error", artifacts = { canary = "fixtures/dns-nxdomain/canary.txt", invented = "fixtures/dns-nxdomain/invented.txt" }, control = { artifacts = { canary = "fixtures/dns-nxdomain/canary.txt", invented = "fixtures/dns-nxdomain/invented.txt" } } },
#   { expect = "error", exit_code = 2, failure = "dns", artifacts = { canary = "fixtures/dns-nxdomain/nothing.txt", invented = "fixtures/dns-nxdomain/nothing.txt" }, control = { artifacts = { canary = "fixtures/dns-nxdomain/canary.txt", invented = "fixtures/dns-nxdomain/nothing.txt" } } },
# ]
# ///
set -u
getent ahostsv4 "$1" >"$EXITPIN_ARTIFACTS/invented"
case $? in 0 | 2) ;; *) exit 3 ;; esac
exec getent ahostsv4 "$2" >"$EXITPIN_ARTIFACTS/canary" # the last look-up: what becomes of it is how the run fails
