//! The addresses of one connected peer, measured, at most four.
//!
//! An address is a candidate until it answers us, and confirmed when an authentic
//! frame came from it. Data goes to a confirmed address while one is alive, else to
//! the first known one that answers: an attacker who names himself in a HELLO or PING
//! gets probes, no larger than what he sent, and never the data, however fast he answers.

use crate::config::limits::{ADDR_PROBE_PERIOD, ADDRS_PER_PEER, UNCONFIRMED_CREDIT_BYTES, V12_PING_PERIOD};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// PINGs in a row without an answer after which an address counts as dead.
const DEAD_AFTER: u32 = 3;
/// PINGs that the loss figure looks back on.
const LOSS_SAMPLES: u32 = 16;

/// What is known of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// Somebody named it.
    Candidate,
    /// It answered a HELLO or PING of ours.
    Answered,
    /// An authentic frame came from it.
    Confirmed,
}

#[derive(Clone, Debug)]
struct Addr {
    at: SocketAddr,
    proof: Proof,
    rtt: Option<Duration>,
    heard: Instant,
    /// When the PING that waits for an answer left.
    pinged: Option<Instant>,
    missed: u32,
    next_ping: Instant,
    /// Bytes a candidate sent us and may have back.
    credit: usize,
}

/// A PING that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuePing {
    pub to: SocketAddr,
    /// The address proved itself; else the dial budget has to allow the PING.
    pub proven: bool,
}

/// The addresses of one peer.
#[derive(Clone, Debug)]
pub struct Addrs {
    list: Vec<Addr>,
    current: usize,
    /// Answered (1) and unanswered (0) PINGs to the address in use, newest lowest.
    history: u32,
    samples: u32,
}

impl Addrs {
    /// The address a peer answered from; it is pinged at once.
    pub fn new(at: SocketAddr, proof: Proof, now: Instant) -> Addrs {
        Addrs { list: vec![Addr::new(at, proof, now)], current: 0, history: 0, samples: 0 }
    }

    /// Where data goes.
    pub fn current(&self) -> SocketAddr {
        self.list[self.current].at
    }

    /// Whether this is one of the peer's addresses.
    pub fn contains(&self, at: &SocketAddr) -> bool {
        self.list.iter().any(|addr| addr.at == *at)
    }

    /// All, the one in use first.
    pub fn all(&self) -> Vec<SocketAddr> {
        let mut all = vec![self.current()];
        all.extend(self.list.iter().map(|addr| addr.at).filter(|at| *at != self.current()));
        all
    }

    /// Addresses that answered at least once.
    pub fn proven(&self) -> Vec<SocketAddr> {
        self.list.iter().filter(|addr| addr.proof > Proof::Candidate).map(|addr| addr.at).collect()
    }

    pub fn proof(&self, at: &SocketAddr) -> Option<Proof> {
        self.list.iter().find(|addr| addr.at == *at).map(|addr| addr.proof)
    }

    /// Smoothed round-trip time of the address in use.
    pub fn rtt(&self) -> Option<Duration> {
        self.list[self.current].rtt
    }

    /// Unanswered share of the last PINGs to the address in use, in thousandths.
    pub fn loss_permille(&self) -> u32 {
        if self.samples == 0 {
            return 0;
        }
        let answered = (self.history & ((1 << self.samples) - 1)).count_ones();
        (self.samples - answered) * 1_000 / self.samples
    }

    /// Unanswered PINGs in a row to the address in use.
    pub fn missed(&self) -> u32 {
        self.list[self.current].missed
    }

    /// Takes in an address that somebody named; returns one that had to go for it.
    pub fn add(&mut self, at: SocketAddr, proof: Proof, now: Instant) -> Option<SocketAddr> {
        if self.contains(&at) {
            return None;
        }
        let mut gone = None;
        if self.list.len() >= ADDRS_PER_PEER {
            let worst = (0..self.list.len())
                .filter(|i| *i != self.current)
                .min_by_key(|i| (self.list[*i].proof, self.list[*i].heard))?;
            if self.list[worst].proof > proof && self.list[worst].missed < DEAD_AFTER {
                return Some(at);
            }
            gone = Some(self.list.remove(worst).at);
            if worst < self.current {
                self.current -= 1;
            }
        }
        self.list.push(Addr::new(at, proof, now));
        gone
    }

    /// Gives up an address that turned out to be another peer's. Not the one in use.
    pub fn remove(&mut self, at: &SocketAddr) {
        if let Some(i) = self.list.iter().position(|addr| addr.at == *at).filter(|i| *i != self.current) {
            self.list.remove(i);
            self.current -= usize::from(i < self.current);
        }
    }

