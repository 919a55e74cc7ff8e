//! Two nodes that talk over a link which keeps a copy of every datagram.

use crate::network::{Network, Recorded, addr, is_modern};
use setowire::config::Cipher;
use setowire::node::{Event, Modes, Now, PeerId, PeerInfo, StreamChange, StreamId, Topic, TopicId};
use setowire::{Code, Config, Result};
use std::collections::BTreeMap;
use std::time::Duration;

/// The seeds of the identities, which somebody steals later.
pub const SEEDS: [[u8; 32]; 2] = [[0xa1; 32], [0xb2; 32]];
pub const TOPIC: Topic = [0x70; 32];
/// What each side says, and nobody else is to read.
pub const CANARIES: [&str; 2] = ["the canary of a sings in the mine; ", "b answers with a song of its own; "];

/// Both nodes, their applications and the link.
pub struct Pair {
    /// What the application of each side got.
    pub messages: [Vec<Vec<u8>>; 2],
    pub datagrams: [Vec<Vec<u8>>; 2],
    pub streams: [BTreeMap<StreamId, Vec<u8>>; 2],
    network: Network,
    peers: [Option<PeerInfo>; 2],
    topics: [TopicId; 2],
}

/// So many bytes of what a side says.
pub fn said(side: usize, length: usize) -> Vec<u8> {
    CANARIES[side].bytes().cycle().take(length).collect()
}

impl Pair {
    /// Two that meet. Without `modern` the link lets nothing of setowire/13 through.
    pub fn connected(cipher: Cipher, modern: bool) -> Pair {
        let mut network = Network::new(match modern {
            true => |datagram| Some((1 - datagram.from, addr(datagram.from))),
            false => |datagram| (!is_modern(&datagram.bytes)).then_some((1 - datagram.from, addr(datagram.from))),
        });
        SEEDS.into_iter().for_each(|seed| network.add(seed, &Config { cipher, ..Config::default() }));
        let now = network.now();
        let topics = [0, 1].map(|side| network.nodes[side].join(now, TOPIC, None, Modes::default()).expect("joined"));
        network.nodes[0].connect(now, &addr(1).to_string(), None, None, 1).expect("dials");
        let mut pair = Pair {
            messages: Default::default(),
            datagrams: Default::default(),
            streams: Default::default(),
            network,
            peers: [None, None],
            topics,
        };
        pair.run_until("connected", |pair| pair.peers.iter().all(Option::is_some));
        pair
    }

    /// All datagrams so far.
    pub fn record(&self) -> &[Recorded] {
        &self.network.record
    }

    pub fn info(&self, side: usize) -> &PeerInfo {
        self.peers[side].as_ref().expect("connected")
    }

    /// A side sends a message, and the other one gets it.
    pub fn send(&mut self, side: usize, data: Vec<u8>) {
        self.patiently(|pair, now, peer| pair.network.nodes[side].send(now, peer, data.clone(), 0), side);
        self.run_until("a message", |pair| pair.messages[1 - side].last() == Some(&data));
    }

    pub fn broadcast(&mut self, side: usize, data: Vec<u8>) {
        let topic = self.topics[side];
        self.patiently(|pair, now, _| pair.network.nodes[side].broadcast_topic(now, topic, &data), side);
        self.run_until("a broadcast", |pair| pair.messages[1 - side].last() == Some(&data));
    }

    pub fn send_datagram(&mut self, side: usize, data: Vec<u8>) {
        self.patiently(|pair, _, peer| pair.network.nodes[side].send_datagram(peer, &data), side);
        self.run_until("a datagram", |pair| pair.datagrams[1 - side].last() == Some(&data));
    }

    pub fn send_stream(&mut self, side: usize, data: Vec<u8>) {
        let stream = self.patiently(|pair, _, peer| pair.network.nodes[side].open_stream(peer), side);
        let mut rest = &data[..];
        while !rest.is_empty() {
            let taken = self.patiently(|pair, _, _| pair.network.nodes[side].write_stream(stream, rest), side);
            rest = &rest[taken..];
        }
        self.patiently(|pair, _, _| pair.network.nodes[side].finish_stream(stream), side);
        self.run_until("a stream", |pair| pair.streams[1 - side].values().any(|got| *got == data));
    }

    /// Lets some time pass.
    pub fn rest(&mut self, time: Duration) {
        let until = self.network.at + time;
        while self.network.at < until {
            self.step(until);
        }
    }

    /// Calls again as long as there is no room.
    fn patiently<T>(&mut self, mut call: impl FnMut(&mut Pair, Now, PeerId) -> Result<T>, side: usize) -> T {
        let until = self.network.at + Duration::from_secs(60);
        loop {
            let (now, peer) = (self.network.now(), self.info(side).id);
            match call(self, now, peer) {
                Ok(result) => return result,
                Err(error) if error.code == Code::WouldBlock && self.network.at < until => self.step(until),
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    fn run_until(&mut self, what: &str, is_done: impl Fn(&Pair) -> bool) {
        let until = self.network.at + Duration::from_secs(60);
        while !is_done(self) {
            assert!(self.network.at < until, "not within a minute: {what}");
            self.step(until);
        }
    }

    fn step(&mut self, until: Duration) {
        self.network.step(until);
        for side in 0..2 {
            while let Some(event) = self.network.events[side].pop_front() {
                self.event(side, event);
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
                let _ = self.network.nodes[side].read_stream(stream, usize::MAX, |bytes| got.extend_from_slice(&bytes));
            }
            Event::Disconnection { reason, .. } => panic!("disconnected: {reason}"),
            _ => {}
        }
    }
}
