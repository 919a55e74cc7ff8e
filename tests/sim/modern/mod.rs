//! Worlds of modern sessions: what the applications do, and what must hold of it.
//!
//! `ledger` keeps account of messages, datagrams and broadcasts, `streams` is an application
//! that opens streams and answers those of others, `chaos` is a random world with all of it.

pub mod chaos;
pub mod ledger;
pub mod streams;

use crate::network::NodeId;
use setowire::node::PeerId;

/// One run of a program at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life {
    pub node: NodeId,
    pub life: u32,
}

/// One side of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Side {
    pub of: Life,
    pub peer: PeerId,
}

impl Side {
    pub const BYTES: usize = 16;

    pub fn encode(&self) -> [u8; Side::BYTES] {
        let mut bytes = [0; Side::BYTES];
        bytes[..4].copy_from_slice(&(self.of.node as u32).to_be_bytes());
        bytes[4..8].copy_from_slice(&self.of.life.to_be_bytes());
        bytes[8..].copy_from_slice(&self.peer.0.to_be_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8; Side::BYTES]) -> Side {
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let peer = PeerId(u64::from_be_bytes(bytes[8..].try_into().expect("eight bytes")));
        Side { of: Life { node: number(0) as usize, life: number(4) }, peer }
    }
}

/// Byte `at` of a text that belongs to a number: what was cut, joined or shifted does not fit.
pub fn pattern(number: u64, at: usize) -> u8 {
    (number as usize).wrapping_mul(31).wrapping_add(at).wrapping_mul(2_654_435_761).to_be_bytes()[3]
}
