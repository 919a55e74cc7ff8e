//! The test matrix of Hyperswarm 2: topics, peers that are found, connections.
//!
//! Not offered, because what they are about does not exist here (docs/adr/0011):
//! - `ephemeral` default and option, `bootstrap list reaches the DHT`: there is no DHT node of our own yet. The option
//!   `bootstrap` names nodes that are dialled while nobody was met; that is tested in its place.
//! - `plain TCP client can connect to the listener`, `type` tcp or utp, `tcp clears firewalled`, `is_tcp`, the first of two
//!   transports that connects: a session is QUIC or `p2p-v12` over one UDP socket, and `info.type` says which.
//! - `hard limit 2x`, `both listeners counted separately`: there is one listener.
//! - `destroyed` property, `network` property, `join binds automatically; bind failure`: sockets are bound before a node is
//!   there; tests/runtime.rs has the failures.
//! - `join: missing, non-buffer, wrong length key`: a topic has 32 bytes by its type; the C ABI takes a pointer to 32, and
//!   bindings check what they are given.
//! - `without multiplex the same host twice`: topics always share one connection.
//! - LAN queries every 30 s: the LAN source has beacons of its own, docs/protocol.md says when.
//! - `peers behind our own public address`: no source tells what that is; it comes with NAT traversal.

use crate::bed::*;
use crate::hub::Asked;
use setowire::config::swarm::Preset;
use setowire::node::{Event, Modes, RoundKind, Source};
use setowire::{Code, Config};

/// The preset as it is.
fn v2() -> Config {
    Config { lan: false, swarm: setowire::config::swarm::SwarmOptions::of(Preset::V2), ..Config::default() }
}

const UNSAID: Modes = Modes { client: None, server: None, limit: None };
const NEITHER: Modes = Modes { client: Some(false), server: Some(false), limit: None };

/// Keys of the peers that were told as found.
fn candidates(bed: &Bed, who: usize) -> Vec<[u8; 32]> {
    bed.told(who, |event| match event {
        Event::Candidate { candidate, accepted: true } => match candidate.whom {
            setowire::node::Whom::Key(key) => Some(key),
            setowire::node::Whom::Legacy(_) => None,
        },
        _ => None,
    })
}

/// A bed with a server of topic 1, and a node that joined it like this.
fn server_and(modes: Modes) -> (Bed, usize, usize) {
    let mut bed = Bed::new(1);
    let (a, b) = (bed.add(&v2()), bed.add(&v2()));
    assert!(bed.join_flushed(a, topic(1), SERVER));
    bed.join(b, topic(1), modes);
    bed.run(ms(3_000));
    (bed, a, b)
}

/// A bed where b dialled a.
fn connected() -> (Bed, usize, usize) {
    let (bed, a, b) = server_and(CLIENT);
    assert_eq!((bed.connections(a), bed.connections(b)), (1, 1));
    (bed, a, b)
}

#[test]
fn bootstrap_option_is_dialled_when_nobody_was_met() {
    let mut bed = Bed::new(1);
    let a = bed.add(&v2());
    let mut options = v2();
    options.set("bootstrap", &bed.seats[a].addr.to_string()).expect("an address");
    let b = bed.add(&options);
    // Not by the source.
    bed.hub.mood = crate::hub::Mood::Silent;
    bed.join(a, topic(1), SERVER);
    bed.join(b, topic(1), CLIENT);
    bed.run(ms(14_900));
    assert_eq!(bed.connections(b), 0);
    bed.run(ms(1_100));
    assert_eq!(bed.connections(b), 1);
    let peer = bed.peer(b, a).expect("a connection");
    assert_eq!(bed.seats[b].open[&peer].source, Source::Bootstrap);
}

#[test]
fn listening_event() {
    let mut bed = Bed::new(1);
    let (a, b) = (bed.add(&v2()), bed.add(&v2()));
    assert!(!bed.node(a).swarm_status().listening);
    bed.join(a, topic(1), SERVER);
    bed.join(b, topic(1), CLIENT);
    assert!(bed.node(a).swarm_status().listening);
    assert!(!bed.node(b).swarm_status().listening, "who only looks up is not to be found");
    bed.call(b, |node, now| node.listen(now)).expect("it is open");
    assert!(bed.node(b).swarm_status().listening);
}

#[test]
fn join_default_lookup_only() {
    let (bed, a, b) = server_and(UNSAID);
    assert_eq!(bed.hub.rounds_of(b).iter().map(|(_, kind)| *kind).collect::<Vec<_>>(), [RoundKind::Lookup]);
    assert_eq!((bed.hub.announced(&bed.key(b)), candidates(&bed, b)), (0, vec![bed.key(a)]));
}

