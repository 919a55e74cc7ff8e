//! The dial loop: whom to dial now, within all limits.

use super::door::{Entry, Purpose};
use super::{Action, Lent, Roster};
use crate::config::limits::{EXPLICIT_ATTEMPTS, EXPLICIT_SPACING, PLACES_KEPT};
use crate::config::swarm::Preset;
use crate::node::api::{Event, Question, Source, Whom};
use crate::session::quic::TopicNo;
use std::collections::BTreeSet;

impl Roster {
    /// Dials whoever may be dialled now, and ends the flushes that are done.
    pub(super) fn dial_on(&mut self, lent: &mut Lent<'_>) {
        if !self.closed && !self.suspended {
            self.dial_explicit(lent);
            while self.may_dial() && self.door.may_ask() {
                let Some(whom) = self.queue.pop(lent.rng) else { break };
                self.consider(lent, whom);
            }
        }
        self.end_flushes();
    }

    /// Peers joined by key, in that order: they need no place.
    fn dial_explicit(&mut self, lent: &mut Lent<'_>) {
        for whom in self.explicit.clone() {
            if self.dialling >= self.options.max_parallel || !self.door.may_ask() {
                break;
            }
            let Some(known) = self.peers.get(&whom) else { continue };
            let spacing = EXPLICIT_SPACING.saturating_mul(known.attempts);
            let rested = known.closed.is_none_or(|at| lent.now.saturating_duration_since(at) >= spacing);
            let held = known.asked || known.is_busy() || known.duplicate.is_some();
            let may = known.attempts < EXPLICIT_ATTEMPTS && known.reconnecting && !held;
            if may && rested {
                self.queue.remove(&whom);
                self.consider(lent, whom);
            }
        }
    }

    /// Dials a peer, if the firewall lets it.
    fn consider(&mut self, lent: &mut Lent<'_>, whom: Whom) {
        let busy = self.peers.get(&whom).is_none_or(super::Known::is_busy);
        if busy {
            return self.flushes.peer_done(&whom);
        }
        match self.door.enter(&whom, false, lent.now) {
            Entry::Open => self.dial_asked(lent, whom),
            Entry::Ask => self.ask_about(lent, whom, Purpose::Dial, None),
            Entry::Shut(_) => {
                self.flushes.peer_done(&whom);
                self.collect(&whom, lent);
            }
        }
    }

    /// The application lets a peer be dialled. That took its time: it may have to wait for a place.
    pub(super) fn dial_let(&mut self, lent: &mut Lent<'_>, whom: Whom) {
        let Some(known) = self.peers.get(&whom) else { return };
        let may = if known.explicit { self.dialling < self.options.max_parallel } else { self.may_dial() };
        if self.door.is_banned(&whom, lent.now) {
            self.flushes.peer_done(&whom);
        } else if may {
            self.dial_asked(lent, whom);
        } else {
            self.enqueue(lent, whom, None, false);
        }
        if !self.queue.contains(&whom) && !self.peers.get(&whom).is_some_and(|known| known.dialling) {
            self.flushes.peer_done(&whom);
        }
        self.collect(&whom, lent);
    }

    /// Dials a peer that the firewall lets through.
    fn dial_asked(&mut self, lent: &mut Lent<'_>, whom: Whom) {
        if self.suspended || self.closed {
            return;
        }
        let Some(known) = self.peers.get_mut(&whom).filter(|known| !known.is_busy()) else { return };
        (known.dialling, known.tried, known.waiting) = (true, true, false);
        let (addrs, source, explicit) = (known.addrs.clone(), known.source, known.explicit);
        self.queue.remove(&whom);
        self.dialling = self.dialling.saturating_add(1);
        if self.options.preset == Preset::V2 {
            self.door.dialling.insert(whom);
        }
        self.stats.client_attempted = self.stats.client_attempted.saturating_add(1);
        let source = if explicit { Source::Connect } else { source };
        self.out.push_back(Action::Dial { whom, addrs, source, explicit });
        self.updated();
        let _ = lent;
    }

    /// Asks the application about a peer.
    pub(super) fn ask_about(&mut self, lent: &mut Lent<'_>, whom: Whom, purpose: Purpose, topic: Option<TopicNo>) {
        let Some((id, new)) = self.door.ask(whom, purpose, lent.now) else {
            self.flushes.peer_done(&whom);
            return self.collect(&whom, lent);
        };
        let address = self.peers.get_mut(&whom).and_then(|known| {
            known.asked = true;
            known.addrs.first().copied()
        });
        if new {
            let topic = topic.and_then(|no| self.topics.get(&no)?.sessions().next());
            self.tell(Event::Ask(Question { id, purpose, whom, address, topic }));
        }
    }

    /// More dials may begin.
    fn may_dial(&self) -> bool {
        self.dialling < self.options.max_parallel && !self.is_full()
    }

    /// No place for one more dial. Those in progress count; those joined by key keep places for themselves, and the preset
    /// `setowire` some for those who dial us.
    pub(super) fn is_full(&self) -> bool {
        let all = self.connections.saturating_add(self.dialling);
        let share = match (self.options.preset, self.explicit.len()) {
            (Preset::V2 | Preset::Setowire, _) | (_, 0) => 1,
            (Preset::V4, 1) => 2,
            (Preset::V4, 2 | 3) => 3,
            (Preset::V4, _) => 4,
        };
        let clients = self.clients.saturating_add(self.dialling);
        let kept = match self.options.preset {
            Preset::Setowire => self.options.max_peers / PLACES_KEPT,
            Preset::V4 | Preset::V2 => 0,
        };
        let places = self.options.max_peers.saturating_sub(kept);
        all.saturating_mul(share) >= places || clients >= self.options.max_client_connections
    }

    /// Whoever is queued, asked about or being dialled.
    fn in_progress(&self) -> BTreeSet<Whom> {
        let asked = self.peers.iter().filter(|(_, known)| known.dialling || known.asked).map(|(whom, _)| *whom);
        self.queue.iter().chain(asked).collect()
    }

    pub(super) fn end_flushes(&mut self) {
        if self.flushes.is_empty() {
            return;
        }
        let stuck = self.dialling == 0 && self.is_full();
        let mut flushes = std::mem::take(&mut self.flushes);
        let done = flushes.take_done(|| self.in_progress(), stuck);
        self.flushes = flushes;
        self.out.extend(done.into_iter().map(|op| Action::Done { op, ok: true }));
    }
}
