//! The test matrix of Hyperswarm 4: when a peer is dialled again.
//!
//! The reference tests a timer by hand; here it is looked at from outside, by the times of dials.

use crate::bed::*;
use setowire::config::swarm::Preset;
use setowire::node::Event;
use setowire::swarm::bulk::Bulk;
use std::time::{Duration, Instant};

/// When dials began.
fn dials(bed: &Bed, who: usize) -> Vec<Time> {
    let mut before = 0;
    let begun = bed.seats[who].events.iter().filter_map(|(at, event)| {
        let Event::Changed { connecting, .. } = event else { return None };
        let more = *connecting > std::mem::replace(&mut before, *connecting);
        more.then_some(*at)
    });
    begun.collect()
}

/// When dials and connections ended.
fn ends(bed: &Bed, who: usize) -> Vec<Time> {
    let ends = bed.seats[who].events.iter().filter(|(_, event)| matches!(event, Event::Disconnection { .. }));
    ends.map(|(at, _)| *at).collect()
}

/// Two thirds to four thirds of it.
fn is_about(wait: Duration, time: Duration) -> bool {
    wait >= time * 65 / 100 && wait <= time * 133 / 100
}

#[test]
fn retry_timer_proven() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        for (n, wait) in [(1, 100), (2, 200), (3, 300)] {
            assert!(bed.wait(PATIENCE, |bed| bed.connections(b) == n && bed.connections(a) == n));
            bed.run(ms(50));
            bed.close_connection(b, a);
            assert!(bed.wait(ms(3_000), |bed| bed.connections(b) == n + 1));
            let (ended, dialled) = (ends(bed, b)[n - 1], dials(bed, b)[n]);
            assert!(is_about(dialled - ended, ms(wait)), "{n}: {:?}", dialled - ended);
        }
        assert_eq!(bed.node(b).swarm_stats().client_attempted, 4, "one dial each time");
        // It held long enough: the count begins anew.
        bed.run(ms(15_000));
        bed.close_connection(b, a);
        assert!(bed.wait(ms(3_000), |bed| bed.connections(b) == 5));
        assert!(is_about(dials(bed, b)[4] - ends(bed, b)[3], ms(100)));
        assert_eq!(bed.known(b, a).expect("known").attempts, 1);
    });
}

#[test]
fn retry_timer_unresponsive() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        // The source still tells of it, but nobody is there.
        bed.kill(a);
        bed.join(b, topic(1), CLIENT);
        bed.run(ms(300_000));
        let dials = dials(bed, b);
        assert_eq!(dials.len(), 4, "{dials:?}");
        // Each fails after the same time; between them M, L, L.
        let gaps: Vec<Duration> = dials.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let failed = bed.seats[b]
            .events
            .iter()
            .find(|(at, event)| *at > dials[0] && matches!(event, Event::Changed { connecting: 0, .. }));
        let took = failed.expect("it failed").0 - dials[0];
        for (gap, wait) in gaps.into_iter().zip([200, 300, 300]) {
            assert!(is_about(gap - took, ms(wait)), "{gap:?} {took:?}");
        }
        assert!(bed.node(b).known_peers().is_empty());
        assert_eq!(bed.node(b).swarm_stats().client_closed, 4);
    });
}

#[test]
fn retry_timer_banned() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(b) == 1));
        bed.close_connection(b, a);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(b) == 2));
        bed.close_connection(b, a);
        // It waits already.
        let whom = bed.whom(a);
        bed.call(b, |node, now| node.ban(now, whom, None, false)).expect("there is room");
        bed.run(ms(60_000));
        assert_eq!((bed.connections(b), dials(bed, b).len()), (2, 2));
    });
}

/// A timer under a clock of its own.
struct Clock(Bulk<u32>, Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    fn new() -> Clock {
        Clock(Bulk::new(ms(100)), Instant::now())
    }

    fn add(&mut self, at: u64, item: u32) {
        self.0.add(self.1 + ms(at), item);
    }

    /// Batches and their times until then.
    fn run(&mut self, until: u64) -> Vec<(u64, Vec<u32>)> {
        let mut batches = Vec::new();
        while let Some(at) = self.0.poll_deadline().filter(|at| *at <= self.1 + ms(until)) {
            if let Some(batch) = self.0.handle_timeout(at) {
                batches.push(((at - self.1).as_millis() as u64, batch));
            }
        }
        batches
    }
}

#[test]
fn bulk_timer_two_adds_in_one_tick_are_one_batch() {
    let mut clock = Clock::new();
    clock.add(0, 1);
    clock.add(50, 2);
    assert_eq!(clock.run(1_000), [(132, vec![1, 2])]);
}

#[test]
fn bulk_timer_add_in_a_later_tick_is_a_batch_of_its_own() {
    let mut clock = Clock::new();
    clock.add(0, 1);
    clock.add(10, 2);
    assert!(clock.run(80).is_empty());
    clock.add(80, 3);
    assert_eq!(clock.run(1_000), [(132, vec![1, 2]), (198, vec![3])]);
    // It rests, and begins anew.
    clock.add(5_000, 4);
    assert_eq!(clock.run(6_000), [(5_132, vec![4])]);
}

#[test]
fn bulk_timer_nothing_pending_no_call() {
    let mut clock = Clock::new();
    assert!(clock.run(1_000).is_empty() && clock.0.poll_deadline().is_none());
    clock.add(1_000, 1);
    clock.0.clear();
    assert!(clock.run(2_000).is_empty() && clock.0.poll_deadline().is_none());
    // A wait of nothing is one tick all the same, not a loop.
    let mut clock = Clock(Bulk::new(Duration::ZERO), clock.1);
    clock.add(0, 1);
    assert_eq!(clock.run(10), [(2, vec![1])]);
}

/// What the matrix assumes of its options.
#[test]
fn jitter_of_nothing_makes_the_schedule_exact() {
    let options = config(Preset::V4).swarm;
    assert_eq!((options.jitter, options.backoffs), (Duration::ZERO, Some([100, 200, 300, 400].map(ms))));
}
