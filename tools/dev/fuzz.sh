#!/bin/bash
# `make fuzz`: builds every target with clang's libFuzzer, ASan and UBSan, and runs each for a time.
# Starts from the corpus in the tree; what it finds new stays in build-fuzz/corpus. A crash leaves its
# input in build-fuzz and ends the run.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}

if [ ! -f build-fuzz/build.ninja ]; then
	CC=clang meson setup build-fuzz -Dfuzz=enabled -Dman=disabled \
		-Db_sanitize=address,undefined -Db_lundef=false
fi
mapfile -t targets < <(ninja -C build-fuzz -t targets all | sed -n 's/^\(tests\/fuzz\/fuzz_[a-z0-9_]*\):.*/\1/p')
ninja -C build-fuzz "${targets[@]}"

found=0
for target in "${targets[@]/#/build-fuzz/}"; do
	found=$((found + 1))
	name=${target##*/fuzz_}
	folders=("build-fuzz/corpus/$name")
	mkdir -p "${folders[0]}"
	[ ! -d "tests/fuzz/corpus/$name" ] || folders+=("tests/fuzz/corpus/$name")
	echo "fuzz: $name for $seconds s"
	if ! "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="build-fuzz/$name-" "${folders[@]}" >"build-fuzz/$name.log" 2>&1; then
		tail -n 40 "build-fuzz/$name.log"
		exit 1
	fi
	grep -E 'number_of_executed_units|new_units_added|peak_rss_mb' "build-fuzz/$name.log"
done
[ "$found" -gt 0 ] || { echo "fuzz: no target was built" >&2; exit 1; }
echo "fuzz: $found targets, nothing found"
