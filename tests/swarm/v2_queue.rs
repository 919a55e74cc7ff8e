//! The test matrix of Hyperswarm 2: the queue of peers to be dialled, and its retries.

use crate::bed::{PATIENCE, ms};
use crate::table::{Table, whom};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use setowire::Config;
use setowire::config::swarm::{Preset, SwarmOptions};
use setowire::node::{Event, Source};
use setowire::swarm::queue::Queue;
use std::net::SocketAddr;
use std::time::Duration;

fn v2() -> SwarmOptions {
    SwarmOptions::of(Preset::V2)
}

/// Comes at the end of the second tick of two thirds.
fn is_two_ticks(wait: Duration, time: Duration) -> bool {
    wait >= time * 65 / 100 && wait <= time * 133 / 100 + ms(10)
}

#[test]
fn queue_add_and_shift() {
    let (mut queue, mut rng) = (Queue::default(), ChaCha20Rng::seed_from_u64(1));
    assert_eq!(queue.pop(&mut rng), None::<u8>);
    for (item, priority) in [(1, 2), (2, 5), (3, 0), (4, 3)] {
        assert!(queue.push(item, priority));
    }
    let order: Vec<u8> = std::iter::from_fn(|| queue.pop(&mut rng)).collect();
    assert_eq!((order, queue.is_empty()), (vec![2, 4, 1, 3], true));
}

#[test]
fn queue_same_peer_twice_once() {
    let mut queue = Queue::default();
    assert!(queue.push(1, 2) && !queue.push(1, 5));
    assert_eq!(queue.len(), 1);
    let mut table = Table::joined(&v2());
    // The first is being dialled, one at a time: the other one is queued.
    table.found(1, 1);
    table.found(2, 1);
    table.found(2, 1);
    assert_eq!((table.roster.status().queued, table.roster.known_peers().len()), (1, 2));
    let candidates = table.told(|event| match event {
        Event::Candidate { candidate, .. } => Some(candidate.whom),
        _ => None,
    });
    assert_eq!(candidates, [whom(1), whom(2)], "each is told of once");
}

/// Topics are always multiplexed here: a second topic adds to what is known and dials nobody.
#[test]
fn queue_same_peer_other_topic_once() {
    let mut table = Table::joined(&v2());
    table.join(2);
    table.found(1, 1);
    table.found(2, 1);
    table.found(2, 2);
    assert_eq!((table.roster.status().queued, table.of(2).topics.len()), (1, 2));
    let topics = table.told(|event| match event {
        Event::PeerTopic { whom, topic } if *whom == self::whom(2) => Some(topic.0),
        _ => None,
    });
    assert_eq!(topics, [1, 2]);
}

#[test]
fn queue_requeue_three_times_then_refused() {
    let mut table = Table::joined(&v2());
    table.found(1, 1);
    assert_eq!(table.dials_of(1), 1);
    for (n, wait) in [(1, 1_000), (2, 5_000), (3, 15_000)] {
        table.fail(1);
        let known = table.of(1);
        assert_eq!((known.attempts, known.waiting), (n, true));
        let took = table.next_dial(1).expect("it is dialled again");
        assert!(is_two_ticks(took, ms(wait)), "retry {n}: {took:?}");
    }
    table.fail(1);
    table.run(ms(600_000));
    assert_eq!(table.dials_of(1), 4, "the first and three retries");
}

#[test]
fn queue_forgotten_after_unresponsive() {
    let mut table = Table::joined(&v2());
    table.found(1, 1);
    for _ in 0..3 {
        table.fail(1);
        table.next_dial(1).expect("it is dialled again");
    }
    table.fail(1);
    assert_eq!((table.roster.status().known, table.of(1).priority), (1, None));
    // Found again while it is remembered: it did not answer just now.
    table.found(1, 1);
    table.run(ms(4_900));
    assert_eq!((table.roster.status().known, table.dials_of(1)), (1, 4));
    table.run(ms(5_100));
    assert_eq!(table.roster.status().known, 0);
    // And afterwards it begins anew.
    table.found(1, 1);
    let known = table.of(1);
    assert_eq!((table.dials_of(1), known.attempts, known.proven), (5, 0, false));
    table.fail(1);
    assert!(is_two_ticks(table.next_dial(1).expect("it is dialled again"), ms(1_000)));
}

#[test]
fn queue_after_destroy_every_call_is_harmless() {
    let mut table = Table::joined(&v2());
    table.found(1, 1);
    table.found(2, 1);
    let peer = table.connect(1, true);
    for _ in 0..2 {
        table.call(|roster, lent| roster.close(lent, true));
    }
    let before = table.dials.len();
    table.found(3, 1);
    table.end(peer);
    table.fail(2);
    table.leave(1);
    table.call(|roster, lent| {
        roster.leave_peer(lent, &whom(2));
        roster.round_done(lent, 1, true);
        roster.unannounced(lent, &[1; 32]);
        roster.handle_timeout(lent);
    });
    table.run(ms(60_000));
    let status = table.roster.status();
    assert_eq!((table.dials.len(), status.queued, status.known), (before, 0, 0), "{:?}", table.roster.known_peers());
    let mut queue = Queue::default();
    queue.push(1, 1);
    queue.clear();
    assert!(!queue.remove(&1) && queue.pop(&mut ChaCha20Rng::seed_from_u64(1)).is_none());
}

