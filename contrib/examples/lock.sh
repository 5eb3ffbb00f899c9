#!/bin/sh
# Runs a command under a lease with nothing but curl: to hold the connection is to hold the GPU. Where `baton run` is
# at hand, use that: it also ends whatever the command started.
#
#	lock.sh ./train.sh           # CLASS=background and WAIT=60 (seconds) may be set
set -u
socket=${BATON_SOCKET:-${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/baton/baton.sock}
folder=$(mktemp -d)
mkfifo "$folder/events"
curl='' job=''
trap 'kill $curl $job 2>/dev/null; rm -rf "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

curl -sN --unix-socket "$(dirname "$socket")/http.sock" \
	-H 'Content-Type: application/json' -H 'Accept: text/event-stream' \
	-d "{\"id\":\"$(basename "$1")\",\"class\":\"${CLASS:-normal}\",\"timeout_s\":${WAIT:-600}}" \
	http://localhost/v1/gpu/lock >"$folder/events" &
curl=$!
exec 3<"$folder/events"

# Each message begins with a line "event: NAME".
event=none
while read -r word event <&3; do
	[ "$word" != event: ] || case $event in granted | timeout | denied | released) break ;; esac
done
if [ "$event" != granted ]; then
	wait "$curl"
	[ $? = 7 ] && exit 69 # nobody listens
	exit 75
fi

"$@" &
job=$!

# Asked to give way, revoked, or the broker is gone: the command has its grace to save what it has.
(
	while read -r word event <&3; do
		[ "$word" != event: ] || case $event in yield | revoked) break ;; esac
	done
	kill -TERM "$job" 2>/dev/null
) &
reader=$!
wait "$job"
status=$?
job=''
kill "$reader" 2>/dev/null
exit "$status"
