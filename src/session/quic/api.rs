//! What `node` asks of the modern sessions for the application. All of it answers at once.

use super::admit::not_connected;
use super::close::{Close, Reason};
use super::datagrams::DatagramError;
use super::flow::Flow;
use super::link::Link;
use super::outbox::PushError;
use super::streams::{End, Streams};
use super::{Quic, TopicNo};
use crate::config::limits::{
    CLOSE_DEADLINE, QUIC_WINDOWS_TOTAL_BYTES, REASSEMBLY_TOTAL_BYTES, SEND_BUFFER_TOTAL_BYTES, SEND_MANY_TOTAL_BYTES,
};
use crate::crypto::identity::WireId;
use crate::error::{Code, Error, Result};
use crate::node::api::{PeerId, PeerInfo, Stats, StreamId, StreamRead};
use crate::session::Env;
use bytes::Bytes;
use quinn_proto::Connection;
use std::collections::BTreeSet;
use std::net::SocketAddr;

impl Quic {
    /// Takes a message for one peer. `tag` other than 0 is reported when it arrived, or may not have.
    pub fn send(&mut self, peer: PeerId, data: Bytes, tag: u64) -> Result<()> {
        let len = data.len();
        self.push(peer, len, |flow| flow.push(data, tag))
    }

    /// The same for a small one, of which a copy is taken.
    pub fn send_copy(&mut self, peer: PeerId, data: &[u8], tag: u64) -> Result<()> {
        self.push(peer, data.len(), |flow| flow.push_copy(data, tag))
    }

