//! Rounds: every source is asked once about a topic, for the roster, for a look-up of the application, or for a peer by its
//! key. The local network has its time to answer, a source outside of the node says when it is done.

use super::Node;
use super::app::SUSPENDED;
use super::swarm::roster;
use super::topics::Name;
use crate::config::limits::{LAN_ROUND, OUTSIDE_ROUND, QUEUE_NOTICES};
use crate::crypto::topic::TopicKey;
use crate::discovery::Hint;
use crate::error::{Code, Result};
use crate::node::api::*;
use crate::session::quic::TopicNo;
use crate::swarm::{Found, Lent};
use crate::timers::Timers;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

/// Rounds that the roster does not count have this bit in their number.
const OWN_QUERY: u64 = 1 << 63;

/// Rounds that sources have not answered in full.
#[derive(Default)]
pub(super) struct Rounds {
    rounds: BTreeMap<u64, Round>,
    timers: Timers<u64>,
}

struct Round {
    /// An answer from outside is waited for, until then.
    outside: bool,
    until: Instant,
    /// Answers of the local network are waited for.
    lan: bool,
    /// A source worked.
    ok: bool,
    what: What,
}

/// What a round is for.
pub(super) enum What {
    /// A joined topic.
    Joined,
    /// A look-up of the application, its topic, and what it told of so far.
    Asked(OpId, TopicKey, BTreeSet<(Whom, SocketAddr)>),
    /// The peer with this key.
    Find([u8; 32]),
    /// Others may find us by our key.
    Own,
}

impl Round {
    fn asked(&self) -> Option<(OpId, &TopicKey)> {
        match &self.what {
            What::Asked(op, key, _) => Some((*op, key)),
            _ => None,
        }
    }
}

impl Rounds {
    pub(super) fn poll_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub(super) fn len(&self) -> usize {
        self.rounds.len()
    }
}

impl Node {
    pub(super) fn round(&mut self, now: Now, no: TopicNo, query: u64, kind: RoundKind, clear: bool) {
        let Some(key) = self.topics.name(no).map(Name::key) else { return };
        let client = self.roster.modes(no).is_some_and(|(client, ..)| client);
        if let Some(lan) = &mut self.lan {
            lan.seek(&key.mesh(), client);
        }
        if kind == RoundKind::Announce && self.accepts_explicit && !self.topics.is_private(no) {
            self.be_found(now);
        }
        self.ask_sources(now, query, key.mesh(), (kind, client, clear), What::Joined);
    }

    /// Begins a round of all sources. `client`: whoever is there is wanted.
    fn ask_sources(
        &mut self,
        now: Now,
        query: u64,
        name: [u8; 32],
        (kind, client, clear): (RoundKind, bool, bool),
        what: What,
    ) {
        let (mut lan_asked, mut ok) = (false, false);
        if let Some(lan) = &mut self.lan {
            let asked = matches!(what, What::Asked(..));
            // Who hears us announced first may dial us instead of answering, which a look-up cannot see.
            if asked {
                lan_asked = lan.ask(now, &name);
            }
            lan.announce(now, &name, kind == RoundKind::Announce);
            if !asked {
                lan_asked = client && lan.ask(now, &name);
            }
            ok = lan.works();
        }
        let until = now.mono + OUTSIDE_ROUND;
        self.rounds.rounds.insert(query, Round { outside: self.outside, until, lan: lan_asked, ok, what });
        // Without anybody to wait for it ends as soon as the beacon has left.
        self.rounds.timers.set(query, Some(if lan_asked { now.mono + LAN_ROUND } else { now.mono }));
        if self.outside {
            self.out.push_back(Output::Round { query, name, kind, clear });
        }
    }

