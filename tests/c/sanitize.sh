#!/usr/bin/env bash
# Runs the C tests under AddressSanitizer (with its leak check) and under Valgrind.
#
#   tests/c/sanitize.sh                 both
#   tests/c/sanitize.sh asan [NAME...]  or valgrind, or tsan, which is not part of both
#
# AddressSanitizer: library and tests are both instrumented, the one by rustc and the other by
# the C compiler, and linked statically with the run-time that comes with Rust: two run-times in
# one process do not work. `RUSTC_BOOTSTRAP` lets the stable compiler do it.
#
# ThreadSanitizer is built the same way, but the standard library is not instrumented: what its
# locks order looks like a race, so it fails with false reports and is there to be read by hand. With
# the locks of the queue replaced by parking_lot's, which are instrumented, `stress` had no report;
# those of other tests were inside tokio, whose locks are the standard library's, or at the last
# drop of an `Arc`. What the standard library's locks order is checked by loom.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$(rustc -vV | sed -n 's/^host: //p')
folder="$(rustc --print sysroot)/lib/rustlib/$target/lib"
system="-lgcc_s -lutil -lrt -lpthread -lm -ldl -lresolv -lc"

instrumented() { # address or thread, its short name, tests...
    local kind=$1 short=$2
    shift 2
    local flags="-fsanitize=$kind -fno-omit-frame-pointer"
    local rustflags="-Zsanitizer=$kind"
    # The standard library that comes with Rust is not instrumented.
    [ $kind = address ] || rustflags="$rustflags -Cunsafe-allow-abi-mismatch=sanitizer"
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="$rustflags" \
        cargo build --locked --offline -q --lib --target "$target" --target-dir "target/$short"
    local link="-no-pie target/$short/$target/debug/libsetowire.a -Wl,--export-dynamic"
    link="$link -Wl,--whole-archive $folder/librustc-stable_rt.$short.a -Wl,--no-whole-archive $system"
    local run=(env LINK="$link" CFLAGS="$flags -fno-pie" tests/c/run.sh)
    # A sanitizer that finds nothing in programs that are wrong would prove nothing.
    if "${run[@]}" "only/wrong_$short" >/dev/null 2>&1; then
        echo "$kind sanitizer is not at work" >&2
        exit 1
    fi
    echo "== $kind sanitizer"
    "${run[@]}" "$@"
}

valgrind_() {
    export SETOWIRE_LIBRARY="${SETOWIRE_LIBRARY:-target/release/libsetowire.so}"
    local memcheck="valgrind -q --fair-sched=yes --error-exitcode=99 --trace-children=yes"
    memcheck="$memcheck --suppressions=$PWD/tests/c/valgrind.supp"
    local leaks="--leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite"
    if RUN="$memcheck $leaks" tests/c/run.sh only/wrong_asan >/dev/null 2>&1; then
        echo "Valgrind is not at work" >&2
        exit 1
    fi
    echo "== Valgrind"
    local source name failed=0
    if [ $# = 0 ]; then
        for source in tests/c/*.c; do set -- "$@" "$(basename "$source" .c)"; done
    fi
    for name in "$@"; do
        case $name in
            # These end, or go on in a child, while threads hold memory that nobody will free.
            exits | forks) RUN="$memcheck --leak-check=no" tests/c/run.sh "$name" || failed=1 ;;
            # Valgrind runs no thousand threads and keeps descriptors of its own.
            hardship) echo "--      hardship: not under Valgrind" ;;
            *) RUN="$memcheck $leaks" tests/c/run.sh "$name" || failed=1 ;;
        esac
    done
    return $failed
}

which=${1:-both}
[ $# = 0 ] || shift
case $which in
    asan) instrumented address asan "$@" ;;
    tsan) instrumented thread tsan "$@" ;;
    valgrind) valgrind_ "$@" ;;
    both)
        instrumented address asan
        valgrind_
        ;;
    *) sed -n '2,/^set/p' "$0" >&2; exit 2 ;;
esac
