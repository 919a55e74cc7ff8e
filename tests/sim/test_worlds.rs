//! Random worlds: 2 to 30 nodes of ours and old peers, with loss, copies, disorder,
//! partitions, restarts and clocks that step back, one after another from a seed.
//!
//! Asserted in each: what `check` and `ours` assert on every datagram and event;
//! every message received was sent by somebody; after the world healed, ours see
//! each other and a message gets through; after all others are gone, everything a
//! node of ours holds is back at nothing.
//! `SETOWIRE_SIM_SEEDS=n` runs n worlds, `SETOWIRE_SIM_SEED=s` one with its trace.

use crate::clock::Time;
use crate::link::{Bursts, Profile};
use crate::models::{CPP, JS, PY_010, PY_MAIN, Quirks, RUST};
use crate::network::{NodeId, Place};
use crate::world::World;
use setowire::Config;
use setowire::config::limits;
use setowire::crypto::identity::V12Keys;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const S: Duration = Duration::from_secs(1);
const WORLDS: u64 = 200;
/// Tests that share the worlds, so that they use several cores.
const SHARES: u64 = 4;

/// A random world and what its applications said.
struct Chaos {
    world: World,
    kinds: BTreeMap<NodeId, Option<&'static Quirks>>,
    said: BTreeSet<Vec<u8>>,
    count: u32,
    gone: BTreeSet<NodeId>,
    /// Places that held the identity of another.
    twins: BTreeSet<NodeId>,
    /// The furthest that the wall clock of a place was ahead, in microseconds.
    ahead: BTreeMap<NodeId, i64>,
}

impl Chaos {
    fn new(seed: u64) -> Chaos {
        let mut world = World::new(seed, Profile::WIRE);
        world.net.profile = random_profile(&mut world);
        let mut chaos = Chaos {
            world,
            kinds: BTreeMap::new(),
            said: BTreeSet::new(),
            count: 0,
            gone: BTreeSet::new(),
            twins: BTreeSet::new(),
            ahead: BTreeMap::new(),
        };
        let rng = &mut chaos.world.rng;
        // Many small worlds, some large ones.
        let n = match rng.below(10) {
            0 => rng.range(16, 30),
            1 | 2 => rng.range(8, 15),
            _ => rng.range(2, 7),
        };
        let share_of_ours = [0.3, 0.6, 1.0][rng.below(3) as usize];
        for i in 0..n as u32 {
            chaos.add(i, i == 0 || share_of_ours == 1.0, share_of_ours);
            if chaos.world.rng.chance(0.3) {
                let pause = Duration::from_millis(chaos.world.rng.below(1_500));
                chaos.world.run_for(pause);
            }
        }
        chaos
    }

    fn add(&mut self, n: u32, surely_ours: bool, share_of_ours: f64) {
        let rng = &mut self.world.rng;
        let mut place = match rng.below(8) {
            0 => Place::new(n).on(&[0, 1]),
            1 => Place::new(n).on(&[1]),
            2 if n > 0 => Place::beside(&self.world.net.places[0].clone(), 40_000 + n as u16),
            _ => Place::new(n),
        };
        place.default_route = rng.chance(0.8);
        if surely_ours || rng.chance(share_of_ours) {
            let place = if rng.chance(0.5) { place.v4_only() } else { place };
            let node = self.world.add_ours(place, &config(false));
            self.kinds.insert(node, None);
        } else {
            let quirks = *rng.pick(&[&JS, &JS, &PY_010, &PY_MAIN, &CPP, &RUST]);
            let node = self.world.add_model(place, quirks);
            self.kinds.insert(node, Some(quirks));
        }
        self.world.ours_or_none(n as usize).into_iter().for_each(|ours| ours.keep_events = false);
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.world.nodes().collect()
    }

    fn start(&mut self, node: NodeId, seed: [u8; 32]) {
        match self.kinds[&node] {
            None => {
                let fragments = self.world.rng.chance(0.1);
                self.world.start_ours(node, &config(fragments), seed);
                self.world.ours_mut(node).keep_events = false;
            }
            Some(quirks) => self.world.start_model(node, quirks, seed),
        }
        self.gone.remove(&node);
    }

    fn message(&mut self) -> Vec<u8> {
        self.count += 1;
        let rng = &mut self.world.rng;
        let len = if rng.chance(0.05) { rng.below(20_000) } else { rng.below(900) } as usize;
        let mut text = format!("{} {} ", self.world.seed, self.count).into_bytes();
        text.resize(text.len() + len, b'.');
        self.said.insert(text.clone());
        text
    }

