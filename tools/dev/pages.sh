#!/bin/bash
# `make pages`: lays the pages' libraries and demo models beside the executable, where the broker
# serves them from, at once or not at all. Fetches the few files that are served, not the 500 MB of
# packages that they come in. May be interrupted, and goes on where it was; a page that is open
# meanwhile shows the step (FOLDER/web/vendor/state.json). Touches only BUILD/web.
# Usage: tools/dev/pages.sh BUILD. Environment: SUDO, see tools/dev/deps.sh.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
web=${1:?usage: tools/dev/pages.sh BUILD}/web
vendor=$web/vendor
cache=$web/fetched
steps=14 # programs, ten packages, models, the SDK, laying
step=0
text=

stamp() { # what the libraries are made of
	cat web/package-lock.json web/vendor.mjs web/demo_models/*.mjs web/sdk_package.mjs web/sdk/* | sha256sum | cut -d' ' -f1
}

tell() { # text, and more fields of the state
	local ready=false
	grep -qs '"ready":true' "$vendor/state.json" && ready=true
	text=$1
	mkdir -p "$vendor"
	printf '{"ready":%s,"step":%d,"of":%d,"text":"%s","at":%d%s}\n' \
		"$ready" "$step" "$steps" "$text" "$(date +%s)" "${2:-}" >"$vendor/state.json.new"
	mv "$vendor/state.json.new" "$vendor/state.json"
}

next() {
	step=$((step + 1))
	echo "pages: $step of $steps: $1"
	tell "$1"
}

ended() {
	local status=$?
	[ "$status" = 0 ] && return
	tell "$text" ',"failed":true'
	echo "pages: not done ($text); \"make pages\" goes on from there" >&2
}

mkdir -p "$web"
exec 9>"$web/pages.lock"
if ! flock -n 9; then
	echo "pages: another one is at it; waiting for its end"
	flock 9
fi
made_of=$(stamp)
if [ "$(cat "$web/pages.stamp" 2>/dev/null)" = "$made_of" ] && [ -f "$vendor/web-llm.js" ]; then
	echo "pages: their libraries are there"
	exit 0
fi
trap ended EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

next "the programs that fetch them (nodejs, npm)"
# Whoever ends this in the middle of an installation would leave half a one.
(trap '' TERM INT && tools/dev/deps.sh pages)
packages=web/node_modules
have=$packages/.package-lock.json # of all the tests' packages
if [ ! -f "$have" ] || [ web/package-lock.json -nt "$have" ]; then
	packages=$cache
	mkdir -p "$cache"
	text="fetching them by npm"
	# Each of its lines is "N of M: package version".
	node web/fetch.mjs "$cache" | while IFS= read -r line; do next "${line#*: }"; done
fi
step=11
next "the demo models"
rm -rf "$web/models.new" "$web/models.old"
node web/demo_models/build.mjs "$web/models.new" >/dev/null
if [ -d "$web/models" ]; then mv "$web/models" "$web/models.old"; fi
mv "$web/models.new" "$web/models"
rm -rf "$web/models.old"
next "the SDK's package"
node web/sdk_package.mjs "$web/sdk" "$packages"
next "packing"
node web/vendor.mjs "$vendor" "$packages"
echo "$made_of" >"$web/pages.stamp"
rm -rf "$cache"
echo "pages: ready ($(du -sm "$web" | cut -f1) MB in $web)"
