//! Hands items from many producers to one consumer: a thread that waits, or a
//! handler that a dispatcher thread calls.
//!
//! In: changes of the buffer (`with`), a handler (`replace`), requests to stop. Out:
//! wake-ups, and calls of the handler, one at a time and in order.
//! Invariants, checked by the loom tests below: an item put in is seen by a waiter or
//! by the handler, never by both and never by none; no lock is held during a call;
//! when `replace` returns, the old handler is not running and its last reference is
//! gone, unless the caller is that handler; after `dispatch` returned nothing is called.
//! What the buffer keeps and what it drops is the buffer's own business.

use super::sync::{Condvar, Mutex, MutexGuard, ThreadId, current, lock, wait, wait_until};
use std::sync::Arc;
use std::time::Duration;

/// What a mailbox holds.
pub trait Buffer {
    type Item;
    fn pop(&mut self) -> Option<Self::Item>;
    fn is_empty(&self) -> bool;
    /// The last item has been taken; none will follow.
    fn is_finished(&self) -> bool;
}

/// Why a wait returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// There is something to take.
    Ready,
    /// The time is over, or `wake` was called.
    Nothing,
    /// Nothing will ever come again.
    Ended,
}

/// How a dispatcher ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// After the call that is running.
    Now,
    /// After everything in the buffer has been handed to the handler.
    WhenEmpty,
}

pub struct Mailbox<B, H> {
    state: Mutex<State<B, H>>,
    /// The buffer, the handler or `stop` changed, or somebody called `wake`.
    changed: Condvar,
    /// A call of the handler ended, or a handler was dropped.
    idle: Condvar,
}

struct State<B, H> {
    buffer: B,
    handler: Option<Arc<H>>,
    /// The thread that runs the handler now, and the number of that call.
    running: Option<(ThreadId, u64)>,
    calls: u64,
    /// The threads that are dropping a handler that they replaced.
    dropping: Vec<ThreadId>,
    /// Threads that sleep on `changed`, and on `idle`: without any, telling them is a system call for nothing.
    sleepers: usize,
    idlers: usize,
    woken: bool,
    ended: bool,
    stop: Option<Stop>,
}

impl<B: Buffer, H> Mailbox<B, H> {
    pub fn new(buffer: B) -> Mailbox<B, H> {
        Mailbox {
            state: Mutex::new(State {
                buffer,
                handler: None,
                running: None,
                calls: 0,
                dropping: Vec::new(),
                sleepers: 0,
                idlers: 0,
                woken: false,
                ended: false,
                stop: None,
            }),
            changed: Condvar::new(),
            idle: Condvar::new(),
        }
    }

    /// Looks at or changes the buffer. Waiters learn of it if it was empty before.
    pub fn with<R>(&self, change: impl FnOnce(&mut B) -> R) -> R {
        let mut state = self.lock();
        let was_empty = state.buffer.is_empty();
        let result = change(&mut state.buffer);
        let news = was_empty && !state.buffer.is_empty() || state.buffer.is_finished();
        let tell = news && state.sleepers > 0;
        drop(state);
        // Who wakes up finds the lock free: else this thread and that one would change places twice more.
        if tell {
            self.changed.notify_all();
        }
        result
    }

    /// The same if the lock is free, and without telling anyone.
    pub fn try_with(&self, change: impl FnOnce(&mut B)) {
        if let Ok(mut state) = self.state.try_lock() {
            change(&mut state.buffer);
        }
    }

    /// Waits for an item; no timeout: as long as it takes.
    pub fn wait(&self, timeout: Option<Duration>) -> Waited {
        let mut state = self.lock();
        state.sleepers += 1;
        state =
            wait_until(&self.changed, state, timeout, |state| !state.buffer.is_empty() || state.over() || state.woken);
        state.sleepers -= 1;
        if !state.buffer.is_empty() {
            Waited::Ready
        } else if state.over() {
            Waited::Ended
        } else {
            state.woken = false;
            Waited::Nothing
        }
    }

    /// Makes one wait return: a pending one, or else the next.
    pub fn wake(&self) {
        let mut state = self.lock();
        state.woken = true;
        self.tell(&state);
    }

