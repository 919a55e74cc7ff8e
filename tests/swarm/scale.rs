//! Many topics in one swarm, and many peers on one topic: what it costs, and that it grows no faster than they do.
//!
//! The sizes that are run by default fit a debug build; `SETOWIRE_SWARM_SCALE=1000` runs 250, 500 and 1,000. Figures are
//! printed by `cargo test --release --test swarm scale -- --nocapture`.

use crate::bed::*;
use crate::memory;
use setowire::config::swarm::Preset;
use std::time::{Duration, Instant};

/// What one world came to, per node where it says so.
#[derive(Debug)]
struct Figures {
    size: usize,
    /// Until the last one had what it was to have.
    joined: Duration,
    connections: usize,
    datagrams: u64,
    kilobytes: u64,
    /// Held by nodes, sessions and their TLS, at the end.
    held: usize,
    real: Duration,
}

impl Figures {
    fn print(&self, what: &str, nodes: usize) {
        let per = |n: u64| n / nodes as u64;
        println!(
            "{what} {}: joined in {:.2} s, {} connections; per node {} datagrams, {} KB sent, {} KB held; {:.1} s of real time",
            self.size,
            self.joined.as_secs_f64(),
            self.connections,
            per(self.datagrams),
            per(self.kilobytes),
            self.held / 1_024 / nodes,
            self.real.as_secs_f64()
        );
    }
}

