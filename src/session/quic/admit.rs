//! Which sessions begin, which of two with one key stays, and how they end.
//!
//! A link that agreed with its peer is admitted, unless another connection with the same key is
//! the better one, or there is no place. Both sides decide by the same rule, so one stays: the newer swarm of two
//! with one seed; else the connection dialled by the peer with the greater key, unless
//! the one that exists must have been lost by the peer. Who gives way is closed with the reason.

use super::close::{Close, Lost, Reason};
use super::exchange::Lent;
use super::flow::Shared;
use super::link::Link;
use super::{Quic, Role, lend};
use crate::config::limits::{CLOSE_DEADLINE, MIRRORS, QUIC_RIVAL_PATIENCE, QUIC_SETUP_TIMEOUT, SELF_MET_LIFE};
use crate::crypto::identity::wire_id;
use crate::error::Code;
use crate::node::api::{OpId, PeerId, Whom};
use crate::session::{Ended, Env, SessionEvent};
use crate::swarm::door::Entry;
use std::cmp::Ordering;

/// What becomes of a new connection with a key that is connected already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The new one stays; the other ends with this.
    Keep(Close),
    /// The new one ends with this.
    Drop(Close),
}

/// What the rule looks at.
#[derive(Clone, Copy, Debug)]
struct Side {
    role: Role,
    instance: u64,
    went_both_ways: bool,
}

fn verdict(existing: Side, new: Side, our_key_is_greater: bool) -> Verdict {
    match existing.instance.cmp(&new.instance) {
        Ordering::Less => return Verdict::Keep(Close::Replaced),
        Ordering::Greater => return Verdict::Drop(Close::Replaced),
        Ordering::Equal => {}
    }
    // We dialled, and the other side, which sees both, agreed: it has decided.
    let decided = new.role == Role::Dialler;
    // The peer dialled twice, or data went both ways before: it has lost the one that we have.
    let lost = existing.role == Role::Acceptor || existing.went_both_ways;
    if decided || lost || !our_key_is_greater {
        Verdict::Keep(Close::Duplicate)
    } else {
        Verdict::Drop(Close::Duplicate)
    }
}

impl Quic {
    /// The peer's key is known. Who is not let in learns nothing of us.
    pub(super) fn knock(&mut self, env: &mut Env<'_>, index: usize) {
        let Some(link) = self.link(index) else { return };
        let Some(key) = link.key else { return };
        let (incoming, whom, addr) = (link.role == Role::Acceptor, Whom::Key(key), link.label);
        // Who dials us again takes the place that it has.
        let again = self.keys.get(&key).is_some_and(|open| self.is_accepted(*open));
        match env.door.enter(&whom, incoming && !again, env.now.mono) {
            Entry::Open => self.let_in(env, index),
            Entry::Shut(why) => self.end_link(env, index, Reason::new(Close::Refused, why)),
            Entry::Ask => env.out.events.push_back(SessionEvent::Knocked { whom, addr }),
        }
    }

    /// The application was asked about the peer with this key.
    pub fn admit(&mut self, env: &mut Env<'_>, key: &[u8; 32], allowed: bool) {
        for index in self.indices() {
            if !self.link(index).is_some_and(|link| link.is_held() && link.key == Some(*key)) {
                continue;
            }
            match allowed {
                true => self.let_in(env, index),
                false => self.turn_away(env, index, "the firewall of the other side"),
            }
        }
    }

    fn let_in(&mut self, env: &mut Env<'_>, index: usize) {
        let Some(link) = self.link(index) else { return };
        link.let_in();
        match link.role {
            Role::Dialler => self.met(env, index),
            Role::Acceptor => self.mark(index),
        }
    }

    /// The key that the other side has shown.
    pub fn key_at(&self, index: usize) -> Option<[u8; 32]> {
        self.links.get(index).and_then(Option::as_deref).and_then(|link| link.key)
    }

    /// The peer dialled us.
    pub fn is_accepted(&self, index: usize) -> bool {
        self.links.get(index).and_then(Option::as_deref).is_some_and(|link| link.role == Role::Acceptor)
    }

    /// Ends an open session for a reason of our application's.
    pub fn end(&mut self, env: &mut Env<'_>, peer: PeerId, reason: &str) {
        let Ok(index) = self.index_of(peer) else { return };
        let (reason, banned) = (Reason::new(Close::Closed, reason), self.is_banned(env, index));
        match self.link(index) {
            Some(link) if banned => {
                link.bar(env.now.mono + CLOSE_DEADLINE, reason);
                self.mark(index);
            }
            Some(link) => {
                link.leave();
                self.end_link(env, index, reason);
            }
            None => {}
        }
    }

