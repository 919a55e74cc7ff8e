//! The paths of one modern session, chosen below QUIC, which knows one address for its whole life.
//!
//! In: addresses that were named, datagrams and session probes with where they came from,
//! what QUIC says of progress, changes of our own addresses, the time. Out: the address that
//! data goes to, probes to send, [`PathEvent`]s, the next deadline. Invariants: data goes only to an address
//! that answered a fresh challenge of ours (the handshake counts as one); what can be copied, forged or sent
//! again causes challenges, bounded, and never moves data; an address from which something merely came gets no more bytes
//! than came from it; challenges to addresses that never answered pass the dial budget; memory is bounded.
//!
//! The connection is *doubted* when what it sends is not acknowledged, when our addresses change, or when the address in use does
//! not answer. Then all addresses are asked until one answers (a *search*). A datagram from an address that is not in use
//! only *contests* it: both are asked, and the one in use stays if it answers.

mod path;
mod prober;
mod select;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use crate::bucket::Bucket;
use crate::config::limits::{
    ADDRS_TOLD, PATH_ADDRS, PATH_ANSWERS_BURST, PATH_ANSWERS_PER_SECOND, PATH_BETTER_PERIOD, PATH_BUSY_PERIOD,
    PATH_BUSY_SIGNS, PATH_KEPT, PATH_LATE_LEAST, PATH_LATE_MAX, PATH_LATE_TIMES, PATH_NAMED_BURST,
    PATH_NAMED_PER_SECOND, PATH_RUN, PATH_SEARCH_LIFE, PATH_SEARCH_PERIOD, PATH_SEEN, PATH_SEEN_PER_SECOND,
    PATH_SILENCE_DOUBLINGS, PATH_WARM, WHOLE_DATAGRAM_BYTES,
};
use crate::crypto::path::PathKeys;
use crate::path::budget::DialBudget;
use crate::path::is_dialable;
use crate::timers::earlier;
use crate::wire::v13::probe::SESSION_PROBE_BYTES;
use crate::wire::v13::{SessionProbe, Step};
use path::{By, Path, Place, Proof};
use prober::Prober;
use rand_chacha::ChaCha20Rng;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// As often `handle_timeout` looks whether what it did made something else due.
const PASSES: usize = 4;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathEvent {
    /// Data goes elsewhere from now on. QUIC should send a PING, and is told nothing more.
    Switched { from: SocketAddr, to: SocketAddr },
    /// An address answered for the first time, or again: the dial budget may know.
    Confirmed(SocketAddr),
    /// An address does not answer any more.
    Lapsed(SocketAddr),
    /// Probes of the peer may come under this tag from now on.
    TagAdded([u8; 8]),
    /// Probes under this tag are not of this connection any more.
    TagGone([u8; 8]),
}

/// What calls leave behind.
#[derive(Debug, Default)]
pub struct PathOut {
    /// For the main socket: probes, and after a switch what left last on the old path.
    pub datagrams: Vec<(SocketAddr, Vec<u8>)>,
    pub events: Vec<PathEvent>,
}

/// What is known of one address of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathInfo {
    pub address: SocketAddr,
    pub confirmed: bool,
    /// Smoothed, of probes; the one in use may have none, QUIC measures it.
    pub rtt: Option<Duration>,
    /// Lost share of the last 16 challenges, 0 to 1,000 thousandths.
    pub loss_permille: u32,
}

/// All paths of one connection.
pub struct Paths {
    prober: Prober,
    label: SocketAddr,
    current: Path,
    others: Vec<Path>,
    /// The last datagram came from the address in use.
    here: bool,
    /// What QUIC measures.
    rtt: Option<Duration>,
    /// Since when something waits to be acknowledged.
    waiting: Option<Instant>,
    /// The last datagrams that left while that was in doubt, newest last.
    kept: VecDeque<Vec<u8>>,
    /// When data last moved, and not only a few packets; signs of progress since then, in the present `PATH_BUSY_PERIOD`.
    active: Instant,
    counted: Instant,
    signs: u32,
    /// Signs of progress in a row without a silence between them.
    run: u32,
    /// All addresses are asked since then.
    search: Option<Instant>,
    /// Answers of the address in use while QUIC waited in vain: its silence has another reason.
    fruitless: u32,
    /// How much later than we asked for we were called, less what was forgotten until then.
    late: Duration,
    called: Instant,
    /// The last switch to a faster address.
    bettered: Option<Instant>,
    /// Rates of answers, and of addresses taken in.
    answers: Bucket,
    seen: Bucket,
    named: Bucket,
}

