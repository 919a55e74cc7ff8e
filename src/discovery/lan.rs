//! The LAN source: multicast beacons that say who joined which topic, and where.
//!
//! A beacon leaves on every interface at once when a topic is joined or an interface
//! appears, again soon after (multicast is lossy), then about every five seconds. Old
//! peers compare 12 digits of the topic hash, C++ peers 24, so IPv4 gets both
//! forms; the IPv6 group is our own and gets the short one, with no address in the text.
//! A beacon on one of our topics is a hint to dial the sender's address with the
//! port of its text (old Python peers write 127.0.0.1 when they have no default route).

use crate::config::limits::{LAN_GROUP_V4, LAN_GROUP_V6, LAN_INTERFACES, LAN_PERIOD, LAN_PORT, TOPICS_MAX};
use crate::crypto::identity::{LegacyId, wire_id};
use crate::discovery::Hint;
use crate::node::api::{LanInterface, LocalPorts, Source, Topic, Transmit, Via};
use crate::path::is_dialable;
use crate::timers::earlier;
use crate::wire::beacon::Beacon;
use crate::wire::topic::{topic_hash12, topic_hash24};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::{Duration, Instant};

/// The second beacon after a change follows the first by this.
const ECHO: Duration = Duration::from_millis(400);
/// Beacons sent in one go; the rest follow after `BURST_GAP`, so that many topics do not flood a network.
const BURST: usize = 64;
const BURST_GAP: Duration = Duration::from_millis(20);

/// Beacons of one swarm.
pub struct Lan {
    id: LegacyId,
    ports: LocalPorts,
    interfaces: Vec<LanInterface>,
    topics: Vec<Joined>,
    waiting: std::collections::VecDeque<Transmit>,
    next_burst: Option<Instant>,
    next_echo: Option<Instant>,
    next_round: Option<Instant>,
}

struct Joined {
    topic: Topic,
    short: String,
    long: String,
}

impl Lan {
    pub fn new(id: LegacyId, ports: LocalPorts) -> Lan {
        Lan {
            id,
            ports,
            interfaces: Vec::new(),
            topics: Vec::new(),
            waiting: Default::default(),
            next_burst: None,
            next_echo: None,
            next_round: None,
        }
    }

    /// A topic was joined: it is announced at once.
    pub fn join(&mut self, topic: &Topic, now: Instant) {
        if self.topics.len() >= TOPICS_MAX || self.topics.iter().any(|joined| joined.topic == *topic) {
            return;
        }
        self.topics.push(Joined { topic: *topic, short: topic_hash12(topic), long: topic_hash24(topic) });
        let interfaces = std::mem::take(&mut self.interfaces);
        if let Some(joined) = self.topics.last() {
            interfaces.iter().for_each(|interface| beacons(&self.id, self.ports, joined, interface, &mut self.waiting));
        }
        self.interfaces = interfaces;
        self.announced(now);
    }

    /// A topic was left: it is not announced any more.
    pub fn leave(&mut self, topic: &Topic) {
        self.topics.retain(|joined| joined.topic != *topic);
        if self.topics.is_empty() {
            self.waiting.clear();
            (self.next_burst, self.next_echo, self.next_round) = (None, None, None);
        }
    }

    /// The interfaces as they are now: all topics are announced on new ones at once.
    pub fn set_interfaces(&mut self, interfaces: &[LanInterface], now: Instant) {
        let interfaces = &interfaces[..interfaces.len().min(LAN_INTERFACES)];
        let before = std::mem::replace(&mut self.interfaces, interfaces.to_vec());
        self.waiting
            .retain(|t| matches!(t.via, Via::Lan { interface } if interfaces.iter().any(|i| i.index == interface)));
        for interface in interfaces.iter().filter(|interface| !before.contains(interface)) {
            self.topics.iter().for_each(|joined| beacons(&self.id, self.ports, joined, interface, &mut self.waiting));
        }
        if !self.topics.is_empty() && !self.waiting.is_empty() {
            self.announced(now);
        }
    }

    /// What a beacon says to us, if anything.
    pub fn handle_beacon(&self, from: SocketAddr, beacon: &Beacon<'_>) -> Option<Hint> {
        let ours = beacon.id == self.id;
        let wanted = |joined: &Joined| {
            joined.short.eq_ignore_ascii_case(beacon.topic_hash) || joined.long.eq_ignore_ascii_case(beacon.topic_hash)
        };
        if ours || !self.topics.iter().any(wanted) {
            return None;
        }
        let mut addr = from;
        addr.set_port(beacon.port);
        is_dialable(&addr).then(|| Hint { addr, id: Some(wire_id(&beacon.id)), source: Source::Lan })
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        earlier(self.next_burst, earlier(self.next_echo, self.next_round))
    }

    /// Beacons to send now.
    pub fn handle_timeout(&mut self, now: Instant, rng: &mut ChaCha20Rng) -> Vec<Transmit> {
        let round_due = self.next_round.is_some_and(|at| at <= now);
        if round_due || self.next_echo.is_some_and(|at| at <= now) {
            self.next_echo = None;
            self.waiting.clear();
            for interface in &self.interfaces {
                self.topics
                    .iter()
                    .for_each(|joined| beacons(&self.id, self.ports, joined, interface, &mut self.waiting));
            }
            self.next_burst = Some(now);
        }
        if round_due {
            // Up to a tenth earlier or later, so that peers started together spread.
            let tenth = LAN_PERIOD.as_millis() as u64 / 10;
            let jitter = u64::from(rng.next_u32()) % (2 * tenth + 1);
            self.next_round = Some(now + LAN_PERIOD - Duration::from_millis(tenth) + Duration::from_millis(jitter));
        }
        if self.next_burst.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let burst = self.waiting.drain(..self.waiting.len().min(BURST)).collect();
        self.next_burst = (!self.waiting.is_empty()).then_some(now + BURST_GAP);
        burst
    }

    fn announced(&mut self, now: Instant) {
        self.next_burst.get_or_insert(now);
        self.next_echo = Some(now + ECHO);
        self.next_round.get_or_insert(now + LAN_PERIOD);
    }
}

fn beacons(
    id: &LegacyId,
    ports: LocalPorts,
    joined: &Joined,
    interface: &LanInterface,
    out: &mut std::collections::VecDeque<Transmit>,
) {
    let via = Via::Lan { interface: interface.index };
    let mut push = |ip: Option<Ipv4Addr>, port: u16, topic_hash: &str, to: SocketAddr| {
        let mut bytes = Vec::with_capacity(96);
        Beacon { id: *id, ip, port, topic_hash }.encode(&mut bytes);
        out.push_back(Transmit::new(via, to, bytes));
    };
    if let (Some(ip), Some(port)) = (interface.v4.first(), ports.v4) {
        let group = SocketAddrV4::new(LAN_GROUP_V4, LAN_PORT).into();
        push(Some(*ip), port, &joined.short, group);
        push(Some(*ip), port, &joined.long, group);
    }
    if let (true, Some(port)) = (interface.v6, ports.v6) {
        let group = SocketAddrV6::new(LAN_GROUP_V6, LAN_PORT, 0, interface.index).into();
        push(None, port, &joined.short, group);
    }
}
