//! Sealed beacons: an announcement that only those who know the topic can find and open.
//!
//! The tags of yesterday, today and tomorrow of every joined topic are kept, so a clock may be
//! wrong by a day and a beacon of other topics costs one look-up. What opens names a key and a port, and is a
//! hint, never a proof: anybody who knows the topic can announce anybody. Each beacon has a nonce
//! of its own; one that was heard before is not heard again, wherever it comes from.
//! Nonces of beacons that do not open are not remembered, so outsiders cannot make us forget.
//! One whose ports are both 0 announces nobody: its sender asks who is there.

use super::{Name, to_v4, to_v6};
use crate::config::limits::LAN_NONCES;
use crate::crypto::announce::{self, Announcement};
use crate::crypto::topic::TopicKey;
use crate::discovery::Hint;
use crate::node::api::{LanInterface, LocalPorts, Source, Transmit};
use crate::path::is_dialable;
use crate::wire::v13::Beacon;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

type Tag = [u8; 16];
type Nonce = [u8; 12];

/// What a beacon that opened says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Announced(Hint),
    /// A swarm with this key asks who is there on this topic.
    Asked(Name, [u8; 32]),
}

pub(super) struct Sealed {
    own: Announcement,
    keys: BTreeMap<Name, TopicKey>,
    /// The day in the middle of `tags`; none before the first beacon is heard.
    today: Option<u32>,
    /// The topic of each tag, and its day.
    tags: BTreeMap<Tag, (Name, u32)>,
    heard: Nonces,
}

impl Sealed {
    pub(super) fn new(key: [u8; 32], ports: LocalPorts, instance: u64) -> Sealed {
        let (v4, v6) = (ports.v4.unwrap_or(0), ports.v6.unwrap_or(0));
        Sealed {
            own: Announcement { key, v4, v6, instance },
            keys: BTreeMap::new(),
            today: None,
            tags: BTreeMap::new(),
            heard: Nonces::default(),
        }
    }

    pub(super) fn join(&mut self, name: Name, key: &TopicKey) {
        self.keys.insert(name, key.clone());
        if let Some(today) = self.today {
            self.tags.extend(tags(&name, key, today));
        }
    }

    pub(super) fn leave(&mut self, name: &Name) {
        self.keys.remove(name);
        self.tags.retain(|_, (joined, _)| joined != name);
    }

    /// The beacons of a topic on an interface: one for each family that it and we have. `ask`: they ask who is there.
    pub(super) fn announce(
        &self,
        name: &Name,
        ask: bool,
        interface: &LanInterface,
        unix_us: u64,
        rng: &mut ChaCha20Rng,
        out: &mut Vec<Transmit>,
    ) {
        let Some(key) = self.keys.get(name) else { return };
        let today = announce::day(unix_us);
        let tag = announce::tag(key, today);
        let said = if ask { Announcement { v4: 0, v6: 0, ..self.own } } else { self.own };
        let mut push = |send: fn(&LanInterface, Vec<u8>) -> Transmit| {
            let mut nonce = [0; 12];
            rng.fill_bytes(&mut nonce);
            if let Some(sealed) = announce::seal(key, today, nonce, &said) {
                out.push(send(interface, Beacon { tag, nonce, sealed: &sealed }.encode().to_vec()));
            }
        };
        if !interface.v4.is_empty() && self.own.v4 != 0 {
            push(to_v4);
        }
        if interface.v6 && self.own.v6 != 0 {
            push(to_v6);
        }
    }

    pub(super) fn hear(&mut self, unix_us: u64, from: SocketAddr, beacon: &Beacon<'_>) -> Option<Heard> {
        self.follow(announce::day(unix_us));
        let (name, day) = self.tags.get(&beacon.tag)?;
        if self.heard.contains(&beacon.nonce) {
            return None;
        }
        let said = announce::open(self.keys.get(name)?, *day, beacon.nonce, beacon.sealed)?;
        if said.key == self.own.key {
            return None;
        }
        let name = *name;
        self.heard.remember(beacon.nonce);
        if said.v4 == 0 && said.v6 == 0 {
            return Some(Heard::Asked(name, said.key));
        }
        let mut addr = from;
        addr.set_port(if from.is_ipv4() { said.v4 } else { said.v6 });
        let hint = Hint { addr, id: None, key: Some(said.key), source: Source::Lan, topic: Some(name) };
        is_dialable(&addr).then_some(Heard::Announced(hint))
    }

    /// Makes `tags` those of the days around this one.
    fn follow(&mut self, today: u32) {
        if self.today != Some(today) {
            self.today = Some(today);
            self.tags = self.keys.iter().flat_map(|(name, key)| tags(name, key, today)).collect();
        }
    }
}

/// What a topic is known by yesterday, today and tomorrow.
fn tags(name: &Name, key: &TopicKey, today: u32) -> [(Tag, (Name, u32)); 3] {
    [today.saturating_sub(1), today, today.saturating_add(1)].map(|day| (announce::tag(key, day), (*name, day)))
}

/// The nonces of the last beacons that opened.
#[derive(Default)]
struct Nonces {
    set: BTreeSet<Nonce>,
    order: VecDeque<Nonce>,
}

impl Nonces {
    fn contains(&self, nonce: &Nonce) -> bool {
        self.set.contains(nonce)
    }

    fn remember(&mut self, nonce: Nonce) {
        if self.order.len() >= LAN_NONCES
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        self.set.insert(nonce);
        self.order.push_back(nonce);
    }
}
