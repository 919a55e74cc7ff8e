//! The application's streams of one connection: duplex, many at a time, each with flow control of its own.
//!
//! In: calls of the application by stream id, streams that `incoming` found, events of QUIC about them. Out:
//! bytes, and `Happened`s: opened by the peer, readable, writable, closed. Readable and
//! writable are told once for each time a call came back with less than it was asked for, when
//! that has changed; one byte is looked for before it is said that some have come.
//! A stream is closed, and forgotten, when both its directions are done.
//! Writing takes no more than QUIC can soon use: what a peer does not read stays with the application, so that
//! one that reads slowly stalls its own streams and neither the others nor messages.

use super::budget::Budget;
use super::incoming::APPLICATION_STREAM;
use super::writer::{Held, StreamWriter};
use crate::config::limits::{
    QUIC_CONNECTION_WINDOW, QUIC_GATHER_BYTES, QUIC_STREAM_IN_FLIGHT, QUIC_STREAM_WAITING, QUIC_STREAM_WINDOW,
    QUIC_STREAMS_BIDI, QUIC_STREAMS_IN_FLIGHT, QUIC_STREAMS_MAX,
};
use crate::error::{Code, Error, Result};
use bytes::Bytes;
use quinn_proto::{Connection, Dir, ReadError, StreamId, VarInt, WriteError};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::Ordering::Relaxed;

/// With which a stream beyond our limit is refused.
const TOO_MANY: VarInt = VarInt::from_u32(5);
/// As high as messages and never above the control stream.
const HIGHEST_PRIORITY: i32 = 1;

/// The number the application knows a stream by.
pub type Number = u64;

/// What the application is told of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The peer opened it.
    Opened(Number),
    /// A read that found too little may find more, or the end.
    Readable(Number),
    /// A write that was not taken in full may be taken now, or fails because the peer stopped reading.
    Writable(Number),
    /// Both directions are done: the last of this stream. The code of the peer's reset, if it sent one.
    Closed(Number, Option<u64>),
}

/// How the peer's direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Finished,
    Reset(u64),
}

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    pub bytes: usize,
    /// Nothing follows.
    pub end: Option<End>,
    /// QUIC has something to tell the peer: it may send more.
    pub due: bool,
}

enum Sending {
    Open,
    /// Finished by us; done when the peer has acknowledged all.
    Finishing,
    /// The peer reads no more; done when the application has heard.
    Stopped(u64),
    /// Finished by us, and all of it acknowledged.
    Finished,
    /// Reset by us.
    Reset,
}

impl Sending {
    fn is_done(&self) -> bool {
        matches!(self, Sending::Finished | Sending::Reset | Sending::Stopped(_))
    }
}

enum Receiving {
    Open,
    /// The end is known, and not yet told.
    Ended(End),
    Done,
}

struct Stream {
    id: StreamId,
    writer: StreamWriter,
    sending: Sending,
    receiving: Receiving,
    /// A write was not taken in full: `Writable` is owed.
    write_short: bool,
    /// A read found too little: `Readable` is owed.
    read_short: bool,
    /// Looked for before `Readable` was told, and not yet read.
    found: Bytes,
    reset: Option<u64>,
}

/// Whether the application may open streams, as far as it knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    Free,
    /// It was refused.
    Refused,
    /// It was refused, may now, and is to be told.
    Owed,
}

/// What is left of a stream whose connection is gone.
pub struct Remains {
    /// What had arrived in order and was not read, and its length.
    pub pieces: VecDeque<Bytes>,
    pub bytes: usize,
    /// What comes behind it, if that had arrived.
    pub end: Option<End>,
    /// Our direction was done.
    pub sent: bool,
    /// `Readable`, or `Writable`, is owed.
    pub read_short: bool,
    pub write_short: bool,
}

/// All streams of one connection.
pub struct Streams {
    streams: BTreeMap<Number, Stream>,
    by_id: BTreeMap<StreamId, Number>,
    /// Those with something that `drive` has to look after: bytes to write, room to tell of, a block to free.
    busy: BTreeSet<Number>,
    /// How many of them want to send more.
    hungry: usize,
    held: Held,
    happened: VecDeque<Happened>,
    open: Opening,
    /// Streams the peer may have open.
    allowed: u32,
    /// Windows drawn from the budget, one for each stream.
    windows: usize,
}

