#!/usr/bin/env bash
# Sets up and runs all tests.
#
#   scripts/test.sh            every stage
#   scripts/test.sh STAGE...   only these; `scripts/test.sh list` names them
#
# What is missing is installed: Debian packages when run as root, Python packages
# and cargo-deny under target/. Without root it stops and names what is missing.
# Tests run in a network namespace without a route, so that nothing of them can
# leave the machine. A stage that cannot run here says so and is counted as not
# run; with CI=true that is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

STAGES=(format lints dependencies rust c python netns demo docs loom)
# The one runs beside those from the other on, and is waited for where it stands.
BESIDE=loom BEFORE=python
CARGO_DENY=0.20.2
NOT_RUN=77

export PATH="$PATH:/usr/sbin:/sbin" PYTHONDONTWRITEBYTECODE=1
export SETOWIRE_PYTHON="$PWD/target/venv/bin/python"
export SETOWIRE_OLD_PYTHON="$PWD/target/old-peer/bin/python"
export SETOWIRE_AIOQUIC_PYTHON="$PWD/target/aioquic-peer/bin/python"

# A fresh machine has nothing to build on, and keeps nothing.
[ "${CI:-}" != true ] || export CARGO_INCREMENTAL=0

say() { printf '\n== %s\n' "$*"; }
stop() { echo "scripts/test.sh: $*" >&2; exit 1; }

# ---- What the tests need ----

# Debian package: a file or command it brings.
PACKAGES=(gcc:cc libc6-dev:libc g++:c++ python3:python3 python3-venv:python3-venv iproute2:ip util-linux:unshare procps:sysctl nftables:nft valgrind:valgrind)

have() { # COMMAND
    case $1 in
        python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null;;
        libc) echo "#include <stdio.h>" | cc -E -o /dev/null - 2>/dev/null;;
        *) command -v "$1" >/dev/null;;
    esac
}

