#!/usr/bin/env bash
# Compiles the C tests against the built library and runs them.
#
#   tests/c/run.sh                 all of them
#   tests/c/run.sh NAME...         only tests/c/NAME.c
#
# SETOWIRE_LIBRARY: the shared library (default: the release build). CC, CFLAGS: the
# compiler. RUN: a command to run each program under, such as Valgrind. A test is a
# program that ends with 0; those of tests/c/only/ need a special library and run
# only when they are named.
set -euo pipefail
cd "$(dirname "$0")/../.."

library=$(realpath "${SETOWIRE_LIBRARY:-target/release/libsetowire.so}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The name that programs look for at run time is the SONAME.
soname=$(readelf -d "$library" | sed -n 's/.*(SONAME).*\[\(.*\)\].*/\1/p')
ln -s "$library" "$work/libsetowire.so"
ln -s "$library" "$work/$soname"

[ $# -gt 0 ] || set -- $(cd tests/c && ls *.c | sed 's/\.c$//')
failed=()
for name in "$@"; do
    # shellcheck disable=SC2086 # flags and commands are lists of words
    if ${CC:-cc} -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror -g -O1 ${CFLAGS:-} -Iinclude -Itests/c \
        -o "$work/${name##*/}" "tests/c/$name.c" -L"$work" -lsetowire -pthread -Wl,-rpath,"$work" &&
        LD_LIBRARY_PATH="$work" ${RUN:-} "$work/${name##*/}"; then
        echo "ok      $name"
    else
        echo "FAILED  $name"
        failed+=("$name")
    fi
done
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
