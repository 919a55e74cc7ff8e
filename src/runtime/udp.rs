//! The main sockets of a swarm: one for IPv4, one for IPv6.
//!
//! In: the addresses an application chose, or none. Out: bound sockets and their ports.
//! Invariants: IPv6 sockets carry IPv6 only, so both may have the same port number,
//! which they get when it is free. Without a choice a missing family is fine and none
//! at all an error; a chosen address that cannot be had is an error, unless the
//! system has no such family. No main socket sits on the port of the LAN beacons,
//! where it would shut out every program on this host.

use crate::config::{Bind, limits};
use crate::error::{Code, Error, Result};
use crate::node::LocalPorts;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Bound sockets, not yet part of an event loop.
pub struct Bound {
    pub v4: Option<UdpSocket>,
    pub v6: Option<UdpSocket>,
}

impl Bound {
    pub fn ports(&self) -> LocalPorts {
        LocalPorts { v4: self.v4.as_ref().and_then(port), v6: self.v6.as_ref().and_then(port) }
    }

    /// The addresses that were bound, without ports.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let sockets = [&self.v4, &self.v6].into_iter().flatten();
        sockets.filter_map(|socket| socket.local_addr().ok()).map(|address| address.ip()).collect()
    }
}

/// Binds the chosen addresses, or any of each family when none was chosen.
pub fn bind(chosen: &[Bind]) -> Result<Bound> {
    let by_default = chosen.is_empty();
    let any = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let any = any.map(|ip: IpAddr| Bind::from(SocketAddr::new(ip, 0)));
    let wanted = if by_default { &any[..] } else { chosen };
    let mut bound = Bound { v4: None, v6: None };
    let mut failure = None;
    let mut take = |bind: &Bind, result: io::Result<UdpSocket>| match result {
        Ok(socket) => Ok(Some(socket)),
        Err(e) => {
            let error = refused(bind, &e);
            let tolerable = by_default || family_missing(bind.addr, &e);
            failure.get_or_insert_with(|| error.clone());
            if tolerable { Ok(None) } else { Err(error) }
        }
    };
    if let Some(bind) = wanted.iter().find(|bind| bind.addr.is_ipv4()) {
        bound.v4 = take(bind, open_first(bind))?;
    }
    if let Some(bind) = wanted.iter().find(|bind| bind.addr.is_ipv6()) {
        // Where the port is ours to choose, both families have the same one.
        let ours = |port: &u16| bind.addr.port() == 0 || bind.ports().contains(port);
        let same = bound.v4.as_ref().and_then(port).filter(ours);
        let same = same.and_then(|port| open(SocketAddr::new(bind.addr.ip(), port)).ok());
        bound.v6 = take(bind, same.map_or_else(|| open_first(bind), Ok))?;
    }
    match (&bound.v4, &bound.v6, failure) {
        (None, None, Some(error)) => Err(error),
        _ => Ok(bound),
    }
}

/// Opens a socket on the first port that is free.
fn open_first(bind: &Bind) -> io::Result<UdpSocket> {
    let mut result = open(bind.addr);
    for port in bind.ports().skip(1) {
        match &result {
            Err(e) if matches!(e.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) => {}
            _ => break,
        }
        let mut addr = bind.addr;
        addr.set_port(port);
        result = open(addr);
    }
    result
}

/// Opens one socket with everything a main socket needs.
fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = bind_one(address)?;
    if address.port() == 0 && port(&socket) == Some(limits::LAN_PORT) {
        // The first one is held until the second has another port.
        return bind_one(address);
    }
    Ok(socket)
}

