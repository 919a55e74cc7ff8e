//! The LAN source: multicast beacons that say who joined which topic, and where.
//!
//! Each topic is announced on every interface at once when it is joined or the interface
//! appears, again soon after (multicast is lossy), then about every five seconds. Two kinds of
//! beacon share this schedule: sealed ones, which only those who know the topic understand, for every topic
//! (`sealed`), and the text of the old peers, for public topics while `legacy` is on
//! (`legacy`). In: topics, interfaces, time, beacons heard. Out: beacons, and hints to dial the address a
//! beacon came from with the port in it. A beacon is made when it leaves, so what waits is
//! topic and interface only, and what was left or went away is never announced.

mod legacy;
mod sealed;
#[cfg(test)]
mod tests;

use crate::config::limits::{LAN_GROUP_V4, LAN_GROUP_V6, LAN_INTERFACES, LAN_PERIOD, LAN_PORT, TOPICS_MAX};
use crate::crypto::identity::Identity;
use crate::crypto::topic::TopicKey;
use crate::discovery::Hint;
use crate::node::api::{LanInterface, LocalPorts, Now, Topic, Transmit, Via};
use crate::timers::earlier;
use crate::wire::{self, DecodeError, Frame, v13};
use legacy::Legacy;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use sealed::Sealed;
use std::collections::VecDeque;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::{Duration, Instant};

/// The second beacon after a change follows the first by this.
const ECHO: Duration = Duration::from_millis(400);
/// Beacons sent in one go; the rest follow after `BURST_GAP`, so that many topics do not flood a network.
const BURST: usize = 64;
const BURST_GAP: Duration = Duration::from_millis(20);

/// Tells joined topics apart, public and private ones of the same bytes too.
type Name = [u8; 32];

/// Beacons of one swarm.
pub struct Lan {
    sealed: Sealed,
    /// None: `legacy` is off, no beacon of the old kind leaves or is heard.
    legacy: Option<Legacy>,
    interfaces: Vec<LanInterface>,
    topics: Vec<Name>,
    /// Topics that are to be announced, each with the index of an interface.
    waiting: VecDeque<(Name, u32)>,
    next_burst: Option<Instant>,
    next_echo: Option<Instant>,
    next_round: Option<Instant>,
}

impl Lan {
    /// `instance`: when the swarm was made, microseconds since 1970; `legacy`: also speak to old peers.
    pub fn new(identity: &Identity, ports: LocalPorts, instance: u64, legacy: bool) -> Lan {
        Lan {
            sealed: Sealed::new(identity.key(), ports, instance),
            legacy: legacy.then(|| Legacy::new(*identity.v12().id(), ports)),
            interfaces: Vec::new(),
            topics: Vec::new(),
            waiting: VecDeque::new(),
            next_burst: None,
            next_echo: None,
            next_round: None,
        }
    }

    /// A topic was joined: it is announced at once. `public`: its bytes, unless it is private; those of a private
    /// topic are not wanted here, so that they cannot get out.
    pub fn join(&mut self, now: Now, key: &TopicKey, public: Option<&Topic>) {
        let name = key.mesh();
        if self.topics.len() >= TOPICS_MAX || self.topics.contains(&name) {
            return;
        }
        self.topics.push(name);
        self.sealed.join(name, key);
        if let (Some(legacy), Some(topic)) = (&mut self.legacy, public) {
            legacy.join(name, topic);
        }
        self.waiting.extend(self.interfaces.iter().map(|interface| (name, interface.index)));
        self.announced(now.mono);
    }

    /// A topic was left: it is not announced any more.
    pub fn leave(&mut self, key: &TopicKey) {
        let name = key.mesh();
        self.topics.retain(|joined| *joined != name);
        self.waiting.retain(|(waiting, _)| *waiting != name);
        self.sealed.leave(&name);
        if let Some(legacy) = &mut self.legacy {
            legacy.leave(&name);
        }
        if self.topics.is_empty() {
            (self.next_burst, self.next_echo, self.next_round) = (None, None, None);
        }
    }

