//! `setowire_set_log_callback`: log lines for the application, on a thread of their own.
//!
//! In: lines from any internal thread, which never waits here. Out: calls of the
//! application's function, one at a time, under no lock.
//! Invariants: off unless asked for; the lines waiting are bounded, more are dropped
//! and counted in a line that says so; when the function is replaced or removed, the old
//! one is not running on return and was destroyed, unless it is the caller.

use super::fork::{self, Global};
use super::guard::guard;
use super::user_data::UserData;
use super::{setowire_destroy_cb, setowire_log_cb};
use crate::config::limits;
use crate::error::{Error, Result};
use crate::log::{Sink, set_sink};
use crate::node::Level;
use crate::queue::mailbox::{Buffer, Mailbox, Stop};
use crate::runtime::{clock, thread};
use once_cell::sync::Lazy;
use std::collections::VecDeque;
use std::ffi::{CStr, c_void};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// The part of the library that lines come from. There is one so far.
const TARGET: &CStr = c"setowire";

pub(super) static CURRENT: Lazy<Global<Option<Arc<Logger>>>> = Lazy::new(Global::default);

/// Has log lines handed to a function, on a log thread of the library. For the whole process. Default: off; nothing
/// is ever written to stdout or stderr. A slow function does not slow the network: lines are dropped and counted.
///
/// Threading: any thread; waits for a running call of the function before, unless called by it.
///
/// @param level      The finest severity wanted: SETOWIRE_LOG_ERROR to SETOWIRE_LOG_TRACE.
/// @param cb         The function; it replaces the one before. NULL: off, `level` is ignored and `user_data` is
///                   destroyed at once.
/// @param user_data  Passed to the function, never looked at. It must be usable on any thread.
/// @param destroy    Called exactly once with `user_data` when it is not used any more, also if this call fails. May
///                   be NULL.
/// @return 0, or SETOWIRE_ERR_INVALID (`level`), SETOWIRE_ERR_INTERNAL (the system refused a thread),
///         SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_set_log_callback(
    level: u8,
    cb: setowire_log_cb,
    user_data: *mut c_void,
    destroy: setowire_destroy_cb,
) -> i32 {
    let user_data = UserData::new(user_data, destroy);
    guard("setowire_set_log_callback", move || {
        let Some(call) = cb else {
            switch_off();
            return Ok(0);
        };
        let level = severity(level)?;
        let handler = Arc::new(Box::new(move |line: Line| {
            let len = line.text.len();
            let mut text = line.text.into_bytes();
            text.push(0);
            // SAFETY: the header asks for a function of this type that may be called on any thread with this
            // `user_data`, which lives as long as this closure. Both texts end with a zero byte and live longer.
            unsafe {
                call(line.level as u8, TARGET.as_ptr(), text.as_ptr().cast(), len, line.time_us, user_data.pointer())
            }
        }) as Handler);
        while !switch_on(level, &handler)? {}
        Ok(0)
    })
}

fn severity(number: u8) -> Result<Level> {
    [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace]
        .into_iter()
        .find(|level| *level as u8 == number)
        .ok_or_else(|| Error::invalid(format!("level: {number} is not one of 1 (errors) to 5 (everything)")))
}

/// A function of the application and its `user_data`.
type Handler = Box<dyn Fn(Line) + Send + Sync>;

/// The log thread and what it has to do.
pub(super) struct Logger {
    lines: Mailbox<Lines, Handler>,
    thread: Mutex<Option<JoinHandle<()>>>,
    generation: u32,
    begin: Instant,
}

/// False: the log thread ended meanwhile.
fn switch_on(level: Level, handler: &Arc<Handler>) -> Result<bool> {
    let generation = fork::generation();
    let mut current = CURRENT.write();
    if current.as_ref().is_none_or(|logger| logger.generation != generation) {
        // One of a parent process has no thread here; nothing of it is touched.
        std::mem::forget(current.take());
        *current = Some(Logger::start(generation)?);
    }
    let logger = current.clone();
    let sink = logger.clone().map(|logger| -> Sink { Arc::new(move |level, text| logger.take(level, text)) });
    let old = set_sink(level, sink);
    drop(current);
    forget_if_inherited(old);
    Ok(logger.is_some_and(|logger| logger.lines.replace(Some(handler.clone()))))
}

fn switch_off() {
    let mut current = CURRENT.write();
    let logger = current.take();
    let old = set_sink(Level::Error, None);
    drop(current);
    forget_if_inherited(old);
    let Some(logger) = logger else { return };
    if logger.generation != fork::generation() {
        std::mem::forget(logger);
        return;
    }
    let called_here = logger.lines.is_called_here();
    logger.lines.end();
    logger.lines.stop(Stop::Now);
    logger.lines.replace(None);
    let thread = logger.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(thread) = thread.filter(|_| !called_here) {
        // The thread runs nothing that panics but Rust handlers, and has ended then.
        let _ = thread.join();
    }
}

/// A sink of a parent process holds a logger whose thread does not exist here.
fn forget_if_inherited(sink: Option<Sink>) {
    if fork::generation() > 0 {
        std::mem::forget(sink);
    }
}

impl Logger {
    fn start(generation: u32) -> Result<Arc<Logger>> {
        let logger = Arc::new(Logger {
            lines: Mailbox::new(Lines::default()),
            thread: Mutex::new(None),
            generation,
            begin: clock::now().mono,
        });
        let shared = logger.clone();
        let thread = thread::start("setowire-log", move || shared.lines.dispatch(|handler, line| handler(line)))?;
        *logger.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(logger)
    }

    fn take(&self, level: Level, text: &str) {
        if self.generation != fork::generation() {
            return;
        }
        let time = clock::now().mono.saturating_duration_since(self.begin);
        let line = Line { level, text: text.to_owned(), time_us: crate::event::micros(time) };
        self.lines.with(|lines| lines.push(line));
    }
}

struct Line {
    level: Level,
    text: String,
    time_us: u64,
}

/// The lines that wait.
#[derive(Default)]
struct Lines {
    lines: VecDeque<Line>,
    dropped: u64,
    last_us: u64,
}

impl Lines {
    fn push(&mut self, line: Line) {
        self.last_us = line.time_us;
        if self.lines.len() >= limits::LOG_QUEUE_LINES {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        let notice = self.notice();
        self.lines.extend(notice);
        self.lines.push_back(line);
    }

    fn notice(&mut self) -> Option<Line> {
        let dropped = std::mem::take(&mut self.dropped);
        let text = format!("{dropped} log lines were dropped: the log callback is too slow");
        (dropped > 0).then_some(Line { level: Level::Warn, text, time_us: self.last_us })
    }
}

impl Buffer for Lines {
    type Item = Line;

    fn pop(&mut self) -> Option<Line> {
        self.lines.pop_front().or_else(|| self.notice())
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0
    }

    fn is_finished(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_limit_are_counted_and_told() {
        let line = |n: usize| Line { level: Level::Info, text: n.to_string(), time_us: 1 };
        let mut lines = Lines::default();
        for n in 0..limits::LOG_QUEUE_LINES + 3 {
            lines.push(line(n));
        }
        let kept = std::iter::from_fn(|| lines.pop()).map(|line| line.text).collect::<Vec<_>>();
        assert_eq!(kept.len(), limits::LOG_QUEUE_LINES + 1);
        assert_eq!(kept[limits::LOG_QUEUE_LINES], "3 log lines were dropped: the log callback is too slow");
        assert!(lines.is_empty());
    }
}
