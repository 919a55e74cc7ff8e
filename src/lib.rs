//! Setowire: programs find each other by topic and talk directly.
//!
//! The way of a datagram: `runtime` takes it from a socket, `node` looks at its
//! first byte, `session` opens it, `swarm`, `discovery`, `path` and `mesh` decide what
//! follows, and what the application is told goes through `queue` to a callback,
//! a descriptor or a waiting thread. Everything from `node` down is sans-IO: bytes,
//! time and randomness come in as arguments, bytes, events and deadlines go out.
#![deny(unsafe_code)]

pub mod bucket;
pub mod config;
pub mod crypto;
pub mod discovery;
pub mod error;
pub mod event;
#[allow(unsafe_code)]
pub mod ffi;
#[doc(hidden)]
pub mod fuzz;
pub mod log;
pub mod mesh;
pub mod node;
pub mod path;
#[allow(unsafe_code)]
pub mod queue;
#[allow(unsafe_code)]
pub mod runtime;
pub mod session;
pub mod swarm;
pub mod timers;
pub mod wire;

pub use config::Config;
pub use error::{Code, Error, Result};
pub use runtime::Swarm;
