//! Topics: what a source is asked for and when, limits of a topic, leaving and coming back.

use crate::bed::*;
use crate::hub::{Asked, Mood};
use setowire::config::swarm::Preset;
use setowire::node::{Modes, RoundKind};
use std::time::Duration;

/// Rounds of a topic, leaving out those for a key.
pub fn rounds(bed: &Bed, who: usize) -> Vec<(Time, RoundKind, bool)> {
    let own = setowire::crypto::topic::TopicKey::peer(&bed.key(who)).mesh();
    let round = |(at, asked): (Time, Asked)| match asked {
        Asked::Round { name, kind, clear, .. } if name != own => Some((at, kind, clear)),
        _ => None,
    };
    bed.hub.asked_by(who).into_iter().filter_map(round).collect()
}

#[test]
fn rounds_come_every_ten_to_twelve_minutes() {
    for seed in 0..10 {
        let mut bed = Bed::new(seed);
        let a = bed.add(&config(Preset::V4));
        bed.join(a, topic(1), BOTH);
        bed.run(Duration::from_secs(3_600));
        let rounds = rounds(&bed, a);
        assert!(rounds.len() >= 5, "{rounds:?}");
        for pair in rounds.windows(2) {
            let gap = pair[1].0 - pair[0].0;
            assert!(gap >= ms(600_000) && gap <= ms(720_100), "{gap:?}");
        }
        // The first takes back what an earlier run left, and only the first.
        assert!(rounds[0].2 && rounds[1..].iter().all(|(_, kind, clear)| *kind == RoundKind::Announce && !clear));
    }
}

/// The machine slept: the round that is overdue is not made at once.
#[test]
fn a_timer_that_is_late_by_more_than_thirty_seconds_waits_again() {
    let (mut at_once, mut later) = (0, Vec::new());
    for seed in 0..20 {
        for (late, is_sleep) in [(29_000, false), (31_000, true)] {
            let mut bed = Bed::new(seed);
            let a = bed.add(&config(Preset::V4));
            bed.join_flushed(a, topic(1), CLIENT);
            // Learns when the next one is due, in a bed of the same seed.
            let due = {
                let mut bed = Bed::new(seed);
                let a = bed.add(&config(Preset::V4));
                bed.join_flushed(a, topic(1), CLIENT);
                assert!(bed.wait(ms(800_000), |bed| rounds(bed, a).len() == 2));
                rounds(&bed, a)[1].0
            };
            let awake = due + ms(late);
            bed.seats[a].asleep_until = awake;
            assert!(bed.wait(ms(2_000_000), |bed| rounds(bed, a).len() == 2));
            let after = rounds(&bed, a)[1].0 - awake;
            match is_sleep {
                true => later.push(after),
                false => at_once += usize::from(after == Duration::ZERO),
            }
        }
    }
    assert_eq!(at_once, 20, "a little late is late only");
    assert!(later.iter().all(|after| *after <= ms(120_000)));
    let spread = later.iter().max().unwrap().saturating_sub(*later.iter().min().unwrap());
    assert!(spread > ms(30_000), "each at a time of its own: {later:?}");
}

#[test]
fn what_is_announced_is_taken_back_when_no_session_wants_it() {
    both_presets(|bed, options| {
        let a = bed.add(options);
        let client = bed.join(a, topic(1), CLIENT);
        assert!(bed.flushed(a, client));
        let server = bed.join(a, topic(1), SERVER);
        assert!(bed.flushed(a, server));
        bed.call(a, |node, now| node.close_topic(now, server)).expect("joined");
        assert!(bed.flushed(a, client));
        assert!(bed.refresh(a, client, Modes::default()));
        let kinds: Vec<RoundKind> = rounds(bed, a).into_iter().map(|(_, kind, _)| kind).collect();
        assert_eq!(kinds, [RoundKind::Lookup, RoundKind::Announce, RoundKind::LookupAndUnannounce, RoundKind::Lookup]);
        assert!(!bed.node(a).topic_info(client).expect("joined").announced);
        assert_eq!(bed.hub.announced(&bed.key(a)), 1, "its own key alone");
    });
}

