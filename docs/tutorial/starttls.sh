#!/bin/bash
# /// exitpin
# schema = "exitpin.tool/1"
# id = "starttls"
# summary = "Does my mail server's offer of STARTTLS arrive?"
# requires.bash = {}
# params.host = { type = "host", lab = "mail.test" }
# destination = [{ host = "{{host}}", port = 587 }]
# run.argv = ["bash", "{{script}}", "{{host}}"]
# run.parse = "status"
# ///
set -eu
reply() { # one whole reply, of that code
    while IFS= read -r -n 500 -t 20 line <&3 || exit 1; do
        printf '%s\n' "${line%$'\r'}"
        [[ $line == [0-9][0-9][0-9]-* ]] || break
    done
    [[ $line == "$1 "* ]]
}
exec 3<>"/dev/tcp/$1/587"
reply 220 >greeting
printf 'EHLO exitpin.invalid\r\n' >&3
reply 250 >offers
exitpin evidence offers
grep -qix '250[- ]STARTTLS' offers || exitpin verdict tampered "a whole list of offers without STARTTLS"
