#!/usr/bin/env bash
# Compiles the C tests against the built library and runs them.
#
#   tests/c/run.sh                 all of them
#   tests/c/run.sh NAME...         only tests/c/NAME.c
#
# SETOWIRE_LIBRARY: the shared library (default: the release build). LINK: what to link
# instead of it. CC, CFLAGS: the compiler. RUN: a command to run each program under, such as
# Valgrind. A test is a program that ends with 0; those of tests/c/only/ need a special
# library and run only when they are named.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "${LINK:-}" ]; then
    library=$(realpath "${SETOWIRE_LIBRARY:-target/release/libsetowire.so}")
    # The name that programs look for at run time is the SONAME.
    soname=$(readelf -d "$library" | sed -n 's/.*(SONAME).*\[\(.*\)\].*/\1/p')
    ln -s "$library" "$work/libsetowire.so"
    ln -s "$library" "$work/$soname"
    LINK="-L$work -lsetowire -Wl,-rpath,$work"
fi

if [ $# = 0 ]; then
    for source in tests/c/*.c; do set -- "$@" "$(basename "$source" .c)"; done
fi
failed=()
for name in "$@"; do
    program="$work/${name##*/}"
    # CC, CFLAGS, LINK and RUN are lists of words.
    # shellcheck disable=SC2086
    if ${CC:-cc} -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror -g -O1 ${CFLAGS:-} -Iinclude -Itests/c \
        -c -o "$program.o" "tests/c/$name.c" &&
        ${CC:-cc} -o "$program" "$program.o" $LINK -pthread && ${RUN:-} "$program"; then
        echo "ok      $name"
    else
        echo "FAILED  $name"
        failed+=("$name")
    fi
done
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
