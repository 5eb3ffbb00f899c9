#!/bin/bash
# Installs the Debian packages that Baton needs, only those missing, as root or through sudo.
# Says what it does; silent when nothing is missing. "tools/deps.sh bench" adds what only the
# benchmark compares with. Where dpkg is not the package manager, it says what to look for.
set -eu

# Compiler and build. clang is the second compiler (fuzz targets, the simulator's trace hash).
packages=(gcc g++ clang libclang-rt-14-dev clang-format make meson ninja-build pkg-config python3 binutils)
# Libraries, docs, tests: DESIGN.md section 11 says why each is there.
packages+=(libevent-dev libjansson-dev libsqlite3-dev libcyaml-dev libyaml-dev libncurses-dev
	libssl-dev libcmocka-dev scdoc)
if [ "${1:-}" = bench ]; then
	packages+=(redis-server redis-tools)
fi

if ! command -v dpkg-query >/dev/null; then
	echo "deps: no dpkg here; make sure that these are installed: ${packages[*]}" >&2
	exit 0
fi

missing=()
for package in "${packages[@]}"; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$state" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "deps: missing ${missing[*]}; install them as root, or install sudo" >&2
		exit 1
	fi
	as_root=(sudo)
fi

# A benchmark needs the program, not a service that starts by itself beside it.
echo "deps: installing ${missing[*]}"
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
	apt-get install -y -q --no-install-recommends "${missing[@]}"