impl Paths {
    /// `first` is where the handshake took place: it is confirmed, and the address QUIC knows.
    pub fn new(keys: PathKeys, first: SocketAddr, now: Instant) -> Paths {
        Paths {
            prober: Prober::new(keys),
            label: first,
            current: Path::new(first, Proof::Confirmed, now),
            others: Vec::new(),
            here: true,
            rtt: None,
            waiting: None,
            kept: VecDeque::new(),
            active: now,
            counted: now,
            signs: 0,
            run: 0,
            search: None,
            fruitless: 0,
            late: Duration::ZERO,
            called: now,
            bettered: None,
            answers: Bucket::new(PATH_ANSWERS_BURST, PATH_ANSWERS_PER_SECOND, now),
            seen: Bucket::new(1, PATH_SEEN_PER_SECOND, now),
            named: Bucket::new(PATH_NAMED_BURST, PATH_NAMED_PER_SECOND, now),
        }
    }

    /// The address that QUIC knows.
    pub fn label(&self) -> SocketAddr {
        self.label
    }

    /// Where data goes.
    pub fn current(&self) -> SocketAddr {
        self.current.at
    }

    /// Addresses that answer, the one in use first.
    pub fn confirmed(&self) -> Vec<SocketAddr> {
        self.all().filter(|path| path.is_confirmed()).map(|path| path.at).collect()
    }

    /// All addresses, the one in use first.
    pub fn info(&self) -> Vec<PathInfo> {
        let info = |path: &Path| PathInfo {
            address: path.at,
            confirmed: path.is_confirmed(),
            rtt: path.rtt,
            loss_permille: path.loss_permille(),
        };
        self.all().map(info).collect()
    }

    /// The tags under which probes of the peer may come now; events tell how they change.
    pub fn tags(&self) -> Vec<[u8; 8]> {
        self.prober.tags()
    }

    /// The peer named addresses of its own, or a source did. They are asked at once.
    pub fn add_candidates(&mut self, addrs: &[SocketAddr], now: Instant) {
        self.called(now);
        for addr in addrs.iter().take(ADDRS_TOLD) {
            let known = self.others.iter_mut().find(|path| path.at == *addr);
            if let Some(path) = known {
                path.proof = path.proof.max(Proof::Named);
                if !path.is_confirmed() && path.is_quiet() && self.named.take(1, now) {
                    path.want_anew(now);
                }
            } else if *addr != self.current.at && is_dialable(addr) && self.named.take(1, now) {
                self.insert(*addr, Proof::Named, now);
            }
        }
        self.trim();
    }

    /// A QUIC datagram with a connection id of ours came from there; anybody may have sent it.
    pub fn datagram_from(&mut self, addr: SocketAddr, bytes: usize, now: Instant) {
        self.called(now);
        self.here = addr == self.current.at;
        self.contest(addr, By::Datagram, bytes, now);
    }

    /// QUIC took in a packet that is authentic; the last `datagram_from` told where from. What comes from elsewhere says
    /// nothing of the address in use, and only what is acknowledged says that we are heard there. `rtt` is the present estimate.
    pub fn progress(&mut self, rtt: Duration, acknowledged: bool, now: Instant) {
        self.called(now);
        if self.here {
            let went_on = now.saturating_duration_since(self.current.heard) < self.silence();
            self.run = if went_on { self.run.saturating_add(1) } else { 1 };
            self.current.heard = now;
            self.current.fits_in(rtt);
            if acknowledged {
                self.kept.clear();
                (self.waiting, self.fruitless) = (None, 0);
            }
        }
        self.rtt = Some(rtt);
        if now.saturating_duration_since(self.counted) >= PATH_BUSY_PERIOD {
            (self.counted, self.signs) = (now, 0);
        }
        self.signs = self.signs.saturating_add(1);
        if self.signs >= PATH_BUSY_SIGNS {
            self.active = now;
        }
    }

