//! The locks of the queue: the standard library's, or loom's when loom checks the
//! hand-over (`--cfg setowire_loom`).
//!
//! The standard library's and not parking_lot's: theirs keep no table of parked
//! threads, so a child process made by `fork` while our threads wait can use new
//! queues. A lock is never poisoned for us: no code of ours panics half-way
//! through a change of state, and foreign code never runs under a lock.

#[cfg(setowire_loom)]
pub use loom::{
    sync::{Condvar, Mutex, MutexGuard},
    thread::{ThreadId, current},
};
#[cfg(not(setowire_loom))]
pub use std::{
    sync::{Condvar, Mutex, MutexGuard},
    thread::{ThreadId, current},
};

use std::sync::PoisonError;
use std::time::Duration;

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `ready` holds or the time is over; no time: as long as it takes.
pub fn wait_until<'a, T>(
    condvar: &Condvar,
    mut guard: MutexGuard<'a, T>,
    timeout: Option<Duration>,
    mut ready: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    #[cfg(not(setowire_loom))]
    if let Some(timeout) = timeout {
        let waited = condvar.wait_timeout_while(guard, timeout, |state| !ready(state));
        return waited.unwrap_or_else(PoisonError::into_inner).0;
    }
    // Under loom no time passes: every wait there is one without a limit.
    #[cfg(setowire_loom)]
    assert!(timeout.is_none());
    while !ready(&mut guard) {
        guard = wait(condvar, guard);
    }
    guard
}