impl Default for Streams {
    fn default() -> Streams {
        Streams {
            streams: BTreeMap::new(),
            by_id: BTreeMap::new(),
            busy: BTreeSet::new(),
            hungry: 0,
            open: Opening::Free,
            held: Held::default(),
            happened: VecDeque::new(),
            allowed: QUIC_STREAMS_BIDI,
            windows: 0,
        }
    }
}

impl Streams {
    /// Opens one under this number.
    pub fn open(&mut self, connection: &mut Connection, number: Number) -> Result<()> {
        if self.streams.len() >= QUIC_STREAMS_MAX as usize {
            self.open = Opening::Refused;
            return Err(would_block(format!("{QUIC_STREAMS_MAX} streams are open to this peer; WRITABLE follows")));
        }
        let Some(id) = connection.streams().open(Dir::Bi) else {
            self.open = Opening::Refused;
            return Err(would_block("the peer allows no more streams for now; WRITABLE follows".to_owned()));
        };
        let stream = self.insert(number, id);
        stream.writer.push_copy(&[APPLICATION_STREAM]);
        stream.read_short = true;
        self.busy.insert(number);
        Ok(())
    }

    /// Takes over one that the peer opened, of which the type was read.
    pub fn accept(&mut self, connection: &mut Connection, id: StreamId, number: Number) {
        if self.streams.len() >= QUIC_STREAMS_MAX as usize {
            // Both fail only where that half has ended already.
            let _ = connection.recv_stream(id).stop(TOO_MANY);
            let _ = connection.send_stream(id).reset(TOO_MANY);
            return;
        }
        self.insert(number, id).read_short = true;
        self.happened.push_back(Happened::Opened(number));
        self.readable(connection, id);
        // A peer that uses what it may have gets more, so that an idle one costs little.
        let open = connection.streams().remote_open_streams(Dir::Bi);
        if open.saturating_mul(4) >= u64::from(self.allowed).saturating_mul(3) && self.allowed < QUIC_STREAMS_MAX {
            self.allowed = self.allowed.saturating_mul(2).min(QUIC_STREAMS_MAX);
            connection.set_max_concurrent_streams(Dir::Bi, VarInt::from_u32(self.allowed));
        }
    }

    fn insert(&mut self, number: Number, id: StreamId) -> &mut Stream {
        let mut writer = StreamWriter::new(QUIC_STREAM_IN_FLIGHT, self.held.clone());
        writer.attach(id);
        self.by_id.insert(id, number);
        self.streams.entry(number).or_insert(Stream {
            id,
            writer,
            sending: Sending::Open,
            receiving: Receiving::Open,
            write_short: false,
            read_short: false,
            found: Bytes::new(),
            reset: None,
        })
    }

    /// Bytes that `write` would take now.
    pub fn writable(&self, number: Number) -> usize {
        let room = self.room();
        self.streams.get(&number).map_or(0, |stream| room.of(&stream.writer))
    }

    /// Takes `data` without a copy, as far as there is room for it, of a write of `wanted` bytes; else as `write`.
    pub fn write_bytes(
        &mut self,
        connection: &mut Connection,
        number: Number,
        mut data: Bytes,
        wanted: usize,
    ) -> Result<usize> {
        let room = self.room();
        let stream = self.open_for_writing(number)?;
        data.truncate(room.of(&stream.writer));
        let taken = data.len();
        stream.writer.push(data);
        // A stop by the peer is told by its event.
        let _ = stream.writer.write(connection);
        self.taken(number, taken, wanted)
    }

    fn open_for_writing(&mut self, number: Number) -> Result<&mut Stream> {
        let stream = self.streams.get_mut(&number).ok_or_else(|| unknown(number))?;
        match stream.sending {
            Sending::Open => Ok(stream),
            Sending::Stopped(code) => Err(closed(format!("the peer stopped reading with code {code}"))),
            Sending::Finishing | Sending::Finished | Sending::Reset => {
                Err(closed("it was finished or reset by us".to_owned()))
            }
        }
    }

    /// What follows from a write of `wanted` bytes of which so many were taken.
    fn taken(&mut self, number: Number, taken: usize, wanted: usize) -> Result<usize> {
        if let Some(stream) = self.streams.get_mut(&number) {
            stream.write_short = taken < wanted;
        }
        self.busy.insert(number);
        if taken == 0 && wanted > 0 {
            return Err(would_block("the stream takes no more for now; STREAM_WRITABLE follows".to_owned()));
        }
        Ok(taken)
    }

