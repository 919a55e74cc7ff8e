//! Messages that travel farther than one link.

pub mod flood;