#[test]
fn join_lookup_only() {
    let (bed, a, b) = server_and(CLIENT);
    assert!(bed.hub.rounds_of(b).iter().all(|(_, kind)| *kind == RoundKind::Lookup));
    assert_eq!((bed.hub.announced(&bed.key(b)), candidates(&bed, b)), (0, vec![bed.key(a)]));
}

#[test]
fn join_announce_only() {
    let (bed, a, b) = server_and(SERVER);
    assert_eq!(bed.hub.rounds_of(b)[0].1, RoundKind::Announce);
    assert_eq!(bed.hub.announced(&bed.key(b)), 2, "the topic, and our key");
    assert!(candidates(&bed, b).is_empty() && bed.node(b).known_peers().is_empty());
    assert_eq!((bed.connections(a), bed.connections(b)), (0, 0));
}

#[test]
fn join_both() {
    let (bed, a, b) = server_and(BOTH);
    assert_eq!((bed.hub.announced(&bed.key(b)), candidates(&bed, b)), (2, vec![bed.key(a)]));
}

#[test]
fn join_neither() {
    let mut bed = Bed::new(1);
    let a = bed.add(&v2());
    bed.join(a, topic(1), CLIENT);
    let error = bed.call(a, |node, now| node.join(now, topic(1), None, NEITHER)).expect_err("neither");
    assert_eq!(error.code, Code::Invalid);
    assert!(error.detail.contains("not as neither"), "{error:?}");
    assert_eq!(bed.node(a).topics().len(), 1, "what was joined stays");
}

#[test]
fn topic_update_is_told() {
    let mut bed = Bed::new(1);
    let a = bed.add(&v2());
    let session = bed.join(a, topic(1), CLIENT);
    bed.run(ms(1_000));
    bed.hub.mood = crate::hub::Mood::Fails;
    assert!(!bed.refresh(a, session, UNSAID));
    let told = bed.told(a, |event| match event {
        Event::TopicUpdated { topic, ok } => Some((*topic, *ok)),
        _ => None,
    });
    assert_eq!(told, [(session, true), (session, false)]);
}

#[test]
fn topic_peer_is_told_as_it_was_found() {
    let mut bed = Bed::new(1);
    let (a, b) = (bed.add(&v2()), bed.add(&v2()));
    bed.join_flushed(a, topic(1), SERVER);
    let session = bed.join(b, topic(1), CLIENT);
    bed.run(ms(1_000));
    let found = bed.told(b, |event| match event {
        Event::Candidate { candidate, .. } => Some(candidate.clone()),
        _ => None,
    });
    let [candidate] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((candidate.whom, candidate.address), (bed.whom(a), Some(bed.seats[a].addr)));
    assert_eq!((candidate.topic, candidate.source, candidate.local), (Some(session), Source::Outside, true));
    // The one that was dialled, and is connected.
    let peer = bed.peer(b, a).expect("a connection");
    assert_eq!(bed.node(b).whom_of(peer), Some(candidate.whom));
}

#[test]
fn leave_destroys_the_topic() {
    let (mut bed, a, b) = server_and(BOTH);
    bed.leave(b, topic(1));
    bed.run(ms(1_000));
    assert!(bed.node(b).topics().is_empty() && bed.node(b).topic_sessions(&topic(1)).is_empty());
    assert_eq!(bed.hub.announced(&bed.key(b)), 1, "our key is still to be found");
    bed.run(ms(1_000_000));
    assert_eq!(crate::topics::rounds(&bed, b).len(), 1, "none follows, of the key alone");
    assert_eq!(bed.seats[a].open.len(), 1, "connections stay");
}

#[test]
fn leave_unknown() {
    let mut bed = Bed::new(1);
    let a = bed.add(&v2());
    let error = bed.call(a, |node, now| node.leave(now, &topic(9))).expect_err("it is not joined");
    assert_eq!(error.code, Code::NotFound);
}

#[test]
fn join_twice_leaves_first() {
    let mut bed = Bed::new(1);
    let a = bed.add(&v2());
    let secret = Some([7; 32]);
    let private = bed.call(a, |node, now| node.join(now, topic(1), secret, CLIENT)).expect("join");
    let first = bed.join(a, topic(1), BOTH);
    bed.run(ms(1_000));
    let second = bed.join(a, topic(1), CLIENT);
    bed.run(ms(1_000));
    assert_eq!(bed.node(a).topics(), [private, second], "the topic with a secret is another one");
    assert!(bed.node(a).topic_info(first).is_err());
    let info = bed.node(a).topic_info(second).expect("joined");
    assert_eq!((info.client_in_all, info.server_in_all, info.announced), (true, false, false));
    let asked = bed.hub.asked_by(a);
    let taken_back = asked.iter().position(|(_, asked)| matches!(asked, Asked::Unannounce { .. }));
    let last = asked.iter().rposition(|(_, asked)| matches!(asked, Asked::Round { kind: RoundKind::Lookup, .. }));
    assert!(taken_back.expect("unannounced") < last.expect("looked up"), "{asked:?}");
}

