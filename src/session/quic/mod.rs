//! The modern session: `setowire/13` on QUIC.

pub mod budget;
pub mod datagrams;
pub mod fault;
pub mod inbox;
pub mod incoming;
pub mod outbox;
pub mod streams;
pub mod transport;
pub mod writer;

#[cfg(test)]
mod messages_tests;
#[cfg(test)]
mod streams_tests;
#[cfg(test)]
mod testing;
