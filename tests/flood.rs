//! Floods of datagrams from made-up addresses, 10,000 a second under virtual time: the
//! node's memory stays small, no more bytes leave than came, and an honest peer far away still
//! connects, whoever of the two dials; a hundred honest peers come in during floods of first packets. Prints what a
//! datagram costs; `SETOWIRE_FLOOD=100000` sends so many of each kind.

#[path = "common/peak_alloc.rs"]
mod peak_alloc;

use peak_alloc::{PeakAlloc, peak_of};
use setowire::Config;
use setowire::config::Cipher;
use setowire::crypto::identity::{Identity, V12Keys};
use setowire::crypto::tls::{SERVER_NAME, Tls};
use setowire::node::{Datagrams, LocalPorts, Node, Now, Via};
use setowire::wire::v13::Probe;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Datagrams of a flood, if the environment does not say.
const DATAGRAMS: u32 = 20_000;
/// Between two of them.
const GAP: Duration = Duration::from_micros(100);
/// One way between the node and the honest peer.
const LATENCY: Duration = Duration::from_millis(40);
/// What the tables of strangers, budgets and rates may hold together, beyond what the honest connection takes.
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

/// First packets of QUIC connections, of which each needs a key derivation at least.
fn initial(n: u32) -> Vec<u8> {
    static MADE: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let made = MADE.get_or_init(|| (0..200).map(|_| make_initial()).collect());
    made[n as usize % made.len()].clone()
}

#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
fn make_initial() -> Vec<u8> {
    let tls = Tls::new(&Identity::from_seed(&[3; 32]), Cipher::default()).expect("the suites exist");
    let mut endpoint = quinn_proto::Endpoint::new(Arc::default(), None, true, None);
    let to = SocketAddr::from(([192, 0, 2, 1], 4_000));
    let config = quinn_proto::ClientConfig::new(tls.client(None));
    let (_, mut connection) = endpoint.connect(Instant::now(), config, to, SERVER_NAME).expect("an address");
    let mut bytes = Vec::new();
    let sent = connection.poll_transmit(Instant::now(), 1, &mut bytes).expect("the first packet");
    bytes.truncate(sent.size);
    bytes
}

fn probe(n: u32) -> Vec<u8> {
    let nonce = std::array::from_fn(|i| n.to_be_bytes()[i % 4]);
    Probe { nonce, target: [0; 16] }.encode().to_vec()
}

const KINDS: [(&str, Frames); 11] = [
    ("PROBE", |n, _| probe(n)),
    ("QUIC Initial", |n, _| initial(n)),
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
    nodes: Vec<Node>,
    addrs: Vec<SocketAddr>,
    /// When, a number; from whom, to whom, what.
    wire: BTreeMap<(Duration, u64), (usize, usize, Vec<u8>)>,
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
        let mut bed = Bed {
            start,
            at: Duration::ZERO,
            nodes: Vec::new(),
            addrs: Vec::new(),
            wire: BTreeMap::new(),
            sent: 0,
            answered: 0,
        };
        assert_eq!((bed.add(now), bed.add(now)), (US, HONEST));
        bed
    }

    /// One more node; its number.
    fn add(&mut self, now: Now) -> usize {
        let n = self.nodes.len() as u8 + 1;
        let ports = LocalPorts { v4: Some(4_000), v6: None };
        let node = Node::new(&Config::default(), Identity::from_seed(&[n; 32]), ports, [n; 32], now);
        self.nodes.push(node.expect("a valid configuration"));
        self.addrs.push(SocketAddr::from(([192, 0, 2, n], 4_000)));
        usize::from(n - 1)
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
                    for datagram in transmit.datagrams() {
                        self.sent += 1;
                        self.wire.insert((self.at + LATENCY, self.sent), (node, to, datagram.to_vec()));
                    }
                }
                None => self.answered += transmit.bytes.len(),
            }
            self.nodes[node].recycle(transmit.bytes);
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
                    let Some((_, (from, to, bytes))) = self.wire.pop_first() else { return };
                    self.inject(to, self.addrs[from], &bytes);
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

    fn dial(&mut self, from: usize, to: usize) {
        let (now, to) = (self.now(), self.addrs[to].to_string());
        self.nodes[from].connect(now, &to, None, None, 0).expect("room for one operation");
        self.drain(from);
    }
}

