//! A whole node, fed with a script of datagrams, time steps and application calls.
//!
//! In: bytes, read as steps (a kind, then what it needs); what is missing is zero. Out:
//! nothing; a panic is a broken promise. Promised: no input panics, every table stays
//! within its limit, one input is answered by a bounded number of bytes, timers do not spin, and
//! the node's end is clean. The node's identity and randomness are fixed, and so are those
//! of seven peers for whom a script can shake hands and seal frames, so that a
//! fuzzer gets past ids and keys. Datagrams of the simulator can be replayed as they are.

use super::manage;
use crate::config::swarm::SwarmOptions;
use crate::config::{Config, limits};
use crate::crypto::identity::{Identity, V12Keys};
use crate::crypto::v12::{SessionKeys, join_nonce};
use crate::node::{Datagrams, LanInterface, LocalPorts, Modes, Node, Now, Output, PeerId, Stats, Via, Whom};
use crate::wire::handshake::Hello;
use crate::wire::ping;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Steps of one script; the rest is not read.
const STEPS: usize = 4_096;
/// Timer calls for one step of time.
const WAKES: usize = 4_096;
/// Datagrams and bytes in answer to one call: a burst to every peer and a beacon on every interface and topic fit.
const OUT_DATAGRAMS: usize = 16_384;
const OUT_BYTES: usize = 32 << 20;
/// The identity of the node: the seed is 32 times this byte.
pub const NODE_SEED: [u8; 32] = [7; 32];
/// The topic it joins.
pub const TOPIC: [u8; 32] = [0x5e; 32];
const PEERS: u8 = 7;

/// Kinds of steps; the simulator writes scripts with them.
pub mod step {
    /// Address number, length u16, bytes: a datagram on the main socket.
    pub const DATAGRAM: u8 = 0;
    /// Address number, length u16, bytes: a datagram on the multicast socket.
    pub const BEACON: u8 = 1;
    /// Milliseconds u16.
    pub const TIME: u8 = 2;
    pub const SEND: u8 = 3;
    pub const BROADCAST: u8 = 4;
    pub const CONNECT: u8 = 5;
    pub const CLOSE_PEER: u8 = 6;
    pub const JOIN: u8 = 7;
    pub const LEAVE: u8 = 8;
    pub const INTERFACES: u8 = 9;
    pub const ACCEPTING: u8 = 10;
    pub const HELLO: u8 = 11;
    pub const PONG: u8 = 12;
    pub const SEALED: u8 = 13;
    pub const RESOLVED: u8 = 14;
    pub const CLOCK: u8 = 15;
    pub const CLOSE: u8 = 16;
    pub const MANAGE: u8 = 17;
    pub const KINDS: u8 = 18;
}

/// Runs a script.
pub fn fuzz_node(data: &[u8]) {
    replay(data);
}

/// What a run may hold: full send buffers, and what they become when one call sends them all.
pub(super) fn memory(_input: usize) -> usize {
    2 * (limits::SEND_BUFFER_TOTAL_BYTES + limits::V12_FRAG_TOTAL_BYTES)
}

/// Runs a script and tells what the node counted.
pub fn replay(data: &[u8]) -> Stats {
    let mut run = Run::new();
    let mut script = Script(data);
    for _ in 0..STEPS {
        let Some(kind) = script.byte() else { break };
        run.step(kind % step::KINDS, &mut script);
        run.check();
    }
    let stats = run.node.stats();
    run.end();
    stats
}

/// The rest of a script.
pub(super) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn u8(&mut self) -> u8 {
        self.byte().unwrap_or(0)
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.u16()).min(self.0.len());
        let (head, rest) = self.0.split_at(len);
        self.0 = rest;
        head
    }
}

/// The node under test and its world.
struct Run {
    node: Node,
    now: Now,
    keys: Vec<(V12Keys, Option<SessionKeys>)>,
    counter: u64,
    last_query: u64,
}

impl Run {
    #[expect(clippy::disallowed_methods, reason = "the base of virtual time; its value changes nothing")]
    fn new() -> Run {
        let now = Now { mono: Instant::now(), unix_us: 1_795_000_000_000_000 };
        let identity = Identity::from_seed(&NODE_SEED);
        let public = *identity.v12().public();
        let keys = (1..=PEERS).map(|n| V12Keys::from_seed(&[n; 32]));
        let keys = keys
            .map(|keys| {
                let session = SessionKeys::derive(&keys, &public);
                (keys, session)
            })
            .collect();
        let ports = LocalPorts { v4: Some(4_000), v6: Some(4_000) };
        let config = Config { swarm: SwarmOptions { max_peers: 5, ..SwarmOptions::default() }, ..Config::default() };
        let node = Node::new(&config, identity, ports, [9; 32], now).expect("the configuration is valid");
        let mut run = Run { node, now, keys, counter: 0, last_query: 0 };
        run.interfaces(3);
        run.node.join(now, TOPIC, None, Modes::default()).expect("the first join works");
        run.drain();
        run
    }

