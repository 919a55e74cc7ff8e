//! What flows over an open session: messages, the mesh stream, datagrams and the application's streams.
//!
//! Owns the streams of a connection but the control stream. The owner of the link calls `work` after
//! something happened: it takes up streams that the peer opened, reads what there is room
//! for, writes what QUIC takes, and reports. Nothing is read while the application's event
//! queue is full, so that QUIC's flow control holds this one peer.
//! Inputs: QUIC stream events, calls of the application. Outputs: `SessionEvent`s.

use super::budget::Budget;
use super::close::{Close, Reason};
use super::datagrams::{DatagramError, Datagrams};
use super::fault::Fault;
use super::inbox::{Inbox, Stopped};
use super::incoming::{Incoming, Kind};
use super::mesh::{MeshReader, MeshWriter};
use super::outbox::{Outbox, PushError};
use super::streams::{Happened, Streams};
use super::unread::Unread;
use crate::config::limits::EVENT_COST_BYTES;
use crate::node::api::{PeerId, StreamChange, StreamId};
use crate::session::{Out, SessionEvent};
use bytes::Bytes;
use quinn_proto::{Connection, Dir, StreamEvent};
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::time::Instant;

/// What all sessions share, lent for one call.
pub struct Shared<'a> {
    /// Bytes of messages that are being put together.
    pub reassembly: &'a mut Budget,
    /// Bytes of windows that streams of the application add.
    pub windows: &'a mut Budget,
    /// What streams of connections that ended still hold for the application.
    pub unread: &'a mut Unread,
    /// Bytes of events that the application's queue takes now.
    pub room: &'a mut usize,
    /// Which connection a stream of the application belongs to.
    pub owners: &'a mut BTreeMap<StreamId, usize>,
    /// The number of the last stream.
    pub last_stream: &'a mut u64,
    pub max_message: usize,
    pub out: &'a mut Out,
}

/// The streams of one open session.
pub struct Flow {
    incoming: Incoming,
    outbox: Outbox,
    inbox: Option<Inbox>,
    mesh_out: MeshWriter,
    mesh_in: Option<MeshReader>,
    pub streams: Streams,
    datagrams: Datagrams,
    /// A message waits for room that other sessions hold.
    starved: bool,
    /// QUIC events about streams, until the next `work`.
    events: VecDeque<StreamEvent>,
    pub moved: Moved,
}

/// What an application saw of a session.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moved {
    pub messages_sent: u64,
    pub messages_received: u64,
}

impl Flow {
    /// `limit`: bytes of messages that may wait; `max_message`: the largest one that the peer takes.
    pub fn new(limit: usize, max_message: u64) -> Flow {
        let max_message = usize::try_from(max_message).unwrap_or(usize::MAX);
        Flow {
            incoming: Incoming::default(),
            outbox: Outbox::new(limit, max_message),
            inbox: None,
            mesh_out: MeshWriter::default(),
            mesh_in: None,
            streams: Streams::default(),
            datagrams: Datagrams::default(),
            starved: false,
            events: VecDeque::new(),
            moved: Moved::default(),
        }
    }

    /// Takes a message.
    pub fn push(&mut self, data: Bytes, tag: u64) -> Result<(), PushError> {
        self.outbox.push(data, tag)?;
        self.moved.messages_sent += 1;
        Ok(())
    }

    /// Takes a copy of a message.
    pub fn push_copy(&mut self, data: &[u8], tag: u64) -> Result<(), PushError> {
        self.outbox.push_copy(data, tag)?;
        self.moved.messages_sent += 1;
        Ok(())
    }

    /// Whether a batch of messages may begin, which is then taken as a whole. If not, a `writable` event is owed.
    pub fn takes_batch(&mut self) -> bool {
        self.outbox.takes_batch()
    }

    /// Takes a copy of a message of a batch.
    pub fn push_of_batch(&mut self, data: &[u8]) -> Result<(), PushError> {
        self.outbox.push_of_batch(data)?;
        self.moved.messages_sent += 1;
        Ok(())
    }

    /// Takes a mesh frame if there is room.
    pub fn push_mesh(&mut self, frame: Bytes) -> bool {
        self.mesh_out.push(frame)
    }

