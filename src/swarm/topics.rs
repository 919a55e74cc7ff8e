//! Joined topics: who of the application wants what of them, and rounds of discovery.
//!
//! All sessions of a topic share one discovery: it is client if one of them is, server if one is. A round asks every
//! source once: announce (which also looks up), look up, or look up and take an earlier announcement back. It
//! repeats every ten minutes and a little more by chance; after a sleep not at once, so that a fleet of
//! sleepers does not wake every server at the same time.
//! In: sessions, answers of sources, time. Out: `Step`s for the roster.

use crate::config::limits::{
    LIMIT_MEMORY, ROUND_OVERDUE, ROUND_PERIOD, ROUND_SPREAD, V2_ROUND_PERIOD, V2_ROUND_SPREAD,
};
use crate::config::swarm::Preset;
use crate::node::api::{OpId, RoundKind, TopicId, Whom};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// What one session of a topic wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants {
    pub client: bool,
    pub server: bool,
    /// Of the peers that look-ups find, so many are dialled.
    pub limit: usize,
}

/// What is to be done for a discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask the sources.
    Begin { query: u64, kind: RoundKind, clear: bool },
    /// Do not wait for this round.
    Cancel { query: u64 },
}

struct Round {
    query: u64,
    modes: (bool, bool),
    kind: RoundKind,
    clear: bool,
    waiting: Vec<OpId>,
}

pub struct Discovery {
    /// The same for every join of the same topic with the same secret.
    pub name: [u8; 32],
    sessions: BTreeMap<TopicId, Wants>,
    /// An announcement of ours may be out there.
    announced: bool,
    /// What an earlier run may have left was cleared.
    cleared: bool,
    /// An earlier life of the topic is still being taken back.
    blocked: bool,
    suspended: bool,
    /// A round is wanted as soon as nothing blocks it.
    due: bool,
    round: Option<Round>,
    /// Operations that wait for a round that has not begun.
    waiting: Vec<OpId>,
    last_ok: Option<bool>,
    next: Option<Instant>,
    /// Peers that were handed on, for the limit.
    handed: VecDeque<Whom>,
}

impl Discovery {
    pub fn new(name: [u8; 32], blocked: bool) -> Discovery {
        Discovery {
            name,
            sessions: BTreeMap::new(),
            announced: false,
            cleared: false,
            blocked,
            suspended: false,
            due: false,
            round: None,
            waiting: Vec::new(),
            last_ok: None,
            next: None,
            handed: VecDeque::new(),
        }
    }

    /// Client and server, as all sessions together want.
    pub fn modes(&self) -> (bool, bool) {
        let all = self.sessions.values();
        all.fold((false, false), |(client, server), wants| (client | wants.client, server | wants.server))
    }

    pub fn wants(&self, id: TopicId) -> Option<Wants> {
        self.sessions.get(&id).copied()
    }

