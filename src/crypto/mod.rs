//! Identity, the keys of both protocols, TLS, the replay window. Pure functions and small state; no IO.
pub mod announce;
pub mod cert;
pub mod identity;
#[cfg(feature = "key-log")]
pub mod key_log;
pub mod legacy;
pub mod mac;
pub mod path;
pub mod probe;
pub mod replay;
mod session;
pub mod tls;
pub mod topic;
pub mod v12;
