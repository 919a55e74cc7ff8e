//! The bed: nodes at addresses of their own on a network that loses nothing, unless it is told to, under virtual time.
//!
//! Everything random comes from one seed. What each node tells is kept with its time; after each call it is checked that
//! what the node counts is what is there.

use crate::hub::{Asked, Hub, Step};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use setowire::config::swarm::{Preset, SwarmOptions};
use setowire::crypto::identity::Identity;
use setowire::node::{
    Datagrams, Event, KnownPeer, LanInterface, LocalPorts, Modes, Node, Now, OpId, Output, PeerId, PeerInfo, TopicId,
    Via, Whom,
};
use setowire::{Code, Config};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Time since the bed began.
pub type Time = Duration;

/// The application of a node: hears of each event, and may call the node.
pub type Hook = Box<dyn FnMut(&mut Node, Now, &Event)>;

/// What is waited for at most by the helpers that wait.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// What every wall clock shows when the bed begins.
const EPOCH_US: u64 = 1_795_000_000_000_000;

/// Short for a time in milliseconds.
pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A topic by its number.
pub const fn topic(n: u8) -> [u8; 32] {
    [n; 32]
}

/// What a session of a topic does.
pub const BOTH: Modes = Modes { client: Some(true), server: Some(true), limit: None };
pub const SERVER: Modes = Modes { client: Some(false), server: Some(true), limit: None };
pub const CLIENT: Modes = Modes { client: Some(true), server: Some(false), limit: None };

/// The options of the test matrix, with the defaults of a preset.
pub fn config(preset: Preset) -> Config {
    let backoffs = Some([ms(100), ms(200), ms(300), ms(400)]);
    let swarm = SwarmOptions { backoffs, jitter: Duration::ZERO, ..SwarmOptions::of(preset) };
    Config { lan: false, swarm, ..Config::default() }
}

/// Runs a test under both presets with the semantics of Hyperswarm 4, in a bed of its own each.
pub fn both_presets(test: impl Fn(&mut Bed, &Config)) {
    for (seed, preset) in [(1, Preset::V4), (2, Preset::Setowire)] {
        test(&mut Bed::new(seed), &config(preset));
    }
}

/// One node and its application.
pub struct Seat {
    pub node: Option<Node>,
    pub key: [u8; 32],
    pub addr: SocketAddr,
    pub config: Config,
    seed: [u8; 32],
    /// Counts the nodes that were here.
    pub life: u32,
    pub events: Vec<(Time, Event)>,
    /// Connected peers as of their last event.
    pub open: BTreeMap<PeerId, PeerInfo>,
    /// Messages by the connection they came over.
    pub received: BTreeMap<PeerId, u64>,
    done: BTreeMap<u64, Option<Code>>,
    hook: Option<Hook>,
    wake: Option<Time>,
    /// The machine sleeps: timers come late, what arrives is lost.
    pub asleep_until: Time,
}

pub enum Happening {
    Arrival { to: usize, from: SocketAddr, bytes: Vec<u8> },
    Wake(usize),
    Hub { who: usize, life: u32, query: u64, step: Step },
}

pub struct Bed {
    pub now: Time,
    pub hub: Hub,
    pub rng: ChaCha20Rng,
    pub seats: Vec<Seat>,
    /// One way.
    pub latency: Duration,
    /// Nothing goes between these two.
    pub cut: BTreeSet<(usize, usize)>,
    /// Thousandths of all datagrams that are lost.
    pub loss: u32,
    /// Datagrams that left, and their bytes.
    pub sent: (u64, u64),
    /// Events are kept, and every count is checked; off where thousands of nodes are.
    pub careful: bool,
    base: Instant,
    by_addr: HashMap<SocketAddr, usize>,
    queue: BTreeMap<(Time, u64), Happening>,
    last: u64,
    last_tag: u64,
}

impl Bed {
    #[expect(clippy::disallowed_methods, reason = "the base of virtual time; its value changes nothing")]
    pub fn new(seed: u64) -> Bed {
        Bed {
            now: Time::ZERO,
            hub: Hub::default(),
            rng: ChaCha20Rng::seed_from_u64(seed),
            seats: Vec::new(),
            latency: ms(5),
            cut: BTreeSet::new(),
            loss: 0,
            sent: (0, 0),
            careful: true,
            base: Instant::now(),
            by_addr: HashMap::new(),
            queue: BTreeMap::new(),
            last: 0,
            last_tag: 1_000,
        }
    }

    // ---- Nodes ----

    /// Starts a node; its number.
    pub fn add(&mut self, config: &Config) -> usize {
        let [_, b, c, d] = (self.seats.len() as u32 + 1).to_be_bytes();
        self.add_at(config, [10, b, c, d])
    }