    /// A datagram left that the peer has to acknowledge: from now on silence means something. Of several that leave at
    /// one time, the first will do.
    pub fn sending(&mut self, datagram: &[u8], now: Instant) {
        self.called(now);
        let since = *self.waiting.get_or_insert(now);
        let doubted = self.current.asked.is_some() || now.saturating_duration_since(since) >= self.silence() / 2;
        if doubted && datagram.len() <= WHOLE_DATAGRAM_BYTES {
            self.kept.push_back(datagram.to_vec());
            if self.kept.len() > PATH_KEPT {
                self.kept.pop_front();
            }
        }
    }

    /// Our interfaces or their addresses changed. All addresses are asked at once, from wherever we are now.
    pub fn local_changed(&mut self, now: Instant) {
        self.called(now);
        self.prober.moved();
        self.begin_search(now);
    }

    /// A session probe under one of our tags. False: it is not authentic.
    pub fn handle_probe(&mut self, from: SocketAddr, probe: &SessionProbe, now: Instant, out: &mut PathOut) -> bool {
        if !self.prober.check(probe, &mut out.events) {
            return false;
        }
        self.called(now);
        match probe.step {
            // A recorded challenge can be sent again at any rate, from anywhere.
            Step::Challenge if !self.answers.take(1, now) => {}
            Step::Challenge => {
                self.contest(from, By::Probe, SESSION_PROBE_BYTES, now);
                match self.others.iter_mut().find(|path| path.at == from) {
                    // One probe came, one may go: ours, which proves the address. Who is behind it answers, and then gets his answer.
                    Some(path) if !path.affords(2) => path.owed = Some(*probe),
                    path => {
                        path.into_iter().for_each(Path::spend);
                        out.datagrams.push((from, self.prober.answer(probe).to_vec()));
                    }
                }
            }
            Step::Answer => self.handle_answer(from, probe, now, out),
        }
        true
    }

    /// When `handle_timeout` has something to do. Any other call may move it.
    pub fn poll_deadline(&self) -> Option<Instant> {
        let doubt = match self.search {
            None => earlier(earlier(self.doubt_at(), self.silent_at()), self.quiet_at()),
            Some(since) => Some(since + PATH_SEARCH_LIFE).filter(|_| self.waiting.is_none()),
        };
        let next = earlier(doubt, select::leave_at(&self.current, &self.others, self.rtt, self.silent_at()));
        let next = earlier(next, self.current.due(self.place(&self.current), self.active));
        self.others.iter().fold(next, |next, path| earlier(next, path.due(self.place(path), self.active)))
    }

    /// Does what is due. `budget` bounds what goes to addresses that never answered.
    pub fn handle_timeout(&mut self, now: Instant, budget: &mut DialBudget, rng: &mut ChaCha20Rng, out: &mut PathOut) {
        self.called(now);
        // One thing may make another due: a back-up that lapses, or is used, gives its place to the next.
        for _ in 0..PASSES {
            self.act(now, budget, rng, out);
            if self.poll_deadline().is_none_or(|at| at > now) {
                return;
            }
        }
    }

