#!/bin/bash
# `make test`: one plain -O2 build for lints, types, unit tests, simulator and pages; one sanitized build for
# unit tests, the fuzz corpora and the integration tests. Both run to the end even when the first
# fails, so that one run shows all there is to mend. The last line is "N passed, N failed".
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

run_suites() { # folder, then suites; builds first what they need and lacks
	local folder=$1
	shift
	local options=()
	rm -f "$folder/meson-logs/make-test.json" # if that fails, nothing was tested
	for suite in "$@"; do
		options+=(--suite "$suite")
	done
	echo "test: $folder: $*"
	meson test -C "$folder" --print-errorlogs --logbase make-test "${options[@]}" ||
		failed=1
}

configure build "-Dwerror=$werror"
ninja -C build
run_suites build lint unit sim conformance web
# Sanitizers make gcc warn of what cannot be; the plain build is the one that must be clean.
configure build-asan -Db_sanitize=address,undefined -Db_lundef=false
run_suites build-asan unit fuzz integration

python3 tools/dev/summary.py build/meson-logs/make-test.json build-asan/meson-logs/make-test.json ||
	failed=1
exit $failed
