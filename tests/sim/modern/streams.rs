//! An application of streams: opens some, answers those of others.
//!
//! Who opens one says in its first bytes what will follow, writes it, and finishes or resets its direction. Who
//! gets one reads it as it comes, and answers the end with the number of bytes, a reset with a reset; some
//! stop reading halfway. Asserted: every byte is the right one in its place, a finished direction came whole, the
//! answer arrives, nothing happens on a stream after it was closed, each is closed once, and when its session
//! ended nothing but that happens to it.

use super::{Life, Side, pattern};
use crate::world::World;
use setowire::Code;
use setowire::node::{StreamChange, StreamId};
use std::collections::{BTreeMap, BTreeSet};

/// Number, length and where to stop reading.
const HEADER: usize = 24;
const RESET: u32 = 7;
const STOP: u32 = 9;
const STOPPED: u8 = b'X';

#[derive(Debug)]
struct Stream {
    number: u64,
    /// Ours: what is to be written, and how much was.
    total: usize,
    written: usize,
    sending: bool,
    /// Ours: reset after so many bytes.
    reset_at: Option<usize>,
    /// Where the other side stops reading.
    stop_at: usize,
    opened: bool,
    got: Vec<u8>,
    count: usize,
    reading: bool,
}

#[derive(Default)]
pub struct Streams {
    streams: BTreeMap<(Life, StreamId), Stream>,
    /// Sessions that ended.
    over: BTreeSet<Side>,
    next: u64,
    pub finished: u64,
    pub reset: u64,
    pub stopped: u64,
}

impl Streams {
    /// Opens one; false: not now.
    pub fn open(&mut self, world: &mut World, side: Side, total: usize) -> bool {
        let Ok(id) = world.call(side.of.node, |node, _| node.open_stream(side.peer)) else {
            return false;
        };
        self.next += 1;
        let reset_at = world.rng.chance(0.2).then(|| world.rng.below(total as u64 + 1) as usize);
        let stop_at = if world.rng.chance(0.4) { world.rng.below(total as u64 + 1) as usize } else { usize::MAX };
        let stream = Stream {
            number: self.next,
            total,
            written: 0,
            sending: true,
            reset_at,
            stop_at,
            opened: true,
            got: Vec::new(),
            count: 0,
            reading: true,
        };
        self.streams.insert((side.of, id), stream);
        self.write(world, side.of, id);
        self.read(world, side.of, id);
        true
    }

    /// Something happened to a stream.
    pub fn event(&mut self, world: &mut World, side: Side, id: StreamId, change: StreamChange) {
        let key = (side.of, id);
        let closed = matches!(change, StreamChange::Closed { .. });
        assert!(closed || !self.over.contains(&side), "{id:?} of {side:?}: {change:?} after the end of its session");
        match change {
            StreamChange::Opened => {
                let stream = Stream {
                    number: 0,
                    total: 0,
                    written: 0,
                    sending: false,
                    reset_at: None,
                    stop_at: usize::MAX,
                    opened: false,
                    got: Vec::new(),
                    count: 0,
                    reading: true,
                };
                assert!(self.streams.insert(key, stream).is_none(), "{id:?} opened twice");
                self.read(world, side.of, id);
            }
            StreamChange::Readable => {
                assert!(self.streams.contains_key(&key), "{id:?} of {side:?} is readable after its end");
                self.read(world, side.of, id);
            }
            StreamChange::Writable => {
                assert!(self.streams.contains_key(&key), "{id:?} of {side:?} is writable after its end");
                self.write(world, side.of, id);
            }
            StreamChange::Closed { .. } => {
                let closed = self.streams.remove(&key);
                assert!(closed.is_some(), "{id:?} of {side:?} closed twice");
            }
        }
    }

    /// A session ended: what is left of its streams can be read.
    pub fn close(&mut self, side: Side) {
        self.over.insert(side);
    }

    pub fn kill(&mut self, life: Life) {
        self.streams.retain(|(of, _), _| *of != life);
    }

    /// All are closed; else one that is not.
    pub fn settled(&self) -> Result<(), String> {
        match self.streams.iter().next() {
            Some((key, stream)) => {
                let Stream { total, written, sending, reading, count, opened, .. } = stream;
                let ours = format!("opened here {opened}, {written} of {total} written, sending {sending}");
                Err(format!("{key:?}: {ours}, {count} read, reading {reading}"))
            }
            None => Ok(()),
        }
    }

