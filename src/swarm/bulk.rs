//! A timer that releases what was added to it in batches.
//!
//! One interval of two thirds of the wait begins with the first addition; what is added in one interval is
//! released at the end of the next. So each waits between two thirds and four thirds of the time, thousands of
//! peers cost one timer, and peers that were lost together are dialled together.

use std::time::{Duration, Instant};

pub struct Bulk<K> {
    interval: Duration,
    tick: Option<Instant>,
    /// Added in the interval before this one.
    pending: Vec<K>,
    /// Added in this interval.
    next: Vec<K>,
}

impl<K> Bulk<K> {
    /// `wait`: what an item waits for on average.
    pub fn new(wait: Duration) -> Bulk<K> {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        // Never zero: the clock of the caller moves between two ticks.
        let interval = Duration::from_millis((millis.saturating_mul(66) / 100).max(1));
        Bulk { interval, tick: None, pending: Vec::new(), next: Vec::new() }
    }

    pub fn add(&mut self, now: Instant, item: K) {
        self.tick.get_or_insert(now + self.interval);
        self.next.push(item);
    }

    pub fn clear(&mut self) {
        (self.tick, self.pending, self.next) = (None, Vec::new(), Vec::new());
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        self.tick
    }

    /// The batch that is due, if there is one: never an empty one.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Vec<K>> {
        let mut due = Vec::new();
        while let Some(tick) = self.tick.filter(|tick| *tick <= now) {
            due.append(&mut self.pending);
            std::mem::swap(&mut self.pending, &mut self.next);
            self.tick = (!self.pending.is_empty()).then(|| tick + self.interval);
        }
        (!due.is_empty()).then_some(due)
    }
}
