#!/bin/sh
# Line coverage of the decoders by the committed corpus alone, file by file.
# Prints a table and fails if a decoder file is below the limit.
# Needs llvm-cov and llvm-profdata of the compiler's own LLVM version: the rustup component
# `llvm-tools`, or a system package such as `llvm-22`.
set -eu
limit=90
cd "$(dirname "$0")/.."

version=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
host=$(rustc -vV | sed -n 's/^host: //p')
tool() {
    for candidate in "$(rustc --print sysroot)/lib/rustlib/$host/bin/$1" "$(command -v "$1-$version" || true)"; do
        [ -x "$candidate" ] && { echo "$candidate"; return; }
    done
    echo "no $1 for LLVM $version: run 'rustup component add llvm-tools', or install the package llvm-$version" >&2
    exit 1
}
profdata=$(tool llvm-profdata)
cov=$(tool llvm-cov)

out=target/coverage
rm -rf "$out/profiles"
mkdir -p "$out/profiles"
# The profile must not depend on optimisation, and the library must be seen without its own unit tests:
# only what the corpus reaches counts.
export CARGO_TARGET_DIR="$out" RUSTFLAGS="-C instrument-coverage" LLVM_PROFILE_FILE="$PWD/$out/profiles/%p-%m.profraw"
program=$(cargo test --quiet --test fuzz_corpus --no-run --message-format=json |
    sed -n 's/.*"executable":"\([^"]*fuzz_corpus-[^"]*\)".*/\1/p')
"$program" --exact nothing_in_the_corpus_breaks_a_promise >/dev/null
"$profdata" merge -sparse "$out"/profiles/*.profraw -o "$out/corpus.profdata"
"$cov" export -format=lcov "$program" -instr-profile="$out/corpus.profdata" -sources src/wire >"$out/corpus.lcov"

# The files of src/wire that read bytes from outside; error.rs only names what went wrong, topic.rs only hashes.
awk -F: -v limit="$limit" '
    $1 == "SF" { file = $2; sub(/.*\/src\//, "", file); skip = file ~ /wire\/(error|topic)\.rs$/; next }
    $1 == "DA" && !skip { split($2, part, ","); lines[file]++; hit[file] += part[2] > 0 }
    END {
        for (file in lines) {
            share = 100 * hit[file] / lines[file]
            printf "%-20s %4d of %4d lines  %5.1f %%%s\n", file, hit[file], lines[file], share, share < limit ? "  below " limit " %" : "" | "sort"
            bad += share < limit
            count++
        }
        close("sort")
        if (!count || bad) { print (count ? bad : "no") " decoder files " (count ? "below " limit " %" : "found"); exit 1 }
    }' "$out/corpus.lcov"
