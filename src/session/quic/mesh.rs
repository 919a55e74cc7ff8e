//! The mesh stream of a session: frames of the broadcast mesh, each way on a stream of its own.
//!
//! Only the framing is known here; what the frames mean is for `mesh`. A frame is handed on whole.
//! In: bytes of the stream, frames to send. Out: frames. Invariants: at most one frame of the
//! largest size waits for its end, at most `MESH_SEND_BYTES` wait to be sent; a frame
//! that does not fit is not taken, and its sender is told.

use super::fault::Fault;
use super::writer::StreamWriter;
use crate::config::limits::{MESH_FRAME_BYTES, MESH_SEND_BYTES, QUIC_GATHER_BYTES};
use crate::wire::v13::mesh::next;
use bytes::Bytes;
use quinn_proto::{Connection, Dir, ReadError, StreamId, WriteError};
use std::sync::Arc;

/// The type of the mesh stream.
pub const MESH_STREAM: u8 = 3;
/// As messages: below control, above application streams.
const PRIORITY: i32 = 1;

/// Frames to one peer.
pub struct MeshWriter {
    stream: StreamWriter,
    /// A frame was refused, and who offered it has not been told of room since.
    refused: bool,
}

impl Default for MeshWriter {
    fn default() -> MeshWriter {
        MeshWriter { stream: StreamWriter::new(MESH_SEND_BYTES, Arc::default()), refused: false }
    }
}

impl MeshWriter {
    /// Takes a frame if there is room for it.
    pub fn push(&mut self, frame: Bytes) -> bool {
        if self.stream.buffered().saturating_add(frame.len()) > MESH_SEND_BYTES.max(frame.len()) {
            self.refused = true;
            return false;
        }
        if self.stream.pushed() == 0 {
            self.stream.push_copy(&[MESH_STREAM]);
        }
        if frame.len() < QUIC_GATHER_BYTES {
            self.stream.push_copy(&frame)
        } else {
            self.stream.push(frame)
        }
        true
    }

    /// True once after a frame was refused, when half of the room is free again.
    pub fn take_room(&mut self) -> bool {
        self.refused && self.stream.buffered() <= MESH_SEND_BYTES / 2 && std::mem::take(&mut self.refused)
    }

    /// All frames have arrived.
    pub fn is_idle(&self) -> bool {
        self.stream.buffered() == 0
    }

    /// Hands to QUIC what it takes now.
    pub fn write(&mut self, connection: &mut Connection) -> Result<(), Fault> {
        if self.stream.id().is_none() && self.stream.wants_write() {
            let Some(id) = connection.streams().open(Dir::Uni) else { return Ok(()) };
            // A stream that was just opened is there.
            let _ = connection.send_stream(id).set_priority(PRIORITY);
            self.stream.attach(id);
        }
        self.stream.write(connection).map_err(|error| match error {
            WriteError::Stopped(code) => Fault::Aborted { code: code.into_inner() },
            WriteError::ClosedStream | WriteError::Blocked => Fault::Aborted { code: 0 },
        })
    }
}

/// Frames of one peer.
pub struct MeshReader {
    stream: StreamId,
    received: Vec<u8>,
    /// The peer has to wait: what it sends stays in QUIC, whose flow control holds it.
    pub paused: bool,
}

impl MeshReader {
    /// Of the stream that the peer opened; its type was read already.
    pub fn new(stream: StreamId) -> MeshReader {
        MeshReader { stream, received: Vec::new(), paused: false }
    }

    /// Hands on the frames that are whole. The error says what was wrong with the stream.
    pub fn read(&mut self, connection: &mut Connection, mut deliver: impl FnMut(Bytes)) -> Result<(), String> {
        let mut stream = connection.recv_stream(self.stream);
        let Ok(mut chunks) = stream.read(true) else { return Err("the mesh stream is gone".to_owned()) };
        loop {
            // No more than a frame is ever kept: the rest waits in QUIC, which holds the peer.
            let room = MESH_FRAME_BYTES.saturating_add(16).saturating_sub(self.received.len());
            match chunks.next(room.max(1)) {
                Ok(Some(chunk)) => self.received.extend_from_slice(&chunk.bytes),
                Ok(None) | Err(ReadError::Reset(_)) => return Err("the mesh stream ended".to_owned()),
                Err(ReadError::Blocked) => return Ok(()),
            }
            let mut taken = 0;
            while let Some(rest) = self.received.get(taken..)
                && let Some((_, used)) = next(rest).map_err(|e| format!("mesh stream: {e}"))?
            {
                deliver(Bytes::copy_from_slice(rest.get(..used).unwrap_or_default()));
                taken = taken.saturating_add(used);
            }
            self.received.drain(..taken);
            if self.received.is_empty() {
                // An idle stream holds no buffer.
                self.received = Vec::new();
            }
        }
    }
}
