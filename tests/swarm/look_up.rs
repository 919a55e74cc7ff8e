//! Look-ups of the application: who is there is told, once, and nobody is dialled.

use crate::bed::*;
use crate::hub::{Asked, Mood};
use setowire::Code;
use setowire::node::{Event, Whom};
use std::collections::BTreeSet;

/// Everyone whom the look-ups of a node found so far.
fn found(bed: &Bed, who: usize) -> Vec<Whom> {
    bed.told(who, |event| match event {
        Event::Found { candidate, .. } => Some(candidate.whom),
        _ => None,
    })
}

#[test]
fn each_peer_is_told_of_once_and_none_is_dialled() {
    both_presets(|bed, options| {
        let servers = bed.add_many(3, options);
        for server in &servers {
            bed.join_flushed(*server, topic(1), SERVER);
        }
        let a = bed.add(options);
        let tag = bed.begin(a, |node, now, tag| node.look_up(now, topic(1), None, false, tag));
        assert_eq!(bed.finish(a, tag), None);
        let all: BTreeSet<Whom> = servers.iter().map(|server| bed.whom(*server)).collect();
        assert_eq!((found(bed, a).len(), found(bed, a).into_iter().collect()), (3, all));
        bed.run(ms(60_000));
        assert_eq!((bed.connections(a), bed.node(a).swarm_status().known), (0, 0));
        assert_eq!(bed.hub.announced(&bed.key(a)), 0);
        // Another topic, and the same one with a secret.
        let tag = bed.begin(a, |node, now, tag| node.look_up(now, topic(2), None, false, tag));
        assert_eq!(bed.finish(a, tag), None);
        let tag = bed.begin(a, |node, now, tag| node.look_up(now, topic(1), Some([7; 32]), false, tag));
        assert_eq!(bed.finish(a, tag), None);
        assert_eq!(found(bed, a).len(), 3);
        assert_eq!(bed.held(a, "rounds"), 0);
    });
}

#[test]
fn who_is_connected_or_told_of_again_is_found_as_well() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(b) == 1));
        for times in 1..=2 {
            let tag = bed.begin(b, |node, now, tag| node.look_up(now, topic(1), None, false, tag));
            assert_eq!(bed.finish(b, tag), None);
            assert_eq!(found(bed, b), vec![bed.whom(a); times]);
        }
    });
}

#[test]
fn an_announcement_stays_until_it_is_taken_back() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        let tag = bed.begin(a, |node, now, tag| node.look_up(now, topic(1), None, true, tag));
        assert_eq!(bed.finish(a, tag), None);
        assert_eq!((bed.hub.announced(&bed.key(a)), found(bed, a)), (1, vec![]), "we are nobody to find");
        let tag = bed.begin(b, |node, now, tag| node.look_up(now, topic(1), None, false, tag));
        assert_eq!((bed.finish(b, tag), found(bed, b)), (None, vec![bed.whom(a)]));
        bed.call(a, |node, now| node.unannounce(now, topic(1), None)).unwrap();
        bed.run(ms(1_000));
        assert_eq!(bed.hub.announced(&bed.key(a)), 0);
    });
}

#[test]
fn it_ends_without_a_source_and_when_it_is_cancelled() {
    both_presets(|bed, options| {
        let a = bed.add(options);
        bed.hub.mood = crate::hub::Mood::Fails;
        let tag = bed.begin(a, |node, now, tag| node.look_up(now, topic(1), None, false, tag));
        assert_eq!(bed.finish(a, tag), Some(Code::Unreachable));
        bed.hub.mood = crate::hub::Mood::Silent;
        let tag = bed.begin(a, |node, now, tag| node.look_up(now, topic(1), None, false, tag));
        assert_eq!(bed.finish(a, tag), Some(Code::Unreachable));
        let mut op = None;
        let tag = bed.begin(a, |node, now, tag| {
            let begun = node.look_up(now, topic(1), None, false, tag);
            op = begun.as_ref().ok().copied();
            begun
        });
        bed.call(a, |node, now| node.cancel(now, op.expect("it began"))).unwrap();
        assert_eq!(bed.finish(a, tag), Some(Code::Cancelled));
        let tag = bed.begin(a, |node, now, tag| node.look_up(now, topic(1), None, false, tag));
        bed.call(a, |node, now| node.close(now, true));
        assert_eq!(bed.finish(a, tag), Some(Code::Closed));
    });
}

