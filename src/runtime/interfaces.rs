//! The list of network interfaces: which of them the LAN source uses, and the addresses of this host.
//!
//! In: what the system says (`getifaddrs`), the names an application chose, where the sockets are bound.
//! Out: `LanInterface`s, ordered by index, at most `LAN_INTERFACES`; addresses in the same order, at most
//! `LOCAL_ADDRESSES`. Invariants: `choose` is a pure function. A named interface is taken whether or not
//! it has the multicast flag (`lo` has none and carries IPv4 multicast all the same);
//! without names, every one that is up, can multicast and is not loopback.

use crate::config::limits;
use crate::node::LanInterface;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An interface as the system describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    pub index: u32,
    pub up: bool,
    /// There is a link.
    pub running: bool,
    pub multicast: bool,
    pub loopback: bool,
    pub v4: Vec<Ipv4Addr>,
    pub v6: Vec<Ipv6Addr>,
}

/// The interfaces to use: those named, or all that fit when none is named.
pub fn choose(all: &BTreeMap<String, Interface>, wanted: &[String]) -> Vec<LanInterface> {
    let fits = |name: &String, interface: &Interface| {
        interface.up
            && interface.index != 0
            && match wanted {
                [] => interface.multicast && !interface.loopback,
                names => names.contains(name),
            }
    };
    let mut chosen: Vec<LanInterface> = all
        .iter()
        .filter(|(name, interface)| fits(name, interface))
        .map(|(name, interface)| LanInterface {
            index: interface.index,
            name: name.clone(),
            v4: interface.v4.clone(),
            // Without the flag the system makes no route for the IPv6 groups.
            v6: interface.multicast && !interface.v6.is_empty(),
        })
        .filter(|interface| !interface.v4.is_empty() || interface.v6)
        .collect();
    chosen.sort_by_key(|interface| interface.index);
    chosen.truncate(limits::LAN_INTERFACES);
    chosen
}

/// The addresses that reach sockets bound to these. Loopback ones only where there are no others.
pub fn addresses(all: &BTreeMap<String, Interface>, bound: &[IpAddr]) -> Vec<IpAddr> {
    let mut usable: Vec<&Interface> = all.values().filter(|interface| interface.up && interface.running).collect();
    usable.sort_by_key(|interface| interface.index);
    let every = usable.into_iter().flat_map(|interface| {
        let v4 = interface.v4.iter().copied().map(IpAddr::from);
        v4.chain(interface.v6.iter().copied().map(IpAddr::from))
    });
    let reaches = |at: &IpAddr, ip: &IpAddr| at == ip || at.is_unspecified() && at.is_ipv4() == ip.is_ipv4();
    let mut addresses: Vec<IpAddr> = every.filter(|ip| bound.iter().any(|at| reaches(at, ip))).collect();
    if addresses.iter().any(|ip| !ip.is_loopback()) {
        addresses.retain(|ip| !ip.is_loopback());
    }
    addresses.truncate(limits::LOCAL_ADDRESSES);
    addresses
}

/// The named interfaces that have gone missing since the last call. `missing`: those that are missing, kept between calls.
pub fn newly_missing<'a>(
    all: &BTreeMap<String, Interface>,
    wanted: &'a [String],
    missing: &mut BTreeSet<String>,
) -> Vec<&'a str> {
    missing.retain(|name| !all.contains_key(name));
    let names = wanted.iter().filter(|name| !all.contains_key(*name) && missing.insert((*name).clone()));
    names.map(String::as_str).collect()
}

/// Reads the interfaces of this host, by name.
pub fn list() -> io::Result<BTreeMap<String, Interface>> {
    let mut head: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: `getifaddrs` writes a list head to `head` or fails; the list is released by `Release` below.
    if unsafe { libc::getifaddrs(&mut head) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let _release = Release(head);
    let mut all: BTreeMap<String, Interface> = BTreeMap::new();
    let mut next = head;
    // SAFETY: `next` is an entry of the list, which lives until `_release` is dropped, or null at its end.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        if entry.ifa_name.is_null() {
            continue;
        }
        // SAFETY: `ifa_name` is a NUL-terminated string that lives as long as the list.
        let name = unsafe { CStr::from_ptr(entry.ifa_name) };
        let Ok(text) = name.to_str() else { continue };
        let interface = all.entry(text.to_owned()).or_insert_with(|| Interface {
            // SAFETY: `name` is NUL-terminated. The answer is 0 when the interface went away meanwhile.
            index: unsafe { libc::if_nametoindex(name.as_ptr()) },
            ..Interface::default()
        });
        let has = |flag: libc::c_int| entry.ifa_flags & flag.unsigned_abs() != 0;
        interface.up = has(libc::IFF_UP);
        interface.running = has(libc::IFF_RUNNING);
        interface.multicast = has(libc::IFF_MULTICAST);
        interface.loopback = has(libc::IFF_LOOPBACK);
        match address(entry) {
            Some(IpAddr::V4(v4)) => interface.v4.push(v4),
            Some(IpAddr::V6(v6)) => interface.v6.push(v6),
            None => {}
        }
    }
    Ok(all)
}

