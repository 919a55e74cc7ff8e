//! The world: programs at places, one queue of events, and what scenarios call.
//!
//! One thread, one clock. An event is a datagram that arrives, a program's timer
//! or the answer to a name look-up; the earliest is handled first, ties in the
//! order they were made. All chance comes from one seed, and every datagram is
//! mixed into a hash of (time, from, to, length, kind), so that two runs can be
//! compared.

use crate::check::Check;
use crate::clock::{Clock, Time, Wall};
use crate::io::{Io, Out};
use crate::link::Profile;
use crate::models::rogue::Rogue;
use crate::models::{Model, Quirks, Setup};
use crate::network::{Network, NodeId, Packet, Place, Sent};
use crate::ours::{Directory, Ours};
use crate::rng::Rng;
use setowire::Config;
use setowire::crypto::identity::{V12Keys, WireId};
use setowire::node::{Modes, Node, Now, Via};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// The topic of all programs unless a scenario says otherwise.
pub const TOPIC: [u8; 32] = [0x5e; 32];
/// Time that a name look-up takes.
const RESOLVE_TIME: Duration = Duration::from_millis(10);
/// Timer calls at one instant before it counts as a loop.
const WAKES_AT_ONCE: u32 = 2_000;

/// A program.
pub enum Actor {
    Ours(Box<Ours>),
    Model(Box<Model>),
    Rogue(Box<Rogue>),
    /// Sockets in the hands of a scenario: what arrived, in order.
    Raw(Vec<(Time, SocketAddr, Vec<u8>)>),
}

struct Slot {
    actor: Actor,
    wall: Wall,
    /// The earliest timer event in the queue.
    wake: Option<Time>,
    wakes_at: (Time, u32),
    /// Counts programs at this place.
    life: u32,
    seed: [u8; 32],
}

enum Happening {
    Arrival(Packet),
    Wake(NodeId),
    Resolved { node: NodeId, life: u32, query: u64, result: Result<Vec<SocketAddr>, String> },
}

/// Everything.
pub struct World {
    pub seed: u64,
    pub now: Time,
    pub rng: Rng,
    pub net: Network,
    pub check: Check,
    pub trace: u64,
    pub datagrams: u64,
    pub print: bool,
    /// Copies of what arrives, when a scenario asks for them.
    pub tap: Option<Vec<Packet>>,
    directory: Directory,
    clock: Clock,
    slots: Vec<Slot>,
    queue: BinaryHeap<Reverse<(Time, u64)>>,
    pending: BTreeMap<u64, Happening>,
    next_event: u64,
}

impl World {
    pub fn new(seed: u64, profile: Profile) -> World {
        World {
            seed,
            now: Time::ZERO,
            rng: Rng::new(seed),
            net: Network::new(profile),
            check: Check::default(),
            trace: 0xcbf2_9ce4_8422_2325,
            datagrams: 0,
            print: ["SETOWIRE_SIM_TRACE", "SETOWIRE_SIM_SEED"].iter().any(|name| std::env::var_os(name).is_some()),
            tap: None,
            directory: Directory::default(),
            clock: Clock::new(),
            slots: Vec::new(),
            queue: BinaryHeap::new(),
            pending: BTreeMap::new(),
            next_event: 0,
        }
    }

    // ---- Programs ----

    /// Starts one of our nodes, joined to `TOPIC`.
    pub fn add_ours(&mut self, place: Place, config: &Config) -> NodeId {
        let seed = self.rng.bytes();
        self.add_ours_seeded(place, config, seed)
    }

    pub fn add_ours_seeded(&mut self, place: Place, config: &Config, seed: [u8; 32]) -> NodeId {
        let node = self.claim(place, seed);
        self.start_ours(node, config, seed);
        node
    }

    /// Starts an old peer.
    pub fn add_model(&mut self, place: Place, quirks: &'static Quirks) -> NodeId {
        let seed = self.rng.bytes();
        let node = self.claim(place.v4_only(), seed);
        self.start_model(node, quirks, seed);
        node
    }

    /// A modern peer that a scenario leads.
    pub fn add_rogue(&mut self, place: Place) -> NodeId {
        let rogue = Rogue::new(self.rng.bytes(), self.rng.bytes());
        let node = self.claim(place, [0; 32]);
        self.net.places[node].up = true;
        self.slots[node].actor = Actor::Rogue(Box::new(rogue));
        node
    }

