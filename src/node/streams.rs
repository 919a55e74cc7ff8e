//! Datagrams and streams: what the application asks of modern sessions alone.

use super::Node;
use crate::error::{Code, Error, Result};
use crate::node::api::*;
use bytes::Bytes;

impl Node {
    /// Sends a datagram to a peer: it leaves soon, once, and may be lost.
    pub fn send_datagram(&mut self, peer: PeerId, data: &[u8]) -> Result<()> {
        self.check_modern(peer, "datagrams")?;
        self.quic.send_datagram(peer, data)
    }

    /// Opens a stream to a peer.
    pub fn open_stream(&mut self, peer: PeerId) -> Result<StreamId> {
        self.check_modern(peer, "streams")?;
        self.quic.open_stream(peer)
    }

    /// Writes to a stream; how many bytes were taken. None of some: `WouldBlock`, and `StreamChange::Writable` follows.
    pub fn write_stream(&mut self, stream: StreamId, data: &[u8]) -> Result<usize> {
        self.quic.write_stream(stream, data)
    }

    /// Bytes that `write_stream` would take now.
    pub fn stream_room(&mut self, stream: StreamId) -> Result<usize> {
        self.quic.stream_room(stream)
    }

    /// As `write_stream` of `wanted` bytes, of which `data` are the first, without a copy.
    pub fn write_stream_bytes(&mut self, stream: StreamId, data: Bytes, wanted: usize) -> Result<usize> {
        self.quic.write_stream_bytes(stream, data, wanted)
    }

    /// No bytes of ours follow.
    pub fn finish_stream(&mut self, stream: StreamId) -> Result<()> {
        self.quic.finish_stream(stream)
    }

    /// Gives up our direction; what the peer has not read yet is lost.
    pub fn reset_stream(&mut self, stream: StreamId, code: u32) -> Result<()> {
        self.quic.reset_stream(stream, code)
    }

    /// Wants nothing more of the peer's direction, and tells it so.
    pub fn stop_stream(&mut self, stream: StreamId, code: u32) -> Result<()> {
        self.quic.stop_stream(stream, code)
    }

    /// Higher goes first; 0 at first. Messages have 1.
    pub fn set_stream_priority(&mut self, stream: StreamId, priority: i32) -> Result<()> {
        self.quic.set_stream_priority(stream, priority)
    }

    /// Hands up to `most` bytes to `take`, in order. With nothing there: `WouldBlock`, and `StreamChange::Readable` follows.
    /// What had come before the connection ended, unless we ended it, can be read still; behind it `NotFound`.
    pub fn read_stream(&mut self, stream: StreamId, most: usize, take: impl FnMut(Bytes)) -> Result<StreamRead> {
        self.quic.read_stream(stream, most, take)
    }

    /// The peer at the other end.
    pub fn stream_peer(&self, stream: StreamId) -> Result<PeerId> {
        let gone = || Error::new(Code::NotFound, format!("stream: {} is no open stream", stream.0));
        self.quic.peer_of(stream).ok_or_else(gone)
    }
}