fn bind_one(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    enlarge(&socket);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Asks for large buffers; the system gives what it allows.
pub fn enlarge(socket: &Socket) {
    let _ = socket.set_recv_buffer_size(limits::SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(limits::SOCKET_BUFFER_BYTES);
}

fn port(socket: &UdpSocket) -> Option<u16> {
    socket.local_addr().ok().map(|address| address.port())
}

fn family_missing(address: SocketAddr, error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EAFNOSUPPORT)
        || (address.ip().is_unspecified() && error.kind() == ErrorKind::AddrNotAvailable)
}

fn refused(bind: &Bind, error: &io::Error) -> Error {
    let (code, advice) = match error.kind() {
        ErrorKind::AddrInUse if bind.is_range() => (Code::Permission, "no port of the range is free; choose another"),
        ErrorKind::AddrInUse => (Code::Permission, "choose another port, or 0 for any"),
        ErrorKind::PermissionDenied => (Code::Permission, "choose a port above 1023, or 0 for any"),
        ErrorKind::AddrNotAvailable => (Code::Invalid, "choose an address of this host"),
        _ => (Code::Internal, "no UDP socket could be had"),
    };
    Error::new(code, format!("bind: {bind}: {error}; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(text: &str) -> Bind {
        text.parse().unwrap()
    }

    /// Ports that follow each other and are free on both loopbacks, at least now.
    fn free_range(count: u16) -> u16 {
        let both = |port| [UdpSocket::bind(("127.0.0.1", port)), UdpSocket::bind(("::1", port))];
        let free = |first: &u16| (*first..first + count).all(|port| both(port).iter().all(|socket| socket.is_ok()));
        (20_000..30_000).step_by(usize::from(count)).find(free).unwrap()
    }

    #[test]
    fn the_first_free_port_of_a_range_is_taken_until_none_is_left() {
        let first = free_range(3);
        let range = format!("127.0.0.1:{first}-{}", first + 2);
        let mut held = Vec::new();
        for port in first..=first + 2 {
            let bound = bind(&[chosen(&range), chosen(&format!("[::1]:{first}-{}", first + 2))]).unwrap();
            // Another program may have taken one since.
            assert!(bound.ports().v4.is_some_and(|taken| (port..=first + 2).contains(&taken)));
            assert_eq!(bound.ports().v4, bound.ports().v6);
            held.push(bound);
            if held.last().and_then(|bound| bound.ports().v4) == Some(first + 2) {
                break;
            }
        }
        let error = bind(&[chosen(&range)]).err().unwrap();
        assert_eq!(error.code, Code::Permission);
        assert!(error.detail.contains(&range) && error.detail.contains("no port of the range"), "{error}");
    }

    #[test]
    fn both_families_get_the_same_port() {
        let bound = bind(&[]).unwrap();
        let ports = bound.ports();
        assert!(ports.v4.is_some_and(|port| port != 0));
        assert_eq!(ports.v4, ports.v6);
        assert!(bound.v6.is_some_and(|socket| socket2::SockRef::from(&socket).only_v6().unwrap()));
    }

    #[test]
    fn only_the_chosen_family_is_bound() {
        let bound = bind(&[chosen("127.0.0.1:0")]).unwrap();
        assert!(bound.v6.is_none());
        assert_eq!(bound.v4.unwrap().local_addr().unwrap().ip(), Ipv4Addr::LOCALHOST);
    }

    #[test]
    fn a_port_in_use_is_named_in_the_error() {
        let first = bind(&[chosen("127.0.0.1:0")]).unwrap();
        let address = first.v4.as_ref().unwrap().local_addr().unwrap();
        let error = bind(&[address.into()]).err().unwrap();
        assert_eq!(error.code, Code::Permission);
        assert!(error.detail.starts_with("bind:") && error.detail.contains(&address.to_string()), "{error}");
    }

    #[test]
    fn an_address_of_another_host_is_refused() {
        let error = bind(&[chosen("203.0.113.77:0")]).err().unwrap();
        assert_eq!(error.code, Code::Invalid);
    }

    #[test]
    fn a_taken_port_number_leaves_ipv6_another_one() {
        // A number that is free for IPv4; another program may have any one of them.
        let (taken, _v6) = std::iter::repeat_with(|| UdpSocket::bind("[::1]:0").unwrap())
            .map(|v6| (v6.local_addr().unwrap().port(), v6))
            .find(|(taken, _)| UdpSocket::bind(("127.0.0.1", *taken)).is_ok())
            .unwrap();
        let bound = bind(&[SocketAddr::from((Ipv4Addr::LOCALHOST, taken)).into(), chosen("[::1]:0")]).unwrap();
        let ports = bound.ports();
        assert_eq!(ports.v4, Some(taken));
        assert!(ports.v6.is_some() && ports.v6 != Some(taken));
    }

    #[test]
    fn descriptors_are_closed_on_exec() {
        let bound = bind(&[]).unwrap();
        for socket in [bound.v4.unwrap(), bound.v6.unwrap()] {
            use std::os::fd::AsRawFd;
            // SAFETY: F_GETFD takes no argument and the descriptor is open.
            let flags = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFD) };
            assert!(flags & libc::FD_CLOEXEC != 0);
        }
    }
}
