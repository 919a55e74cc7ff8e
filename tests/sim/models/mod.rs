//! Models of the four old peer families, as docs/protocol.md describes them.
//!
//! One machine (`Model`) with a table of `Quirks` per family, because four of the
//! five implementations share their design. A model behaves as the real peer does,
//! including what it does wrong: its window, its silent losses, its delays, its
//! crashes. It shares no code with the library but the identity, so that a mistake
//! there is not repeated here. What must never be sent to a family is asserted by
//! `check`, which sees every datagram and can open every frame.

pub mod crypt;
mod deliver;
mod discovery;
mod model;
mod peer;
mod quirks;
pub mod rogue;

pub use model::{Model, Setup};
pub use quirks::{CPP, JS, PY_010, PY_MAIN, Quirks, RUST};

pub const ALL: [&Quirks; 5] = [&JS, &PY_010, &PY_MAIN, &CPP, &RUST];
