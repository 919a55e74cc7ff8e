#!/bin/sh
# Runs the tests of this folder, or a shell, in namespaces of their own.
#
#   run.sh [pytest arguments]     the tests
#   run.sh report [arguments]     report.py, which measures
#   run.sh shell                  a shell to use lan.sh by hand
#
# The command gets its own network, mount and process namespaces: an empty
# network without a route, names of namespaces that nobody else sees, and an end
# that takes every namespace and process with it, also after a kill. Without
# root it gets its own user namespace too, where the system allows that.
#
# SETOWIRE_LIBRARY   the library under test (default: the release build)
# SETOWIRE_PYTHON    Python with pytest (default: python3)
# SETOWIRE_OLD_PYTHON  Python with py-setowire 0.1.0 (default: target/old-peer)
# SETOWIRE_AIOQUIC_PYTHON  Python with aioquic (default: target/aioquic-peer)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export PATH="$PATH:/usr/sbin:/sbin"

if [ "${SETOWIRE_NETNS:-}" != entered ]; then
    user=
    [ "$(id -u)" = 0 ] || user=-Ur
    # shellcheck disable=SC2086
    if ! unshare $user --net --mount --pid --fork true 2>/dev/null; then
        echo "tests/netns: cannot make namespaces here: be root, or allow unprivileged user namespaces" >&2
        exit 77
    fi
    # shellcheck disable=SC2086
    SETOWIRE_NETNS=entered exec unshare $user --net --mount --pid --fork --kill-child --mount-proc "$0" "$@"
fi

mount -t tmpfs none /run
mkdir -p /run/netns /run/etc
# No name can be resolved, and nobody is asked.
echo 'nameserver 127.0.0.1
options timeout:1 attempts:1' > /run/etc/resolv.conf
mount --bind /run/etc/resolv.conf /etc/resolv.conf
ip link set lo up

python=${SETOWIRE_PYTHON:-python3}
export SETOWIRE_LIBRARY="${SETOWIRE_LIBRARY:-$root/target/release/libsetowire.so}"
export SETOWIRE_OLD_PYTHON="${SETOWIRE_OLD_PYTHON:-$root/target/old-peer/bin/python}"
export SETOWIRE_AIOQUIC_PYTHON="${SETOWIRE_AIOQUIC_PYTHON:-$root/target/aioquic-peer/bin/python}"
export PYTHONDONTWRITEBYTECODE=1
case "${1:-}" in
    shell) exec "${SHELL:-/bin/sh}";;
    report) shift; exec "$python" "$here/report.py" "$@";;
    *) cd "$here"; exec "$python" -m pytest -p no:cacheprovider "$@";;
esac
