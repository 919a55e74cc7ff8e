//! Every interleaving of the hand-over, as far as loom finds them:
//! `RUSTFLAGS="--cfg setowire_loom" cargo test --lib --release loom`.
//!
//! Checked are `Mailbox`, with a buffer that counts the raises of a descriptor as the event
//! buffer does, and the way `setowire_swarm_free` takes a swarm away from calls and from its
//! dispatcher, with the real `Table`.

use super::mailbox::{Buffer, Mailbox, Stop, Waited};
use super::sync::{Mutex, lock};
use crate::ffi::table::Table;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use loom::{model, thread};
use std::collections::VecDeque;
use std::sync::Arc;

/// Numbers, the last of which is `END`, and a level as of a descriptor: readable while it is not 0.
#[derive(Default)]
struct Numbers {
    waiting: VecDeque<usize>,
    level: Arc<AtomicUsize>,
    raised: usize,
    finished: bool,
}

const END: usize = 99;

impl Numbers {
    fn push(&mut self, number: usize) {
        self.waiting.push_back(number);
    }

    fn lower(&mut self) {
        if self.raised > 0 && self.waiting.is_empty() {
            self.raised -= self.level.swap(0, SeqCst);
        }
    }
}

/// As the event queue does it: what shows the level is raised when the lock is free again.
fn push(mailbox: &Box, number: usize) {
    let level = mailbox.with(|numbers| {
        let filled = numbers.waiting.is_empty();
        numbers.push(number);
        numbers.raised += usize::from(filled);
        filled.then(|| numbers.level.clone())
    });
    if let Some(level) = level {
        level.fetch_add(1, SeqCst);
    }
}

impl Buffer for Numbers {
    type Item = usize;

