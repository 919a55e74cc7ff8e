//! Two nodes that talk over a link which keeps a copy of every datagram, under virtual time.

use setowire::Config;
use setowire::config::Cipher;
use setowire::crypto::identity::Identity;
use setowire::node::{
    Datagrams, Event, LocalPorts, Node, Now, Output, PeerId, PeerInfo, StreamChange, StreamId, Topic, TopicId, Via,
};
use setowire::{Code, Result};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The seeds of the identities, which somebody steals later.
pub const SEEDS: [[u8; 32]; 2] = [[0xa1; 32], [0xb2; 32]];
pub const TOPIC: Topic = [0x70; 32];
/// What each side says, and nobody else is to read.
pub const CANARIES: [&str; 2] = ["the canary of a sings in the mine; ", "b answers with a song of its own; "];

const LATENCY: Duration = Duration::from_millis(5);
const DAY: u64 = 1_795_000_000_000_000;

/// A datagram, whether or not it arrived.
pub struct Recorded {
    pub from: usize,
    pub bytes: Vec<u8>,
}

/// Both nodes, their applications and the link.
pub struct Pair {
    pub record: Vec<Recorded>,
    /// What the application of each side got.
    pub messages: [Vec<Vec<u8>>; 2],
    pub datagrams: [Vec<Vec<u8>>; 2],
    pub streams: [BTreeMap<StreamId, Vec<u8>>; 2],
    nodes: [Node; 2],
    peers: [Option<PeerInfo>; 2],
    topics: [TopicId; 2],
    flying: VecDeque<(Duration, usize, Vec<u8>)>,
    start: Instant,
    at: Duration,
    modern: bool,
}

/// So many bytes of what a side says.
pub fn said(side: usize, length: usize) -> Vec<u8> {
    CANARIES[side].bytes().cycle().take(length).collect()
}

fn addr(side: usize) -> SocketAddr {
    SocketAddr::new([10, 0, 0, side as u8 + 1].into(), 4_000)
}

impl Pair {
    /// Two that meet; all is the same each time but what the system's chance brings. Without `modern` the link lets
    /// nothing of setowire/13 through.
    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    pub fn connected(cipher: Cipher, modern: bool) -> Pair {
        let (start, at) = (Instant::now(), Duration::ZERO);
        let now = Now { mono: start, unix_us: DAY };
        let mut nodes = [0, 1].map(|side| {
            let config = Config { seed: Some(SEEDS[side].into()), lan: false, cipher, ..Config::default() };
            let ports = LocalPorts { v4: Some(addr(side).port()), v6: None };
            Node::new(&config, Identity::from_seed(&SEEDS[side]), ports, [side as u8; 32], now).expect("a node")
        });
        let topics = nodes.each_mut().map(|node| node.join(now, TOPIC, None).expect("joined"));
        nodes[0].connect(now, &addr(1).to_string(), None, None, 1).expect("dials");
        let mut pair = Pair {
            record: Vec::new(),
            messages: Default::default(),
            datagrams: Default::default(),
            streams: Default::default(),
            nodes,
            peers: [None, None],
            topics,
            flying: VecDeque::new(),
            start,
            at,
            modern,
        };
        pair.run_until("connected", |pair| pair.peers.iter().all(Option::is_some));
        pair
    }

    pub fn info(&self, side: usize) -> &PeerInfo {
        self.peers[side].as_ref().expect("connected")
    }

    /// A side sends a message, and the other one gets it.
    pub fn send(&mut self, side: usize, data: Vec<u8>) {
        self.patiently(|pair, now, peer| pair.nodes[side].send(now, peer, data.clone(), 0), side);
        self.run_until("a message", |pair| pair.messages[1 - side].last() == Some(&data));
    }

    pub fn broadcast(&mut self, side: usize, data: Vec<u8>) {
        let topic = self.topics[side];
        self.patiently(|pair, now, _| pair.nodes[side].broadcast_topic(now, topic, &data), side);
        self.run_until("a broadcast", |pair| pair.messages[1 - side].last() == Some(&data));
    }

    pub fn send_datagram(&mut self, side: usize, data: Vec<u8>) {
        self.patiently(|pair, _, peer| pair.nodes[side].send_datagram(peer, &data), side);
        self.run_until("a datagram", |pair| pair.datagrams[1 - side].last() == Some(&data));
    }

