//! The node carries out what the roster decides: dials, rounds of the sources, ends, events.
//!
//! One dial of the roster is an attempt: all addresses of a peer at once, and where none is known, a question
//! on the network. The first answer ends it, or the last failure, or its time.

use super::Node;
use crate::config::limits::{ATTEMPT_TIMEOUT, FIND_PATIENCE, LAN_ROUND, V2_DIAL_TIMEOUT};
use crate::config::swarm::Preset;
use crate::crypto::topic::TopicKey;
use crate::discovery::Hint;
use crate::error::{Code, Result};
use crate::node::api::*;
use crate::session::quic::TopicNo;
use crate::swarm::{Action, Found, Lent};
use crate::timers::Timers;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

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

/// Rounds that sources have not answered in full.
#[derive(Default)]
pub(super) struct Rounds {
    rounds: BTreeMap<u64, Round>,
    timers: Timers<u64>,
}

struct Round {
    /// An answer from outside is waited for.
    outside: bool,
    /// Answers of the local network are waited for.
    lan: bool,
    /// A source worked.
    ok: bool,
    /// A look-up of the application, and the topic it is for.
    asked: Option<(OpId, TopicKey)>,
}

impl Rounds {
    pub(super) fn poll_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub(super) fn len(&self) -> usize {
        self.rounds.len()
    }
}

macro_rules! roster {
    ($node:ident, $now:ident, |$roster:ident, $lent:ident| $call:expr) => {{
        let $roster = &mut $node.roster;
        let $lent = &mut Lent { now: $now.mono, rng: &mut $node.rng };
        $call
    }};
}
pub(super) use roster;

impl Node {
    /// A source outside of the node answers `Output::Round`. Off: only the sources inside are asked.
    pub fn set_outside(&mut self, on: bool) {
        self.outside = on;
    }

    pub(super) fn act(&mut self, now: Now, action: Action) {
        match action {
            Action::Dial { whom, addrs, source, explicit } => self.attempt(now, whom, addrs, source, explicit),
            Action::DialMore { whom, addr } => self.attempt_more(now, whom, addr),
            Action::Round { no, query, kind, clear } => self.round(now, no, query, kind, clear),
            Action::Cancel { query } => self.cancel_round(query),
            Action::Unannounce { name } => match self.outside {
                true => self.out.push_back(Output::Unannounce { name }),
                false => roster!(self, now, |roster, lent| roster.unannounced(lent, &name)),
            },
            Action::Done { op, ok: true } => self.finish_op(op, Ok(None)),
            Action::Done { op, ok: false } => {
                let why = "no source answered, or the topic was left, or the swarm suspended or closed";
                self.finish_op(op, Err((Code::Unreachable, why.to_owned())));
            }
            Action::Close { peer, reason } => self.end_peer(now, peer, reason),
            Action::Admit { whom: Whom::Key(key), allowed } => {
                self.with_quic(now, |quic, env| quic.admit(env, &key, allowed));
            }
            // An old peer asks again by itself.
            Action::Admit { whom: Whom::Legacy(_), .. } => {}
            Action::Event(event) => self.event(event),
        }
    }

    /// Ends a connection for a reason of the swarm's.
    fn end_peer(&mut self, now: Now, peer: PeerId, reason: &'static str) {
        if self.quic.holds(peer) {
            self.with_quic(now, |quic, env| quic.end(env, peer, reason));
        } else {
            // It may have gone just now.
            let _ = self.with_v12(now, |v12, env| v12.close(env, peer));
        }
    }

    // ---- Dials ----

