//! The old peer itself: handshake, dispatch, heartbeat, end.
//!
//! Inputs: datagrams, timers, calls of its application. Outputs: datagrams and
//! what its application was told. Times inside are milliseconds of the clock that
//! the real peer reads, which for two families is the wall clock.

use super::crypt::{Session, hex, is_lower};
use super::peer::Peer;
use super::quirks::{Goaway, LowOrder, Quirks};
use crate::clock::Time;
use crate::io::{Io, Out};
use crate::network::Place;
use crate::rng::Rng;
use setowire::crypto::identity::{V12Keys, WireId};
use setowire::node::Via;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

pub const MAX_PEERS: usize = 100;
const PEER_TIMEOUT_MS: f64 = 60_000.0;

/// Something that happens later.
#[derive(Clone, Debug)]
pub(super) enum Timer {
    Heartbeat,
    Beacon,
    Pex,
    Flush,
    Drain(WireId, u64),
    Jitter(WireId, u64, u32),
    FragmentsExpire(WireId, u64, [u8; 8]),
    Hello(SocketAddr),
    DialEnd(String),
    Exit,
}

/// What its application was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub at: Time,
    pub from: WireId,
    pub data: Vec<u8>,
}

/// What a model is made from.
pub struct Setup<'a> {
    pub quirks: &'static Quirks,
    pub seed: [u8; 32],
    pub topic: [u8; 32],
    pub place: &'a Place,
    pub chance: u64,
}

/// An old peer.
pub struct Model {
    pub quirks: &'static Quirks,
    pub(super) keys: V12Keys,
    pub(super) peers: BTreeMap<WireId, Peer>,
    pub(super) by_address: BTreeMap<SocketAddr, WireId>,
    pub(super) dialing: BTreeSet<String>,
    timers: BTreeMap<(Time, u64), Timer>,
    counter: u64,
    pub(super) batch: Vec<(SocketAddr, Vec<Vec<u8>>)>,
    /// Content hashes, with the time of the last sight.
    pub(super) seen: BTreeMap<u64, Time>,
    pub(super) gossiped: BTreeMap<WireId, Time>,
    pub(super) heard: Vec<[u8; 8]>,
    pub(super) topic_hash: String,
    pub(super) local_ip: String,
    pub(super) port: u16,
    pub(super) interface: Option<u32>,
    pub(super) mesh_degree: usize,
    last_adapt: f64,
    heartbeats: u64,
    pub(super) rng: Rng,
    ending: bool,
    /// Keys it offers, for HAVE.
    pub values: BTreeMap<String, Vec<u8>>,
    /// Why the process died, if it did.
    pub crashed: Option<String>,
    pub delivered: Vec<Delivered>,
    pub connections: Vec<(Time, WireId)>,
    pub disconnections: Vec<(Time, WireId)>,
    /// Messages its own limiter threw away.
    pub limited: usize,
}

impl Model {
    pub fn new(setup: Setup<'_>, now: Time) -> Model {
        let quirks = setup.quirks;
        let interface = setup.place.interfaces.iter().find(|i| i.v4.is_some());
        let routed = interface.and_then(|i| i.v4).map(|ip| ip.to_string());
        let local_ip = match quirks.routeless_ip {
            Some(text) if !setup.place.default_route => text.to_owned(),
            _ => routed.unwrap_or_else(|| "127.0.0.1".to_owned()),
        };
        let mut model = Model {
            quirks,
            keys: V12Keys::from_seed(&setup.seed),
            peers: BTreeMap::new(),
            by_address: BTreeMap::new(),
            dialing: BTreeSet::new(),
            timers: BTreeMap::new(),
            counter: 0,
            batch: Vec::new(),
            seen: BTreeMap::new(),
            gossiped: BTreeMap::new(),
            heard: Vec::new(),
            topic_hash: super::crypt::beacon_hash(&setup.topic, quirks.topic_digits),
            local_ip,
            port: setup.place.ports.v4.expect("old peers need IPv4"),
            interface: interface.map(|i| i.index),
            mesh_degree: 6,
            last_adapt: 0.0,
            heartbeats: 0,
            rng: Rng::new(setup.chance),
            ending: false,
            values: BTreeMap::new(),
            crashed: None,
            delivered: Vec::new(),
            connections: Vec::new(),
            disconnections: Vec::new(),
            limited: 0,
        };
        model.at(now + Duration::from_secs(1), Timer::Heartbeat);
        if !quirks.rust {
            let first = if quirks.beacon_at_once { Duration::ZERO } else { Duration::from_secs(5) };
            model.at(now + first, Timer::Beacon);
            model.at(now + Duration::from_secs(if quirks.cpp { 1 } else { 60 }), Timer::Pex);
        }
        model
    }