    pub fn rogue(&self, node: NodeId) -> &Rogue {
        match &self.slots[node].actor {
            Actor::Rogue(rogue) => rogue,
            _ => panic!("place {node} holds no rogue"),
        }
    }

    pub fn call_rogue<R>(&mut self, node: NodeId, f: impl FnOnce(&mut Rogue, &mut Io) -> R) -> R {
        let mut io = self.io(node);
        let Actor::Rogue(rogue) = &mut self.slots[node].actor else { panic!("place {node} holds no rogue") };
        let result = f(rogue, &mut io);
        rogue.drive(&mut io);
        self.apply(node, io);
        result
    }

    /// A place whose sockets the scenario holds.
    pub fn add_raw(&mut self, place: Place) -> NodeId {
        let node = self.claim(place, [0; 32]);
        self.net.places[node].up = true;
        node
    }

    fn claim(&mut self, place: Place, seed: [u8; 32]) -> NodeId {
        let actor = Actor::Raw(Vec::new());
        let wakes_at = (Time::ZERO, 0);
        self.slots.push(Slot { actor, wall: Wall::default(), wake: None, wakes_at, life: 0, seed });
        self.net.add(place)
    }

    /// Starts a node of ours at a place, in the stead of what was there.
    pub fn start_ours(&mut self, node: NodeId, config: &Config, seed: [u8; 32]) {
        let chance = self.rng.bytes();
        let mut io = self.io(node);
        let mut ours = Ours::new(&mut io, &self.net.places[node], config, seed, chance, self.directory.clone());
        ours.print_log = self.print;
        ours.call(&mut io, |node, now| node.join(now, TOPIC, None, Modes::default())).expect("a first join works");
        self.check.enter(node, self.slots[node].life + 1, &seed, None);
        self.install(node, Actor::Ours(Box::new(ours)), seed);
        self.apply(node, io);
    }

    pub fn start_model(&mut self, node: NodeId, quirks: &'static Quirks, seed: [u8; 32]) {
        let chance = self.rng.u64();
        let setup = Setup { quirks, seed, topic: TOPIC, place: &self.net.places[node], chance };
        let model = Model::new(setup, self.now);
        self.check.enter(node, self.slots[node].life + 1, &seed, Some(quirks));
        self.install(node, Actor::Model(Box::new(model)), seed);
        let io = self.io(node);
        self.apply(node, io);
    }

    fn install(&mut self, node: NodeId, actor: Actor, seed: [u8; 32]) {
        if self.print {
            let name = match &actor {
                Actor::Model(model) => model.quirks.name,
                _ => "ours",
            };
            let id = crate::ours::short(&V12Keys::from_seed(&seed).wire_id());
            println!("{:>10.4} {node:>3} begins: {name} {id}", self.now.as_secs_f64());
        }
        let slot = &mut self.slots[node];
        slot.actor = actor;
        slot.seed = seed;
        slot.wake = None;
        slot.life += 1;
        self.net.places[node].up = true;
    }

    /// The process dies: no goodbye, its sockets are gone.
    pub fn kill(&mut self, node: NodeId) {
        self.net.places[node].up = false;
    }

    pub fn is_up(&self, node: NodeId) -> bool {
        self.net.places[node].up
    }

    /// The seed of the identity at a place.
    pub fn identity_seed(&self, node: NodeId) -> [u8; 32] {
        self.slots[node].seed
    }

    pub fn nodes(&self) -> std::ops::Range<NodeId> {
        0..self.slots.len()
    }

    /// Moves the wall clock of a place.
    pub fn step_clock(&mut self, node: NodeId, by_us: i64) {
        self.slots[node].wall.step_us += by_us;
    }

    /// By how much the wall clock of a place was moved so far, in microseconds.
    pub fn clock_step(&self, node: NodeId) -> i64 {
        self.slots[node].wall.step_us
    }

    pub fn is_ours(&self, node: NodeId) -> bool {
        matches!(self.slots[node].actor, Actor::Ours(_))
    }

    pub fn is_model(&self, node: NodeId) -> bool {
        matches!(self.slots[node].actor, Actor::Model(_))
    }

