//! Where log lines go: to one process-wide sink, or nowhere.
//!
//! In: lines from the network threads. Out: calls of the sink, on the thread that
//! wrote the line, under no lock. The sink belongs to the C ABI, which puts the
//! lines into a bounded queue of its own; a sink must not block.
//! Invariants: without a sink nothing is written anywhere, in particular not to
//! stdout or stderr, and a line above the level costs one atomic load.

use crate::node::api::Level;
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Takes one line.
pub type Sink = Arc<dyn Fn(Level, &str) + Send + Sync>;

/// Lines up to this number are written; 0: none.
static LEVEL: AtomicU8 = AtomicU8::new(0);
static SINK: RwLock<Option<Sink>> = RwLock::new(None);

/// Sends lines up to `level` to `sink` from now on; none: nowhere. Returns the sink that was there.
pub fn set_sink(level: Level, sink: Option<Sink>) -> Option<Sink> {
    let mut slot = SINK.write();
    LEVEL.store(if sink.is_some() { level as u8 } else { 0 }, Ordering::Relaxed);
    std::mem::replace(&mut *slot, sink)
}

/// Whether a line of this level would be written: ask before building a costly one.
pub fn enabled(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// Writes a line.
pub fn write(level: Level, text: &str) {
    if enabled(level) {
        let sink = SINK.read().clone();
        if let Some(sink) = sink {
            sink(level, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    #[test]
    fn only_lines_up_to_the_level_reach_the_sink() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let seen = lines.clone();
        let sink: Sink = Arc::new(move |level, text| seen.lock().push((level, text.to_owned())));
        assert!(!enabled(Level::Error));
        set_sink(Level::Info, Some(sink));
        assert!(enabled(Level::Info) && !enabled(Level::Debug));
        write(Level::Warn, "log test: heard");
        write(Level::Debug, "log test: too fine");
        set_sink(Level::Info, None);
        write(Level::Error, "log test: after the end");
        let mine: Vec<_> = lines.lock().iter().filter(|(_, text)| text.starts_with("log test")).cloned().collect();
        assert_eq!(mine, [(Level::Warn, "log test: heard".to_owned())]);
    }
}
