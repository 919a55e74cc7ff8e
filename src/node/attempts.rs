//! Dials of peers by name. One dial of the roster is an attempt: all addresses of a peer at once, and where none is
//! known, a question to all sources. The first answer ends it, or the last failure, or its time.

use super::Node;
use super::app::SUSPENDED;
use super::swarm::roster;
use crate::config::limits::{
    ATTEMPT_TIMEOUT, CONNECT_TIMEOUT, FIND_PATIENCE, ROUND_PERIOD, ROUND_SPREAD, UNANNOUNCE_PATIENCE, V2_DIAL_TIMEOUT,
};
use crate::config::swarm::Preset;
use crate::crypto::topic::TopicKey;
use crate::error::{Code, Error, Result};
use crate::node::api::*;
use crate::node::rounds::What;
use crate::swarm::Lent;
use crate::timers::Timers;
use rand_chacha::rand_core::Rng;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// One dial of a peer.
struct Attempt {
    whom: Whom,
    source: Source,
    /// Dials that may still succeed.
    dials: usize,
    /// Its addresses are looked for until then.
    find: Option<Instant>,
    deadline: Instant,
}

/// Dials of the roster in progress.
#[derive(Default)]
pub(super) struct Attempts {
    attempts: BTreeMap<OpId, Attempt>,
    by_whom: BTreeMap<Whom, OpId>,
    timers: Timers<OpId>,
}

impl Attempts {
    fn begin(&mut self, op: OpId, attempt: Attempt) {
        self.timers.set(op, Some(attempt.find.unwrap_or(attempt.deadline)));
        self.by_whom.insert(attempt.whom, op);
        self.attempts.insert(op, attempt);
    }

    fn take(&mut self, op: OpId) -> Option<Attempt> {
        self.timers.set(op, None);
        let attempt = self.attempts.remove(&op)?;
        self.by_whom.remove(&attempt.whom);
        Some(attempt)
    }

    pub(super) fn holds(&self, op: OpId) -> bool {
        self.attempts.contains_key(&op)
    }

    pub(super) fn of(&self, whom: &Whom) -> Option<OpId> {
        self.by_whom.get(whom).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.attempts.len()
    }

    pub(super) fn poll_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }
}

impl Node {
    pub(super) fn attempt(&mut self, now: Now, whom: Whom, addrs: Vec<SocketAddr>, source: Source, explicit: bool) {
        let op = OpId(self.next_id());
        let find = match whom {
            Whom::Key(key) if explicit => self.find(now, key).then_some(now.mono + FIND_PATIENCE),
            _ => None,
        };
        let timeout = match self.roster.options().preset {
            Preset::V2 => V2_DIAL_TIMEOUT,
            Preset::Setowire | Preset::V4 => ATTEMPT_TIMEOUT,
        };
        let deadline = now.mono + timeout;
        self.attempts.begin(op, Attempt { whom, source, dials: 0, find, deadline });
        for addr in addrs {
            self.attempt_at(now, op, addr);
        }
        self.attempt_ended(now, op, 0);
    }

    pub(super) fn attempt_more(&mut self, now: Now, whom: Whom, addr: SocketAddr) {
        // Whoever chose the peer, this address is hearsay.
        if let Some(op) = self.attempts.of(&whom).filter(|_| self.may_dial_heard()) {
            self.attempt_at(now, op, addr);
        }
    }

    fn attempt_at(&mut self, now: Now, op: OpId, addr: SocketAddr) {
        let Some(attempt) = self.attempts.attempts.get(&op) else { return };
        let (whom, source) = (attempt.whom, attempt.source);
        if self.dialer.get(&addr).is_some_and(|dial| dial.ops.contains(&op)) {
            return;
        }
        let begun = self.dial(now, addr, source, Some(whom), Some(op));
        if let Some(attempt) = self.attempts.attempts.get_mut(&op) {
            attempt.dials = attempt.dials.saturating_add(usize::from(begun));
        }
    }

    /// `dials` of an attempt failed. Without another one, and with nothing looked for, it has failed.
    pub(super) fn attempt_ended(&mut self, now: Now, op: OpId, dials: usize) {
        let Some(attempt) = self.attempts.attempts.get_mut(&op) else { return };
        attempt.dials = attempt.dials.saturating_sub(dials);
        if attempt.dials == 0 && attempt.find.is_none() {
            self.attempt_over(now, op);
        }
    }

