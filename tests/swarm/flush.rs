//! Flush and flushed: they end whatever the source does, and in every state of the swarm.

use crate::bed::*;
use crate::hub::Mood;
use setowire::Code;
use setowire::node::{Event, Modes};

#[test]
fn nothing_is_found() {
    both_presets(|bed, options| {
        let a = bed.add(options);
        assert!(bed.flush(a), "no topic at all");
        let session = bed.join(a, topic(1), CLIENT);
        assert!(bed.flush(a));
        assert!(bed.flushed(a, session));
        assert!(bed.now < ms(1_000));
    });
}

#[test]
fn a_source_that_fails() {
    both_presets(|bed, options| {
        bed.hub.mood = Mood::Fails;
        let a = bed.add(options);
        let session = bed.join(a, topic(1), BOTH);
        let tag = bed.begin(a, |node, now, tag| node.flushed(now, session, tag));
        assert!(bed.flush(a), "everything that was found was tried: nothing");
        assert_eq!(bed.finish(a, tag), Some(Code::Unreachable));
        assert!(!bed.flushed(a, session), "the last round failed");
        let rounds = bed.told(a, |event| match event {
            Event::TopicUpdated { ok, .. } => Some(*ok),
            _ => None,
        });
        assert_eq!(rounds, [false]);
        // The schedule goes on.
        bed.hub.mood = Mood::Answers;
        bed.run(ms(721_000));
        assert!(bed.flushed(a, session));
    });
}

#[test]
fn a_source_that_never_answers() {
    both_presets(|bed, options| {
        bed.hub.mood = Mood::Silent;
        let a = bed.add(options);
        let session = bed.join(a, topic(1), BOTH);
        let tag = bed.begin(a, |node, now, tag| node.flushed(now, session, tag));
        assert!(bed.flush(a));
        assert_eq!(bed.finish(a, tag), Some(Code::Unreachable));
        assert_eq!(bed.held(a, "rounds"), 0);
        // Nor does it answer that an announcement is taken back: a new join is not blocked for ever.
        bed.leave(a, topic(1));
        bed.run(ms(100));
        bed.hub.mood = Mood::Answers;
        assert!(bed.join_flushed(a, topic(1), BOTH));
    });
}

#[test]
fn a_slow_source_delays_a_flush_but_no_dial() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.hub.delay = ms(5_000);
        bed.join(b, topic(1), CLIENT);
        let tag = bed.begin(b, |node, now, tag| node.flush(now, tag));
        assert!(bed.wait(PATIENCE, |bed| bed.connections(b) == 1));
        assert_eq!(bed.result(b, tag), None, "the round has not ended");
        assert_eq!(bed.finish(b, tag), None);
    });
}

/// Done when each of those found was tried: one answers, one does not.
#[test]
fn every_peer_is_tried_once() {
    both_presets(|bed, options| {
        let (a, b, c) = (bed.add(options), bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join_flushed(b, topic(1), SERVER);
        bed.kill(b);
        bed.join(c, topic(1), CLIENT);
        assert!(bed.flush(c));
        assert_eq!(bed.connected(c), [bed.key(a)].into());
        let stats = bed.node(c).swarm_stats();
        assert_eq!((stats.client_attempted, stats.client_closed), (2, 1), "and nobody twice");
    });
}

#[test]
fn peers_found_later_do_not_delay_it() {
    both_presets(|bed, options| {
        let (a, b, c) = (bed.add(options), bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join_flushed(b, topic(2), SERVER);
        bed.kill(b);
        bed.join(c, topic(1), CLIENT);
        bed.run(ms(30));
        let tag = bed.begin(c, |node, now, tag| node.flush(now, tag));
        bed.join(c, topic(2), CLIENT);
        let begun = bed.now;
        assert_eq!(bed.finish(c, tag), None);
        assert!(bed.now - begun < ms(1_000), "the dead peer of the second topic takes seconds");
    });
}

#[test]
fn destroy_ends_them_with_false() {
    both_presets(|bed, options| {
        bed.hub.delay = ms(10_000);
        let a = bed.add(options);
        let session = bed.join(a, topic(1), BOTH);
        let tags = [
            bed.begin(a, |node, now, tag| node.flush(now, tag)),
            bed.begin(a, |node, now, tag| node.flushed(now, session, tag)),
            bed.begin(a, |node, now, tag| node.refresh(now, session, Modes::default(), tag)),
        ];
        bed.destroy(a);
        for tag in tags {
            assert!(bed.result(a, tag).expect("it ended").is_some());
        }
    });
}

#[test]
fn suspending_ends_them() {
    both_presets(|bed, options| {
        bed.hub.delay = ms(10_000);
        let a = bed.add(options);
        let session = bed.join(a, topic(1), BOTH);
        let flush = bed.begin(a, |node, now, tag| node.flush(now, tag));
        let flushed = bed.begin(a, |node, now, tag| node.flushed(now, session, tag));
        bed.call(a, |node, now| node.suspend(now)).expect("it is open");
        assert_eq!(bed.result(a, flush), Some(None), "nothing is left to try");
        assert_eq!(bed.result(a, flushed), Some(Some(Code::Unreachable)));
        assert!(bed.flush(a), "nor later");
        assert!(!bed.flushed(a, session));
        bed.call(a, |node, now| node.resume(now)).expect("it is open");
        assert!(bed.flushed(a, session) && bed.flush(a));
    });
}

/// A dial of several seconds is in progress when the swarm is suspended.
#[test]
fn suspending_ends_a_flush_that_waits_for_a_dial() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.kill(a);
        bed.join(b, topic(1), CLIENT);
        bed.run(ms(100));
        let tag = bed.begin(b, |node, now, tag| node.flush(now, tag));
        bed.run(ms(100));
        assert_eq!(bed.result(b, tag), None);
        bed.call(b, |node, now| node.suspend(now)).expect("it is open");
        assert_eq!(bed.result(b, tag), Some(None));
    });
}

