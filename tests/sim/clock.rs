//! Virtual time: one monotonic clock for the world, one wall clock per node.
//!
//! `Time` is the time since the world began. Nodes of ours see it as an `Instant`
//! counted from one reading of the real clock (the only one of a run, its value
//! changes nothing). A wall clock is the virtual time plus an offset that a
//! scenario may step, back or forth, for one node.

use std::time::{Duration, Instant};

/// Time since the world began.
pub type Time = Duration;

/// What every wall clock shows when the world begins: a day in November 2026.
pub const EPOCH_US: i64 = 1_795_000_000_000_000;

/// Turns virtual time into instants and back.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the base of virtual time; its value changes nothing")]
    pub fn new() -> Clock {
        Clock(Instant::now())
    }

    pub fn instant(&self, time: Time) -> Instant {
        self.0 + time
    }

    pub fn time(&self, instant: Instant) -> Time {
        instant.saturating_duration_since(self.0)
    }
}

/// The wall clock of one node.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wall {
    pub step_us: i64,
}

impl Wall {
    pub fn unix_us(&self, time: Time) -> u64 {
        (EPOCH_US + self.step_us + time.as_micros() as i64).max(0) as u64
    }
}
