//! What the application decides about peers and about the whole swarm.

use super::dedup::Double;
use super::door::{self, Purpose};
use super::{Action, Lent, Roster};
use crate::config::limits::{BANS_MAX, EXPLICIT_MAX};
use crate::config::swarm::Preset;
use crate::error::{Code, Error, Result};
use crate::node::api::{Event, PeerId, Source, Whom};
use crate::session::quic::TopicNo;
use crate::timers::Timers;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

impl Roster {
    /// Keeps a peer connected, whatever topics are joined.
    pub fn join_peer(&mut self, lent: &mut Lent<'_>, whom: Whom, addr: Option<SocketAddr>) -> Result<()> {
        if self.own.contains(&whom) {
            return Ok(());
        }
        if !self.explicit.contains(&whom) {
            if self.explicit.len() >= EXPLICIT_MAX {
                let detail = format!("key: {EXPLICIT_MAX} peers are joined, that is the limit; leave one");
                return Err(Error::new(Code::WouldBlock, detail));
            }
            self.explicit.push(whom);
        }
        let known = self.peers.enter(whom, Source::Connect);
        (known.explicit, known.reconnecting) = (true, true);
        if let Some(addr) = addr {
            self.peers.add_addr(&whom, addr);
        }
        self.dial_on(lent);
        Ok(())
    }

    /// Keeps the connection, and does not bring it back.
    pub fn leave_peer(&mut self, lent: &mut Lent<'_>, whom: &Whom) {
        self.explicit.retain(|other| other != whom);
        if let Some(known) = self.peers.get_mut(whom) {
            known.explicit = false;
            if known.topics.is_empty() {
                (known.waiting, known.asked) = (false, false);
                self.queue.remove(whom);
                self.flushes.peer_done(whom);
            }
        }
        self.collect(whom, lent);
        self.dial_on(lent);
    }

    pub fn explicit_peers(&self) -> &[Whom] {
        &self.explicit
    }

    /// Whether a peer is dialled again by itself.
    pub fn set_reconnect(&mut self, whom: &Whom, on: bool) -> Result<()> {
        let known = self.peers.get_mut(whom).ok_or_else(unknown)?;
        known.reconnecting = on;
        Ok(())
    }

    /// Counts one more failed attempt. False: a peer that dialled us, or it is given up now.
    pub fn backoff(&mut self, whom: &Whom) -> Result<bool> {
        let known = self.peers.get_mut(whom).ok_or_else(unknown)?;
        if !known.client || known.attempts >= super::retry::GIVEN_UP {
            return Ok(false);
        }
        known.attempts = known.attempts.saturating_add(1);
        Ok(true)
    }

    /// Bans a peer, for a time or for the life of the swarm. `close`: also ends its connection.
    pub fn ban(&mut self, lent: &mut Lent<'_>, whom: Whom, life: Option<Duration>, close: bool) -> Result<()> {
        let until = self.ban_ends(lent, life);
        let again = self.door.is_banned(&whom, lent.now);
        if !self.door.ban(whom, until, false) {
            let detail = format!("peer: {BANS_MAX} are banned, that is the limit; lift a ban");
            return Err(Error::new(Code::WouldBlock, detail));
        }
        self.stats.banned = self.stats.banned.saturating_add(u64::from(!again));
        self.queue.remove(&whom);
        self.flushes.peer_done(&whom);
        if close && let Some(peer) = self.peers.get(&whom).and_then(|known| known.connected) {
            self.out.push_back(Action::Close { peer, reason: "Peer was banned" });
        }
        self.dial_on(lent);
        Ok(())
    }

    fn ban_ends(&self, lent: &Lent<'_>, life: Option<Duration>) -> Option<Instant> {
        let life = life.or(match self.options.preset {
            Preset::V2 => self.options.forget_banned,
            _ => None,
        });
        life.and_then(|life| lent.now.checked_add(life))
    }

    pub fn unban(&mut self, lent: &mut Lent<'_>, whom: &Whom) {
        self.door.unban(whom);
        self.collect(whom, lent);
        self.dial_on(lent);
    }

    /// Anybody can dial us under any number of keys: the ban is all that is kept of a stranger.
    pub(super) fn banned_by_firewall(&mut self, lent: &Lent<'_>, whom: Whom) {
        let again = self.door.is_banned(&whom, lent.now);
        if self.door.ban(whom, self.ban_ends(lent, None), true) {
            self.stats.banned = self.stats.banned.saturating_add(u64::from(!again));
        }
        self.tell(Event::Banned { whom, reason: door::FIREWALLED.to_owned() });
    }

    /// The application answered a question.
    pub fn answer(&mut self, lent: &mut Lent<'_>, question: u64, allowed: bool) -> Result<()> {
        let gone =
            || Error::new(Code::NotFound, format!("question: {question} is not open; it was answered, or too late"));
        let verdict = self.door.answer(question, allowed, lent.now).ok_or_else(gone)?;
        self.judged(lent, verdict);
        self.dial_on(lent);
        Ok(())
    }