    fn write(&mut self, world: &mut World, life: Life, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&(life, id)) else { return };
        while stream.sending {
            let end = HEADER + stream.total;
            let end = stream.reset_at.map_or(end, |at| at.min(end));
            if stream.written >= end {
                stream.sending = false;
                let reset = stream.reset_at.is_some();
                let ended = world.call(life.node, |node, _| match reset {
                    true => node.reset_stream(id, RESET),
                    false => node.finish_stream(id),
                });
                // The other side may have stopped reading just before.
                let over = ended.as_ref().is_err_and(|error| error.code == Code::NotFound);
                assert!(ended.is_ok() || over || stream.stop_at != usize::MAX, "{ended:?}");
                return;
            }
            let piece: Vec<u8> = (stream.written..end.min(stream.written + 40_000)).map(|at| stream.byte(at)).collect();
            match world.call(life.node, |node, _| node.write_stream(id, &piece)) {
                Ok(taken) => stream.written += taken,
                Err(error) if error.code == Code::WouldBlock => return,
                // The session is over, and the event that says so on its way.
                Err(error) if error.code == Code::NotFound => return,
                Err(error) => {
                    assert!(error.code == Code::Closed && stream.stop_at != usize::MAX, "a write to {id:?}: {error}");
                    stream.sending = false;
                }
            }
        }
    }

    fn read(&mut self, world: &mut World, life: Life, id: StreamId) {
        while let Some(stream) = self.streams.get_mut(&(life, id)).filter(|stream| stream.reading) {
            let most = 30_000.min(stream.stop_at.saturating_add(HEADER).saturating_sub(stream.count).max(1));
            let mut came = Vec::new();
            let read = world.call(life.node, |node, _| node.read_stream(id, most, |bytes| came.push(bytes)));
            let read = match read {
                Ok(read) => read,
                Err(error) if matches!(error.code, Code::WouldBlock | Code::NotFound) => return,
                Err(error) => panic!("a read of {id:?}: {error}"),
            };
            assert_eq!(came.iter().map(|bytes| bytes.len()).sum::<usize>(), read.bytes);
            came.iter().for_each(|bytes| stream.take(bytes));
            let (all, stop) = (stream.count, stream.stop_at.saturating_add(HEADER));
            if read.finished {
                stream.reading = false;
                match stream.opened {
                    true => stream.check_answer(),
                    false => {
                        assert_eq!(all, HEADER + stream.total, "{id:?} finished");
                        self.finished += 1;
                        answer(world, life, id, &(stream.total as u64).to_be_bytes());
                    }
                }
            } else if let Some(code) = read.reset {
                stream.reading = false;
                if stream.opened {
                    // With 1, if the reset was all that came of it.
                    assert!(stream.reset_at.is_some() && [1, RESET.into()].contains(&code), "{id:?}: reset {code}");
                } else {
                    assert_eq!(code, u64::from(RESET));
                    self.reset += 1;
                    unless_gone(world.call(life.node, |node, _| node.reset_stream(id, RESET)));
                }
            } else if !stream.opened && all >= stop {
                stream.reading = false;
                self.stopped += 1;
                unless_gone(world.call(life.node, |node, _| node.stop_stream(id, STOP)));
                answer(world, life, id, &[STOPPED]);
            }
        }
    }
}

/// Says something short, and the end.
fn answer(world: &mut World, life: Life, id: StreamId, text: &[u8]) {
    let taken = unless_gone(world.call(life.node, |node, _| node.write_stream(id, text)));
    assert!(taken.is_none_or(|taken| taken == text.len()), "the first bytes are taken");
    unless_gone(world.call(life.node, |node, _| node.finish_stream(id)));
}

/// A direction is open as long as the session is: what was read may have been left by one that is over.
fn unless_gone<T>(result: setowire::Result<T>) -> Option<T> {
    assert!(result.as_ref().err().is_none_or(|error| error.code == Code::NotFound), "{:?}", result.err());
    result.ok()
}

impl Stream {
    /// What we write at this place.
    fn byte(&self, at: usize) -> u8 {
        match at {
            0..8 => self.number.to_be_bytes()[at],
            8..16 => (self.total as u64).to_be_bytes()[at - 8],
            16..24 => (self.stop_at as u64).to_be_bytes()[at - 16],
            _ => pattern(self.number, at - HEADER),
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.opened || self.count < HEADER {
                self.got.push(*byte);
            } else {
                assert_eq!(*byte, pattern(self.number, self.count - HEADER), "byte {} of {}", self.count, self.number);
            }
            self.count += 1;
            if !self.opened && self.count == HEADER {
                let number = |at: usize| u64::from_be_bytes(self.got[at..at + 8].try_into().expect("eight bytes"));
                (self.number, self.total, self.stop_at) = (number(0), number(8) as usize, number(16) as usize);
            }
        }
    }

    fn check_answer(&self) {
        match self.got[..] {
            [STOPPED] => assert_ne!(self.stop_at, usize::MAX, "nobody was to stop"),
            _ => assert_eq!(self.got, (self.total as u64).to_be_bytes(), "the answer"),
        }
    }
}
