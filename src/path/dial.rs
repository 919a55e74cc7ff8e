//! Dials in progress: up to eight HELLOs to an address, 300 ms apart, until it answers.
//!
//! Each send must pass the dial budget; a refused one waits for it. A dial ends by
//! an answer, by patience running out, or by its owner. It remembers how the address
//! became known and which operations wait for it.

use crate::config::limits::{DIAL_PATIENCE, DIAL_PERIOD, DIAL_TRIES, DIALS_MAX};
use crate::crypto::identity::WireId;
use crate::node::api::{OpId, Source};
use crate::path::budget::DialBudget;
use crate::timers::Timers;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

/// One address being dialled.
#[derive(Debug, Clone)]
pub struct Dial {
    pub source: Source,
    /// Whom the hint named, if anyone.
    pub expected: Option<WireId>,
    pub started: Instant,
    /// Operations that end with this dial.
    pub ops: Vec<OpId>,
    sent: u32,
    refused: bool,
}

/// What became of dials whose time came.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send a HELLO there.
    Hello(SocketAddr),
    /// Nobody answered.
    GivenUp { addr: SocketAddr, ops: Vec<OpId>, sent: u32 },
}

/// All dials of a swarm.
#[derive(Default)]
pub struct Dialer {
    dials: BTreeMap<SocketAddr, Dial>,
    timers: Timers<SocketAddr>,
}

impl Dialer {
    /// Begins a dial, or joins the one in progress. False: too many dials.
    pub fn start(
        &mut self,
        now: Instant,
        addr: SocketAddr,
        source: Source,
        expected: Option<WireId>,
        op: Option<OpId>,
    ) -> bool {
        if !self.dials.contains_key(&addr) {
            if self.dials.len() >= DIALS_MAX {
                return false;
            }
            let dial = Dial { source, expected, started: now, ops: Vec::new(), sent: 0, refused: false };
            self.dials.insert(addr, dial);
            self.timers.set(addr, Some(now));
        }
        if let Some(dial) = self.dials.get_mut(&addr) {
            dial.ops.extend(op);
            dial.expected = dial.expected.or(expected);
        }
        true
    }

    /// The dial to this address.
    pub fn get(&self, addr: &SocketAddr) -> Option<&Dial> {
        self.dials.get(addr)
    }

    /// We sent a HELLO there and wait for the answer.
    pub fn awaits(&self, addr: &SocketAddr) -> bool {
        self.dials.get(addr).is_some_and(|dial| dial.sent > 0)
    }

    /// A peer with this id is being dialled somewhere.
    pub fn expects(&self, id: &WireId) -> bool {
        self.dials.values().any(|dial| dial.expected.as_ref() == Some(id))
    }

    /// Ends a dial: it was answered, or its owner does not want it any more.
    pub fn finish(&mut self, addr: &SocketAddr) -> Option<Dial> {
        self.timers.set(*addr, None);
        self.dials.remove(addr)
    }

    /// Takes an operation away from its dials; a dial that only it wanted ends.
    pub fn cancel(&mut self, op: OpId) {
        let mut ended = Vec::new();
        for (addr, dial) in &mut self.dials {
            if dial.ops.contains(&op) {
                dial.ops.retain(|other| *other != op);
                if dial.ops.is_empty() && dial.source == Source::Connect {
                    ended.push(*addr);
                }
            }
        }
        for addr in ended {
            self.finish(&addr);
        }
    }

    /// Ends all dials; their operations are returned.
    pub fn clear(&mut self) -> Vec<OpId> {
        self.timers = Timers::default();
        std::mem::take(&mut self.dials).into_values().flat_map(|dial| dial.ops).collect()
    }

    pub fn len(&self) -> usize {
        self.dials.len()
    }

    pub fn is_empty(&self) -> bool {
        self.dials.is_empty()
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// What is due now. `bytes` is the size of a HELLO; refusals of the budget are counted in `refused`.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        bytes: u32,
        budget: &mut DialBudget,
        refused: &mut u64,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        for addr in self.timers.take_due(now) {
            let Some(dial) = self.dials.get_mut(&addr) else { continue };
            let end = dial.started + DIAL_PERIOD * DIAL_TRIES + DIAL_PATIENCE;
            if now >= end {
                let (ops, sent) = (std::mem::take(&mut dial.ops), dial.sent);
                self.dials.remove(&addr);
                steps.push(Step::GivenUp { addr, ops, sent });
                continue;
            }
            let next = if dial.sent >= DIAL_TRIES {
                end
            } else {
                match budget.take(addr.ip(), bytes, now) {
                    Ok(()) => {
                        dial.sent += 1;
                        steps.push(Step::Hello(addr));
                        now + DIAL_PERIOD
                    }
                    Err(later) => {
                        if !dial.refused {
                            dial.refused = true;
                            *refused += 1;
                        }
                        later.max(now + DIAL_PERIOD)
                    }
                }
            };
            self.timers.set(addr, Some(next.min(end)));
        }
        steps
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;

    #[test]
    fn eight_hellos_then_patience_then_the_end() {
        let (mut dialer, mut budget, start) = (Dialer::default(), DialBudget::default(), Instant::now());
        let addr: SocketAddr = "192.0.2.1:5".parse().expect("address");
        assert!(dialer.start(start, addr, Source::Connect, None, Some(OpId(1))));
        assert!(dialer.start(start, addr, Source::Lan, None, Some(OpId(2))), "a second hint joins the dial");
        let (mut hellos, mut refused) = (Vec::new(), 0);
        let ended = loop {
            let at = dialer.poll_deadline().expect("a dial has a deadline until it ends");
            match dialer.handle_timeout(at, 41, &mut budget, &mut refused).pop() {
                Some(Step::Hello(to)) => hellos.push((at - start, to)),
                Some(Step::GivenUp { ops, sent, .. }) => break (at - start, ops, sent),
                None => {}
            }
        };
        assert_eq!(hellos.len(), 8);
        assert_eq!(hellos[7].0, DIAL_PERIOD * 7);
        assert_eq!(ended, (DIAL_PERIOD * 8 + DIAL_PATIENCE, vec![OpId(1), OpId(2)], 8));
        assert!(dialer.is_empty() && dialer.poll_deadline().is_none() && refused == 0);
    }

    #[test]
    fn dials_to_one_address_share_its_budget() {
        let (mut dialer, mut budget, start) = (Dialer::default(), DialBudget::default(), Instant::now());
        for port in 1..=20 {
            dialer.start(start, SocketAddr::from(([192, 0, 2, 1], port)), Source::Pex, None, None);
        }
        let mut refused = 0;
        assert_eq!(dialer.handle_timeout(start, 41, &mut budget, &mut refused).len(), 9);
        assert_eq!(refused, 11);
    }

    #[test]
    fn a_cancelled_operation_takes_its_own_dial_along() {
        let (mut dialer, start) = (Dialer::default(), Instant::now());
        let (a, b) = ("192.0.2.1:5".parse().expect("address"), "192.0.2.2:5".parse().expect("address"));
        dialer.start(start, a, Source::Connect, None, Some(OpId(1)));
        dialer.start(start, b, Source::Lan, None, Some(OpId(1)));
        dialer.cancel(OpId(1));
        assert!(dialer.get(&a).is_none() && dialer.get(&b).is_some_and(|dial| dial.ops.is_empty()));
    }
}