    /// One random deed.
    fn act(&mut self) {
        let nodes = self.nodes();
        let node = *self.world.rng.pick(&nodes);
        let other = *self.world.rng.pick(&nodes);
        let up = self.world.is_up(node) && !self.gone.contains(&node);
        match self.world.rng.below(100) {
            0..50 if up => {
                let text = self.message();
                self.world.broadcast(node, &text);
            }
            50..70 if up && self.world.sees(node, other) => {
                let text = self.message();
                // Too large for a Rust peer, or no room: both are answers.
                drop(self.world.write(node, other, &text));
            }
            70..76 if up && node != other => self.world.dial(node, other),
            76..82 => self.restart(node),
            82..84 if up => {
                self.world.close(node);
                self.gone.insert(node);
            }
            84..88 => {
                let side = self.world.rng.below(2) as u32;
                self.world.net.side[node] = side;
            }
            88..91 => self.world.net.side.fill(0),
            91..95 => {
                let by = self.world.rng.range(0, 7_200_000_000) as i64 - 3_600_000_000;
                self.step_clock(node, by);
            }
            95..97 => self.stranger(node),
            97 => {
                let profile = random_profile(&mut self.world);
                self.world.net.set_link(node, other, profile);
            }
            98 if up && !self.world.is_model(node) => {
                let peers = self.world.ours(node).node.peers();
                if let Some(peer) = peers.first() {
                    drop(self.world.call(node, |n, now| n.close_peer(now, *peer)));
                }
            }
            _ => {}
        }
    }

    /// Steps a clock, but never further back than an author may be whose broadcasts are to be heard after a restart.
    fn step_clock(&mut self, node: NodeId, by_us: i64) {
        let now = self.world.clock_step(node);
        let ahead = self.ahead.entry(node).or_default();
        *ahead = (*ahead).max(now + by_us);
        let least = *ahead - limits::MESH_MEMORY.as_micros() as i64 + 120_000_000;
        self.world.step_clock(node, by_us.max(least - now));
    }

    /// The process dies and comes back, often as itself, sometimes elsewhere; or twins run for a while.
    fn restart(&mut self, node: NodeId) {
        let seed = self.world.identity_seed(node);
        self.received_was_said(node);
        self.world.kill(node);
        let rng = &mut self.world.rng;
        let seed = if rng.chance(0.8) { seed } else { rng.bytes() };
        let pause = Duration::from_millis(rng.below(3_000));
        if rng.chance(0.5) {
            let port = 50_000 + rng.below(10_000) as u16;
            self.world.net.places[node].set_port(port);
        }
        if self.world.rng.chance(0.5) {
            self.step_clock(node, -60_000_000);
        }
        self.world.run_for(pause);
        self.start(node, seed);
        let twin = self.nodes().into_iter().find(|other| *other != node && self.kinds[other].is_none());
        if let (Some(twin), None, true) = (twin, self.kinds[&node], self.world.rng.chance(0.1)) {
            // Two processes with one seed.
            self.received_was_said(twin);
            self.world.kill(twin);
            self.start(twin, seed);
            self.twins.extend([node, twin]);
        }
    }

    /// Forged and replayed frames from outside.
    fn stranger(&mut self, victim: NodeId) {
        let to = self.world.net.places[victim].v4();
        let others = self.nodes();
        for _ in 0..20 {
            let rng = &mut self.world.rng;
            let keys = V12Keys::from_seed(&rng.bytes::<4>());
            let somebody = *rng.pick(&others);
            let from = std::net::SocketAddr::from(([172, 16, 0, rng.below(250) as u8], 1_000 + rng.below(9) as u16));
            let kind = [0xa1, 0xa2][rng.below(2) as usize];
            let id = if rng.chance(0.5) { keys.wire_id() } else { self.world.wire_id(somebody) };
            let bytes = [&[kind][..], &id, keys.public()].concat();
            self.world.inject(from, victim, to, bytes);
        }
    }

    /// Every message was said by somebody.
    fn received_was_said(&self, node: NodeId) {
        if !self.world.is_ours(node) {
            return;
        }
        // An ACK-only frame that overtakes, or survives, all that went before it is an empty message.
        for got in self.world.ours(node).received.iter().filter(|got| !got.data.is_empty()) {
            let known = self.said.contains(&got.data);
            assert!(known, "node {node} got {:?}", String::from_utf8_lossy(&got.data[..got.data.len().min(60)]));
        }
    }

