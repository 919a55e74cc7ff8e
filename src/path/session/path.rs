//! One address of a peer: what is known of it, and when it is to be challenged.
//!
//! In: challenges that left, answers that came. Out: proof, round-trip time, loss, and
//! the time of the next challenge for the place the address has in the connection.
//! Invariants: an answer counts once, only for a challenge sent to this very address, and
//! only for `PATH_ANSWER_WAIT`; challenges in flight are bounded; an address that does
//! not answer is asked less and less, then not at all; one that was only seen gets no
//! byte more than came from it.

use super::prober::Challenge;
use crate::config::limits::{
    PATH_ANSWER_WAIT, PATH_BACKUP_KEPT, PATH_BACKUP_TRIES, PATH_BUSY_PERIOD, PATH_CONTEST_DOUBLINGS,
    PATH_CONTEST_PERIOD, PATH_IDLE_PERIOD, PATH_IN_FLIGHT, PATH_LATE_TIMES, PATH_NAMED_TRIES, PATH_SEARCH_FAST,
    PATH_SEARCH_PERIOD, PATH_SEEN_LIFE, PATH_SEEN_TRIES, PATH_STEPS_MS,
};
use crate::wire::v13::SessionProbe;
use crate::wire::v13::probe::SESSION_PROBE_BYTES;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Challenges that the loss figure looks back on.
const LOSS_SAMPLES: u32 = 16;

/// What is known of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Proof {
    /// A datagram came from it, which anybody may have sent. It gets no more bytes than came, and is forgotten unless it
    /// answers.
    Seen,
    /// The peer or a source named it.
    Named,
    /// It answered once and does no more.
    Lapsed,
    /// It answered a challenge and may carry data.
    Confirmed,
}

/// By what an address that is not in use shows itself.
#[derive(Clone, Copy)]
pub(super) enum By {
    Probe,
    Datagram,
}

/// The place of an address in the connection, which decides how often it is challenged.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// All are asked since this time.
    Search { since: Instant, late: Duration },
    /// In use; asked regularly while its round trip is compared, otherwise only when doubted.
    Current { compared: bool, late: Duration },
    /// Not in use; of those that answer, only the warm ones are asked.
    Other { warm: bool },
}

/// A challenge that waits for its answer.
pub(super) struct InFlight {
    pub challenge: Challenge,
    pub at: Instant,
}

pub(super) struct Path {
    pub at: SocketAddr,
    pub proof: Proof,
    /// Smoothed round-trip time, and how many answers it is made of since the address was confirmed.
    pub rtt: Option<Duration>,
    pub samples: u32,
    /// Something authentic came from it; of an address not in use also a challenge, which can be an old one.
    pub heard: Instant,
    /// The last answer.
    pub answered: Option<Instant>,
    /// The first challenge since the last answer: it has been silent on probes since.
    pub asked: Option<Instant>,
    /// Challenges since then, or since it was last begun anew.
    pub unanswered: u32,
    /// When it was last weighed against the address in use because a probe, or a datagram, came from it.
    pub contested: [Option<Instant>; 2],
    /// How often probes from it contested the address in use without an end: they are the peer's care for a back-up.
    pub calm: u32,
    /// Bytes that came from it and are not spent, while it is only seen.
    credit: usize,
    /// The last challenge from it, if nobody paid for the answer yet.
    pub owed: Option<SessionProbe>,
    since: Instant,
    wanted: Option<Instant>,
    sent: Option<Instant>,
    /// What is taken off the idle period, so that the two sides do not ask at the same time.
    early: Duration,
    in_flight: VecDeque<InFlight>,
    /// Answered (1) and lost (0) challenges, newest lowest.
    history: u32,
    recorded: u32,
}

impl Path {
    pub fn new(at: SocketAddr, proof: Proof, now: Instant) -> Path {
        Path {
            at,
            proof,
            rtt: None,
            samples: 0,
            heard: now,
            answered: None,
            asked: None,
            unanswered: 0,
            contested: [None; 2],
            calm: 0,
            credit: 0,
            owed: None,
            since: now,
            wanted: None,
            sent: None,
            early: Duration::ZERO,
            in_flight: VecDeque::new(),
            history: 0,
            recorded: 0,
        }
    }

    pub fn is_confirmed(&self) -> bool {
        self.proof == Proof::Confirmed
    }

