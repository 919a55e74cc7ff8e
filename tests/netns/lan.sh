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
#   lan.sh router PREFIX
#       the switch becomes a router between 10.77.0.0/24 and 10.78.0.0/24, in both
#       of which it is .254
#   lan.sh nat PREFIX N
#       host N is put behind a NAT, PREFIXnat: it is 10.79.0.N there, and what it
#       sends by UDP comes from 10.77.0.200; `rebind` has to be called before
#   lan.sh rebind PREFIX FIRST-LAST
#       the NAT forgets its mappings, and makes new ones with these ports
#   lan.sh cut PREFIX N IFNAME
#       what comes to host N by an interface is dropped, and nobody is told
#   lan.sh heal PREFIX N
#       nothing is dropped any more
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
    # An interface answers for its own addresses only: two on one switch are two links.
    ip netns exec "$1" sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
    ip -n "$1" link set lo up
}

plug() { # PREFIX N IFNAME PORT NET FAMILIES
    host=$1$2
    ip -n "${1}sw" link add "$4" type veth peer name "$3" netns "$host"
    ip -n "${1}sw" link set "$4" master br0
    ip -n "${1}sw" link set "$4" up
    case $6 in *6*) ;; *) ip netns exec "$host" sysctl -qw "net.ipv6.conf.$3.disable_ipv6=1";; esac
    # A switch port may swallow the first frames after its link came up, the question for an address among them,
    # which the kernel would repeat after a second only.
    ip -n "$host" ntable change name arp_cache dev "$3" retrans 100
    case $6 in *6*) ip -n "$host" ntable change name ndisc_cache dev "$3" retrans 100;; esac
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

router() { # PREFIX
    ip netns exec "${1}sw" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.br0.send_redirects=0
    ip -n "${1}sw" addr add 10.77.0.254/24 dev br0
    ip -n "${1}sw" addr add 10.78.0.254/24 dev br0
}

nat() { # PREFIX N
    namespace "${1}nat"
    ip netns exec "${1}nat" sysctl -qw net.ipv4.ip_forward=1
    ip -n "$1$2" link del eth0
    ip -n "${1}sw" link add pnat type veth peer name wan netns "${1}nat"
    ip -n "${1}sw" link set pnat master br0 up
    ip -n "${1}nat" link set wan up
    ip -n "${1}nat" addr add 10.77.0.200/24 dev wan
    ip -n "${1}nat" link add lan type veth peer name eth0 netns "$1$2"
    ip -n "${1}nat" link set lan up
    ip -n "${1}nat" addr add 10.79.0.254/24 dev lan
    ip -n "$1$2" link set eth0 up
    ip -n "$1$2" addr add "10.79.0.$2/24" dev eth0
    ip -n "$1$2" route add default via 10.79.0.254
}

rebind() { # PREFIX FIRST-LAST
    ip netns exec "${1}nat" nft -f - <<RULES
table ip nat {
    chain out {
        type nat hook postrouting priority srcnat
    }
    chain in {
        type filter hook input priority filter
    }
}
flush table ip nat
add rule ip nat out oifname wan ip protocol udp snat to 10.77.0.200:$2
add rule ip nat in iifname wan ip protocol udp drop
RULES
    ip netns exec "${1}nat" python3 "$(dirname "$0")/forget.py"
}

cut() { # PREFIX N IFNAME
    ip netns exec "$1$2" nft -f - <<RULES
table inet cut {
    chain in {
        type filter hook input priority filter
    }
}
add rule inet cut in iifname $3 drop
RULES
}

down() { # PREFIX
    ip netns list | while read -r name _; do
        case ${name#"$1"} in
            "$name") ;;
            sw|nat|[1-9]|[1-9][0-9]) ip netns del "$name";;
        esac
    done
}

[ $# -ge 2 ] || { sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2; }
command=$1
shift
case $command in
    up) up "$1" "$2" "$3";;
    plug) plug "$1" "$2" "$3" "$3-$2" 78 "$4";;
    router) router "$1";;
    nat) nat "$1" "$2";;
    rebind) rebind "$1" "$2";;
    cut) cut "$1" "$2" "$3";;
    heal) ip netns exec "$1$2" nft flush ruleset;;
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
