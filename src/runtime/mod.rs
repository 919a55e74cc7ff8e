//! placeholder
pub struct Swarm;