    /// The peer of this connection is banned under its key.
    pub(super) fn is_banned(&self, env: &Env<'_>, index: usize) -> bool {
        let key = self.links.get(index).and_then(Option::as_deref).and_then(|link| link.key);
        key.is_some_and(|key| env.door.is_banned(&Whom::Key(key), env.now.mono))
    }

    /// Every session has to show that it lives.
    pub fn prove_life(&mut self, env: &mut Env<'_>) {
        for index in self.indices() {
            if let Some(link) = self.link(index).filter(|link| link.is_open()) {
                link.prove_life(env.now.mono + QUIC_RIVAL_PATIENCE);
            }
            self.mark(index);
        }
    }

    /// We dialled and know who answers. Of two dials to one peer only the first goes on; and to a peer that is connected
    /// no topic is shown before it is known to be another swarm, so that the other side sees no second session.
    pub(super) fn met(&mut self, env: &mut Env<'_>, index: usize) {
        let Some(key) = self.link(index).and_then(|link| link.key) else { return };
        let first = |(other, link): (usize, &Option<Box<Link>>)| {
            other != index && link.as_ref().is_some_and(|link| link.is_greeting(&key))
        };
        if self.links.iter().enumerate().any(first) {
            return self.end_link(env, index, Reason::new(Close::Duplicate, Close::Duplicate.text()));
        }
        let show = !self.keys.contains_key(&key);
        if let Some(link) = self.links.get_mut(index).and_then(Option::as_deref_mut) {
            let (topics, own) = (&self.topics, &self.own);
            link.greet(&mut Lent { topics, own, v12: env.keys, rng: env.rng, now: env.now.mono }, show);
        }
        self.mark(index);
    }

    /// The peer that answered our dial is connected: only a newer swarm with its key is more than that.
    pub(super) fn compare(&mut self, env: &mut Env<'_>, index: usize, instance: u64) {
        let key = self.link(index).and_then(|link| link.key);
        let other = key.and_then(|key| self.keys.get(&key).copied());
        let known = other.and_then(|other| self.link(other)).map(|link| side(link).instance);
        match (other, known.map(|known| known.cmp(&instance))) {
            (Some(other), Some(order @ (Ordering::Equal | Ordering::Greater))) => {
                let close = if order == Ordering::Equal { Close::Duplicate } else { Close::Replaced };
                self.keep(env, other, index, close);
            }
            _ => {
                if let Some(exchange) = self.link(index).and_then(|link| link.exchange.as_mut()) {
                    exchange.topics_changed();
                }
                self.mark(index);
            }
        }
    }

    /// Ends a new link for the sake of one that is open, which has to show that it is alive.
    fn keep(&mut self, env: &mut Env<'_>, open: usize, new: usize, close: Close) {
        let until = env.now.mono + QUIC_RIVAL_PATIENCE;
        if let Some(link) = self.link(open) {
            link.prove_life(until);
        }
        self.mark(open);
        self.end_link(env, new, Reason::new(close, close.text()));
    }

    /// Both sides agreed: the session begins, if nothing speaks against it. The owner gives it its `PeerId` with `open`.
    pub(super) fn agreed(&mut self, env: &mut Env<'_>, index: usize) {
        let Some(link) = self.link(index) else { return };
        let Some(key) = link.key else { return };
        let (new, legacy) = (side(link), link.exchange.as_ref().and_then(|exchange| exchange.legacy_id()));
        let greater = self.own_key > key;
        if let Some(other) = self.keys.get(&key).copied()
            && let Some(existing) = self.link(other).map(|link| side(link))
        {
            match verdict(existing, new, greater) {
                Verdict::Keep(close) => self.end_link(env, other, Reason::new(close, close.text())),
                Verdict::Drop(close) => return self.keep(env, other, index, close),
            }
        } else if new.role == Role::Acceptor && greater && self.is_dialling(&key) {
            // Ours is on its way, and both sides prefer it.
            return self.end_link(env, index, Reason::new(Close::Duplicate, Close::Duplicate.text()));
        }
        if !self.parked.is_empty() {
            return self.turn_away(env, index, "no place: events wait to be read");
        }
        env.out.events.push_back(SessionEvent::Agreed { index, legacy });
    }

    /// A session that was agreed on has no place.
    pub fn turn_away(&mut self, env: &mut Env<'_>, index: usize, why: impl Into<String>) {
        self.end_link(env, index, Reason::new(Close::Refused, why));
    }

