//! The swarm on real sockets, over loopback: the rows of the test matrix that are not about time alone.
//!
//! Each test has topics of its own; they run one after another, because all swarms of the machine share the beacons.
//! `SETOWIRE_REAL_RUNS=5` repeats the chaos, `SETOWIRE_REAL_PEERS=200` sets the size of the largest swarm.

use setowire::config::swarm::{Preset, SwarmOptions};
use setowire::event::{Record, kind};
use setowire::node::{Modes, PeerId, Stats, Topic, TopicId, Whom};
use setowire::{Config, Swarm};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(180);
const BOTH: Modes = Modes { client: Some(true), server: Some(true), limit: None };
const SERVER: Modes = Modes { client: Some(false), server: Some(true), limit: None };
const CLIENT: Modes = Modes { client: Some(true), server: Some(false), limit: None };

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A swarm and what its application was told.
struct Seat {
    swarm: Swarm,
    key: [u8; 32],
    open: BTreeMap<PeerId, [u8; 32]>,
    /// Connections that there ever were, by key.
    met: Vec<[u8; 32]>,
    done: BTreeMap<u64, i32>,
    last_tag: u64,
}

impl Seat {
    fn new(options: &SwarmOptions) -> Seat {
        let mut config = Config { swarm: options.clone(), ..Config::default() };
        config.set_lan_interfaces("lo").expect("a name");
        let swarm = Swarm::new(config).expect("sockets");
        let key = swarm.info().key;
        Seat { swarm, key, open: BTreeMap::new(), met: Vec::new(), done: BTreeMap::new(), last_tag: 0 }
    }

    fn join(&self, topic: Topic, modes: Modes) -> TopicId {
        self.swarm.join(topic, None, modes).expect("joined")
    }

    fn tag(&mut self) -> u64 {
        self.last_tag += 1;
        self.last_tag
    }

    fn read(&mut self) {
        while let Some(record) = self.swarm.events().next().expect("not closed") {
            self.take(&record);
        }
    }

    fn take(&mut self, record: &Record) {
        let peer = PeerId(record.subject);
        match record.kind {
            kind::CONNECTION => {
                let key = key_of(record);
                self.met.push(key);
                assert!(self.open.insert(peer, key).is_none(), "a second connection of one id");
            }
            // On a machine with too much to do the old wire comes first, and is left a moment later.
            kind::UPDATE => assert!(self.open.insert(peer, key_of(record)).is_some(), "news of nobody"),
            kind::DISCONNECTION => {
                let told = String::from_utf8_lossy(&record.data);
                assert!(self.open.remove(&peer).is_some(), "an end without a beginning: {told}");
            }
            kind::OP_DONE => drop(self.done.insert(record.tag, record.code)),
            _ => {}
        }
    }

    fn connected(&self) -> BTreeSet<[u8; 32]> {
        self.open.values().copied().collect()
    }
}

/// The key of a peer; zeros while it is known by the old wire alone.
fn key_of(record: &Record) -> [u8; 32] {
    let info: serde_json::Value = serde_json::from_slice(&record.data).expect("JSON");
    let hex = info["key"].as_str().unwrap_or_default().as_bytes();
    let digit = |c: u8| (c as char).to_digit(16).expect("hexadecimal") as u8;
    let mut key = [0; 32];
    key.iter_mut().zip(hex.chunks_exact(2)).for_each(|(byte, pair)| *byte = digit(pair[0]) << 4 | digit(pair[1]));
    key
}

/// Reads all seats until it is so.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "real sockets, real time")]
fn until(seats: &mut [Seat], what: &str, mut so: impl FnMut(&mut [Seat]) -> bool) -> Duration {
    let start = Instant::now();
    loop {
        seats.iter_mut().for_each(Seat::read);
        if so(seats) {
            return start.elapsed();
        }
        assert!(start.elapsed() < PATIENCE, "{what}: {:?}", seats.iter().map(|s| s.met.len()).collect::<Vec<_>>());
        // Something happens at most of them; the first stands for all.
        let _ = seats[0].swarm.events().wait(Some(Duration::from_millis(5)));
    }
}

#[track_caller]
#[expect(clippy::disallowed_methods, reason = "real sockets, real time")]
fn meanwhile(seats: &mut [Seat], time: Duration) {
    let start = Instant::now();
    until(seats, "time goes by", |_| start.elapsed() >= time);
}

#[track_caller]
fn flushed(seats: &mut [Seat], who: usize, topic: TopicId) {
    let tag = seats[who].tag();
    seats[who].swarm.flushed(topic, tag).expect("begun");
    until(seats, "flushed", |seats| seats[who].done.contains_key(&tag));
    assert_eq!(seats[who].done[&tag], 0);
}

#[track_caller]
fn flush(seats: &mut [Seat], who: usize) {
    let tag = seats[who].tag();
    seats[who].swarm.flush(tag).expect("begun");
    until(seats, "flush", |seats| seats[who].done.contains_key(&tag));
    assert_eq!(seats[who].done[&tag], 0);
}

