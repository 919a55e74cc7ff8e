//! What a program in the world gets with each call, and what it wants done after it.

use crate::clock::Time;
use crate::network::LAN_GROUP;
use setowire::node::Via;
use std::net::SocketAddr;
use std::time::Instant;

/// An effect of a call.
#[derive(Debug)]
pub enum Out {
    Send {
        via: Via,
        to: SocketAddr,
        bytes: Vec<u8>,
        /// Lost rather than cut where a link is too small.
        whole: bool,
    },
    Resolve {
        query: u64,
        host: String,
        port: u16,
    },
    /// The program ended: its sockets close.
    Exit,
}

/// The time, and room for effects.
#[derive(Debug)]
pub struct Io {
    pub now: Time,
    pub mono: Instant,
    pub unix_us: u64,
    pub out: Vec<Out>,
}

impl Io {
    pub fn send(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.out.push(Out::Send { via: Via::Main, to, bytes, whole: false });
    }

    pub fn multicast(&mut self, interface: u32, bytes: Vec<u8>) {
        let to = SocketAddr::new(LAN_GROUP.into(), crate::network::LAN_PORT);
        self.out.push(Out::Send { via: Via::Lan { interface }, to, bytes, whole: false });
    }
}
