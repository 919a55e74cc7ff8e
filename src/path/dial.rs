//! Dials in progress: a PROBE to an address, and HELLOs after it where old peers may answer.
//!
//! A PROBE finds our own kind and is unknown to old peers. If it is not answered within a short
//! grace, up to six HELLOs follow, 300 ms apart, and a second PROBE among them, or before them where somebody announced a key.
//! A dial that may only end in a modern session (legacy off, or a
//! peer proven to be modern) sends PROBEs alone. Each send must pass the dial budget;
//! a refused one waits for it. A dial ends by an answer, by patience running out, or by its
//! owner; once a PROBE is answered the QUIC connection decides. It remembers how the
//! address became known and which operations wait for it.

use crate::config::limits::{
    DIAL_ANNOUNCED_PROBES, DIAL_GRACE, DIAL_PATIENCE, DIAL_PERIOD, DIAL_PROBES, DIAL_TRIES, DIALS_MAX,
};
use crate::crypto::identity::WireId;
use crate::node::api::{OpId, PeerId, Source};
use crate::path::budget::DialBudget;
use crate::timers::Timers;
use crate::wire::handshake::HELLO_BYTES;
use crate::wire::v13::probe::PROBE_BYTES;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// One address being dialled.
#[derive(Debug, Clone)]
pub struct Dial {
    pub source: Source,
    /// The id of the old wire that the hint named, if any.
    pub expected: Option<WireId>,
    /// The key that must answer, if it is known.
    pub key: Option<[u8; 32]>,
    pub started: Instant,
    /// Operations that end with this dial.
    pub ops: Vec<OpId>,
    /// The v12 session that a modern one is to go on with.
    pub continues: Option<PeerId>,
    /// Only our own kind may answer.
    modern: bool,
    /// Somebody announced a key for this address.
    announced: bool,
    probes: Vec<[u8; 16]>,
    hellos: u32,
    /// A PROBE was answered: QUIC has begun.
    answered: bool,
    refused: bool,
    /// It waits for the budget of its address.
    held: bool,
}

/// Whom to dial, and why.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub addr: SocketAddr,
    pub source: Source,
    pub expected: Option<WireId>,
    pub key: Option<[u8; 32]>,
    /// The v12 session that a modern one is to go on with.
    pub continues: Option<PeerId>,
    pub modern: bool,
}

/// What became of dials whose time came.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send a PROBE there, with a nonce that `probed` is told.
    Probe(SocketAddr, Option<[u8; 32]>),
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

impl Dial {
    /// Datagrams that left for it.
    pub fn sent(&self) -> u32 {
        self.hellos.saturating_add(self.probes.len() as u32)
    }

    /// What is sent next, its size and the wait after it.
    fn next(&self) -> Option<(bool, usize, Duration)> {
        match (self.modern, self.probes.len() as u32, self.hellos) {
            (false, sent, 0) if self.announced && sent < DIAL_ANNOUNCED_PROBES => {
                Some((true, PROBE_BYTES, DIAL_PERIOD))
            }
            (false, 0, _) => Some((true, PROBE_BYTES, DIAL_GRACE)),
            // Either may have been lost.
            (false, 1, 2) => Some((true, PROBE_BYTES, DIAL_PERIOD)),
            (true, sent, _) if sent < DIAL_PROBES => Some((true, PROBE_BYTES, DIAL_PERIOD)),
            (false, _, sent) if sent < DIAL_TRIES => Some((false, HELLO_BYTES, DIAL_PERIOD)),
            _ => None,
        }
    }
}