#[test]
fn what_is_joined_stays_announced() {
    both_presets(|bed, options| {
        let a = bed.add(options);
        bed.join_flushed(a, topic(1), SERVER);
        let announced = bed.hub.announced(&bed.key(a));
        let tag = bed.begin(a, |node, now, tag| node.look_up(now, topic(1), None, true, tag));
        assert_eq!(bed.finish(a, tag), None);
        bed.call(a, |node, now| node.unannounce(now, topic(1), None)).expect("open");
        bed.run(ms(1_000));
        assert_eq!(bed.hub.announced(&bed.key(a)), announced);
    });
}

/// The local network hears of it while the look-up runs, and no longer, also if the topic is joined by one who only looks.
#[test]
fn who_only_looks_is_announced_once() {
    both_presets(|bed, options| {
        let a = bed.add_with_lan(options);
        bed.join_flushed(a, topic(1), CLIENT);
        bed.run(ms(1_000));
        let tag = bed.begin(a, |node, now, tag| node.look_up(now, topic(1), None, true, tag));
        assert_eq!(bed.finish(a, tag), None);
        let before = bed.sent.0;
        bed.run(ms(60_000));
        assert_eq!(bed.sent.0 - before, 0);
    });
}

#[test]
fn one_that_is_cancelled_is_over() {
    both_presets(|bed, options| {
        bed.hub.delay = ms(20_000);
        let a = bed.add_with_lan(options);
        for _ in 0..3 {
            let op = bed.call(a, |node, now| node.look_up(now, topic(1), None, true, 0)).expect("begun");
            bed.call(a, |node, now| node.cancel(now, op)).expect("in progress");
        }
        assert_eq!(bed.held(a, "rounds"), 0);
        let cancelled = bed.hub.asked_by(a).iter().filter(|(_, asked)| matches!(asked, Asked::Cancel { .. })).count();
        assert_eq!(cancelled, 3, "the source hears of it");
        let before = bed.sent.0;
        bed.run(ms(60_000));
        assert_eq!(bed.sent.0 - before, 0, "nor is it announced on the local network");
    });
}

/// A peer that was looked for by its key is not looked for when it has come, or nobody wants it any more.
#[test]
fn the_round_for_a_peer_ends_with_its_dial() {
    both_presets(|bed, options| {
        bed.hub.delay = ms(20_000);
        let a = bed.add(options);
        let key = [7; 32];
        let op = bed.call(a, |node, now| node.connect_peer(now, key, None, 0)).expect("begun");
        assert_eq!(bed.held(a, "rounds"), 1);
        bed.call(a, |node, now| node.cancel(now, op)).expect("in progress");
        assert_eq!(bed.held(a, "rounds"), 0);
        bed.call(a, |node, now| node.join_peer(now, Whom::Key(key), None)).expect("room");
        bed.call(a, |node, now| node.leave_peer(now, &Whom::Key(key))).expect("open");
        bed.run(ms(5_000));
        assert_eq!(bed.held(a, "rounds"), 0);
    });
}

/// Whoever answers may invent peers: so many are told of, and that is all.
#[test]
fn a_source_that_finds_no_end_is_not_listened_to_for_ever() {
    both_presets(|bed, options| {
        bed.hub.mood = Mood::Silent;
        let a = bed.add(options);
        bed.begin(a, |node, now, tag| node.look_up(now, topic(1), None, false, tag));
        let Some((_, Asked::Round { query, .. })) = bed.hub.asked_by(a).pop() else { panic!("a round") };
        let addr = ([192, 0, 2, 1], 1).into();
        for n in 0..10_000u32 {
            let mut key = [9; 32];
            key[..4].copy_from_slice(&n.to_be_bytes());
            bed.call(a, |node, now| node.handle_found(now, query, key, addr));
        }
        assert_eq!(found(bed, a).len(), 4_096);
    });
}

/// A dial by key alone is no dial of the swarm's, whichever source found the peer.
#[test]
fn who_is_dialled_once_by_key_is_no_peer_of_the_swarm() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.call(b, |node, now| node.listen(now)).expect("open");
        bed.run(ms(1_000));
        bed.kill(b);
        let key = bed.key(b);
        let tag = bed.begin(a, |node, now, tag| node.connect_peer(now, key, None, tag));
        bed.run(ms(1_000));
        assert!(bed.node(a).stats().dials > 0, "it was found");
        assert_eq!((bed.node(a).swarm_status().known, bed.node(a).swarm_stats().client_attempted), (0, 0));
        assert!(bed.finish(a, tag).is_some());
        bed.run(ms(60_000));
        assert_eq!(bed.node(a).swarm_stats().client_attempted, 0, "nor is it dialled again");
    });
}
