//! Floods of datagrams from made-up addresses, 10,000 a second under virtual time: the
//! node's memory stays small, no more bytes leave than came, and an honest peer far away still
//! connects, whoever of the two dials. Prints what a datagram costs;
//! `SETOWIRE_FLOOD=100000` sends so many of each kind.

#[path = "common/peak_alloc.rs"]
mod peak_alloc;

use peak_alloc::{PeakAlloc, peak_of};
use setowire::Config;
use setowire::crypto::identity::{Identity, V12Keys};
use setowire::node::{Datagrams, LocalPorts, Node, Now, Via};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Datagrams of a flood, if the environment does not say.
const DATAGRAMS: u32 = 20_000;
/// Between two of them.
const GAP: Duration = Duration::from_micros(100);
/// One way between the node and the honest peer.
const LATENCY: Duration = Duration::from_millis(40);
/// What the tables of strangers, budgets and rates may hold together.
const MEMORY: usize = 1 << 20;

type Frames = fn(u32, &V12Keys) -> Vec<u8>;

fn hello(kind: u8, keys: &V12Keys) -> Vec<u8> {
    [&[kind][..], &keys.wire_id(), keys.public()].concat()
}

fn pex(n: u32) -> Vec<u8> {
    let mut frame = vec![0x30, 20];
    for i in 0..20u32 {
        let ip = Ipv4Addr::from(n.wrapping_mul(20).wrapping_add(i) | 0x0800_0000).to_string();
        frame.extend([&[8][..], &[i as u8; 8], &[ip.len() as u8], ip.as_bytes(), &[9, 9]].concat());
    }
    frame
}

const KINDS: [(&str, Frames); 9] = [
    ("HELLO", |_, keys| hello(0xa1, keys)),
    ("HELLO_ACK", |_, keys| hello(0xa2, keys)),
    ("PING", |n, keys| [&[3][..], &n.to_be_bytes(), &[0; 4], keys.id()].concat()),
    ("PONG", |_, keys| [&[4][..], keys.id()].concat()),
    ("DATA", |n, _| [&[1][..], &n.to_be_bytes().repeat(300)].concat()),
    ("FRAG", |n, _| [&[0x0b][..], &n.to_be_bytes().repeat(2), &[0, 0, 0, 9], &[7; 1188]].concat()),
    ("PEX", |n, _| pex(n)),
    ("BATCH of HELLOs", |_, keys| [&[0x13, 30][..], &[&[0, 41][..], &hello(0xa1, keys)].concat().repeat(30)].concat()),
    ("HELLO, then DATA", |n, keys| {
        if n.is_multiple_of(2) { hello(0xa1, keys) } else { [&[1][..], &n.to_be_bytes().repeat(10)].concat() }
    }),
];

/// Two nodes with a wire between them, and nobody else.
struct Bed {
    start: Instant,
    at: Duration,
    nodes: [Node; 2],
    addrs: [SocketAddr; 2],
    wire: BTreeMap<(Duration, u64), (usize, Vec<u8>)>,
    sent: u64,
    answered: usize,
}

const US: usize = 0;
const HONEST: usize = 1;

impl Bed {
    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    fn new() -> Bed {
        let start = Instant::now();
        let now = Now { mono: start, unix_us: 1_795_000_000_000_000 };
        let ports = LocalPorts { v4: Some(4_000), v6: None };
        let make = |n: u8| Node::new(&Config::default(), Identity::from_seed(&[n; 32]), ports, [n; 32], now).unwrap();
        let addr = |n| SocketAddr::from(([192, 0, 2, n], 4_000));
        Bed {
            start,
            at: Duration::ZERO,
            nodes: [make(1), make(2)],
            addrs: [addr(1), addr(2)],
            wire: BTreeMap::new(),
            sent: 0,
            answered: 0,
        }
    }

    fn now(&self) -> Now {
        Now { mono: self.start + self.at, unix_us: 1_795_000_000_000_000 + self.at.as_micros() as u64 }
    }

    fn drain(&mut self, node: usize) {
        let now = self.now();
        while self.nodes[node].poll_output(now).is_some() {}
        while let Some(transmit) = self.nodes[node].poll_transmit(now, true) {
            match self.addrs.iter().position(|addr| *addr == transmit.to) {
                Some(to) => {
                    self.sent += 1;
                    self.wire.insert((self.at + LATENCY, self.sent), (to, transmit.bytes));
                }
                None => self.answered += transmit.bytes.len(),
            }
        }
    }