/// A look-up that was to take an announcement back and failed: the next one tries again.
#[test]
fn an_announcement_that_could_not_be_taken_back_is_tried_again() {
    both_presets(|bed, options| {
        let a = bed.add(options);
        let session = bed.join(a, topic(1), BOTH);
        assert!(bed.flushed(a, session));
        bed.hub.mood = Mood::Fails;
        assert!(!bed.refresh(a, session, CLIENT));
        bed.hub.mood = Mood::Answers;
        assert!(bed.refresh(a, session, CLIENT));
        let kinds: Vec<RoundKind> = rounds(bed, a).into_iter().map(|(_, kind, _)| kind).collect();
        assert_eq!(kinds[1..], [RoundKind::LookupAndUnannounce, RoundKind::LookupAndUnannounce]);
        assert_eq!(bed.hub.announced(&bed.key(a)), 1, "its own key alone");
    });
}

/// The first announcement that works clears, not the first that is tried.
#[test]
fn stale_records_are_cleared_by_the_first_announcement_that_works() {
    both_presets(|bed, options| {
        let a = bed.add(options);
        bed.hub.mood = Mood::Fails;
        let session = bed.join(a, topic(1), BOTH);
        assert!(!bed.flushed(a, session));
        bed.hub.mood = Mood::Answers;
        assert!(bed.refresh(a, session, Modes::default()));
        assert!(bed.refresh(a, session, Modes::default()));
        let clears: Vec<bool> = rounds(bed, a).into_iter().map(|(_, _, clear)| clear).collect();
        assert_eq!(clears, [true, true, false]);
    });
}

/// Leaving and joining again never loses the new announcement.
#[test]
fn a_join_after_a_leave_waits_for_the_unannouncement() {
    both_presets(|bed, options| {
        bed.hub.delay = ms(500);
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), BOTH);
        for again in 1..3 {
            bed.leave(a, topic(1));
            let session = bed.join(a, topic(1), BOTH);
            let before = rounds(bed, a).len();
            bed.run(ms(490));
            assert_eq!(rounds(bed, a).len(), before, "not before the answer");
            assert!(bed.flushed(a, session), "a session waits for it, too");
            assert_eq!(rounds(bed, a).len(), again + 1);
        }
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(ms(5_000), |bed| bed.connections(b) == 1));
    });
}

/// So does resuming.
#[test]
fn resuming_waits_for_the_unannouncement() {
    both_presets(|bed, options| {
        bed.hub.delay = ms(500);
        let a = bed.add(options);
        let session = bed.join(a, topic(1), BOTH);
        assert!(bed.flushed(a, session));
        bed.call(a, |node, now| node.suspend(now)).expect("open");
        bed.call(a, |node, now| node.resume(now)).expect("open");
        bed.run(ms(490));
        assert_eq!(rounds(bed, a).len(), 1);
        assert!(bed.flushed(a, session));
        assert_eq!(bed.hub.announced(&bed.key(a)), 2, "the topic and its key");
    });
}

#[test]
fn a_change_of_modes_cancels_the_round_that_runs() {
    both_presets(|bed, options| {
        bed.hub.delay = ms(500);
        let a = bed.add(options);
        let session = bed.join(a, topic(1), CLIENT);
        let first = bed.begin(a, |node, now, tag| node.flushed(now, session, tag));
        bed.run(ms(100));
        // The same again joins it.
        let second = bed.begin(a, |node, now, tag| node.refresh(now, session, CLIENT, tag));
        assert_eq!(rounds(bed, a).len(), 1);
        let third = bed.begin(a, |node, now, tag| node.refresh(now, session, BOTH, tag));
        assert_eq!(rounds(bed, a).len(), 2);
        let cancelled = bed.hub.asked_by(a).into_iter().filter(|(_, asked)| matches!(asked, Asked::Cancel { .. }));
        assert_eq!(cancelled.count(), 1);
        for tag in [first, second, third] {
            assert_eq!(bed.finish(a, tag), None);
        }
    });
}