    /// An attempt failed, or is not wanted any more.
    pub(super) fn attempt_over(&mut self, now: Now, op: OpId) {
        let Some(attempt) = self.attempts.take(op) else { return };
        self.dialer.cancel(op);
        self.quic.forget_op(op);
        self.found_enough(&attempt.whom);
        roster!(self, now, |roster, lent| roster.dial_failed(lent, attempt.whom));
    }

    /// An attempt led to this peer, whoever it is.
    pub(super) fn attempt_met(&mut self, now: Now, op: OpId, peer: PeerId) {
        let Some(attempt) = self.attempts.take(op) else { return };
        self.dialer.cancel(op);
        self.quic.forget_op(op);
        self.found_enough(&attempt.whom);
        let met = self.roster.whom_of(peer);
        if met != Some(attempt.whom) {
            roster!(self, now, |roster, lent| roster.turned_out(lent, attempt.whom, met));
        }
    }

    /// The peer of an attempt is connected: nothing more is to be dialled for it.
    pub(super) fn attempt_done(&mut self, whom: &Whom) {
        if let Some(op) = self.attempts.of(whom) {
            self.attempts.take(op);
            self.dialer.cancel(op);
            self.quic.forget_op(op);
            self.found_enough(whom);
        }
    }

    /// Ends all attempts: the swarm is suspended or closed.
    pub(super) fn end_attempts(&mut self, now: Now) {
        for op in self.attempts.attempts.keys().copied().collect::<Vec<_>>() {
            self.attempt_over(now, op);
        }
    }

    /// Asks all sources where the peer with this key is. False: there is nobody to ask.
    pub(super) fn find(&mut self, now: Now, key: [u8; 32]) -> bool {
        let topic = TopicKey::peer(&key);
        let by_lan = self.lan.as_mut().is_some_and(|lan| {
            lan.listen(&topic, None);
            lan.ask(now, &topic.mesh())
        });
        if self.outside {
            self.ask_outside(now, What::Find(key), topic.mesh(), RoundKind::Lookup);
        }
        by_lan || self.outside
    }

    fn found_enough(&mut self, whom: &Whom) {
        let wanted = |key: &[u8; 32]| self.finding.values().any(|of| of == key) || self.attempts.of(whom).is_some();
        let Whom::Key(key) = whom else { return };
        if wanted(key) {
            return;
        }
        if let Some(lan) = &mut self.lan {
            lan.leave(&TopicKey::peer(key));
        }
        self.cancel_rounds(|what| matches!(what, What::Find(of) if of == key));
    }

    /// Lets others find us by our key.
    pub(super) fn be_found(&mut self, now: Now) {
        if std::mem::replace(&mut self.findable, true) {
            return;
        }
        if let Some(lan) = &mut self.lan {
            let topic = TopicKey::peer(&self.identity.key());
            lan.listen(&topic, None);
            lan.answer(&topic.mesh());
        }
        self.next_own = (self.outside && !self.roster.is_suspended()).then_some(now.mono);
        self.handle_timeout(now);
    }

    /// Announces our key outside, and again after the time of a round.
    pub(super) fn own_due(&mut self, now: Now) {
        if self.next_own.is_none_or(|at| at > now.mono) {
            return;
        }
        let spread = u64::try_from(ROUND_SPREAD.as_millis()).unwrap_or(u64::MAX);
        let more = self.rng.next_u64().checked_rem(spread).unwrap_or(0);
        self.next_own = Some(now.mono + ROUND_PERIOD + Duration::from_millis(more));
        self.ask_outside(now, What::Own, TopicKey::peer(&self.identity.key()).mesh(), RoundKind::Announce);
    }

    /// Takes back that we can be found by our key, until `be_found_again`.
    pub(super) fn be_forgotten(&mut self) {
        self.next_own = None;
        self.cancel_rounds(|what| matches!(what, What::Own));
        if self.findable && self.outside {
            self.forgetting = true;
            self.out.push_back(Output::Unannounce { name: TopicKey::peer(&self.identity.key()).mesh() });
        }
    }

