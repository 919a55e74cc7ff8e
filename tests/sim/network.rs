//! Who is where: addresses, local networks, links, partitions.
//!
//! Input: a datagram with sender, socket and destination. Output: `Packet`s with
//! the time each arrives and the address it seems to come from. Every place has
//! interfaces, each on one local network (`Lan`) with an IPv4 address, a link-local
//! and a routed IPv6 address; several places may share the addresses of one machine
//! and differ by port. A datagram passes `leave` on its way out of a machine and
//! `arrive` on its way in: a NAT box will sit there.

use crate::clock::Time;
use crate::link::{Link, Profile};
use crate::rng::Rng;
use setowire::node::{LanInterface, LocalPorts, Via};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::rc::Rc;
use std::time::Duration;

/// The port of the multicast groups.
pub const LAN_PORT: u16 = 45_678;
/// The IPv4 group.
pub const LAN_GROUP: Ipv4Addr = Ipv4Addr::new(239, 0, 0, 1);

/// Names a place of the world (an index).
pub type NodeId = usize;
/// Names a local network.
pub type Lan = u32;

/// One interface of a place.
#[derive(Clone, Debug)]
pub struct Interface {
    pub index: u32,
    pub lan: Lan,
    pub v4: Option<Ipv4Addr>,
    /// Link-local and routed address.
    pub v6: Option<(Ipv6Addr, Ipv6Addr)>,
}

/// Where a program runs.
#[derive(Clone, Debug)]
pub struct Place {
    /// Programs of one machine reach each other by 127.0.0.1.
    pub machine: u32,
    pub interfaces: Vec<Interface>,
    pub ports: LocalPorts,
    /// Whether the machine has a route to the internet: old peers find their own address by it.
    pub default_route: bool,
    /// False while no program holds the sockets.
    pub up: bool,
}

impl Place {
    /// A machine of its own on local network 0, IPv4 and IPv6; `n` makes its addresses.
    pub fn new(n: u32) -> Place {
        let port = 20_000 + n as u16;
        Place {
            machine: n,
            interfaces: vec![Interface::new(0, n)],
            ports: LocalPorts { v4: Some(port), v6: Some(port) },
            default_route: true,
            up: false,
        }
    }

    pub fn v4_only(mut self) -> Place {
        self.ports.v6 = None;
        self.interfaces.iter_mut().for_each(|i| i.v6 = None);
        self
    }

    pub fn v6_only(mut self) -> Place {
        self.ports.v4 = None;
        self.interfaces.iter_mut().for_each(|i| i.v4 = None);
        self
    }

    /// On these local networks instead; none: no multicast, but routed addresses.
    pub fn on(mut self, lans: &[Lan]) -> Place {
        let template = self.interfaces[0].clone();
        self.interfaces = lans.iter().map(|lan| Interface::new(*lan, self.machine)).collect();
        for interface in &mut self.interfaces {
            interface.v4 = template.v4.and(interface.v4);
            interface.v6 = template.v6.and(interface.v6);
        }
        self
    }

    /// A second program on the machine of another place.
    pub fn beside(other: &Place, port: u16) -> Place {
        let mut place = other.clone();
        place.ports.v4 = place.ports.v4.map(|_| port);
        place.ports.v6 = place.ports.v6.map(|_| port);
        place.up = false;
        place
    }

    pub fn set_port(&mut self, port: u16) {
        self.ports.v4 = self.ports.v4.map(|_| port);
        self.ports.v6 = self.ports.v6.map(|_| port);
    }

    /// The IPv4 address others dial.
    pub fn v4(&self) -> SocketAddr {
        let ip = self.interfaces.iter().find_map(|i| i.v4).expect("a place with IPv4");
        SocketAddr::new(ip.into(), self.ports.v4.expect("an IPv4 socket"))
    }

    /// The routed IPv6 address others dial.
    pub fn v6(&self) -> SocketAddr {
        let ip = self.interfaces.iter().find_map(|i| i.v6).expect("a place with IPv6").1;
        SocketAddr::new(ip.into(), self.ports.v6.expect("an IPv6 socket"))
    }

    /// What the runtime would tell a node of ours.
    pub fn lan_interfaces(&self) -> Vec<LanInterface> {
        let one = |i: &Interface| LanInterface {
            index: i.index,
            name: format!("eth{}", i.index),
            v4: i.v4.into_iter().collect(),
            v6: i.v6.is_some(),
        };
        self.interfaces.iter().map(one).collect()
    }