    /// Takes a datagram.
    pub fn push_datagram(&mut self, conn: &mut Connection, data: &[u8]) -> Result<(), DatagramError> {
        self.datagrams.send(conn, data)
    }

    /// QUIC reports something about a stream.
    pub fn stream_event(&mut self, event: StreamEvent) {
        self.events.push_back(event);
    }

    /// QUIC has room for datagrams again.
    pub fn datagrams_unblocked(&mut self) {
        self.datagrams.unblocked();
    }

    /// Whether mesh frames of the peer have to wait.
    pub fn pause_mesh(&mut self, paused: bool) {
        if let Some(mesh) = &mut self.mesh_in {
            mesh.paused = paused;
        }
    }

    /// Bytes of messages that were taken and have not arrived.
    pub fn buffered(&self) -> usize {
        self.outbox.buffered()
    }

    /// No message follows.
    pub fn finish(&mut self) {
        self.outbox.finish();
    }

    /// All that the application gave us has arrived.
    pub fn is_idle(&self) -> bool {
        self.outbox.is_idle() && self.mesh_out.is_idle() && self.streams.is_idle()
    }

    /// Messages went both ways: if the peer dials again, it has lost this session.
    pub fn went_both_ways(&self) -> bool {
        self.moved.messages_sent > 0 && self.moved.messages_received > 0
    }

    /// A message waits for room that other sessions hold.
    pub fn is_starved(&self) -> bool {
        self.starved
    }

    /// The connection was lost: what had arrived before is read still.
    pub fn last_words(
        &mut self,
        conn: &mut Connection,
        now: Instant,
        index: usize,
        peer: PeerId,
        shared: &mut Shared<'_>,
    ) {
        // A fault makes no difference any more.
        let _ = self.accept(conn, index, shared);
        self.take_events(conn);
        let _ = self.read(conn, now, peer, shared);
    }

    /// Datagrams of the peer that nobody read in time.
    pub fn datagrams_dropped(&self) -> u64 {
        self.datagrams.dropped()
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        self.inbox.as_ref().and_then(Inbox::poll_deadline)
    }

    /// Reads what came and writes what waits. `index`: the connection's place in the owner's table.
    pub fn work(
        &mut self,
        conn: &mut Connection,
        now: Instant,
        index: usize,
        peer: PeerId,
        shared: &mut Shared<'_>,
    ) -> Result<(), Reason> {
        self.accept(conn, index, shared)?;
        self.take_events(conn);
        self.read(conn, now, peer, shared)?;
        self.outbox.write(conn).map_err(reason)?;
        self.mesh_out.write(conn).map_err(reason)?;
        self.streams.drive(conn, shared.windows);
        self.report(peer, shared);
        Ok(())
    }

    /// Takes up streams of the peer as soon as their type is there.
    fn accept(&mut self, conn: &mut Connection, index: usize, shared: &mut Shared<'_>) -> Result<(), Reason> {
        for (id, kind) in self.incoming.accept(conn).map_err(reason)? {
            match kind {
                Kind::Messages => self.inbox = Some(Inbox::new(id, shared.max_message)),
                Kind::Mesh => self.mesh_in = Some(MeshReader::new(id)),
                Kind::Application => {
                    *shared.last_stream += 1;
                    let number = *shared.last_stream;
                    self.streams.accept(conn, id, number);
                    if self.streams.has(number) {
                        shared.owners.insert(StreamId(number), index);
                    }
                }
            }
        }
        Ok(())
    }

    fn take_events(&mut self, conn: &mut Connection) {
        while let Some(event) = self.events.pop_front() {
            match event {
                StreamEvent::Readable { id } => self.streams.readable(conn, id),
                StreamEvent::Finished { id } => self.streams.finished(id),
                StreamEvent::Stopped { id, error_code } => self.streams.stopped(conn, id, error_code),
                StreamEvent::Available { dir: Dir::Bi } => self.streams.available(),
                // All that may write does so in each `work`.
                StreamEvent::Available { dir: Dir::Uni }
                | StreamEvent::Writable { .. }
                | StreamEvent::Opened { .. } => {}
            }
        }
    }