    /// Starts a node with a local network beside the bed's own, on which nobody hears it.
    pub fn add_with_lan(&mut self, config: &Config) -> usize {
        let who = self.add(&Config { lan: true, ..config.clone() });
        let SocketAddr::V4(addr) = self.seats[who].addr else { panic!("the bed has IPv4 alone") };
        let interface = LanInterface { index: 1, name: "lan".to_owned(), v4: vec![*addr.ip()], v6: false };
        self.call(who, |node, now| node.handle_interfaces(now, &[interface]));
        who
    }

    /// Starts a node at this address.
    pub fn add_at(&mut self, config: &Config, ip: [u8; 4]) -> usize {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let who = self.seats.len();
        let addr = SocketAddr::from((ip, 4_000));
        self.by_addr.insert(addr, who);
        self.seats.push(Seat {
            node: None,
            key: Identity::from_seed(&seed).key(),
            addr,
            config: Config { seed: Some(seed.into()), ..config.clone() },
            seed,
            life: 0,
            events: Vec::new(),
            open: BTreeMap::new(),
            received: BTreeMap::new(),
            done: BTreeMap::new(),
            hook: None,
            wake: None,
            asleep_until: Time::ZERO,
        });
        self.start(who);
        who
    }

    /// Starts several nodes that are alike.
    pub fn add_many(&mut self, count: usize, config: &Config) -> Vec<usize> {
        (0..count).map(|_| self.add(config)).collect()
    }

    fn start(&mut self, who: usize) {
        let mut chance = [0; 32];
        self.rng.fill_bytes(&mut chance);
        let now = self.time();
        let seat = &mut self.seats[who];
        seat.life += 1;
        (seat.events, seat.open, seat.received) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let ports = LocalPorts { v4: Some(seat.addr.port()), v6: None };
        let mut node = Node::new(&seat.config, Identity::from_seed(&seat.seed), ports, chance, now).unwrap();
        node.set_outside(true);
        node.handle_addresses(now, &[seat.addr.ip()]);
        seat.node = Some(node);
        self.drain(who);
    }

    /// Ends a node gracefully, and waits for that.
    pub fn destroy(&mut self, who: usize) {
        self.begin_destroy(who);
        assert!(self.wait(PATIENCE, |bed| bed.seats[who].node.is_none()), "a node that is closed ends");
    }

    pub fn begin_destroy(&mut self, who: usize) {
        self.call(who, |node, now| node.close(now, false));
    }

    /// Ends a node as a crash does: nobody is told.
    pub fn kill(&mut self, who: usize) {
        let seat = &mut self.seats[who];
        (seat.node, seat.wake) = (None, None);
        seat.open.clear();
    }

    /// Starts a new node with the key and at the address of one that ended; what that one told is dropped.
    pub fn restart(&mut self, who: usize) {
        assert!(self.seats[who].node.is_none(), "it ended");
        self.start(who);
    }

    /// The application of a node.
    pub fn set_hook(&mut self, who: usize, hook: impl FnMut(&mut Node, Now, &Event) + 'static) {
        self.seats[who].hook = Some(Box::new(hook));
    }

    pub fn node(&self, who: usize) -> &Node {
        self.seats[who].node.as_ref().expect("the node is there")
    }

    pub fn key(&self, who: usize) -> [u8; 32] {
        self.seats[who].key
    }

    pub fn whom(&self, who: usize) -> Whom {
        Whom::Key(self.seats[who].key)
    }

    pub fn time(&self) -> Now {
        Now { mono: self.base + self.now, unix_us: EPOCH_US + self.now.as_micros() as u64 }
    }

    /// Lets the application of a node call it.
    pub fn call<R>(&mut self, who: usize, f: impl FnOnce(&mut Node, Now) -> R) -> R {
        let now = self.time();
        let result = f(self.seats[who].node.as_mut().expect("the node is there"), now);
        self.drain(who);
        result
    }

    pub fn call_if_there(&mut self, who: usize, f: impl FnOnce(&mut Node, Now)) {
        if self.seats[who].node.is_some() {
            self.call(who, f);
        }
    }

    // ---- What tests do often ----

    pub fn join(&mut self, who: usize, topic: [u8; 32], modes: Modes) -> TopicId {
        self.call(who, |node, now| node.join(now, topic, None, modes)).expect("join")
    }

    /// Joins, and waits for the round: true if a source worked.
    pub fn join_flushed(&mut self, who: usize, topic: [u8; 32], modes: Modes) -> bool {
        let id = self.join(who, topic, modes);
        self.flushed(who, id)
    }

    pub fn leave(&mut self, who: usize, topic: [u8; 32]) {
        self.call(who, |node, now| node.leave(now, &topic)).expect("leave");
    }

