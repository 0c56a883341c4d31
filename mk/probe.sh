#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes to standard output what the makefiles need to know of this machine: the kind of compiler
# and the flags of the libraries. Fails, naming what is missing, when the library cannot be built.
# usage: mk/probe.sh COMPILER PKG_CONFIG
set -u
cc=$1
pkg_config=$2
missing=""

if ! command -v "${cc%% *}" >/dev/null 2>&1; then
    missing="$missing ${cc%% *}"
fi
if ! command -v "${pkg_config%% *}" >/dev/null 2>&1; then
    echo "meshsync:${missing} $pkg_config missing. 'make deps' installs what is needed." >&2
    exit 1
fi

exists() {
    $pkg_config --exists "$1" 2>/dev/null
}

# msgpack-c calls itself "msgpack" up to version 5 and "msgpack-c" since.
msgpack=""
for name in msgpack-c msgpack; do
    if [ -z "$msgpack" ] && exists "$name"; then
        msgpack=$name
    fi
done
[ -n "$msgpack" ] || missing="$missing msgpack-c"
for name in libuv lmdb libsodium libzstd; do
    exists "$name" || missing="$missing $name"
done
if [ -n "$missing" ]; then
    echo "meshsync: missing:$missing. 'make deps' installs what is needed." >&2
    exit 1
fi

# Debian's static libuv has a name and a .pc file of its own; a static link finds it only there.
uv_private=libuv
if exists libuv-static; then
    uv_private=libuv-static
fi

# Headers of dependencies are not held to our warnings.
cflags_of() {
    # shellcheck disable=SC2046
    echo $($pkg_config --cflags "$@" 2>/dev/null | sed 's/\(^\| \)-I */\1-isystem /g')
}
libs_of() {
    # shellcheck disable=SC2046
    echo $($pkg_config --libs "$@" 2>/dev/null)
}

if $cc --version 2>/dev/null | grep -qi clang; then
    kind=clang
else
    kind=gcc
fi
core="libuv lmdb $msgpack libsodium libzstd"
# shellcheck disable=SC2086
cat <<END
CONFIG_KEY := $(echo "$cc $pkg_config" | tr ' ' '_')
CC_KIND := $kind
MSGPACK_PC := $msgpack
UV_PRIVATE_PC := $uv_private
DEP_CFLAGS := $(cflags_of $core)
DEP_LIBS := $(libs_of $core)
END
for name in jansson cmocka; do
    upper=$(echo "$name" | tr '[:lower:]' '[:upper:]')
    if exists "$name"; then
        echo "HAVE_$upper := 1"
        echo "${upper}_CFLAGS := $(cflags_of "$name")"
        echo "${upper}_LIBS := $(libs_of "$name")"
    fi
done
