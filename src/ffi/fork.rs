//! Tells a child made by `fork` from the process whose threads run the swarms.
//!
//! In: `pthread_atfork`. Out: a generation, raised in every child; what was made in an
//! older one belongs to a parent, and its threads do not exist here. And `Global`, a lock
//! for what the whole process shares.
//! Invariants: every `Global` is held by the forking thread while the process forks, so
//! the child finds it whole and free; comparing generations is one atomic load.

use super::{handle, log};
use once_cell::sync::OnceCell;
use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

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
    handle::TABLE.hold();
    log::CURRENT.hold();
}

extern "C" fn parent() {
    log::CURRENT.release();
    handle::TABLE.release();
}

extern "C" fn child() {
    GENERATION.fetch_add(1, Ordering::AcqRel);
    parent();
}

/// State of the process behind a lock that survives a fork. The lock is the standard library's: it keeps no
/// table of parked threads, which in a child would name threads that do not exist.
#[derive(Default)]
pub struct Global<T: 'static> {
    lock: RwLock<T>,
    /// The lock, while the process forks.
    held: UnsafeCell<Option<RwLockWriteGuard<'static, T>>>,
}

// SAFETY: `held` is only used by the thread that holds the lock, or in a child by its copy.
unsafe impl<T: Send + Sync> Sync for Global<T> {}
// SAFETY: as above; a value that is moved is not held.
unsafe impl<T: Send> Send for Global<T> {}

impl<T> Global<T> {
    pub fn read(&self) -> impl Deref<Target = T> + '_ {
        self.lock.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn write(&self) -> impl DerefMut<Target = T> + '_ {
        self.lock.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&'static self) {
        let guard = self.lock.write().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: this thread holds the lock, so no other uses the place.
        unsafe { *self.held.get() = Some(guard) };
    }

    fn release(&'static self) {
        // SAFETY: this thread, or the one it is a copy of, took the lock in `hold`.
        drop(unsafe { (*self.held.get()).take() });
    }
}