    /// Takes copies of messages that come together: all of them, unless the queue is full before. How many, and whether it is
    /// not full after them; if it is, a `writable` event follows.
    pub fn send_many<'a>(&mut self, peer: PeerId, messages: impl Iterator<Item = &'a [u8]>) -> (usize, Result<bool>) {
        let mut count = 0usize;
        let result = self.push_batch(peer, messages, &mut count);
        (count, result)
    }

    fn push_batch<'a>(
        &mut self,
        peer: PeerId,
        mut messages: impl Iterator<Item = &'a [u8]>,
        count: &mut usize,
    ) -> Result<bool> {
        let index = self.index_of(peer)?;
        // Who is told in time stops long before.
        let crowded = self.buffered > SEND_MANY_TOTAL_BYTES;
        let (flow, _) = self.flow(index, peer)?;
        let before = flow.buffered();
        if crowded || !flow.takes_batch() {
            if crowded {
                self.crowded.insert(peer);
            }
            return Err(full(before));
        }
        let pushed = messages.try_for_each(|message| {
            flow.push_of_batch(message).map_err(|error| refused(error, message.len(), before))?;
            *count = count.saturating_add(1);
            Ok(())
        });
        let room = flow.takes_batch();
        let more = flow.buffered().saturating_sub(before);
        self.take_in(index, more);
        let crowded = self.buffered > SEND_BUFFER_TOTAL_BYTES;
        if crowded {
            self.crowded.insert(peer);
        }
        pushed.map(|()| room && !crowded)
    }

    /// More waits for a peer than before.
    fn take_in(&mut self, index: usize, more: usize) {
        self.buffered = self.buffered.saturating_add(more);
        if let Some(link) = self.link(index) {
            link.counted = link.counted.saturating_add(more);
        }
        self.mark(index);
    }

    fn push(
        &mut self,
        peer: PeerId,
        len: usize,
        push: impl FnOnce(&mut Flow) -> std::result::Result<(), PushError>,
    ) -> Result<()> {
        let index = self.index_of(peer)?;
        let all = self.buffered;
        let (flow, _) = self.flow(index, peer)?;
        let before = flow.buffered();
        // As for one peer: after a `writable` event there is room for any message.
        let crowded = all > SEND_BUFFER_TOTAL_BYTES / 2 && all.saturating_add(len) > SEND_BUFFER_TOTAL_BYTES;
        if crowded {
            self.crowded.insert(peer);
            let detail = format!("{all} bytes wait for all peers together; wait for the writable event");
            return Err(Error::new(Code::WouldBlock, detail));
        }
        match push(flow) {
            Ok(()) => {
                let more = flow.buffered().saturating_sub(before);
                self.take_in(index, more);
                Ok(())
            }
            Err(error) => Err(refused(error, len, before)),
        }
    }

    /// Takes a datagram for one peer: it leaves soon, once, or never.
    pub fn send_datagram(&mut self, peer: PeerId, data: &[u8]) -> Result<()> {
        let index = self.index_of(peer)?;
        let (flow, conn) = self.flow(index, peer)?;
        match flow.push_datagram(conn, data) {
            Ok(()) => {
                self.mark(index);
                Ok(())
            }
            Err(DatagramError::Full) => {
                Err(Error::new(Code::WouldBlock, "too many datagrams wait for this peer; wait for the writable event"))
            }
            Err(DatagramError::TooLarge { max }) => Err(Error::new(
                Code::TooLarge,
                format!("data: {} bytes; a datagram holds at most {max}, send a message", data.len()),
            )),
            Err(DatagramError::Unsupported) => {
                Err(Error::new(Code::NotSupported, format!("peer: {} takes no datagrams", peer.0)))
            }
        }
    }

    /// Takes a frame for the mesh stream. False: there is no room, or no such peer.
    pub fn send_mesh(&mut self, peer: PeerId, frame: Bytes) -> bool {
        let Ok(index) = self.index_of(peer) else { return false };
        let taken = self.flow(index, peer).is_ok_and(|(flow, _)| flow.push_mesh(frame));
        self.mark(index);
        taken
    }

    /// Opens a stream to a peer, which is told at once.
    pub fn open_stream(&mut self, peer: PeerId) -> Result<StreamId> {
        let index = self.index_of(peer)?;
        let stream = StreamId(self.last_stream.saturating_add(1));
        let (flow, conn) = self.flow(index, peer)?;
        flow.streams.open(conn, stream.0)?;
        self.last_stream = stream.0;
        self.owners.insert(stream, index);
        self.mark(index);
        Ok(stream)
    }

    /// Writes to a stream; how many bytes were taken.
    pub fn write_stream(&mut self, stream: StreamId, data: &[u8]) -> Result<usize> {
        self.with_stream(stream, |streams, conn| streams.write(conn, stream.0, data))
    }

    /// Bytes that `write_stream` would take now.
    pub fn stream_room(&mut self, stream: StreamId) -> Result<usize> {
        let (_, flow, _) = self.find_stream(stream)?;
        Ok(flow.streams.writable(stream.0))
    }

    /// Takes `data`, of a write of `wanted` bytes, without a copy; how many bytes were taken.
    pub fn write_stream_bytes(&mut self, stream: StreamId, data: Bytes, wanted: usize) -> Result<usize> {
        self.with_stream(stream, |streams, conn| streams.write_bytes(conn, stream.0, data, wanted))
    }

    /// No bytes of ours follow on a stream.
    pub fn finish_stream(&mut self, stream: StreamId) -> Result<()> {
        self.with_stream(stream, |streams, _| streams.finish(stream.0))
    }

    /// Gives up our direction of a stream.
    pub fn reset_stream(&mut self, stream: StreamId, code: u32) -> Result<()> {
        if self.unread.peer_of(stream).is_some() {
            // The connection took it along.
            return Ok(());
        }
        self.with_stream(stream, |streams, conn| streams.reset(conn, stream.0, code))
    }

    /// Wants nothing more of the peer's direction of a stream.
    pub fn stop_stream(&mut self, stream: StreamId, code: u32) -> Result<()> {
        if self.unread.stop(stream, &mut self.windows) {
            return Ok(());
        }
        self.with_stream(stream, |streams, conn| streams.stop(conn, stream.0, code))
    }

    /// Which of several streams goes first.
    pub fn set_stream_priority(&mut self, stream: StreamId, priority: i32) -> Result<()> {
        self.with_stream(stream, |streams, conn| streams.set_priority(conn, stream.0, priority))
    }

    /// Hands up to `most` bytes of a stream to `take`; also of one whose connection is gone.
    pub fn read_stream(&mut self, stream: StreamId, most: usize, mut take: impl FnMut(Bytes)) -> Result<StreamRead> {
        if let Some((bytes, end)) = self.unread.read(stream, most, &mut take, &mut self.windows) {
            return Ok(found(bytes, end));
        }
        let (index, flow, conn) = self.find_stream(stream)?;
        let read = flow.streams.read(conn, stream.0, most, take)?;
        // Most reads change nothing that the peer, or the application, is to be told of.
        if read.due || read.end.is_some() {
            self.mark(index);
        }
        Ok(found(read.bytes, read.end))
    }

    /// The peer at the other end of a stream.
    pub fn peer_of(&self, stream: StreamId) -> Option<PeerId> {
        let live = self.owners.get(&stream).and_then(|index| self.links.get(*index)?.as_ref()?.peer);
        live.or_else(|| self.unread.peer_of(stream))
    }

    fn with_stream<T>(
        &mut self,
        stream: StreamId,
        call: impl FnOnce(&mut Streams, &mut Connection) -> Result<T>,
    ) -> Result<T> {
        let (index, flow, conn) = self.find_stream(stream)?;
        let result = call(&mut flow.streams, conn)?;
        self.mark(index);
        Ok(result)
    }

    fn find_stream(&mut self, stream: StreamId) -> Result<(usize, &mut Flow, &mut Connection)> {
        let index = self.owners.get(&stream).copied().ok_or_else(|| gone(stream))?;
        let (flow, conn) = self.link(index).and_then(Link::flow).ok_or_else(|| gone(stream))?;
        Ok((index, flow, conn))
    }

    fn flow(&mut self, index: usize, peer: PeerId) -> Result<(&mut Flow, &mut Connection)> {
        // Made only when it is so: this runs for every message.
        let closing = || Error::new(Code::Closed, format!("peer: {} is being closed", peer.0));
        self.link(index).and_then(Link::flow).ok_or_else(closing)
    }

    /// Lets mesh frames of a peer wait, or come again.
    pub fn pause_mesh(&mut self, peer: PeerId, paused: bool) {
        let Ok(index) = self.index_of(peer) else { return };
        if let Ok((flow, _)) = self.flow(index, peer) {
            flow.pause_mesh(paused);
            self.mark(index);
        }
    }

    /// Ends a connection because its peer breaks the rules.
    pub fn refuse(&mut self, env: &mut Env<'_>, peer: PeerId, why: &str) {
        if let Ok(index) = self.index_of(peer) {
            self.end_link(env, index, Reason::protocol(why));
        }
    }

    /// Ends a connection from our side: what waits leaves first, within `CLOSE_DEADLINE`.
    pub fn close(&mut self, env: &mut Env<'_>, peer: PeerId) -> Result<()> {
        let index = self.index_of(peer)?;
        let banned = self.is_banned(env, index);
        let link = self.link(index).ok_or_else(|| not_connected(peer))?;
        link.close_gracefully(env.now.mono + CLOSE_DEADLINE, banned);
        self.mark(index);
        self.work(env);
        Ok(())
    }

    /// The swarm ends: every connection is told.
    pub fn close_all(&mut self, env: &mut Env<'_>) {
        for index in self.indices() {
            self.link(index).into_iter().for_each(Link::leave);
            self.end_link(env, index, Reason::new(Close::Going, "the swarm was closed"));
        }
        self.unread.give_up(&mut self.windows);
        // Nobody will make room any more.
        self.room = usize::MAX;
        self.work(env);
    }

    /// Nothing of ours waits to arrive anywhere.
    pub fn is_idle(&self) -> bool {
        self.links.iter().flatten().all(|link| link.is_idle())
    }

    pub fn set_accepting(&mut self, accepting: bool) {
        self.accepting = accepting;
    }

    /// The open session with this key.
    pub fn by_key(&self, key: &[u8; 32]) -> Option<PeerId> {
        self.links.get(*self.keys.get(key)?)?.as_ref()?.peer
    }

    /// The open session with the peer that proved this id of the old wire.
    pub fn by_wire_id(&self, id: &WireId) -> Option<PeerId> {
        self.legacies.get(id).copied()
    }

    /// The open session whose data goes to this address.
    pub fn by_addr(&self, addr: &SocketAddr) -> Option<PeerId> {
        self.links.iter().flatten().find(|link| link.peer.is_some() && link.destination() == *addr)?.peer
    }

    /// We met ourselves there lately.
    pub fn is_mirror(&self, addr: &SocketAddr) -> bool {
        self.mirrors.contains_key(addr)
    }

    /// A source named an address of a connected peer: it is tried as another way.
    pub fn hint(&mut self, env: &mut Env<'_>, peer: PeerId, addr: SocketAddr) {
        if let Ok(index) = self.index_of(peer) {
            self.with_paths(env, index, |paths, env, _| paths.add_candidates(&[addr], env.now.mono));
            self.mark(index);
        }
    }

    pub fn holds(&self, peer: PeerId) -> bool {
        self.peers.contains_key(&peer)
    }

    pub fn peers(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.peers.keys().copied()
    }

    pub fn count(&self) -> usize {
        self.peers.len()
    }

    pub fn info(&self, peer: PeerId) -> Option<PeerInfo> {
        self.of(peer)?.info()
    }

    /// Topics that a peer shares with us.
    pub fn shared(&self, peer: PeerId) -> Option<&BTreeSet<TopicNo>> {
        Some(self.of(peer)?.exchange.as_ref()?.shared())
    }

    pub fn buffered(&self, peer: PeerId) -> Result<usize> {
        let link = self.of(peer).ok_or_else(|| not_connected(peer))?;
        Ok(link.buffered())
    }

    /// Adds to the gauges.
    pub fn gauges(&self, stats: &mut Stats) {
        let pending = self.links.iter().flatten().filter(|link| link.is_pending()).count();
        stats.peers += self.peers.len() as u64;
        stats.unconfirmed += pending as u64;
        stats.buffered_bytes += self.links.iter().flatten().map(|link| link.buffered() as u64).sum::<u64>();
        stats.reassembly_bytes += (REASSEMBLY_TOTAL_BYTES - self.reassembly.free()) as u64;
    }

    /// All that is kept for peers, by name, for tests of what is left when they are gone.
    pub fn held(&self) -> Vec<(&'static str, usize)> {
        let (connections, cids) = self.endpoint.held();
        vec![
            ("links", self.links.iter().flatten().count()),
            ("connections", connections),
            ("connection ids", cids),
            ("tags", self.tags.len()),
            ("keys", self.keys.len()),
            ("peers", self.peers.len()),
            ("legacy ids", self.legacies.len()),
            ("waiting dials", self.waiting.len()),
            ("crowded", self.crowded.len()),
            ("parked", self.parked.len()),
            ("senders", self.sending.len()),
            ("timers", self.timers.len()),
            ("streams", self.owners.len()),
            ("unread streams", self.unread.len()),
            ("stream windows", QUIC_WINDOWS_TOTAL_BYTES - self.windows.free()),
            ("buffered bytes", self.buffered),
            ("reassembly bytes", REASSEMBLY_TOTAL_BYTES - self.reassembly.free()),
        ]
    }

    pub(super) fn index_of(&self, peer: PeerId) -> Result<usize> {
        self.peers.get(&peer).copied().ok_or_else(|| not_connected(peer))
    }

    pub(super) fn of(&self, peer: PeerId) -> Option<&Link> {
        self.links.get(*self.peers.get(&peer)?)?.as_deref()
    }
}

/// Why a message was not taken.
fn refused(error: PushError, len: usize, waiting: usize) -> Error {
    match error {
        PushError::TooLarge { max } => Error::new(
            Code::TooLarge,
            format!("data: {len} bytes; this peer takes at most {max} in one message, split it or use a stream"),
        ),
        PushError::Full => full(waiting),
    }
}

fn full(waiting: usize) -> Error {
    Error::new(Code::WouldBlock, format!("{waiting} bytes wait for this peer; wait for the writable event"))
}

/// What a read of a stream found.
fn found(bytes: usize, end: Option<End>) -> StreamRead {
    let reset = match end {
        Some(End::Reset(code)) => Some(code),
        Some(End::Finished) | None => None,
    };
    StreamRead { bytes, finished: end == Some(End::Finished), reset }
}

fn gone(stream: StreamId) -> Error {
    Error::new(Code::NotFound, format!("stream: {} is no open stream: it is done, or its peer left", stream.0))
}
