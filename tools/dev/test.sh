#!/bin/bash
# `make test`: one plain -O2 build for lints, types, unit tests, simulator and pages; one sanitized build for
# unit tests, the fuzz corpora and the integration tests. Both run to the end even when the first
# fails, so that one run shows all there is to mend. The integration tests mostly wait: several run at
# a time, and beside them, niced, the simulator. The last line is "N passed, N failed".
set -eu
werror=${WERROR:-false}
failed=0

configure() { # folder, then options
	local folder=$1
	shift
	if [ -f "$folder/build.ninja" ]; then
		meson configure "$folder" "$@"
		# Configured before the tests' packages were there: it does not know of them.
		grep -q 'web/vendor.txt' "$folder/build.ninja" || meson setup --reconfigure "$folder"
	else
		meson setup "$folder" --buildtype=debugoptimized "$@"
	fi
}

run_suites() { # folder, log, tests at a time, then suites; builds first what they need and lacks
	local folder=$1 log=$2 jobs=$3
	shift 3
	local options=()
	rm -f "$folder/meson-logs/$log.json" # if that fails, nothing was tested
	for suite in "$@"; do
		options+=(--suite "$suite")
	done
	echo "test: $folder: $*"
	# Only what hangs may reach its deadline: a busy machine takes three times as long.
	meson test -C "$folder" --print-errorlogs --logbase "$log" --num-processes "$jobs" --timeout-multiplier 3 \
		"${options[@]}"
}

configure build "-Dwerror=$werror"
ninja -C build
run_suites build make-test 2 lint unit conformance kernel web || failed=1
# Sanitizers make gcc warn of what cannot be; the plain build is the one that must be clean.
configure build-asan -Db_sanitize=address,undefined -Db_lundef=false
ninja -C build-asan
run_suites build make-sim 2 sim >build/meson-logs/make-sim.out 2>&1 &
sim=$!
run_suites build-asan make-test 3 unit fuzz integration || failed=1
wait "$sim" || failed=1
cat build/meson-logs/make-sim.out

python3 tools/dev/summary.py build/meson-logs/make-test.json build/meson-logs/make-sim.json \
	build-asan/meson-logs/make-test.json || failed=1
exit $failed
