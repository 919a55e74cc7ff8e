//! Socket options that neither `socket2` nor `quinn-udp` can set.
//!
//! In: a socket and a value. Out: the system's answer.
//! Invariants: these are the only raw `setsockopt` calls of the library; the kernel
//! copies the value before the call returns.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Lets the IP layer cut datagrams of this socket, or sends them whole or not at all.
pub fn set_fragmentation(socket: BorrowedFd<'_>, v4: bool, allowed: bool) -> io::Result<()> {
    if v4 {
        let discover = if allowed { libc::IP_PMTUDISC_DONT } else { libc::IP_PMTUDISC_PROBE };
        return set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, &discover);
    }
    let discover = if allowed { libc::IPV6_PMTUDISC_DONT } else { libc::IPV6_PMTUDISC_PROBE };
    set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, &discover)?;
    set(socket, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, &libc::c_int::from(!allowed))
}

/// Sends multicast by the interface with this index, from this address of it: left to itself, the kernel
/// takes an address of another interface for `lo`, where peers on this host could not be told apart from the LAN.
pub fn set_multicast_interface_v4(socket: BorrowedFd<'_>, index: u32, source: Ipv4Addr) -> io::Result<()> {
    let request = libc::ip_mreqn {
        imr_multiaddr: libc::in_addr { s_addr: 0 },
        imr_address: libc::in_addr { s_addr: u32::from_ne_bytes(source.octets()) },
        imr_ifindex: libc::c_int::try_from(index).map_err(|_| io::ErrorKind::InvalidInput)?,
    };
    set(socket, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &request)
}

fn set<T: Copy>(socket: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the descriptor is open for the length of the borrow; `value` points to `length` readable bytes
    // of a plain C type and is only read.
    let answer = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), length) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
