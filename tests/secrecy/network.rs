//! Nodes under virtual time, and a network on which somebody sits who records, drops, changes and redirects.

use setowire::Config;
use setowire::crypto::identity::Identity;
use setowire::node::{Datagrams, Event, LocalPorts, Node, Now, Output, Via};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const LATENCY: Duration = Duration::from_millis(5);
const DAY: u64 = 1_795_000_000_000_000;

/// A datagram, whether or not it arrived.
pub struct Recorded {
    pub from: usize,
    pub bytes: Vec<u8>,
}

/// What becomes of a datagram: which node gets it, from which address.
pub type Route = fn(&mut Recorded) -> Option<(usize, SocketAddr)>;

pub struct Network {
    pub nodes: Vec<Node>,
    /// What applications were told and have not looked at.
    pub events: Vec<VecDeque<Event>>,
    pub record: Vec<Recorded>,
    pub at: Duration,
    route: Route,
    flying: VecDeque<(Duration, usize, SocketAddr, Vec<u8>)>,
    start: Instant,
}

/// The address of a node, as far as others know.
pub fn addr(node: usize) -> SocketAddr {
    SocketAddr::new([10, 0, 0, node as u8 + 1].into(), 4_000)
}

impl Network {
    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    pub fn new(route: Route) -> Network {
        Network {
            nodes: Vec::new(),
            events: Vec::new(),
            record: Vec::new(),
            at: Duration::ZERO,
            route,
            flying: VecDeque::new(),
            start: Instant::now(),
        }
    }

    /// One more node. With the same seed all is the same each time but what the system's chance brings.
    pub fn add(&mut self, seed: [u8; 32], config: &Config) {
        let n = self.nodes.len();
        let config = Config { seed: Some(seed.into()), lan: false, ..config.clone() };
        let ports = LocalPorts { v4: Some(addr(n).port()), v6: None };
        let node = Node::new(&config, Identity::from_seed(&seed), ports, [n as u8; 32], self.now());
        self.nodes.push(node.expect("a node"));
        self.events.push(VecDeque::new());
    }

    pub fn now(&self) -> Now {
        Now { mono: self.start + self.at, unix_us: DAY + self.at.as_micros() as u64 }
    }

    /// Goes to the next thing that happens.
    pub fn step(&mut self, until: Duration) {
        self.drain();
        let due = self.nodes.iter().filter_map(Node::poll_deadline).map(|at| at.saturating_duration_since(self.start));
        let next = due.chain(self.flying.front().map(|(at, ..)| *at)).fold(until, Duration::min);
        self.at = self.at.max(next);
        while self.flying.front().is_some_and(|(at, ..)| *at <= self.at)
            && let Some((_, to, from, bytes)) = self.flying.pop_front()
        {
            let now = self.now();
            self.nodes[to].handle_datagrams(now, Datagrams::one(Via::Main, from, &bytes));
            self.drain();
        }
        let now = self.now();
        self.nodes.iter_mut().for_each(|node| node.handle_timeout(now));
        self.drain();
    }

    fn drain(&mut self) {
        let now = self.now();
        for (from, node) in self.nodes.iter_mut().enumerate() {
            while let Some(output) = node.poll_output(now) {
                if let Output::Event(event) = output {
                    self.events[from].push_back(event);
                }
            }
            while let Some(transmit) = node.poll_transmit(now, true) {
                for bytes in transmit.datagrams() {
                    let mut datagram = Recorded { from, bytes: bytes.to_vec() };
                    if let Some((to, seen_from)) = (self.route)(&mut datagram) {
                        self.flying.push_back((self.at + LATENCY, to, seen_from, datagram.bytes.clone()));
                    }
                    self.record.push(datagram);
                }
            }
        }
    }
}

/// QUIC, or a frame of ours beside it.
pub fn is_modern(datagram: &[u8]) -> bool {
    matches!(datagram[0], 0x40..=0x7f | 0xa3..=0xff)
}
