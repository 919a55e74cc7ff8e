#!/bin/sh
# Builds the library and runs the demo: five programs on this machine find each
# other and talk, over the loopback interface only. Needs Rust, Python and a C
# compiler; installs nothing.
set -eu
cd "$(dirname "$0")/.."

missing=
command -v cargo >/dev/null 2>&1 || missing="$missing
  cargo      install Rust: https://rustup.rs"
command -v cc >/dev/null 2>&1 || missing="$missing
  cc         a C compiler; Debian, Ubuntu: apt-get install gcc libc6-dev; macOS: xcode-select --install"
if ! command -v python3 >/dev/null 2>&1; then
    missing="$missing
  python3    Debian, Ubuntu: apt-get install python3"
elif ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    missing="$missing
  python3    3.10 or later; this is $(python3 --version)"
fi
if [ -n "$missing" ]; then
    echo "scripts/try.sh: these are missing:$missing" >&2
    exit 1
fi

echo "Building the library (a minute or two the first time)…"
cargo build --release --locked
case $(uname -s) in
    Darwin) library=libsetowire.dylib ;;
    *) library=libsetowire.so ;;
esac
SETOWIRE_LIBRARY="${CARGO_TARGET_DIR:-$PWD/target}/release/$library" PYTHONPATH="$PWD/bindings/python" \
    exec python3 examples/demo/demo.py