    pub fn sessions(&self) -> impl Iterator<Item = TopicId> + '_ {
        self.sessions.keys().copied()
    }

    pub fn is_announced(&self) -> bool {
        self.announced
    }

    /// Opens a session, or changes what it wants. A round follows.
    pub fn set(&mut self, id: TopicId, wants: Wants) {
        self.sessions.insert(id, wants);
        self.due = true;
    }

    /// Ends a session. True: it was the last one. A round follows if the topic is not announced any more.
    pub fn remove(&mut self, id: TopicId) -> bool {
        self.sessions.remove(&id);
        self.due |= self.announced && !self.modes().1;
        self.sessions.is_empty()
    }

    /// A round is wanted. `op` ends with it.
    pub fn refresh(&mut self, op: Option<OpId>) {
        self.due = true;
        self.waiting.extend(op);
    }

    /// `op` waits for the round that runs, or is about to. Some: there is none, and this was the result of the last one.
    pub fn flushed(&mut self, op: OpId) -> Option<bool> {
        match &mut self.round {
            Some(round) => round.waiting.push(op),
            None if self.due && !self.suspended => self.waiting.push(op),
            None => return Some(self.last_ok.unwrap_or(false)),
        }
        None
    }

    /// A source worked in the last round that ended.
    pub fn works(&self) -> bool {
        self.last_ok == Some(true)
    }

    /// No round runs and none is about to.
    pub fn is_flushed(&self) -> bool {
        self.round.is_none() && (!self.due || self.suspended)
    }

    /// An operation ended for another reason.
    pub fn forget_op(&mut self, op: OpId) {
        self.waiting.retain(|other| *other != op);
        if let Some(round) = &mut self.round {
            round.waiting.retain(|other| *other != op);
        }
    }

    /// The earlier life of the topic is taken back.
    pub fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Begins what is due. `next`: the number of the round, if one begins.
    pub fn advance(&mut self, next: &mut u64, steps: &mut Vec<Step>) {
        if !self.due || self.blocked || self.suspended {
            return;
        }
        self.due = false;
        let modes = self.modes();
        if let Some(round) = &mut self.round {
            if round.modes == modes {
                // Whoever asked joins the one that runs.
                round.waiting.append(&mut self.waiting);
                return;
            }
            steps.push(Step::Cancel { query: round.query });
            self.waiting.append(&mut round.waiting);
        }
        let kind = match modes {
            (_, true) => RoundKind::Announce,
            (_, false) if self.announced => RoundKind::LookupAndUnannounce,
            (_, false) => RoundKind::Lookup,
        };
        let clear = kind == RoundKind::Announce && !self.cleared;
        // From its beginning on, whatever becomes of it.
        self.announced |= kind == RoundKind::Announce;
        *next = next.saturating_add(1);
        self.round = Some(Round { query: *next, modes, kind, clear, waiting: std::mem::take(&mut self.waiting) });
        self.next = None;
        steps.push(Step::Begin { query: *next, kind, clear });
    }

    /// The sources answered. The operations that waited for it.
    pub fn done(&mut self, query: u64, ok: bool, now: Instant, preset: Preset, rng: &mut ChaCha20Rng) -> Vec<OpId> {
        let Some(round) = self.round.take_if(|round| round.query == query) else { return Vec::new() };
        self.last_ok = Some(ok);
        // What failed is still to be done by the next one.
        self.cleared |= ok && round.clear;
        self.announced &= !(ok && round.kind == RoundKind::LookupAndUnannounce);
        let (period, spread) = match preset {
            Preset::V2 => (V2_ROUND_PERIOD, V2_ROUND_SPREAD),
            Preset::Setowire | Preset::V4 => (ROUND_PERIOD, ROUND_SPREAD),
        };
        self.next = Some(now + period + random(spread, rng));
        round.waiting
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        self.next.filter(|_| !self.suspended)
    }

    /// The next round may be due.
    pub fn handle_timeout(&mut self, now: Instant, rng: &mut ChaCha20Rng) {
        let Some(at) = self.next.filter(|at| *at <= now && !self.suspended) else { return };
        if now.saturating_duration_since(at) > ROUND_OVERDUE {
            self.next = Some(now + random(ROUND_SPREAD, rng));
        } else {
            self.next = None;
            self.due = true;
        }
    }

    /// Stops, and says whether something is to be taken back, which has to be done before it goes on. The operations that
    /// waited fail.
    pub fn suspend(&mut self, steps: &mut Vec<Step>) -> (bool, Vec<OpId>) {
        self.suspended = true;
        self.due = true;
        let mut ops = std::mem::take(&mut self.waiting);
        if let Some(round) = self.round.take() {
            steps.push(Step::Cancel { query: round.query });
            ops.extend(round.waiting);
        }
        self.next = None;
        let announced = std::mem::take(&mut self.announced);
        self.blocked |= announced;
        (announced, ops)
    }

    pub fn resume(&mut self) {
        self.suspended = false;
        self.due = true;
    }

    /// Whether a peer that a look-up found may be dialled. `connected`: how many of this topic are. Those that are being
    /// dialled for it were handed on.
    pub fn hand_on(&mut self, whom: Whom, connected: impl FnOnce() -> usize) -> bool {
        if !self.modes().0 {
            return false;
        }
        let clients = self.sessions.values().filter(|wants| wants.client);
        let limit = clients.map(|wants| wants.limit).max().unwrap_or(0);
        if limit == usize::MAX || self.handed.contains(&whom) {
            return true;
        }
        if connected().max(self.handed.len()) >= limit {
            return false;
        }
        self.handed.push_back(whom);
        if self.handed.len() > LIMIT_MEMORY {
            self.handed.pop_front();
        }
        true
    }

    /// A peer is known no more: its place under the limit is free.
    pub fn forget(&mut self, whom: &Whom) {
        self.handed.retain(|other| other != whom);
    }
}

fn random(most: Duration, rng: &mut ChaCha20Rng) -> Duration {
    let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(rng.next_u64().checked_rem(most.saturating_add(1)).unwrap_or(0))
}
