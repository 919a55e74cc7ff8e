//! Messages that travel farther than one link.
//!
//! `gossip` carries broadcasts between modern peers, each signed by its author (`author`) and
//! taken once (`seen`, `receive`); `store` keeps the recent ones for who missed them, `pulls` fetches what
//! we missed ourselves, `link` holds what waits for one neighbour. `flood` tells what is new among the
//! messages of v12 peers, which have no ids, and `bridge` carries from one kind to the other.

pub mod author;
pub mod bridge;
pub mod flood;
pub mod gossip;
mod link;
mod pulls;
mod receive;
mod seen;
mod store;