    /// A question that only a source outside of the node answers.
    pub(super) fn ask_outside(&mut self, now: Now, what: What, name: [u8; 32], kind: RoundKind) {
        // Beside those that the roster counts.
        let query = self.next_id() | OWN_QUERY;
        let until = now.mono + OUTSIDE_ROUND;
        self.rounds.rounds.insert(query, Round { outside: true, until, lan: false, ok: false, what });
        self.rounds.timers.set(query, Some(until));
        self.out.push_back(Output::Round { query, name, kind, clear: false });
    }

    pub(super) fn cancel_round(&mut self, query: u64) {
        self.rounds.timers.set(query, None);
        if self.rounds.rounds.remove(&query).is_some_and(|round| round.outside) {
            self.out.push_back(Output::CancelRound { query });
        }
    }

    /// Ends all rounds for one purpose.
    pub(super) fn cancel_rounds(&mut self, of: impl Fn(&What) -> bool) {
        let rounds = self.rounds.rounds.iter().filter(|(_, round)| of(&round.what));
        for query in rounds.map(|(query, _)| *query).collect::<Vec<u64>>() {
            self.cancel_round(query);
        }
    }

    /// Ends the round of a look-up whose operation has ended.
    pub(super) fn forget_look_up(&mut self, op: OpId) {
        let query = op.0 | OWN_QUERY;
        let Some(key) = self.rounds.rounds.get(&query).and_then(Round::asked).map(|(_, key)| key.clone()) else {
            return;
        };
        self.cancel_round(query);
        self.looked_up(&key);
    }

