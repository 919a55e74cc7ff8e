//! The swarm layer: many nodes, one thread, virtual time, one simulated source.
//!
//! `bed` runs the nodes, `hub` is the source. The other files are scenarios. `SETOWIRE_SWARM_SEEDS=n` runs more seeds of those
//! that have some, `SETOWIRE_SWARM_SEED=s` one of them.

mod bed;
mod hub;
mod v4;