    /// A peer that dials us is to be asked about.
    pub fn ask_incoming(&mut self, lent: &mut Lent<'_>, whom: Whom, addr: SocketAddr) {
        let Some((id, new)) = self.door.ask(whom, Purpose::Incoming, lent.now) else {
            return self.out.push_back(Action::Admit { whom, allowed: false });
        };
        if new {
            let question =
                crate::node::api::Question { id, purpose: Purpose::Incoming, whom, address: Some(addr), topic: None };
            self.tell(Event::Ask(question));
        }
    }

    pub fn set_firewall(&mut self, on: bool) {
        self.door.set_firewall(on);
    }

    pub fn listen(&mut self) {
        self.listening = true;
    }

    /// Nothing is dialled, announced or taken until `resume`; connections end.
    pub fn suspend(&mut self, lent: &mut Lent<'_>) {
        if std::mem::replace(&mut self.suspended, true) {
            return;
        }
        self.door.suspended = true;
        for no in self.topics.keys().copied().collect::<Vec<TopicNo>>() {
            self.suspend_topic(lent, no);
        }
        self.queue.clear();
        self.retry.clear();
        let waiting = self.door.clear_questions();
        self.out.extend(waiting.into_iter().map(|whom| Action::Admit { whom, allowed: false }));
        let mut connected = Vec::new();
        for (whom, known) in self.peers.iter_mut() {
            (known.waiting, known.asked) = (false, false);
            connected.extend(known.connected);
            if !known.dialling {
                self.flushes.peer_done(whom);
            }
        }
        self.out.extend(connected.into_iter().map(|peer| Action::Close { peer, reason: "suspended" }));
        for whom in self.peers.iter().map(|(whom, _)| *whom).collect::<Vec<_>>() {
            self.collect(&whom, lent);
        }
        self.end_flushes();
    }

    pub fn resume(&mut self, lent: &mut Lent<'_>) {
        if !std::mem::replace(&mut self.suspended, false) {
            return;
        }
        self.door.suspended = false;
        for no in self.topics.keys().copied().collect::<Vec<TopicNo>>() {
            if let Some(discovery) = self.topics.get_mut(&no) {
                discovery.resume();
            }
            self.advance(lent, no);
        }
        // Who is joined by key is dialled at once, whatever became of it before.
        for whom in self.explicit.clone() {
            if let Some(known) = self.peers.get_mut(&whom) {
                (known.attempts, known.closed) = (0, None);
            }
        }
        self.dial_on(lent);
    }

    /// The network changed: every topic is looked up and announced anew.
    pub fn network_changed(&mut self, lent: &mut Lent<'_>) {
        if !self.suspended && !self.closed {
            self.refresh_all(lent);
        }
    }

    /// The swarm ends. Topics are taken back unless it is `forced`.
    pub fn close(&mut self, lent: &mut Lent<'_>, forced: bool) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        if !forced {
            for no in self.topics.keys().copied().collect::<Vec<TopicNo>>() {
                self.suspend_topic(lent, no);
            }
        }
        self.topics.clear();
        self.leaving.clear();
        (self.rounds, self.patience) = (Timers::default(), Timers::default());
        self.queue.clear();
        self.retry.clear();
        self.door.clear_questions();
        self.explicit.clear();
        for op in self.flushes.take_all() {
            self.out.push_back(Action::Done { op, ok: false });
        }
    }

    /// Of two connections that belong to one program, by ids that the application exchanged, ends one. Who was dialled for
    /// it is not dialled again while the other one is there. True: it is this one.
    pub fn deduplicate(&mut self, peer: PeerId, local: &[u8], remote: &[u8]) -> Result<bool> {
        let whom = self.peers.of(peer).ok_or_else(unknown)?;
        let client = self.peers.get(&whom).is_some_and(|known| known.client);
        let Some(double) = self.dedup.check(peer, client, local, remote) else { return Ok(false) };
        let (goes, reason) = match double {
            Double::Own => (peer, "Connected to self"),
            Double::Of { goes, .. } => (goes, "duplicate of another connection"),
        };
        if let Some(whom) = self.peers.of(goes)
            && let Some(known) = self.peers.get_mut(&whom)
        {
            match double {
                Double::Own => known.reconnecting = false,
                Double::Of { stays, .. } if known.client && self.dedup.hold(stays, whom) => {
                    known.duplicate = Some(stays);
                }
                // Who dialled us may do so again.
                Double::Of { .. } => {}
            }
        }
        self.out.push_back(Action::Close { peer: goes, reason });
        Ok(goes == peer)
    }
}

fn unknown() -> Error {
    Error::new(Code::NotFound, "peer: it is not known to this swarm")
}