    fn read(
        &mut self,
        conn: &mut Connection,
        now: Instant,
        peer: PeerId,
        shared: &mut Shared<'_>,
    ) -> Result<(), Reason> {
        let Shared { reassembly, room, out, .. } = shared;
        if let Some(inbox) = &mut self.inbox {
            let received = &mut self.moved.messages_received;
            if **room == 0 {
                // It is our application that is slow.
                inbox.pause();
            } else {
                let deliver = |data: Bytes| {
                    **room = room.saturating_sub(data.len().saturating_add(EVENT_COST_BYTES));
                    *received += 1;
                    out.events.push_back(SessionEvent::Received { peer, data });
                    if **room == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                };
                let stopped = inbox.read(now, conn, reassembly, deliver).map_err(reason)?;
                self.starved = matches!(stopped, Stopped::NoRoom(_));
                // What has come while nobody read counts, and is delivered in any case.
                inbox.handle_timeout(now).map_err(reason)?;
            }
        }
        if let Some(mesh) = self.mesh_in.as_mut().filter(|mesh| **room > 0 && !mesh.paused) {
            let deliver = |frame: Bytes| {
                **room = room.saturating_sub(frame.len().saturating_add(EVENT_COST_BYTES));
                out.events.push_back(SessionEvent::Mesh { peer, frame });
            };
            mesh.read(conn, deliver).map_err(Reason::protocol)?;
        }
        while **room > 0
            && let Some(data) = self.datagrams.receive(conn)
        {
            **room = room.saturating_sub(data.len().saturating_add(EVENT_COST_BYTES));
            out.events.push_back(SessionEvent::Datagram { peer, data });
        }
        Ok(())
    }

    /// Tells what became of what the application asked for.
    fn report(&mut self, peer: PeerId, shared: &mut Shared<'_>) {
        let events = &mut shared.out.events;
        if self.mesh_out.take_room() {
            events.push_back(SessionEvent::MeshRoom { peer });
        }
        while let Some(tag) = self.outbox.take_sent() {
            events.push_back(SessionEvent::Sent { tag, failure: None });
        }
        if self.outbox.take_writable() | self.datagrams.take_writable() | self.streams.take_writable() {
            events.push_back(SessionEvent::Writable { peer });
        }
        while let Some(happened) = self.streams.take_happened() {
            let (number, change) = match happened {
                Happened::Opened(number) => (number, StreamChange::Opened),
                Happened::Readable(number) => (number, StreamChange::Readable),
                Happened::Writable(number) => (number, StreamChange::Writable),
                Happened::Closed(number, reset) => (number, StreamChange::Closed { reset, lost: false }),
            };
            if matches!(change, StreamChange::Closed { .. }) {
                shared.owners.remove(&StreamId(number));
            }
            events.push_back(SessionEvent::Stream { peer, stream: StreamId(number), change });
        }
    }

    /// The connection is gone: gives back what is held, and says which tags never arrived. `keep`: what streams hold is
    /// to be read still.
    pub fn give_up(mut self, conn: &mut Connection, peer: PeerId, keep: bool, shared: &mut Shared<'_>) -> Vec<u64> {
        if let Some(inbox) = self.inbox.take() {
            inbox.give_up(shared.reassembly);
        }
        // What happened before it went was not told yet: streams that were done, messages that had arrived.
        self.report(peer, shared);
        for (number, remains) in self.streams.give_up(conn, shared.windows) {
            let stream = StreamId(number);
            shared.owners.remove(&stream);
            let (readable, writable) = (remains.read_short, remains.write_short);
            let kept = keep && shared.unread.keep(stream, peer, remains, shared.windows);
            // Who waits to write is to find out that nobody will read.
            let changes = [
                (kept && readable, StreamChange::Readable),
                (kept && writable, StreamChange::Writable),
                (!kept, StreamChange::Closed { reset: None, lost: true }),
            ];
            let due = changes.into_iter().filter(|(due, _)| *due);
            shared.out.events.extend(due.map(|(_, change)| SessionEvent::Stream { peer, stream, change }));
        }
        self.outbox.give_up()
    }
}

fn reason(fault: Fault) -> Reason {
    let close = match fault {
        Fault::TooLarge { .. } => Close::TooLarge,
        Fault::Stalled { .. } => Close::TimedOut,
        Fault::CutOff | Fault::Aborted { .. } | Fault::SecondStream { .. } => Close::Protocol,
    };
    Reason::new(close, fault.to_string())
}