    pub fn wire_id(&self) -> WireId {
        self.keys.wire_id()
    }

    pub fn peer_ids(&self) -> Vec<WireId> {
        self.peers.keys().copied().collect()
    }

    pub fn is_connected(&self, id: &WireId) -> bool {
        self.peers.contains_key(id)
    }

    /// Payloads that came from this peer, in order.
    pub fn received_from(&self, id: &WireId) -> Vec<&[u8]> {
        self.delivered.iter().filter(|d| d.from == *id).map(|d| &d.data[..]).collect()
    }

    pub fn deadline(&self) -> Option<Time> {
        self.timers.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn at(&mut self, at: Time, timer: Timer) {
        self.counter += 1;
        self.timers.insert((at, self.counter), timer);
    }

    /// Milliseconds of the clock this family reads.
    pub(super) fn ms(&self, io: &Io) -> f64 {
        if self.quirks.wall_clock { io.unix_us as f64 / 1_000.0 } else { io.now.as_secs_f64() * 1_000.0 }
    }

    pub(super) fn crash(&mut self, io: &mut Io, why: &str) {
        self.crashed = Some(why.to_owned());
        self.timers.clear();
        io.out.push(Out::Exit);
    }

    pub fn timeout(&mut self, io: &mut Io) {
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= io.now) {
            let timer = entry.remove();
            self.fire(io, timer);
        }
    }