    /// Something came from it: whether the address in use, which last answered then, is to be weighed against it now. A
    /// probe is answered by one of ours, which may come late enough to be a reason for the peer's next: so while the
    /// address in use lives, the wait for another one doubles.
    pub fn contests(&mut self, by: By, answered: Option<Instant>, now: Instant) -> bool {
        let wait = match by {
            By::Probe => PATH_CONTEST_PERIOD * (1 << self.calm),
            By::Datagram => PATH_CONTEST_PERIOD,
        };
        let last = &mut self.contested[by as usize];
        let (before, since) = (*last, last.map(|at| now.saturating_duration_since(at)));
        if since.is_some_and(|since| since < wait) {
            return false;
        }
        *last = Some(now);
        if let By::Probe = by {
            let goes_on = since.is_some_and(|since| since < wait * 2) && answered > before;
            self.calm = if goes_on { (self.calm + 1).min(PATH_CONTEST_DOUBLINGS) } else { 0 };
        }
        true
    }

    /// Bytes came from it.
    pub fn earn(&mut self, bytes: usize) {
        self.credit = self.credit.saturating_add(bytes);
    }

    /// Whether so many probes may go there, by what came from it: only an address that is merely seen needs that.
    pub fn affords(&self, probes: usize) -> bool {
        self.proof != Proof::Seen || self.credit >= probes * SESSION_PROBE_BYTES
    }

    /// A probe goes there.
    pub fn spend(&mut self) {
        self.credit = self.credit.saturating_sub(SESSION_PROBE_BYTES);
    }

    /// Lost share of the last challenges, in thousandths.
    pub fn loss_permille(&self) -> u32 {
        let answered = self.history.count_ones();
        self.recorded.saturating_sub(answered).saturating_mul(1_000).checked_div(self.recorded).unwrap_or(0)
    }

    /// A challenge should leave as soon as it may: at once, or a step after the last one.
    pub fn want(&mut self, now: Instant) {
        let soonest = self.sent.map_or(now, |sent| (sent + step(0)).max(now));
        self.wanted = Some(self.wanted.map_or(soonest, |wanted| wanted.min(soonest)));
    }

    /// The same, with all its tries.
    pub fn want_anew(&mut self, now: Instant) {
        (self.unanswered, self.asked) = (0, None);
        self.want(now);
    }

    /// No challenge may leave before this time.
    pub fn put_off(&mut self, until: Instant) {
        self.wanted = Some(until);
    }

    /// A challenge left.
    pub fn challenged(&mut self, challenge: Challenge, now: Instant) {
        self.expire(now);
        if self.in_flight.len() >= PATH_IN_FLIGHT {
            self.in_flight.pop_front();
            self.record(false);
        }
        let [chance, ..] = challenge.nonce;
        self.early = PATH_IDLE_PERIOD * u32::from(chance) / 1_024;
        self.spend();
        self.in_flight.push_back(InFlight { challenge, at: now });
        (self.sent, self.wanted) = (Some(now), None);
        self.asked.get_or_insert(now);
        self.unanswered = self.unanswered.saturating_add(1);
    }

    /// An answer came from here; the challenge it answers, if that waits for it.
    pub fn answer(&mut self, answer: &SessionProbe, now: Instant) -> Option<InFlight> {
        self.expire(now);
        let place = self
            .in_flight
            .iter()
            .position(|sent| sent.challenge.nonce == answer.nonce && sent.challenge.number == answer.number)?;
        let answered = self.in_flight.remove(place)?;
        let sample = now.saturating_duration_since(answered.at);
        self.rtt = Some(match self.rtt {
            None => sample,
            Some(rtt) => rtt.saturating_mul(7).saturating_add(sample) / 8,
        });
        self.record(true);
        self.samples = self.samples.saturating_add(1);
        self.proof = Proof::Confirmed;
        (self.answered, self.heard) = (Some(now), now);
        (self.asked, self.unanswered) = (None, 0);
        Some(answered)
    }

    /// Data comes back after this time. An answer may have been late, as the first one of an address that just came up;
    /// then it would be taken for slow, and silence on it for nothing unusual, as long as nobody asks.
    pub fn fits_in(&mut self, rtt: Duration) {
        self.rtt = self.rtt.map(|own| own.min(own.saturating_mul(7).saturating_add(rtt) / 8));
    }

    /// Nothing is going on: it is asked when something happens.
    pub fn is_quiet(&self) -> bool {
        self.wanted.is_none() && (self.unanswered == 0 || self.unanswered >= PATH_NAMED_TRIES)
    }

