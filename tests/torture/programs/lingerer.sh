#!/bin/bash
# lingerer.sh HOST PORT [leave]: holds a connection open, beside children that try hard to outlive it: one in a session of its
# own, one forked twice and deaf to signals. With `leave` it ends at once and leaves them behind; else when its connection ends.
exec 3<>"/dev/tcp/$1/$2" || exit 3
read -r _ <&3
setsid sleep 1000 &
( (
	trap '' TERM HUP INT QUIT
	exec setsid sh -c 'sleep 1001; sleep 1002'
) & )
[ "$3" = leave ] && exit 0
read -r _ <&3
exit 4