    /// Begins a session that was agreed on, under this id. `continues`: the peer was connected over p2p-v12 under it.
    pub fn open(&mut self, env: &mut Env<'_>, index: usize, peer: PeerId, continues: bool) {
        let (send_buffer, addrs) = (self.options.send_buffer, self.addrs.clone());
        let Some(key) = self.link(index).filter(|link| link.is_pending()).and_then(|link| link.key) else { return };
        if self.keys.contains_key(&key) {
            // Two agreed at the same time: one of them stays.
            return self.agreed(env, index);
        }
        let Some(link) = self.link(index) else { return };
        link.open(peer, send_buffer, env.now.mono);
        if let Some(exchange) = &mut link.exchange {
            exchange.tell_addrs(&addrs);
        }
        let (label, dialled, took) =
            (link.label, link.dial.is_some(), env.now.mono.saturating_duration_since(link.started));
        let legacy = link.exchange.as_ref().and_then(|exchange| exchange.legacy_id());
        let tags = link.paths.as_ref().map_or_else(Vec::new, |paths| paths.tags());
        for tag in tags {
            self.tags.insert(tag, index);
        }
        self.keys.insert(key, index);
        self.peers.insert(peer, index);
        if let Some(id) = legacy {
            self.legacies.insert(wire_id(&id), peer);
        }
        env.answered(label.ip(), 0);
        let mut ops = self.waiting.remove(&key).unwrap_or_default();
        if dialled {
            self.pace.took(took);
            ops.extend(env.dialer.finish(&label).into_iter().flat_map(|dial| dial.ops));
        }
        if continues {
            env.out.events.push_back(SessionEvent::Updated { peer });
        } else {
            env.out.stats.connections += 1;
            let info = self.link(index).and_then(|link| link.info());
            env.out.events.extend(info.map(|info| SessionEvent::Connected { peer, info: Box::new(info) }));
        }
        env.out.events.push_back(SessionEvent::DialDone { ops, result: Ok(peer) });
        self.mark(index);
    }

    /// Ends a link from our side.
    pub(super) fn end_link(&mut self, env: &mut Env<'_>, index: usize, reason: Reason) {
        let mut progress = Vec::new();
        if let Some(link) = self.link(index) {
            link.end(env.now.mono, reason, &mut progress);
        }
        for progress in progress {
            self.progress(env, index, progress);
        }
        self.mark(index);
    }

    /// A link ended, by whomever: what was kept for it goes, and who waited is told.
    pub(super) fn ended(&mut self, env: &mut Env<'_>, index: usize, lost: Lost) {
        let own_key = self.own_key;
        let Some(link) = self.links.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let (label, key) = (link.label, link.key);
        let places = [label, link.destination()];
        let info = link.info();
        let (peer, dial) = (link.peer.take(), link.dial.take());
        // Nobody is brought back to whom nothing leads any more.
        let wanted =
            link.exchange.as_ref().is_some_and(|exchange| exchange.is_explicit() || !exchange.shared().is_empty());
        let redial = match lost.redial && wanted {
            true => link.paths.as_ref().map_or_else(Vec::new, |paths| paths.confirmed()),
            false => Vec::new(),
        };
        let counted = std::mem::take(&mut link.counted);
        // Its last words may be more than there is room for; what is put out here goes behind them.
        let before = std::mem::take(&mut env.out.events);
        let room = std::mem::replace(&mut self.room, usize::MAX);
        let unsent = match peer {
            Some(peer) => link.end_flow(env.now.mono, index, peer, &mut lend!(self, env)),
            None => Vec::new(),
        };
        self.room = room;
        self.recount(counted, 0, env.out);
        self.tags.retain(|_, owner| *owner != index);
        if key == Some(own_key) && self.mirrors.len() < MIRRORS {
            self.mirrors.insert(label, env.now.mono + SELF_MET_LIFE);
        }
        if let Some(key) = key
            && self.keys.get(&key) == Some(&index)
        {
            self.keys.remove(&key);
        }
        if let (Some(peer), Some(info)) = (peer, info) {
            self.peers.remove(&peer);
            self.crowded.remove(&peer);
            self.legacies.retain(|_, owner| *owner != peer);
            env.out.stats.disconnections += 1;
            env.out.stats.messages_lost += unsent.len() as u64;
            let ended = Ended { info, code: lost.code, reason: lost.reason, redial, unsent };
            env.out.events.push_back(SessionEvent::Disconnected(Box::new(ended)));
        } else if dial.is_some() {
            if lost.code == Code::TimedOut {
                self.pace.took(QUIC_SETUP_TIMEOUT);
            }
            let mut ops = env.dialer.finish(&label).map_or_else(Vec::new, |dial| dial.ops);
            let Lost { code, reason, .. } = lost;
            match key {
                Some(key) if lost.close == Some(Close::Duplicate) => self.wait_for(env, key, ops),
                Some(key) if !self.is_dialling(&key) => {
                    ops.extend(self.waiting.remove(&key).unwrap_or_default());
                    env.out.events.push_back(SessionEvent::DialDone { ops, result: Err((code, reason)) });
                }
                _ => env.out.events.push_back(SessionEvent::DialDone { ops, result: Err((code, reason)) }),
            }
        } else if let Some(key) = key
            && !self.is_coming(&key)
            && let Some(ops) = self.waiting.remove(&key)
        {
            // What these dials gave way to came to nothing.
            let Lost { code, reason, .. } = lost;
            env.out.events.push_back(SessionEvent::DialDone { ops, result: Err((code, reason)) });
        }
        for addr in places {
            if key.is_some_and(|key| env.door.was_at(addr, key, env.now.mono)) {
                env.out.events.push_back(SessionEvent::Haunted { addr });
            }
        }
        self.parked.park(std::mem::replace(&mut env.out.events, before).into_iter());
        self.parked.release(&mut self.room, &mut env.out.events);
    }