    /// It answered, now or earlier: what goes there needs nobody's leave.
    pub fn has_answered(&self) -> bool {
        self.proof >= Proof::Lapsed
    }

    /// What was asked so far does not count.
    pub fn forget_challenges(&mut self) {
        (self.wanted, self.asked, self.unanswered) = (None, None, 0);
    }

    /// It stopped answering; asked once more now and then, if at all.
    pub fn lapse(&mut self) {
        self.proof = Proof::Lapsed;
        self.samples = 0;
        self.unanswered = PATH_NAMED_TRIES;
    }

    /// It was left for another: what it does not answer from now on counts.
    pub fn left(&mut self, now: Instant) {
        if self.asked.is_some() {
            (self.asked, self.unanswered) = (Some(now), 1);
        }
    }

    /// A back-up that has not answered for too long.
    pub fn is_lost(&self, now: Instant) -> bool {
        let asked = self.asked.is_some_and(|asked| now.saturating_duration_since(asked) >= PATH_BACKUP_KEPT);
        self.is_confirmed() && self.unanswered >= PATH_BACKUP_TRIES && asked
    }

    /// Only seen, and it does not answer, or sends too little to be asked.
    pub fn is_stranger(&self, now: Instant) -> bool {
        let over = self.sent.is_some_and(|sent| now >= sent + step(self.unanswered.saturating_sub(1)));
        let silent = self.unanswered >= PATH_SEEN_TRIES && over && self.wanted.is_none();
        self.proof == Proof::Seen && (silent || !self.affords(1) && now >= self.heard + PATH_SEEN_LIFE)
    }

    /// When the next challenge leaves, or the address is forgotten. `active`: when the connection last moved something.
    pub fn due(&self, place: Place, active: Instant) -> Option<Instant> {
        if !self.affords(1) {
            return Some(self.heard + PATH_SEEN_LIFE);
        }
        if self.wanted.is_some() {
            return self.wanted;
        }
        let sent = self.sent.unwrap_or(self.since);
        let retry = Some(sent + step(self.unanswered.saturating_sub(1)));
        let busy = |period: Duration| Some(sent + period).filter(|at| *at <= active + PATH_BUSY_PERIOD);
        match (place, self.proof) {
            (Place::Search { since, late }, _) if sent.saturating_duration_since(since) < PATH_SEARCH_FAST => {
                retry.map(|at| at + late * PATH_LATE_TIMES)
            }
            (Place::Search { .. }, _) => Some(sent + PATH_SEARCH_PERIOD),
            // One that is merely slow is not in doubt.
            (Place::Current { late, .. }, _) if self.unanswered > 0 => {
                Some(sent + step(0).max(self.rtt.unwrap_or_default().saturating_mul(3) / 2) + late * PATH_LATE_TIMES)
            }
            (Place::Current { compared, .. }, _) => busy(PATH_BUSY_PERIOD).filter(|_| compared),
            (_, Proof::Confirmed) if self.unanswered > 0 => Some(sent + PATH_BACKUP_KEPT / PATH_BACKUP_TRIES),
            (Place::Other { warm: true }, Proof::Confirmed) => {
                // Mappings live by what passes; of two sides that ask each other, the later one need not.
                busy(PATH_BUSY_PERIOD).or(Some(sent.max(self.heard) + PATH_IDLE_PERIOD - self.early))
            }
            (_, Proof::Confirmed) => None,
            (_, Proof::Seen) => retry,
            (_, Proof::Named | Proof::Lapsed) if self.unanswered < PATH_NAMED_TRIES => retry,
            (_, Proof::Lapsed) => busy(PATH_IDLE_PERIOD),
            (_, Proof::Named) => None,
        }
    }

    fn expire(&mut self, now: Instant) {
        while self.in_flight.front().is_some_and(|sent| now.saturating_duration_since(sent.at) >= PATH_ANSWER_WAIT) {
            self.in_flight.pop_front();
            self.record(false);
        }
    }

    fn record(&mut self, answered: bool) {
        self.history = (self.history << 1 | u32::from(answered)) & ((1 << LOSS_SAMPLES) - 1);
        self.recorded = (self.recorded + 1).min(LOSS_SAMPLES);
    }
}

/// The wait after so many unanswered challenges.
fn step(unanswered: u32) -> Duration {
    let last = PATH_STEPS_MS[PATH_STEPS_MS.len() - 1];
    Duration::from_millis(PATH_STEPS_MS.get(unanswered as usize).copied().unwrap_or(last))
}
