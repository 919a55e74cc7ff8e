//! Which of the old implementations a peer is, from the frames it sends anyway.
//!
//! C++ echoes our PING in its PONG. Rust sends 14-byte PEX entries right after the
//! handshake, no frame of the others, and Unix time in its PING. The rest is
//! JavaScript, Python or our own kind, which all want the same treatment. Until it is
//! clear a peer gets nothing that one of them could not bear.

use crate::node::api::Family;
use crate::wire::ping::{Ping, Pong};
use std::time::{Duration, Instant};

/// A Rust peer has sent its PEX by then.
const RUST_PEX_WAIT: Duration = Duration::from_millis(1_500);

/// Evidence about one peer.
pub struct Guess {
    since: Instant,
    family: Family,
    /// Its PONG was the 21-byte form: not C++.
    short_pong: bool,
    /// It sent what a Rust peer cannot.
    not_rust: bool,
    /// An authentic frame showed our own kind: nothing that anyone can forge changes that.
    sure: bool,
}

impl Guess {
    pub fn new(now: Instant) -> Guess {
        Guess { since: now, family: Family::Unknown, short_pong: false, not_rust: false, sure: false }
    }

    pub fn family(&self) -> Family {
        self.family
    }

    /// It is known not to be C++, which dies of a GOAWAY.
    pub fn may_goaway(&self) -> bool {
        self.short_pong && self.family != Family::Cpp
    }

    pub fn pong(&mut self, now: Instant, pong: &Pong) {
        match pong {
            Pong::Echo { .. } if !self.sure => self.family = Family::Cpp,
            Pong::Id(_) => self.short_pong = true,
            Pong::Echo { .. } | Pong::Other => {}
        }
        self.settle(now);
    }

    pub fn ping(&mut self, now: Instant, ping: &Ping) {
        // Milliseconds of the years 2017 to 2099: JavaScript or Rust. Others count from the start of the machine.
        self.not_rust |= ping.timestamp.is_some_and(|ms| !(1_500_000_000_000..4_100_000_000_000).contains(&ms));
        self.settle(now);
    }

    /// A PEX frame in the layout that only Rust peers send.
    pub fn rust_pex(&mut self) {
        if !self.not_rust && self.family != Family::Cpp {
            self.family = Family::Rust;
        }
    }

    /// An authentic frame of our own kind, which wants what JavaScript and Python peers want.
    pub fn ours(&mut self) {
        self.family = Family::JsOrPython;
        (self.short_pong, self.not_rust, self.sure) = (true, true, true);
    }

    /// A frame that no Rust peer sends.
    pub fn not_rust(&mut self, now: Instant) {
        self.not_rust = true;
        self.settle(now);
    }

    /// It showed enough to know how to say goodbye to it.
    pub fn is_settled(&self) -> bool {
        self.short_pong || self.family != Family::Unknown
    }

    /// When waiting for a Rust peer's PEX ends.
    pub fn poll_deadline(&self) -> Option<Instant> {
        (self.family == Family::Unknown && self.short_pong).then_some(self.since + RUST_PEX_WAIT)
    }

    pub fn settle(&mut self, now: Instant) {
        let waited = now >= self.since + RUST_PEX_WAIT;
        if self.family == Family::Unknown && self.short_pong && (self.not_rust || waited) {
            self.family = Family::JsOrPython;
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;

    const UNIX_MS: u64 = 1_795_000_000_000;

    fn ping(timestamp: u64) -> Ping {
        Ping { timestamp: Some(timestamp), id: None }
    }

    #[test]
    fn each_family_shows_itself() {
        let now = Instant::now();
        let mut cpp = Guess::new(now);
        cpp.pong(now, &Pong::Echo { timestamp: 1, id: [0; 20] });
        assert!(cpp.family() == Family::Cpp && !cpp.may_goaway());

        let mut python = Guess::new(now);
        python.pong(now, &Pong::Id([0; 20]));
        assert_eq!(python.family(), Family::Unknown);
        assert!(python.may_goaway());
        python.ping(now, &ping(5_000_000));
        assert_eq!(python.family(), Family::JsOrPython);

        let mut rust = Guess::new(now);
        rust.rust_pex();
        rust.pong(now, &Pong::Id([0; 20]));
        rust.ping(now, &ping(UNIX_MS));
        assert_eq!(rust.family(), Family::Rust);

        let mut ours = Guess::new(now);
        ours.ours();
        ours.pong(now, &Pong::Echo { timestamp: 1, id: [0; 20] });
        ours.rust_pex();
        assert_eq!(ours.family(), Family::JsOrPython, "anyone can forge a PONG");
        assert!(ours.may_goaway());

        let mut js = Guess::new(now);
        js.pong(now, &Pong::Id([0; 20]));
        js.ping(now, &ping(UNIX_MS));
        assert_eq!(js.family(), Family::Unknown, "it may be Rust whose PEX is under way");
        js.settle(js.poll_deadline().expect("undecided"));
        assert_eq!(js.family(), Family::JsOrPython);
    }
}