    /// Makes every wait return, now and later.
    pub fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        self.tell(&state);
    }

    /// Whether the current thread is inside a call of the handler.
    pub fn is_called_here(&self) -> bool {
        self.lock().is_called_here()
    }

    /// Sets another handler, or none. On return the old one is not running and has been
    /// dropped; called by the handler itself, that happens when its call returns. After `end` a new handler
    /// is refused (false).
    pub fn replace(&self, handler: Option<Arc<H>>) -> bool {
        let mut state = self.lock();
        if state.ended && handler.is_some() {
            return false;
        }
        let old = std::mem::replace(&mut state.handler, handler);
        self.tell(&state);
        let thread = current().id();
        state.dropping.push(thread);
        if let Some((_, call)) = state.running.filter(|_| !state.is_called_here()) {
            while state.running.is_some_and(|(_, now)| now == call) {
                state = self.wait_idle(state);
            }
        }
        drop(state);
        drop(old);
        let mut state = self.lock();
        if let Some(at) = state.dropping.iter().position(|dropping| *dropping == thread) {
            state.dropping.swap_remove(at);
        }
        self.tell_idle(&state);
        true
    }

    /// Waits until no other thread is about to drop a handler that it replaced.
    pub fn settle(&self) {
        let thread = current().id();
        let mut state = self.lock();
        while state.dropping.iter().any(|dropping| *dropping != thread) {
            state = self.wait_idle(state);
        }
    }

    /// The dispatcher thread: calls the handler for every item until told to stop.
    pub fn dispatch(&self, call: impl Fn(&H, B::Item)) {
        let thread = current().id();
        let mut held: Option<Held<'_, B, H>> = None;
        let mut guard = self.lock();
        loop {
            let state = &mut *guard;
            // One handler takes one item after the other, until it is replaced or there is nothing more.
            let handler = state.handler.as_ref().filter(|handler| {
                let same = held.as_ref().is_none_or(|held| Arc::ptr_eq(&held.handler, handler));
                same && state.stop != Some(Stop::Now)
            });
            let next = handler.and_then(|handler| Some((handler, state.buffer.pop()?)));
            if let Some((handler, item)) = next {
                state.calls += 1;
                state.running = Some((thread, state.calls));
                let hold = || Held { handler: handler.clone(), _running: Running { mailbox: self } };
                let calling = held.take().unwrap_or_else(hold);
                drop(guard);
                call(&calling.handler, item);
                held = Some(calling);
                guard = self.lock();
                continue;
            }
            if held.is_some() {
                drop(guard);
                // A handler that was replaced meanwhile ends here, before `replace` returns.
                held = None;
                guard = self.lock();
                continue;
            }
            match state.stop {
                Some(Stop::Now) => return,
                Some(Stop::WhenEmpty) if state.buffer.is_empty() || state.handler.is_none() => return,
                _ => {}
            }
            state.sleepers += 1;
            guard = wait(&self.changed, guard);
            guard.sleepers -= 1;
        }
    }

    /// Tells `dispatch` to return. `Now` wins over `WhenEmpty`.
    pub fn stop(&self, stop: Stop) {
        let mut state = self.lock();
        if state.stop != Some(Stop::Now) {
            state.stop = Some(stop);
        }
        self.tell(&state);
    }

    /// Wakes those who wait for a change.
    fn tell(&self, state: &State<B, H>) {
        if state.sleepers > 0 {
            self.changed.notify_all();
        }
    }

    /// Wakes those who wait for the end of a call or of a handler.
    fn tell_idle(&self, state: &State<B, H>) {
        if state.idlers > 0 {
            self.idle.notify_all();
        }
    }

    fn wait_idle<'a>(&self, mut state: MutexGuard<'a, State<B, H>>) -> MutexGuard<'a, State<B, H>> {
        state.idlers += 1;
        let mut state = wait(&self.idle, state);
        state.idlers -= 1;
        state
    }

    fn lock(&self) -> MutexGuard<'_, State<B, H>> {
        lock(&self.state)
    }
}

impl<B: Buffer, H> State<B, H> {
    fn over(&self) -> bool {
        self.ended || self.buffer.is_finished()
    }

    fn is_called_here(&self) -> bool {
        self.running.is_some_and(|(thread, _)| thread == current().id())
    }
}

/// A handler during its calls. The handler goes first, so that it is gone when the call counts as over.
struct Held<'a, B: Buffer, H> {
    handler: Arc<H>,
    _running: Running<'a, B, H>,
}

/// Ends a call also when a Rust handler panics, so that nobody waits for it for ever.
struct Running<'a, B: Buffer, H> {
    mailbox: &'a Mailbox<B, H>,
}

impl<B: Buffer, H> Drop for Running<'_, B, H> {
    fn drop(&mut self) {
        let mut state = self.mailbox.lock();
        state.running = None;
        self.mailbox.tell_idle(&state);
    }
}
