//! The table of swarms: what a `setowire_swarm *` stands for.
//!
//! In: pointers of the caller. Out: the swarm, kept alive for the length of a call, or
//! an error. The pointer is a name that is looked up and never followed, and no name
//! is used twice: a swarm that was freed, by whatever thread, is `CLOSED` and
//! never a crash.
//! Invariants: the lock is held for the look-up only; a panic while a call uses a
//! swarm ends that swarm and no other; a child made by `fork` gets `FORKED`.

use super::fork::{self, Global};
use super::table::{Missing, Table};
use super::{pointer, setowire_swarm};
use crate::error::{Code, Error, Result};
use crate::runtime::Swarm;
use once_cell::sync::Lazy;
use std::ops::Deref;
use std::sync::Arc;

pub(super) static TABLE: Lazy<Global<Table<Handle>>> = Lazy::new(Global::default);

/// A swarm in the table.
pub struct Handle {
    pub swarm: Swarm,
    name: usize,
    generation: u32,
}

impl Handle {
    /// The address of the pointer that stands for this swarm.
    pub fn name(&self) -> usize {
        self.name
    }

    /// Whether it was made by a parent of this process.
    pub fn is_inherited(&self) -> bool {
        self.generation != fork::generation()
    }
}

/// Puts a swarm into the table.
pub fn insert(swarm: Swarm) -> *mut setowire_swarm {
    let generation = fork::generation();
    pointer::name_only(TABLE.write().insert(|name| Handle { swarm, name, generation }))
}

/// Takes a swarm out of the table; calls that use it now keep it until they return.
pub fn remove(swarm: *mut setowire_swarm) -> Option<Arc<Handle>> {
    TABLE.write().remove(swarm.addr())
}

/// The swarm that a pointer stands for.
pub fn get(swarm: *const setowire_swarm) -> Result<Used> {
    if swarm.is_null() {
        return Err(pointer::is_null("swarm"));
    }
    let found = TABLE.read().get(swarm.addr());
    let handle = found.map_err(|missing| match missing {
        Missing::Removed => Error::new(Code::Closed, "swarm: it was freed"),
        Missing::Unknown => Error::invalid("swarm: this pointer did not come from setowire_swarm_new"),
    })?;
    if handle.is_inherited() {
        let detail = "swarm: it belongs to the parent process; make a new one after fork";
        return Err(Error::new(Code::Forked, detail));
    }
    let used = Used { handle, panicking: std::thread::panicking() };
    #[cfg(feature = "panic-injection")]
    super::guard::inject("swarm");
    Ok(used)
}

/// A swarm during a call.
pub struct Used {
    handle: Arc<Handle>,
    /// The caller's thread was unwinding already.
    panicking: bool,
}

impl Used {
    pub fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }
}

impl Deref for Used {
    type Target = Swarm;

    fn deref(&self) -> &Swarm {
        &self.handle.swarm
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.panicking {
            self.handle.swarm.fail();
        }
    }
}