    pub(super) fn rounds_due(&mut self, now: Now) {
        for query in self.rounds.timers.take_due(now.mono) {
            if let Some(round) = self.rounds.rounds.get_mut(&query) {
                round.lan = false;
                if round.outside && round.until > now.mono {
                    self.rounds.timers.set(query, Some(round.until));
                } else if std::mem::take(&mut round.outside) {
                    self.out.push_back(Output::CancelRound { query });
                }
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
        match round.what {
            What::Own => {}
            What::Find(key) => self.find_done(now, key),
            What::Asked(op, key, _) => {
                self.looked_up(&key);
                let failed = (Code::Unreachable, "no source works: the LAN source is off or has no network".to_owned());
                self.finish_op(op, if round.ok { Ok(None) } else { Err(failed) });
            }
            What::Joined => roster!(self, now, |roster, lent| roster.round_done(lent, query, round.ok)),
        }
    }

    /// What is meant for a source outside of the node, as an event for the application that is this source.
    pub fn tell_outside(&self, output: Output) -> Output {
        let key = self.identity.key();
        match output {
            Output::Round { query, name, kind, clear } => {
                let asked = Asked { query, name, kind, clear, key, ports: self.told_ports };
                Output::Event(Event::Round(Box::new(asked)))
            }
            Output::CancelRound { query } => Output::Event(Event::RoundCancelled { query }),
            Output::Unannounce { name } => Output::Event(Event::Unannounce(Box::new((name, key)))),
            other => other,
        }
    }

    /// A source outside of the node found a peer of a round.
    pub fn handle_found(&mut self, now: Now, query: u64, key: [u8; 32], addr: SocketAddr) {
        let Some(round) = self.rounds.rounds.get(&query) else { return };
        let (whom, source) = (Whom::Key(key), Source::Outside);
        match round.what {
            What::Asked(..) => self.tell_found(query, whom, addr, source),
            // Who is dialled once is none of the swarm's peers.
            What::Find(wanted) if wanted == key && self.attempts.of(&whom).is_none() => {
                self.tell_finding(now, key, addr)
            }
            What::Find(wanted) if wanted == key => self.found(now, addr, source, Some(whom), None),
            What::Find(_) | What::Own => {}
            What::Joined => {
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
        self.key_unannounced(now, &name);
        roster!(self, now, |roster, lent| roster.unannounced(lent, &name));
        self.handle_timeout(now);
    }

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
        if self.roster.is_suspended() {
            self.fail_op(op, Code::Unreachable, SUSPENDED);
            return Ok(op);
        }
        let name = Name::new(topic, secret);
        let key = name.key();
        if let Some(lan) = &mut self.lan {
            lan.listen(&key, (!name.is_private()).then_some(&topic));
        }
        let query = op.0 | OWN_QUERY;
        let kind = if announce { RoundKind::Announce } else { RoundKind::Lookup };
        let joined = self.topics.find(&name).and_then(|no| self.roster.modes(no));
        let kind = match joined {
            // What is joined stays announced.
            Some((_, _, true)) => RoundKind::Announce,
            _ => kind,
        };
        self.ask_sources(now, query, key.mesh(), (kind, true, false), What::Asked(op, key, BTreeSet::new()));
        self.handle_timeout(now);
        Ok(op)
    }

    /// Takes back what `look_up` announced.
    pub fn unannounce(&mut self, now: Now, topic: Topic, secret: Option<[u8; 32]>) -> Result<()> {
        self.check_open()?;
        let key = Name::new(topic, secret).key();
        // What is joined stays announced.
        if self.outside && !self.is_announced(&key.mesh()) {
            self.out.push_back(Output::Unannounce { name: key.mesh() });
        }
        self.looked_up(&key);
        self.handle_timeout(now);
        Ok(())
    }

    /// A topic is joined and announced for the sake of that.
    fn is_announced(&self, name: &[u8; 32]) -> bool {
        self.topics.no_of(name).and_then(|no| self.roster.modes(no)).is_some_and(|(_, _, announced)| announced)
    }

    /// A topic that is not joined is not listened for any more, and one that is joined is announced if its sessions want that.
    fn looked_up(&mut self, key: &TopicKey) {
        let name = key.mesh();
        let more = self.rounds.rounds.values().any(|round| round.asked().is_some_and(|(_, of)| of.mesh() == name));
        let (joined, announced) = (self.topics.no_of(&name).is_some(), self.is_announced(&name));
        match &mut self.lan {
            Some(lan) if !more && !joined => lan.leave(key),
            Some(lan) if !more && !announced => lan.unannounce(&name),
            _ => {}
        }
    }

    /// Beacons of a topic that a look-up asked for.
    pub(super) fn tell_looked_up(&mut self, hint: &Hint) {
        let Some(name) = hint.topic else { return };
        let whom = hint.key.map(Whom::Key).or(hint.id.map(Whom::Legacy));
        let of = |round: &Round| round.asked().is_some_and(|(_, key)| key.mesh() == name);
        let queries: Vec<u64> =
            self.rounds.rounds.iter().filter(|(_, round)| of(round)).map(|(query, _)| *query).collect();
        for query in queries {
            if let Some(whom) = whom {
                self.tell_found(query, whom, hint.addr, hint.source);
            }
        }
    }

    fn tell_found(&mut self, query: u64, whom: Whom, addr: SocketAddr, source: Source) {
        let Some(Round { what: What::Asked(op, _, told), .. }) = self.rounds.rounds.get_mut(&query) else { return };
        let op = *op;
        // A source may tell of it again, or of ourselves.
        if told.len() >= QUEUE_NOTICES || whom == Whom::Key(self.identity.key()) || !told.insert((whom, addr)) {
            return;
        }
        let Some(tag) = self.ops.get(op).map(|op| op.tag) else { return };
        let local = source == Source::Lan;
        let candidate = Candidate { whom, address: Some(addr), source, local, topic: None };
        self.event(Event::Found { op, tag, candidate });
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::crypto::identity::Identity;
    use std::time::Duration;

    const TOPIC: Topic = [5; 32];

    fn node(n: u8, config: &Config, now: Now) -> Node {
        let ports = LocalPorts { v4: Some(4_001), v6: None };
        let mut node = Node::new(config, Identity::from_seed(&[n; 32]), ports, [n; 32], now).expect("a node");
        let interface = LanInterface { index: 1, name: "lan".to_owned(), v4: vec![[10, 0, 0, n].into()], v6: false };
        node.handle_interfaces(now, &[interface]);
        node
    }

    fn events(node: &mut Node, now: Now) -> Vec<Event> {
        let outputs: Vec<Output> = std::iter::from_fn(|| node.poll_output(now)).collect();
        outputs.into_iter().filter_map(|output| told(node, output)).collect()
    }

    #[test]
    fn another_port_than_the_bound_one_is_told_to_everybody() {
        let mut now = Now { mono: Instant::now(), unix_us: 1_795_000_000_000_000 };
        let base = Config { source: true, ..Config::default() };
        let config = Config { announce_port: Some(40_077), ..base.clone() };
        let (mut one, mut other) = (node(1, &config, now), node(2, &base, now));
        one.join(now, TOPIC, None, Modes::default()).expect("joined");
        other.join(now, TOPIC, None, Modes::default()).expect("joined");
        let told = LocalPorts { v4: Some(40_077), v6: None };
        let asked = events(&mut one, now).into_iter().find_map(|event| match event {
            Event::Round(asked) => Some(asked),
            _ => None,
        });
        let asked = asked.expect("a round");
        assert_eq!((asked.ports, asked.key, asked.kind), (told, one.identity.key(), RoundKind::Announce));
        assert_eq!(one.info().ports.v4, Some(4_001));
        let from = SocketAddr::from(([10, 0, 0, 1], 40_123));
        let mut old = 0;
        for _ in 0..20 {
            now.mono += Duration::from_millis(200);
            now.unix_us += 200_000;
            one.handle_timeout(now);
            while let Some(transmit) = one.poll_transmit(now, true) {
                let Via::Lan { .. } = transmit.via else { continue };
                let text = String::from_utf8_lossy(&transmit.bytes).into_owned();
                assert!(!text.contains(":4001:"), "{text}");
                old += usize::from(text.contains(":40077:"));
                other.handle_datagrams(now, Datagrams::one(transmit.via, from, &transmit.bytes));
            }
            other.handle_timeout(now);
        }
        assert!(old > 0, "beacons of the old kind, too");
        let dialled: Vec<SocketAddr> = std::iter::from_fn(|| other.poll_transmit(now, true))
            .filter(|transmit| transmit.via == Via::Main)
            .map(|transmit| transmit.to)
            .collect();
        assert!(!dialled.is_empty() && dialled.iter().all(|to| *to == SocketAddr::from(([10, 0, 0, 1], 40_077))));
    }

    #[test]
    fn a_round_that_nobody_answers_ends_by_itself() {
        let mut now = Now { mono: Instant::now(), unix_us: 1_795_000_000_000_000 };
        let config = Config { source: true, lan: false, ..Config::default() };
        let mut node = node(1, &config, now);
        node.join(now, TOPIC, None, Modes { server: Some(false), ..Modes::default() }).expect("joined");
        let begun: Vec<u64> = events(&mut node, now).iter().filter_map(query_of).collect();
        assert_eq!(begun.len(), 1);
        now.mono += OUTSIDE_ROUND;
        node.handle_timeout(now);
        let outputs: Vec<Output> = std::iter::from_fn(|| node.poll_output(now)).collect();
        let failed = |output: &Output| matches!(output, Output::Event(Event::TopicUpdated { ok: false, .. }));
        assert!(outputs.iter().any(failed), "{outputs:?}");
        let ended: Vec<Event> = outputs
            .into_iter()
            .filter_map(|output| match output {
                Output::Event(_) => None,
                other => told(&node, other),
            })
            .collect();
        assert_eq!(ended, [Event::RoundCancelled { query: begun[0] }]);
    }

    fn told(node: &Node, output: Output) -> Option<Event> {
        match node.tell_outside(output) {
            Output::Event(event) => Some(event),
            _ => None,
        }
    }

    fn query_of(event: &Event) -> Option<u64> {
        match event {
            Event::Round(asked) => Some(asked.query),
            _ => None,
        }
    }
}
