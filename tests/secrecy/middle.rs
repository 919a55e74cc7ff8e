//! A man in the middle: he ends the connections of both sides himself, with a key of his own.
//!
//! Two nodes of his, with one identity, sit between a and b: the first answers a in b's place, the second
//! dials b in a's place. He knows the public topic, and not the secret of the private one.

use crate::network::{Network, Recorded, Route, addr};
use crate::record::{SEEDS, TOPIC};
use setowire::crypto::identity::Identity;
use setowire::node::{Event, Modes, PeerInfo};
use setowire::{Code, Config};
use std::net::SocketAddr;
use std::time::Duration;

const MALLORY: [u8; 32] = [0xee; 32];
const SECRET: [u8; 32] = [0x5e; 32];
const PROBE: u8 = 0xa3;

const A: usize = 0;
const B: usize = 1;
/// His side towards a, and towards b.
const TO_A: usize = 2;
const TO_B: usize = 3;

/// Each gets what is for the other from him, under the other's address.
fn between(datagram: &mut Recorded) -> Option<(usize, SocketAddr)> {
    Some(match datagram.from {
        A => (TO_A, addr(A)),
        B => (TO_B, addr(B)),
        TO_A => (A, addr(B)),
        _ => (B, addr(A)),
    })
}

/// The same, and a PROBE that is for b alone is made to be for anybody.
fn between_with_open_probes(datagram: &mut Recorded) -> Option<(usize, SocketAddr)> {
    if datagram.bytes[0] == PROBE {
        datagram.bytes[18..34].fill(0);
    }
    between(datagram)
}

/// He only watches.
fn aside(datagram: &mut Recorded) -> Option<(usize, SocketAddr)> {
    (datagram.from < TO_A).then(|| (1 - datagram.from, addr(datagram.from)))
}

fn key(seed: &[u8; 32]) -> [u8; 32] {
    Identity::from_seed(seed).key()
}

/// A dials b, who is in a private topic with it; what follows in 20 s.
fn dial(route: Route, pinned: bool) -> Network {
    let mut network = Network::new(route);
    let closed = Config { accept_explicit: false, ..Config::default() };
    for (seed, config) in
        [(SEEDS[A], &closed), (SEEDS[B], &closed), (MALLORY, &Config::default()), (MALLORY, &Config::default())]
    {
        network.add(seed, config);
    }
    let now = network.now();
    for n in [A, B] {
        network.nodes[n].join(now, TOPIC, Some(SECRET), Modes::default()).expect("joined");
    }
    for n in [TO_A, TO_B] {
        network.nodes[n].join(now, TOPIC, None, Modes::default()).expect("joined");
        network.nodes[n].join(now, TOPIC, Some([0; 32]), Modes::default()).expect("joined");
    }
    network.nodes[A].connect(now, &addr(B).to_string(), pinned.then(|| key(&SEEDS[B])), None, 1).expect("dials");
    network.nodes[TO_B].connect(now, &addr(B).to_string(), None, None, 2).expect("dials");
    while network.at < Duration::from_secs(20) {
        network.step(Duration::from_secs(20));
    }
    network
}

/// Whom a node was connected with.
fn met(network: &Network, node: usize) -> Vec<&PeerInfo> {
    let events = network.events[node].iter();
    events.filter_map(|event| if let Event::Connection(info) = event { Some(&**info) } else { None }).collect()
}

/// How the dial of a node ended.
fn outcome(network: &Network, node: usize) -> Option<Code> {
    let done = |event: &Event| match event {
        Event::OpDone { code, .. } => Some(*code),
        _ => None,
    };
    network.events[node].iter().find_map(done).expect("the dial ended")
}

#[test]
fn without_him_they_meet() {
    for pinned in [true, false] {
        let network = dial(aside, pinned);
        assert_eq!(outcome(&network, A), None);
        let [b] = met(&network, A)[..] else { panic!("one peer") };
        assert_eq!((b.key, b.topics.len()), (Some(key(&SEEDS[B])), 1));
        let [a] = met(&network, B)[..] else { panic!("one peer") };
        assert_eq!((a.key, a.topics.len()), (Some(key(&SEEDS[A])), 1));
    }
}

#[test]
fn a_dial_that_names_the_key_does_not_end_at_him() {
    // He is not asked; and if he makes himself asked, his certificate is refused.
    for (route, code) in [(between as Route, Code::Unreachable), (between_with_open_probes, Code::BadKey)] {
        let network = dial(route, true);
        assert_eq!(outcome(&network, A), Some(code));
        assert!(met(&network, A).is_empty() && met(&network, TO_A).is_empty());
        let old_wire = |sent: &&Recorded| sent.from == A && !crate::network::is_modern(&sent.bytes);
        assert_eq!(network.record.iter().filter(old_wire).count(), 0, "and nothing is tried over p2p-v12");
    }
}

#[test]
fn a_dial_that_names_no_key_meets_him_as_himself_and_in_no_topic() {
    let network = dial(between, false);
    let [he] = met(&network, A)[..] else { panic!("one peer") };
    assert_eq!(he.key, Some(key(&MALLORY)), "not b");
    assert!(he.topics.is_empty() && he.explicit, "only because it was dialled by address");
    // b takes nobody without a topic, and he cannot prove one.
    assert_eq!(outcome(&network, TO_B), Some(Code::Refused));
    assert!(met(&network, B).is_empty());
}