    fn has(&self, ip: IpAddr) -> bool {
        self.interfaces.iter().any(|i| match ip {
            IpAddr::V4(ip) => i.v4 == Some(ip),
            IpAddr::V6(ip) => i.v6.is_some_and(|(local, routed)| ip == local || ip == routed),
        })
    }

    fn port(&self, of: &SocketAddr) -> Option<u16> {
        if of.is_ipv4() { self.ports.v4 } else { self.ports.v6 }
    }
}

impl Interface {
    fn new(lan: Lan, n: u32) -> Interface {
        let low = (n + 1) as u16;
        Interface {
            // Not the same on every machine, as in life.
            index: 2 + lan + n % 3,
            lan,
            v4: Some(Ipv4Addr::new(10, lan as u8, (low >> 8) as u8, low as u8)),
            v6: Some((
                Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, lan as u16, low),
                Ipv6Addr::new(0xfd00, 0, 0, lan as u16, 0, 0, 0, low),
            )),
        }
    }
}

/// A datagram that leaves.
pub struct Sent {
    pub via: Via,
    pub to: SocketAddr,
    pub bytes: Rc<[u8]>,
    /// Lost rather than cut where a link is too small.
    pub whole: bool,
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub struct Packet {
    pub at: Time,
    pub to: NodeId,
    pub via: Via,
    pub from: SocketAddr,
    /// The address it is sent to, checked again on arrival.
    pub dest: SocketAddr,
    pub bytes: Rc<[u8]>,
    /// Who really sent it; only checkers look at this.
    pub origin: NodeId,
}

/// All places and links.
pub struct Network {
    pub places: Vec<Place>,
    pub profile: Profile,
    pub overrides: BTreeMap<(NodeId, NodeId), Profile>,
    links: HashMap<(NodeId, NodeId), Link>,
    /// The side of the partition each place is on; datagrams do not cross sides.
    pub side: Vec<u32>,
    /// Boxes on every way that lose what this says of.
    pub drops: Option<fn(&[u8]) -> bool>,
    /// Addresses that answer nothing: what is sent there is lost.
    pub unreachable: BTreeSet<SocketAddr>,
    pub names: BTreeMap<String, Vec<IpAddr>>,
}

impl Network {
    pub fn new(profile: Profile) -> Network {
        Network {
            places: Vec::new(),
            profile,
            overrides: BTreeMap::new(),
            links: HashMap::new(),
            side: Vec::new(),
            drops: None,
            unreachable: BTreeSet::new(),
            names: BTreeMap::new(),
        }
    }

    pub fn add(&mut self, place: Place) -> NodeId {
        self.places.push(place);
        self.side.push(0);
        self.places.len() - 1
    }

    /// Sets the link between two places, both directions.
    pub fn set_link(&mut self, a: NodeId, b: NodeId, profile: Profile) {
        self.overrides.insert((a, b), profile);
        self.overrides.insert((b, a), profile);
    }

    /// What becomes of a datagram that a place sends.
    pub fn send(&mut self, rng: &mut Rng, now: Time, origin: NodeId, sent: Sent) -> Vec<Packet> {
        let Sent { via, to, bytes, whole } = sent;
        let mut packets = Vec::new();
        if self.drops.is_some_and(|drops| drops(&bytes)) {
            return packets;
        }
        for (node, via, from, dest) in self.leave(origin, via, to) {
            if self.side[node] != self.side[origin] || self.unreachable.contains(&to) {
                continue;
            }
            let profile = self.overrides.get(&(origin, node)).unwrap_or(&self.profile);
            let link = self.links.entry((origin, node)).or_default();
            // A machine does not lose what it sends to itself.
            let times = match self.places[node].machine == self.places[origin].machine {
                true => vec![now + Duration::from_micros(30)],
                // It is dropped where it does not fit.
                false if whole && bytes.len() > profile.mtu => Vec::new(),
                false => link.arrivals(profile, rng, now, bytes.len()),
            };
            for at in times {
                packets.push(Packet { at, to: node, via, from, dest, bytes: bytes.clone(), origin });
            }
        }
        packets
    }

    /// Whether the place a packet is for still holds the address it was sent to.
    pub fn arrive(&self, packet: &Packet) -> bool {
        let place = &self.places[packet.to];
        let dest = &packet.dest;
        let there = place.port(dest) == Some(dest.port()) && (place.has(dest.ip()) || is_here(dest.ip()));
        place.up && (packet.via != Via::Main || there)
    }

