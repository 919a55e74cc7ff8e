//! Nodes, links between them, and one queue of events.
//!
//! A link is a pair of reliable streams with a latency; when it is cut, what is under way is lost and both
//! sides learn of it after a while. A frame that is refused for its rate is held, with
//! all behind it, and offered again, as the node does. The network checks of every frame that
//! its topics are shared by both ends.

use crate::rng::Rng;
use bytes::Bytes;
use setowire::crypto::identity::Identity;
use setowire::mesh::gossip::{Delivered, Gossip, Refused};
use setowire::node::{Now, PeerId};
use setowire::wire::v13::mesh::{Mesh, MessageId, NEIGHBOUR_TAG, TopicTag, next};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

/// All 32 bytes of the topic of all nodes unless a test says otherwise.
pub const TOPIC: [u8; 32] = [0x5e; 32];
pub const TAG: TopicTag = [0x5e; 8];
pub const S: Duration = Duration::from_secs(1);
pub const MS: Duration = Duration::from_millis(1);

pub struct Member {
    pub gossip: Gossip,
    pub identity: Identity,
    pub topics: BTreeMap<TopicTag, [u8; 32]>,
    pub got: Vec<Delivered>,
    pub alive: bool,
    /// It throws away what it should send.
    pub mute: bool,
    /// Our name of a neighbour, and which node it is.
    pub links: BTreeMap<PeerId, usize>,
    wake: Option<Duration>,
}

struct Wire {
    ends: [(usize, PeerId); 2],
    latency: Duration,
    /// Bytes per second, and when all that was sent so far has left.
    rate: Option<u64>,
    free: [Duration; 2],
    /// What arrived and has to wait, by the end where it is.
    held: [VecDeque<Bytes>; 2],
    cut: bool,
}

enum Happening {
    Frame { wire: usize, to: usize, bytes: Bytes },
    Offer { wire: usize, to: usize },
    Drained { wire: usize, from: usize },
    Down { wire: usize, end: usize },
    Wake { node: usize },
}

pub struct Network {
    pub nodes: Vec<Member>,
    pub rng: Rng,
    pub at: Duration,
    start: Instant,
    wires: Vec<Wire>,
    /// Which wire, and which of its ends, a node's name for a neighbour is.
    names: BTreeMap<PeerId, (usize, usize)>,
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    count: u64,
    lost: BTreeSet<usize>,
    /// Peers whose connection a node closed because of what came from there.
    pub closed: Vec<(usize, usize)>,
}

impl Network {
    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    pub fn new(seed: u64) -> Network {
        Network {
            nodes: Vec::new(),
            rng: Rng::new(seed),
            at: Duration::ZERO,
            start: Instant::now(),
            wires: Vec::new(),
            names: BTreeMap::new(),
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            count: 0,
            lost: BTreeSet::new(),
            closed: Vec::new(),
        }
    }

    /// So many nodes on one topic, connected at random, each with at most so many links.
    pub fn connected(seed: u64, nodes: usize, most: usize) -> Network {
        let mut network = Network::new(seed);
        for _ in 0..nodes {
            network.add(&[TOPIC]);
        }
        // A tree first, so that everybody is connected; then links until none has room or luck.
        for node in 1..nodes {
            loop {
                let other = network.rng.below(node as u64) as usize;
                if network.nodes[other].links.len() + 1 < most || node == 1 || most <= 2 {
                    network.link(node, other);
                    break;
                }
            }
        }
        for _ in 0..nodes * most {
            let [a, b] = [(); 2].map(|()| network.rng.below(nodes as u64) as usize);
            let room = [a, b].iter().all(|node| network.nodes[*node].links.len() < most);
            if room && a != b && !network.linked(a, b) {
                network.link(a, b);
            }
        }
        network
    }

    pub fn now(&self) -> Now {
        Now { mono: self.start + self.at, unix_us: 1_795_000_000_000_000 + self.at.as_micros() as u64 }
    }

