//! Goodbyes that are owed to peers closed before their first PONG.
//!
//! A GOAWAY kills a C++ peer, so it is sent only once the form of a PONG excludes that family. A
//! connection closed sooner leaves its goodbye here: the PONG to its first PING is under way.

use crate::config::limits::{GOODBYE_WAIT, GOODBYES_OWED};
use crate::crypto::identity::WireId;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

/// Whom a goodbye is owed, and until when.
#[derive(Default)]
pub struct Goodbyes {
    owed: VecDeque<(Instant, SocketAddr, WireId)>,
}

impl Goodbyes {
    pub fn owe(&mut self, now: Instant, to: SocketAddr, id: WireId) {
        if self.owed.len() >= GOODBYES_OWED {
            self.owed.pop_front();
        }
        self.owed.push_back((now + GOODBYE_WAIT, to, id));
    }

    /// Whether this peer at this address is owed one; it is not any more.
    pub fn take(&mut self, now: Instant, to: &SocketAddr, id: &WireId) -> bool {
        self.owed.retain(|(until, ..)| *until > now);
        let before = self.owed.len();
        self.owed.retain(|(_, address, peer)| (address, peer) != (to, id));
        self.owed.len() < before
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;

    #[test]
    fn owed_once_for_a_while_and_in_bounds() {
        let (mut goodbyes, now) = (Goodbyes::default(), Instant::now());
        let at = |port| SocketAddr::from(([10, 0, 0, 1], port));
        goodbyes.owe(now, at(1), [1; 8]);
        assert!(!goodbyes.take(now, &at(1), &[2; 8]) && !goodbyes.take(now, &at(2), &[1; 8]));
        assert!(goodbyes.take(now, &at(1), &[1; 8]) && !goodbyes.take(now, &at(1), &[1; 8]));
        goodbyes.owe(now, at(1), [1; 8]);
        assert!(!goodbyes.take(now + GOODBYE_WAIT, &at(1), &[1; 8]));
        (0..1_000).for_each(|port| goodbyes.owe(now, at(port), [1; 8]));
        assert_eq!(goodbyes.owed.len(), GOODBYES_OWED);
    }
}
