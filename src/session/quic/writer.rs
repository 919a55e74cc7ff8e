//! The bytes that wait for one QUIC stream, and what became of those QUIC took.
//!
//! Small pieces are gathered into blocks: QUIC looks through the pieces it holds for every packet, so
//! that tiny ones would cost more than sealing the packet. Large ones are
//! passed on without a copy. Each piece is handed over as a `Segment` that counts
//! itself when it is dropped; quinn-proto drops a piece when the peer has acknowledged
//! it and all before it, so the count is exactly what arrived.
//! QUIC is given twice what the path can carry and no more: the rest waits here,
//! where small pieces still join and more urgent streams pass.

use crate::config::limits::{QUIC_GATHER_BYTES, QUIC_GATHER_SEGMENTS, QUIC_SEGMENT_BYTES};
use bytes::{Bytes, BytesMut};
use quinn_proto::{Connection, FinishError, StreamId, WriteError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// What segments that are gone add up to.
#[derive(Debug, Default)]
struct Released {
    bytes: AtomicU64,
    segments: AtomicU64,
}

/// Bytes of the segments that are alive, over all writers that share it.
pub type Held = Arc<AtomicUsize>;

/// A piece on its way through QUIC.
struct Segment {
    data: Bytes,
    released: Arc<Released>,
    held: Held,
}

impl AsRef<[u8]> for Segment {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.released.bytes.fetch_add(self.data.len() as u64, Relaxed);
        self.released.segments.fetch_add(1, Relaxed);
        self.held.fetch_sub(self.data.len(), Relaxed);
    }
}

/// The sending side of one stream.
pub struct StreamWriter {
    id: Option<StreamId>,
    /// The block being filled. What was split off it shares its memory.
    tail: BytesMut,
    /// Whole segments, the first one perhaps taken in part.
    queue: VecDeque<Bytes>,
    /// Bytes in `tail` and `queue`.
    waiting: usize,
    /// Bytes ever pushed, and segments ever made.
    pushed: u64,
    sealed: u64,
    released: Arc<Released>,
    held: Held,
    /// Bytes that QUIC may hold of this stream.
    most: usize,
    finish: Finish,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Finish {
    No,
    Wanted,
    Done,
}

impl StreamWriter {
    /// A writer that lets QUIC hold at most `most` bytes and counts its segments in `held`.
    pub fn new(most: usize, held: Held) -> StreamWriter {
        StreamWriter {
            id: None,
            tail: BytesMut::new(),
            queue: VecDeque::new(),
            waiting: 0,
            pushed: 0,
            sealed: 0,
            released: Arc::default(),
            held,
            most,
            finish: Finish::No,
        }
    }

    pub fn id(&self) -> Option<StreamId> {
        self.id
    }

    /// The stream is open: what waits can leave.
    pub fn attach(&mut self, id: StreamId) {
        self.id = Some(id);
    }

    /// Takes a copy of `data`.
    pub fn push_copy(&mut self, mut data: &[u8]) {
        self.count(data.len());
        while !data.is_empty() {
            let room = self.tail.capacity().saturating_sub(self.tail.len());
            if room == 0 {
                self.seal();
                self.tail = BytesMut::with_capacity(QUIC_GATHER_BYTES);
                continue;
            }
            let (now, later) = data.split_at(room.min(data.len()));
            self.tail.extend_from_slice(now);
            data = later;
        }
    }

    /// Takes `data` without a copy.
    pub fn push(&mut self, mut data: Bytes) {
        self.count(data.len());
        self.seal();
        // In pieces, because QUIC counts a piece as unacknowledged until all of it is.
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(QUIC_SEGMENT_BYTES));
            self.queue_segment(piece);
        }
    }

    /// Bytes pushed and not yet acknowledged by the peer.
    pub fn buffered(&self) -> usize {
        usize::try_from(self.pushed.saturating_sub(self.acknowledged())).unwrap_or(usize::MAX)
    }

    /// Bytes pushed and not yet taken by QUIC.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The offset behind the last byte pushed.
    pub fn pushed(&self) -> u64 {
        self.pushed
    }

    /// The offset up to which whole segments were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.released.bytes.load(Relaxed)
    }

    /// Ends the stream behind what was pushed.
    pub fn finish(&mut self) {
        if self.finish == Finish::No {
            self.finish = Finish::Wanted;
        }
    }

    /// The stream was reset, or everything has arrived: nothing more leaves.
    pub fn abandon(&mut self) {
        self.pushed = self.pushed.saturating_sub(self.tail.len() as u64);
        self.tail = BytesMut::new();
        self.queue = VecDeque::new();
        self.waiting = 0;
        self.finish = Finish::Done;
    }

    /// There is something that `write` has not handed over yet.
    pub fn wants_write(&self) -> bool {
        self.waiting > 0 || self.finish == Finish::Wanted
    }

    /// A block is kept, which `write` frees when everything has arrived.
    pub fn holds_block(&self) -> bool {
        self.tail.capacity() > 0
    }

    /// Hands to QUIC what it takes now. Fails if the peer stopped the stream, or it was reset.
    pub fn write(&mut self, connection: &mut Connection) -> Result<(), WriteError> {
        if !self.wants_write() {
            if self.holds_block() && self.buffered() == 0 {
                // An idle stream holds no block.
                self.tail = BytesMut::new();
            }
            return Ok(());
        }
        let Some(id) = self.id else { return Ok(()) };
        let path = usize::try_from(connection.congestion_state().window()).unwrap_or(usize::MAX);
        let room = path.saturating_mul(2).saturating_add(QUIC_SEGMENT_BYTES).min(self.most);
        while self.waiting > 0 && self.in_quic() < room {
            if self.queue.is_empty() {
                if self.segments_out() >= QUIC_GATHER_SEGMENTS {
                    break;
                }
                self.seal();
            }
            let Some(first) = self.queue.front_mut() else { break };
            match connection.send_stream(id).write_chunks(std::slice::from_mut(first)) {
                Ok(written) => {
                    self.waiting = self.waiting.saturating_sub(written.bytes);
                    if written.chunks > 0 {
                        self.queue.pop_front();
                    }
                }
                Err(WriteError::Blocked) => break,
                Err(error) => return Err(error),
            }
        }
        if self.waiting == 0 && self.finish == Finish::Wanted {
            self.finish = Finish::Done;
            return connection.send_stream(id).finish().map_err(|error| match error {
                FinishError::Stopped(code) => WriteError::Stopped(code),
                FinishError::ClosedStream => WriteError::ClosedStream,
            });
        }
        Ok(())
    }

    fn count(&mut self, len: usize) {
        self.waiting = self.waiting.saturating_add(len);
        self.pushed = self.pushed.saturating_add(len as u64);
    }

    /// Bytes that QUIC holds; a segment counts until all of it is acknowledged.
    fn in_quic(&self) -> usize {
        self.buffered().saturating_sub(self.waiting)
    }

    /// Segments that were made and are not yet acknowledged.
    fn segments_out(&self) -> u64 {
        self.sealed.saturating_sub(self.released.segments.load(Relaxed))
    }

    /// Turns what was gathered into a segment; the rest of the block is filled later.
    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let gathered = self.tail.split().freeze();
            self.queue_segment(gathered);
        }
    }

    fn queue_segment(&mut self, data: Bytes) {
        self.sealed = self.sealed.saturating_add(1);
        self.held.fetch_add(data.len(), Relaxed);
        let segment = Segment { data, released: self.released.clone(), held: self.held.clone() };
        self.queue.push_back(Bytes::from_owner(segment));
    }
}