fn address(entry: &libc::ifaddrs) -> Option<IpAddr> {
    // SAFETY: `ifa_addr` is null or points to a socket address that lives as long as the list.
    let family = libc::c_int::from(unsafe { entry.ifa_addr.as_ref() }?.sa_family);
    match family {
        libc::AF_INET => {
            // SAFETY: the family says that this is a `sockaddr_in`.
            let v4 = unsafe { entry.ifa_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(IpAddr::V4(Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes())))
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that this is a `sockaddr_in6`.
            let v6 = unsafe { entry.ifa_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(IpAddr::V6(Ipv6Addr::from(v6.sin6_addr.s6_addr)))
        }
        _ => None,
    }
}

struct Release(*mut libc::ifaddrs);

impl Drop for Release {
    fn drop(&mut self) {
        // SAFETY: this is the list that `getifaddrs` made, released once.
        unsafe { libc::freeifaddrs(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> BTreeMap<String, Interface> {
        let interface = |index, up, multicast, loopback, v4: &[[u8; 4]], v6: &[Ipv6Addr]| Interface {
            index,
            up,
            running: true,
            multicast,
            loopback,
            v4: v4.iter().map(|&octets| octets.into()).collect(),
            v6: v6.to_vec(),
        };
        let link = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
        [
            ("lo", interface(1, true, false, true, &[[127, 0, 0, 1]], &[Ipv6Addr::LOCALHOST])),
            ("wlan0", interface(4, true, true, false, &[[10, 0, 0, 7], [10, 0, 1, 7]], &[link])),
            ("eth0", interface(2, true, true, false, &[], &[link])),
            ("eth1", interface(3, false, true, false, &[[10, 0, 2, 7]], &[link])),
            ("tun0", interface(5, true, false, false, &[[10, 9, 0, 1]], &[])),
            ("bare0", interface(6, true, true, false, &[], &[])),
            ("gone0", interface(0, true, true, false, &[[10, 8, 0, 1]], &[])),
        ]
        .into_iter()
        .map(|(name, interface)| (name.to_owned(), interface))
        .collect()
    }

    fn names(chosen: &[LanInterface]) -> Vec<&str> {
        chosen.iter().map(|interface| interface.name.as_str()).collect()
    }

    #[test]
    fn without_names_all_that_can_multicast_in_order() {
        let chosen = choose(&host(), &[]);
        assert_eq!(names(&chosen), ["eth0", "wlan0"]);
        assert!(chosen[0].v4.is_empty() && chosen[0].v6);
        assert_eq!(chosen[1].v4.len(), 2);
    }

    #[test]
    fn named_ones_exactly_even_without_the_flag() {
        let wanted = ["lo", "eth1", "nowhere", "tun0"].map(str::to_owned);
        let chosen = choose(&host(), &wanted);
        assert_eq!(names(&chosen), ["lo", "tun0"]);
        assert!(!chosen[0].v6, "the loopback interface has no route for IPv6 groups");
    }

    #[test]
    fn a_name_that_is_missing_is_told_once_until_it_appears() {
        let (mut all, mut missing) = (host(), BTreeSet::new());
        let wanted = ["lo", "nowhere", "eth0"].map(str::to_owned);
        assert_eq!(newly_missing(&all, &wanted, &mut missing), ["nowhere"]);
        assert!(newly_missing(&all, &wanted, &mut missing).is_empty());
        let eth0 = all.remove("eth0").unwrap();
        assert_eq!(newly_missing(&all, &wanted, &mut missing), ["eth0"]);
        all.insert("eth0".to_owned(), eth0);
        assert!(newly_missing(&all, &wanted, &mut missing).is_empty());
        all.remove("eth0");
        assert_eq!(newly_missing(&all, &wanted, &mut missing), ["eth0"]);
    }

    #[test]
    fn the_addresses_are_those_that_reach_the_sockets() {
        let (mut all, any) = (host(), ["0.0.0.0", "::"].map(|text| text.parse::<IpAddr>().unwrap()));
        let texts = |all: &BTreeMap<String, Interface>, bound: &[IpAddr]| -> Vec<String> {
            addresses(all, bound).iter().map(IpAddr::to_string).collect()
        };
        assert_eq!(texts(&all, &any[..1]), ["10.8.0.1", "10.0.0.7", "10.0.1.7", "10.9.0.1"], "eth1 is down");
        assert_eq!(texts(&all, &any[1..]), ["fe80::1", "fe80::1"]);
        assert_eq!(texts(&all, &any).len(), 6);
        for one in ["10.0.1.7", "127.0.0.1"] {
            assert_eq!(texts(&all, &[one.parse().unwrap()]), [one], "bound to it alone");
        }
        assert!(texts(&all, &["10.0.2.7".parse().unwrap()]).is_empty(), "it is gone");
        assert!(texts(&all, &[]).is_empty());
        all.get_mut("wlan0").unwrap().running = false;
        assert_eq!(texts(&all, &any[..1]), ["10.8.0.1", "10.9.0.1"], "a cable was pulled");
        all.retain(|name, _| name == "lo");
        assert_eq!(texts(&all, &any), ["127.0.0.1", "::1"]);
    }

    #[test]
    fn no_more_than_the_limit() {
        let mut many = BTreeMap::new();
        for index in 1..=100 {
            let v4 = vec![Ipv4Addr::new(10, 0, 0, 1)];
            many.insert(
                format!("veth{index}"),
                Interface { index, up: true, multicast: true, v4, ..Default::default() },
            );
        }
        let chosen = choose(&many, &[]);
        assert_eq!(chosen.len(), limits::LAN_INTERFACES);
        assert_eq!(chosen[0].index, 1);
    }

    #[test]
    fn the_host_has_a_loopback_interface() {
        let all = list().unwrap();
        let (_, lo) = all.iter().find(|(_, interface)| interface.loopback && interface.up).unwrap();
        assert!(lo.index != 0 && lo.v4.contains(&Ipv4Addr::LOCALHOST));
    }
}
