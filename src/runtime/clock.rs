//! The only place that reads a clock.
//!
//! Out: `Now`, the monotonic time and the wall clock, as the node takes it. A wall
//! clock before 1970 counts as 1970. Every call of the application needs the time, so one
//! clock is read for it, and the wall clock follows from how far they were apart last.

use crate::node::Now;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[allow(clippy::disallowed_methods)]
pub fn now() -> Now {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { mono: Instant::now(), unix_us: u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX) }
}

/// The time of one swarm.
pub struct Clock {
    start: Instant,
    /// The wall clock at `start`, as it was last known.
    unix_us: AtomicU64,
}

impl Clock {
    pub fn new() -> Clock {
        let now = now();
        Clock { start: now.mono, unix_us: AtomicU64::new(now.unix_us) }
    }

    /// Reads both clocks.
    pub fn read(&self) -> Now {
        let now = now();
        self.unix_us.store(now.unix_us.saturating_sub(self.since_start(now.mono)), Ordering::Relaxed);
        now
    }

    /// Reads one clock.
    #[allow(clippy::disallowed_methods)]
    pub fn now(&self) -> Now {
        let mono = Instant::now();
        let unix_us = self.unix_us.load(Ordering::Relaxed).saturating_add(self.since_start(mono));
        Now { mono, unix_us }
    }

    fn since_start(&self, mono: Instant) -> u64 {
        u64::try_from(mono.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX)
    }
}