    /// The interfaces as they are now: all topics are announced on new ones at once.
    pub fn set_interfaces(&mut self, now: Now, interfaces: &[LanInterface]) {
        let before = std::mem::take(&mut self.interfaces);
        self.interfaces = interfaces.iter().take(LAN_INTERFACES).cloned().collect();
        for interface in self.interfaces.iter().filter(|interface| !before.contains(interface)) {
            self.waiting.extend(self.topics.iter().map(|name| (*name, interface.index)));
        }
        if !self.waiting.is_empty() {
            self.announced(now.mono);
        }
    }

    /// What a datagram of the group says to us, if anything.
    pub fn handle_datagram(&mut self, now: Now, from: SocketAddr, bytes: &[u8]) -> Result<Option<Hint>, DecodeError> {
        if bytes.first() == Some(&v13::kind::BEACON) {
            let v13::Datagram::Beacon(beacon) = v13::Datagram::decode(bytes)? else { return Ok(None) };
            return Ok(self.sealed.hear(now.unix_us, from, &beacon));
        }
        match Frame::decode(bytes)? {
            Frame::Beacon(beacon) => Ok(self.legacy.as_ref().and_then(|legacy| legacy.hear(from, &beacon))),
            _ => Err(DecodeError::new("datagram", "type", wire::Problem::Mismatch)),
        }
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        earlier(self.next_burst, earlier(self.next_echo, self.next_round))
    }

    /// Beacons to send now.
    pub fn handle_timeout(&mut self, now: Now, rng: &mut ChaCha20Rng) -> Vec<Transmit> {
        let round_due = self.next_round.is_some_and(|at| at <= now.mono);
        if round_due || self.next_echo.is_some_and(|at| at <= now.mono) {
            self.next_echo = None;
            self.waiting.clear();
            for interface in &self.interfaces {
                self.waiting.extend(self.topics.iter().map(|name| (*name, interface.index)));
            }
            self.next_burst = Some(now.mono);
        }
        if round_due {
            // Up to a tenth earlier or later, so that peers started together spread.
            let tenth = LAN_PERIOD.as_millis() as u64 / 10;
            let jitter = u64::from(rng.next_u32()) % (2 * tenth + 1);
            let jitter = Duration::from_millis(jitter);
            self.next_round = Some(now.mono + LAN_PERIOD - Duration::from_millis(tenth) + jitter);
        }
        let mut burst = Vec::new();
        if self.next_burst.is_none_or(|at| at > now.mono) {
            return burst;
        }
        while burst.len() < BURST {
            let Some((name, index)) = self.waiting.pop_front() else { break };
            if let Some(interface) = self.interfaces.iter().find(|interface| interface.index == index) {
                if let Some(legacy) = &self.legacy {
                    legacy.announce(&name, interface, &mut burst);
                }
                self.sealed.announce(&name, interface, now.unix_us, rng, &mut burst);
            }
        }
        self.next_burst = (!self.waiting.is_empty()).then_some(now.mono + BURST_GAP);
        burst
    }

    fn announced(&mut self, now: Instant) {
        self.next_burst.get_or_insert(now);
        self.next_echo = Some(now + ECHO);
        self.next_round.get_or_insert(now + LAN_PERIOD);
    }
}

/// A beacon to the IPv4 group.
fn to_v4(interface: &LanInterface, bytes: Vec<u8>) -> Transmit {
    let group = SocketAddrV4::new(LAN_GROUP_V4, LAN_PORT);
    Transmit::new(Via::Lan { interface: interface.index }, group.into(), bytes)
}

/// A beacon to the IPv6 group.
fn to_v6(interface: &LanInterface, bytes: Vec<u8>) -> Transmit {
    let group = SocketAddrV6::new(LAN_GROUP_V6, LAN_PORT, 0, interface.index);
    Transmit::new(Via::Lan { interface: interface.index }, group.into(), bytes)
}
