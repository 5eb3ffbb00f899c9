#!/bin/bash
# `make run`: starts the broker in this terminal, and when it answers, lays the pages' libraries
# beside it (tools/dev/pages.sh), unless they are there or WEB=no. Both end with Ctrl-C. The broker takes
# this process's place, so that its signals, status and terminal are as without this script.
# Usage: tools/dev/run.sh BUILD [ARGUMENT of "baton serve"]...
set -eu
cd "$(dirname "$0")/../.."
build=${1:?usage: tools/dev/run.sh BUILD [ARG]...}
shift
[ "${WEB:-yes}" = no ] && exec "$build/baton" serve "$@"

mkdir -p "$build/web" # before it starts: there it looks for them
broker=$$

# Begins when the broker says that it listens, ends with it.
lay_pages() {
	read -r _ || return 0 # it ended before
	trap : INT HUP TERM   # what ends the broker: then this is awake, and ends the rest
	set -m                # a process group of its own, to end all of it
	# No password is asked for beneath the broker's log.
	SUDO="sudo -n" tools/dev/pages.sh "$build" </dev/null &
	local pages=$!
	tail --pid="$broker" -f /dev/null &
	local watch=$!
	wait -n "$pages" "$watch" || true
	exec 2>/dev/null # which of them was killed is nobody's concern
	kill -- "-$pages" "-$watch" || true
}

exec 7> >(lay_pages)
exec "$build/baton" serve --ready-fd 7 "$@"