    pub fn add(&mut self, topics: &[[u8; 32]]) -> usize {
        let identity = Identity::from_seed(&self.rng.bytes());
        let mut gossip = Gossip::new(self.now().mono, identity.key());
        let topics = topics.iter().map(|topic| (gossip.join(*topic), *topic)).collect();
        let (got, links) = (Vec::new(), BTreeMap::new());
        self.nodes.push(Member { gossip, identity, topics, got, alive: true, mute: false, links, wake: None });
        self.nodes.len() - 1
    }

    pub fn linked(&self, a: usize, b: usize) -> bool {
        self.nodes[a].links.values().any(|node| *node == b)
    }

    pub fn link(&mut self, a: usize, b: usize) -> usize {
        let latency = MS * self.rng.range(2, 60) as u32;
        self.link_with(a, b, latency, None)
    }

    /// Connects two nodes; returns the number of the wire.
    pub fn link_with(&mut self, a: usize, b: usize, latency: Duration, rate: Option<u64>) -> usize {
        let wire = self.wires.len();
        let ends = [(a, PeerId(2 * wire as u64 + 1)), (b, PeerId(2 * wire as u64 + 2))];
        let (free, held) = ([self.at; 2], [VecDeque::new(), VecDeque::new()]);
        self.wires.push(Wire { ends, latency, rate, free, held, cut: false });
        let now = self.now().mono;
        let shared: Vec<TopicTag> =
            self.nodes[a].topics.keys().filter(|topic| self.nodes[b].topics.contains_key(*topic)).copied().collect();
        for (end, (node, name)) in ends.into_iter().enumerate() {
            let (other, _) = ends[1 - end];
            let key = self.nodes[other].identity.key();
            self.names.insert(name, (wire, end));
            self.nodes[node].links.insert(name, other);
            self.nodes[node].gossip.link_up(now, name, key, &shared);
            self.drain(node);
        }
        wire
    }

    /// Cuts a link unless that would cut the network in two; its ends learn of it after `noticed`, each a little
    /// later than the other.
    pub fn cut(&mut self, wire: usize, noticed: Duration) {
        self.wires[wire].cut = true;
        self.wires[wire].cut = self.is_whole();
        if self.wires[wire].cut {
            self.lose(wire, noticed);
        }
    }

    /// Cuts a link, whatever that does.
    pub fn lose(&mut self, wire: usize, noticed: Duration) {
        self.wires[wire].cut = true;
        if self.lost.insert(wire) {
            for end in 0..2 {
                let late = MS * self.rng.range(0, 50) as u32;
                self.schedule(self.at + noticed + late, Happening::Down { wire, end });
            }
        }
    }

    /// A node is gone, unless that would cut the network in two; its neighbours learn of it after `noticed`.
    pub fn kill(&mut self, node: usize, noticed: Duration) {
        self.nodes[node].alive = false;
        self.nodes[node].alive = !self.is_whole();
        if !self.nodes[node].alive {
            let wires: Vec<usize> = self.nodes[node].links.keys().map(|name| self.names[name].0).collect();
            wires.into_iter().for_each(|wire| self.lose(wire, noticed));
        }
    }

    /// The links that are up.
    pub fn wires(&self) -> Vec<usize> {
        (0..self.wires.len()).filter(|wire| !self.wires[*wire].cut).collect()
    }

    /// Everybody alive can reach everybody alive.
    fn is_whole(&self) -> bool {
        let alive: Vec<usize> = (0..self.nodes.len()).filter(|node| self.nodes[*node].alive).collect();
        let (mut reached, mut next) = (BTreeSet::from([alive[0]]), vec![alive[0]]);
        while let Some(node) = next.pop() {
            for (name, other) in &self.nodes[node].links {
                let up = !self.wires[self.names[name].0].cut && self.nodes[*other].alive;
                if up && reached.insert(*other) {
                    next.push(*other);
                }
            }
        }
        reached.len() == alive.len()
    }