    fn act(&mut self, now: Instant, budget: &mut DialBudget, rng: &mut ChaCha20Rng, out: &mut PathOut) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        match self.search {
            None => {
                let missed =
                    self.current.unanswered > 0 && is_due(self.current.due(self.place(&self.current), self.active));
                if missed || is_due(self.silent_at()) {
                    self.begin_search(now);
                } else if is_due(earlier(self.doubt_at(), self.quiet_at())) {
                    self.run = 0;
                    self.current.want(now);
                }
            }
            Some(since) if self.waiting.is_none() && now >= since + PATH_SEARCH_LIFE => {
                (self.search, self.run) = (None, 0);
                self.current.forget_challenges();
            }
            Some(_) => {}
        }
        self.others.retain(|path| !path.is_stranger(now));
        for path in self.others.iter_mut().filter(|path| path.is_lost(now)) {
            path.lapse();
            out.events.push(PathEvent::Lapsed(path.at));
        }
        self.choose(now, out);
        if is_due(self.current.due(self.place(&self.current), self.active)) {
            challenge(&mut self.current, &mut self.prober, now, rng, out);
        }
        let due: Vec<bool> = self.others.iter().map(|path| is_due(path.due(self.place(path), self.active))).collect();
        for (path, _) in self.others.iter_mut().zip(due).filter(|(_, due)| *due) {
            let allowed =
                if path.has_answered() { Ok(()) } else { budget.take(path.at.ip(), SESSION_PROBE_BYTES as u32, now) };
            match allowed {
                Ok(()) => challenge(path, &mut self.prober, now, rng, out),
                Err(later) => path.put_off(later.max(now + PATH_SEARCH_PERIOD)),
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.current).chain(&self.others)
    }

    /// The place of one of our paths now.
    fn place(&self, path: &Path) -> Place {
        let rank = |path: &Path| (path.rtt.unwrap_or(Duration::MAX), path.at);
        let backups = || self.others.iter().filter(|path| path.is_confirmed());
        match self.search {
            Some(since) => Place::Search { since, late: self.late },
            None if path.at == self.current.at => {
                Place::Current { compared: backups().next().is_some(), late: self.late }
            }
            None => Place::Other { warm: backups().filter(|other| rank(other) < rank(path)).count() < PATH_WARM },
        }
    }