    fn inject(&mut self, node: usize, from: SocketAddr, bytes: &[u8]) {
        let now = self.now();
        self.nodes[node].handle_datagrams(now, Datagrams::one(Via::Main, from, bytes));
        self.drain(node);
    }

    /// Lets time pass to `until`.
    fn run_to(&mut self, until: Duration) {
        loop {
            let timer = |node: &Node| node.poll_deadline().map(|at| at.saturating_duration_since(self.start));
            let timers = self.nodes.iter().enumerate().filter_map(|(i, node)| Some((timer(node)?, i))).min();
            let packet = self.wire.first_key_value().map(|((at, _), _)| *at);
            match (packet, timers) {
                (Some(at), timer) if at <= until && timer.is_none_or(|(due, _)| at <= due) => {
                    self.at = self.at.max(at);
                    let Some((_, (to, bytes))) = self.wire.pop_first() else { return };
                    self.inject(to, self.addrs[1 - to], &bytes);
                }
                (_, Some((due, node))) if due <= until => {
                    self.at = self.at.max(due);
                    let now = self.now();
                    self.nodes[node].handle_timeout(now);
                    self.drain(node);
                }
                _ => {
                    self.at = until;
                    return;
                }
            }
        }
    }

    fn meet(&self) -> bool {
        self.nodes.iter().all(|node| node.stats().peers > 0)
    }
}

/// Sends a flood to the node while one of the two dials the other; prints figures, asserts bounds.
#[expect(clippy::disallowed_methods, reason = "the cost is printed, never asserted")]
fn flood(name: &str, frames: Frames, dials: usize, datagrams: u32) {
    let keys: Vec<V12Keys> = (0..5_000u32).map(|n| V12Keys::from_seed(&n.to_be_bytes())).collect();
    let mut bed = Bed::new();
    let (mut came, mut met, mut cost) = (0, None, Duration::ZERO);
    let peak = peak_of(|| {
        for n in 0..datagrams {
            bed.run_to(GAP * n);
            if n == datagrams / 2 {
                let (now, to) = (bed.now(), bed.addrs[1 - dials].to_string());
                bed.nodes[dials].connect(now, &to, None, None, 0).expect("room for one operation");
                bed.drain(dials);
            }
            let bytes = frames(n, &keys[n as usize / 2 % keys.len()]);
            came += bytes.len();
            let from = SocketAddr::from((
                Ipv4Addr::from((n / 2).wrapping_mul(2_654_435_761) | 1),
                1_024 + (n / 2) as u16 % 60_000,
            ));
            let before = Instant::now();
            bed.inject(US, from, &bytes);
            cost += before.elapsed();
            met = met.or_else(|| bed.meet().then(|| bed.at - GAP * (datagrams / 2)));
        }
    });
    bed.run_to(GAP * datagrams + Duration::from_secs(30));
    let stats = bed.nodes[US].stats();
    let direction = if dials == US { "out" } else { "in" };
    println!(
        "{name:16} {direction:3} met after {met:?}, {} ns each, {peak} bytes held at most, {} B in, {} B out",
        cost.as_nanos() / u128::from(datagrams),
        came,
        bed.answered
    );
    assert!(met.is_some_and(|after| after <= Duration::from_secs(1)), "{name} {direction}: met after {met:?}");
    assert!(bed.answered <= came, "{name}: {} bytes out for {came} in", bed.answered);
    assert!(peak <= MEMORY, "{name}: {peak} bytes");
    assert_eq!((stats.unconfirmed, stats.dials, stats.reassembly_bytes, stats.peers), (0, 0, 0, 1), "{name}");
}

#[test]
fn floods_from_made_up_addresses_keep_nobody_out_and_cost_little() {
    let datagrams = std::env::var("SETOWIRE_FLOOD").map_or(DATAGRAMS, |text| text.parse().expect("a number"));
    for (name, frames) in KINDS {
        for dials in [US, HONEST] {
            flood(name, frames, dials, datagrams);
        }
    }
}
