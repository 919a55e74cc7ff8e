#!/bin/sh
# Closed networks of Linux network namespaces.
#
#   lan.sh up PREFIX HOSTS FAMILIES
#       PREFIXsw      a switch; nothing leads out of it
#       PREFIX1..N    hosts with one interface eth0; FAMILIES is 4, 6 or 46:
#                     10.77.0.N/24 and, or, fd77::N/64 beside the link-local address
#       The switch's port to host N is called pN. Multicast reaches every host.
#       No host has a default route.
#   lan.sh plug PREFIX N IFNAME FAMILIES
#       one more interface for host N, on the same switch, with the addresses
#       10.78.0.N/24 and, or, fd78::N/64; its port is called IFNAME-N
#   lan.sh route PREFIX N
#       a default route for host N, to an address where nobody is
#   lan.sh multicast PREFIX N
#       a route for multicast, for programs that do not name the interface themselves
#   lan.sh deaf PREFIX N
#       multicast from others no longer reaches host N; its own still goes out
#   lan.sh down PREFIX
#   lan.sh exec NAMESPACE COMMAND [ARG...]
#
# Needs the right to make namespaces: root, or a shell started by
# `tests/netns/run.sh shell`, which also removes everything when it ends.
set -eu

die() { echo "lan.sh: $*" >&2; exit 2; }

namespace() { # NAME
    ip netns add "$1"
    # Addresses are used at once: nobody else can have them here.
    ip netns exec "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
        net.ipv6.conf.all.accept_ra=0 net.ipv6.conf.default.accept_ra=0
    ip -n "$1" link set lo up
}

plug() { # PREFIX N IFNAME PORT NET FAMILIES
    host=$1$2
    ip -n "${1}sw" link add "$4" type veth peer name "$3" netns "$host"
    ip -n "${1}sw" link set "$4" master br0
    ip -n "${1}sw" link set "$4" up
    case $6 in *6*) ;; *) ip netns exec "$host" sysctl -qw "net.ipv6.conf.$3.disable_ipv6=1";; esac
    ip -n "$host" link set "$3" up
    case $6 in *4*) ip -n "$host" addr add "10.$5.0.$2/24" dev "$3";; esac
    case $6 in *6*) ip -n "$host" addr add "fd$5::$2/64" dev "$3" nodad;; esac
}

up() { # PREFIX HOSTS FAMILIES
    case $1 in ''|*[!a-z]*|???????*) die "PREFIX is one to six lower-case letters, not '$1'";; esac
    case $3 in 4|6|46) ;; *) die "FAMILIES is 4, 6 or 46, not '$3'";; esac
    namespace "${1}sw"
    ip netns exec "${1}sw" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    ip -n "${1}sw" link add br0 type bridge
    ip -n "${1}sw" link set br0 type bridge mcast_snooping 0 stp_state 0
    ip -n "${1}sw" link set br0 up
    n=1
    while [ "$n" -le "$2" ]; do
        namespace "$1$n"
        plug "$1" "$n" eth0 "p$n" 77 "$3"
        n=$((n + 1))
    done
}

down() { # PREFIX
    ip netns list | while read -r name _; do
        case ${name#"$1"} in
            "$name") ;;
            sw|[1-9]|[1-9][0-9]) ip netns del "$name";;
        esac
    done
}

[ $# -ge 2 ] || { sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
command=$1
shift
case $command in
    up) up "$1" "$2" "$3";;
    plug) plug "$1" "$2" "$3" "$3-$2" 78 "$4";;
    route)
        ip -n "$1$2" route add default via 10.77.0.254
        # The gateway has an address but no machine: packets to it are dropped by the switch.
        ip -n "$1$2" neigh add 10.77.0.254 lladdr 02:00:00:00:00:fe dev eth0 nud permanent;;
    multicast) ip -n "$1$2" route add 224.0.0.0/4 dev eth0;;
    deaf) bridge -n "${1}sw" link set dev "p$2" mcast_flood off;;
    down) down "$1";;
    exec) name=$1; shift; exec ip netns exec "$name" "$@";;
    *) die "no command '$command'";;
esac