impl Dialer {
    /// Begins a dial, or joins the one in progress. False: too many dials.
    pub fn start(&mut self, now: Instant, target: Target, op: Option<OpId>) -> bool {
        let Target { addr, source, expected, key, continues, modern } = target;
        if !self.dials.contains_key(&addr) {
            if self.dials.len() >= DIALS_MAX {
                return false;
            }
            let dial = Dial {
                source,
                expected,
                key,
                started: now,
                ops: Vec::new(),
                continues,
                modern,
                announced: false,
                probes: Vec::new(),
                hellos: 0,
                answered: false,
                refused: false,
                held: false,
            };
            self.dials.insert(addr, dial);
            self.timers.set(addr, Some(now));
        }
        if let Some(dial) = self.dials.get_mut(&addr) {
            if dial.modern && !modern && !dial.answered {
                // So far only our own kind could answer; somebody wants whoever is there.
                (dial.modern, dial.continues, dial.started) = (false, None, now);
                self.timers.set(addr, Some(now));
            }
            dial.announced |= key.is_some();
            dial.ops.extend(op);
            dial.expected = dial.expected.or(expected);
            // A key that somebody merely announced does not bind a dial that the application asked for.
            dial.key = dial.key.or(key.filter(|_| dial.ops.is_empty()));
        }
        true
    }

    /// The dial to this address.
    pub fn get(&self, addr: &SocketAddr) -> Option<&Dial> {
        self.dials.get(addr)
    }

    /// We sent a HELLO there and wait for the answer.
    pub fn awaits(&self, addr: &SocketAddr) -> bool {
        self.dials.get(addr).is_some_and(|dial| dial.hellos > 0 && !dial.answered)
    }

    /// A PROBE of ours was answered there, and QUIC decides the dial.
    pub fn is_answered(&self, addr: &SocketAddr) -> bool {
        self.dials.get(addr).is_some_and(|dial| dial.answered)
    }

    /// A peer with this id is being dialled somewhere.
    pub fn expects(&self, id: &WireId) -> bool {
        self.dials.values().any(|dial| dial.expected.as_ref() == Some(id))
    }

    /// A PROBE with this nonce left.
    pub fn probed(&mut self, addr: &SocketAddr, nonce: [u8; 16]) {
        if let Some(dial) = self.dials.get_mut(addr) {
            dial.probes.push(nonce);
        }
    }

    /// A PROBE was answered from this address: the dial it belongs to, the first time.
    pub fn answer(&mut self, addr: &SocketAddr, nonce: &[u8; 16]) -> Option<&Dial> {
        let dial = self.dials.get_mut(addr).filter(|dial| !dial.answered && dial.probes.contains(nonce))?;
        dial.answered = true;
        self.timers.set(*addr, None);
        Some(dial)
    }

    /// The peer at this address is known to be modern: no HELLO any more, PROBEs instead.
    pub fn insist(&mut self, addr: &SocketAddr, now: Instant) {
        if let Some(dial) = self.dials.get_mut(addr).filter(|dial| !dial.answered) {
            dial.modern = true;
            self.timers.set(*addr, Some(now));
        }
    }