    /// A datagram of `bytes` came from this address.
    pub fn heard(&mut self, at: &SocketAddr, bytes: usize, now: Instant) {
        if let Some(addr) = self.get(at) {
            addr.heard = now;
            addr.credit = addr.credit.saturating_add(bytes).min(UNCONFIRMED_CREDIT_BYTES);
        }
    }

    /// Takes the right to send an answer of `bytes` there: to a proven address always.
    pub fn may_answer(&mut self, at: &SocketAddr, bytes: usize) -> bool {
        match self.get(at) {
            Some(addr) if addr.proof > Proof::Candidate => true,
            Some(addr) if addr.credit >= bytes => {
                addr.credit -= bytes;
                true
            }
            _ => false,
        }
    }

    /// The address answered a HELLO of ours.
    pub fn answered(&mut self, at: &SocketAddr, now: Instant) {
        if let Some(addr) = self.get(at) {
            addr.heard = now;
            addr.missed = 0;
            addr.proof = addr.proof.max(Proof::Answered);
        }
        self.choose();
    }

    /// A PONG came; the round-trip time, if it answers a PING of ours.
    pub fn pong(&mut self, at: &SocketAddr, now: Instant) -> Option<Duration> {
        let current = self.current();
        let addr = self.get(at)?;
        addr.heard = now;
        let sent = addr.pinged.take()?;
        let sample = now.saturating_duration_since(sent);
        addr.missed = 0;
        addr.rtt = Some(match addr.rtt {
            None => sample,
            Some(rtt) => rtt.saturating_mul(7).saturating_add(sample) / 8,
        });
        addr.proof = addr.proof.max(Proof::Answered);
        if *at == current {
            self.sample(true);
        }
        self.choose();
        Some(sample)
    }

    /// An authentic frame came from this address.
    pub fn confirm(&mut self, at: &SocketAddr, now: Instant) {
        if let Some(addr) = self.get(at) {
            addr.heard = now;
            addr.proof = Proof::Confirmed;
        }
        self.choose();
    }

    /// A PING to this address should leave as soon as it may.
    pub fn ping_soon(&mut self, at: &SocketAddr, now: Instant) {
        if let Some(addr) = self.get(at)
            && addr.pinged.is_none()
        {
            addr.next_ping = now;
        }
    }

    /// Addresses to ping now. Each is asked about once and then counts as asked.
    pub fn due_pings(&mut self, now: Instant) -> Vec<DuePing> {
        let current = self.current;
        let mut due = Vec::new();
        let mut missed_current = false;
        for (i, addr) in self.list.iter_mut().enumerate() {
            if addr.next_ping > now {
                continue;
            }
            if addr.pinged.take().is_some() {
                addr.missed = addr.missed.saturating_add(1);
                missed_current |= i == current;
            }
            addr.next_ping = now + if i == current { V12_PING_PERIOD } else { ADDR_PROBE_PERIOD };
            due.push(DuePing { to: addr.at, proven: addr.proof > Proof::Candidate });
        }
        if missed_current {
            self.sample(false);
        }
        self.choose();
        due
    }

    /// The PING left.
    pub fn pinged(&mut self, at: &SocketAddr, now: Instant) {
        if let Some(addr) = self.get(at) {
            addr.pinged = Some(now);
        }
    }

    pub fn next_ping(&self) -> Option<Instant> {
        self.list.iter().map(|addr| addr.next_ping).min()
    }

    /// The best live address by proof, then by time; a small gain does not switch. An answer proves
    /// nobody's identity: among addresses that only answered, the first known one is the best.
    fn choose(&mut self) {
        let rank = |addr: &Addr| {
            let alive = addr.missed < DEAD_AFTER && addr.proof > Proof::Candidate;
            let time = if addr.proof == Proof::Confirmed { addr.rtt.unwrap_or(Duration::MAX) } else { Duration::ZERO };
            (!alive, std::cmp::Reverse(addr.proof), time)
        };
        let Some(best) = (0..self.list.len()).min_by_key(|i| rank(&self.list[*i])) else { return };
        let (old, new) = (&self.list[self.current], &self.list[best]);
        let same_class = (rank(old).0, rank(old).1) == (rank(new).0, rank(new).1) && old.proof == Proof::Confirmed;
        let gain = match (old.rtt, new.rtt) {
            (Some(old), Some(new)) => new + Duration::from_millis(5) < old * 3 / 4,
            _ => false,
        };
        if best != self.current && (!same_class || gain) {
            self.current = best;
            (self.history, self.samples) = (0, 0);
        }
    }

    fn sample(&mut self, answered: bool) {
        self.history = self.history << 1 | u32::from(answered);
        self.samples = (self.samples + 1).min(LOSS_SAMPLES);
    }

    fn get(&mut self, at: &SocketAddr) -> Option<&mut Addr> {
        self.list.iter_mut().find(|addr| addr.at == *at)
    }
}