    fn step(&mut self, kind: u8, script: &mut Script<'_>) {
        let now = self.now;
        match kind {
            step::DATAGRAM => {
                let (from, bytes) = (address(script.u8()), script.bytes());
                self.node.handle_datagrams(now, Datagrams::one(Via::Main, from, bytes));
            }
            step::BEACON => {
                let (from, bytes) = (address(script.u8()), script.bytes());
                self.node.handle_datagrams(now, Datagrams::one(Via::Lan { interface: 2 }, from, bytes));
            }
            step::TIME => self.pass(Duration::from_millis(script.u16().into())),
            step::SEND => {
                let (peer, len, tag) = (self.peer(script.u8()), script.u16(), script.u8());
                // Refusals are answers: no such peer, no room, too large.
                drop(self.node.send(now, peer, vec![tag; len.into()], tag.into()));
            }
            step::BROADCAST => drop(self.node.broadcast(now, &vec![1; script.u16().into()])),
            step::CONNECT => {
                let target = match script.u8() {
                    255 => "a.name.example:7000".to_owned(),
                    254 => String::from_utf8_lossy(script.bytes()).into_owned(),
                    n => address(n).to_string(),
                };
                let limit = Some(Duration::from_millis(script.u16().into()));
                drop(self.node.connect(now, &target, None, limit, script.u8().into()));
            }
            step::CLOSE_PEER => {
                let peer = self.peer(script.u8());
                drop(self.node.close_peer(now, peer));
            }
            step::JOIN => drop(self.node.join(now, [script.u8() % 8; 32], None, Modes::default())),
            step::LEAVE => drop(self.node.leave(now, &[script.u8() % 8; 32])),
            step::INTERFACES => self.interfaces(script.u8()),
            step::ACCEPTING => self.node.set_accepting(now, script.u8() & 1 == 1),
            step::HELLO => {
                let (peer, from, ack) = (script.u8(), address(script.u8()), script.u8() & 1 == 1);
                let keys = &self.keys[usize::from(peer % PEERS)].0;
                let hello = Hello { id: keys.wire_id(), key: *keys.public() };
                let frame = if ack { hello.hello_ack() } else { hello.hello() };
                self.node.handle_datagrams(now, Datagrams::one(Via::Main, from, &frame));
            }
            step::PONG => {
                let (peer, from) = (script.u8(), address(script.u8()));
                let frame = ping::encode_pong(self.keys[usize::from(peer % PEERS)].0.id());
                self.node.handle_datagrams(now, Datagrams::one(Via::Main, from, &frame));
            }
            step::SEALED => self.sealed(script),
            step::RESOLVED => {
                let found = (0..script.u8() % 12).map(|n| address(n.wrapping_mul(3))).collect();
                let result = if script.u8() & 1 == 1 { Ok(found) } else { Err("no such name".to_owned()) };
                self.node.handle_resolved(now, self.last_query, result);
            }
            step::CLOCK => self.now.unix_us = u64::from(script.u32()) << 20,
            step::MANAGE => {
                let ids: Vec<Whom> = self.keys.iter().map(|(keys, _)| Whom::Legacy(keys.wire_id())).collect();
                let whom = |n: u8| match n {
                    128.. => Whom::Key([n; 32]),
                    n => ids.get(usize::from(n % PEERS)).copied().unwrap_or(Whom::Key([0; 32])),
                };
                manage::call(&mut self.node, now, script, whom, address);
            }
            step::CLOSE => self.node.close(now, script.u8() & 1 == 1),
            _ => {}
        }
        self.drain();
    }

    /// A DATA frame that one of the peers really sealed.
    fn sealed(&mut self, script: &mut Script<'_>) {
        let (peer, from, sequence) = (script.u8(), address(script.u8()), script.u16());
        // Mostly the next counter, sometimes any.
        self.counter = match script.u8() {
            0 => u64::from(script.u32()),
            step => self.counter.saturating_add(step.into()),
        };
        let payload = script.bytes();
        let Some(session) = &self.keys[usize::from(peer % PEERS)].1 else { return };
        let nonce = join_nonce(session.session_id(), self.counter);
        let Some(body) = session.seal(nonce, sequence.into(), payload) else { return };
        let frame = [&[0x01][..], &nonce, &body].concat();
        self.node.handle_datagrams(self.now, Datagrams::one(Via::Main, from, &frame));
    }

