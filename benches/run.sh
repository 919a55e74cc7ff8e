#!/usr/bin/env bash
# Builds the library and the measuring programs, and runs them. Options are those of run.py: --help.
set -euo pipefail
cd "$(dirname "$0")"

target=$(realpath -m "${CARGO_TARGET_DIR:-../target}")
export CARGO_TARGET_DIR="$target"
cargo build -q --release --lib --manifest-path ../Cargo.toml
cargo build -q --release

# The name that programs look for at run time is the SONAME.
library="$target/release/libsetowire.so"
soname=$(readelf -d "$library" | sed -n 's/.*(SONAME).*\[\(.*\)\].*/\1/p')
programs="$target/benches"
mkdir -p "$programs"
cp "$target"/release/bench-{quinn,limits} "$programs"
cp "$library" "$programs/$soname"
ln -sf "$soname" "$programs/libsetowire.so"
cc -std=c11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wpedantic -Werror -I../include -o "$programs/bench-setowire" c/*.c \
    -L"$programs" -lsetowire -Wl,-rpath,"$programs" -pthread

exec python3 run.py --programs "$programs" "$@"