impl Addr {
    fn new(at: SocketAddr, proof: Proof, now: Instant) -> Addr {
        Addr { at, proof, rtt: None, heard: now, pinged: None, missed: 0, next_ping: now, credit: 0 }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;

    fn at(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 5))
    }

    fn ping_all(addrs: &mut Addrs, now: Instant) -> Vec<SocketAddr> {
        let due = addrs.due_pings(now);
        for ping in &due {
            addrs.pinged(&ping.to, now);
        }
        due.into_iter().map(|ping| ping.to).collect()
    }

    #[test]
    fn a_named_address_gets_no_data_before_it_answers_and_none_over_a_confirmed_one() {
        let start = Instant::now();
        let mut addrs = Addrs::new(at(1), Proof::Answered, start);
        addrs.confirm(&at(1), start);
        addrs.add(at(2), Proof::Candidate, start);
        assert_eq!(ping_all(&mut addrs, start), [at(1), at(2)]);
        addrs.pong(&at(1), start + Duration::from_millis(80));
        addrs.pong(&at(2), start + Duration::from_millis(1));
        assert_eq!(addrs.current(), at(1), "it answers fast, but proved nothing");
        addrs.confirm(&at(2), start);
        assert_eq!(addrs.current(), at(2));
    }

    #[test]
    fn a_dead_address_yields_to_one_that_answers() {
        let start = Instant::now();
        let mut addrs = Addrs::new(at(1), Proof::Confirmed, start);
        let mut now = start;
        for _ in 0..4 {
            ping_all(&mut addrs, now);
            now += V12_PING_PERIOD;
        }
        addrs.add(at(2), Proof::Candidate, now);
        assert_eq!(addrs.current(), at(1));
        addrs.answered(&at(2), now);
        assert_eq!(addrs.current(), at(2));
        assert_eq!(addrs.loss_permille(), 0, "the figure is of the address in use");
    }

    #[test]
    fn who_only_answers_faster_does_not_take_over() {
        let start = Instant::now();
        let mut addrs = Addrs::new(at(1), Proof::Answered, start);
        addrs.add(at(2), Proof::Candidate, start);
        let mut now = start;
        for _ in 0..3 {
            ping_all(&mut addrs, now);
            addrs.pong(&at(2), now + Duration::from_millis(1));
            addrs.pong(&at(1), now + Duration::from_millis(90));
            assert_eq!(addrs.current(), at(1));
            now += ADDR_PROBE_PERIOD;
        }
        for _ in 0..4 {
            ping_all(&mut addrs, now);
            addrs.pong(&at(2), now + Duration::from_millis(1));
            now += ADDR_PROBE_PERIOD;
        }
        assert_eq!(addrs.current(), at(2), "the first is dead");
        ping_all(&mut addrs, now);
        addrs.pong(&at(1), now + Duration::from_millis(90));
        assert_eq!(addrs.current(), at(1), "and is back");
    }

    #[test]
    fn an_address_of_another_peer_is_given_up_but_not_the_one_in_use() {
        let start = Instant::now();
        let mut addrs = Addrs::new(at(1), Proof::Answered, start);
        addrs.add(at(2), Proof::Candidate, start);
        addrs.confirm(&at(2), start);
        addrs.remove(&at(1));
        addrs.remove(&at(2));
        assert_eq!(addrs.all(), [at(2)]);
    }

    #[test]
    fn answers_to_a_candidate_never_exceed_what_it_sent() {
        let start = Instant::now();
        let mut addrs = Addrs::new(at(1), Proof::Confirmed, start);
        addrs.add(at(2), Proof::Candidate, start);
        assert!(!addrs.may_answer(&at(2), 29));
        addrs.heard(&at(2), 41, start);
        assert!(addrs.may_answer(&at(2), 29));
        assert!(!addrs.may_answer(&at(2), 29));
    }

    #[test]
    fn four_addresses_at_most_and_the_one_in_use_stays() {
        let start = Instant::now();
        let mut addrs = Addrs::new(at(1), Proof::Confirmed, start);
        let gone: Vec<_> =
            (2..=9).filter_map(|n| addrs.add(at(n), Proof::Candidate, start + Duration::from_secs(n.into()))).collect();
        assert_eq!(addrs.all(), [at(1), at(7), at(8), at(9)]);
        assert_eq!(gone, [at(2), at(3), at(4), at(5), at(6)]);
    }

    #[test]
    fn loss_is_the_share_of_unanswered_pings() {
        let start = Instant::now();
        let mut addrs = Addrs::new(at(1), Proof::Answered, start);
        let mut now = start;
        for n in 0..8 {
            ping_all(&mut addrs, now);
            if n % 4 != 0 {
                addrs.pong(&at(1), now + Duration::from_millis(1));
            }
            now += V12_PING_PERIOD;
        }
        assert_eq!(addrs.loss_permille(), 250);
    }
}
