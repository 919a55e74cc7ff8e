//! Messages on their way to one peer: reliable, in order, with their boundaries.
//!
//! In: messages of the application with a tag, or 0. Out: `varint length | payload` on the
//! message stream (type 2), which is opened with the first message. A tag is completed
//! when the peer's QUIC has acknowledged the last byte of its message: the message is in the peer's memory, in
//! order; whether its application has seen it, only an answer can tell. Tags that are not
//! completed when the connection ends belong to messages that may or may not have arrived.
//! All that was pushed and is not acknowledged counts as buffered. `write` is to be called
//! after a push and after every datagram of the connection.

use super::fault::Fault;
use super::writer::StreamWriter;
use crate::config::limits::{QUIC_COPY_BYTES, QUIC_MESSAGES_IN_FLIGHT};
use bytes::Bytes;
use quinn_proto::coding::Codec;
use quinn_proto::{Connection, Dir, VarInt, WriteError};
use std::collections::VecDeque;
use std::sync::Arc;

/// The type of the message stream.
pub const MESSAGE_STREAM: u8 = 2;
/// Below control, above application streams.
const PRIORITY: i32 = 1;

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushError {
    /// No room; `take_writable` tells when there is.
    Full,
    /// More than the peer takes.
    TooLarge { max: usize },
}

/// Messages to one peer.
pub struct Outbox {
    writer: StreamWriter,
    /// Tags and the offset behind their message, in order.
    tags: VecDeque<(u64, u64)>,
    /// Bytes that may be buffered.
    limit: usize,
    /// The largest message the peer takes.
    max_message: usize,
    /// The application was refused and is owed a `writable` event.
    refused: bool,
}

impl Outbox {
    /// For `limit` bytes; the peer announced to take messages of `max_message` bytes.
    pub fn new(limit: usize, max_message: usize) -> Outbox {
        Outbox {
            writer: StreamWriter::new(QUIC_MESSAGES_IN_FLIGHT, Arc::default()),
            tags: VecDeque::new(),
            limit,
            max_message,
            refused: false,
        }
    }

    /// Takes a message that its caller has no more use for; a large one is not copied.
    pub fn push(&mut self, data: Bytes, tag: u64) -> Result<(), PushError> {
        if data.len() <= QUIC_COPY_BYTES {
            return self.push_copy(&data, tag);
        }
        self.begin(data.len())?;
        self.writer.push(data);
        self.end(tag);
        Ok(())
    }

    /// Takes a copy of a message.
    pub fn push_copy(&mut self, data: &[u8], tag: u64) -> Result<(), PushError> {
        self.begin(data.len())?;
        self.copy(data);
        self.end(tag);
        Ok(())
    }

    /// Takes a copy of a message of a batch that has begun.
    pub fn push_of_batch(&mut self, data: &[u8]) -> Result<(), PushError> {
        self.check_size(data.len())?;
        self.precede(data.len());
        self.copy(data);
        Ok(())
    }

    /// Whether a batch may begin, which is then taken as a whole. If not, a `writable` event is owed.
    pub fn takes_batch(&mut self) -> bool {
        let room = self.writer.buffered() <= self.limit;
        self.refused |= !room;
        room
    }

    fn copy(&mut self, data: &[u8]) {
        if data.len() <= QUIC_COPY_BYTES {
            self.writer.push_copy(data);
        } else {
            self.writer.push(Bytes::copy_from_slice(data));
        }
    }

    /// Checks the room for a message and writes what precedes it.
    fn begin(&mut self, len: usize) -> Result<(), PushError> {
        self.check_size(len)?;
        // After a `writable` event there is room for any message, also for one above the limit.
        let buffered = self.writer.buffered();
        if buffered > self.limit / 2 && buffered.saturating_add(len) > self.limit {
            self.refused = true;
            return Err(PushError::Full);
        }
        self.precede(len);
        Ok(())
    }

    fn check_size(&self, len: usize) -> Result<(), PushError> {
        if len > self.max_message {
            return Err(PushError::TooLarge { max: self.max_message });
        }
        Ok(())
    }

    /// Writes what precedes a message.
    fn precede(&mut self, len: usize) {
        if self.writer.pushed() == 0 {
            self.writer.push_copy(&[MESSAGE_STREAM]);
        }
        let mut header = [0; VarInt::MAX_SIZE];
        let mut rest = &mut header[..];
        VarInt::try_from(len).unwrap_or(VarInt::MAX).encode(&mut rest);
        let used = VarInt::MAX_SIZE.saturating_sub(rest.len());
        self.writer.push_copy(header.get(..used).unwrap_or_default());
    }

    fn end(&mut self, tag: u64) {
        if tag != 0 {
            self.tags.push_back((self.writer.pushed(), tag));
        }
    }

    /// Hands to QUIC what it takes now.
    pub fn write(&mut self, connection: &mut Connection) -> Result<(), Fault> {
        if self.writer.id().is_none() && self.writer.wants_write() {
            // None: the peer does not allow streams yet; its leave comes in a datagram, after which we are called.
            let Some(id) = connection.streams().open(Dir::Uni) else { return Ok(()) };
            // A stream that was just opened is there.
            let _ = connection.send_stream(id).set_priority(PRIORITY);
            self.writer.attach(id);
        }
        self.writer.write(connection).map_err(|error| match error {
            WriteError::Stopped(code) => Fault::Aborted { code: code.into_inner() },
            WriteError::ClosedStream | WriteError::Blocked => Fault::Aborted { code: 0 },
        })
    }

    /// The next tag whose message has arrived.
    pub fn take_sent(&mut self) -> Option<u64> {
        let (end, _) = self.tags.front()?;
        if *end > self.writer.acknowledged() {
            return None;
        }
        self.tags.pop_front().map(|(_, tag)| tag)
    }

    /// The connection is gone: tags of messages that are not known to have arrived.
    pub fn give_up(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.tags).into_iter().map(|(_, tag)| tag).collect()
    }

    /// Bytes pushed and not yet acknowledged, lengths and the stream's type included.
    pub fn buffered(&self) -> usize {
        self.writer.buffered()
    }

    /// All messages have arrived.
    pub fn is_idle(&self) -> bool {
        self.writer.buffered() == 0
    }

    /// No message follows: the stream ends behind the last one. Done when `is_idle`.
    pub fn finish(&mut self) {
        if self.writer.pushed() > 0 {
            self.writer.finish();
        }
    }

    /// A `writable` event is due: the application was refused and half of the room is free.
    pub fn take_writable(&mut self) -> bool {
        let room = self.writer.buffered() <= self.limit / 2;
        self.refused && room && std::mem::replace(&mut self.refused, false)
    }
}
