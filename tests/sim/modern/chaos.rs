//! A random world of modern sessions: what can happen to them, and what must hold afterwards.
//!
//! Nodes join and leave topics, public and private ones; talk, open streams, dial; lose their addresses, their network, their
//! life. `ledger` and `streams` check what arrives; here it is checked that nobody gets a session without a topic in common or
//! a dial by address, and, when the world is whole again, that all who share a topic are connected, once, over a modern
//! session, agree on what they share, and have got everything; and that nothing is kept of those who left.

use super::ledger::Ledger;
use super::streams::Streams;
use super::{Life, Side};
use crate::clock::Time;
use crate::link::{Bursts, Profile};
use crate::network::{NodeId, Place};
use crate::rng::Rng;
use crate::world::{TOPIC, World};
use setowire::Config;
use setowire::config::limits;
use setowire::crypto::identity::{Identity, WireId};
use setowire::node::{Event, Modes, PeerInfo, Session, TopicId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
/// Topics that there are; the last two are private, and have the bytes of public ones.
const NAMES: usize = 6;
type Names = BTreeSet<usize>;

fn topic(name: usize) -> ([u8; 32], Option<[u8; 32]>) {
    match name {
        0 => (TOPIC, None),
        4 => (TOPIC, Some([4; 32])),
        5 => ([1; 32], Some([5; 32])),
        _ => ([name as u8; 32], None),
    }
}

/// The world and what is known of its programs.
pub struct Chaos {
    pub world: World,
    ledger: Ledger,
    streams: Streams,
    lives: Vec<u32>,
    /// Joined topics of each place, by name.
    joined: Vec<BTreeMap<usize, TopicId>>,
    /// Every session of a topic a program ever had, and every name it had joined.
    ids: BTreeMap<(Life, TopicId), usize>,
    ever: Vec<Names>,
    /// Pairs of which one dialled the other by address.
    dialled: BTreeSet<(NodeId, NodeId)>,
    keys: BTreeMap<[u8; 32], NodeId>,
    /// Their keys by their ids of the old wire.
    wire_ids: BTreeMap<WireId, [u8; 32]>,
    /// Ports as the programs know them, and how far clocks were ahead.
    ports: Vec<u16>,
    ahead: Vec<i64>,
    moves: u16,
    legacy: bool,
}

impl Chaos {
    pub fn new(seed: u64, most: u64) -> Chaos {
        let mut world = World::new(seed, Profile::WIRE);
        world.net.profile = random_profile(&mut world.rng);
        let rng = &mut world.rng;
        let n = match rng.below(10) {
            0 => rng.range(most.min(8), most),
            1..4 => rng.range(most.min(5), most.min(12)),
            _ => rng.range(2, 5),
        };
        let legacy = rng.chance(0.3);
        let mut chaos = Chaos {
            world,
            ledger: Ledger::default(),
            streams: Streams::default(),
            lives: Vec::new(),
            joined: Vec::new(),
            ids: BTreeMap::new(),
            ever: Vec::new(),
            dialled: BTreeSet::new(),
            keys: BTreeMap::new(),
            wire_ids: BTreeMap::new(),
            ports: Vec::new(),
            ahead: Vec::new(),
            moves: 0,
            legacy,
        };
        for i in 0..n as u32 {
            let rng = &mut chaos.world.rng;
            let place = match rng.below(6) {
                0 => Place::new(i).on(&[0, 1]),
                1 => Place::new(i).on(&[1]),
                _ => Place::new(i),
            };
            let place = if rng.chance(0.5) { place.v4_only() } else { place };
            let node = chaos.world.add_raw(place);
            chaos.ports.push(0);
            chaos.lives.push(0);
            chaos.joined.push(BTreeMap::new());
            chaos.ever.push(Names::new());
            chaos.ahead.push(0);
            let seed = chaos.world.rng.bytes();
            chaos.start(node, seed);
            let pause = chaos.world.rng.below(300);
            chaos.run(MS * pause as u32);
        }
        chaos
    }

    pub fn nodes(&self) -> std::ops::Range<NodeId> {
        0..self.lives.len()
    }

    fn up(&self) -> Vec<NodeId> {
        self.nodes().filter(|node| self.is_up(*node)).collect()
    }

    /// It runs and was not told to end.
    fn is_up(&self, node: NodeId) -> bool {
        self.world.is_up(node) && !self.joined[node].contains_key(&CLOSING)
    }

    fn life(&self, node: NodeId) -> Life {
        Life { node, life: self.lives[node] }
    }

    fn start(&mut self, node: NodeId, seed: [u8; 32]) {
        self.lives[node] += 1;
        self.joined[node].clear();
        let identity = Identity::from_seed(&seed);
        self.keys.insert(identity.key(), node);
        self.wire_ids.insert(identity.v12().wire_id(), identity.key());
        self.ports[node] = self.world.net.places[node].v4().port();
        let rng = &mut self.world.rng;
        let config = Config { legacy: self.legacy, accept_explicit: rng.chance(0.8), ..Config::default() };
        self.world.start_ours(node, &config, seed);
        let id = self.world.ours(node).node.topics()[0];
        self.note_topic(node, 0, id);
        while self.world.rng.chance(0.4) {
            self.join_or_leave(node);
        }
    }

    fn note_topic(&mut self, node: NodeId, name: usize, id: TopicId) {
        self.ids.insert((self.life(node), id), name);
        self.ever[node].insert(name);
        self.joined[node].insert(name, id);
    }

    fn join_or_leave(&mut self, node: NodeId) {
        let name = self.world.rng.below(NAMES as u64) as usize;
        if let Some(id) = self.joined[node].remove(&name) {
            self.world.call(node, |node, now| node.close_topic(now, id)).expect("it is joined");
        } else {
            let (topic, secret) = topic(name);
            let id = self
                .world
                .call(node, |node, now| node.join(now, topic, secret, Modes::default()))
                .expect("room for a topic");
            self.note_topic(node, name, id);
        }
    }

    // ---- Events ----

    /// Lets time pass; applications look at their events in short intervals.
    pub fn run(&mut self, time: Duration) {
        let until = self.world.now + time;
        while self.world.now < until {
            let step = (until - self.world.now).min(MS * 100);
            self.world.run_for(step);
            self.pump();
        }
    }

    fn pump(&mut self) {
        let mut quiet = false;
        while !quiet {
            quiet = true;
            for node in self.nodes() {
                let Some(ours) = self.world.ours_or_none(node) else { continue };
                for (at, event) in std::mem::take(&mut ours.events) {
                    quiet = false;
                    self.event(at, node, event);
                }
            }
        }
    }

    fn event(&mut self, at: Time, node: NodeId, event: Event) {
        let of = self.life(node);
        match event {
            Event::Connection(info) => {
                let to = self.keys[&self.check_info(node, &info)];
                self.ledger.open(Side { of, peer: info.id }, to);
            }
            Event::Update(info) => {
                self.check_info(node, &info);
            }
            Event::Disconnection { peer, .. } => {
                self.ledger.close(Side { of, peer });
                self.streams.close(Side { of, peer });
            }
            Event::Message { peer, data, broadcast, .. } => {
                let signed = broadcast.is_some_and(|broadcast| broadcast.author.is_some());
                self.ledger.got(Side { of, peer }, &data, signed, at);
            }
            Event::Datagram { peer, data } => self.ledger.got(Side { of, peer }, &data, false, at),
            Event::Stream { peer, stream, change } => {
                self.streams.event(&mut self.world, Side { of, peer }, stream, change);
            }
            Event::OpDone { tag, code, .. } => self.ledger.done(of, tag, code),
            Event::Writable { .. }
            | Event::Peers { .. }
            | Event::Changed { .. }
            | Event::Candidate { .. }
            | Event::TopicUpdated { .. }
            | Event::PeerTopic { .. }
            | Event::Banned { .. }
            | Event::Ask(_)
            | Event::Found { .. }
            | Event::Round(_)
            | Event::RoundCancelled { .. }
            | Event::Unannounce(_)
            | Event::Closed { .. } => {}
        }
    }

    /// Nobody is connected without a topic that both had joined, or a dial by address. Returns the key; of a peer over
    /// the old wire the one that its id belongs to.
    fn check_info(&self, node: NodeId, info: &PeerInfo) -> [u8; 32] {
        let key = info.key.unwrap_or_else(|| self.wire_ids[&self.world.ours(node).wire_id_of(info)]);
        let other = &self.keys[&key];
        if info.session == Session::Quic {
            let asked = self.dialled.contains(&(node, *other)) || self.dialled.contains(&(*other, node));
            assert!(!info.explicit || asked, "{node} and {other}: nobody asked: {info:?}");
            for id in &info.topics {
                let name = self.ids[&(self.life(node), *id)];
                assert!(self.ever[*other].contains(&name), "{node} shares topic {name} with {other}, who never joined");
            }
        }
        key
    }

    // ---- Deeds ----

    /// One random deed.
    pub fn act(&mut self) {
        let up = self.up();
        let all: Vec<NodeId> = self.nodes().collect();
        let any = *self.world.rng.pick(&all);
        let deed = self.world.rng.below(100);
        match deed {
            56..62 => return self.restart(any),
            70..74 => {
                self.world.net.side[any] = self.world.rng.below(2) as u32;
                return;
            }
            74..79 => return self.world.net.side.fill(0),
            _ => {}
        }
        if up.is_empty() {
            return;
        }
        let node = *self.world.rng.pick(&up);
        let peer = self.some_peer(node);
        let of = self.life(node);
        match (deed, peer) {
            (0..34, Some(info)) => self.talk(node, &info),
            (34..40, _) => self.broadcast(node),
            (40..46, Some(info)) if info.session == Session::Quic => {
                for _ in 0..self.world.rng.range(1, 20) {
                    let len = self.world.rng.below(1_100) as usize;
                    let data = self.ledger.datagram(Side { of, peer: info.id }, len);
                    drop(self.world.call(node, |node, _| node.send_datagram(info.id, &data)));
                }
            }
            (46..56, Some(info)) if info.session == Session::Quic => {
                let most = if self.world.rng.chance(0.2) { 300_000 } else { 3_000 };
                let total = self.world.rng.below(most) as usize;
                self.streams.open(&mut self.world, Side { of, peer: info.id }, total);
            }
            (62..64, _) => {
                self.world.close(node);
                self.joined[node].insert(CLOSING, TopicId(0));
            }
            (64..70, _) => self.move_place(node),
            (79..86, _) => self.join_or_leave(node),
            (86..88, _) => {
                let by = self.world.rng.range(0, 7_200_000_000) as i64 - 3_600_000_000;
                self.step_clock(node, by);
            }
            (88..90, Some(info)) => drop(self.world.call(node, |node, now| node.close_peer(now, info.id))),
            (90..93, _) if any != node => {
                self.dialled.insert((node, any));
                let target = self.world.net.places[any].v4().to_string();
                self.world.call(node, |node, now| node.connect(now, &target, None, None, 0)).expect("a dial begins");
            }
            (93..95, _) => {
                let profile = random_profile(&mut self.world.rng);
                self.world.net.set_link(node, any, profile);
            }
            (95..97, _) => {
                let room = if self.world.rng.chance(0.5) { 0 } else { usize::MAX };
                self.world.call(node, |node, _| node.set_room(room));
            }
            (97..100, _) => self.stranger(node),
            _ => {}
        }
    }

    fn some_peer(&mut self, node: NodeId) -> Option<PeerInfo> {
        let peers: Vec<PeerInfo> = self.world.ours(node).peers.values().cloned().collect();
        if peers.is_empty() { None } else { Some(self.world.rng.pick(&peers).clone()) }
    }

    fn talk(&mut self, node: NodeId, info: &PeerInfo) {
        for _ in 0..self.world.rng.range(1, 5) {
            let rng = &mut self.world.rng;
            let len = if rng.chance(0.05) { rng.below(200_000) } else { rng.below(1_500) } as usize;
            self.say(node, info, len);
        }
    }

    fn say(&mut self, node: NodeId, info: &PeerInfo, len: usize) {
        let (side, modern) = (Side { of: self.life(node), peer: info.id }, info.session == Session::Quic);
        // The old wire has no room for more in one frame.
        let len = if modern { len } else { len.min(1_000) };
        let tagged = self.world.rng.chance(0.5);
        let (data, tag) = self.ledger.message(side, modern, len, tagged);
        if self.world.call(node, |node, now| node.send(now, info.id, data, tag)).is_ok() {
            self.ledger.accepted(side, modern, tag);
        }
    }

    fn broadcast(&mut self, node: NodeId) {
        let rng = &mut self.world.rng;
        let len = if rng.chance(0.05) { rng.below(100_000) } else { rng.below(1_000) } as usize;
        let (data, _) = self.ledger.broadcast(self.life(node), len);
        let topics: Vec<TopicId> = self.joined[node].values().copied().collect();
        match topics.is_empty() || self.world.rng.chance(0.5) {
            true => drop(self.world.call(node, |node, now| node.broadcast(now, &data))),
            false => {
                let id = *self.world.rng.pick(&topics);
                drop(self.world.call(node, |node, now| node.broadcast_topic(now, id, &data)));
            }
        }
    }

    fn kill(&mut self, node: NodeId) {
        self.pump();
        self.world.kill(node);
        let life = self.life(node);
        self.ledger.kill(life);
        self.streams.kill(life);
    }

    /// The process dies and comes back, often as itself, sometimes elsewhere.
    fn restart(&mut self, node: NodeId) {
        let seed = self.world.identity_seed(node);
        self.kill(node);
        let rng = &mut self.world.rng;
        let seed = if rng.chance(0.8) { seed } else { rng.bytes() };
        let pause = rng.below(3_000);
        if rng.chance(0.5) {
            let port = 50_000 + rng.below(10_000) as u16;
            self.world.net.places[node].set_port(port);
        }
        if self.world.rng.chance(0.5) {
            self.step_clock(node, -60_000_000);
        }
        self.run(MS * pause as u32);
        self.start(node, seed);
    }

    /// Another port, as behind a NAT that forgot, or another address, of which the program is told or finds out later.
    fn move_place(&mut self, node: NodeId) {
        self.moves += 1;
        if self.world.rng.chance(0.4) {
            self.world.net.places[node].set_port(40_000 + self.moves);
            return;
        }
        let place = &mut self.world.net.places[node];
        for interface in &mut place.interfaces {
            let net = interface.lan as u8;
            let [high, low] = self.moves.to_be_bytes();
            interface.v4 = interface.v4.map(|_| [10, net, 100 + high, low].into());
        }
        let interfaces = place.lan_interfaces();
        let late = self.world.rng.below(3_000);
        self.run(MS * late as u32);
        if self.is_up(node) {
            self.world.call(node, |node, now| node.handle_interfaces(now, &interfaces));
        }
    }

    /// Never further back than an author may be whose broadcasts are to be heard after a restart.
    fn step_clock(&mut self, node: NodeId, by_us: i64) {
        let now = self.world.clock_step(node);
        self.ahead[node] = self.ahead[node].max(now + by_us);
        let least = self.ahead[node] - limits::MESH_MEMORY.as_micros() as i64 + 120_000_000;
        self.world.step_clock(node, by_us.max(least - now));
    }

    /// Garbage of all our kinds, from made-up addresses.
    fn stranger(&mut self, victim: NodeId) {
        let to = self.world.net.places[victim].v4();
        for _ in 0..20 {
            let rng = &mut self.world.rng;
            let from = std::net::SocketAddr::from(([172, 16, 0, rng.below(250) as u8], 1_000 + rng.below(9) as u16));
            let len = *rng.pick(&[21, 40, 44, 53, 64, 90, 1_200, 1_400]);
            let mut bytes = rng.vec(len);
            bytes[0] = *rng.pick(&[0x40, 0x5a, 0xc0, 0xd3, 0xe1, 0xff, 0xa3, 0xa4, 0xa5, 0xa6, 0xb0]);
            self.world.inject(from, victim, to, bytes);
        }
    }

    // ---- The end ----

    /// The network is whole and clean again: all who share a topic find each other, and everything arrives.
    pub fn heal(&mut self) {
        self.world.net.profile = Profile::WIRE;
        self.world.net.overrides.clear();
        self.world.net.side.fill(0);
        // Who is about to end has ended by then.
        self.run(S * 3);
        for node in self.nodes() {
            self.world.net.places[node].set_port(self.ports[node]);
            if !self.is_up(node) {
                let seed = self.world.rng.bytes();
                self.start(node, seed);
            }
            self.world.call(node, |node, _| node.set_room(usize::MAX));
        }
        self.settle("after the world healed");
        for node in self.nodes() {
            for info in self.world.ours(node).peers.clone().into_values() {
                self.say(node, &info, 100);
            }
        }
        let mut heard = Vec::new();
        for node in self.nodes().take(3) {
            let (data, number) = self.ledger.broadcast(self.life(node), 100);
            self.world.call(node, |node, now| node.broadcast(now, &data)).expect("a broadcast leaves");
            heard.push((node, number));
        }
        self.settle("after a last word");
        for (node, number) in heard {
            for other in self.nodes().filter(|other| *other != node && self.shared_public(node, *other)) {
                let seed = self.world.seed;
                assert!(self.ledger.heard(self.life(other), number), "seed {seed}: {other} did not hear {node}");
            }
        }
    }

    fn settle(&mut self, when: &str) {
        let until = self.world.now + S * 150;
        while let Err(what) = self.settled() {
            assert!(self.world.now < until, "seed {}: {when}: {what}", self.world.seed);
            self.run(MS * 500);
        }
        self.run(S * 2);
    }

    fn names(&self, node: NodeId) -> Names {
        self.joined[node].keys().copied().collect()
    }

    fn share(&self, a: NodeId, b: NodeId) -> Names {
        self.names(a).intersection(&self.names(b)).copied().collect()
    }

    fn shared_public(&self, a: NodeId, b: NodeId) -> bool {
        self.meet(a, b) && self.share(a, b).iter().any(|name| topic(*name).1.is_none())
    }

    fn meet(&self, a: NodeId, b: NodeId) -> bool {
        let lans = |n: NodeId| self.world.net.places[n].interfaces.iter().map(|i| i.lan).collect::<BTreeSet<_>>();
        !lans(a).is_disjoint(&lans(b)) && !self.share(a, b).is_empty()
    }

    fn settled(&self) -> Result<(), String> {
        for a in self.nodes() {
            let ours = self.world.ours(a);
            let (mut seen, mut old) = (BTreeSet::new(), BTreeSet::new());
            for info in ours.peers.values() {
                let b = self.keys[&self.check_info(a, info)];
                let shared = self.share(a, b);
                // A modern session for private topics alone does not show which v12 id the peer has: a session of the old
                // wire, begun when they shared a public one, stays beside it, also when both have left all. It does not count as
                // the meeting of the two.
                let private = shared.iter().all(|name| topic(*name).1.is_some());
                let beside = private && info.session != Session::Quic;
                if !(if beside { &mut old } else { &mut seen }).insert(b) {
                    return Err(format!("{a} has two sessions with {b}"));
                }
                if !self.world.sees(b, a) {
                    return Err(format!("{a} sees {b}, who does not see it"));
                }
                let names: Names = info.topics.iter().map(|id| self.ids[&(self.life(a), *id)]).collect();
                // Nobody looks for one over the old wire with whom no topic is shared any more.
                let told = if beside { Names::new() } else { shared };
                if names != told || info.session != Session::Quic && !names.is_empty() {
                    return Err(format!("{a} shares {names:?} with {b}, not {told:?}: {info:?}"));
                }
            }
            if let Some(b) = self.nodes().find(|b| *b != a && self.meet(a, *b) && !seen.contains(b)) {
                return Err(format!("{a} and {b} do not meet, sharing {:?}", self.share(a, b)));
            }
        }
        self.ledger.settled()?;
        self.streams.settled()
    }

    /// All others are gone: nothing of them stays.
    pub fn baseline(&mut self) {
        let last = self.world.rng.below(self.lives.len() as u64) as usize;
        for node in self.nodes().filter(|node| *node != last) {
            if self.world.rng.chance(0.3) { self.world.close(node) } else { self.kill(node) }
        }
        // QUIC's idle time begins anew with a keep-alive that is not answered.
        self.run(limits::QUIC_IDLE_TIMEOUT + S * 40);
        self.world.expect("no more dials", S * 3_600 * 2, |w| w.ours(last).node.stats().dials == 0);
        let seed = self.world.seed;
        let held: Vec<_> = self.world.ours(last).node.held().into_iter().filter(|(_, count)| *count > 0).collect();
        assert!(held.is_empty(), "seed {seed}: node {last} still holds {held:?}");
        assert!(self.world.ours(last).peers.is_empty());
        assert!(self.world.nodes().all(|node| node == last || !self.world.is_up(node)), "seed {seed}: not all ended");
    }

    /// What happened, for who looks at it.
    pub fn counts(&self) -> [u64; 7] {
        let Ledger { delivered, bytes, unsent, datagrams, .. } = &self.ledger;
        let Streams { finished, reset, stopped, .. } = &self.streams;
        [*delivered, *bytes, *unsent, *datagrams, *finished, *reset, *stopped]
    }
}

/// Not a topic: in `joined`, that a program was told to end.
const CLOSING: usize = usize::MAX;

pub fn random_profile(rng: &mut Rng) -> Profile {
    let percent = |rng: &mut Rng, most: u64| rng.below(most + 1) as f64 / 100.0;
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
