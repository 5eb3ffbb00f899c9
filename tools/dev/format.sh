#!/bin/bash
# Checks that clang-format would change nothing; `tools/dev/format.sh --fix` lets it.
set -eu
cd "$(dirname "$0")/../.."
tool=$(command -v clang-format-14 || command -v clang-format || true)
if [ -z "$tool" ]; then
	echo "format: no clang-format here; tools/dev/deps.sh installs it"
	exit 77
fi
# Versions differ in details; the one of Debian 12 decides.
if ! "$tool" --version | grep -q 'version 14\.'; then
	echo "format: $("$tool" --version) is not version 14"
	exit 77
fi
mode=(--dry-run -Werror)
[ "${1:-}" != --fix ] || mode=(-i)
folders=()
for folder in src include tests bench; do
	[ ! -d "$folder" ] || folders+=("$folder")
done
find "${folders[@]}" -name node_modules -prune -o -name '*.[ch]' -print0 | xargs -0 "$tool" --style=file "${mode[@]}"
