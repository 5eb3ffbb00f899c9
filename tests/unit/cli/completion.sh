#!/bin/bash
# Goal: the bash completion is valid and offers what the tables hold; tests/integration/test_completion.py
# types into real shells.
# Usage: completion.sh BATON
set -u
baton=$1
export BATON_SOCKET=/nowhere/baton.sock
PATH=$(dirname "$baton"):$PATH
script=$("$baton" completion bash) || exit 1
eval "$script" || exit 1
failed=0

# expect WANTED WORD...: WANTED must be offered for the last word. An empty WANTED: nothing may be.
expect() {
	local wanted=$1 offered
	shift
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMP_LINE=$*
	COMP_POINT=${#COMP_LINE}
	COMPREPLY=()
	_baton
	offered=" ${COMPREPLY[*]} "
	if [[ -z $wanted && $offered != "  " ]] || [[ -n $wanted && $offered != *" $wanted "* ]]; then
		echo "$*: offered '$offered', expected '$wanted'"
		failed=1
	fi
}

for command in serve run status why release reset force-release events logs open version completion replay; do
	expect "$command" baton "${command:0:2}"
done
expect status baton --socket /x st
expect --class baton run --cl
expect background baton run --class b
expect all baton run --slots a
expect SIGUSR1 baton run --on-yield SIGUS
expect --watch baton status --w
expect --socket baton status --so
expect zsh baton completion z
expect llama-swap baton import ll
expect --listen baton serve --li
expect '' baton run --name x
expect '' baton stat --zzz
expect fish baton completion f
expect bridge baton serve --compat br
expect predecessor baton replay --policy pre
"$baton" completion zsh | grep -q '^#compdef baton$' || failed=1
"$baton" completion fish | grep -q '^complete -c baton' || failed=1
exit "$failed"
