//! The network thread of a swarm: how it begins, how it ends, and what a fork leaves of it.
//!
//! In: the driver's loop. Out: an OS thread named `setowire` with a tokio runtime of its own.
//! Invariants: the host's signal handlers never run on our threads (faults excepted,
//! which belong to the thread that made them). A panic ends this swarm: it is
//! caught, and `Closed` with `Panic` is the last event.

use crate::config::limits;
use crate::error::{Code, Error, Result};
use crate::log;
use crate::node::{Event, api::Level};
use crate::runtime::shared::Shared;
use std::future::Future;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use tokio::runtime::{Builder, Runtime};

/// Signals that a fault raises on the thread that made it: blocked, they would kill the process
/// before the host's crash handler runs.
const FAULTS: [libc::c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP];

/// A runtime for one swarm; its threads for name look-ups begin when they are needed.
pub fn runtime() -> Result<Runtime> {
    Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .thread_name("setowire-dns")
        .max_blocking_threads(limits::RESOLVER_CONCURRENT)
        .build()
        .map_err(|e| Error::new(Code::Internal, format!("the system refused an event loop: {e}")))
}

/// Starts the network thread on `work`, which ends when the swarm has.
pub fn spawn<W>(runtime: Runtime, shared: Arc<Shared>, work: W) -> Result<JoinHandle<()>>
where
    W: Future<Output = ()> + Send + 'static,
{
    let body = move || {
        if catch_unwind(AssertUnwindSafe(|| runtime.block_on(work))).is_err() {
            shared.fail();
        }
        if shared.failed() && !shared.queue.closed() {
            let detail = "an internal error was caught and the swarm ended; this is a bug of the library";
            log::write(Level::Error, detail);
            shared.queue.push(Event::Closed { code: Some(Code::Panic), detail: detail.to_owned() });
        }
        // A look-up may hang in the system's resolver: nobody waits for it.
        runtime.shutdown_background();
    };
    start("setowire", body)
}

/// Starts a thread that the host's signal handlers stay away from.
pub fn start(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    // A new thread inherits the signal mask, so it is blocked before there is one.
    let mask = SignalMask::block_all();
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    drop(mask);
    thread.map_err(|e| Error::new(Code::Internal, format!("the system refused a thread: {e}")))
}

/// Closes the sockets that a forked child inherited, and keeps everything else from being touched again.
pub fn abandon(shared: &Arc<Shared>) {
    if shared.abandoned.swap(true, Ordering::AcqRel) {
        return;
    }
    for descriptor in shared.io.take_descriptors() {
        // SAFETY: `Shared` lists only sockets that this swarm opened and did not close. Their owner, the
        // network thread, does not exist in this process, so nothing else uses or closes the number. The
        // parent's copy, and its registration with the event loop, are not affected.
        unsafe { libc::close(descriptor) };
    }
    // The thread that owned the other reference is gone without dropping it; this one makes that explicit.
    std::mem::forget(shared.clone());
}

/// Blocks all signals but faults on this thread until it is dropped.
struct SignalMask {
    before: libc::sigset_t,
}

impl SignalMask {
    fn block_all() -> SignalMask {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: `sigfillset` initialises `all`, `sigdelset` and `pthread_sigmask` only read and write the
        // sets they are given; `before` is written by `pthread_sigmask`, which cannot fail for SIG_SETMASK.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            for fault in FAULTS {
                libc::sigdelset(all.as_mut_ptr(), fault);
            }
            libc::sigemptyset(before.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            SignalMask { before: before.assume_init() }
        }
    }
}

impl Drop for SignalMask {
    fn drop(&mut self) {
        // SAFETY: `before` is the mask this thread had.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, std::ptr::null_mut()) };
    }
}