    /// The budget of this address grew by so many datagrams: as many dials that wait for it go on.
    pub fn wake(&mut self, ip: IpAddr, datagrams: usize, now: Instant) {
        let ports = SocketAddr::new(ip, 0)..;
        let there = self.dials.range_mut(ports).take_while(|(addr, _)| addr.ip() == ip);
        for (addr, _) in there.filter(|(_, dial)| dial.held).take(datagrams) {
            self.timers.set(*addr, Some(now));
        }
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

    /// What is due now. Refusals of the budget are counted in `refused`.
    pub fn handle_timeout(&mut self, now: Instant, budget: &mut DialBudget, refused: &mut u64) -> Vec<Step> {
        let mut steps = Vec::new();
        for addr in self.timers.take_due(now) {
            let Some(dial) = self.dials.get_mut(&addr) else { continue };
            let end = dial.started + DIAL_GRACE + DIAL_PERIOD * (DIAL_TRIES + 1) + DIAL_PATIENCE;
            if now >= end {
                let (ops, sent) = (std::mem::take(&mut dial.ops), dial.sent());
                self.dials.remove(&addr);
                steps.push(Step::GivenUp { addr, ops, sent });
                continue;
            }
            dial.held = false;
            let next = match dial.next() {
                None => end,
                Some((probe, bytes, wait)) => match budget.take(addr.ip(), bytes as u32, now) {
                    Ok(()) if probe => {
                        steps.push(Step::Probe(addr, dial.key));
                        now + wait
                    }
                    Ok(()) => {
                        dial.hellos += 1;
                        steps.push(Step::Hello(addr));
                        now + wait
                    }
                    Err(later) => {
                        dial.held = true;
                        if !dial.refused {
                            dial.refused = true;
                            *refused += 1;
                        }
                        later.max(now + DIAL_PERIOD)
                    }
                },
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

    fn target(addr: SocketAddr, source: Source) -> Target {
        Target { addr, source, expected: None, key: None, continues: None, modern: false }
    }

    /// Runs a dial to its end: what was sent when, and the last step.
    fn run(dialer: &mut Dialer, start: Instant) -> (Vec<(Duration, bool)>, Step) {
        let (mut budget, mut refused, mut sent) = (DialBudget::default(), 0, Vec::new());
        loop {
            let at = dialer.poll_deadline().expect("a dial has a deadline until it ends");
            match dialer.handle_timeout(at, &mut budget, &mut refused).pop() {
                Some(Step::Probe(to, _)) => {
                    dialer.probed(&to, [sent.len() as u8; 16]);
                    sent.push((at - start, true));
                }
                Some(Step::Hello(_)) => sent.push((at - start, false)),
                Some(end) => {
                    assert_eq!(refused, 0, "the whole script fits the budget");
                    return (sent, end);
                }
                None => {}
            }
        }
    }

    #[test]
    fn a_probe_a_grace_then_hellos_and_one_more_probe_then_the_end() {
        let (mut dialer, start) = (Dialer::default(), Instant::now());
        let addr: SocketAddr = "192.0.2.1:5".parse().expect("address");
        assert!(dialer.start(start, target(addr, Source::Connect), Some(OpId(1))));
        assert!(dialer.start(start, target(addr, Source::Lan), Some(OpId(2))), "a second hint joins the dial");
        let (sent, end) = run(&mut dialer, start);
        let kinds: Vec<bool> = sent.iter().map(|(_, probe)| *probe).collect();
        assert_eq!(kinds, [true, false, false, true, false, false, false, false]);
        assert_eq!((sent[0].0, sent[1].0), (std::time::Duration::ZERO, DIAL_GRACE));
        assert_eq!(end, Step::GivenUp { addr, ops: vec![OpId(1), OpId(2)], sent: 8 });
        assert!(dialer.is_empty() && dialer.poll_deadline().is_none());
    }

    #[test]
    fn a_modern_dial_sends_no_hello() {
        let (mut dialer, start) = (Dialer::default(), Instant::now());
        let addr: SocketAddr = "192.0.2.1:5".parse().expect("address");
        assert!(dialer.start(start, Target { modern: true, ..target(addr, Source::Connect) }, None));
        let (sent, _) = run(&mut dialer, start);
        assert!(sent.len() == DIAL_PROBES as usize && sent.iter().all(|(_, probe)| *probe));
    }

    #[test]
    fn a_dial_for_our_own_kind_becomes_one_for_everybody_when_that_is_asked_for() {
        let (mut dialer, mut budget, start) = (Dialer::default(), DialBudget::default(), Instant::now());
        let addr: SocketAddr = "192.0.2.1:5".parse().expect("address");
        assert!(dialer.start(start, Target { modern: true, ..target(addr, Source::Lan) }, None));
        assert_eq!(dialer.handle_timeout(start, &mut budget, &mut 0), [Step::Probe(addr, None)]);
        dialer.probed(&addr, [1; 16]);
        assert!(dialer.start(start + DIAL_GRACE, target(addr, Source::Connect), Some(OpId(1))));
        assert_eq!(dialer.handle_timeout(start + DIAL_GRACE, &mut budget, &mut 0), [Step::Hello(addr)]);
    }

    #[test]
    fn where_a_key_was_announced_two_probes_come_before_the_first_hello() {
        let (mut dialer, start) = (Dialer::default(), Instant::now());
        let addr: SocketAddr = "192.0.2.1:5".parse().expect("address");
        assert!(dialer.start(start, Target { modern: true, key: Some([1; 32]), ..target(addr, Source::Lan) }, None));
        assert!(dialer.start(start, target(addr, Source::Lan), None), "the old beacon of the same peer");
        let (sent, end) = run(&mut dialer, start);
        let expected = [(0, true), (300, true), (600, false), (900, false), (1_200, false)];
        let expected: Vec<_> = expected.map(|(ms, probe)| (Duration::from_millis(ms), probe)).into();
        assert_eq!(sent[..5], expected);
        assert_eq!(sent.iter().filter(|(_, probe)| !probe).count(), DIAL_TRIES as usize);
        assert!(matches!(end, Step::GivenUp { sent: 8, .. }), "{end:?}");
    }

    #[test]
    fn an_answer_counts_once_and_only_with_its_nonce_from_its_address() {
        let (mut dialer, mut budget, start) = (Dialer::default(), DialBudget::default(), Instant::now());
        let addr: SocketAddr = "192.0.2.1:5".parse().expect("address");
        assert!(dialer.start(start, target(addr, Source::Connect), None));
        let steps = dialer.handle_timeout(start, &mut budget, &mut 0);
        assert_eq!(steps, [Step::Probe(addr, None)]);
        dialer.probed(&addr, [7; 16]);
        assert!(dialer.answer(&addr, &[8; 16]).is_none());
        assert!(dialer.answer(&"192.0.2.1:6".parse().expect("address"), &[7; 16]).is_none());
        assert!(dialer.answer(&addr, &[7; 16]).is_some());
        assert!(dialer.answer(&addr, &[7; 16]).is_none(), "once");
        assert!(dialer.poll_deadline().is_none(), "the connection decides now");
    }

    #[test]
    fn dials_to_one_address_share_its_budget() {
        let (mut dialer, mut budget, start) = (Dialer::default(), DialBudget::default(), Instant::now());
        for port in 1..=20 {
            dialer.start(start, target(SocketAddr::from(([192, 0, 2, 1], port)), Source::Pex), None);
        }
        let mut refused = 0;
        assert_eq!(dialer.handle_timeout(start, &mut budget, &mut refused).len(), 6);
        assert_eq!(refused, 14);
    }

    #[test]
    fn dials_that_wait_for_the_budget_of_their_address_go_on_when_somebody_there_answers() {
        let (mut dialer, mut budget, start) = (Dialer::default(), DialBudget::default(), Instant::now());
        for port in 1..=20 {
            dialer.start(start, target(SocketAddr::from(([192, 0, 2, 1], port)), Source::Pex), None);
        }
        dialer.start(start, target("192.0.2.2:1".parse().expect("address"), Source::Pex), None);
        assert_eq!(dialer.handle_timeout(start, &mut budget, &mut 0).len(), 7);
        let (now, ip) = (start + Duration::from_millis(1), IpAddr::from([192, 0, 2, 1]));
        dialer.wake(ip, budget.room(ip, now), now);
        assert_eq!(dialer.handle_timeout(now, &mut budget, &mut 0), [], "nobody there is known");
        budget.answered(ip, now);
        dialer.wake(ip, budget.room(ip, now), now);
        assert_eq!(dialer.handle_timeout(now, &mut budget, &mut 0).len(), 14);
    }

    #[test]
    fn a_cancelled_operation_takes_its_own_dial_along() {
        let (mut dialer, start) = (Dialer::default(), Instant::now());
        let (a, b) = ("192.0.2.1:5".parse().expect("address"), "192.0.2.2:5".parse().expect("address"));
        dialer.start(start, target(a, Source::Connect), Some(OpId(1)));
        dialer.start(start, target(b, Source::Lan), Some(OpId(1)));
        dialer.cancel(OpId(1));
        assert!(dialer.get(&a).is_none() && dialer.get(&b).is_some_and(|dial| dial.ops.is_empty()));
    }
}