    /// The network is whole and clean again: ours find each other and talk.
    fn heal(&mut self) {
        self.world.net.profile = Profile::WIRE;
        self.world.net.overrides.clear();
        self.world.net.side.fill(0);
        // Who is about to end has ended by then.
        self.world.run_for(S * 3);
        for node in self.nodes() {
            if !self.world.is_up(node) {
                let seed = self.world.rng.bytes();
                self.start(node, seed);
            }
        }
        // Who had a twin begins anew: to those who heard both, the one that spoke first sounds like a replay.
        let ours: Vec<NodeId> = self.nodes().into_iter().filter(|n| self.world.is_ours(*n)).collect();
        for node in std::mem::take(&mut self.twins) {
            self.received_was_said(node);
            self.world.kill(node);
            let seed = self.world.rng.bytes();
            self.start(node, seed);
        }
        let meet = |w: &World, a: NodeId, b: NodeId| {
            let lans = |n: NodeId| w.net.places[n].interfaces.iter().map(|i| i.lan).collect::<BTreeSet<_>>();
            a == b || lans(a).is_disjoint(&lans(b)) || w.sees(a, b)
        };
        let pairs = ours.clone();
        self.world.expect("ours meet after the world healed", S * 90, |w| {
            pairs.iter().all(|a| pairs.iter().all(|b| meet(w, *a, *b)))
        });
        for from in ours.iter().take(3) {
            let mut to: Vec<NodeId> = ours.iter().copied().filter(|b| b != from).collect();
            to.retain(|b| self.world.sees(*from, *b) && self.world.sees(*b, *from));
            // What is said while an address of before the restart is still believed in may be lost.
            for _ in 0..6 {
                let text = self.message();
                self.world.broadcast(*from, &text);
                self.world.run_for(S * 2);
                to.retain(|b| self.world.ours(*b).received.iter().all(|got| got.data != text));
            }
            assert!(to.is_empty(), "seed {}: nothing of {from} reaches {to:?}", self.world.seed);
        }
    }

    /// All others are gone: nothing of them stays.
    fn baseline(&mut self) {
        let ours: Vec<NodeId> = self.nodes().into_iter().filter(|n| self.world.is_ours(*n)).collect();
        self.nodes().iter().for_each(|node| self.received_was_said(*node));
        let last = *self.world.rng.pick(&ours);
        for node in self.nodes() {
            if node != last {
                self.world.kill(node);
            }
        }
        // A keep-alive may be the last that QUIC waits 60 s for.
        self.world.run_for(S * 100);
        let stats = self.world.ours(last).node.stats();
        let held = [stats.peers, stats.unconfirmed, stats.ops, stats.buffered_bytes, stats.reassembly_bytes];
        assert_eq!(held, [0; 5], "node {last} still holds peers, unconfirmed, ops, buffered, reassembly: {stats:?}");
        assert_eq!(stats.topics, 1);
        self.world.expect("no more dials", S * 3_600 * 2, |w| w.ours(last).node.stats().dials == 0);
        assert!(self.world.ours(last).peers.is_empty());
    }
}

fn config(clear_fragments: bool) -> Config {
    Config { clear_fragments, ..Config::default() }
}

fn random_profile(world: &mut World) -> Profile {
    let rng = &mut world.rng;
    let percent = |rng: &mut crate::rng::Rng, most: u64| rng.below(most + 1) as f64 / 100.0;
    let bursts = Bursts { enter: 0.01, leave: 0.2, loss: 0.9 };
    Profile {
        latency: Duration::from_micros(*rng.pick(&[200, 1_000, 10_000, 60_000])),
        jitter: Duration::from_micros(*rng.pick(&[0, 300, 5_000])),
        loss: if rng.chance(0.3) { 0.0 } else { percent(rng, 20) },
        bursts: rng.chance(0.2).then_some(bursts),
        duplicate: if rng.chance(0.5) { 0.0 } else { percent(rng, 10) },
        reorder: if rng.chance(0.5) { 0.0 } else { percent(rng, 10) },
        ..Profile::WIRE
    }
}

/// One world, start to end.
fn run(seed: u64) {
    let mut chaos = Chaos::new(seed);
    let until: Time = chaos.world.now + S * if chaos.nodes().len() > 12 { 12 } else { 40 };
    while chaos.world.now < until {
        let pause = Duration::from_millis(chaos.world.rng.below(500));
        chaos.world.run_for(pause);
        chaos.act();
    }
    chaos.heal();
    chaos.baseline();
}

fn share(part: u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("SETOWIRE_SIM_SEED") {
        if seed % SHARES == part {
            run(seed);
        }
        return;
    }
    let worlds = number("SETOWIRE_SIM_SEEDS").unwrap_or(WORLDS);
    let mut failed = Vec::new();
    for seed in (0..worlds).filter(|seed| seed % SHARES == part) {
        if std::panic::catch_unwind(|| run(seed)).is_err() {
            println!("replay: SETOWIRE_SIM_SEED={seed} cargo test --test sim worlds_{part} -- --nocapture");
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "worlds that failed: {failed:?}");
}

#[test]
fn worlds_0() {
    share(0);
}

#[test]
fn worlds_1() {
    share(1);
}

#[test]
fn worlds_2() {
    share(2);
}

#[test]
fn worlds_3() {
    share(3);
}
