//! Tells a child made by `fork` from the process whose threads run the swarms.
//!
//! In: `pthread_atfork`. Out: a generation, raised in every child. What was made in
//! an older generation belongs to a parent: its threads do not exist here.
//! Invariants: the table of swarms is locked while the process forks, so that the
//! child finds it whole; comparing generations is one atomic load.

use super::handle;
use once_cell::sync::OnceCell;
use std::sync::atomic::{AtomicU32, Ordering};

static GENERATION: AtomicU32 = AtomicU32::new(0);
static INSTALLED: OnceCell<()> = OnceCell::new();

/// The generation of this process. The first call arranges for it to be raised in children.
pub fn generation() -> u32 {
    INSTALLED.get_or_init(|| {
        // SAFETY: the three functions exist as long as the library is mapped, which is until the process ends
        // (`-z nodelete`). If the system has no memory for them, forks are not told apart; nothing else breaks.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    });
    GENERATION.load(Ordering::Acquire)
}

extern "C" fn prepare() {
    handle::lock_for_fork();
}

extern "C" fn parent() {
    handle::unlock_after_fork();
}

extern "C" fn child() {
    GENERATION.fetch_add(1, Ordering::AcqRel);
    handle::unlock_after_fork();
}