    /// Notices how late things are done: what was due should have been a call. What became due by a call, for a time before
    /// it, was not done late.
    fn called(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.called);
        let due = if since >= PATH_LATE_LEAST { self.poll_deadline() } else { None };
        let late = due.map_or(Duration::ZERO, |at| now.saturating_duration_since(at.max(self.called)));
        self.late = self.late.saturating_sub(since / PATH_LATE_TIMES).max(late).min(PATH_LATE_MAX);
        self.called = now;
    }

    fn silence(&self) -> Duration {
        select::silence(&self.current, self.rtt) + self.late * PATH_LATE_TIMES
    }

    /// From when on the connection counts as silent.
    fn silent_at(&self) -> Option<Instant> {
        let silence = self.silence().saturating_mul(1 << self.fruitless);
        self.waiting.map(|waiting| waiting + silence)
    }

    /// When to ask the address in use: a little before that, so that its time is over when others answer.
    fn doubt_at(&self) -> Option<Instant> {
        let early = self.silence().saturating_mul(1 << self.fruitless) / 3;
        self.silent_at().filter(|_| self.current.asked.is_none()).and_then(|at| at.checked_sub(early))
    }

    /// When to ask why nothing follows after data flowed. Who only receives learns nothing from QUIC; were it our
    /// address that changed unnoticed, the peer would learn the new one from nobody else.
    fn quiet_at(&self) -> Option<Instant> {
        let flowed = self.run >= PATH_RUN && self.waiting.is_none() && self.current.asked.is_none();
        flowed.then(|| self.current.heard + self.silence() * 2 / 3)
    }

    fn begin_search(&mut self, now: Instant) {
        (self.search, self.run) = (Some(now), 0);
        self.current.want(now);
        for path in &mut self.others {
            path.calm = 0;
            path.want_anew(now);
        }
    }

    /// Something came from an address; if it is not the one in use, both are asked. A peer that probes its back-ups
    /// does not keep us from noticing when it begins to use one.
    fn contest(&mut self, addr: SocketAddr, by: By, bytes: usize, now: Instant) {
        if addr == self.current.at {
            return;
        }
        match self.others.iter_mut().find(|path| path.at == addr) {
            Some(path) => {
                path.heard = now;
                path.earn(bytes);
                if !path.contests(by, self.current.answered, now) {
                    return;
                }
                if path.is_confirmed() {
                    path.want(now);
                } else if path.is_quiet() {
                    path.want_anew(now);
                }
            }
            None => {
                if !is_dialable(&addr) || !self.seen.take(1, now) {
                    return;
                }
                self.insert(addr, Proof::Seen, now);
                self.others.last_mut().into_iter().for_each(|path| path.earn(bytes));
                self.trim();
            }
        }
        if self.current.asked.is_none() {
            self.current.want(now);
        }
    }

    fn handle_answer(&mut self, from: SocketAddr, probe: &SessionProbe, now: Instant, out: &mut PathOut) {
        let is_current = from == self.current.at;
        let path =
            if is_current { Some(&mut self.current) } else { self.others.iter_mut().find(|path| path.at == from) };
        let was_confirmed = path.as_ref().is_some_and(|path| path.is_confirmed());
        let Some((answered, owed)) = path.and_then(|path| Some((path.answer(probe, now)?, path.owed.take()))) else {
            // Late, sent again, or from elsewhere than where we asked.
            return self.contest(from, By::Probe, SESSION_PROBE_BYTES, now);
        };
        self.prober.answered(&answered.challenge);
        out.datagrams.extend(owed.map(|probe| (from, self.prober.answer(&probe).to_vec())));
        if !was_confirmed {
            out.events.push(PathEvent::Confirmed(from));
            self.trim();
        }
        if is_current {
            self.kept.clear();
            // We are heard there: the wait begins anew, and longer.
            self.fruitless = (self.fruitless + u32::from(self.waiting.is_some())).min(PATH_SILENCE_DOUBLINGS);
            self.waiting = self.waiting.map(|_| now);
            self.search = self.search.filter(|since| answered.at < *since);
        }
        self.choose(now, out);
    }

    /// Switches, if it is time.
    fn choose(&mut self, now: Instant, out: &mut PathOut) {
        let over =
            select::leave_at(&self.current, &self.others, self.rtt, self.silent_at()).is_some_and(|at| at <= now);
        let rested = self.bettered.is_none_or(|at| now.saturating_duration_since(at) >= PATH_BETTER_PERIOD);
        if over
            && let Some(asked) = self.current.asked
            && let Some(i) = select::fastest(&self.others, asked)
        {
            self.switch(i, now, out);
        } else if rested && let Some(i) = select::better(&self.current, &self.others, now) {
            self.bettered = Some(now);
            self.switch(i, now, out);
        }
    }

    fn switch(&mut self, to: usize, now: Instant, out: &mut PathOut) {
        let Some(other) = self.others.get_mut(to) else { return };
        out.events.push(PathEvent::Switched { from: self.current.at, to: other.at });
        std::mem::swap(&mut self.current, other);
        other.left(now);
        // To QUIC they are late, not lost: it goes on at once, where its own timer has doubled meanwhile.
        out.datagrams.extend(self.kept.drain(..).map(|datagram| (self.current.at, datagram)));
        (self.search, self.waiting, self.fruitless, self.here) = (None, None, 0, false);
        self.others.iter_mut().for_each(|path| path.calm = 0);
        self.prober.moved();
    }

    fn insert(&mut self, addr: SocketAddr, proof: Proof, now: Instant) {
        let mut path = Path::new(addr, proof, now);
        path.contested = [(proof == Proof::Seen).then_some(now); 2];
        path.want(now);
        self.others.push(path);
    }

    /// Forgets the worst addresses beyond the limits: those only seen by age, the others by proof and age.
    fn trim(&mut self) {
        for (seen, limit) in [(true, PATH_SEEN), (false, PATH_ADDRS)] {
            let is_kind = |path: &Path| (path.proof == Proof::Seen) == seen;
            while self.others.iter().filter(|path| is_kind(path)).count() > limit {
                let kind = self.others.iter().enumerate().filter(|(_, path)| is_kind(path));
                let Some((worst, _)) = kind.min_by_key(|(_, path)| (path.proof, path.heard)) else { return };
                self.others.remove(worst);
            }
        }
    }
}

fn challenge(path: &mut Path, prober: &mut Prober, now: Instant, rng: &mut ChaCha20Rng, out: &mut PathOut) {
    let (challenge, bytes) = prober.challenge(rng);
    path.challenged(challenge, now);
    out.datagrams.push((path.at, bytes.to_vec()));
}
