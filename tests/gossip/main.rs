//! The mesh of modern peers in a network of its own: many `Gossip` machines, links with latency that
//! come and go, virtual time, one seed. Signatures are real.

#[path = "../sim/rng.rs"]
#[allow(dead_code)]
mod rng;

mod hostile;
mod neighbours;
mod network;
mod spread;
mod topics;
