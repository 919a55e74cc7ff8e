//! What the handle and the network thread of one swarm have in common.
//!
//! The node behind its lock, the event queue, the bell that wakes the thread, and a
//! few flags and counters. The bell is only rung for a thread that sleeps: it tells so
//! under the node's lock, after it found that no call had changed the node since it
//! last looked, so a call either sees it asleep or is seen.
//! Invariants: `failed` is set before the lock is released by a call that panicked,
//! so nobody looks at a node that was left half changed; `Io` never lists a descriptor
//! that is not ours, so a forked child may close what it finds there.

use crate::error::{Code, Error, Result};
use crate::node::{Node, Now};
use crate::queue::EventQueue;
use crate::runtime::clock::Clock;
use parking_lot::Mutex;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use tokio::sync::Notify;

/// Descriptors of a swarm: two main sockets, two for the LAN source, of which one may be about to replace another, each
/// with a second one while it is blocked; and the system's news of interfaces.
const SOCKETS: usize = 11;

pub struct Shared {
    pub node: Mutex<Node>,
    pub queue: Arc<EventQueue>,
    pub clock: Clock,
    /// Rings when the node changed while the thread slept, or a flag below was set.
    pub wake: Arc<Notify>,
    /// A call changed the node, and the thread has not looked yet; written under the node's lock.
    changed: AtomicBool,
    /// The thread sleeps, or is about to; set under the node's lock.
    asleep: AtomicBool,
    /// `close` was called: the thread ends soon, with or without the node's consent.
    pub closing: AtomicBool,
    /// The list of interfaces is to be read at once.
    pub network_changed: AtomicBool,
    /// This is a copy in a forked child.
    pub abandoned: AtomicBool,
    failed: AtomicBool,
    pub io: Arc<Io>,
}

impl Shared {
    pub fn new(node: Node, queue: Arc<EventQueue>) -> Shared {
        Shared {
            node: Mutex::new(node),
            queue,
            clock: Clock::new(),
            wake: Arc::default(),
            changed: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            network_changed: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            io: Arc::default(),
        }
    }

    /// Calls the node under its lock. A panic inside marks the swarm as failed before the lock is released.
    pub fn with_node<T>(&self, call: impl FnOnce(&mut Node, Now) -> T) -> Result<T> {
        // Read under the lock: the node's time never steps back.
        self.with_node_only(|node| call(node, self.clock.now()))
    }

    /// The same for a call that needs no time: to read it costs as much as to take a small message.
    fn with_node_only<T>(&self, call: impl FnOnce(&mut Node) -> T) -> Result<T> {
        let mut node = self.node.lock();
        if self.failed() {
            return Err(Error::new(Code::Closed, "the swarm was ended by an internal error"));
        }
        let mut mark = FailOnDrop { shared: self, armed: true };
        let result = call(&mut node);
        mark.armed = false;
        Ok(result)
    }

    /// The same for a call that may give the thread something to do.
    pub fn change<T>(&self, call: impl FnOnce(&mut Node, Now) -> T) -> Result<T> {
        let result = self.with_node(|node, now| {
            self.changed.store(true, Ordering::Relaxed);
            call(node, now)
        });
        self.ring();
        result
    }

    /// The same for a call that needs no time.
    pub fn change_only<T>(&self, call: impl FnOnce(&mut Node) -> T) -> Result<T> {
        let result = self.with_node_only(|node| {
            self.changed.store(true, Ordering::Relaxed);
            call(node)
        });
        self.ring();
        result
    }

    /// The same for a call that seldom does, and never changes a deadline.
    pub fn touch<T>(&self, call: impl FnOnce(&mut Node, Now) -> T) -> Result<T> {
        let result = self.with_node(|node, now| {
            let result = call(node, now);
            let work = node.has_work();
            if work {
                self.changed.store(true, Ordering::Relaxed);
            }
            (result, work)
        });
        let (result, work) = result?;
        if work {
            self.ring();
        }
        Ok(result)
    }

    fn ring(&self) {
        // The lock was held in between, which orders the two.
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            self.wake.notify_one();
        }
    }

    /// The thread begins to look what there is to do; under the node's lock.
    pub fn look(&self) {
        self.asleep.store(false, Ordering::Relaxed);
        self.changed.store(false, Ordering::Relaxed);
    }

    /// The thread is about to sleep; under the node's lock. False: it has to look again first.
    pub fn may_sleep(&self) -> bool {
        let nothing_new = !self.changed.load(Ordering::Relaxed);
        self.asleep.store(nothing_new, Ordering::Relaxed);
        nothing_new
    }

    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}

struct FailOnDrop<'a> {
    shared: &'a Shared,
    armed: bool,
}

impl Drop for FailOnDrop<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.shared.fail();
        }
    }
}

/// What became of datagrams between the node and the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoStats {
    /// Taken from the sockets, multicast included.
    pub received: u64,
    /// Handed to the system.
    pub sent: u64,
    /// Not sent: the waiting room before a blocked socket was full, or there is no socket of that family.
    pub send_dropped: u64,
    /// Refused by the system when sent.
    pub send_errors: u64,
    /// Errors that the system reported instead of a datagram.
    pub recv_errors: u64,
}

/// Counters and open descriptors of a swarm's sockets.
#[derive(Default)]
pub struct Io {
    pub received: AtomicU64,
    pub sent: AtomicU64,
    pub send_dropped: AtomicU64,
    pub send_errors: AtomicU64,
    pub recv_errors: AtomicU64,
    /// One more than the number, so that 0 is an empty place.
    descriptors: [AtomicI32; SOCKETS],
}

impl Io {
    pub fn stats(&self) -> IoStats {
        IoStats {
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            send_dropped: self.send_dropped.load(Ordering::Relaxed),
            send_errors: self.send_errors.load(Ordering::Relaxed),
            recv_errors: self.recv_errors.load(Ordering::Relaxed),
        }
    }

    /// Remembers an open socket for a forked child.
    pub fn opened(&self, descriptor: RawFd) {
        let entry = descriptor.saturating_add(1);
        for place in &self.descriptors {
            if place.compare_exchange(0, entry, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    /// Forgets a socket; to be called before it is closed.
    pub fn closing(&self, descriptor: RawFd) {
        let entry = descriptor.saturating_add(1);
        for place in &self.descriptors {
            let _ = place.compare_exchange(entry, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Takes the sockets that are open.
    pub fn take_descriptors(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.descriptors
            .iter()
            .map(|place| place.swap(0, Ordering::AcqRel))
            .filter(|&entry| entry > 0)
            .map(|entry| entry.saturating_sub(1))
    }
}