    pub fn ours(&self, node: NodeId) -> &Ours {
        match &self.slots[node].actor {
            Actor::Ours(ours) => ours,
            _ => panic!("place {node} holds no node of ours"),
        }
    }

    pub fn ours_mut(&mut self, node: NodeId) -> &mut Ours {
        match &mut self.slots[node].actor {
            Actor::Ours(ours) => ours,
            _ => panic!("place {node} holds no node of ours"),
        }
    }

    pub fn ours_or_none(&mut self, node: NodeId) -> Option<&mut Ours> {
        match &mut self.slots[node].actor {
            Actor::Ours(ours) => Some(ours),
            _ => None,
        }
    }

    pub fn model(&self, node: NodeId) -> &Model {
        match &self.slots[node].actor {
            Actor::Model(model) => model,
            _ => panic!("place {node} holds no model"),
        }
    }

    pub fn wire_id(&self, node: NodeId) -> WireId {
        match &self.slots[node].actor {
            Actor::Ours(ours) => ours.wire_id,
            Actor::Model(model) => model.wire_id(),
            Actor::Rogue(_) | Actor::Raw(_) => panic!("place {node} has no identity"),
        }
    }

    /// Lets the application of a node of ours call it.
    pub fn call<R>(&mut self, node: NodeId, f: impl FnOnce(&mut Node, Now) -> R) -> R {
        let mut io = self.io(node);
        let result = self.ours_mut(node).call(&mut io, f);
        self.apply(node, io);
        result
    }

    /// Lets the application of an old peer call it.
    pub fn call_model<R>(&mut self, node: NodeId, f: impl FnOnce(&mut Model, &mut Io) -> R) -> R {
        let mut io = self.io(node);
        let Actor::Model(model) = &mut self.slots[node].actor else { panic!("place {node} holds no model") };
        let result = f(model, &mut io);
        self.apply(node, io);
        result
    }

    /// Takes what arrived at a raw place.
    pub fn take_raw(&mut self, node: NodeId) -> Vec<(Time, SocketAddr, Vec<u8>)> {
        match &mut self.slots[node].actor {
            Actor::Raw(inbox) => std::mem::take(inbox),
            _ => panic!("place {node} is not raw"),
        }
    }

    // ---- Scenario calls that hold for ours and models alike ----

    /// Sends to every peer; returns how many there are.
    pub fn broadcast(&mut self, node: NodeId, data: &[u8]) -> usize {
        if self.is_model(node) {
            return self.call_model(node, |model, io| model.broadcast(io, data));
        }
        self.call(node, |node, now| node.broadcast(now, data)).unwrap_or(0)
    }

    /// Sends to one peer, which must be connected.
    pub fn write(&mut self, from: NodeId, to: NodeId, data: &[u8]) -> setowire::Result<()> {
        let id = self.wire_id(to);
        if self.is_model(from) {
            self.call_model(from, |model, io| model.write(io, &id, data));
            return Ok(());
        }
        let peer = self.ours(from).peer(&id).map(|info| info.id).expect("a connected peer");
        self.call(from, |node, now| node.send(now, peer, data.to_vec(), 0))
    }

    /// Ends a program as its application would.
    pub fn close(&mut self, node: NodeId) {
        if self.is_model(node) {
            self.call_model(node, |model, io| model.destroy(io));
        } else {
            self.call(node, |node, now| node.close(now, false));
        }
    }

    /// Makes `from` dial `to` by its address.
    pub fn dial(&mut self, from: NodeId, to: NodeId) {
        let address = self.net.places[to].v4();
        if self.is_model(from) {
            self.call_model(from, |model, io| model.dial(io, address, None));
        } else {
            self.call(from, |node, now| node.connect(now, &address.to_string(), None, None, 0)).expect("a dial begins");
        }
    }

    pub fn sees(&self, node: NodeId, other: NodeId) -> bool {
        let id = self.wire_id(other);
        match &self.slots[node].actor {
            Actor::Ours(ours) => ours.is_connected(&id),
            Actor::Model(model) => model.is_connected(&id),
            Actor::Rogue(_) | Actor::Raw(_) => false,
        }
    }

