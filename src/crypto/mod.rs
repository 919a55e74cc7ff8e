//! Identity, the keys of both protocols, TLS, the replay window. Pure functions and small state; no IO.
pub mod cert;
pub mod identity;
mod mac;
pub mod replay;
pub mod tls;
pub mod topic;
pub mod v12;
