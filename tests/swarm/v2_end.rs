//! The test matrix of Hyperswarm 2: deduplication, rounds, flush, what is known of the network, the end.

use crate::bed::*;
use crate::hub::Mood;
use setowire::config::swarm::{Preset, SwarmOptions};
use setowire::node::{Connectivity, Event, PeerId};
use setowire::{Code, Config};

fn v2() -> Config {
    Config { lan: false, swarm: SwarmOptions::of(Preset::V2), ..Config::default() }
}

/// A bed where one node is connected with one program that has two keys. `dials`: it dialled, else they did.
fn doubled(dials: bool) -> (Bed, usize, [usize; 2]) {
    let mut bed = Bed::new(1);
    let (a, b, c) = (bed.add(&v2()), bed.add(&v2()), bed.add(&v2()));
    let (ours, theirs) = if dials { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
    if !dials {
        bed.join_flushed(a, topic(1), ours);
    }
    bed.join_flushed(b, topic(1), theirs);
    bed.join_flushed(c, topic(1), theirs);
    if dials {
        bed.join(a, topic(1), ours);
    }
    assert!(bed.wait(PATIENCE, |bed| bed.seats[a].open.len() == 2));
    (bed, a, [b, c])
}

fn peer(bed: &Bed, who: usize, other: usize) -> PeerId {
    bed.peer(who, other).expect("a connection")
}

fn dedup(bed: &mut Bed, who: usize, other: usize, ids: [&str; 2]) -> bool {
    let peer = peer(bed, who, other);
    bed.call(who, |node, now| node.deduplicate(now, peer, ids[0].as_bytes(), ids[1].as_bytes())).expect("connected")
}

/// Why connections of a node ended.
fn ends(bed: &Bed, who: usize) -> Vec<String> {
    bed.told(who, |event| match event {
        Event::Disconnection { reason, .. } => Some(reason.clone()),
        _ => None,
    })
}

#[test]
fn dedup_with_ids() {
    let (mut bed, a, [b, c]) = doubled(true);
    assert!(!dedup(&mut bed, a, b, ["a", "b"]), "the first of its kind");
    assert!(!dedup(&mut bed, a, c, ["a", "b"]), "with the smaller id and our dial this one stays");
    bed.run(ms(100));
    assert_eq!((bed.connected(a), ends(&bed, a).len()), ([bed.key(c)].into(), 1));
    assert!(ends(&bed, a)[0].contains("duplicate"), "{:?}", ends(&bed, a));
    assert_eq!((bed.seats[b].open.len(), bed.seats[c].open.len()), (0, 1));
    // Not dialled while the other one is there, though each round finds it.
    assert!(bed.known(a, b).expect("known").duplicate);
    bed.run(ms(1_500_000));
    assert_eq!((bed.connections(a), bed.connections(b)), (2, 1));
    assert_eq!(bed.held(a, "held duplicates"), 1);
    // The survivor goes: it is dialled at once, and nothing is held against it.
    bed.kill(c);
    assert!(bed.wait(PATIENCE, |bed| bed.connected(a).contains(&bed.key(b))));
    let known = bed.known(a, b).expect("known");
    assert_eq!((known.duplicate, known.attempts, bed.held(a, "held duplicates")), (false, 0, 0));
}

#[test]
fn dedup_with_the_greater_id() {
    let (mut bed, a, [b, c]) = doubled(true);
    assert!(!dedup(&mut bed, a, b, ["b", "a"]));
    assert!(dedup(&mut bed, a, c, ["b", "a"]), "this one goes");
    bed.run(ms(60_000));
    assert_eq!((bed.connected(a), bed.connections(c)), ([bed.key(b)].into(), 1));
    assert!(bed.known(a, c).expect("known").duplicate && !bed.known(a, b).expect("known").duplicate);
    // Nobody wants it any more.
    bed.leave(a, topic(1));
    bed.close_connection(a, b);
    bed.run(ms(60_000));
    assert!(bed.node(a).known_peers().is_empty());
}

#[test]
fn dedup_of_who_dialled_us() {
    let (mut bed, a, [b, c]) = doubled(false);
    assert!(!dedup(&mut bed, a, b, ["a", "b"]));
    assert!(dedup(&mut bed, a, c, ["a", "b"]), "with the smaller id and their dial this one goes");
    bed.run(ms(300));
    assert_eq!(bed.connected(a), [bed.key(b)].into());
    assert!(bed.known(a, c).is_none(), "who dialled us is not kept");
    // It was not told of ids, and dials as after any other end.
    bed.run(ms(3_000));
    assert_eq!(bed.connections(c), 2);
}

#[test]
fn dedup_of_ourselves() {
    let (mut bed, a, [b, _]) = doubled(true);
    assert!(dedup(&mut bed, a, b, ["x", "x"]));
    bed.run(ms(60_000));
    assert_eq!(bed.connections(a), 2, "it is not dialled again");
    assert!(ends(&bed, a)[0].contains("Connected to self") && bed.known(a, b).is_none());
}

#[test]
fn dedup_once_per_connection_is_enough() {
    let (mut bed, a, [b, c]) = doubled(true);
    for _ in 0..3 {
        assert!(!dedup(&mut bed, a, b, ["a", "b"]));
        assert!(!dedup(&mut bed, a, c, ["a", "c"]), "another program");
    }
    bed.run(ms(1_000));
    assert_eq!(bed.seats[a].open.len(), 2);
    let peer = peer(&bed, a, b);
    for wrong in [&[][..], &[1; 65]] {
        assert!(bed.call(a, |node, now| node.deduplicate(now, peer, wrong, b"b")).is_err());
    }
}

#[test]
fn rounds_every_5_to_10_minutes() {
    let mut bed = Bed::new(2);
    let a = bed.add(&v2());
    bed.join(a, topic(1), CLIENT);
    bed.run(ms(24 * 3_600_000));
    let rounds = bed.hub.rounds_of(a);
    let gaps: Vec<_> = rounds.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(gaps.iter().all(|gap| *gap >= ms(300_000) && *gap <= ms(600_100)), "{gaps:?}");
    assert!(gaps.len() > 144 && gaps.iter().any(|gap| *gap > ms(550_000)) && gaps.iter().any(|gap| *gap < ms(350_000)));
}

#[test]
fn flush_after_all_found_were_tried() {
    let mut bed = Bed::new(3);
    let a = bed.add(&v2());
    assert!(bed.flush(a), "nothing is to be waited for");
    let others = bed.add_many(4, &v2());
    for other in &others {
        bed.join_flushed(*other, topic(1), SERVER);
    }
    bed.kill(others[0]);
    bed.join(a, topic(1), CLIENT);
    assert!(bed.flush(a));
    assert_eq!(bed.connections(a), 3, "three answered, one was tried");
    assert_eq!(bed.node(a).swarm_stats().client_attempted, 4);
}

#[test]
fn connectivity_stages() {
    let mut bed = Bed::new(1);
    let a = bed.add_at(&v2(), [93, 184, 216, 1]);
    let (b, c) = (bed.add_at(&v2(), [93, 184, 216, 2]), bed.add_at(&v2(), [151, 101, 1, 3]));
    let found = |bed: &Bed| bed.node(a).connectivity();
    let bound = Connectivity { bound: true, ..Connectivity::default() };
    assert_eq!(found(&bed), bound);
    bed.hub.mood = Mood::Fails;
    assert!(!bed.join_flushed(a, topic(1), SERVER));
    assert_eq!(found(&bed), bound, "no source works");
    bed.hub.mood = Mood::Answers;
    let session = bed.node(a).topics()[0];
    assert!(bed.refresh(a, session, SERVER));
    assert_eq!(found(&bed), Connectivity { source_works: true, ..bound });
    // A neighbour proves nothing.
    bed.join(b, topic(1), CLIENT);
    assert!(bed.wait(PATIENCE, |bed| bed.connections(a) == 1));
    assert!(!found(&bed).reachable);
    bed.join(c, topic(1), CLIENT);
    assert!(bed.wait(PATIENCE, |bed| bed.connections(a) == 2));
    assert_eq!(found(&bed), Connectivity { bound: true, source_works: true, reachable: true });
    assert!(!bed.node(c).connectivity().reachable, "who dialled knows nothing of itself");
    bed.call(a, |node, now| node.handle_addresses(now, &["93.184.217.1".parse().expect("address")]));
    assert!(!found(&bed).reachable, "elsewhere that has to be seen again");
}

#[test]
fn destroy_twice() {
    let mut bed = Bed::new(1);
    let a = bed.add(&v2());
    bed.join(a, topic(1), BOTH);
    bed.begin_destroy(a);
    bed.call_if_there(a, |node, now| node.close(now, false));
    bed.call_if_there(a, |node, now| node.close(now, true));
    bed.run(ms(5_000));
    assert!(bed.seats[a].node.is_none());
    assert_eq!(bed.told(a, |event| matches!(event, Event::Closed { .. }).then_some(())).len(), 1);
}

#[test]
fn destroy_right_away() {
    let mut bed = Bed::new(1);
    let (a, b) = (bed.add(&v2()), bed.add(&v2()));
    bed.destroy(a);
    bed.call(b, |node, now| node.listen(now)).expect("it is open");
    bed.destroy(b);
}

#[test]
fn destroy_right_after_join() {
    let mut bed = Bed::new(1);
    let a = bed.add(&v2());
    bed.join(a, topic(1), BOTH);
    let flush = bed.begin(a, |node, now, tag| node.flush(now, tag));
    bed.destroy(a);
    assert!(bed.result(a, flush).expect("it ended").is_some(), "a flush fails");
    bed.run(ms(5_000));
    assert!(bed.hub.announced(&bed.key(a)) <= 1, "the topic is taken back");
}

#[test]
fn every_method_after_destroy() {
    let mut bed = Bed::new(1);
    let (a, b) = (bed.add(&v2()), bed.add(&v2()));
    bed.join_flushed(b, topic(1), SERVER);
    bed.join(a, topic(1), CLIENT);
    assert!(bed.wait(PATIENCE, |bed| bed.connections(a) == 1));
    let (whom, key, peer) = (bed.whom(b), bed.key(b), peer(&bed, a, b));
    let session = bed.node(a).topics()[0];
    // In one call: afterwards there is no node any more.
    let codes = bed.call(a, |node, now| {
        node.close(now, true);
        let results = [
            node.listen(now),
            node.join(now, topic(2), None, CLIENT).map(drop),
            node.leave(now, &topic(1)),
            node.close_topic(now, session),
            node.connect(now, "10.0.0.2:4000", None, None, 1).map(drop),
            node.connect_peer(now, key, None, 2).map(drop),
            node.flush(now, 3).map(drop),
            node.join_peer(now, whom, None),
            node.leave_peer(now, &whom),
            node.ban(now, whom, None, true),
            node.unban(now, &whom),
            node.set_reconnect(&whom, true),
            node.backoff(&whom).map(drop),
            node.deduplicate(now, peer, b"a", b"b").map(drop),
            node.answer(now, 1, true),
            node.suspend(now),
            node.resume(now),
        ];
        results.map(|result| result.expect_err("the swarm was closed").code)
    });
    assert!(codes.iter().all(|code| *code == Code::Closed), "{codes:?}");
}
