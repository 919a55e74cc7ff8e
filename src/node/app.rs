//! What the application asks for. Every call answers at once; what takes time ends in an event.

use super::{Closing, Node};
use crate::config::swarm::Preset;
use crate::config::{limits, split_host_port};
use crate::error::{Code, Error, Result};
use crate::mesh::flood::content_id;
use crate::node::api::*;
use crate::node::swarm::roster;
use crate::node::topics::Name;
use crate::swarm::{Lent, Wants};
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

impl Node {
    /// Joins a topic: as server it is announced, as client others are looked for and dialled; known peers and seeds are
    /// dialled. With a secret only those who have it too can find it, or learn that we joined it.
    pub fn join(&mut self, now: Now, topic: Topic, secret: Option<[u8; 32]>, modes: Modes) -> Result<TopicId> {
        self.check_open()?;
        let wants = self.wants(modes, None)?;
        if self.roster.options().preset == Preset::V2 {
            // Version 2 knows no sessions: who joins again means to begin anew.
            let before = self.topics.sessions_with(&Name::new(topic, secret));
            before.into_iter().try_for_each(|id| self.close_topic(now, id))?;
        }
        if self.topics.len() >= limits::TOPICS_MAX {
            let detail = format!("topic: {} are joined, that is the limit; leave one", limits::TOPICS_MAX);
            return Err(Error::new(Code::WouldBlock, detail));
        }
        let first = self.topics.is_empty();
        let (id, name) = (TopicId(self.next_id()), Name::new(topic, secret));
        if let Some(no) = self.topics.add(id, &name) {
            self.quic.join(no, name.joined());
            self.mesh.join(no, name.key().mesh());
            if let Some(lan) = &mut self.lan {
                lan.listen(&name.key(), (!name.is_private()).then_some(&topic));
            }
        }
        if let Some(no) = self.topics.number_of(id) {
            let outside = name.key().mesh();
            roster!(self, now, |roster, lent| roster.join(lent, no, id, outside, wants));
        }
        if first {
            for entry in self.cache.newest() {
                let whom = entry.key.map(Whom::Key).or(entry.wire_id().map(Whom::Legacy));
                self.found(now, entry.addr, Source::Cache, whom, None);
            }
            self.dial_seeds(now);
            self.next_bootstrap = (!self.bootstrap.is_empty()).then_some(now.mono + limits::BOOTSTRAP_AFTER);
        }
        self.handle_timeout(now);
        Ok(id)
    }

    /// What a session is to do, by what is said, by what it does already, or by the preset.
    pub(super) fn wants(&self, modes: Modes, before: Option<Wants>) -> Result<Wants> {
        let said = modes.client.is_some() || modes.server.is_some();
        let wants = match before {
            Some(before) => Wants {
                client: modes.client.unwrap_or(before.client),
                server: modes.server.unwrap_or(before.server),
                limit: modes.limit.unwrap_or(before.limit),
            },
            None => {
                let (client, server) = self.roster.options().modes();
                let limit = modes.limit.unwrap_or(usize::MAX);
                Wants { client: modes.client.unwrap_or(client), server: modes.server.unwrap_or(server), limit }
            }
        };
        if said && !wants.client && !wants.server {
            return Err(Error::invalid("modes: a topic is joined as client, as server or as both, but not as neither"));
        }
        Ok(wants)
    }

    /// Leaves a topic with all its sessions, those with a secret too. Connections stay.
    pub fn leave(&mut self, now: Now, topic: &Topic) -> Result<()> {
        self.check_open()?;
        let sessions = self.topics.sessions_of(topic);
        if sessions.is_empty() {
            return Err(Error::new(Code::NotFound, "topic: it is not joined"));
        }
        sessions.into_iter().try_for_each(|id| self.close_topic(now, id))
    }

    /// Ends one session of a topic; with the last one the topic is left.
    pub fn close_topic(&mut self, now: Now, id: TopicId) -> Result<()> {
        self.check_open()?;
        let no = self.topics.number_of(id).ok_or_else(|| not_joined(id))?;
        roster!(self, now, |roster, lent| roster.leave(lent, no, id));
        self.follow(now);
        if let Some((name, no)) = self.topics.remove(id).ok_or_else(|| not_joined(id))? {
            self.mesh.leave(no);
            self.with_quic(now, |quic, env| quic.leave(env, no));
            if let Some(lan) = &mut self.lan {
                lan.leave(&name.key());
            }
            if self.topics.is_empty() {
                (self.next_seeds, self.next_bootstrap) = (None, None);
            }
        } else if let (Some(lan), Some((client, ..))) = (&mut self.lan, self.roster.modes(no))
            && let Some(name) = self.topics.name(no)
        {
            lan.seek(&name.key().mesh(), client);
        }
        self.follow(now);
        Ok(())
    }

