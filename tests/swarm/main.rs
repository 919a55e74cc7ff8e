//! The swarm layer: many nodes, one thread, virtual time, one simulated source.
//!
//! `bed` runs the nodes, `hub` is the source, `table` a swarm layer without a node. `v4*` and `v2*` are the rows of the test
//! matrices of Hyperswarm 4 and 2 under their names there,
//! the other files what the semantics promise beyond it. `SETOWIRE_SWARM_SEEDS=n` runs more seeds of those tests that have some,
//! `SETOWIRE_SWARM_SEED=s` one of them; `SETOWIRE_SWARM_SCALE=1000` runs the largest worlds.

mod bed;
mod chaos;
mod doors;
mod flush;
mod hostile;
mod hub;
mod look_up;
mod memory;
mod peers;
mod scale;
mod suspended;
mod table;
mod topics;
mod v2;
mod v2_end;
mod v2_info;
mod v2_limits;
mod v2_queue;
mod v4;
mod v4_firewall;
mod v4_peers;
mod v4_retry;