    /// Another connection with this key stays, or is about to: it answers these dials.
    fn wait_for(&mut self, env: &mut Env<'_>, key: [u8; 32], ops: Vec<OpId>) {
        let open = self.keys.get(&key).and_then(|index| self.links.get(*index)?.as_ref()?.peer);
        match open {
            Some(peer) => env.out.events.push_back(SessionEvent::DialDone { ops, result: Ok(peer) }),
            None if ops.is_empty() => {}
            // Operations end by themselves when their time is up.
            None => self.waiting.entry(key).or_default().extend(ops),
        }
    }

    /// An operation ended for another reason.
    pub fn forget_op(&mut self, op: OpId) {
        self.waiting.retain(|_, ops| {
            ops.retain(|other| *other != op);
            !ops.is_empty()
        });
    }

    /// A connection with this key is open or may be soon.
    fn is_coming(&self, key: &[u8; 32]) -> bool {
        let pending = |link: &Link| link.is_pending() && link.key == Some(*key);
        self.keys.contains_key(key) || self.is_dialling(key) || self.links.iter().flatten().any(|link| pending(link))
    }

    /// A dial of ours to this key is under way.
    fn is_dialling(&self, key: &[u8; 32]) -> bool {
        self.links.iter().flatten().any(|link| {
            let expected = link.dial.as_ref().and_then(|dial| dial.expected);
            link.is_pending() && link.role == Role::Dialler && (link.key.or(expected) == Some(*key))
        })
    }
}

fn side(link: &Link) -> Side {
    Side {
        role: link.role,
        instance: link.exchange.as_ref().and_then(|exchange| exchange.instance()).unwrap_or(0),
        went_both_ways: link.went_both_ways(),
    }
}

/// The code of a failure that the application is told.
pub fn not_connected(peer: PeerId) -> crate::error::Error {
    crate::error::Error::new(Code::NotFound, format!("peer: {} is not connected", peer.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Side = Side { role: Role::Dialler, instance: 1, went_both_ways: false };

    #[test]
    fn the_newer_swarm_of_two_with_one_seed_stays() {
        let newer = Side { role: Role::Acceptor, instance: 2, ..OLD };
        assert_eq!(verdict(OLD, newer, true), Verdict::Keep(Close::Replaced));
        assert_eq!(verdict(newer, OLD, false), Verdict::Drop(Close::Replaced));
    }

    /// Two dial each other at once: each sees its own dial and the other's connection.
    #[test]
    fn of_two_simultaneous_dials_one_stays() {
        let theirs = Side { role: Role::Acceptor, ..OLD };
        assert_eq!(verdict(OLD, theirs, true), Verdict::Drop(Close::Duplicate), "ours stays with the greater key");
        assert_eq!(verdict(OLD, theirs, false), Verdict::Keep(Close::Duplicate));
    }

    #[test]
    fn a_peer_that_dials_again_has_lost_the_connection() {
        let theirs = Side { role: Role::Acceptor, ..OLD };
        assert_eq!(verdict(theirs, theirs, true), Verdict::Keep(Close::Duplicate));
        let used = Side { went_both_ways: true, ..OLD };
        assert_eq!(verdict(used, theirs, true), Verdict::Keep(Close::Duplicate));
    }
}
