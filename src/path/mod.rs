//! Addresses: which we may dial, which we are dialling, which of a peer's we use.
//!
//! `budget` bounds what an address that never answered can be made to receive by
//! reports of others; `dial` is the script of one dial; `addrs` are the measured
//! addresses of a connected v12 peer, `session` the paths of a modern one; `proven` says
//! which v12 peers are modern.

pub mod addrs;
pub mod budget;
pub mod dial;
pub mod proven;
pub mod session;

use std::net::{IpAddr, SocketAddr};

/// Whether an address can be that of one peer: unicast, with a port.
pub fn is_dialable(addr: &SocketAddr) -> bool {
    let ip_ok = match addr.ip() {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast() && ip.octets()[0] != 0,
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_multicast() && ip.to_ipv4_mapped().is_none(),
    };
    ip_ok && addr.port() != 0
}

/// How far an address reaches. A peer may tell of addresses that reach as far as its own, or farther.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Loopback,
    Link,
    Private,
    Global,
}

/// The scope of an address.
pub fn scope(ip: &IpAddr) -> Scope {
    match ip {
        IpAddr::V4(ip) if ip.is_loopback() => Scope::Loopback,
        IpAddr::V4(ip) if ip.is_link_local() => Scope::Link,
        IpAddr::V4(ip) if ip.is_private() => Scope::Private,
        IpAddr::V6(ip) if ip.is_loopback() => Scope::Loopback,
        IpAddr::V6(ip) if ip.is_unicast_link_local() => Scope::Link,
        IpAddr::V6(ip) if ip.is_unique_local() => Scope::Private,
        _ => Scope::Global,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unicast_addresses_with_a_port_are_dialled() {
        let ok = |text: &str| is_dialable(&text.parse().expect("address"));
        assert!(ok("10.0.0.1:1") && ok("127.0.0.1:9") && ok("[fe80::1]:5") && ok("[::1]:5"));
        assert!(!ok("10.0.0.1:0") && !ok("0.0.0.0:5") && !ok("0.1.2.3:5") && !ok("239.0.0.1:5"));
        assert!(!ok("255.255.255.255:5") && !ok("[ff02::1]:5") && !ok("[::]:5") && !ok("[::ffff:1.2.3.4]:5"));
    }
}