/// A topic of its own for each test and run.
fn topic(name: &str, n: usize) -> Topic {
    let mut topic = [0; 32];
    topic[..name.len()].copy_from_slice(name.as_bytes());
    topic[24..28].copy_from_slice(&(n as u32).to_be_bytes());
    topic[28..].copy_from_slice(&std::process::id().to_be_bytes());
    topic
}

fn options(preset: Preset) -> SwarmOptions {
    let ms = Duration::from_millis;
    SwarmOptions {
        backoffs: Some([ms(100), ms(200), ms(300), ms(400)]),
        jitter: Duration::ZERO,
        ..SwarmOptions::of(preset)
    }
}

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn each_preset(test: impl Fn(&SwarmOptions, usize)) {
    let _alone = alone();
    for (n, preset) in [Preset::Setowire, Preset::V4].into_iter().enumerate() {
        test(&options(preset), n);
    }
}

#[test]
fn first_connection_server_client() {
    each_preset(|options, n| {
        let mut seats = [Seat::new(options), Seat::new(options)];
        let topic = topic("server_client", n);
        let session = seats[0].join(topic, SERVER);
        flushed(&mut seats, 0, session);
        seats[1].join(topic, CLIENT);
        flush(&mut seats, 1);
        until(&mut seats, "both are connected", |seats| seats.iter().all(|seat| seat.open.len() == 1));
        meanwhile(&mut seats, Duration::from_secs(1));
        assert_eq!((seats[0].met.len(), seats[1].met.len()), (1, 1));
    });
}

#[test]
fn first_connection_both_servers() {
    each_preset(|options, n| {
        let mut seats = [Seat::new(options), Seat::new(options)];
        for who in 0..2 {
            let session = seats[who].join(topic("both_servers", n), BOTH);
            flushed(&mut seats, who, session);
        }
        until(&mut seats, "both are connected", |seats| seats.iter().all(|seat| seat.open.len() == 1));
        meanwhile(&mut seats, Duration::from_secs(1));
        assert_eq!((seats[0].met.len(), seats[1].met.len()), (1, 1));
    });
}

#[test]
fn suspend_resume() {
    each_preset(|options, n| {
        let mut seats = [Seat::new(options), Seat::new(options)];
        for seat in &seats {
            seat.join(topic("suspend", n), BOTH);
        }
        until(&mut seats, "both are connected", |seats| seats.iter().all(|seat| seat.open.len() == 1));
        seats[1].swarm.suspend().expect("open");
        until(&mut seats, "both are alone", |seats| seats.iter().all(|seat| seat.open.is_empty()));
        // On a busy machine the second of two dials may have taken the place of the first before.
        let met = (seats[0].met.len(), seats[1].met.len());
        meanwhile(&mut seats, Duration::from_secs(2));
        assert_eq!((seats[0].met.len(), seats[1].met.len()), met, "a suspended swarm is not there");
        seats[1].swarm.resume().expect("open");
        until(&mut seats, "both are connected again", |seats| seats.iter().all(|seat| seat.open.len() == 1));
    });
}

#[test]
fn join_peer_direct() {
    each_preset(|options, _| {
        let mut seats = [Seat::new(options), Seat::new(options)];
        seats[1].swarm.listen().expect("open");
        let key = seats[1].key;
        // No topic, no address: the network is asked for the key.
        seats[0].swarm.join_peer(Whom::Key(key), None).expect("open");
        for round in 1..3 {
            until(&mut seats, "connected", |seats| seats.iter().all(|seat| seat.open.len() == 1));
            assert_eq!((seats[0].met.len(), seats[1].met.len()), (round, round));
            let who = round % 2;
            let peer = *seats[who].open.keys().next().expect("connected");
            seats[who].swarm.close_peer(peer).expect("connected");
            until(&mut seats, "ended", |seats| seats.iter().all(|seat| seat.met.len() > round || seat.open.is_empty()));
        }
    });
}

#[test]
fn many_servers() {
    each_preset(|options, n| {
        let mut seats: Vec<Seat> = (0..10).map(|_| Seat::new(options)).collect();
        let topic = topic("many_servers", n);
        for who in 0..seats.len() {
            let session = seats[who].join(topic, SERVER);
            flushed(&mut seats, who, session);
        }
        for seat in &seats {
            seat.join(topic, BOTH);
        }
        until(&mut seats, "everyone knows everyone", |seats| seats.iter().all(|seat| seat.connected().len() == 9));
    });
}

