#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that a purpose needs and that are missing; asks the network nothing
# when all of them are there.
# usage: mk/deps.sh build|demo|check|campaign
set -u
purpose=${1:-build}

build="gcc libc6-dev make pkg-config libuv1-dev liblmdb-dev libmsgpack-dev libsodium-dev
    libzstd-dev libjansson-dev"
demo="$build iso-codes"
check="$demo git g++ binutils clang python3 libcmocka-dev"
campaign="$check clang-format clang-tidy cppcheck libclang-rt-14-dev valgrind gcovr"
case $purpose in
build) packages=$build ;;
demo) packages=$demo ;;
check) packages=$check ;;
campaign) packages=$campaign ;;
*)
    echo "deps: unknown purpose '$purpose'" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "deps: this is not a Debian system, so nothing is installed; needed are the likes of:" >&2
    echo "     " $packages >&2
    exit 0
fi

# shellcheck disable=SC2086
missing() {
    for package in $packages; do
        if [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ]; then
            continue
        fi
        # Another package may provide it: a multi-arch name, or pkgconf for pkg-config.
        if dpkg-query -W -f='${db:Status-Status} ${Provides}\n' 2>/dev/null |
            grep '^installed' | grep -qE "[ ,]$package( |,|\$)"; then
            continue
        fi
        echo "$package"
    done
}

wanted=$(missing | tr '\n' ' ')
[ -n "${wanted% }" ] || exit 0

root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "deps: missing: $wanted" >&2
        echo "deps: only root can install them, and there is no sudo here. As root:" >&2
        echo "      apt-get install $wanted" >&2
        exit 1
    fi
    root=sudo
fi
echo "deps: installing $wanted"

log=$(mktemp "${TMPDIR:-/tmp}/meshsync-deps.XXXXXX") || exit 1
trap 'rm -f "$log"' EXIT
apt() {
    $root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 \
        -o Acquire::Retries=3 "$@" >>"$log" 2>&1 </dev/null
}
install_wanted() {
    # Two builds at once wait for each other instead of failing on the package lists' lock.
    if command -v flock >/dev/null 2>&1; then
        exec 9<"$0" && flock -w 900 9
    fi
    # shellcheck disable=SC2086
    apt install --no-install-recommends $wanted && return 0
    apt update && apt install --no-install-recommends $wanted
}
if ! install_wanted; then
    tail -n 20 "$log" >&2
    echo "deps: could not install: $wanted" >&2
    echo "deps: see the lines above; it takes root or sudo and Debian's packages" >&2
    exit 1
fi