    /// Receivers of a datagram: place, socket there, source and destination address as it sees them.
    fn leave(&self, origin: NodeId, via: Via, to: SocketAddr) -> Vec<(NodeId, Via, SocketAddr, SocketAddr)> {
        match via {
            Via::Lan { interface } if to.ip().is_multicast() => self.multicast(origin, interface, to),
            _ => self.unicast(origin, to).into_iter().collect(),
        }
    }

    /// The place that holds an address, as seen from another.
    pub fn owner(&self, origin: NodeId, to: SocketAddr) -> Option<NodeId> {
        if to.ip().is_multicast() { None } else { self.holder(origin, to, false).map(|(node, ..)| node) }
    }

    fn multicast(&self, origin: NodeId, index: u32, to: SocketAddr) -> Vec<(NodeId, Via, SocketAddr, SocketAddr)> {
        let Some(out) = self.places[origin].interfaces.iter().find(|i| i.index == index) else { return Vec::new() };
        let mut all = Vec::new();
        for (node, place) in self.places.iter().enumerate().filter(|(_, place)| place.up) {
            for inward in place.interfaces.iter().filter(|i| i.lan == out.lan) {
                let from = match (to.is_ipv4(), out.v4, out.v6, inward.v4, inward.v6) {
                    (true, Some(ip), _, Some(_), _) => SocketAddr::new(ip.into(), LAN_PORT),
                    (false, _, Some((ip, _)), _, Some(_)) => SocketAddrV6::new(ip, LAN_PORT, 0, inward.index).into(),
                    _ => continue,
                };
                all.push((node, Via::Lan { interface: inward.index }, from, to));
            }
        }
        all
    }

    /// The place that holds an address, and the local network if the address is link-local.
    fn holder(&self, origin: NodeId, to: SocketAddr, up: bool) -> Option<(NodeId, Option<Lan>)> {
        let me = &self.places[origin];
        // A link-local destination names the network by our interface.
        let lan = match to {
            SocketAddr::V6(v6) if is_link_local(v6.ip()) => {
                Some(me.interfaces.iter().find(|i| i.index == v6.scope_id())?.lan)
            }
            _ => None,
        };
        let (node, _) = self.places.iter().enumerate().find(|(_, place)| {
            (place.up || !up)
                && place.port(&to) == Some(to.port())
                && match (is_here(to.ip()), lan) {
                    (true, _) => place.machine == me.machine,
                    (false, Some(lan)) => place.has(to.ip()) && place.interfaces.iter().any(|i| i.lan == lan),
                    (false, None) => place.has(to.ip()),
                }
        })?;
        Some((node, lan))
    }

    fn unicast(&self, origin: NodeId, to: SocketAddr) -> Option<(NodeId, Via, SocketAddr, SocketAddr)> {
        let me = &self.places[origin];
        let my_port = me.port(&to)?;
        let (node, lan) = self.holder(origin, to, true)?;
        let place = &self.places[node];
        let from = match (to.ip(), lan) {
            _ if is_here(to.ip()) => SocketAddr::new(to.ip(), my_port),
            (IpAddr::V4(_), _) => {
                // The address on a network shared with the receiver, else the first.
                let shared = |i: &&Interface| place.interfaces.iter().any(|j| j.lan == i.lan) && i.v4.is_some();
                let ip = me.interfaces.iter().find(shared).and_then(|i| i.v4);
                SocketAddr::new(ip.or_else(|| me.interfaces.iter().find_map(|i| i.v4))?.into(), my_port)
            }
            (IpAddr::V6(_), Some(lan)) => {
                let ip = me.interfaces.iter().find(|i| i.lan == lan)?.v6?.0;
                let scope = place.interfaces.iter().find(|i| i.lan == lan)?.index;
                SocketAddrV6::new(ip, my_port, 0, scope).into()
            }
            (IpAddr::V6(_), None) => SocketAddr::new(me.interfaces.iter().find_map(|i| i.v6)?.1.into(), my_port),
        };
        Some((node, Via::Main, from, to))
    }
}

/// What two of ours say to each other on their sockets and old peers do not know: without it, they are old peers to
/// each other.
pub fn is_modern(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0x40..=0x7f | 0xc0..=0xff | 0xa3..=0xa5))
}

/// Addresses that mean the machine itself.
fn is_here(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified()
}

fn is_link_local(ip: &Ipv6Addr) -> bool {
    ip.segments()[0] & 0xffc0 == 0xfe80
}