#[test]
fn chaos() {
    let _alone = alone();
    let ms = Duration::from_millis;
    for run in 0..number("SETOWIRE_REAL_RUNS", 1) {
        let mut chance = 0x9E37_79B9_7F4A_7C15u64.wrapping_mul(run as u64 + 1);
        let mut below = |n: usize| {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (chance >> 33) as usize % n
        };
        let options =
            SwarmOptions { backoffs: Some([ms(100), ms(1_000), ms(10_000), ms(10_000)]), ..options(Preset::V4) };
        let mut seats: Vec<Seat> = (0..10).map(|_| Seat::new(&options)).collect();
        let mut joined: BTreeSet<(usize, usize)> = BTreeSet::new();
        for n in 0..15 {
            for _ in 0..3 {
                let who = below(seats.len());
                if joined.insert((who, n)) {
                    let session = seats[who].join(topic("chaos", run * 100 + n), BOTH);
                    flushed(&mut seats, who, session);
                }
            }
        }
        let shares =
            |a: usize, b: usize| a != b && (0..15).any(|n| joined.contains(&(a, n)) && joined.contains(&(b, n)));
        let keys: Vec<[u8; 32]> = seats.iter().map(|seat| seat.key).collect();
        let expected: Vec<BTreeSet<[u8; 32]>> =
            (0..10).map(|a| (0..10).filter(|b| shares(a, *b)).map(|b| keys[b]).collect()).collect();
        let whole = |seats: &mut [Seat]| seats.iter().zip(&expected).all(|(seat, keys)| seat.connected() == *keys);
        until(&mut seats, "connected to exactly those with a topic in common", whole);
        for _ in 0..30 {
            meanwhile(&mut seats, ms(333));
            let writers = seats.iter().flat_map(|seat| seat.open.keys().map(move |peer| (seat, *peer)));
            // A peer may be about to go.
            writers.for_each(|(seat, peer)| drop(seat.swarm.send(peer, vec![7; 10], 0)));
            let who = below(seats.len());
            let open: Vec<PeerId> = seats[who].open.keys().copied().collect();
            if !open.is_empty() {
                let _ = seats[who].swarm.close_peer(open[below(open.len())]);
            }
        }
        let healed = until(&mut seats, "whole again", whole);
        meanwhile(&mut seats, Duration::from_secs(2));
        assert!(whole(&mut seats), "it stays so");
        println!("run {run}: whole again after {healed:?}");
    }
}

/// A topic with many members in one process, joined one after the other: what joining takes. Up to 75 all of them are
/// connected; of more, each has at least what is kept for those who dial, and all are one graph. Without a pause between the
/// joins (`SETOWIRE_REAL_PAUSE_MS`) so many handshakes come together that a small machine has too much to do.
#[test]
fn one_topic_with_many_peers() {
    let _alone = alone();
    let peers = number("SETOWIRE_REAL_PEERS", 24);
    let options = SwarmOptions::of(Preset::Setowire);
    let mut seats: Vec<Seat> = (0..peers).map(|_| Seat::new(&options)).collect();
    let (memory, cpu) = (resident_kib(), cpu_time());
    let wanted = if peers <= 75 { peers - 1 } else { 25 };
    let pause = Duration::from_millis(number("SETOWIRE_REAL_PAUSE_MS", 0) as u64);
    for who in 0..peers {
        seats[who].join(topic("many_peers", peers), BOTH);
        meanwhile(&mut seats, pause);
    }
    let took = until(&mut seats, "everyone is connected", |seats| {
        seats.iter().all(|seat| seat.connected().len() >= wanted) && reached(seats) == peers
    });
    let cpu = cpu_time().saturating_sub(cpu);
    let stats: Vec<_> = seats.iter().map(|seat| seat.swarm.stats()).collect();
    let per_peer = |figure: fn(&Stats) -> u64| stats.iter().map(figure).sum::<u64>() / peers as u64;
    let connections = seats.iter().map(|seat| seat.connected().len()).sum::<usize>() / 2;
    println!(
        "{peers} peers, one each {pause:?}: {connections} connections, the last {took:?} after the last join; per peer {} datagrams and {} KB sent, {} ms of CPU, {} KiB",
        per_peer(|stats| stats.datagrams_sent),
        per_peer(|stats| stats.bytes_sent) / 1_000,
        cpu.as_millis() / peers as u128,
        resident_kib().saturating_sub(memory) / peers as u64,
    );
    assert!(seats.iter().all(|seat| seat.connected().len() <= options.max_peers));
}

/// How many the first one reaches over connections.
fn reached(seats: &[Seat]) -> usize {
    let connected: BTreeMap<[u8; 32], BTreeSet<[u8; 32]>> =
        seats.iter().map(|seat| (seat.key, seat.connected())).collect();
    let (mut seen, mut next) = (BTreeSet::from([seats[0].key]), vec![seats[0].key]);
    while let Some(key) = next.pop() {
        next.extend(connected.get(&key).into_iter().flatten().filter(|key| seen.insert(**key)).copied());
    }
    seen.remove(&[0; 32]);
    seen.len()
}

/// What the processor spent on this program.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().expect("a number")).sum();
    // Linux tells programs of hundredths of a second, whatever it counts in.
    Duration::from_millis(ticks * 10)
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("resident memory");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}