    /// Begins an operation; its tag.
    pub fn begin(&mut self, who: usize, f: impl FnOnce(&mut Node, Now, u64) -> setowire::Result<OpId>) -> u64 {
        self.last_tag += 1;
        let tag = self.last_tag;
        self.call(who, |node, now| f(node, now, tag)).expect("an operation begins");
        tag
    }

    /// How an operation ended; none: not yet.
    pub fn result(&self, who: usize, tag: u64) -> Option<Option<Code>> {
        self.seats[who].done.get(&tag).copied()
    }

    /// Waits for an operation: none on success.
    pub fn finish(&mut self, who: usize, tag: u64) -> Option<Code> {
        assert!(self.wait(PATIENCE, |bed| bed.result(who, tag).is_some()), "operation {tag} of {who} ends");
        self.result(who, tag).expect("it ended")
    }

    /// Waits for the round of a topic: true if a source worked.
    pub fn flushed(&mut self, who: usize, id: TopicId) -> bool {
        let tag = self.begin(who, |node, now, tag| node.flushed(now, id, tag));
        self.finish(who, tag).is_none()
    }

    /// Waits until all that was found was tried once.
    pub fn flush(&mut self, who: usize) -> bool {
        let tag = self.begin(who, |node, now, tag| node.flush(now, tag));
        self.finish(who, tag).is_none()
    }

    /// Changes what a session does, and waits for the round.
    pub fn refresh(&mut self, who: usize, id: TopicId, modes: Modes) -> bool {
        let tag = self.begin(who, |node, now, tag| node.refresh(now, id, modes, tag));
        self.finish(who, tag).is_none()
    }

    /// The open connection with another node.
    pub fn peer(&self, who: usize, other: usize) -> Option<PeerId> {
        let key = Some(self.seats[other].key);
        self.seats[who].open.iter().find(|(_, info)| info.key == key).map(|(peer, _)| *peer)
    }

    /// What a node knows of another.
    pub fn known(&self, who: usize, other: usize) -> Option<KnownPeer> {
        self.node(who).known_peer(self.time(), &self.whom(other))
    }

    pub fn close_connection(&mut self, who: usize, other: usize) {
        let peer = self.peer(who, other).expect("a connection");
        self.call(who, |node, now| node.close_peer(now, peer)).expect("close");
    }

    pub fn send(&mut self, who: usize, other: usize, data: &[u8]) {
        let peer = self.peer(who, other).expect("a connection");
        self.call(who, |node, now| node.send(now, peer, data, 0)).expect("send");
    }

    /// Connections that a node was ever told of.
    pub fn connections(&self, who: usize) -> usize {
        self.seats[who].events.iter().filter(|(_, event)| matches!(event, Event::Connection(_))).count()
    }

    /// Keys of the connected peers.
    pub fn connected(&self, who: usize) -> BTreeSet<[u8; 32]> {
        self.seats[who].open.values().filter_map(|info| info.key).collect()
    }

    /// Events of a node that a test looks for.
    pub fn told<'a, T>(&'a self, who: usize, what: impl Fn(&'a Event) -> Option<T>) -> Vec<T> {
        self.seats[who].events.iter().filter_map(|(_, event)| what(event)).collect()
    }

    /// Drops what was told so far.
    pub fn forget_events(&mut self, who: usize) {
        let seat = &mut self.seats[who];
        seat.events.clear();
        seat.done.clear();
    }

    /// A value that the node holds for peers.
    pub fn held(&self, who: usize, name: &str) -> usize {
        self.node(who).held().iter().find(|(known, _)| *known == name).map(|(_, n)| *n).expect(name)
    }

