//! Datagrams of the application: sent once, in no order, and lost where the network loses them.
//!
//! In: payloads up to a fixed size, which fits every path. Out: what came, in the order QUIC
//! has it. Ours are never dropped before they left: without room the application is
//! refused and is owed a `writable` event. Those of the peer that find no room, because
//! nobody reads, are dropped by QUIC, the oldest first, and counted.

use crate::config::limits::QUIC_DATAGRAM_BYTES;
use bytes::Bytes;
use quinn_proto::{Connection, SendDatagramError};

/// Why a datagram was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramError {
    /// No room; `take_writable` tells when there is.
    Full,
    /// Above what one packet takes.
    TooLarge { max: usize },
    /// The peer takes none.
    Unsupported,
}

/// The datagrams of one connection.
#[derive(Default)]
pub struct Datagrams {
    /// The application was refused.
    refused: bool,
    writable: bool,
    received: u64,
    dropped: u64,
}

impl Datagrams {
    pub fn send(&mut self, connection: &mut Connection, data: &[u8]) -> Result<(), DatagramError> {
        if data.len() > QUIC_DATAGRAM_BYTES {
            return Err(DatagramError::TooLarge { max: QUIC_DATAGRAM_BYTES });
        }
        match connection.datagrams().send(Bytes::copy_from_slice(data), false) {
            Ok(()) => Ok(()),
            Err(SendDatagramError::Blocked(_)) => {
                self.refused = true;
                Err(DatagramError::Full)
            }
            Err(SendDatagramError::TooLarge) => {
                let max = connection.datagrams().max_size().unwrap_or(0).min(QUIC_DATAGRAM_BYTES);
                Err(DatagramError::TooLarge { max })
            }
            Err(SendDatagramError::UnsupportedByPeer | SendDatagramError::Disabled) => Err(DatagramError::Unsupported),
        }
    }

    /// QUIC reports `DatagramsUnblocked`.
    pub fn unblocked(&mut self) {
        self.writable |= std::mem::replace(&mut self.refused, false);
    }

    /// A `writable` event is due.
    pub fn take_writable(&mut self) -> bool {
        std::mem::replace(&mut self.writable, false)
    }

    /// The next one that came. None: no more, and what QUIC had to drop has been counted. A copy, because a
    /// slice would hold on to the whole packet while it waits for the application.
    pub fn receive(&mut self, connection: &mut Connection) -> Option<Bytes> {
        if let Some(datagram) = connection.datagrams().recv() {
            self.received = self.received.saturating_add(1);
            return Some(Bytes::copy_from_slice(&datagram));
        }
        self.dropped = connection.stats().frame_rx.datagram.saturating_sub(self.received);
        None
    }

    /// Datagrams of the peer that found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}