/// A made-up source.
fn source(n: u32) -> SocketAddr {
    let ip = Ipv4Addr::from((n / 2).wrapping_mul(2_654_435_761) | 1);
    SocketAddr::from((ip, 1_024 + (n / 2) as u16 % 60_000))
}

/// What two nodes and their connection hold without any flood.
fn quiet_peak() -> usize {
    peak_of(|| {
        let mut bed = Bed::new();
        bed.dial(HONEST, US);
        bed.run_to(Duration::from_secs(1));
        assert!(bed.meet());
    })
}

/// Sends a flood to the node while one of the two dials the other; prints figures, asserts bounds.
#[expect(clippy::disallowed_methods, reason = "the cost is printed, never asserted")]
fn flood(name: &str, frames: Frames, dials: usize, datagrams: u32) {
    let keys: Vec<V12Keys> = (0..5_000u32).map(|n| V12Keys::from_seed(&n.to_be_bytes())).collect();
    // Made before anything is counted.
    frames(0, &keys[0]);
    let (mut came, mut met, mut cost) = (0, None, Duration::ZERO);
    let quiet = quiet_peak();
    let mut bed = None;
    let peak = peak_of(|| {
        let bed = bed.insert(Bed::new());
        for n in 0..datagrams {
            bed.run_to(GAP * n);
            if n == datagrams / 2 {
                bed.dial(dials, 1 - dials);
            }
            let bytes = frames(n, &keys[n as usize / 2 % keys.len()]);
            came += bytes.len();
            let before = Instant::now();
            bed.inject(US, source(n), &bytes);
            cost += before.elapsed();
            met = met.or_else(|| bed.meet().then(|| bed.at - GAP * (datagrams / 2)));
        }
    });
    let peak = peak.saturating_sub(quiet);
    let mut bed = bed.expect("it was made");
    bed.run_to(GAP * datagrams + Duration::from_secs(30));
    let stats = bed.nodes[US].stats();
    let direction = if dials == US { "out" } else { "in" };
    println!(
        "{name:16} {direction:3} met after {met:?}, {} ns each, {peak} bytes more than without, {} B in, {} B out",
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

/// First packets from made-up addresses, while one honest peer after the other dials us.
#[test]
fn honest_peers_come_in_during_floods_of_first_packets() {
    const PEERS: u32 = 100;
    let datagrams = std::env::var("SETOWIRE_FLOOD").map_or(DATAGRAMS, |text| text.parse().expect("a number"));
    let keys: Vec<V12Keys> = (0..5_000u32).map(|n| V12Keys::from_seed(&n.to_be_bytes())).collect();
    for (name, frames) in KINDS.into_iter().filter(|(name, _)| ["PROBE", "HELLO", "QUIC Initial"].contains(name)) {
        let mut bed = Bed::new();
        let mut came = 0;
        for n in 0..datagrams {
            bed.run_to(GAP * n);
            if n % (datagrams / PEERS).max(1) == 0 {
                let (now, peers) = (bed.now(), bed.nodes.len());
                let dialler = if peers - HONEST < PEERS as usize { bed.add(now) } else { continue };
                bed.dial(dialler, US);
            }
            let bytes = frames(n, &keys[n as usize % keys.len()]);
            came += bytes.len();
            bed.inject(US, source(2 * n), &bytes);
        }
        bed.run_to(GAP * datagrams + Duration::from_secs(1));
        let dialled = bed.nodes.len() - HONEST - 1;
        let met = bed.nodes[HONEST + 1..].iter().filter(|node| node.stats().peers > 0).count();
        println!("{name:16} {met} of {dialled} honest peers connected, {} B out for {came} B in", bed.answered);
        assert!(met * 100 >= dialled * 99, "{name}: {met} of {dialled} connected");
        assert!(bed.answered <= came, "{name}: {} bytes out for {came} in", bed.answered);
    }
}
