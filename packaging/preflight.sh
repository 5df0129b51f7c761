#!/bin/sh
# Whether this machine has what `make demo` or `make test` needs: packaging/preflight.sh demo|test
#
# It comes before anything that takes long or leaves something behind. All that is missing is said
# at once, one sentence and the command that mends it each, and the status is then 1. What make gets
# by itself (Python packages, crates, for `make test` packages of Debian or Ubuntu) is not looked for.
# Besides the shell it calls only what it looks for, and uname, id, mktemp and rm.
set -u
cd "${0%/*}/.." || exit 2
goal=${1:?demo or test}
python=${PYTHON:-python3}
os_release=${OS_RELEASE:-/etc/os-release}
missing=

lacks() { # SENTENCE
	missing="$missing
  $1"
}

have() { # COMMAND
	command -v "$1" >/dev/null 2>&1
}

setting() { # FILE NAME: the number in the first line `NAME = "..."`
	while read -r name _ value; do
		[ "$name" = "$2" ] || continue
		value=${value#\"}
		value=${value#>=}
		echo "${value%\"}"
		return
	done <"$1"
}

is_at_least() { # VERSION MINIMUM, of which major and minor count
	minor=${1#*.}
	wanted=${2#*.}
	[ "${1%%.*}" -gt "${2%%.*}" ] || {
		[ "${1%%.*}" -eq "${2%%.*}" ] && [ "${minor%%[!0-9]*}" -ge "${wanted%%[!0-9]*}" ]
	}
}

# --- The distribution: how packages are installed on it ---

ID='' ID_LIKE='' VERSION_ID=''
# shellcheck disable=SC1090
[ ! -r "$os_release" ] || . "$os_release"
user=$(id -u)
sudo=
[ "$user" = 0 ] || sudo="sudo "
case " $ID $ID_LIKE " in
*" debian "* | *" ubuntu "*) family=apt ;;
*" fedora "* | *" rhel "*) family=dnf ;;
*) family=other ;;
esac

install() { # DEBIAN'S-NAMES FEDORA'S-NAMES WHAT
	case $family in
	apt) echo "${sudo}apt-get install $1" ;;
	dnf) echo "${sudo}dnf install $2" ;;
	other) echo "install $3 with this system's package manager" ;;
	esac
}

install_rustup() { # Rust as its makers give it out, with all its tools
	if have rustup; then
		echo "rustup update stable && rustup default stable"
		return
	fi
	case $family:$ID:$VERSION_ID in
	apt:debian:1[0-2] | apt:ubuntu:1* | apt:ubuntu:2[0-3].*) fetch_rustup ;;
	apt:debian:* | apt:ubuntu:*) echo "${sudo}apt-get install rustup && rustup default stable" ;;
	*) fetch_rustup ;;
	esac
}

fetch_rustup() {
	curl=
	[ "$family" = other ] || have curl || curl="$(install curl curl curl) && "
	# shellcheck disable=SC2016
	echo "$curl"'curl -sSf https://sh.rustup.rs | sh -s -- -y && . "$HOME/.cargo/env"'
}

install_rust() { # [old]: there is one, too old
	case $goal:$family:$ID:$VERSION_ID:${1:-} in
	demo:apt:debian:12:*) rust_packages=cargo-web ;;
	demo:apt:debian:1[01]:*) rust_packages= ;;
	demo:apt:debian:*: | demo:dnf:*:) rust_packages=cargo ;;
	*) rust_packages= ;;
	esac
	if [ -z "$rust_packages" ] || have rustup; then
		install_rustup
	else
		install $rust_packages $rust_packages Rust
	fi
}

# --- What is needed ---

check_system() {
	if [ "$(uname -s)" != Linux ]; then
		lacks "Linux is needed, and this is $(uname -s): use a Linux machine, real or virtual"
	elif ! is_at_least "$(uname -r)" 5.8; then
		lacks "Linux 5.8 or later is needed, and this is $(uname -r): start a newer kernel"
	fi
}

check_root() {
	if [ "$user" = 0 ]; then
		check_capabilities
	elif [ "$goal" = test ]; then
		# shellcheck disable=SC2016
		lacks 'root is needed, for namespaces and to install packages: sudo env "PATH=$PATH" "HOME=$HOME" make test'
	elif ! have sudo; then
		lacks "root is needed to make namespaces, and there is no sudo here: run make demo as root"
	fi
}