    fn pop(&mut self) -> Option<usize> {
        self.lower();
        let number = self.waiting.pop_front()?;
        self.lower();
        self.finished |= number == END;
        Some(number)
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn is_finished(&self) -> bool {
        self.finished
    }
}

/// A callback with user data: it notices calls that overlap or come after its end.
struct Handler {
    seen: Arc<Mutex<Vec<usize>>>,
    running: Arc<AtomicBool>,
    destroyed: Arc<AtomicUsize>,
}

impl Handler {
    fn call(&self, number: usize) {
        assert!(!self.running.swap(true, SeqCst), "two calls at once");
        assert_eq!(self.destroyed.load(SeqCst), 0, "a call after the end");
        lock(&self.seen).push(number);
        self.running.store(false, SeqCst);
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        assert!(!self.running.load(SeqCst), "destroyed while it runs");
        assert_eq!(self.destroyed.fetch_add(1, SeqCst), 0);
    }
}

/// What a test keeps of a handler.
struct Trace {
    seen: Arc<Mutex<Vec<usize>>>,
    running: Arc<AtomicBool>,
    destroyed: Arc<AtomicUsize>,
}

fn handler() -> (Arc<Handler>, Trace) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (running, destroyed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let trace = Trace { seen: seen.clone(), running: running.clone(), destroyed: destroyed.clone() };
    (Arc::new(Handler { seen, running, destroyed }), trace)
}

type Box = Mailbox<Numbers, Handler>;

fn mailbox() -> Arc<Box> {
    Arc::new(Mailbox::new(Numbers::default()))
}

fn spawn(mailbox: &Arc<Box>, body: impl FnOnce(&Box) + 'static) -> thread::JoinHandle<()> {
    let mailbox = mailbox.clone();
    thread::spawn(move || body(&mailbox))
}

fn dispatcher(mailbox: &Arc<Box>) -> thread::JoinHandle<()> {
    spawn(mailbox, |mailbox| mailbox.dispatch(|handler, number| handler.call(number)))
}

#[test]
fn loom_a_waiter_sees_every_item_once() {
    model(|| {
        let mailbox = mailbox();
        let first = spawn(&mailbox, |mailbox| mailbox.with(|numbers| numbers.push(1)));
        let second = spawn(&mailbox, |mailbox| mailbox.with(|numbers| numbers.push(2)));
        let mut seen = Vec::new();
        while seen.len() < 2 {
            assert_eq!(mailbox.wait(None), Waited::Ready);
            seen.extend(mailbox.with(|numbers| numbers.pop()));
        }
        first.join().unwrap();
        second.join().unwrap();
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
    });
}

#[test]
fn loom_the_level_tells_whether_something_waits() {
    model(|| {
        let mailbox = mailbox();
        let level = mailbox.with(|numbers| numbers.level.clone());
        let writer = spawn(&mailbox, |mailbox| {
            push(mailbox, 1);
            push(mailbox, 2);
        });
        // Reads when the level says so: that never leaves something unread.
        let mut seen = Vec::new();
        while seen.len() < 2 {
            if level.load(SeqCst) > 0 {
                seen.extend(mailbox.with(|numbers| numbers.pop()));
            } else {
                thread::yield_now();
            }
        }
        writer.join().unwrap();
        assert_eq!(seen, [1, 2]);
        // What came late is gone after one more look.
        assert_eq!(mailbox.with(|numbers| numbers.pop()), None);
        assert_eq!(level.load(SeqCst), 0);
    });
}

#[test]
fn loom_a_reader_that_does_not_ask_leaves_a_level_that_is_true_in_the_end() {
    model(|| {
        let mailbox = mailbox();
        let level = mailbox.with(|numbers| numbers.level.clone());
        let (first, second) =
            (spawn(&mailbox, |mailbox| push(mailbox, 1)), spawn(&mailbox, |mailbox| push(mailbox, 2)));
        let taken = mailbox.with(|numbers| numbers.pop());
        first.join().unwrap();
        second.join().unwrap();
        // One is left at least, and shown.
        assert!(level.load(SeqCst) > 0);
        let left = std::iter::from_fn(|| mailbox.with(|numbers| numbers.pop())).count();
        assert_eq!(left + usize::from(taken.is_some()), 2);
        assert_eq!(level.load(SeqCst), 0);
    });
}

#[test]
fn loom_a_wake_is_not_lost() {
    model(|| {
        let mailbox = mailbox();
        let waker = spawn(&mailbox, |mailbox| mailbox.wake());
        assert_eq!(mailbox.wait(None), Waited::Nothing);
        waker.join().unwrap();
    });
}

#[test]
fn loom_the_end_reaches_every_waiter() {
    model(|| {
        let mailbox = mailbox();
        let wait = |mailbox: &Box| assert_eq!(mailbox.wait(None), Waited::Ended);
        let (first, second) = (spawn(&mailbox, wait), spawn(&mailbox, wait));
        mailbox.end();
        first.join().unwrap();
        second.join().unwrap();
    });
}

#[test]
fn loom_reading_the_last_item_ends_other_waits() {
    model(|| {
        let mailbox = mailbox();
        let waiter = spawn(&mailbox, |mailbox| {
            while mailbox.wait(None) != Waited::Ended {
                thread::yield_now();
            }
        });
        mailbox.with(|numbers| numbers.push(END));
        assert_eq!(mailbox.with(|numbers| numbers.pop()), Some(END));
        waiter.join().unwrap();
    });
}

#[test]
fn loom_a_handler_gets_everything_in_order_before_the_stop() {
    model(|| {
        let mailbox = mailbox();
        let (handler, trace) = handler();
        let dispatcher = dispatcher(&mailbox);
        mailbox.with(|numbers| numbers.push(1));
        mailbox.replace(Some(handler));
        mailbox.with(|numbers| numbers.push(END));
        mailbox.stop(Stop::WhenEmpty);
        dispatcher.join().unwrap();
        mailbox.replace(None);
        assert_eq!(*lock(&trace.seen), [1, END]);
        assert_eq!(trace.destroyed.load(SeqCst), 1);
    });
}

#[test]
fn loom_a_removed_handler_is_not_running_and_is_gone() {
    model(|| {
        let mailbox = mailbox();
        let (handler, trace) = handler();
        mailbox.replace(Some(handler));
        let dispatcher = dispatcher(&mailbox);
        mailbox.with(|numbers| numbers.push(1));
        mailbox.replace(None);
        assert!(!trace.running.load(SeqCst));
        assert_eq!(trace.destroyed.load(SeqCst), 1);
        mailbox.with(|numbers| numbers.push(2));
        mailbox.stop(Stop::Now);
        dispatcher.join().unwrap();
    });
}

#[test]
fn loom_one_handler_follows_another_without_a_gap() {
    model(|| {
        let mailbox = mailbox();
        let ((old, of_old), (new, of_new)) = (handler(), handler());
        mailbox.replace(Some(old));
        mailbox.with(|numbers| numbers.push(1));
        let dispatcher = dispatcher(&mailbox);
        mailbox.replace(Some(new));
        assert_eq!(of_old.destroyed.load(SeqCst), 1);
        mailbox.with(|numbers| numbers.push(2));
        mailbox.stop(Stop::WhenEmpty);
        dispatcher.join().unwrap();
        let seen = [lock(&of_old.seen).clone(), lock(&of_new.seen).clone()].concat();
        assert_eq!(seen, [1, 2]);
    });
}

#[test]
fn loom_a_handler_may_remove_itself_while_another_thread_does() {
    model(|| {
        let mailbox = mailbox();
        let (handler, trace) = handler();
        mailbox.replace(Some(handler));
        mailbox.with(|numbers| numbers.push(1));
        let dispatcher = spawn(&mailbox, |mailbox| {
            mailbox.dispatch(|handler, number| {
                assert!(mailbox.is_called_here());
                mailbox.replace(None);
                handler.call(number);
            });
        });
        mailbox.replace(None);
        assert!(!mailbox.is_called_here());
        assert_eq!(trace.destroyed.load(SeqCst), 1);
        mailbox.stop(Stop::Now);
        dispatcher.join().unwrap();
    });
}

/// What the table of swarms holds, and how it is freed.
struct Swarm {
    events: Arc<Box>,
    released: AtomicUsize,
}

impl Swarm {
    /// As `setowire_swarm_free` does it outside a callback.
    fn free(&self, dispatcher: thread::JoinHandle<()>) {
        self.events.with(|numbers| numbers.push(END));
        self.events.stop(Stop::WhenEmpty);
        self.events.end();
        dispatcher.join().unwrap();
        self.events.replace(None);
        self.events.settle();
        self.released.fetch_add(1, SeqCst);
    }
}

#[test]
fn loom_a_swarm_is_freed_under_a_call() {
    model(|| {
        let table = Arc::new(Mutex::new(Table::default()));
        let (handler, trace) = handler();
        let events = mailbox();
        events.replace(Some(handler));
        let dispatcher = dispatcher(&events);
        let name = lock(&table).insert(|_| Swarm { events, released: AtomicUsize::new(0) });
        let caller = thread::spawn({
            let table = table.clone();
            move || {
                let found = lock(&table).get(name);
                // A call that found the swarm may set another callback at any time; it must not run after the end.
                found.map(|swarm| swarm.events.replace(None)).is_ok()
            }
        });
        let swarm = lock(&table).remove(name).expect("nobody else frees it");
        swarm.free(dispatcher);
        assert_eq!(trace.destroyed.load(SeqCst), 1);
        let seen = lock(&trace.seen).len();
        assert!(lock(&table).get(name).is_err() && lock(&table).remove(name).is_none());
        caller.join().unwrap();
        assert_eq!(lock(&trace.seen).len(), seen);
        assert_eq!(swarm.released.load(SeqCst), 1);
    });
}

#[test]
fn loom_a_callback_that_is_set_during_the_end_is_refused_or_gone() {
    model(|| {
        let events = mailbox();
        let (handler, trace) = handler();
        let dispatcher = dispatcher(&events);
        let setter = spawn(&events, move |events| {
            events.replace(Some(handler));
        });
        let swarm = Swarm { events, released: AtomicUsize::new(0) };
        swarm.free(dispatcher);
        let seen = lock(&trace.seen).len();
        setter.join().unwrap();
        assert_eq!(lock(&trace.seen).len(), seen);
        assert_eq!(trace.destroyed.load(SeqCst), 1);
    });
}
