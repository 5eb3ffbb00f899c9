#!/bin/sh
# Makes the static libbaton: links the parts that the client needs into one object and hides every
# symbol but baton_*. What is there for link-time optimisation fits one compiler only, and goes.
# Usage: static.sh OUT.a CLIENT.a OTHER.a...
set -eu
out=$1
client=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
${LD:-ld} -r -o "$work/all.o" --whole-archive "$client" --no-whole-archive --start-group "$@" --end-group
${OBJCOPY:-objcopy} --wildcard --remove-section='.gnu.lto_*' --remove-section='.gnu.debuglto_*' --keep-global-symbol='baton_*' "$work/all.o" "$work/libbaton.o"
rm -f "$out"
${AR:-ar} rcs "$out" "$work/libbaton.o"