    /// Not before what was announced earlier is taken back.
    pub(super) fn be_found_again(&mut self, now: Now) {
        if self.findable && self.outside {
            let wait = if self.forgetting { UNANNOUNCE_PATIENCE } else { Duration::ZERO };
            self.next_own = Some(now.mono + wait);
        }
    }

    pub(super) fn key_unannounced(&mut self, now: Now, name: &[u8; 32]) {
        if self.forgetting && *name == TopicKey::peer(&self.identity.key()).mesh() {
            self.forgetting = false;
            self.next_own = self.next_own.map(|_| now.mono);
        }
    }

    /// All sources said where a peer may be that is looked for.
    pub(super) fn find_done(&mut self, now: Now, key: [u8; 32]) {
        let Some(op) = self.attempts.of(&Whom::Key(key)) else { return };
        if let Some(attempt) = self.attempts.attempts.get_mut(&op) {
            attempt.find = None;
        }
        self.attempt_ended(now, op, 0);
    }

    pub(super) fn attempts_due(&mut self, now: Now) {
        for op in self.attempts.timers.take_due(now.mono) {
            let Some(attempt) = self.attempts.attempts.get_mut(&op) else { continue };
            if attempt.deadline <= now.mono {
                self.attempt_over(now, op);
            } else {
                attempt.find = None;
                let deadline = attempt.deadline;
                self.attempts.timers.set(op, Some(deadline));
                self.attempt_ended(now, op, 0);
            }
        }
    }

    /// Dials a peer by its key alone, without the swarm's bookkeeping: the network is asked where it is. `timeout` as for
    /// `connect`.
    pub fn connect_peer(&mut self, now: Now, key: [u8; 32], timeout: Option<Duration>, tag: u64) -> Result<OpId> {
        self.check_open()?;
        self.check_ops()?;
        if key == self.identity.key() {
            return Err(Error::invalid("key: it is our own"));
        }
        let op = OpId(self.next_id());
        let deadline = now.mono.checked_add(timeout.unwrap_or(CONNECT_TIMEOUT));
        self.ops.begin(op, tag, "a peer by its key", Some(key), deadline);
        let known = self.roster.known(&Whom::Key(key), now.mono, |_| None);
        let addrs = known.map_or_else(Vec::new, |known| known.addresses);
        if self.roster.is_suspended() {
            self.fail_op(op, Code::Unreachable, SUSPENDED);
        } else if let Some(peer) = self.quic.by_key(&key) {
            self.finish_op(op, Ok(Some(peer)));
        } else if self.find(now, key) {
            self.finding.insert(op, key);
            self.dial_addrs(now, op, key, &addrs);
        } else if !self.dial_addrs(now, op, key, &addrs) {
            let why = "no source knows where this peer is: the LAN source is off or has no network";
            self.fail_op(op, Code::Unreachable, why);
        }
        self.handle_timeout(now);
        Ok(op)
    }

    fn dial_addrs(&mut self, now: Now, op: OpId, key: [u8; 32], addrs: &[SocketAddr]) -> bool {
        let mut begun = 0usize;
        for addr in addrs {
            let dials = self.dial(now, *addr, Source::Connect, Some(Whom::Key(key)), Some(op));
            begun = begun.saturating_add(usize::from(dials));
        }
        if let Some(state) = self.ops.get(op) {
            state.dials = state.dials.saturating_add(begun);
        }
        begun > 0
    }

    /// A beacon says where a peer is that an operation looks for.
    pub(super) fn tell_finding(&mut self, now: Now, key: [u8; 32], addr: SocketAddr) {
        let ops: Vec<OpId> = self.finding.iter().filter(|(_, of)| **of == key).map(|(op, _)| *op).collect();
        for op in ops {
            if self.may_dial_heard() && !self.dialer.get(&addr).is_some_and(|dial| dial.ops.contains(&op)) {
                self.dial_addrs(now, op, key, &[addr]);
            }
        }
    }

    /// An operation ended: what it looked for is not looked for any more, unless others do.
    pub(super) fn forget_finding(&mut self, op: OpId) {
        if let Some(key) = self.finding.remove(&op) {
            self.found_enough(&Whom::Key(key));
        }
    }
}