    /// What `node` was given by its neighbour `other`.
    pub fn received(&self, node: NodeId, other: NodeId) -> Vec<Vec<u8>> {
        let id = self.wire_id(other);
        let all = match &self.slots[node].actor {
            Actor::Ours(ours) => ours.received_from(&id),
            Actor::Model(model) => model.received_from(&id),
            Actor::Rogue(_) | Actor::Raw(_) => Vec::new(),
        };
        all.into_iter().map(<[u8]>::to_vec).collect()
    }

    // ---- Time ----

    pub fn run_for(&mut self, time: Duration) {
        self.run_to(self.now + time);
    }

    pub fn run_to(&mut self, until: Time) {
        while self.queue.peek().is_some_and(|Reverse((at, _))| *at <= until) {
            self.step();
        }
        self.now = until;
    }

    /// Runs until something holds; false if it did not within this time.
    pub fn run_until(&mut self, within: Duration, holds: impl Fn(&World) -> bool) -> bool {
        let until = self.now + within;
        while !holds(self) {
            if self.queue.peek().is_none_or(|Reverse((at, _))| *at > until) {
                self.now = until;
                return holds(self);
            }
            self.step();
        }
        true
    }

    /// As `run_until`, and fails the test if it does not happen.
    pub fn expect(&mut self, what: &str, within: Duration, holds: impl Fn(&World) -> bool) {
        let begin = self.now;
        assert!(
            self.run_until(within, holds),
            "seed {}: not within {within:?} of {begin:?}: {what} (SETOWIRE_SIM_TRACE=1 prints the run)",
            self.seed
        );
    }

    fn step(&mut self) {
        let Some(Reverse((at, number))) = self.queue.pop() else { return };
        self.now = self.now.max(at);
        match self.pending.remove(&number) {
            Some(Happening::Arrival(packet)) => self.arrive(packet),
            Some(Happening::Wake(node)) => self.wake(node, at),
            Some(Happening::Resolved { node, life, query, result }) => {
                if self.slots[node].life == life && self.net.places[node].up {
                    self.call(node, |node, now| node.handle_resolved(now, query, result));
                }
            }
            None => unreachable!("every queued number is pending"),
        }
    }

    fn push(&mut self, at: Time, what: Happening) {
        self.next_event += 1;
        self.pending.insert(self.next_event, what);
        self.queue.push(Reverse((at, self.next_event)));
    }

    fn arrive(&mut self, packet: Packet) {
        let node = packet.to;
        if !self.net.arrive(&packet) {
            return;
        }
        self.check.arrived(&packet);
        if let Some(tap) = &mut self.tap {
            tap.push(packet.clone());
        }
        let mut io = self.io(node);
        match &mut self.slots[node].actor {
            Actor::Ours(ours) => ours.datagram(&mut io, packet.via, packet.from, &packet.bytes),
            Actor::Model(model) => model.datagram(&mut io, packet.via, packet.from, &packet.bytes),
            Actor::Rogue(rogue) => rogue.datagram(&mut io, packet.from, &packet.bytes),
            Actor::Raw(inbox) => inbox.push((self.now, packet.from, packet.bytes.to_vec())),
        }
        self.apply(node, io);
    }

    fn wake(&mut self, node: NodeId, at: Time) {
        let slot = &mut self.slots[node];
        if slot.wake != Some(at) || !self.net.places[node].up {
            return;
        }
        slot.wake = None;
        slot.wakes_at = if slot.wakes_at.0 == at { (at, slot.wakes_at.1 + 1) } else { (at, 1) };
        assert!(slot.wakes_at.1 < WAKES_AT_ONCE, "seed {}: place {node} sets timers for {at:?} for ever", self.seed);
        let mut io = self.io(node);
        match &mut self.slots[node].actor {
            Actor::Ours(ours) if ours.node.poll_deadline().is_some_and(|d| d <= io.mono) => {
                ours.wakes += 1;
                ours.timeout(&mut io);
            }
            Actor::Model(model) => model.timeout(&mut io),
            Actor::Rogue(rogue) => rogue.timeout(&mut io),
            Actor::Ours(_) | Actor::Raw(_) => {}
        }
        self.apply(node, io);
    }

    fn io(&self, node: NodeId) -> Io {
        let unix_us = self.slots[node].wall.unix_us(self.now);
        Io { now: self.now, mono: self.clock.instant(self.now), unix_us, out: Vec::new() }
    }

