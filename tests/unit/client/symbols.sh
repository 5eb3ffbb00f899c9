#!/bin/sh
# Goal: libbaton shows baton_* and nothing else, and all that its header declares.
# Usage: symbols.sh LIBBATON.so LIBBATON.a BATON.H
set -eu
shared=$1
static=$2
header=$3
declared=$(grep -oE '^BATON_API .*' "$header" | grep -oE 'baton_[a-z_]+\(' | tr -d '(' | sort -u)
for library in "$shared" "$static"; do
	option=$([ "$library" = "$shared" ] && echo -D || echo -g)
	# Sanitizers and coverage add names of their own, with two underscores.
	shown=$(nm "$option" --defined-only "$library" | awk 'NF == 3 && $2 ~ /[TDBRVWi]/ { print $3 }' |
		sed 's/@.*//' | grep -v '^__' | grep -v '^BATON_0$' | sort -u)
	if [ "$declared" != "$shown" ]; then
		echo "$library: declared and shown differ:"
		printf '%s\n' "$declared" >"${TMPDIR:-/tmp}/declared.$$"
		printf '%s\n' "$shown" | diff "${TMPDIR:-/tmp}/declared.$$" - || true
		rm -f "${TMPDIR:-/tmp}/declared.$$"
		exit 1
	fi
done
echo "$(printf '%s\n' "$declared" | wc -l) functions, nothing else"