    fn fire(&mut self, io: &mut Io, timer: Timer) {
        match timer {
            Timer::Heartbeat => self.heartbeat(io),
            Timer::Beacon => self.send_beacon(io),
            Timer::Pex => self.send_pex_to_all(io),
            Timer::Flush => self.flush_batch(io),
            Timer::Drain(id, generation) => {
                if let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.generation == generation) {
                    peer.draining = false;
                    self.drain(io, &id);
                }
            }
            Timer::Jitter(id, generation, sequence) => {
                if let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.generation == generation) {
                    let ready = peer.jitter.force(sequence);
                    self.deliver_all(io, id, ready);
                }
            }
            Timer::FragmentsExpire(id, generation, set) => {
                if let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.generation == generation) {
                    peer.sets.remove(&set);
                }
            }
            Timer::Hello(to) => {
                let hello = self.hello(0xa1);
                io.send(to, hello);
            }
            Timer::DialEnd(key) => {
                self.dialing.remove(&key);
            }
            Timer::Exit => {
                self.timers.clear();
                self.peers.clear();
                self.by_address.clear();
                io.out.push(Out::Exit);
            }
        }
    }

    pub fn datagram(&mut self, io: &mut Io, via: Via, from: SocketAddr, bytes: &[u8]) {
        if self.crashed.is_some() {
            return;
        }
        let bytes = &bytes[..bytes.len().min(self.quirks.max_read)];
        if via != Via::Main {
            if !self.quirks.rust && bytes.first() == Some(&0x09) {
                self.on_beacon(io, from, &bytes[1..]);
            }
            return;
        }
        if self.quirks.cpp {
            let now = self.ms(io);
            if let Some(peer) = self.by_address.get(&from).and_then(|id| self.peers.get_mut(id)) {
                peer.seen = now;
            }
        }
        self.frame(io, from, bytes);
    }

    pub(super) fn frame(&mut self, io: &mut Io, from: SocketAddr, frame: &[u8]) {
        if frame.len() < self.quirks.min_len || self.crashed.is_some() {
            return;
        }
        let Some(kind) = frame.first() else { return };
        match (kind, self.quirks.rust) {
            (0xa1 | 0xa2, _) => self.on_hello(io, from, frame),
            (0x01, _) => self.on_data(io, from, &frame[1..]),
            (0x03, _) => self.on_ping(io, from, frame),
            (0x04, _) => self.on_pong(io, from, frame),
            (0x0a, _) => self.on_goaway(io, from, frame),
            (0x30, _) => self.on_pex(io, frame),
            (0x09, _) if self.quirks.rust || self.quirks.cpp => self.on_beacon(io, from, &frame[1..]),
            (0x0b, false) => self.on_fragment(io, from, frame),
            (0x11, false) => self.on_want(io, from, frame),
            (0x13, false) => self.on_batch(io, from, frame),
            // Known, and of no effect here: IHAVE, HAVE, CHUNK, CHUNK_ACK, RELAY_*.
            _ => {}
        }
    }

    fn on_batch(&mut self, io: &mut Io, from: SocketAddr, frame: &[u8]) {
        let Some((count, mut rest)) = frame.get(1..).and_then(|f| f.split_first()) else { return };
        for _ in 0..*count {
            let Some((len, tail)) = rest.split_first_chunk::<2>() else { return };
            let len = usize::from(u16::from_be_bytes(*len));
            let Some((inner, tail)) = tail.split_at_checked(len) else { return };
            self.frame(io, from, inner);
            rest = tail;
        }
    }

    pub(super) fn hello(&self, kind: u8) -> Vec<u8> {
        [&[kind][..], &self.wire_id(), self.keys.public()].concat()
    }

    fn on_hello(&mut self, io: &mut Io, from: SocketAddr, frame: &[u8]) {
        if frame.len() < 41 || (self.quirks.rust && frame.len() != 41) {
            return;
        }
        let id: WireId = frame[1..9].try_into().expect("8 bytes");
        let key: [u8; 32] = frame[9..41].try_into().expect("32 bytes");
        if self.quirks.knows_itself && id == self.wire_id() {
            return;
        }
        let full = self.peers.len() >= MAX_PEERS;
        if self.quirks.rust && full {
            return;
        }
        if frame[0] == 0xa1 {
            let answer = self.hello(0xa2);
            io.send(from, answer);
        }
        let known = self.peers.contains_key(&id);
        if known && !self.quirks.rust {
            self.touch(io, &id, from, None);
            return;
        }
        if full {
            return;
        }
        let Some(session) = self.agree(io, &id, &key) else { return };
        let now = self.ms(io);
        if let Some(peer) = self.peers.get_mut(&id) {
            // Rust: a new session, and the key of the newest HELLO, for the old entry.
            peer.session = session;
            peer.key = key;
            peer.seen = now;
            self.by_address.insert(from, id);
            return;
        }
        self.counter += 1;
        let mut peer = Peer::new(key, session, from, now, self.counter);
        peer.in_mesh = self.peers.values().filter(|p| p.in_mesh).count() < self.mesh_degree;
        self.peers.insert(id, peer);
        self.by_address.insert(from, id);
        self.dialing.remove(&hex(&id));
        self.connections.push((io.now, id));
        self.introduce(io, id, from);
    }

    fn agree(&mut self, io: &mut Io, id: &WireId, key: &[u8; 32]) -> Option<Session> {
        let lower = is_lower(self.quirks.breaks_ties, &self.keys, id, key);
        match (Session::new(&self.keys, key, lower), self.quirks.low_order) {
            (Some(session), _) => Some(session),
            (None, LowOrder::Accept) => Some(Session::of_zeros(lower)),
            (None, LowOrder::Ignore) => None,
            (None, LowOrder::Crash) => {
                self.crash(io, "a key of low order");
                None
            }
        }
    }

    pub(super) fn touch(&mut self, io: &Io, id: &WireId, from: SocketAddr, rtt: Option<f64>) {
        let now = self.ms(io);
        let Some(peer) = self.peers.get_mut(id) else { return };
        if let Some(gone) = peer.touch(self.quirks, now, from, rtt) {
            self.by_address.remove(&gone);
        }
        self.by_address.insert(from, *id);
    }

    /// The peer of an address, or else the one that the frame names at this place.
    fn peer_of(&self, from: SocketAddr, frame: &[u8], id_at: usize) -> Option<WireId> {
        if let Some(id) = self.by_address.get(&from) {
            return self.peers.contains_key(id).then_some(*id);
        }
        let id: WireId = frame.get(id_at..id_at + 8)?.try_into().ok()?;
        (self.quirks.ping_binds && self.peers.contains_key(&id)).then_some(id)
    }

    fn on_ping(&mut self, io: &mut Io, from: SocketAddr, frame: &[u8]) {
        let named = if frame.len() >= 17 { 9 } else { frame.len() };
        let peer = self.peer_of(from, frame, named);
        if let Some(id) = peer {
            self.touch(io, &id, from, None);
        }
        match (self.quirks.cpp, peer) {
            (true, None) => {}
            (true, Some(_)) if frame.len() < 9 => {}
            (true, Some(_)) => io.send(from, [&[0x04], &frame[1..]].concat()),
            (false, _) => io.send(from, [&[0x04][..], self.keys.id()].concat()),
        }
    }

    fn on_pong(&mut self, io: &mut Io, from: SocketAddr, frame: &[u8]) {
        let Some(id) = self.peer_of(from, frame, 1) else { return };
        let now = self.ms(io);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let sample = if self.quirks.cpp {
            // Any 8 bytes are taken for the time of a PING of ours.
            let sent = frame.get(1..9).map(|b| u64::from_be_bytes(b.try_into().expect("8 bytes")));
            sent.map(|sent| now - sent as f64).filter(|rtt| *rtt > 0.0 && *rtt < 10_000.0)
        } else {
            Some(if peer.last_ping > 0.0 { now - peer.last_ping } else { peer.rtt })
        };
        if let Some(sample) = sample {
            peer.rtt += 0.125 * (sample - peer.rtt);
        }
        peer.acknowledge();
        self.touch(io, &id, from, sample);
        self.drain(io, &id);
    }

    fn on_goaway(&mut self, io: &mut Io, from: SocketAddr, frame: &[u8]) {
        let Some(id) = self.by_address.get(&from).copied() else { return };
        match self.quirks.goaway {
            Goaway::Crash => self.crash(io, "GOAWAY: use after free"),
            Goaway::TwoBytes if frame.len() < 2 => {}
            Goaway::TwoBytes | Goaway::Any => self.drop_peer(io, &id),
        }
    }

    pub(super) fn drop_peer(&mut self, io: &Io, id: &WireId) {
        if self.peers.remove(id).is_some() {
            self.by_address.retain(|_, owner| owner != id);
            self.dialing.remove(&hex(id));
            self.disconnections.push((io.now, *id));
        }
    }

    fn heartbeat(&mut self, io: &mut Io) {
        self.at(io.now + Duration::from_secs(1), Timer::Heartbeat);
        let now = self.ms(io);
        self.heartbeats += 1;
        if !self.quirks.rust || self.heartbeats.is_multiple_of(10) {
            let dead = |peer: &Peer| now - peer.seen > PEER_TIMEOUT_MS;
            let gone: Vec<WireId> = self.peers.iter().filter(|(_, p)| dead(p)).map(|(id, _)| *id).collect();
            gone.iter().for_each(|id| self.drop_peer(io, id));
        }
        for peer in self.peers.values_mut() {
            if now - peer.last_answer > 5_000.0 && !peer.loss_told {
                peer.loss_told = true;
                peer.signal_loss(now);
            }
        }
        if !self.quirks.rust {
            self.maintain_mesh(now);
            self.send_ihave(io);
        }
        let ping = [&[0x03][..], &(now as u64).to_be_bytes(), self.keys.id()].concat();
        for peer in self.peers.values_mut() {
            peer.last_ping = now;
            io.send(peer.best, ping.clone());
        }
    }

    fn maintain_mesh(&mut self, now: f64) {
        let mut mesh: Vec<(i32, WireId)> = Vec::new();
        let mut others: Vec<(i32, WireId)> = Vec::new();
        for (id, peer) in &self.peers {
            if peer.in_mesh { &mut mesh } else { &mut others }.push((peer.score, *id));
        }
        mesh.sort();
        others.sort_by(|a, b| b.cmp(a));
        let surplus = if mesh.len() > 16 { mesh.len() - self.mesh_degree } else { 0 };
        let missing = if mesh.len() < 4 { self.mesh_degree - mesh.len() } else { 0 };
        for (_, id) in mesh.iter().take(surplus) {
            self.peers.entry(*id).and_modify(|peer| peer.in_mesh = false);
        }
        for (_, id) in others.iter().take(missing) {
            self.peers.entry(*id).and_modify(|peer| peer.in_mesh = true);
        }
        if now - self.last_adapt < 5_000.0 || self.peers.is_empty() {
            return;
        }
        self.last_adapt = now;
        let mean = self.peers.values().map(|peer| peer.rtt).sum::<f64>() / self.peers.len() as f64;
        if mean > 200.0 && self.mesh_degree > 4 {
            self.mesh_degree -= 1;
        } else if mean < 50.0 && self.mesh_degree < 16 && self.peers.len() > self.mesh_degree + 2 {
            self.mesh_degree += 1;
        }
        let busy = self.peers.values_mut().filter(|peer| !peer.in_mesh && peer.bandwidth > 50_000.0);
        busy.take(2).for_each(|peer| peer.in_mesh = true);
    }

    /// The application ends it.
    pub fn destroy(&mut self, io: &mut Io) {
        if self.ending {
            return;
        }
        self.ending = true;
        self.timers
            .retain(|_, timer| matches!(timer, Timer::Flush | Timer::Drain(..) | Timer::Jitter(..) | Timer::Hello(..)));
        let wait = if self.quirks.says_goodbye {
            self.peers.values().for_each(|peer| io.send(peer.best, vec![0x0a]));
            Duration::from_secs(2)
        } else {
            Duration::ZERO
        };
        self.at(io.now + wait, Timer::Exit);
        self.timeout(io);
    }
}
