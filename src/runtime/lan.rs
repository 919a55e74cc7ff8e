//! The multicast sockets of the LAN source.
//!
//! In: the list of interfaces, beacons to send, datagrams on port 45678. Out: beacons
//! of the groups, with the index of the interface they came by.
//! Invariants: only the chosen interfaces are joined, sent to and heard; a datagram to
//! another address than the group (someone's unicast to this port) is not delivered.
//! The port is shared with every program that allows it, old peers included. When
//! somebody holds it alone, beacons are still sent, from another port, and the port
//! is tried again at each poll.

use crate::config::limits;
use crate::log;
use crate::node::api::Level;
use crate::node::{Datagrams, LanInterface, Via};
use crate::runtime::interfaces::{self, Interface};
use crate::runtime::shared::Io;
use crate::runtime::socket::{Received, Socket};
use crate::runtime::{sockopt, udp};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Type};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::time::Instant;

pub struct Lan {
    wanted: Vec<String>,
    port: u16,
    list: Vec<LanInterface>,
    /// Names that the host does not have, so that it is said once.
    missing: BTreeSet<String>,
    v4: Option<Group>,
    v6: Option<Group>,
    shared: Arc<Io>,
}

/// The socket of one family.
struct Group {
    socket: Socket,
    group: IpAddr,
    /// It has the beacons' port: it can hear.
    hears: bool,
    joined: BTreeSet<u32>,
    /// Interfaces that could not be joined, so that it is said once.
    refused: BTreeSet<u32>,
}

impl Lan {
    /// `wanted`: names of interfaces, none for all that fit. To be called inside the runtime.
    pub fn new(wanted: Vec<String>, shared: Arc<Io>) -> Lan {
        Lan::on_port(limits::LAN_PORT, wanted, shared)
    }

    pub(super) fn on_port(port: u16, wanted: Vec<String>, shared: Arc<Io>) -> Lan {
        Lan { wanted, port, list: Vec::new(), missing: BTreeSet::new(), v4: None, v6: None, shared }
    }

    /// Joins interfaces that appeared, leaves those that went. Returns the list of those in use when it changed.
    pub fn set_interfaces(&mut self, all: &BTreeMap<String, Interface>) -> Option<&[LanInterface]> {
        for name in interfaces::newly_missing(all, &self.wanted, &mut self.missing) {
            log::write(Level::Warn, &format!("there is no interface {name:?}; it is used when it appears"));
        }
        let list = interfaces::choose(all, &self.wanted);
        let of_family = |fits: fn(&LanInterface) -> bool| -> BTreeSet<u32> {
            list.iter().filter(|interface| fits(interface)).map(|interface| interface.index).collect()
        };
        let v4 = of_family(|interface| !interface.v4.is_empty());
        let v6 = of_family(|interface| interface.v6);
        update(&mut self.v4, limits::LAN_GROUP_V4.into(), self.port, &v4, &self.shared);
        update(&mut self.v6, limits::LAN_GROUP_V6.into(), self.port, &v6, &self.shared);
        if list == self.list {
            return None;
        }
        self.list = list;
        Some(&self.list)
    }

    /// Sends a beacon by one interface, now or not at all: the next one follows in seconds.
    pub fn send(&mut self, interface: u32, to: SocketAddr, bytes: &[u8]) {
        let group = if to.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        let known = self.list.iter().find(|known| known.index == interface);
        let sent = match (group, known) {
            (Some(group), Some(known)) => group.send(known, to, bytes),
            _ => Err(io::ErrorKind::NotConnected.into()),
        };
        if let Err(e) = sent {
            self.shared.send_errors.fetch_add(1, Ordering::Relaxed);
            if log::enabled(Level::Debug) {
                log::write(Level::Debug, &format!("no beacon by interface {interface} to {to}: {e}"));
            }
        }
    }

    /// Receives what there is on the socket of one family; `deliver` gets the datagrams with their interface.
    pub fn recv(&mut self, v4: bool, into: &mut Received, now: Instant, mut deliver: impl FnMut(Datagrams)) -> usize {
        let Some(group) = (if v4 { &mut self.v4 } else { &mut self.v6 }) else { return 0 };
        let count = group.socket.recv(into, now);
        for (meta, datagrams) in into.runs() {
            match meta.interface_index {
                Some(interface) if group.joined.contains(&interface) && meta.dst_ip == Some(group.group) => {
                    deliver(Datagrams { via: Via::Lan { interface }, ..datagrams });
                }
                _ => {}
            }
        }
        count
    }

    /// As of the sockets.
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> bool {
        // Each is asked, so that each may wake the task.
        let groups = [&mut self.v4, &mut self.v6].into_iter().flatten();
        groups.fold(false, |ready, group| ready | group.socket.poll_ready(context))
    }

