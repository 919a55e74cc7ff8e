//! Sources that tell where peers of a topic may be. What they say is a hint, never trusted.
//!
//! Each source is one file and one machine: it is told the topics, and emits datagrams,
//! requests and hints. `node` dials what they find, within the dial budget.

pub mod cache;
pub mod lan;

use crate::crypto::identity::WireId;
use crate::node::api::Source;
use std::net::SocketAddr;

/// Where a peer may be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    pub addr: SocketAddr,
    /// Who is said to be there, to p2p-v12.
    pub id: Option<WireId>,
    /// Who is said to be there, to setowire/13: the key that the other side must show.
    pub key: Option<[u8; 32]>,
    pub source: Source,
    /// What the topic that was announced is called outside; none: it is not known which.
    pub topic: Option<[u8; 32]>,
}
