//! The table of swarms: what a `setowire_swarm *` stands for.
//!
//! In: pointers of the caller. Out: the swarm, kept alive for the length of a call, or
//! an error. The pointer is a name that is looked up and never followed, and no name
//! is used twice: a swarm that was freed, by whatever thread, is `CLOSED` and
//! never a crash.
//! Invariants: the lock is held for the look-up only; a panic while a call uses a
//! swarm ends that swarm and no other; a child made by `fork` gets `FORKED`.

use super::fork::{self, Global};
use super::{pointer, setowire_swarm};
use crate::error::{Code, Error, Result};
use crate::runtime::Swarm;
use once_cell::sync::Lazy;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

type Table = HashMap<usize, Arc<Handle>>;

pub(super) static TABLE: Lazy<Global<Table>> = Lazy::new(Global::default);
/// The next name. Multiples of 16, like addresses, and smaller than any.
static NEXT: AtomicUsize = AtomicUsize::new(STEP);
const STEP: usize = 16;

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
    let name = NEXT.fetch_add(STEP, Ordering::Relaxed);
    let handle = Arc::new(Handle { swarm, name, generation: fork::generation() });
    TABLE.write().insert(name, handle);
    pointer::name_only(name)
}

/// Takes a swarm out of the table; calls that use it now keep it until they return.
pub fn remove(swarm: *mut setowire_swarm) -> Option<Arc<Handle>> {
    TABLE.write().remove(&swarm.addr())
}

/// The swarm that a pointer stands for.
pub fn get(swarm: *const setowire_swarm) -> Result<Used> {
    let name = swarm.addr();
    let found = TABLE.read().get(&name).cloned();
    let Some(handle) = found else {
        return Err(match name {
            0 => pointer::is_null("swarm"),
            _ if name.is_multiple_of(STEP) && name < NEXT.load(Ordering::Relaxed) => {
                Error::new(Code::Closed, "swarm: it was freed")
            }
            _ => Error::invalid("swarm: this pointer did not come from setowire_swarm_new"),
        });
    };
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