    pub fn send_stream(&mut self, side: usize, data: Vec<u8>) {
        let stream = self.patiently(|pair, _, peer| pair.nodes[side].open_stream(peer), side);
        let mut rest = &data[..];
        while !rest.is_empty() {
            let taken = self.patiently(|pair, _, _| pair.nodes[side].write_stream(stream, rest), side);
            rest = &rest[taken..];
        }
        self.patiently(|pair, _, _| pair.nodes[side].finish_stream(stream), side);
        self.run_until("a stream", |pair| pair.streams[1 - side].values().any(|got| *got == data));
    }

    /// Lets some time pass.
    pub fn rest(&mut self, time: Duration) {
        let until = self.at + time;
        while self.at < until {
            self.step(until);
        }
    }

    fn now(&self) -> Now {
        Now { mono: self.start + self.at, unix_us: DAY + self.at.as_micros() as u64 }
    }

    /// Calls again as long as there is no room.
    fn patiently<T>(&mut self, mut call: impl FnMut(&mut Pair, Now, PeerId) -> Result<T>, side: usize) -> T {
        let until = self.at + Duration::from_secs(60);
        loop {
            let (now, peer) = (self.now(), self.info(side).id);
            match call(self, now, peer) {
                Ok(result) => return result,
                Err(error) if error.code == Code::WouldBlock && self.at < until => self.step(until),
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    fn run_until(&mut self, what: &str, is_done: impl Fn(&Pair) -> bool) {
        let until = self.at + Duration::from_secs(60);
        self.drain();
        while !is_done(self) {
            assert!(self.at < until, "not within a minute: {what}");
            self.step(until);
        }
    }

    /// Goes to the next thing that happens.
    fn step(&mut self, until: Duration) {
        self.drain();
        let due = self.nodes.iter().filter_map(Node::poll_deadline).map(|at| at.saturating_duration_since(self.start));
        let next = due.chain(self.flying.front().map(|(at, ..)| *at)).fold(until, Duration::min);
        self.at = self.at.max(next);
        while self.flying.front().is_some_and(|(at, ..)| *at <= self.at)
            && let Some((_, to, bytes)) = self.flying.pop_front()
        {
            let now = self.now();
            self.nodes[to].handle_datagrams(now, Datagrams::one(Via::Main, addr(1 - to), &bytes));
            self.drain();
        }
        let now = self.now();
        self.nodes.iter_mut().for_each(|node| node.handle_timeout(now));
        self.drain();
    }

    fn drain(&mut self) {
        let now = self.now();
        for side in 0..2 {
            while let Some(output) = self.nodes[side].poll_output(now) {
                if let Output::Event(event) = output {
                    self.event(side, event);
                }
            }
            while let Some(transmit) = self.nodes[side].poll_transmit(now, true) {
                assert_eq!(transmit.to, addr(1 - side));
                for bytes in transmit.datagrams() {
                    self.record.push(Recorded { from: side, bytes: bytes.to_vec() });
                    if self.modern || !is_modern(bytes) {
                        self.flying.push_back((self.at + LATENCY, 1 - side, bytes.to_vec()));
                    }
                }
            }
        }
    }

    fn event(&mut self, side: usize, event: Event) {
        match event {
            Event::Connection(info) | Event::Update(info) => self.peers[side] = Some(*info),
            Event::Message { data, clear, .. } => {
                assert!(!clear);
                self.messages[side].push(data.to_vec());
            }
            Event::Datagram { data, .. } => self.datagrams[side].push(data.to_vec()),
            Event::Stream { stream, change: StreamChange::Opened | StreamChange::Readable, .. } => {
                let got = self.streams[side].entry(stream).or_default();
                // Nothing may be there: another event follows.
                let _ = self.nodes[side].read_stream(stream, usize::MAX, |bytes| got.extend_from_slice(&bytes));
            }
            Event::Disconnection { reason, .. } => panic!("disconnected: {reason}"),
            _ => {}
        }
    }
}

/// QUIC, or a frame of ours beside it.
fn is_modern(datagram: &[u8]) -> bool {
    matches!(datagram[0], 0x40..=0x7f | 0xa3..=0xff)
}