    /// Takes as many bytes as there is room for; fewer than all, or none (`WouldBlock`), and `Writable` follows.
    pub fn write(&mut self, connection: &mut Connection, number: Number, data: &[u8]) -> Result<usize> {
        let room = self.room();
        let stream = self.open_for_writing(number)?;
        let mut taken = 0usize;
        while let Some(left) = data.get(taken..).filter(|left| !left.is_empty()) {
            let piece = left.len().min(room.of(&stream.writer)).min(QUIC_GATHER_BYTES);
            if piece == 0 {
                break;
            }
            stream.writer.push_copy(left.get(..piece).unwrap_or_default());
            taken = taken.saturating_add(piece);
            if stream.writer.waiting() >= QUIC_GATHER_BYTES {
                // A stop by the peer is told by its event.
                let _ = stream.writer.write(connection);
            }
        }
        // What is less than a block leaves with what the next calls add to it.
        self.taken(number, taken, data.len())
    }

    /// No bytes follow ours.
    pub fn finish(&mut self, number: Number) -> Result<()> {
        let stream = self.streams.get_mut(&number).ok_or_else(|| unknown(number))?;
        match stream.sending {
            Sending::Open => {
                stream.writer.finish();
                stream.sending = Sending::Finishing;
                stream.write_short = false;
                self.busy.insert(number);
                Ok(())
            }
            Sending::Finishing | Sending::Finished => Ok(()),
            Sending::Stopped(code) => Err(closed(format!("the peer stopped reading with code {code}"))),
            Sending::Reset => Err(closed("it was reset by us".to_owned())),
        }
    }

    /// Gives up our direction; what the peer has not read yet is lost.
    pub fn reset(&mut self, connection: &mut Connection, number: Number, code: u32) -> Result<()> {
        let stream = self.streams.get_mut(&number).ok_or_else(|| unknown(number))?;
        // Fails where everything was acknowledged already.
        let _ = connection.send_stream(stream.id).reset(VarInt::from_u32(code));
        self.end_sending(number, Sending::Reset);
        Ok(())
    }

    /// Wants nothing more of the peer's direction, and tells it so.
    pub fn stop(&mut self, connection: &mut Connection, number: Number, code: u32) -> Result<()> {
        let stream = self.streams.get_mut(&number).ok_or_else(|| unknown(number))?;
        // Fails where it has ended already.
        let _ = connection.recv_stream(stream.id).stop(VarInt::from_u32(code));
        stream.found = Bytes::new();
        stream.receiving = Receiving::Done;
        self.forget_if_done(number);
        Ok(())
    }

    /// Higher goes first; 0 at first. Messages have 1, and more than that counts as 1.
    pub fn set_priority(&mut self, connection: &mut Connection, number: Number, priority: i32) -> Result<()> {
        let stream = self.streams.get(&number).ok_or_else(|| unknown(number))?;
        let priority = priority.min(HIGHEST_PRIORITY);
        connection.send_stream(stream.id).set_priority(priority).map_err(|_| closed("our direction is done".to_owned()))
    }

    /// Hands up to `most` bytes to `take`, in order. With nothing there: `WouldBlock`, and `Readable` follows.
    pub fn read(
        &mut self,
        connection: &mut Connection,
        number: Number,
        most: usize,
        take: impl FnMut(Bytes),
    ) -> Result<Read> {
        let stream = self.streams.get_mut(&number).ok_or_else(|| unknown(number))?;
        if matches!(stream.receiving, Receiving::Done) {
            return Err(closed("the peer's direction is done".to_owned()));
        }
        let read = stream.take(connection, most, usize::MAX, take);
        stream.read_short |= read.end.is_none() && read.bytes < most;
        if read.end.is_some() {
            stream.receiving = Receiving::Done;
            self.forget_if_done(number);
        } else if read.bytes == 0 {
            return Err(would_block("nothing has arrived; STREAM_READABLE follows".to_owned()));
        }
        Ok(read)
    }

    /// QUIC reports bytes or an end on one of ours.
    pub fn readable(&mut self, connection: &mut Connection, id: StreamId) {
        let Some((number, stream)) = self.find(id) else { return };
        if !stream.read_short || matches!(stream.receiving, Receiving::Done) {
            return;
        }
        let mut found = Bytes::new();
        let read = stream.take(connection, QUIC_GATHER_BYTES, 1, |piece| found = piece);
        match read.end {
            Some(end) => stream.receiving = Receiving::Ended(end),
            // A repeat, or something behind a gap.
            None if found.is_empty() => return,
            None => stream.found = found,
        }
        stream.read_short = false;
        self.happened.push_back(Happened::Readable(number));
    }