    fn interfaces(&mut self, set: u8) {
        let one = |index: u32| LanInterface {
            index,
            name: format!("eth{index}"),
            v4: if index & 1 == 0 { vec![Ipv4Addr::new(10, 0, 0, index as u8)] } else { Vec::new() },
            v6: index & 1 == 1,
        };
        let list: Vec<LanInterface> = (0..8).filter(|bit| set >> bit & 1 == 1).map(|bit| one(bit + 2)).collect();
        let addresses: Vec<IpAddr> =
            list.iter().flat_map(|interface| interface.v4.iter().copied().map(IpAddr::from)).collect();
        self.node.handle_addresses(self.now, &addresses);
        self.node.handle_interfaces(self.now, &list);
    }

    fn peer(&self, n: u8) -> PeerId {
        let peers = self.node.peers();
        peers.get(usize::from(n)).copied().unwrap_or(PeerId(n.into()))
    }

    /// Lets time pass, with every timer called when it is due.
    fn pass(&mut self, time: Duration) {
        let until = self.now.mono + time;
        for wakes in 0.. {
            assert!(wakes < WAKES, "timers spin: {:?} is due for ever", self.node.poll_deadline());
            let Some(at) = self.node.poll_deadline().filter(|at| *at <= until) else { break };
            self.advance(at.max(self.now.mono));
            self.node.handle_timeout(self.now);
            self.drain();
        }
        self.advance(until);
    }

    fn advance(&mut self, to: Instant) {
        let step = to.saturating_duration_since(self.now.mono);
        self.now.unix_us = self.now.unix_us.saturating_add(step.as_micros() as u64);
        self.now.mono = to;
    }

    /// Takes what one call put out, which has a bound.
    fn drain(&mut self) {
        let (mut datagrams, mut bytes) = (0, 0);
        while let Some(output) = self.node.poll_output(self.now) {
            match output {
                Output::Resolve { query, .. } => self.last_query = query,
                Output::Event(_)
                | Output::Log { .. }
                | Output::Round { .. }
                | Output::CancelRound { .. }
                | Output::Unannounce { .. } => {}
            }
        }
        while let Some(sent) = self.node.poll_transmit(self.now, true) {
            datagrams += sent.count();
            bytes += sent.bytes.len();
            assert!(!sent.bytes.is_empty() && sent.bytes.len() <= 65_507, "{} bytes", sent.bytes.len());
        }
        assert!(datagrams <= OUT_DATAGRAMS && bytes <= OUT_BYTES, "{datagrams} datagrams of {bytes} bytes at once");
    }

    /// Every table within its limit.
    fn check(&self) {
        let stats = self.node.stats();
        assert!(stats.peers <= 5, "{stats:?}");
        assert!(stats.unconfirmed <= limits::UNCONFIRMED_MAX as u64, "{stats:?}");
        assert!(stats.dials <= limits::DIALS_MAX as u64, "{stats:?}");
        assert!(stats.ops <= limits::OPS_MAX as u64, "{stats:?}");
        assert!(stats.topics <= limits::TOPICS_MAX as u64, "{stats:?}");
        assert!(stats.buffered_bytes <= limits::SEND_BUFFER_TOTAL_BYTES as u64, "{stats:?}");
        let reassembly = limits::V12_FRAG_TOTAL_BYTES + 5 * limits::JITTER_MAX_BYTES;
        assert!(stats.reassembly_bytes <= reassembly as u64, "{stats:?}");
    }

    /// Closes the node; it must come to its end.
    fn end(&mut self) {
        self.node.close(self.now, false);
        self.drain();
        self.pass(limits::CLOSE_DEADLINE + Duration::from_secs(1));
        assert!(self.node.is_closed(), "close did not end");
        assert_eq!(self.node.peers(), []);
    }
}

/// Addresses by number: several ports on a few IPv4 and IPv6 hosts.
pub fn address(n: u8) -> SocketAddr {
    let port = 5_000 + u16::from(n & 3);
    match n >> 6 {
        3 => SocketAddr::new(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::from(n >> 2 & 15)).into(), port),
        _ => SocketAddr::new(Ipv4Addr::new(10, 0, 0, n >> 2).into(), port),
    }
}