#[test]
fn a_topic_is_joined_as_something() {
    both_presets(|bed, options| {
        let a = bed.add(options);
        let neither = Modes { client: Some(false), server: Some(false), limit: None };
        let error = bed.call(a, |node, now| node.join(now, topic(1), None, neither)).expect_err("neither");
        assert!(error.detail.contains("neither"), "{error}");
        assert!(bed.node(a).topics().is_empty());
        let session = bed.join(a, topic(1), Modes::default());
        let info = bed.node(a).topic_info(session).expect("joined");
        assert!(info.client && info.server);
        let error = bed.call(a, |node, now| node.refresh(now, session, neither, 1)).expect_err("neither");
        assert!(error.detail.contains("neither"), "{error}");
    });
}

#[test]
fn a_limit_bounds_who_is_dialled() {
    both_presets(|bed, options| {
        for who in bed.add_many(8, options) {
            bed.join_flushed(who, topic(1), SERVER);
        }
        let b = bed.add(options);
        let session = bed.join(b, topic(1), Modes { limit: Some(3), ..CLIENT });
        assert!(bed.flush(b));
        bed.run(ms(2_000));
        assert_eq!(bed.connected(b).len(), 3);
        // Those that are connected count.
        assert!(bed.refresh(b, session, Modes::default()));
        bed.run(ms(2_000));
        assert_eq!(bed.connected(b).len(), 3);
        assert!(bed.refresh(b, session, Modes { limit: Some(5), ..Modes::default() }));
        bed.run(ms(2_000));
        assert_eq!(bed.connected(b).len(), 5);
        // Who is not dialled is not kept.
        assert_eq!(bed.node(b).known_peers().len(), 5);
    });
}

#[test]
fn a_server_alone_dials_nobody() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join_flushed(b, topic(1), SERVER);
        bed.run(ms(5_000));
        assert_eq!((bed.connections(a), bed.connections(b)), (0, 0));
        assert!(bed.node(b).known_peers().is_empty());
    });
}

/// Who was known by a topic alone is not dialled again once it is left.
#[test]
fn a_topic_that_was_left_brings_nobody_back() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(b) == 1));
        bed.leave(b, topic(1));
        bed.run(ms(1_000));
        bed.close_connection(b, a);
        bed.run(ms(30_000));
        assert_eq!(bed.connections(b), 1);
        assert!(bed.node(b).known_peers().is_empty());
        // Nor one that was lost, and waits when the topic is left.
        let c = bed.add(options);
        bed.join(c, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(c) == 1));
        bed.cut.insert((a, c));
        assert!(bed.wait(PATIENCE, |bed| bed.seats[c].open.is_empty()));
        bed.leave(c, topic(1));
        let dials = bed.node(c).swarm_stats().client_attempted;
        bed.run(ms(60_000));
        assert_eq!(bed.node(c).swarm_stats().client_attempted, dials);
        assert!(bed.node(c).known_peers().is_empty());
    });
}

#[test]
fn a_swarm_that_ends_takes_everything_back() {
    both_presets(|bed, options| {
        let a = bed.add(options);
        for n in 1..5 {
            bed.join_flushed(a, topic(n), BOTH);
        }
        assert_eq!(bed.hub.announced(&bed.key(a)), 5);
        bed.destroy(a);
        bed.run(ms(1_000));
        assert_eq!(bed.hub.announced(&bed.key(a)), 0);
        // Not if it is forced.
        bed.restart(a);
        bed.join_flushed(a, topic(1), BOTH);
        bed.call(a, |node, now| node.close(now, true));
        bed.run(ms(1_000));
        assert_eq!(bed.hub.announced(&bed.key(a)), 2);
        assert!(bed.seats[a].node.is_none());
    });
}

#[test]
fn a_new_network_is_asked_at_once() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join_flushed(b, topic(1), CLIENT);
        bed.run(ms(30_000));
        bed.call(b, |node, now| node.network_changed(now));
        assert_eq!(rounds(bed, b).len(), 2);
        bed.run(ms(1_000));
        // A connection that is dead shows it soon.
        bed.cut.insert((a, b));
        bed.call(b, |node, now| node.network_changed(now));
        assert!(bed.wait(ms(6_000), |bed| bed.seats[b].open.is_empty()));
    });
}
