#!/bin/bash
# One run of many that start together: which tool it is, and whom it talks to, follows from the run's number,
# or that which it is given.
# Of 16 runs 5 are a Python program (32 connections), 5 curl -Z (8), 5 a bash script (9) and one is dig (5).
here=$(dirname "$0")
number=$((10#${NUMBER:-${EXITPIN_RUN_ID##*-}}))
first=198.51.100.$number second=192.0.2.$((100 + number)) third=2001:db8:1::1:$number
name=${first//./-}.ip.test

# Say that we are there; go on when everybody is, which is when the lock is let go.
: > "$MEETING/$number"
flock --shared "$MEETING/lock" true

case $(((number - 1) % 16)) in
  [0-4])
    exec python3 "$here/crowd.py" "$first" "$second" "$third"
    ;;
  [5-9])
    exec curl -gsSZ --fail "http://$first/ip" "http://$first:8080/ip" "http://$second/ip" "http://$second:8080/ip" \
      "http://[$third]/ip" "http://[$third]:8080/ip" "http://$name/ip" --insecure "https://$name/ip"
    ;;
  1[0-4])
    exec bash "$here/jobs.sh" "$first" "$second" "$third" "$name"
    ;;
  15)
    for server in "$first" "$second" "$third" "$name" "$first"; do
      dig +tcp +short +tries=1 +timeout=60 "@$server" web.test | grep -qx 192.0.2.10 || exit 1
    done
    ;;
esac