    /// QUIC reports that the peer allows more streams.
    pub fn available(&mut self) {
        if self.open == Opening::Refused && self.streams.len() < QUIC_STREAMS_MAX as usize {
            self.open = Opening::Owed;
        }
    }

    /// A `writable` event of the peer is due: an `open` was refused and may now succeed.
    pub fn take_writable(&mut self) -> bool {
        let owed = self.open == Opening::Owed;
        if owed {
            self.open = Opening::Free;
        }
        owed
    }

    /// QUIC reports that the peer has acknowledged a stream that we finished.
    pub fn finished(&mut self, id: StreamId) {
        if let Some((number, _)) = self.find(id) {
            self.end_sending(number, Sending::Finished);
        }
    }

    /// QUIC reports that the peer reads no more of a stream.
    pub fn stopped(&mut self, connection: &mut Connection, id: StreamId, code: VarInt) {
        let Some((number, stream)) = self.find(id) else { return };
        // The answer that the protocol wants. Fails where we did so ourselves.
        let _ = connection.send_stream(id).reset(code);
        match stream.sending {
            Sending::Open => {
                stream.sending = Sending::Stopped(code.into_inner());
                stream.write_short = false;
                stream.writer.abandon();
                self.happened.push_back(Happened::Writable(number));
                self.forget_if_done(number);
            }
            // Nobody will write: nobody needs to hear.
            Sending::Finishing => self.end_sending(number, Sending::Finished),
            Sending::Stopped(_) | Sending::Finished | Sending::Reset => {}
        }
    }

    /// Hands to QUIC what it takes now, tells who can write again, and fits the connection's window to the number of
    /// streams. To be called after calls of the application and after every datagram.
    pub fn drive(&mut self, connection: &mut Connection, windows: &mut Budget) {
        let room = self.room();
        self.hungry = 0;
        for number in std::mem::take(&mut self.busy) {
            let Some(stream) = self.streams.get_mut(&number) else { continue };
            if let Err(WriteError::Stopped(_) | WriteError::ClosedStream) = stream.writer.write(connection) {
                // Its event tells.
                continue;
            }
            if stream.write_short && room.of(&stream.writer) >= QUIC_STREAM_WAITING / 2 {
                stream.write_short = false;
                self.happened.push_back(Happened::Writable(number));
            }
            let hungry = stream.write_short || stream.writer.wants_write();
            self.hungry = self.hungry.saturating_add(usize::from(hungry));
            if hungry || stream.writer.holds_block() {
                self.busy.insert(number);
            }
        }
        self.fit_window(connection, windows);
    }

    /// What the application is to be told, in order.
    pub fn take_happened(&mut self) -> Option<Happened> {
        self.happened.pop_front()
    }