/// The sizes of a test: those that the environment says, or small ones.
fn sizes(usual: [usize; 2]) -> Vec<usize> {
    let largest = std::env::var("SETOWIRE_SWARM_SCALE").ok().map(|text| text.parse::<usize>().expect("a number"));
    largest.map_or(usual.to_vec(), |largest| vec![largest / 4, largest / 2, largest])
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is a figure")]
fn real() -> Instant {
    Instant::now()
}

/// One swarm, three others: all have joined the same topics.
fn topics(count: usize) -> Figures {
    let (began, before) = (real(), memory::held());
    let mut bed = Bed::new(1);
    bed.careful = false;
    let all = bed.add_many(4, &config(Preset::Setowire));
    let name = |n: usize| {
        let mut name = [0x70; 32];
        name[..8].copy_from_slice(&(n as u64).to_be_bytes());
        name
    };
    for who in &all {
        for n in 0..count {
            bed.join(*who, name(n), BOTH);
        }
    }
    for who in &all {
        assert!(bed.flush(*who));
    }
    // Every topic is known to be shared, and each peer by every topic.
    let whole = |bed: &Bed| {
        all.iter().all(|who| {
            let node = bed.node(*who);
            let shared = |peer: &setowire::node::PeerId| node.peer_info(*peer).map_or(0, |info| info.topics.len());
            node.peers().len() == 3 && node.peers().iter().all(|peer| shared(peer) == count)
        })
    };
    while !whole(&bed) {
        bed.run(ms(100));
        assert!(bed.now < PATIENCE, "{count} topics are shared");
    }
    let joined = bed.now;
    let connections = all.iter().map(|who| bed.seats[*who].open.len()).sum::<usize>() / 2;
    assert_eq!(connections, 6, "one for each two, whatever they share");
    let figures = Figures {
        size: count,
        joined,
        connections,
        datagrams: bed.sent.0,
        kilobytes: bed.sent.1 / 1_024,
        held: memory::held().saturating_sub(before),
        real: began.elapsed(),
    };
    // Two more rounds of each, and all is taken back.
    let rounds = bed.hub.log.len();
    bed.run(Duration::from_secs(1_300));
    assert!(bed.hub.log.len() - rounds <= 3 * 4 * (count + 1));
    for who in &all {
        for n in 0..count {
            bed.leave(*who, name(n));
        }
        assert!(bed.flush(*who));
        assert_eq!(bed.node(*who).swarm_status().queued, 0);
    }
    bed.run(ms(1_000));
    assert!(all.iter().all(|who| bed.hub.announced(&bed.key(*who)) == 1), "their keys alone");
    figures
}

/// So many swarms on one topic, joined one after the other within two seconds.
fn peers(count: usize) -> Figures {
    let (began, before) = (real(), memory::held());
    let mut bed = Bed::new(2);
    bed.careful = false;
    let all = bed.add_many(count, &config(Preset::Setowire));
    let pause = Duration::from_secs(2) / count as u32;
    for who in &all {
        bed.join(*who, topic(1), BOTH);
        bed.run(pause);
    }
    // Up to 75 are connected to each other. Of more, who comes last has what is kept for those who dial; all are one graph.
    let wanted = if count <= 75 { count - 1 } else { 25 };
    let enough =
        |bed: &Bed| all.iter().all(|who| bed.seats[*who].open.len() >= wanted && bed.held(*who, "attempts") == 0);
    while !enough(&bed) {
        bed.run(ms(250));
        assert!(bed.now < PATIENCE, "{count} peers are connected");
    }
    let joined = bed.now;
    for who in &all {
        assert!(bed.seats[*who].open.len() <= 100, "never more than max_peers");
        assert!(bed.node(*who).swarm_status().known <= count);
    }
    assert_eq!(reached(&bed, &all), count, "everyone is reached by way of others");
    let connections = all.iter().map(|who| bed.seats[*who].open.len()).sum::<usize>() / 2;
    Figures {
        size: count,
        joined,
        connections,
        datagrams: bed.sent.0,
        kilobytes: bed.sent.1 / 1_024,
        held: memory::held().saturating_sub(before),
        real: began.elapsed(),
    }
}

/// How many the first one reaches over connections.
fn reached(bed: &Bed, all: &[usize]) -> usize {
    let by_key: std::collections::BTreeMap<[u8; 32], usize> = all.iter().map(|who| (bed.key(*who), *who)).collect();
    let (mut seen, mut next) = (std::collections::BTreeSet::from([all[0]]), vec![all[0]]);
    while let Some(who) = next.pop() {
        for key in bed.connected(who) {
            if seen.insert(by_key[&key]) {
                next.push(by_key[&key]);
            }
        }
    }
    seen.len()
}

/// Twice the size costs a node at most so much more than twice.
fn assert_no_more_than_linear(figures: &[Figures], per_node: impl Fn(&Figures) -> f64, what: &str) {
    for pair in figures.windows(2) {
        let (less, more) = (per_node(&pair[0]), per_node(&pair[1]));
        let growth = pair[1].size as f64 / pair[0].size as f64;
        assert!(more <= less * growth * 1.3 + 1.0, "{what}: {less} at {}, {more} at {}", pair[0].size, pair[1].size);
    }
}

#[test]
fn scale_of_topics() {
    let run = |size| {
        let figures = topics(size);
        figures.print("topics", 4);
        figures
    };
    let figures: Vec<Figures> = sizes([60, 120]).into_iter().map(run).collect();
    assert_no_more_than_linear(&figures, |figures| figures.datagrams as f64, "datagrams");
    assert_no_more_than_linear(&figures, |figures| figures.kilobytes as f64, "bytes sent");
    assert_no_more_than_linear(&figures, |figures| figures.held as f64, "bytes held");
}

#[test]
fn scale_of_peers() {
    let run = |size| {
        let figures = peers(size);
        figures.print("peers", size);
        figures
    };
    let figures: Vec<Figures> = sizes([12, 24]).into_iter().map(run).collect();
    let per_node = |n: f64, figures: &Figures| n / figures.size as f64;
    assert_no_more_than_linear(&figures, |f| per_node(f.datagrams as f64, f), "datagrams of a node");
    assert_no_more_than_linear(&figures, |f| per_node(f.kilobytes as f64, f), "bytes sent of a node");
    assert_no_more_than_linear(&figures, |f| per_node(f.held as f64, f), "bytes held of a node");
}

/// More members than one has places for: those who join last find places with those who joined before, and all are one
/// graph, so that a broadcast reaches everyone.
#[test]
fn a_topic_with_more_members_than_places_is_one_graph() {
    for seed in 0..5 {
        let mut bed = Bed::new(seed);
        let mut options = config(Preset::Setowire);
        options.swarm.max_peers = 8;
        let mut all = Vec::new();
        for _ in 0..40 {
            let who = bed.add(&options);
            bed.join_flushed(who, topic(1), BOTH);
            all.push(who);
        }
        bed.run(ms(30_000));
        assert_eq!(reached(&bed, &all), 40, "seed {seed}");
        assert!(all.iter().all(|who| (1..=8).contains(&bed.seats[*who].open.len())));
    }
}
