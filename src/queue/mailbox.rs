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
        if was_empty && !state.buffer.is_empty() || state.buffer.is_finished() {
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
        let mut state = wait_until(&self.changed, self.lock(), timeout, |state| {
            !state.buffer.is_empty() || state.over() || state.woken
        });
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
        self.lock().woken = true;
        self.changed.notify_all();
    }

    /// Makes every wait return, now and later.
    pub fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
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
        self.changed.notify_all();
        let thread = current().id();
        state.dropping.push(thread);
        if let Some((_, call)) = state.running.filter(|_| !state.is_called_here()) {
            while state.running.is_some_and(|(_, now)| now == call) {
                state = wait(&self.idle, state);
            }
        }
        drop(state);
        drop(old);
        let mut state = self.lock();
        if let Some(at) = state.dropping.iter().position(|dropping| *dropping == thread) {
            state.dropping.swap_remove(at);
        }
        self.idle.notify_all();
        true
    }

    /// Waits until no other thread is about to drop a handler that it replaced.
    pub fn settle(&self) {
        let thread = current().id();
        let mut state = self.lock();
        while state.dropping.iter().any(|dropping| *dropping != thread) {
            state = wait(&self.idle, state);
        }
    }

    /// The dispatcher thread: calls the handler for every item until told to stop.
    pub fn dispatch(&self, call: impl Fn(&H, B::Item)) {
        let mut state = self.lock();
        loop {
            match state.stop {
                Some(Stop::Now) => return,
                Some(Stop::WhenEmpty) if state.buffer.is_empty() || state.handler.is_none() => return,
                _ => {}
            }
            let handler = state.handler.clone();
            let next = handler.and_then(|handler| Some((handler, state.buffer.pop()?)));
            let Some((handler, item)) = next else {
                state = wait(&self.changed, state);
                continue;
            };
            state.calls += 1;
            state.running = Some((current().id(), state.calls));
            drop(state);
            let running = Running { mailbox: self };
            call(&handler, item);
            // A handler that was replaced meanwhile ends here, before `replace` returns.
            drop(handler);
            drop(running);
            state = self.lock();
        }
    }

    /// Tells `dispatch` to return. `Now` wins over `WhenEmpty`.
    pub fn stop(&self, stop: Stop) {
        let mut state = self.lock();
        if state.stop != Some(Stop::Now) {
            state.stop = Some(stop);
        }
        self.changed.notify_all();
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

/// Ends a call also when a Rust handler panics, so that nobody waits for it for ever.
struct Running<'a, B: Buffer, H> {
    mailbox: &'a Mailbox<B, H>,
}

impl<B: Buffer, H> Drop for Running<'_, B, H> {
    fn drop(&mut self) {
        self.mailbox.lock().running = None;
        self.mailbox.idle.notify_all();
    }
}