    /// A node learns that it shares these topics with another one.
    pub fn share(&mut self, node: usize, other: usize, shared: &[TopicTag]) {
        let (name, _) = self.nodes[node].links.iter().find(|(_, there)| **there == other).expect("linked");
        let (name, now) = (*name, self.now().mono);
        self.nodes[node].gossip.topics_changed(now, name, shared);
    }

    pub fn publish(&mut self, node: usize, payload: &[u8]) -> (MessageId, usize) {
        self.publish_to(node, &[TAG], payload)
    }

    pub fn publish_to(&mut self, node: usize, topics: &[TopicTag], payload: &[u8]) -> (MessageId, usize) {
        let now = self.now();
        let member = &mut self.nodes[node];
        let published = member.gossip.publish(now, &member.identity, topics, payload, false).expect("within the rate");
        self.drain(node);
        (published.id, published.reached)
    }

    /// Bytes as if a node had sent them to its neighbour.
    pub fn inject(&mut self, from: usize, to: usize, bytes: &[u8]) {
        let (name, _) = self.nodes[from].links.iter().find(|(_, other)| **other == to).expect("linked");
        let (wire, end) = self.names[name];
        let happening = Happening::Frame { wire, to: 1 - end, bytes: Bytes::copy_from_slice(bytes) };
        self.schedule(self.at + self.wires[wire].latency, happening);
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = self.at + time;
        while let Some(Reverse((at, number))) = self.queue.peek().copied().filter(|Reverse((at, _))| *at <= until) {
            self.queue.pop();
            self.at = at;
            let Some(happening) = self.happenings.remove(&number) else { continue };
            self.happen(happening);
        }
        self.at = until;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Frame { wire, to, bytes } => {
                if !self.wires[wire].cut {
                    self.wires[wire].held[to].push_back(bytes);
                    if self.wires[wire].held[to].len() == 1 {
                        self.take(wire, to);
                    }
                }
            }
            Happening::Offer { wire, to } => self.take(wire, to),
            Happening::Drained { wire, from } => {
                let (node, name) = self.wires[wire].ends[from];
                self.pump(node, name);
                self.drain(node);
            }
            Happening::Down { wire, end } => {
                let ((node, name), now) = (self.wires[wire].ends[end], self.now().mono);
                self.wires[wire].held[end].clear();
                self.nodes[node].links.remove(&name);
                self.nodes[node].gossip.link_down(now, name);
                self.drain(node);
            }
            Happening::Wake { node } => {
                if self.nodes[node].wake.is_some_and(|at| at <= self.at) {
                    self.nodes[node].wake = None;
                    let now = self.now().mono;
                    self.nodes[node].gossip.handle_timeout(now);
                    self.drain(node);
                }
            }
        }
    }

    /// Hands frames that arrived to the node, as long as it takes them.
    fn take(&mut self, wire: usize, to: usize) {
        while let Some(bytes) = self.wires[wire].held[to].front().cloned() {
            let ((node, name), now) = (self.wires[wire].ends[to], self.now().mono);
            if !self.nodes[node].alive || self.wires[wire].cut {
                return self.wires[wire].held[to].clear();
            }
            let (frame, taken) = next(&bytes).expect("a frame").expect("whole");
            assert_eq!(taken, bytes.len());
            match self.nodes[node].gossip.handle(now, name, &frame) {
                Ok(new) => self.nodes[node].got.extend(new),
                Err(Refused::Later(at)) => {
                    let at = at.duration_since(self.start);
                    assert!(at > self.at, "refused for now");
                    return self.schedule(at, Happening::Offer { wire, to });
                }
                Err(Refused::Hostile) => {
                    self.closed.push((node, self.nodes[node].links[&name]));
                    self.lose(wire, Duration::ZERO);
                }
            }
            self.wires[wire].held[to].pop_front();
            self.drain(node);
        }
    }

    /// Takes what a node wants to send, and when it wants to be called.
    fn drain(&mut self, node: usize) {
        while let Some(name) = self.nodes[node].gossip.poll_link() {
            self.pump(node, name);
        }
        if !self.nodes[node].alive {
            return;
        }
        let due =
            self.nodes[node].gossip.poll_deadline().map(|at| at.saturating_duration_since(self.start).max(self.at));
        if let Some(due) = due.filter(|due| self.nodes[node].wake.is_none_or(|wake| *due < wake)) {
            self.nodes[node].wake = Some(due);
            self.schedule(due, Happening::Wake { node });
        }
    }

    /// Puts on the wire what it takes now.
    fn pump(&mut self, node: usize, name: PeerId) {
        let (wire, from) = self.names[&name];
        let now = self.now().mono;
        while let Some(frame) = self.nodes[node].gossip.front(name).cloned() {
            if self.wires[wire].free[from] > self.at {
                return;
            }
            self.nodes[node].gossip.sent(now, name);
            if self.wires[wire].cut || !self.nodes[node].alive || self.nodes[node].mute {
                continue;
            }
            self.check(wire, from, &frame);
            let taken = self.wires[wire].rate.map_or(Duration::ZERO, |rate| S * frame.len() as u32 / rate as u32);
            let free = self.at + taken;
            self.wires[wire].free[from] = free;
            self.schedule(free + self.wires[wire].latency, Happening::Frame { wire, to: 1 - from, bytes: frame });
            if taken > Duration::ZERO {
                self.schedule(free, Happening::Drained { wire, from });
            }
        }
    }

    /// Nothing of a topic crosses a link whose ends do not both have it. For neighbours everybody speaks for himself.
    fn check(&self, wire: usize, from: usize, frame: &[u8]) {
        let shared = |topic: &TopicTag| {
            let has = |node: usize| self.nodes[node].topics.contains_key(topic);
            *topic == NEIGHBOUR_TAG || self.wires[wire].ends.iter().all(|(node, _)| has(*node))
        };
        match next(frame).expect("a frame").expect("whole").0 {
            Mesh::Message(message) if message.topic == NEIGHBOUR_TAG => {
                let author = self.nodes[self.wires[wire].ends[from].0].identity.key();
                assert_eq!((message.author, message.hops), (author, 0), "it was passed on");
            }
            Mesh::Message(message) => assert!(shared(&message.topic)),
            Mesh::Have(have) => assert!(have.iter().all(|(topic, _)| shared(&topic))),
            Mesh::Prune(topic) => assert!(shared(&topic)),
            Mesh::Want(_) | Mesh::Unknown { .. } => {}
        }
    }

    fn schedule(&mut self, at: Duration, happening: Happening) {
        self.count += 1;
        self.queue.push(Reverse((at, self.count)));
        self.happenings.insert(self.count, happening);
    }

    /// Everybody alive but the author got it exactly once.
    pub fn assert_everywhere(&self, author: usize, id: MessageId) {
        for (node, member) in self.nodes.iter().enumerate().filter(|(_, member)| member.alive) {
            let copies = member.got.iter().filter(|got| got.id == id).count();
            assert_eq!(copies, usize::from(node != author), "node {node}, at {:?}", self.at);
        }
    }

    /// Each of these nodes got each of these messages exactly once.
    pub fn assert_everywhere_of(&self, nodes: &[usize], ids: &[MessageId]) {
        for (node, id) in nodes.iter().flat_map(|node| ids.iter().map(move |id| (*node, *id))) {
            assert_eq!(self.nodes[node].got.iter().filter(|got| got.id == id).count(), 1, "node {node}");
        }
    }

    /// Copies sent by all nodes so far.
    pub fn sent(&self) -> u64 {
        self.nodes.iter().map(|member| member.gossip.stats().sent).sum()
    }
}
