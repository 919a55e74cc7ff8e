//! The C interface: exported functions by noun, and the few helpers they share.
//!
//! In: whatever a C program passes, right or wrong. Out: numbers, text copied into the
//! caller's memory, and calls of the caller's functions on threads of ours.
//! Invariants: every export runs inside `guard`, so no panic crosses the boundary;
//! pointers become references only in `pointer`; out-parameters are written on every
//! path; a swarm is looked up in a table (`handle`), so a stale or wrong swarm pointer is an
//! error and never a crash. The docs here are the header: tests/header turns these files,
//! in reading order, into `setowire.h`, which begins with the text below.
#![doc = include_str!("intro.md")]
#![allow(non_camel_case_types)]
// The `@param` lines say what a C program has to keep to.
#![allow(clippy::missing_safety_doc)]
#![deny(missing_docs)]

pub mod config;
pub mod constants;
pub mod discovery;
pub mod error;
pub mod event;
mod fork;
mod guard;
mod handle;
pub mod known;
pub mod log;
pub mod manage;
pub mod peer;
mod pointer;
pub mod process;
pub mod source;
pub mod stream;
pub mod swarm;
pub(crate) mod table;
pub mod topic;
pub mod types;
mod user_data;

pub use config::*;
pub use constants::*;
pub use discovery::*;
pub use error::*;
pub use event::*;
pub use known::*;
pub use log::*;
pub use manage::*;
pub use peer::*;
pub use process::*;
pub use source::*;
pub use stream::*;
pub use swarm::*;
pub use topic::*;
pub use types::*;
