//! The event queue of a swarm: everything the application is told goes through here.
//!
//! In: `node::Event`s from the network thread, which never waits here. Out: records,
//! in order, to one consumer of three kinds: a callback on a dispatcher thread of
//! this queue, a descriptor with `drain`, or a thread in `wait`.
//! Invariants: callback or queue, the first one used decides; foreign code runs on
//! the dispatcher thread only, one call at a time, under no lock; the memory held is
//! bounded (see `buffer`). `mailbox` holds the waiting and the hand-over and is
//! checked by loom.

pub mod buffer;
#[cfg(all(test, setowire_loom))]
mod loom;
pub mod mailbox;
mod signal;
mod sync;
#[cfg(test)]
mod tests;

use crate::config::EventMask;
use crate::error::{Code, Error, Result};
use crate::event::{RECORD_HEADER, Record, kind};
use crate::node::{Event, OpId};
use crate::runtime::thread;
use buffer::{Bell, EventBuffer};
use mailbox::{Buffer, Mailbox, Stop, Waited};
use parking_lot::Mutex;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What the dispatcher thread calls with each event. Dropped after its last call.
pub type Callback = Box<dyn Fn(Record) + Send + Sync>;

/// What is left to do when the callback that asked for the end has returned.
pub type Afterwards = Box<dyn FnOnce() + Send>;

struct Handler {
    mask: EventMask,
    callback: Callback,
}

type Events = Mailbox<EventBuffer, Handler>;

/// The queue of one swarm.
pub struct EventQueue {
    events: Arc<Events>,
    consumer: AtomicU8,
    dispatcher: Mutex<Option<JoinHandle<()>>>,
    /// Run by the dispatcher thread as the last thing it does.
    afterwards: Arc<Mutex<Option<Afterwards>>>,
}

/// What `drain` handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    pub records: usize,
    pub bytes: usize,
    /// The size of the first record that did not fit; 0: nothing is left.
    pub needed: usize,
}

/// Who takes the events.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Consumer {
    Undecided = 0,
    Callback = 1,
    Queue = 2,
}

impl EventQueue {
    /// A queue for `items` messages of `bytes` bytes in all; kinds whose bit in `mask` is off are left out.
    pub fn new(items: usize, bytes: usize, mask: EventMask) -> Result<Arc<EventQueue>> {
        Ok(Arc::new(EventQueue {
            events: Arc::new(Mailbox::new(EventBuffer::new(items, bytes, mask))),
            consumer: AtomicU8::new(Consumer::Undecided as u8),
            dispatcher: Mutex::new(None),
            afterwards: Arc::new(Mutex::new(None)),
        }))
    }

    /// Takes in an event; never blocks for long and never fails.
    pub fn push(&self, event: Event) {
        self.push_all(std::iter::once(event));
    }

    /// Puts in what came together, so that a consumer that sleeps wakes once.
    pub fn push_all(&self, events: impl Iterator<Item = Event>) {
        let signal = self.events.with(|buffer| {
            events.for_each(|event| buffer.push(event));
            buffer.take_signal()
        });
        if let Some(signal) = signal {
            signal.raise();
        }
    }

    /// Whether the node may take on another connection; false until the application has read.
    pub fn connections_allowed(&self) -> bool {
        self.events.with(|buffer| buffer.connections_allowed())
    }

    /// Has this rung when there is room again after `room` found none.
    pub fn set_bell(&self, bell: Bell) {
        self.events.with(|buffer| buffer.set_bell(bell));
    }

    /// Bytes of messages and datagrams that may come in now.
    pub fn room(&self) -> usize {
        self.events.with(|buffer| buffer.room())
    }

    /// Counts an operation in, before its event can come: it completes exactly once, at the latest before
    /// `CLOSED`. No id: a message with a tag. Refused when the queue is closed.
    pub fn operation_begun(&self, op: Option<OpId>, tag: u64) -> Result<()> {
        if self.events.with(|buffer| buffer.operation_begun(op, tag)) {
            return Ok(());
        }
        Err(Error::new(Code::Closed, "the swarm is closed"))
    }

    /// Refuses a new operation while too many completions are unread.
    pub fn check_operations(&self) -> Result<()> {
        if self.events.with(|buffer| buffer.operations_allowed()) {
            return Ok(());
        }
        let detail = "too many operations are in progress or completed and not read; read the events";
        Err(Error::new(Code::WouldBlock, detail))
    }

    /// `CLOSED` has been taken in.
    pub fn closed(&self) -> bool {
        self.events.with(|buffer| buffer.is_closed())
    }

    /// Messages that found no room, since the beginning.
    pub fn lost(&self) -> u64 {
        self.events.with(|buffer| buffer.lost_total())
    }

    /// The next event, if one is waiting.
    pub fn next(&self) -> Result<Option<Record>> {
        self.decide(Consumer::Queue)?;
        Ok(self.events.with(|buffer| buffer.pop()))
    }