    pub fn topics(&self) -> Vec<TopicId> {
        self.topics.ids()
    }

    /// Dials `host:port`. `timeout` none: the default; `Duration::MAX`: none. `key`: only this peer may answer,
    /// and only over a modern session.
    pub fn connect(
        &mut self,
        now: Now,
        target: &str,
        key: Option<[u8; 32]>,
        timeout: Option<Duration>,
        tag: u64,
    ) -> Result<OpId> {
        self.check_open()?;
        let (host, port) = split_host_port(target).map_err(|e| Error::invalid(format!("addr: {}", e.detail)))?;
        let address = host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port));
        if let Some(address) = address.filter(|address| !crate::path::is_dialable(address)) {
            return Err(Error::invalid(format!("addr: {address} is not an address of one peer")));
        }
        self.check_ops()?;
        let op = OpId(self.next_id());
        let deadline = now.mono.checked_add(timeout.unwrap_or(limits::CONNECT_TIMEOUT));
        self.ops.begin(op, tag, target, key, deadline);
        match address {
            _ if self.roster.is_suspended() => self.fail_op(op, Code::Unreachable, SUSPENDED),
            Some(address) => self.dial_all(now, &[address], Source::Connect, Some(op)),
            None => self.resolve(host, port, Source::Connect, Some(op)),
        }
        self.handle_timeout(now);
        Ok(op)
    }

    /// Ends an operation; its event follows.
    pub fn cancel(&mut self, now: Now, op: OpId) -> Result<()> {
        if self.ops.get(op).is_none() {
            return Err(Error::new(Code::NotFound, format!("op: {} is not in progress", op.0)));
        }
        self.finish_op(op, Err((Code::Cancelled, "cancelled by the caller".to_owned())));
        self.follow(now);
        Ok(())
    }

    /// Sends a message to one peer. `tag` other than 0: an `OpDone` with it tells when the
    /// message was sent or why not. What is lent is copied.
    pub fn send<'a>(&mut self, now: Now, peer: PeerId, data: impl Into<Cow<'a, [u8]>>, tag: u64) -> Result<()> {
        let data = data.into();
        if let Cow::Borrowed(data) = &data
            && let Some(result) = self.send_modern(peer, data, tag)
        {
            return result;
        }
        self.check_open()?;
        // A modern peer passes on no message that is for it alone.
        let content = (!self.quic.holds(peer)).then(|| content_id(&data));
        self.deliver_to(now, peer, data.into_owned().into(), tag)?;
        if let Some(content) = content {
            self.flood.sent(content, Some(peer), now.mono);
        }
        self.follow(now);
        Ok(())
    }

    /// Queues a copy of a message to a modern peer, which needs no time. None: it is no such peer.
    pub fn send_modern(&mut self, peer: PeerId, data: &[u8], tag: u64) -> Option<Result<()>> {
        if !self.quic.holds(peer) {
            return None;
        }
        let result = self.check_open().and_then(|()| self.quic.send_copy(peer, data, tag));
        self.session.stats.messages_sent += u64::from(result.is_ok());
        Some(result)
    }

    /// Queues messages to one peer, in order: to a modern one all of them, unless its queue is full before. How many, and
    /// whether it is not full after them; if it is, a `writable` event follows.
    pub fn send_many<'a>(
        &mut self,
        now: Now,
        peer: PeerId,
        mut messages: impl Iterator<Item = &'a [u8]>,
    ) -> (usize, Result<bool>) {
        let mut count = 0usize;
        if !self.quic.holds(peer) {
            let result = messages.try_for_each(|message| {
                self.send(now, peer, message, 0)?;
                count = count.saturating_add(1);
                Ok(())
            });
            return (count, result.map(|()| true));
        }
        let (count, result) = match self.check_open() {
            Ok(()) => self.quic.send_many(peer, messages),
            Err(error) => (0, Err(error)),
        };
        self.session.stats.messages_sent = self.session.stats.messages_sent.saturating_add(count as u64);
        (count, result)
    }

    pub fn info(&self) -> NodeInfo {
        NodeInfo {
            key: self.identity.key(),
            legacy_id: *self.identity.v12().id(),
            ports: self.ports,
            local: self.addresses.clone(),
        }
    }

    pub fn stats(&self) -> Stats {
        let mut stats = self.session.stats;
        self.v12.gauges(&mut stats);
        self.quic.gauges(&mut stats);
        self.mesh.count(&mut stats);
        stats.dials = self.dialer.len() as u64;
        stats.ops = self.ops.len() as u64;
        stats.topics = self.topics.len() as u64;
        stats
    }

    /// All that is kept for peers, by name, for tests of what is left when they are gone.
    #[doc(hidden)]
    pub fn held(&self) -> Vec<(&'static str, usize)> {
        let mut held = self.quic.held();
        let stats = self.stats();
        held.extend([
            ("v12 peers", self.v12.count()),
            ("unconfirmed", stats.unconfirmed as usize),
            ("hints", self.hints.len()),
            ("upgrades", self.upgrades.len()),
            ("operations", self.ops.len()),
            ("attempts", self.attempts.len()),
            ("rounds", self.rounds.len()),
            ("mesh frames", self.mesh.waiting()),
        ]);
        held.extend(self.roster.held());
        held
    }

    /// Begins the graceful end: what waits is sent, goodbyes leave, then `Event::Closed` is the last event. `forced`:
    /// announcements are not taken back, and nothing is waited for.
    pub fn close(&mut self, now: Now, forced: bool) {
        if forced && matches!(self.closing, Closing::Draining(_)) {
            self.closing = Closing::Draining(now.mono);
            self.handle_timeout(now);
        }
        if self.closing != Closing::Open {
            return;
        }
        roster!(self, now, |roster, lent| roster.close(lent, forced));
        if !forced {
            self.be_forgotten();
        }
        self.end_attempts(now);
        self.follow(now);
        self.lan = None;
        self.set_accepting(now, false);
        self.topics.clear();
        (self.next_seeds, self.next_bootstrap) = (None, None);
        self.dialer.clear();
        for op in self.ops.take_all() {
            self.fail_op(op, Code::Closed, "the swarm was closed");
        }
        let deadline = if forced { std::time::Duration::ZERO } else { limits::CLOSE_DEADLINE };
        self.closing = Closing::Draining(now.mono + deadline);
        self.handle_timeout(now);
    }

    /// Ends what is draining when it is drained, or has to be.
    pub(super) fn finish_closing(&mut self, now: Now) {
        match self.closing {
            Closing::Draining(until) if (self.v12.is_idle() && self.quic.is_idle()) || until <= now.mono => {}
            _ => return,
        }
        for peer in self.v12.peers() {
            // The peer is there: it was listed just now.
            let _ = self.with_v12(now, |v12, env| v12.close(env, peer));
        }
        self.with_quic(now, |quic, env| quic.close_all(env));
        // The goodbyes leave with what still may.
        while let Some(transmit) = self.quic.poll_transmit(now, &mut self.session) {
            self.session.transmits.push_back(transmit);
        }
        self.follow(now);
        if let Some(json) = self.cache.hand_out() {
            self.event(Event::Peers { json });
        }
        self.closing = Closing::Closed;
        self.event(Event::Closed { code: None, detail: String::new() });
    }

    /// An operation that cannot have a result ends.
    pub(super) fn fail_op(&mut self, op: OpId, code: Code, why: &str) {
        self.finish_op(op, Err((code, why.to_owned())));
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn check_ops(&self) -> Result<()> {
        match self.ops.is_full() {
            false => Ok(()),
            true => {
                let detail = format!("{} operations are in progress; wait for some to end", limits::OPS_MAX);
                Err(Error::new(Code::WouldBlock, detail))
            }
        }
    }

    /// Begins an operation that ends by itself.
    pub(super) fn begin_op(&mut self, _now: Now, what: &str, tag: u64) -> Result<OpId> {
        self.check_open()?;
        self.check_ops()?;
        let op = OpId(self.next_id());
        self.ops.begin(op, tag, what, None, None);
        Ok(op)
    }
}

/// Why nothing comes of what takes the network.
pub(super) const SUSPENDED: &str = "the swarm is suspended";

pub(super) fn not_joined(id: TopicId) -> Error {
    Error::new(Code::NotFound, format!("topic_id: {} is not joined", id.0))
}
