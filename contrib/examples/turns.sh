#!/bin/sh
# Runs the commands of a file one after another, each under a lease of its own, so that others get
# their turn in between. A command for which there is no GPU within the hour, or that had to give it back
# before it was done, is put off to the end, once.
#
#	turns.sh jobs.txt        # one command a line
set -u
jobs=$1
put_off=$(mktemp)
trap 'rm -f "$put_off"' EXIT

run_job() {
	baton run --class background --name "$(basename "$jobs")" --wait 1h -- sh -c "$1" </dev/null
}

failed=0
while IFS= read -r job; do
	[ -n "$job" ] || continue
	run_job "$job"
	status=$?
	case $status in
	0) ;;
	69) exit 69 ;; # no broker, so no GPU for anybody
	75) printf '%s\n' "$job" >>"$put_off" ;;
	*) failed=$status ;;
	esac
done <"$jobs"
while IFS= read -r job; do
	run_job "$job" || failed=$?
done <"$put_off"
exit "$failed"
