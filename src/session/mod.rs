//! Sessions: how bytes between two peers are opened, ordered and sealed.
//!
//! One kind exists: `v12`, the wire of the existing peers. What a session offers
//! the rest does not depend on the kind: send a message, deliver messages, close,
//! tell of addresses, count. It works on an `Env` that `node` lends it for a call, and
//! leaves datagrams and `SessionEvent`s in `Out`.

pub mod quic;
pub mod v12;

use crate::config::limits::{SPARE_BUFFERS, TRANSMIT_BYTES};
use crate::crypto::identity::V12Keys;
use crate::discovery::Hint;
use crate::error::Code;
use crate::node::api::{Now, OpId, PeerId, PeerInfo, Stats, Transmit, Via};
use crate::path::budget::DialBudget;
use crate::path::dial::Dialer;
use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// What a session may use during one call.
pub struct Env<'a> {
    pub now: Now,
    pub keys: &'a V12Keys,
    pub rng: &'a mut ChaCha20Rng,
    pub dialer: &'a mut Dialer,
    pub budget: &'a mut DialBudget,
    pub out: &'a mut Out,
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
    Connected {
        peer: PeerId,
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
    /// A peer told of another.
    Hinted {
        peer: PeerId,
        hint: Hint,
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