    /// The stream that has this number.
    pub fn has(&self, number: Number) -> bool {
        self.streams.contains_key(&number)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Everything that was written has been acknowledged, and every end of ours.
    pub fn is_idle(&self) -> bool {
        let idle = |stream: &Stream| stream.writer.buffered() == 0 && !matches!(stream.sending, Sending::Finishing);
        self.streams.values().all(idle)
    }

    /// The connection is gone: gives back its windows; what is left of the streams that were open.
    pub fn give_up(&mut self, connection: &mut Connection, windows: &mut Budget) -> Vec<(Number, Remains)> {
        windows.give(self.windows.saturating_mul(QUIC_STREAM_WINDOW as usize));
        self.windows = 0;
        self.by_id.clear();
        self.busy.clear();
        let streams = std::mem::take(&mut self.streams).into_iter();
        streams.map(|(number, stream)| (number, stream.remains(connection))).collect()
    }

    fn find(&mut self, id: StreamId) -> Option<(Number, &mut Stream)> {
        let number = *self.by_id.get(&id)?;
        self.streams.get_mut(&number).map(|stream| (number, stream))
    }

    fn end_sending(&mut self, number: Number, how: Sending) {
        if let Some(stream) = self.streams.get_mut(&number) {
            stream.sending = how;
            stream.write_short = false;
            stream.writer.abandon();
        }
        self.forget_if_done(number);
    }

    fn forget_if_done(&mut self, number: Number) {
        let Some(stream) = self.streams.get(&number) else { return };
        if stream.sending.is_done() && matches!(stream.receiving, Receiving::Done) {
            let reset = stream.reset;
            self.by_id.remove(&stream.id);
            self.streams.remove(&number);
            self.busy.remove(&number);
            self.happened.push_back(Happened::Closed(number, reset));
            // If it was our own limit that refused, there is room now; else this asks again in vain once.
            self.available();
        }
    }

    /// Streams that compete share what QUIC may hold of them.
    fn room(&self) -> Room {
        Room {
            each: QUIC_STREAMS_IN_FLIGHT / self.hungry.max(1),
            all: QUIC_STREAMS_IN_FLIGHT.saturating_sub(self.held.load(Relaxed)),
        }
    }

    /// Each stream whose peer may still send adds its own window to what all of them share.
    fn fit_window(&mut self, connection: &mut Connection, windows: &mut Budget) {
        let (wanted, size) = (self.streams.len(), QUIC_STREAM_WINDOW as usize);
        if wanted == self.windows {
            return;
        }
        while self.windows > wanted {
            self.windows = self.windows.saturating_sub(1);
            windows.give(size);
        }
        while self.windows < wanted && windows.take(size) {
            self.windows = self.windows.saturating_add(1);
        }
        let extra = u32::try_from(self.windows.saturating_mul(size)).unwrap_or(u32::MAX);
        connection.set_receive_window(VarInt::from_u32(QUIC_CONNECTION_WINDOW.saturating_add(extra)));
    }
}

/// What may be written now.
#[derive(Clone, Copy)]
struct Room {
    each: usize,
    all: usize,
}

impl Room {
    fn of(self, writer: &StreamWriter) -> usize {
        let waiting = QUIC_STREAM_WAITING.saturating_sub(writer.waiting());
        waiting.min(self.each.saturating_sub(writer.buffered())).min(self.all)
    }
}

impl Stream {
    /// Takes bytes of the peer's direction, at most `most` and in at most `pieces` pieces.
    fn take(&mut self, connection: &mut Connection, most: usize, pieces: usize, mut take: impl FnMut(Bytes)) -> Read {
        let mut read = Read { bytes: 0, end: None, due: false };
        if !self.found.is_empty() {
            let piece = self.found.split_to(most.min(self.found.len()));
            read.bytes = piece.len();
            take(piece);
        }
        if read.bytes == most {
            return read;
        }
        if let Receiving::Ended(end) = self.receiving {
            return Read { end: Some(end), ..read };
        }
        let mut stream = connection.recv_stream(self.id);
        let Ok(mut chunks) = stream.read(true) else { return Read { end: Some(End::Finished), ..read } };
        for _ in 0..pieces {
            match chunks.next(most.saturating_sub(read.bytes)) {
                Ok(Some(chunk)) => {
                    read.bytes = read.bytes.saturating_add(chunk.bytes.len());
                    take(chunk.bytes);
                }
                Ok(None) => read.end = Some(End::Finished),
                Err(ReadError::Blocked) => break,
                Err(ReadError::Reset(code)) => {
                    self.reset = Some(code.into_inner());
                    read.end = Some(End::Reset(code.into_inner()));
                }
            }
            if read.end.is_some() || read.bytes == most {
                break;
            }
        }
        read.due = chunks.finalize().should_transmit();
        read
    }

    /// What is left of it when the connection is gone.
    fn remains(mut self, connection: &mut Connection) -> Remains {
        let (mut pieces, mut read) = (VecDeque::new(), Read { bytes: 0, end: None, due: false });
        if !matches!(self.receiving, Receiving::Done) {
            read = self.take(connection, usize::MAX, usize::MAX, |piece| pieces.push_back(piece));
        }
        let (sent, read_short, write_short) = (self.sending.is_done(), self.read_short, self.write_short);
        Remains { pieces, bytes: read.bytes, end: read.end, sent, read_short, write_short }
    }
}

fn unknown(number: Number) -> Error {
    Error::new(Code::NotFound, format!("stream: {number} is no open stream"))
}

fn closed(why: String) -> Error {
    Error::new(Code::Closed, format!("stream: {why}"))
}

fn would_block(why: String) -> Error {
    Error::new(Code::WouldBlock, why)
}