install_packages() {
    local entry missing=()
    for entry in "${PACKAGES[@]}"; do
        have "${entry#*:}" || missing+=("${entry%%:*}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing ${missing[*]}"
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${missing[@]}"
    else
        stop "missing: ${missing[*]}. On Debian or Ubuntu: sudo apt-get install ${missing[*]}"
    fi
}

venv() { # FOLDER REQUIREMENTS: a virtual environment with exactly these
    local stamp="$1/installed.txt"
    cmp -s "$2" "$stamp" 2>/dev/null && return 0
    say "Python packages of $2"
    rm -rf "$1"
    python3 -m venv "$1"
    "$1/bin/pip" install -q --disable-pip-version-check -r "$2"
    cp "$2" "$stamp"
}

set_up() {
    command -v cargo >/dev/null || stop "cargo is missing; install Rust from https://rustup.rs"
    if ! { cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1; then
        command -v rustup >/dev/null || stop "rustfmt and clippy are missing"
        rustup component add rustfmt clippy
    fi
    install_packages
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        stop "Python 3.11 or later is needed, this is $(python3 --version)"
    cargo fetch --locked -q
    venv target/venv bindings/python/requirements-test.txt
    venv target/old-peer tests/interop/requirements.txt
    venv target/aioquic-peer tests/interop/requirements-aioquic.txt
}

# Runs a command where there is no network but loopback.
isolated() {
    local user=()
    [ "$(id -u)" = 0 ] || user=(-Ur)
    if unshare "${user[@]}" --net true 2>/dev/null; then
        unshare "${user[@]}" --net sh -c 'ip link set lo up && exec "$@"' sh "$@"
    elif [ "${CI:-}" = true ]; then
        echo "no network namespace can be made here" >&2
        return 1
    else
        echo "NO NETWORK NAMESPACE CAN BE MADE HERE: running on the machine's own network" >&2
        "$@"
    fi
}

library() {
    cargo build --release --locked --offline -q
    export SETOWIRE_LIBRARY="$PWD/target/release/libsetowire.so"
}

# ---- The stages ----

stage_format() {
    cargo fmt --check
}

stage_lints() {
    cargo clippy --locked --offline --all-targets -q -- -D warnings
    cargo clippy --locked --offline --test secrecy --features key-log -q -- -D warnings
}

stage_dependencies() {
    local deny
    deny=$(command -v cargo-deny) && [ "$("$deny" --version)" = "cargo-deny $CARGO_DENY" ] || deny=target/tools/bin/cargo-deny
    if [ ! -x "$deny" ]; then
        say "cargo-deny $CARGO_DENY (about a minute, once)"
        CARGO_PROFILE_DEV_DEBUG=false cargo install "cargo-deny@$CARGO_DENY" --locked --debug -q \
            --root target/tools --target-dir target/tools/build
        rm -rf target/tools/build
    fi
    "$deny" --offline --locked check bans licenses sources
    echo "advisories: not checked here, the database is not part of this repository; see docs/testing.md"
}

stage_rust() {
    library
    cargo test --locked --offline --no-run -q
    isolated cargo test --locked --offline -q
}

stage_c() {
    library
    # Each spends most of its time on one core, and none knows of the other's network.
    local failed=0 asan
    isolated tests/c/sanitize.sh asan >target/asan.txt 2>&1 &
    asan=$!
    isolated tests/c/run.sh || failed=1
    isolated tests/c/sanitize.sh valgrind || failed=1
    wait $asan || failed=1
    cat target/asan.txt
    return $failed
}

stage_loom() {
    # A name of our own: `loom` alone would switch off parts of tokio. Quick to build: the models are small.
    RUSTFLAGS="--cfg setowire_loom" CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
        isolated cargo test --locked --offline -q --release --lib --target-dir target/loom loom_ | tee target/loom.txt
    grep -q 'test result: ok. [1-9]' target/loom.txt
}

stage_python() {
    library
    isolated "$SETOWIRE_PYTHON" -m mypy --strict bindings/python/setowire tests/netns tests/interop
    isolated "$SETOWIRE_PYTHON" -m pytest -q -p no:cacheprovider bindings/python
    isolated "$SETOWIRE_PYTHON" -m pytest -q -p no:cacheprovider tests/docs
}

stage_netns() {
    library
    tests/netns/run.sh -q
}

stage_demo() {
    isolated scripts/try.sh
}

stage_docs() {
    python3 scripts/check_docs.py
}

# ---- Running them ----

if [ "${1:-}" = --one ]; then
    "stage_$2"
    exit
fi
if [ "${1:-}" = list ]; then
    echo "${STAGES[*]}"
    exit
fi
[ $# -gt 0 ] || set -- "${STAGES[@]}"
for stage in "$@"; do
    declare -F "stage_$stage" >/dev/null || stop "no stage $stage; there are ${STAGES[*]}"
done

begun=$SECONDS
say "setting up"
set_up
passed=0 failed=() not_run=() times=() beside=
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
for stage in "$@"; do
    say "$stage"
    from=$SECONDS
    code=0
    if [ "$stage" = "$BESIDE" ] && [ -n "$beside" ]; then
        wait "$beside" || code=$?
        cat "target/$BESIDE-stage.txt"
    else
        # What follows leaves a core idle most of the time.
        if [ "$stage" = "$BEFORE" ] && [[ " $* " == *" $stage "*" $BESIDE "* ]]; then
            nice "$0" --one "$BESIDE" >"target/$BESIDE-stage.txt" 2>&1 &
            beside=$!
        fi
        "$0" --one "$stage" || code=$?
    fi
    times+=("$stage $((SECONDS - from)) s")
    if [ "$code" = 0 ]; then
        passed=$((passed + 1))
    elif [ "$code" = $NOT_RUN ] && [ "${CI:-}" != true ]; then
        echo "NOT RUN: $stage"
        not_run+=("$stage")
    else
        echo "FAILED: $stage (exit code $code)"
        failed+=("$stage")
    fi
done

say "stages"
printf '%s\n' "${times[@]}"
echo "all $((SECONDS - begun)) s"
[ ${#not_run[@]} = 0 ] || echo "NOT RUN: ${not_run[*]}"
[ ${#failed[@]} = 0 ] || echo "FAILED: ${failed[*]}"
echo "$passed passed, ${#failed[@]} failed, ${#not_run[@]} not run"
[ ${#failed[@]} = 0 ]