    // ---- Time ----

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.queue.first_key_value().is_some_and(|((at, _), _)| *at <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Runs until something holds. False: it did not within this time.
    pub fn wait(&mut self, most: Duration, mut done: impl FnMut(&Bed) -> bool) -> bool {
        let end = self.now + most;
        while !done(self) {
            if self.queue.first_key_value().is_none_or(|((at, _), _)| *at > end) {
                self.now = end;
                return done(self);
            }
            self.step();
        }
        true
    }

    pub(crate) fn push(&mut self, at: Time, happening: Happening) {
        self.last += 1;
        self.queue.insert((at, self.last), happening);
    }

    fn step(&mut self) {
        let Some(((at, _), happening)) = self.queue.pop_first() else { return };
        self.now = at;
        match happening {
            Happening::Arrival { to, from, bytes } => {
                if self.seats[to].asleep_until <= at {
                    self.call_if_there(to, |node, now| {
                        node.handle_datagrams(now, Datagrams::one(Via::Main, from, &bytes));
                    });
                }
            }
            Happening::Wake(who) if self.seats[who].wake == Some(at) => {
                self.seats[who].wake = None;
                let asleep = self.seats[who].asleep_until;
                if asleep > at {
                    self.wake_at(who, asleep);
                } else {
                    self.call_if_there(who, |node, now| node.handle_timeout(now));
                }
            }
            Happening::Wake(_) => {}
            Happening::Hub { who, life, query, step } => self.hub_happens(who, life, query, step),
        }
    }

    fn wake_at(&mut self, who: usize, at: Time) {
        let at = at.max(self.now);
        if self.seats[who].wake.is_none_or(|known| at < known) {
            self.seats[who].wake = Some(at);
            self.push(at, Happening::Wake(who));
        }
    }

    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for n in (1..list.len()).rev() {
            list.swap(n, self.below(n + 1));
        }
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.rng.next_u64() % n as u64) as usize
    }

    // ---- What nodes put out ----

    fn drain(&mut self, who: usize) {
        let (now, careful) = (self.time(), self.careful);
        let Some(mut node) = self.seats[who].node.take() else { return };
        let mut hook = self.seats[who].hook.take();
        let (mut closed, mut told) = (false, false);
        while let Some(output) = node.poll_output(now) {
            match output {
                Output::Event(event) => {
                    closed |= matches!(event, Event::Closed { .. });
                    told |= !matches!(event, Event::Message { .. });
                    self.seats[who].hear(self.now, &event, careful);
                    if let Some(hook) = &mut hook {
                        hook(&mut node, now, &event);
                    }
                }
                Output::Round { query, name, kind, clear } => {
                    self.ask_hub(who, Asked::Round { query, name, kind, clear });
                }
                Output::CancelRound { query } => self.ask_hub(who, Asked::Cancel { query }),
                Output::Unannounce { name } => self.ask_hub(who, Asked::Unannounce { name }),
                Output::Resolve { host, .. } => panic!("no name is looked up: {host}"),
                Output::Log { .. } => {}
            }
        }
        while let Some(transmit) = node.poll_transmit(now, true) {
            for bytes in transmit.datagrams() {
                self.carry(who, transmit.to, bytes);
            }
            node.recycle(transmit.bytes);
        }
        if careful && told {
            check_counts(&node, self.seats[who].open.len());
        }
        self.seats[who].hook = hook;
        if closed {
            self.seats[who].wake = None;
            return;
        }
        let deadline = node.poll_deadline();
        self.seats[who].node = Some(node);
        if let Some(at) = deadline {
            self.wake_at(who, at.saturating_duration_since(self.base));
        }
    }

    fn carry(&mut self, from: usize, dest: SocketAddr, bytes: &[u8]) {
        self.sent = (self.sent.0 + 1, self.sent.1 + bytes.len() as u64);
        let Some(to) = self.by_addr.get(&dest).copied() else { return };
        let cut = self.cut.contains(&(from, to)) || self.cut.contains(&(to, from));
        if cut || self.loss > 0 && self.below(1_000) < self.loss as usize {
            return;
        }
        let from = self.seats[from].addr;
        self.push(self.now + self.latency, Happening::Arrival { to, from, bytes: bytes.to_vec() });
    }
}

impl Seat {
    fn hear(&mut self, at: Time, event: &Event, keep: bool) {
        match event {
            Event::Connection(info) => {
                let other = self.open.values().find(|other| other.key == info.key);
                assert!(other.is_none(), "a second connection with one peer: {other:?}");
                assert!(self.open.insert(info.id, (**info).clone()).is_none(), "a second connection {info:?}");
            }
            Event::Disconnection { peer, .. } => {
                assert!(self.open.remove(peer).is_some(), "the end of {peer:?}, which was not connected");
            }
            Event::Update(info) => {
                assert!(
                    self.open.insert(info.id, (**info).clone()).is_some(),
                    "news of {info:?}, who is not connected"
                );
            }
            Event::Message { peer, .. } => {
                assert!(self.open.contains_key(peer), "a message of {peer:?}, who is not connected");
                *self.received.entry(*peer).or_default() += 1;
                return;
            }
            Event::OpDone { tag, code, .. } if *tag != 0 => {
                assert!(self.done.insert(*tag, *code).is_none(), "operation {tag} ended twice");
            }
            _ => {}
        }
        if keep {
            self.events.push((at, event.clone()));
        }
    }
}

/// What a node counts is what is there.
fn check_counts(node: &Node, open: usize) {
    let status = node.swarm_status();
    let held = node.held();
    let of = |name: &str| held.iter().find(|(known, _)| *known == name).map_or(0, |(_, n)| *n);
    assert_eq!(node.peers().len(), open, "peers that the application knows");
    assert_eq!(status.connections, open, "connections of the swarm");
    assert_eq!(of("dialled") + of("accepted"), open, "connections by who dialled");
    assert_eq!(status.connecting, of("attempts"), "dials of the swarm and of the node");
}
