//! What an IP address that never answered us may be made to receive.
//!
//! Reports of addresses (beacons, seeds, caches, what peers tell) are hints anyone
//! can forge. Whatever their number, all ports and sources together, one address
//! gets at most a named number of datagrams and bytes in a window. An address where
//! somebody answered gets a larger one, because many programs may share it.

use crate::config::limits::{
    DIAL_BUDGET_ADDRS, DIAL_BUDGET_BYTES, DIAL_BUDGET_DATAGRAMS, DIAL_BUDGET_KNOWN_DATAGRAMS, DIAL_BUDGET_WINDOW,
};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

/// Datagrams sent to unproven addresses within the window.
#[derive(Default)]
pub struct DialBudget {
    spent: BTreeMap<IpAddr, Spent>,
}

#[derive(Default)]
struct Spent {
    sent: VecDeque<(Instant, u32)>,
    answered_at: Option<Instant>,
}

impl DialBudget {
    /// Takes the right to send one datagram of `bytes` to `ip` now; else says when to ask again.
    pub fn take(&mut self, ip: IpAddr, bytes: u32, now: Instant) -> Result<(), Instant> {
        if !self.spent.contains_key(&ip) && self.spent.len() >= DIAL_BUDGET_ADDRS {
            self.forget_old(now);
            if self.spent.len() >= DIAL_BUDGET_ADDRS {
                return Err(now + DIAL_BUDGET_WINDOW);
            }
        }
        let spent = self.spent.entry(ip).or_default();
        spent.forget(now);
        let (max_datagrams, max_bytes) = spent.limits();
        let total: u32 = spent.sent.iter().map(|(_, bytes)| *bytes).fold(bytes, u32::saturating_add);
        if spent.sent.len() < max_datagrams as usize && total <= max_bytes {
            spent.sent.push_back((now, bytes));
            return Ok(());
        }
        let oldest = spent.sent.front().map_or(now, |(at, _)| *at);
        Err(oldest + DIAL_BUDGET_WINDOW)
    }

    /// Somebody at this address answered what we sent there.
    pub fn answered(&mut self, ip: IpAddr, now: Instant) {
        if let Some(spent) = self.spent.get_mut(&ip) {
            spent.answered_at = Some(now);
        }
    }

    /// Gives back what was sent there in so many datagrams: the answer named a number that was in them. Many peers may be at
    /// one address, and each that answers leaves as much for the next.
    pub fn give_back(&mut self, ip: IpAddr, datagrams: u32) {
        if let Some(spent) = self.spent.get_mut(&ip) {
            let count = spent.sent.len().min(datagrams as usize);
            spent.sent.drain(..count);
        }
    }

    /// How many datagrams may go there now, at most.
    pub fn room(&mut self, ip: IpAddr, now: Instant) -> usize {
        self.spent.get_mut(&ip).map_or(0, |spent| {
            spent.forget(now);
            (spent.limits().0 as usize).saturating_sub(spent.sent.len())
        })
    }

    /// Addresses remembered now.
    pub fn len(&self) -> usize {
        self.spent.len()
    }

    pub fn is_empty(&self) -> bool {
        self.spent.is_empty()
    }

    fn forget_old(&mut self, now: Instant) {
        self.spent.retain(|_, spent| {
            spent.forget(now);
            !spent.sent.is_empty()
        });
    }
}

impl Spent {
    /// The most datagrams and bytes within the window.
    fn limits(&self) -> (u32, u32) {
        match self.answered_at {
            Some(_) => (DIAL_BUDGET_KNOWN_DATAGRAMS, DIAL_BUDGET_BYTES.saturating_mul(DIAL_BUDGET_KNOWN_DATAGRAMS)),
            None => (DIAL_BUDGET_DATAGRAMS, DIAL_BUDGET_BYTES),
        }
    }

    fn forget(&mut self, now: Instant) {
        while self.sent.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= DIAL_BUDGET_WINDOW) {
            self.sent.pop_front();
        }
        if self.answered_at.is_some_and(|at| now.saturating_duration_since(at) >= DIAL_BUDGET_WINDOW * 6) {
            self.answered_at = None;
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn eight_hellos_and_a_probe_then_nothing_for_the_window() {
        let (mut budget, start, ip) = (DialBudget::default(), Instant::now(), IpAddr::from([203, 0, 113, 1]));
        assert!((0..8).all(|_| budget.take(ip, 41, start).is_ok()));
        assert!(budget.take(ip, 73, start).is_err(), "400 bytes are the bound");
        assert!(budget.take(ip, 64, start).is_ok());
        assert_eq!(budget.take(ip, 1, start), Err(start + DIAL_BUDGET_WINDOW));
        assert!(budget.take(IpAddr::from([203, 0, 113, 2]), 41, start).is_ok());
        assert!(budget.take(ip, 41, start + DIAL_BUDGET_WINDOW).is_ok());
    }

    #[test]
    fn the_table_is_bounded_and_forgets() {
        let (mut budget, start) = (DialBudget::default(), Instant::now());
        for n in 0..DIAL_BUDGET_ADDRS as u32 {
            assert!(budget.take(IpAddr::from(n.to_be_bytes()), 41, start).is_ok());
        }
        assert!(budget.take(IpAddr::from([255, 0, 0, 1]), 41, start).is_err());
        assert!(budget.take(IpAddr::from([255, 0, 0, 1]), 41, start + DIAL_BUDGET_WINDOW).is_ok());
        assert_eq!(budget.len(), 1);
    }

    #[test]
    fn an_address_that_answered_may_hold_many_peers() {
        let (mut budget, start, ip) = (DialBudget::default(), Instant::now(), IpAddr::from([127, 0, 0, 1]));
        assert!(budget.take(ip, 41, start).is_ok());
        budget.answered(ip, start + Duration::from_millis(1));
        assert!((0..100).all(|_| budget.take(ip, 41, start + Duration::from_millis(2)).is_ok()));
    }

    #[test]
    fn what_was_answered_does_not_count() {
        let (mut budget, start, ip) = (DialBudget::default(), Instant::now(), IpAddr::from([127, 0, 0, 1]));
        for _ in 0..1_000 {
            assert!(budget.take(ip, 64, start).is_ok() && budget.take(ip, 41, start).is_ok());
            budget.give_back(ip, 2);
        }
        budget.give_back(ip, 5);
        assert!((0..6).all(|_| budget.take(ip, 64, start).is_ok()), "nothing is left over");
        assert!(budget.take(ip, 64, start).is_err());
    }
}
