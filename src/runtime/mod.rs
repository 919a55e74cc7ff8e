//! Everything that touches the system: one thread per swarm, its sockets, timers,
//! name look-ups and the list of interfaces.
//!
//! In: calls of any thread through `Swarm`, datagrams, the clock. Out: datagrams,
//! and events into the event queue.
//! Invariants: a handle call locks the node, changes it and wakes the network
//! thread; only that thread drains the node's outputs, so events keep their order,
//! and it pushes them after the lock is released. The lock is never held over a
//! system call that waits. No failure of a socket ends the thread; a panic ends this swarm
//! and no other.

mod buffers;
pub(crate) mod clock;
mod driver;
mod interfaces;
mod lan;
mod manage;
mod readiness;
mod resolver;
mod shared;
mod socket;
mod sockopt;
mod swarm;
#[cfg(test)]
mod tests;
pub(crate) mod thread;
mod udp;
mod watch;

pub use shared::IoStats;
pub use swarm::Swarm;
