//! The modern session: `setowire/13` on QUIC.

pub mod budget;
pub mod fault;
pub mod inbox;
pub mod outbox;
pub mod transport;
pub mod writer;
