#!/bin/bash
# Installs what Baton needs and what is missing: Debian packages, as root or through sudo. Says what
# it does; silent when nothing is missing. Without a word: what building and running the broker
# takes, which is no Node and no second compiler. "pages" adds Node, for the pages' libraries and demo
# models; "lint" and "fuzz" clang and its tools; "test" all of that, the tests' browsers and shells and
# all packages of package-lock.json in web and tests/gateway and of requirements.txt in tests/openapi, python,
# integration and gateway; "bench" what only the benchmark compares with, or counts by; "rivals" other
# gateways that bench/gateway.py compares with (750 MB); "nginx" what the cancel
# matrix is run beside.
# Where dpkg is not the package manager, it says what to look for.
# Environment: SUDO, such as "sudo -n" to ask for no password.
set -eu
cd "$(dirname "$0")/../.."
what=${1:-build}

# Compiler and build.
packages=(gcc make meson ninja-build pkg-config python3 binutils)
# Libraries, docs, tests: DESIGN.md section 11 says why each is there.
packages+=(libevent-dev libjansson-dev libsqlite3-dev libcyaml-dev libyaml-dev libncurses-dev
	libssl-dev libcurl4-openssl-dev libcmocka-dev scdoc)

# Debian's Node.js is recent enough; one that came from elsewhere, with its own npm, stays.
with_node() {
	command -v node >/dev/null || packages+=(nodejs)
	command -v npm >/dev/null || packages+=(npm)
}

# clang is the second compiler (fuzz targets, the simulator's trace hash), g++ reads the public headers.
with_clang() { packages+=(g++ clang libclang-rt-14-dev clang-format); }

case "$what" in
build) ;;
pages) packages=() && with_node ;;
lint | fuzz) with_clang ;;
test) with_clang && with_node && packages+=(chromium firefox-esr fonts-dejavu-core zsh fish openssl python3-jsonschema python3-venv user-mode-linux) ;;
bench) packages+=(redis-server redis-tools valgrind nginx-light) ;;
nginx) packages=(nginx-light) ;;
rivals) packages=(python3-venv nginx-light) && with_node ;;
*)
	echo "usage: tools/dev/deps.sh [build|pages|lint|fuzz|test|bench|rivals|nginx]" >&2
	exit 64
	;;
esac

# The tests' own packages are many; the pages need a few files of them (web/fetch.mjs).
install_libraries() {
	local folder lock have
	[ "$what" = test ] || return 0
	command -v npm >/dev/null || return 0 # said above
	for folder in web tests/gateway; do
		lock=$folder/package-lock.json have=$folder/node_modules/.package-lock.json
		[ -f "$have" ] && [ ! "$lock" -nt "$have" ] && continue
		echo "deps: installing the packages of the tests (npm ci in $folder/)"
		(cd "$folder" && npm ci --ignore-scripts --no-progress)
		touch "$have"
	done
}

# schemathesis, which asks the daemon by its OpenAPI document; what builds, types and follows the Python client;
# pyte, a terminal to look at; clients of inference APIs.
install_venv() {
	local wanted=(tests/{openapi,python,integration,gateway}/requirements.txt) have=build-venv/requirements.txt
	[ "$what" = test ] || return 0
	cat "${wanted[@]}" | cmp -s - "$have" && return 0
	command -v python3 >/dev/null || return 0 # said above
	echo "deps: installing the Python packages of the tests (into build-venv/)"
	python3 -m venv --clear build-venv
	build-venv/bin/pip install -q --disable-pip-version-check "${wanted[@]/#/-r}"
	cat "${wanted[@]}" >"$have"
}

# NVIDIA's own library, for a test without its driver: unpacked into build-nvml/ and never installed, so that
# nothing else finds it. It is in Debian's non-free, which few have among their sources: asked for beside them.
install_nvml() {
	local folder=build-nvml keys=/usr/share/keyrings/debian-archive-keyring.gpg uri codename apt
	[ "$what" = test ] && command -v apt-get >/dev/null || return 0
	ls $folder/usr/lib/*/nvidia/current/libnvidia-ml.so.1 >/dev/null 2>&1 && return 0
	read -r uri codename < <(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' \
		'Identifier: Packages' 'Origin: Debian' 'Component: main') || return 0
	echo "deps: unpacking libnvidia-ml1 (into $folder/)"
	mkdir -p $folder/lists/partial $folder/cache/archives/partial
	[ -e $keys ] || keys=
	echo "deb ${keys:+[signed-by=$keys]} $uri $codename non-free" >$folder/sources.list
	apt=(-q -o "Dir::Etc::SourceList=$PWD/$folder/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$PWD/$folder/lists"
		-o "Dir::Cache=$PWD/$folder/cache" -o "APT::Sandbox::User=$(id -un)" -o Acquire::Retries=0 -o Acquire::http::Timeout=20)
	(cd $folder && apt-get "${apt[@]}" update && apt-get "${apt[@]}" download libnvidia-ml1 &&
		dpkg-deb -x libnvidia-ml1_*.deb .) >$folder/log 2>&1 ||
		echo "deps: there is no libnvidia-ml1 to be had ($folder/log); the test with it is skipped" >&2
}

install_rivals() {
	local have=build-rivals/requirements.txt
	[ "$what" = rivals ] || return 0
	(cd bench/rivals && npm ci --no-progress)
	cmp -s bench/rivals/requirements.txt "$have" && return 0
	echo "deps: installing LiteLLM (into build-rivals/)"
	python3 -m venv --clear build-rivals
	build-rivals/bin/pip install -q --disable-pip-version-check -r bench/rivals/requirements.txt
	cp bench/rivals/requirements.txt "$have"
}

if ! command -v dpkg-query >/dev/null; then
	[ ${#packages[@]} -eq 0 ] ||
		echo "deps: no dpkg here; make sure that these are installed: ${packages[*]}" >&2
	install_libraries
	install_venv
	install_nvml
	install_rivals
	exit 0
fi

missing=()
for package in ${packages[@]+"${packages[@]}"}; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$state" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
	install_libraries
	install_venv
	install_nvml
	install_rivals
	exit 0
fi

as_root=()
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "deps: missing ${missing[*]}; install them as root, or install sudo" >&2
		exit 1
	fi
	read -ra as_root <<<"${SUDO:-sudo}"
fi

# A benchmark needs the program, not a service that starts by itself beside it.
echo "deps: installing ${missing[*]}"
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
	apt-get install -y -q --no-install-recommends "${missing[@]}"
install_libraries
install_venv
install_nvml
install_rivals