    /// As of the sockets.
    pub fn paused_until(&self) -> Option<Instant> {
        [&self.v4, &self.v6].into_iter().flatten().filter_map(|group| group.socket.paused_until()).min()
    }
}

/// Brings one family up to date: its socket exists while an interface needs it.
fn update(slot: &mut Option<Group>, group: IpAddr, port: u16, indexes: &BTreeSet<u32>, shared: &Arc<Io>) {
    if indexes.is_empty() {
        *slot = None;
        return;
    }
    if slot.as_ref().is_none_or(|group| !group.hears) {
        match Group::open(group, port, shared) {
            // A socket that only sends is kept until one can be had that hears.
            Ok(fresh) if slot.is_none() || fresh.hears => {
                if !fresh.hears {
                    let held = format!("UDP port {port} is held by another program: beacons are sent, but not heard");
                    log::write(Level::Warn, &held);
                }
                *slot = Some(fresh);
            }
            Ok(_) => {}
            Err(e) => log::write(Level::Warn, &format!("no multicast socket for {group}: {e}")),
        }
    }
    if let Some(group) = slot {
        group.join(indexes);
    }
}

impl Group {
    fn open(group: IpAddr, port: u16, shared: &Arc<Io>) -> io::Result<Group> {
        let (socket, hears) = match bind(group, port) {
            Ok(socket) => (socket, true),
            Err(_) => (bind(group, 0)?, false),
        };
        let socket = Socket::new(socket, shared.clone())?;
        Ok(Group { socket, group, hears, joined: BTreeSet::new(), refused: BTreeSet::new() })
    }

    fn join(&mut self, wanted: &BTreeSet<u32>) {
        let socket = SockRef::from(self.socket.io());
        for index in self.joined.difference(wanted) {
            // An interface that is gone has taken its membership along.
            let _ = membership(&socket, self.group, *index, false);
        }
        self.joined.retain(|index| wanted.contains(index));
        self.refused.retain(|index| wanted.contains(index));
        if !self.hears {
            return;
        }
        for &index in wanted {
            if self.joined.contains(&index) {
                continue;
            }
            match membership(&socket, self.group, index, true) {
                Ok(()) => {
                    self.joined.insert(index);
                    self.refused.remove(&index);
                }
                Err(e) => {
                    if self.refused.insert(index) {
                        log::write(Level::Warn, &format!("interface {index} cannot join {}: {e}", self.group));
                    }
                }
            }
        }
    }

    fn send(&mut self, interface: &LanInterface, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let io = self.socket.io();
        match to {
            SocketAddr::V4(_) => {
                let source = interface.v4.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED);
                sockopt::set_multicast_interface_v4(io.as_fd(), interface.index, source)?;
            }
            SocketAddr::V6(_) => SockRef::from(io).set_multicast_if_v6(interface.index)?,
        }
        self.socket.send_now(to, bytes)
    }
}

fn membership(socket: &SockRef<'_>, group: IpAddr, index: u32, join: bool) -> io::Result<()> {
    let by_index = InterfaceIndexOrAddress::Index(index);
    match (group, join) {
        (IpAddr::V4(group), true) => socket.join_multicast_v4_n(&group, &by_index),
        (IpAddr::V4(group), false) => socket.leave_multicast_v4_n(&group, &by_index),
        (IpAddr::V6(group), true) => socket.join_multicast_v6(&group, index),
        (IpAddr::V6(group), false) => socket.leave_multicast_v6(&group, index),
    }
}

/// Opens a multicast socket on `port`, shared with all programs of this host that share it too.
fn bind(group: IpAddr, port: u16) -> io::Result<std::net::UdpSocket> {
    let v4 = group.is_ipv4();
    let domain = if v4 { Domain::IPV4 } else { Domain::IPV6 };
    let socket = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    // Old peers set the first, some systems demand the second.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    udp::enlarge(&socket);
    socket.set_nonblocking(true)?;
    let address: SocketAddr = if v4 {
        socket.set_multicast_all_v4(false)?;
        socket.set_multicast_loop_v4(true)?;
        socket.set_multicast_ttl_v4(1)?;
        (Ipv4Addr::UNSPECIFIED, port).into()
    } else {
        socket.set_only_v6(true)?;
        socket.set_multicast_all_v6(false)?;
        socket.set_multicast_loop_v6(true)?;
        socket.set_multicast_hops_v6(1)?;
        (Ipv6Addr::UNSPECIFIED, port).into()
    };
    socket.bind(&address.into())?;
    Ok(socket.into())
}
