//! Identity, v12 session keys, the replay window. Pure functions and small state; no IO.
pub mod identity;
pub mod replay;
pub mod v12;
