#!/bin/bash
# Nine connections as a shell makes them: background jobs, pipelines, substitutions. jobs.sh FIRST SECOND THIRD NAME
set -o pipefail
for port in 9000 9001 9002; do
  (exec 3<> "/dev/tcp/$1/$port" && read -r own there _ <&3 && [ "$own $there" = "$1 $port" ]) &
  jobs="$jobs $!"
done
printf 'GET /ip HTTP/1.0\r\n\r\n' | nc -w 60 "$2" 80 | tail -n 1 | grep -q '^203\.0\.113\.' || exit 1
printf 'GET /ip HTTP/1.0\r\n\r\n' | nc -w 60 "$3" 80 | tail -n 1 | grep -q '^2001:db8:e::' || exit 2
curl -sS "http://$2:8080/bytes/100000" | wc -c | grep -qx 100000 || exit 3
for word in ip status/204; do
  answer="$answer $(curl -gsS "http://[$3]:8080/$word")" || exit 4
done
wget -qO- "http://$4/ip" | grep -q '^203\.0\.113\.' || exit 5
for job in $jobs; do
  wait "$job" || exit 6
done