#[test]
fn connect_peer_direct() {
    let mut bed = Bed::new(1);
    let (a, b) = (bed.add(&v2()), bed.add(&v2()));
    bed.join_flushed(a, topic(1), SERVER);
    let (key, addr) = (bed.key(a), bed.seats[a].addr.to_string());
    let by_address = bed.begin(b, |node, now, tag| node.connect(now, &addr, Some(key), None, tag));
    assert_eq!(bed.finish(b, by_address), None);
    assert_eq!((bed.connections(a), bed.connections(b)), (1, 1));
    bed.close_connection(b, a);
    bed.run(ms(30_000));
    assert_eq!(bed.connections(b), 1, "a dial alone: nobody brings it back");
    let by_key = bed.begin(b, |node, now, tag| node.connect_peer(now, key, None, tag));
    assert_eq!(bed.finish(b, by_key), None);
    assert_eq!(bed.connections(b), 2);
}

#[test]
fn connect_two_peers_via_join() {
    for (first, second) in [(SERVER, CLIENT), (BOTH, CLIENT), (BOTH, BOTH)] {
        let mut bed = Bed::new(3);
        let (a, b) = (bed.add(&v2()), bed.add(&v2()));
        bed.join_flushed(a, topic(1), first);
        bed.join(b, topic(1), second);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(a) == 1 && bed.connections(b) == 1));
        bed.run(ms(3_000));
        assert_eq!((bed.connections(a), bed.connections(b)), (1, 1));
        assert_eq!(candidates(&bed, b), [bed.key(a)], "who was found was dialled");
    }
}

#[test]
fn connection_on_dialling_side() {
    let (bed, a, b) = connected();
    let peer = bed.peer(b, a).expect("a connection");
    let info = &bed.seats[b].open[&peer];
    assert_eq!((info.client, info.key, info.address), (true, Some(bed.key(a)), bed.seats[a].addr));
    let known = bed.known(b, a).expect("known");
    assert_eq!((known.addresses.as_slice(), known.topics.len(), known.client), (&[bed.seats[a].addr][..], 1, true));
}

#[test]
fn connection_on_accepting_side() {
    let (bed, a, b) = connected();
    let peer = bed.peer(a, b).expect("a connection");
    assert!(!bed.seats[a].open[&peer].client);
    let known = bed.known(a, b).expect("known");
    // No peer was found that would belong to it.
    assert_eq!((known.topics.len(), known.client, known.source), (0, false, Source::Incoming));
    assert!(candidates(&bed, a).is_empty());
}

#[test]
fn disconnection_on_both_sides() {
    let (mut bed, a, b) = connected();
    bed.close_connection(b, a);
    assert!(bed.wait(ms(600), |bed| bed.seats[a].open.is_empty() && bed.seats[b].open.is_empty()));
    for (who, client) in [(a, false), (b, true)] {
        let ends = bed.told(who, |event| match event {
            Event::Disconnection { info, .. } => Some(info.client),
            _ => None,
        });
        assert_eq!(ends, [client]);
    }
}

#[test]
fn connections_size() {
    let mut bed = Bed::new(1);
    let (a, b) = (bed.add(&v2()), bed.add(&v2()));
    let sizes = |bed: &Bed| [a, b].map(|who| (bed.node(who).peers().len(), bed.node(who).swarm_status().connections));
    assert_eq!(sizes(&bed), [(0, 0), (0, 0)]);
    bed.join_flushed(a, topic(1), SERVER);
    bed.join(b, topic(1), CLIENT);
    bed.run(ms(1_000));
    assert_eq!(sizes(&bed), [(1, 1), (1, 1)]);
    bed.leave(b, topic(1));
    bed.close_connection(b, a);
    bed.run(ms(1_000));
    assert_eq!(sizes(&bed), [(0, 0), (0, 0)]);
}

#[test]
fn hundred_topics_on_one_connection() {
    let mut bed = Bed::new(1);
    let (a, b) = (bed.add(&v2()), bed.add(&v2()));
    for n in 0..100 {
        bed.join(a, topic(n), SERVER);
    }
    bed.run(ms(5_000));
    for n in 0..100 {
        bed.join(b, topic(n), CLIENT);
    }
    bed.run(ms(30_000));
    assert_eq!((bed.connections(a), bed.connections(b)), (1, 1));
    assert_eq!(bed.known(b, a).expect("known").topics.len(), 100);
    let told = bed.told(b, |event| match event {
        Event::PeerTopic { topic, .. } => Some(*topic),
        _ => None,
    });
    assert_eq!(told.iter().collect::<std::collections::BTreeSet<_>>().len(), 100);
    assert_eq!(told.len(), 100, "each once");
}
