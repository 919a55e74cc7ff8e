//! Sessions: how bytes between two peers are opened, ordered and sealed.
//!
//! Two kinds exist: `quic`, between two of our own, and `v12`, the wire of the existing peers. What a session offers
//! the rest does not depend on the kind: send a message, deliver messages, close,
//! tell of addresses, count. It works on an `Env` that `node` lends it for a call, and
//! leaves datagrams and `SessionEvent`s in `Out`.

pub mod quic;
pub mod v12;

use crate::config::limits::{SPARE_BUFFERS, TRANSMIT_BYTES};
use crate::crypto::identity::{Identity, LegacyId, V12Keys};
use crate::discovery::Hint;
use crate::error::Code;
use crate::node::api::{Now, OpId, PeerId, PeerInfo, Stats, StreamChange, StreamId, Transmit, Via, Whom};
use crate::path::budget::DialBudget;
use crate::path::dial::Dialer;
use crate::path::proven::Proven;
use crate::swarm::door::Door;
use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// What a session may use during one call.
pub struct Env<'a> {
    pub now: Now,
    pub identity: &'a Identity,
    pub keys: &'a V12Keys,
    pub rng: &'a mut ChaCha20Rng,
    pub dialer: &'a mut Dialer,
    pub budget: &'a mut DialBudget,
    /// Legacy ids that belong to modern peers.
    pub proven: &'a mut Proven,
    /// Who may connect.
    pub door: &'a mut Door,
    /// The last number given to a peer.
    pub last_id: &'a mut u64,
    /// There is no place for one more peer.
    pub full: bool,
    pub out: &'a mut Out,
}

impl Env<'_> {
    /// A number for a new peer.
    pub fn new_peer(&mut self) -> PeerId {
        *self.last_id += 1;
        PeerId(*self.last_id)
    }

    /// Somebody at this address answered: a dial that had sent so many datagrams, or none of ours. Dials that were held
    /// back for the sake of the address go on.
    pub fn answered(&mut self, ip: IpAddr, sent: u32) {
        let now = self.now.mono;
        self.budget.answered(ip, now);
        self.budget.give_back(ip, sent);
        self.dialer.wake(ip, self.budget.room(ip, now), now);
    }
}

/// What a call left behind.
#[derive(Default)]
pub struct Out {
    pub transmits: VecDeque<Transmit>,
    pub events: VecDeque<SessionEvent>,
    pub stats: Stats,
    /// Large buffers that were sent and are free again.
    spare: Vec<Vec<u8>>,
}

impl Out {
    /// A datagram on the swarm's socket.
    pub fn send(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.transmits.push_back(Transmit::new(Via::Main, to, bytes));
    }

    /// An empty buffer with room for `TRANSMIT_BYTES`.
    pub fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(|| Vec::with_capacity(TRANSMIT_BYTES))
    }

    /// Keeps a buffer that is free again, if it is a large one.
    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() >= TRANSMIT_BYTES && self.spare.len() < SPARE_BUFFERS {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

/// What happened to sessions.
#[derive(Debug)]
pub enum SessionEvent {
    /// It may have ended again before this is read: one of two connections with one peer does.
    Connected {
        peer: PeerId,
        info: Box<PeerInfo>,
    },
    /// Operations that waited for a dial; the peer, or why not.
    DialDone {
        ops: Vec<OpId>,
        result: Result<PeerId, (Code, String)>,
    },
    Updated {
        peer: PeerId,
    },
    /// `forward`: an old peer sent it and expects its neighbours to pass it on.
    Message {
        peer: PeerId,
        data: Bytes,
        clear: bool,
        forward: bool,
    },
    /// A message over a modern session.
    Received {
        peer: PeerId,
        data: Bytes,
    },
    /// A peer connects, and the application is to be asked whether it may.
    Knocked {
        whom: Whom,
        addr: SocketAddr,
    },
    /// Both sides of a modern connection agreed; `node` names the peer and opens the session.
    Agreed {
        index: usize,
        legacy: Option<LegacyId>,
    },
    /// A modern peer that is banned was at this address.
    Haunted {
        addr: SocketAddr,
    },
    /// A modern peer proved to hold this legacy id.
    Legacy {
        peer: PeerId,
        id: LegacyId,
    },
    /// The topics shared with a modern peer changed.
    Shared {
        peer: PeerId,
    },
    /// A datagram over a modern session.
    Datagram {
        peer: PeerId,
        data: Bytes,
    },
    /// A stream of the application.
    Stream {
        peer: PeerId,
        stream: StreamId,
        change: StreamChange,
    },
    /// A frame of the mesh stream.
    Mesh {
        peer: PeerId,
        frame: Bytes,
    },
    /// There is room for mesh frames again, after one was refused.
    MeshRoom {
        peer: PeerId,
    },
    /// A peer told of another.
    Hinted {
        peer: PeerId,
        hint: Box<Hint>,
    },
    /// A message with this tag left, or cannot.
    Sent {
        tag: u64,
        failure: Option<(Code, String)>,
    },
    Writable {
        peer: PeerId,
    },
    Disconnected(Box<Ended>),
}

/// How a session ended.
#[derive(Debug)]
pub struct Ended {
    pub info: PeerInfo,
    pub code: Code,
    pub reason: String,
    /// It was lost, not closed by anyone: worth dialling again, at these addresses.
    pub redial: Vec<SocketAddr>,
    /// Tags of messages that never left.
    pub unsent: Vec<u64>,
}
