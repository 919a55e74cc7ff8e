//! The only place that reads a clock.
//!
//! Out: `Now`, the monotonic time and the wall clock, as the node takes it. A wall
//! clock before 1970 counts as 1970.

use crate::node::Now;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[allow(clippy::disallowed_methods)]
pub fn now() -> Now {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { mono: Instant::now(), unix_us: u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX) }
}