    /// Does what a program wanted, then sets its timer.
    fn apply(&mut self, node: NodeId, io: Io) {
        for out in io.out {
            match out {
                Out::Send { via, to, bytes, whole } => self.dispatch(node, via, to, bytes, whole),
                Out::Exit => self.net.places[node].up = false,
                Out::Resolve { query, host, port } => {
                    let known = self.net.names.get(&host);
                    let result = known
                        .map(|ips| ips.iter().map(|ip| SocketAddr::new(*ip, port)).collect())
                        .ok_or_else(|| format!("no such name: {host}"));
                    let life = self.slots[node].life;
                    self.push(self.now + RESOLVE_TIME, Happening::Resolved { node, life, query, result });
                }
            }
        }
        let deadline = match &mut self.slots[node].actor {
            Actor::Ours(ours) => ours.node.poll_deadline().map(|instant| self.clock.time(instant)),
            Actor::Model(model) => model.deadline(),
            Actor::Rogue(rogue) => rogue.deadline().map(|instant| self.clock.time(instant)),
            Actor::Raw(_) => None,
        };
        let Some(at) = deadline.filter(|_| self.net.places[node].up) else { return };
        let at = at.max(self.now);
        if self.slots[node].wake.is_none_or(|known| at < known) {
            self.slots[node].wake = Some(at);
            self.push(at, Happening::Wake(node));
        }
    }

    /// Sends a datagram from a place.
    pub fn send(&mut self, node: NodeId, via: Via, to: SocketAddr, bytes: Vec<u8>) {
        self.dispatch(node, via, to, bytes, false);
    }

    fn dispatch(&mut self, node: NodeId, via: Via, to: SocketAddr, bytes: Vec<u8>, whole: bool) {
        if self.is_ours(node) {
            let dest = self.net.owner(node, to);
            let fragments = self.ours(node).clear_fragments;
            self.check.sent_by_ours(self.now, node, fragments, via, to, dest, &bytes);
            if let Some(breach) = self.check.breaches.first() {
                panic!("seed {}: {breach}", self.seed);
            }
        }
        let bytes: Rc<[u8]> = bytes.into();
        let packets = self.net.send(&mut self.rng, self.now, node, Sent { via, to, bytes: bytes.clone(), whole });
        self.record(node, to, &bytes, &packets);
        packets.into_iter().for_each(|packet| self.push(packet.at, Happening::Arrival(packet)));
    }

    /// Lets a datagram arrive now, with any source address.
    pub fn inject(&mut self, from: SocketAddr, to: NodeId, dest: SocketAddr, bytes: Vec<u8>) {
        let bytes: Rc<[u8]> = bytes.into();
        let (via, at) = (Via::Main, self.now);
        let packet = Packet { at, to, via, from, dest, bytes, origin: usize::MAX };
        self.record(usize::MAX, dest, &packet.bytes, std::slice::from_ref(&packet));
        self.arrive(packet);
    }

    fn record(&mut self, from: NodeId, to: SocketAddr, bytes: &[u8], packets: &[Packet]) {
        self.datagrams += 1;
        // Header protection makes the rest of QUIC's first byte, and all that follows, random.
        let kind = match bytes.first().copied().unwrap_or(0) {
            quic if quic & 0x40 != 0 => u64::from(quic & 0xc0),
            kind => u64::from(kind),
        };
        self.mix(self.now.as_nanos() as u64);
        self.mix(from as u64);
        match to.ip() {
            std::net::IpAddr::V4(ip) => self.mix(u64::from(u32::from(ip))),
            std::net::IpAddr::V6(ip) => self.mix(u128::from(ip) as u64 ^ (u128::from(ip) >> 64) as u64),
        }
        self.mix(u64::from(to.port()) << 32 | bytes.len() as u64);
        self.mix(kind);
        packets.iter().for_each(|packet| self.mix(packet.at.as_nanos() as u64 ^ (packet.to as u64) << 48));
        if self.print {
            let fate = if packets.is_empty() { " lost" } else { "" };
            println!("{:>10.4} {from:>3} -> {to} {kind:#04x} {} bytes{fate}", self.now.as_secs_f64(), bytes.len());
        }
    }

    fn mix(&mut self, value: u64) {
        self.trace = (self.trace ^ value).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }
}
