//! The deterministic test bed: many nodes, one thread, virtual time.
//!
//! `world` runs nodes of ours (`ours`) and models of the old peers (`models`) over
//! a network of places and links (`network`, `link`), all chance from one seed.
//! `check` asserts what holds in every run. The other files are scenarios:
//! the bed itself, the models among themselves, ours with each family, hostile
//! peers, and random worlds (`SETOWIRE_SIM_SEEDS=n` runs more of them,
//! `SETOWIRE_SIM_SEED=s` replays one with its trace).

mod check;
mod clock;
mod io;
mod link;
mod models;
mod modern;
mod network;
mod ours;
mod pair;
mod rng;
mod test_attack;
mod test_bans;
mod test_bed;
mod test_bridge;
mod test_discovery;
mod test_downgrade;
mod test_false_address;
mod test_hostile;
mod test_last_bytes;
mod test_lifecycle;
mod test_mesh;
mod test_messages;
mod test_models;
mod test_modern_worlds;
mod test_pairs;
mod test_rogue;
mod test_scripts;
mod test_worlds;
mod world;