    fn attempt(&mut self, now: Now, whom: Whom, addrs: Vec<SocketAddr>, source: Source, explicit: bool) {
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

    fn attempt_more(&mut self, now: Now, whom: Whom, addr: SocketAddr) {
        if let Some(op) = self.attempts.of(&whom) {
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

    /// Asks the network where the peer with this key is. False: there is nobody to ask.
    fn find(&mut self, now: Now, key: [u8; 32]) -> bool {
        let Some(lan) = &mut self.lan else { return false };
        let topic = TopicKey::peer(&key);
        lan.listen(&topic, None);
        lan.ask(now, &topic.mesh())
    }

    fn found_enough(&mut self, whom: &Whom) {
        if let (Some(lan), Whom::Key(key)) = (&mut self.lan, whom) {
            lan.leave(&TopicKey::peer(key));
        }
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
        self.handle_timeout(now);
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

    // ---- Rounds ----

    fn round(&mut self, now: Now, no: TopicNo, query: u64, kind: RoundKind, clear: bool) {
        let Some(key) = self.topics.name(no).map(super::topics::Name::key) else { return };
        let client = self.roster.modes(no).is_some_and(|(client, ..)| client);
        if kind == RoundKind::Announce && self.accepts_explicit && !self.topics.is_private(no) {
            self.be_found(now);
        }
        self.ask_sources(now, query, &key, kind, client, clear, None);
    }

    #[expect(clippy::too_many_arguments, reason = "each is one word of the question")]
    fn ask_sources(
        &mut self,
        now: Now,
        query: u64,
        key: &TopicKey,
        kind: RoundKind,
        client: bool,
        clear: bool,
        asked: Option<OpId>,
    ) {
        let name = key.mesh();
        let (mut lan_asked, mut ok) = (false, false);
        if let Some(lan) = &mut self.lan {
            lan.announce(now, &name, kind == RoundKind::Announce);
            ok = lan.works();
            lan_asked = client && lan.ask(now, &name);
        }
        let asked = asked.map(|op| (op, key.clone()));
        self.rounds.rounds.insert(query, Round { outside: self.outside, lan: lan_asked, ok, asked });
        // Without anybody to wait for it ends as soon as the beacon has left.
        self.rounds.timers.set(query, Some(if lan_asked { now.mono + LAN_ROUND } else { now.mono }));
        if self.outside {
            self.out.push_back(Output::Round { query, name, kind, clear });
        }
    }

    fn cancel_round(&mut self, query: u64) {
        self.rounds.timers.set(query, None);
        if self.rounds.rounds.remove(&query).is_some_and(|round| round.outside) {
            self.out.push_back(Output::CancelRound { query });
        }
    }

    pub(super) fn rounds_due(&mut self, now: Now) {
        for query in self.rounds.timers.take_due(now.mono) {
            if let Some(round) = self.rounds.rounds.get_mut(&query) {
                round.lan = false;
            }
            self.round_may_end(now, query);
        }
    }

    fn round_may_end(&mut self, now: Now, query: u64) {
        let timed = |rounds: &Rounds| rounds.rounds.get(&query).is_none_or(|round| round.outside || round.lan);
        if timed(&self.rounds) {
            return;
        }
        let Some(round) = self.rounds.rounds.remove(&query) else { return };
        self.rounds.timers.set(query, None);
        match round.asked {
            Some((op, key)) => {
                self.looked_up(&key);
                let failed = (Code::Unreachable, "no source works: the LAN source is off or has no network".to_owned());
                self.finish_op(op, if round.ok { Ok(None) } else { Err(failed) });
            }
            None => roster!(self, now, |roster, lent| roster.round_done(lent, query, round.ok)),
        }
    }

    /// A source outside of the node found a peer of a round.
    pub fn handle_found(&mut self, now: Now, query: u64, key: [u8; 32], addr: SocketAddr) {
        let Some(round) = self.rounds.rounds.get(&query) else { return };
        let (whom, source) = (Whom::Key(key), Source::Outside);
        match round.asked.as_ref().map(|(op, _)| *op) {
            Some(op) => self.tell_found(op, whom, addr, source),
            None => {
                let topic = self.roster.topic_of(query);
                let found = Found { whom, addr: Some(addr), source, topic };
                roster!(self, now, |roster, lent| roster.found(lent, found));
            }
        }
        self.handle_timeout(now);
    }

    /// A source outside of the node ended its part of a round. `ok`: it worked.
    pub fn handle_round_done(&mut self, now: Now, query: u64, ok: bool) {
        if let Some(round) = self.rounds.rounds.get_mut(&query) {
            round.outside = false;
            round.ok |= ok;
        }
        self.round_may_end(now, query);
        self.handle_timeout(now);
    }

    /// What `Output::Unannounce` asked for is done, or failed.
    pub fn handle_unannounced(&mut self, now: Now, name: [u8; 32]) {
        roster!(self, now, |roster, lent| roster.unannounced(lent, &name));
        self.handle_timeout(now);
    }

    // ---- Look-ups of the application ----

    /// Looks a topic up once, or announces it once, without joining it. Peers that are found come as `Event::Found`.
    pub fn look_up(
        &mut self,
        now: Now,
        topic: Topic,
        secret: Option<[u8; 32]>,
        announce: bool,
        tag: u64,
    ) -> Result<OpId> {
        let op = self.begin_op(now, "look-up", tag)?;
        let name = super::topics::Name::new(topic, secret);
        let key = name.key();
        if let Some(lan) = &mut self.lan {
            lan.listen(&key, (!name.is_private()).then_some(&topic));
        }
        // Beside those that the roster counts.
        let query = op.0 | 1 << 63;
        let kind = if announce { RoundKind::Announce } else { RoundKind::Lookup };
        let joined = self.topics.find(&name).and_then(|no| self.roster.modes(no));
        let kind = match joined {
            // What is joined stays announced.
            Some((_, _, true)) => RoundKind::Announce,
            _ => kind,
        };
        self.ask_sources(now, query, &key, kind, true, false, Some(op));
        self.handle_timeout(now);
        Ok(op)
    }

    /// Takes back what `look_up` announced.
    pub fn unannounce(&mut self, now: Now, topic: Topic, secret: Option<[u8; 32]>) -> Result<()> {
        self.check_open()?;
        let key = super::topics::Name::new(topic, secret).key();
        if self.outside {
            self.out.push_back(Output::Unannounce { name: key.mesh() });
        }
        self.looked_up(&key);
        self.handle_timeout(now);
        Ok(())
    }

    /// A topic that is not joined is not listened for any more.
    fn looked_up(&mut self, key: &TopicKey) {
        let name = key.mesh();
        let more =
            self.rounds.rounds.values().any(|round| round.asked.as_ref().is_some_and(|(_, of)| of.mesh() == name));
        if self.topics.no_of(&name).is_none()
            && !more
            && let Some(lan) = &mut self.lan
        {
            lan.leave(key);
        }
    }

    /// Beacons of a topic that a look-up asked for.
    pub(super) fn tell_looked_up(&mut self, hint: &Hint) {
        let Some(name) = hint.topic else { return };
        let whom = hint.key.map(Whom::Key).or(hint.id.map(Whom::Legacy));
        let ops: Vec<OpId> = self
            .rounds
            .rounds
            .values()
            .filter_map(|round| round.asked.as_ref())
            .filter(|(_, key)| key.mesh() == name)
            .map(|(op, _)| *op)
            .collect();
        for op in ops {
            if let Some(whom) = whom {
                self.tell_found(op, whom, hint.addr, hint.source);
            }
        }
    }

    fn tell_found(&mut self, op: OpId, whom: Whom, addr: SocketAddr, source: Source) {
        let Some(tag) = self.ops.get(op).map(|op| op.tag) else { return };
        let local = source == Source::Lan;
        let candidate = Candidate { whom, address: Some(addr), source, local, topic: None };
        self.event(Event::Found { op, tag, candidate });
    }
}
