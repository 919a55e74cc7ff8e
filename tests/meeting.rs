//! The main job on real sockets, over loopback: two swarms of this process find each other and talk.

use setowire::node::{Modes, PeerId, Topic};
use setowire::{Config, Swarm, event::Record, event::kind};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

fn swarm(change: impl FnOnce(&mut Config)) -> Swarm {
    let mut config = Config::default();
    config.set_lan_interfaces("lo").unwrap();
    change(&mut config);
    Swarm::new(config).unwrap()
}

/// A topic of its own for each test, so that tests that run side by side do not meet.
fn topic(name: &str) -> Topic {
    let mut topic = [0; 32];
    topic[..name.len()].copy_from_slice(name.as_bytes());
    topic[28..].copy_from_slice(&std::process::id().to_be_bytes());
    topic
}

/// The next event of a kind; others are passed over.
#[allow(clippy::disallowed_methods)]
fn next(swarm: &Swarm, wanted: u16) -> Record {
    let end = Instant::now() + DEADLINE;
    loop {
        while let Some(record) = swarm.events().next().unwrap() {
            if record.kind == wanted {
                return record;
            }
        }
        let left = end.saturating_duration_since(Instant::now());
        assert!(!left.is_zero() && swarm.events().wait(Some(left)).unwrap(), "no event of kind {wanted} came");
    }
}

fn connection(swarm: &Swarm) -> PeerId {
    PeerId(next(swarm, kind::CONNECTION).subject)
}

#[test]
fn met_by_beacon_messages_go_both_ways_and_a_leave_is_noticed() {
    let topic = topic("met_by_beacon");
    let (a, b) = (swarm(|_| ()), swarm(|_| ()));
    a.join(topic, None, Modes::default()).unwrap();
    b.join(topic, None, Modes::default()).unwrap();
    let (to_b, to_a) = (connection(&a), connection(&b));
    for len in [1, 100, 1_200, 5_000, 60_000] {
        let message: Vec<u8> = (0..len).map(|n| (n * 7 + len) as u8).collect();
        a.send(to_b, message.clone(), 0).unwrap();
        assert_eq!(next(&b, kind::MESSAGE).data[..], message[..]);
        b.send(to_a, message.clone(), 0).unwrap();
        assert_eq!(next(&a, kind::MESSAGE).data[..], message[..]);
    }
    assert_eq!(a.broadcast(b"to all").unwrap(), 1);
    assert_eq!(next(&b, kind::MESSAGE).data[..], b"to all"[..]);
    assert!(a.peer_info(to_b).unwrap().confirmed);
    b.close();
    assert_eq!(next(&a, kind::DISCONNECTION).subject, to_b.0);
    a.close();
}

#[test]
fn dialled_by_address_over_both_families() {
    for host in ["127.0.0.1", "[::1]"] {
        let a = swarm(|config| config.lan = false);
        let b = swarm(|config| config.lan = false);
        let ports = b.info().ports;
        let port = if host.starts_with('[') { ports.v6 } else { ports.v4 }.expect("both families are there");
        a.connect(&format!("{host}:{port}"), None, None, 42).unwrap();
        let done = next(&a, kind::OP_DONE);
        assert_eq!((done.tag, done.code), (42, 0));
        let to_a = connection(&b);
        b.send(to_a, b"welcome".to_vec(), 7).unwrap();
        assert_eq!(next(&b, kind::OP_DONE).tag, 7);
        assert_eq!(next(&a, kind::MESSAGE).data[..], b"welcome"[..]);
    }
}