    /// Hands the bytes of whole records, in pieces, to `write`, as many as `cap` bytes have room for.
    pub fn drain(&self, cap: usize, write: &mut dyn FnMut(&[u8])) -> Result<Drained> {
        self.decide(Consumer::Queue)?;
        let mut drained = Drained::default();
        let mut records = Vec::new();
        self.events.with(|buffer| {
            // Room for all at once: to grow would move each several times.
            records.reserve_exact(buffer.waiting().min(cap / RECORD_HEADER));
            while let Some(needed) = buffer.peek().map(Record::encoded_len) {
                if needed > cap.saturating_sub(drained.bytes) {
                    drained.needed = needed;
                    break;
                }
                records.extend(buffer.pop_front());
                drained.bytes += needed;
            }
        });
        // Not under the lock: the network thread need not wait for megabytes to be copied.
        records.iter().for_each(|record| record.encode(write));
        drained.records = records.len();
        Ok(drained)
    }

    /// Waits for an event; no timeout: as long as it takes. False: the time is over, or `wake` was called.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool> {
        if self.in_callback() {
            let detail = "a wait inside a callback of this swarm would never end";
            return Err(Error::new(Code::WouldDeadlock, detail));
        }
        self.decide(Consumer::Queue)?;
        match self.events.wait(timeout) {
            Waited::Ready => Ok(true),
            Waited::Nothing => Ok(false),
            Waited::Ended => Err(Error::new(Code::Closed, "the swarm's last event has been read")),
        }
    }

    /// Makes one wait return: a pending one, or else the next.
    pub fn wake(&self) {
        self.events.wake();
    }

    /// The descriptor that is readable while events wait. Owned by the queue.
    pub fn descriptor(&self) -> Result<RawFd> {
        self.decide(Consumer::Queue)?;
        let descriptor = self.events.with(|buffer| buffer.signal().map(|signal| signal.descriptor()));
        descriptor.map_err(|e| Error::new(Code::Internal, format!("the system refused a descriptor: {e}")))
    }

    /// Has events of the kinds in `mask`, and `CLOSED`, handed to a callback, or to nobody. On return the
    /// callback before it is not running and has been dropped; called by that callback, when it returns.
    pub fn set_callback(&self, mask: EventMask, callback: Option<Callback>) -> Result<()> {
        let Some(callback) = callback else {
            self.events.replace(None);
            return Ok(());
        };
        self.decide(Consumer::Callback)?;
        self.start_dispatcher()?;
        let handler = Handler { mask: mask | 1 << kind::CLOSED, callback };
        if self.events.replace(Some(Arc::new(handler))) {
            return Ok(());
        }
        Err(Error::new(Code::Closed, "the swarm is being freed"))
    }

    /// Whether the current thread is inside a callback of this queue.
    pub fn in_callback(&self) -> bool {
        self.events.is_called_here()
    }

    /// Hands what is left, but no messages, to the callback, then ends the dispatcher thread and every wait.
    /// On return no callback is running and none will run. Not to be called inside a callback.
    pub fn finish(&self) {
        self.events.with(EventBuffer::discard_messages);
        self.events.stop(Stop::WhenEmpty);
        self.events.end();
        let thread = self.dispatcher.lock().take();
        if let Some(thread) = thread {
            // A dispatcher that panicked in a Rust callback has ended as well.
            let _ = thread.join();
        }
        self.events.replace(None);
        self.events.settle();
    }

    /// The same from inside a callback: nothing is handed over any more, and when the callback returned its
    /// thread drops it and runs `afterwards`.
    pub fn finish_later(&self, afterwards: Afterwards) {
        *self.afterwards.lock() = Some(afterwards);
        self.events.stop(Stop::Now);
        self.events.end();
    }

    /// For a forked child: closes the descriptor that it inherited. The lock may be held by a thread that does not
    /// exist here; then the descriptor stays open.
    pub fn abandon(&self) {
        self.events.try_with(EventBuffer::abandon);
    }

    fn decide(&self, wanted: Consumer) -> Result<()> {
        let undecided = Consumer::Undecided as u8;
        let order = Ordering::AcqRel;
        match self.consumer.compare_exchange(undecided, wanted as u8, order, Ordering::Acquire) {
            Ok(_) => Ok(()),
            Err(is) if is == wanted as u8 => Ok(()),
            Err(_) if wanted == Consumer::Queue => {
                Err(Error::invalid("swarm: its events go to a callback; they cannot be read from the queue as well"))
            }
            Err(_) => {
                Err(Error::invalid("swarm: its events are read from the queue; a callback cannot be set as well"))
            }
        }
    }

    fn start_dispatcher(&self) -> Result<()> {
        let mut dispatcher = self.dispatcher.lock();
        if dispatcher.is_some() {
            return Ok(());
        }
        let (events, afterwards) = (self.events.clone(), self.afterwards.clone());
        *dispatcher = Some(thread::start("setowire-events", move || {
            events.dispatch(|handler, record| {
                if handler.mask >> (record.kind & 63) & 1 == 1 {
                    (handler.callback)(record);
                }
            });
            events.replace(None);
            let last = afterwards.lock().take();
            if let Some(last) = last {
                last();
            }
        })?);
        Ok(())
    }
}

impl Drop for EventQueue {
    fn drop(&mut self) {
        self.events.stop(Stop::Now);
        self.events.end();
    }
}
