//! The LAN source: multicast beacons that say who joined which topic, and where.
//!
//! Each topic is announced on every interface at once when it is joined or the interface
//! appears, again soon after (multicast is lossy), then about every five seconds. Two kinds of
//! beacon share this schedule: sealed ones, which only those who know the topic understand, for every topic
//! (`sealed`), and the text of the old peers, for public topics while `legacy` is on
//! (`legacy`). Who only looks for others announces nothing: it asks, and those who are announced answer at once.
//! In: topics, interfaces, time, beacons heard. Out: beacons, and hints to dial the address a
//! beacon came from with the port in it. A beacon is made when it leaves, so what waits is
//! topic and interface only, and what was left or went away is never announced.

mod legacy;
mod sealed;
#[cfg(test)]
mod tests;

use crate::config::limits::{
    LAN_ANNOUNCERS, LAN_ANSWER_PERIOD, LAN_GROUP_V4, LAN_GROUP_V6, LAN_INTERFACES, LAN_PERIOD, LAN_PORT, LAN_ROUND,
    LAN_TOPICS,
};
use crate::crypto::identity::Identity;
use crate::crypto::topic::TopicKey;
use crate::discovery::Hint;
use crate::node::api::{LanInterface, LocalPorts, Now, Topic, Transmit, Via};
use crate::timers::earlier;
use crate::wire::{self, DecodeError, Frame, v13};
use legacy::Legacy;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use sealed::{Heard, Sealed};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
    /// All topics that are listened for.
    topics: Vec<Name>,
    /// Of these, those that are announced.
    announced: BTreeSet<Name>,
    /// Those whose announcers are dialled.
    seeking: BTreeSet<Name>,
    /// Those that others look for us under, announced only when they ask.
    answering: BTreeSet<Name>,
    /// Those whose question is repeated with the echo.
    asking: BTreeSet<Name>,
    /// Beacons that are to leave, each with the index of an interface; `true`: it asks.
    waiting: VecDeque<(Name, u32, bool)>,
    /// When an answer to somebody who asked left last, and when the next one may.
    answered: BTreeMap<Name, Instant>,
    owed: BTreeMap<Name, Instant>,
    /// Who announced himself lately: where he is dialled, he needs no answer.
    announcers: VecDeque<(Name, [u8; 32], Instant)>,
    /// The swarm is suspended: nothing leaves, and nobody is heard.
    suspended: bool,
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
            announced: BTreeSet::new(),
            seeking: BTreeSet::new(),
            answering: BTreeSet::new(),
            asking: BTreeSet::new(),
            waiting: VecDeque::new(),
            answered: BTreeMap::new(),
            owed: BTreeMap::new(),
            announcers: VecDeque::new(),
            suspended: false,
            next_burst: None,
            next_echo: None,
            next_round: None,
        }
    }

    /// A topic is listened for. `public`: its bytes, unless it is private; those of a private topic are not wanted
    /// here, so that they cannot get out.
    pub fn listen(&mut self, key: &TopicKey, public: Option<&Topic>) {
        let name = key.mesh();
        if self.topics.len() >= LAN_TOPICS || self.topics.contains(&name) {
            return;
        }
        self.topics.push(name);
        self.sealed.join(name, key);
        if let (Some(legacy), Some(topic)) = (&mut self.legacy, public) {
            legacy.join(name, topic);
        }
    }

    /// A topic that is listened for is announced from now on, at once to begin with, or not any more.
    pub fn announce(&mut self, now: Now, name: &Name, on: bool) {
        if !on {
            self.unannounce(name);
        } else if self.topics.contains(name) {
            self.announced.insert(*name);
            self.put(*name, false);
            self.begun(now.mono);
        }
    }

    /// A topic is announced no more.
    pub fn unannounce(&mut self, name: &Name) {
        self.announced.remove(name);
        self.waiting.retain(|(waiting, _, ask)| waiting != name || *ask);
        self.rest();
    }

    /// Who announces himself under this name is dialled, or is not any more.
    pub fn seek(&mut self, name: &Name, on: bool) {
        if !on {
            self.seeking.remove(name);
        } else if self.topics.contains(name) {
            self.seeking.insert(*name);
        }
    }

    /// Others may look for us under this name, which is announced only when they ask.
    pub fn answer(&mut self, name: &Name) {
        self.answering.insert(*name);
    }

    /// Asks who is there on a topic that is listened for. False: there is nobody to ask.
    pub fn ask(&mut self, now: Now, name: &Name) -> bool {
        if self.topics.contains(name) {
            self.asking.insert(*name);
            self.put(*name, true);
            self.begun(now.mono);
        }
        self.works()
    }

    /// There is a network to speak on.
    pub fn works(&self) -> bool {
        !self.interfaces.is_empty() && !self.suspended
    }

    /// Nothing is announced, asked or answered until this ends; then every topic has to be announced anew.
    pub fn set_suspended(&mut self, on: bool) {
        self.suspended = on;
        self.announced.clear();
        self.asking.clear();
        self.waiting.clear();
        self.answered.clear();
        self.owed.clear();
        self.rest();
    }

    /// A topic was left: it is neither listened for nor announced any more.
    pub fn leave(&mut self, key: &TopicKey) {
        let name = key.mesh();
        self.topics.retain(|joined| *joined != name);
        for set in [&mut self.announced, &mut self.seeking, &mut self.answering, &mut self.asking] {
            set.remove(&name);
        }
        self.answered.remove(&name);
        self.owed.remove(&name);
        self.waiting.retain(|(waiting, _, _)| *waiting != name);
        self.sealed.leave(&name);
        if let Some(legacy) = &mut self.legacy {
            legacy.leave(&name);
        }
        self.rest();
    }

    /// Without anything to announce or to ask no timer runs.
    fn rest(&mut self) {
        if self.announced.is_empty() {
            self.next_round = None;
        }
        if self.announced.is_empty() && self.asking.is_empty() {
            self.next_echo = None;
        }
        if self.waiting.is_empty() {
            self.next_burst = None;
        }
    }

    /// The interfaces as they are now: all topics are announced on new ones at once.
    pub fn set_interfaces(&mut self, now: Now, interfaces: &[LanInterface]) {
        let before = std::mem::take(&mut self.interfaces);
        self.interfaces = interfaces.iter().take(LAN_INTERFACES).cloned().collect();
        for interface in self.interfaces.iter().filter(|interface| !before.contains(interface)) {
            self.waiting.extend(self.announced.iter().map(|name| (*name, interface.index, false)));
            self.waiting.extend(self.asking.iter().map(|name| (*name, interface.index, true)));
        }
        if !self.waiting.is_empty() {
            self.begun(now.mono);
        }
    }

    /// What a datagram of the group says to us, if anything.
    pub fn handle_datagram(&mut self, now: Now, from: SocketAddr, bytes: &[u8]) -> Result<Option<Hint>, DecodeError> {
        if self.suspended {
            return Ok(None);
        }
        if bytes.first() == Some(&v13::kind::BEACON) {
            let v13::Datagram::Beacon(beacon) = v13::Datagram::decode(bytes)? else { return Ok(None) };
            return Ok(match self.sealed.hear(now.unix_us, from, &beacon) {
                Some(Heard::Announced(hint)) => {
                    self.note(now.mono, &hint);
                    Some(hint)
                }
                Some(Heard::Asked(name, key)) => {
                    self.asked(now.mono, name, key);
                    None
                }
                None => None,
            });
        }
        match Frame::decode(bytes)? {
            Frame::Beacon(beacon) => Ok(self.legacy.as_ref().and_then(|legacy| legacy.hear(from, &beacon))),
            _ => Err(DecodeError::new("datagram", "type", wire::Problem::Mismatch)),
        }
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        let owed = self.owed.values().min().copied();
        earlier(owed, earlier(self.next_burst, earlier(self.next_echo, self.next_round)))
    }

    /// Beacons to send now.
    pub fn handle_timeout(&mut self, now: Now, rng: &mut ChaCha20Rng) -> Vec<Transmit> {
        let due: Vec<Name> = self.owed.iter().filter(|(_, at)| **at <= now.mono).map(|(name, _)| *name).collect();
        for name in due {
            self.owed.remove(&name);
            self.answered.insert(name, now.mono);
            self.put(name, false);
            self.next_burst.get_or_insert(now.mono);
        }
        let round_due = self.next_round.is_some_and(|at| at <= now.mono);
        if round_due || self.next_echo.is_some_and(|at| at <= now.mono) {
            self.next_echo = None;
            self.waiting.clear();
            let asking = std::mem::take(&mut self.asking);
            for interface in &self.interfaces {
                self.waiting.extend(self.announced.iter().map(|name| (*name, interface.index, false)));
                self.waiting.extend(asking.iter().map(|name| (*name, interface.index, true)));
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
            let Some((name, index, ask)) = self.waiting.pop_front() else { break };
            if let Some(interface) = self.interfaces.iter().find(|interface| interface.index == index) {
                if let Some(legacy) = self.legacy.as_ref().filter(|_| !ask) {
                    legacy.announce(&name, interface, &mut burst);
                }
                self.sealed.announce(&name, ask, interface, now.unix_us, rng, &mut burst);
            }
        }
        self.next_burst = (!self.waiting.is_empty()).then_some(now.mono + BURST_GAP);
        burst
    }

    /// Lets a beacon leave on every interface, once.
    fn put(&mut self, name: Name, ask: bool) {
        for interface in &self.interfaces {
            let beacon = (name, interface.index, ask);
            if !self.waiting.contains(&beacon) {
                self.waiting.push_back(beacon);
            }
        }
    }

    fn begun(&mut self, now: Instant) {
        self.next_burst.get_or_insert(now);
        self.next_echo = Some(now + ECHO);
        if !self.announced.is_empty() {
            self.next_round.get_or_insert(now + LAN_PERIOD);
        }
    }

    /// Somebody announced himself.
    fn note(&mut self, now: Instant, hint: &Hint) {
        let (Some(name), Some(key)) = (hint.topic, hint.key) else { return };
        if self.announcers.len() >= LAN_ANNOUNCERS {
            self.announcers.pop_front();
        }
        self.announcers.push_back((name, key, now));
    }

    /// Somebody asks who is there: one answer serves all who asked lately.
    fn asked(&mut self, now: Instant, name: Name, key: [u8; 32]) {
        let lately = |at: &Instant| now.saturating_duration_since(*at) < LAN_ROUND;
        let heard = self.announcers.iter().any(|(of, who, at)| *of == name && *who == key && lately(at));
        let dialled = heard && self.seeking.contains(&name);
        let answers = self.announced.contains(&name) && !dialled || self.answering.contains(&name);
        if answers && !self.owed.contains_key(&name) {
            let last = self.answered.get(&name).map(|at| *at + LAN_ANSWER_PERIOD);
            self.owed.insert(name, last.map_or(now, |at| at.max(now)));
        }
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
