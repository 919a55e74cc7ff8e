//! How many of our dials are in their handshake at one time.
//!
//! A PROBE costs next to nothing, a handshake some milliseconds of processor on both sides. When many peers dial each
//! other at once on machines that are slow or shared, handshakes that all go on together all take longer than they are
//! waited for, and nobody is met. So some go on and the others wait: more when they are quick, fewer when they are slow.
//! Of two peers that dial each other both need one handshake only: who hears the other's waits for what becomes of it.
//! In: addresses that answered a PROBE, how long handshakes took. Out: which one goes on.
//! Invariants: one place per address; a handshake holds up others for `HANDSHAKE_HELD` at most, so that peers who do not
//! go on stop nobody. Dials that the application began are not to be put here.

use crate::config::limits::{HANDSHAKE_BRISK, HANDSHAKE_HELD, HANDSHAKES_LEAST, HANDSHAKES_MOST, HANDSHAKES_START};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What a dial goes on with: where, and the cookie that was given there.
pub type Answered = (SocketAddr, [u8; 16]);

pub struct Pace {
    most: usize,
    waiting: VecDeque<Answered>,
    /// When a handshake of those under way holds up others no more.
    due: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { most: HANDSHAKES_START, waiting: VecDeque::new(), due: None }
    }
}

impl Pace {
    /// Puts a dial behind those that wait. An earlier one of the same address is over.
    pub fn wait(&mut self, answered: Answered) {
        self.waiting.retain(|(addr, _)| *addr != answered.0);
        self.waiting.push_back(answered);
    }

    /// Forgets those of which nobody waits any more.
    pub fn retain(&mut self, wanted: impl Fn(&SocketAddr) -> bool) {
        self.waiting.retain(|(addr, _)| wanted(addr));
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Dials wait.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The dial that goes on now, beside handshakes of ours since those times: the first whose peer is not just dialling us.
    pub fn next(
        &mut self,
        under_way: impl Iterator<Item = Instant>,
        dials_us: impl Fn(&SocketAddr) -> bool,
        now: Instant,
    ) -> Option<Answered> {
        let held: Vec<Instant> = under_way.map(|since| since + HANDSHAKE_HELD).filter(|until| *until > now).collect();
        self.due = held.iter().min().copied();
        if held.len() >= self.most {
            return None;
        }
        let first = self.waiting.iter().position(|(addr, _)| !dials_us(addr))?;
        self.waiting.remove(first)
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        self.due.filter(|_| self.has_waiting())
    }

    /// A handshake came to its end.
    pub fn took(&mut self, time: Duration) {
        self.most = match time <= HANDSHAKE_BRISK {
            true => self.most.saturating_add(1).min(HANDSHAKES_MOST),
            false => (self.most / 2).max(HANDSHAKES_LEAST),
        };
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;

    fn answered(n: u16) -> Answered {
        (SocketAddr::from(([192, 0, 2, 1], n)), [n as u8; 16])
    }

    #[test]
    fn they_go_on_in_their_order_while_there_is_room() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for n in 1..=3 {
            pace.wait(answered(n));
        }
        let since = |count| std::iter::repeat_n(now, count);
        let nobody = |_: &SocketAddr| false;
        assert_eq!(pace.next(since(HANDSHAKES_START), nobody, now), None);
        assert_eq!(pace.poll_deadline(), Some(now + HANDSHAKE_HELD));
        assert_eq!(pace.next(since(HANDSHAKES_START - 1), nobody, now), Some(answered(1)));
        // Those that do not go on hold up nobody for long.
        assert_eq!(pace.next(since(HANDSHAKES_START), nobody, now + HANDSHAKE_HELD), Some(answered(2)));
        // Dialled anew: with the cookie of now, behind the others.
        pace.wait(answered(4));
        pace.wait((answered(3).0, [9; 16]));
        assert_eq!(pace.next(since(0), nobody, now), Some(answered(4)));
        assert_eq!(pace.next(since(0), nobody, now), Some((answered(3).0, [9; 16])));
        assert_eq!((pace.next(since(0), nobody, now), pace.poll_deadline()), (None, None));
    }

    #[test]
    fn who_is_dialled_by_the_peer_waits_and_holds_up_nobody() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.wait(answered(1));
        pace.wait(answered(2));
        let first = |addr: &SocketAddr| *addr == answered(1).0;
        assert_eq!(pace.next(std::iter::empty(), first, now), Some(answered(2)));
        assert_eq!(pace.next(std::iter::empty(), first, now), None);
        assert!(pace.has_waiting());
        assert_eq!(pace.next(std::iter::empty(), |_| false, now), Some(answered(1)));
    }

    #[test]
    fn slow_handshakes_make_them_fewer_and_quick_ones_more_within_bounds() {
        let mut pace = Pace::default();
        for _ in 0..10 {
            pace.took(HANDSHAKE_BRISK + Duration::from_millis(1));
        }
        assert_eq!(pace.most, HANDSHAKES_LEAST);
        pace.took(HANDSHAKE_BRISK);
        assert_eq!(pace.most, HANDSHAKES_LEAST + 1);
        for _ in 0..1_000 {
            pace.took(Duration::ZERO);
        }
        assert_eq!(pace.most, HANDSHAKES_MOST);
    }
}
