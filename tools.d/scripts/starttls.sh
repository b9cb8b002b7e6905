#!/bin/bash
# Is STARTTLS offered, and whose certificate comes after it?  starttls.sh smtp|imap HOST PORT
#
# First in the clear: leaves the fact `greeting`, and, once the list of capabilities came to its end, the fact `starttls`
# (yes or no) and the list as an artifact. Then, if it is offered, a handshake, whose output is ours.
set -u
protocol=$1 host=$2 port=$3
LINES_MAX=100

emit() { printf '%s\n' "$1" >>"$EXITPIN_FACTS"; }
greet() { printf 'greeting=%s\n' "$1" >"$EXITPIN_FACTS"; } # the last try's
say() { printf '%s\r\n' "$1" >&3; }

# A server that writes lines without end, or a line without end, is not waited for.
count=0
next() {
    count=$((count + 1))
    ((count <= LINES_MAX)) && IFS= read -r -n 2000 -t 20 line <&3 && line=${line%$'\r'}
}

# Each returns when the list is complete, and fails when it never was.
smtp() {
    while next && [[ $line == 220-* ]]; do :; done
    greet "${line:0:3}"
    [[ $line != [45][0-9][0-9]* ]] || exit 0 # it was told to go away: an answer, and none about STARTTLS
    [[ $line == 220* ]] || return
    say 'EHLO exitpin.invalid'
    while next && [[ $line == 250-* ]]; do printf '%s\n' "${line:4}" >>"$list"; done
    [[ $line == '250 '* ]] || return
    printf '%s\n' "${line:4}" >>"$list"
    say QUIT
}

imap() {
    next || return
    line=${line#\* }
    greet "${line%% *}"
    [[ $line != BYE* ]] || exit 0
    [[ $line == OK* ]] || return
    say 'a CAPABILITY'
    while next && [[ $line != 'a '* ]]; do
        [[ $line == '* CAPABILITY '* ]] && tr ' ' '\n' <<<"${line#\* CAPABILITY }" >>"$list"
    done
    [[ $line == 'a OK'* ]] || return
    say 'b LOGOUT'
}

# What fails is tried again: a connection that is lost once proves nothing.
TRIES=3
list=$EXITPIN_ARTIFACTS/capabilities
line=
read_capabilities() {
    : >"$list"
    count=0
    { exec 3<>"/dev/tcp/$host/$port"; } 2>/dev/null || return 3
    "$protocol" || { exec 3>&-; return 4; }
    exec 3>&-
}
for ((try = 0; try < TRIES; try++)); do
    read_capabilities
    status=$?
    ((status != 0)) || break
done
((status == 0)) || exit "$status"
if ! grep -qix STARTTLS "$list"; then
    emit starttls=no
    exit 0
fi
emit starttls=yes
output=$EXITPIN_ARTIFACTS/handshake
for ((try = 0; try < TRIES; try++)); do
    timeout 45 openssl s_client -starttls "$protocol" -connect "$host:$port" -servername "$host" \
        -verify_hostname "$host" -showcerts <<<Q >"$output"
    status=$?
    if ((status == 124)) || grep -q '^-----BEGIN CERTIFICATE-----' "$output"; then break; fi
done
cat "$output"
exit "$status"