/// Nobody has to be told that there is something to take: with an empty queue, who comes is dialled at once, else when its
/// turn comes.
#[test]
fn queue_readable_when_it_was_empty() {
    let mut table = Table::joined(&v2());
    table.found(1, 1);
    assert_eq!((table.dials.len(), table.roster.status().queued), (1, 0));
    table.found(2, 1);
    table.found(3, 1);
    assert_eq!((table.dials.len(), table.roster.status().queued), (1, 2), "one dial at a time");
    table.fail(1);
    assert_eq!((table.dials.len(), table.roster.status().queued), (2, 1));
    table.connect(if table.dials[1].1 == whom(2) { 2 } else { 3 }, true);
    assert_eq!((table.dials.len(), table.roster.status().queued), (3, 0));
}

#[test]
fn queue_remove_destroys_the_info() {
    let mut table = Table::joined(&v2());
    table.found(1, 1);
    table.found(2, 1);
    // With its topic goes who is queued for it alone.
    table.leave(1);
    assert!(!table.is_known(2) && table.roster.status().queued == 0);
    table.fail(1);
    assert_eq!(table.roster.status().known, 0, "nor does who was being dialled stay");
}

#[test]
fn queue_remove_unknown_peer_no_op() {
    let mut table = Table::joined(&v2());
    table.fail(9);
    table.end(setowire::node::PeerId(77));
    table.call(|roster, lent| roster.leave_peer(lent, &whom(9)));
    table.leave(9);
    assert!(table.actions.iter().all(|action| !matches!(action, setowire::swarm::Action::Close { .. })));
    assert_eq!((table.roster.status().known, table.dials.len()), (0, 0));
}

#[test]
fn queue_add_after_destroyed_info_refused() {
    let mut table = Table::joined(&v2());
    table.call(|roster, lent| roster.ban(lent, whom(1), None, true)).expect("there is room");
    table.found(1, 1);
    table.found(0, 1);
    assert_eq!((table.dials.len(), table.roster.status().queued), (0, 0), "neither who is banned nor ourselves");
}

#[test]
fn queue_requeue_after_info_destroyed_emits_nothing() {
    let mut table = Table::joined(&v2());
    table.found(1, 1);
    table.fail(1);
    table.leave(1);
    assert!(!table.is_known(1));
    table.run(ms(60_000));
    assert_eq!(table.dials_of(1), 1);
}

#[test]
fn queue_intervals_two_ticks() {
    let mut table = Table::joined(&v2());
    table.found(1, 1);
    table.fail(1);
    table.run(ms(659));
    assert_eq!(table.dials_of(1), 1);
    // One tick after the first addition it is due at the end of the next.
    table.run(ms(660));
    assert_eq!(table.dials_of(1), 1);
    table.run(ms(1));
    assert_eq!(table.dials_of(1), 2, "2 ticks of 660 ms");
}

#[test]
fn queue_intervals_connected_resets_the_class() {
    let mut table = Table::joined(&v2());
    table.found(1, 1);
    for _ in 0..2 {
        table.fail(1);
        table.next_dial(1).expect("it is dialled again");
    }
    let peer = table.connect(1, true);
    assert_eq!(table.of(1).attempts, 0);
    table.end(peer);
    assert!(is_two_ticks(table.next_dial(1).expect("it is dialled again"), ms(1_000)));
}

#[test]
fn queue_intervals_lower_retry_count_first() {
    let mut table = Table::joined(&v2());
    // A dial that blocks all others; four peers that were connected, and one that nobody ever was.
    for n in 1..=4 {
        table.found(n, 1);
        let peer = table.connect(n, true);
        for _ in 1..n {
            assert!(table.call(|roster, _| roster.backoff(&whom(n))).expect("known"));
        }
        table.end(peer);
    }
    assert_eq!([1, 2, 3, 4].map(|n| table.of(n).attempts), [1, 2, 3, 4]);
    table.found(9, 1);
    table.run(ms(25_000));
    table.found(5, 1);
    assert_eq!(table.roster.status().queued, 4, "1, 2 and 3 are back, 5 is new");
    table.fail(9);
    for n in [1, 2, 5, 3] {
        assert_eq!(table.dials.last().expect("a dial").1, whom(n));
        table.connect(n, true);
    }
    assert!(!table.is_known(4), "its retries were used up");
}

#[test]
fn queue_near_peers_before_far_ones() {
    let mut table = Table::joined(&v2());
    table.found(9, 1);
    table.found(1, 1);
    table.found_at(2, 1, SocketAddr::from(([192, 168, 0, 2], 4_000)), Source::Lan);
    assert_eq!((table.of(1).priority, table.of(2).priority), (Some(2), Some(3)));
    table.fail(9);
    assert_eq!(table.dials.last().expect("a dial").1, whom(2));
}

#[test]
fn queue_option_requeue_missing_entries_are_filled() {
    let mut config = Config { swarm: v2(), ..Config::default() };
    config.set("requeue", "100, 200").expect("two waits");
    assert_eq!(config.swarm.requeue, [ms(100), ms(200), ms(15_000)]);
    let mut table = Table::joined(&config.swarm);
    table.found(1, 1);
    for wait in [100, 200, 15_000] {
        table.fail(1);
        assert!(is_two_ticks(table.next_dial(1).expect("it is dialled again"), ms(wait)));
    }
}

#[test]
fn queue_retries_only_for_joined_topics() {
    let mut table = Table::joined(&v2());
    table.join(2);
    table.found(1, 1);
    table.found(1, 2);
    table.fail(1);
    table.leave(1);
    assert!(table.next_dial(1).is_some(), "the other topic is joined");
    table.leave(2);
    table.fail(1);
    table.run(PATIENCE);
    assert_eq!((table.dials_of(1), table.is_known(1)), (2, false));
}