check_capabilities() { # Root of a container has fewer: CAP_NET_ADMIN is 12, CAP_SYS_ADMIN 21
	[ -r /proc/self/status ] || return 0
	while read -r name value; do
		[ "$name" = CapEff: ] || continue
		[ $((0x$value >> 12 & 0x$value >> 21 & 1)) = 1 ] ||
			lacks "root of this container may not make networks: start it with docker run --privileged"
	done </proc/self/status
}

check_python() {
	# The packages of `make test` bring it.
	[ "$goal:$python" != test:python3 ] || have python3 || return 0
	minimum=$(setting pyproject.toml requires-python)
	if ! version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); then
		lacks "Python $minimum or later is missing ($python does not run): $(install 'python3 python3-venv' python3 Python)"
	elif ! is_at_least "$version" "$minimum"; then
		lacks "Python $minimum or later is needed, and $python is $version: $(newer_python)"
	elif [ "$goal" = demo ] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
		[ "$python" = python3 ] && package=python3-venv || package=python$version-venv
		lacks "the Python modules venv and ensurepip are missing: $(install "$package" python3-libs "Python's venv and ensurepip")"
	fi
}

newer_python() {
	for other in python3.14 python3.13 python3.12 python3.11 python3.10; do
		have $other && echo "make $goal PYTHON=$other" && return
	done
	if [ "$family" = dnf ]; then
		echo "${sudo}dnf install python3.12 && make $goal PYTHON=python3.12"
	else
		# shellcheck disable=SC2016
		echo 'uv python install 3.12 && make '"$goal"' PYTHON="$(uv python find 3.12)"'
	fi
}

check_rust() {
	minimum=$(setting Cargo.toml rust-version)
	# What the benchmarks of `make test` are written with (criterion) asks for more.
	[ "$goal" = demo ] || minimum=1.86
	for tool in cargo rustc; do
		if ! have $tool; then
			lacks "Rust $minimum or later is missing (no $tool in PATH): $(find_rust)"
			return
		elif ! version=$($tool --version 2>/dev/null); then
			lacks "Rust $minimum or later is missing ($tool does not run): $(install_rust)"
			return
		fi
		version=${version#"$tool "}
		if ! is_at_least "$version" "$minimum"; then
			lacks "Rust $minimum or later is needed, and $tool is ${version%% *}: $(install_rust old)"
			return
		fi
	done
	[ "$goal" = demo ] || check_tools_of_rust
}

find_rust() { # It may be there, out of sight
	if [ -x "${HOME:-/nonexistent}/.cargo/bin/cargo" ]; then
		# shellcheck disable=SC2016
		echo '. "$HOME/.cargo/env"'
	elif [ "$user" = 0 ] && [ -n "${SUDO_USER:-}" ] && [ "$goal" = demo ]; then
		echo "$(install_rust), or make demo without sudo if $SUDO_USER has Rust"
	else
		install_rust
	fi
}

check_tools_of_rust() { # Not every distribution packs all of them
	lacking=
	mend="rustup component add rustfmt clippy"
	have rustup || mend=$(install_rustup)
	for tool in fmt clippy; do
		cargo $tool --version >/dev/null 2>&1 || lacking="$lacking, cargo $tool"
	done
	for runtime in "$(rustc --print sysroot)"/lib/rustlib/*/lib/librustc*asan*; do
		[ -e "$runtime" ] || lacking="$lacking, AddressSanitizer" mend=$(install_rustup)
		break
	done
	[ -z "$lacking" ] || lacks "this Rust comes without ${lacking#, }: $mend"
}

check_linker() { # Rust links with cc, and with what the C library brings to link with
	if ! have cc; then
		lacks "a C compiler is missing (no cc in PATH): $(install 'gcc libc6-dev' gcc 'a C compiler')"
		return
	fi
	scratch=$(mktemp -d) || exit 2
	echo 'int main(void) { return 0; }' | cc -x c -o "$scratch/linked" - 2>/dev/null ||
		lacks "the C compiler cannot link a program: $(install 'gcc libc6-dev' 'gcc glibc-devel' "the C library's development files")"
	rm -rf "$scratch"
}

check_packages() {
	have apt-get || lacks "make test installs what tests need with apt-get, and there is none here: use Debian or Ubuntu, or make build check test-unit"
}

check_system
check_root
check_python
check_rust
# The packages of `make test` bring the C compiler.
if [ "$goal" = demo ]; then check_linker; else check_packages; fi

[ -n "$missing" ] || exit 0
echo "This machine lacks what make $goal needs (nothing has been built or changed):$missing" >&2
exit 1