#[test]
fn leaving_ends_them() {
    both_presets(|bed, options| {
        bed.hub.delay = ms(10_000);
        let a = bed.add(options);
        let session = bed.join(a, topic(1), BOTH);
        let flush = bed.begin(a, |node, now, tag| node.flush(now, tag));
        let flushed = bed.begin(a, |node, now, tag| node.flushed(now, session, tag));
        bed.leave(a, topic(1));
        assert_eq!(bed.result(a, flush), Some(None));
        assert_eq!(bed.result(a, flushed), Some(Some(Code::Unreachable)));
    });
}

#[test]
fn at_the_limit_it_is_done() {
    both_presets(|bed, options| {
        let mut small = options.clone();
        small.swarm.max_peers = 2;
        let servers = bed.add_many(5, options);
        for who in &servers {
            bed.join_flushed(*who, topic(1), SERVER);
        }
        let b = bed.add(&small);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.flush(b));
        assert_eq!(bed.seats[b].open.len(), 2);
        assert_eq!(bed.node(b).swarm_status().queued, 3);
        assert!(bed.flush(b), "who is queued then is not waited for");
        // A place that is free is taken.
        let first = *servers.iter().find(|who| bed.peer(b, **who).is_some()).expect("connected");
        bed.destroy(first);
        assert!(bed.wait(ms(5_000), |bed| bed.connections(b) == 3));
    });
}

#[test]
fn dials_of_peers_joined_by_key_count() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        let (whom, addr) = (bed.whom(b), bed.seats[b].addr);
        bed.call(a, |node, now| node.join_peer(now, whom, Some(addr))).expect("join");
        let tag = bed.begin(a, |node, now, tag| node.flush(now, tag));
        assert_eq!(bed.result(a, tag), None);
        assert_eq!(bed.finish(a, tag), None);
        assert_eq!(bed.seats[a].open.len(), 1);
        // One that nobody knows fails in a few seconds.
        bed.call(a, |node, now| node.join_peer(now, setowire::node::Whom::Key([9; 32]), None)).expect("join");
        assert!(bed.flush(a));
    });
}

#[test]
fn a_cancelled_operation_ends_once() {
    both_presets(|bed, options| {
        bed.hub.delay = ms(1_000);
        let a = bed.add(options);
        let session = bed.join(a, topic(1), BOTH);
        for round in 0..2 {
            let begun = bed.call(a, |node, now| {
                let modes = Modes::default();
                [node.refresh(now, session, modes, 1), node.flush(now, 2), node.flushed(now, session, 3)]
            });
            for op in begun {
                let op = op.expect("it began");
                bed.call(a, |node, now| node.cancel(now, op)).expect("it is in progress");
            }
            let ends = bed.told(a, |event| match event {
                Event::OpDone { tag, code, .. } => Some((*tag, *code)),
                _ => None,
            });
            let cancelled = [1, 2, 3].map(|tag| (tag, Some(Code::Cancelled)));
            assert_eq!(ends, cancelled, "round {round}");
            bed.run(ms(10_000));
            bed.forget_events(a);
        }
        assert_eq!(bed.held(a, "flushes"), 0);
    });
}
