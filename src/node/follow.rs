//! What follows from what sessions and sources report: events, dials, forwarding.

use super::{Closing, Node};
use crate::bucket::Bucket;
use crate::config::{limits, split_host_port};
use crate::discovery::Hint;
use crate::error::Code;
use crate::mesh::flood::{Link, content_id};
use crate::node::api::*;
use crate::node::swarm::roster;
use crate::path::dial::Target;
use crate::path::{is_dialable, scope};
use crate::session::{Ended, SessionEvent};
use crate::swarm::{Found, Lent};
use bytes::Bytes;
use std::net::SocketAddr;

impl Node {
    /// Works off what sessions reported and what the roster decides, until nothing is left.
    pub(super) fn follow(&mut self, now: Now) {
        loop {
            self.follow_sessions(now);
            match self.roster.poll_action() {
                Some(action) => self.act(now, action),
                None if self.session.events.is_empty() => return,
                None => {}
            }
        }
    }

    fn follow_sessions(&mut self, now: Now) {
        while let Some(event) = self.session.events.pop_front() {
            match event {
                SessionEvent::Connected { peer, info } => self.connected(now, peer, *info),
                SessionEvent::DialDone { ops, result } => {
                    for op in ops {
                        match &result {
                            Ok(peer) if self.attempts.holds(op) => self.attempt_met(now, op, *peer),
                            Ok(peer) => self.finish_op(op, Ok(Some(*peer))),
                            Err((code, why)) => self.dial_failed(now, op, *code, why.clone()),
                        }
                    }
                }
                SessionEvent::Updated { peer } => self.updated(now, peer),
                SessionEvent::Knocked { whom, addr } => {
                    roster!(self, now, |roster, lent| roster.ask_incoming(lent, whom, addr));
                }
                SessionEvent::Agreed { index, legacy } => self.agreed(now, index, legacy),
                SessionEvent::Haunted { addr } => self.haunted(now, addr),
                SessionEvent::Legacy { peer, id } => self.linked(now, peer, id),
                SessionEvent::Shared { peer } => self.updated(now, peer),
                SessionEvent::Received { peer, data } => {
                    self.session.stats.messages_received += 1;
                    self.event(Event::Message { peer, data, clear: false, broadcast: None });
                }
                SessionEvent::Datagram { peer, data } => self.event(Event::Datagram { peer, data }),
                SessionEvent::Stream { peer, stream, change } => self.event(Event::Stream { peer, stream, change }),
                SessionEvent::Mesh { peer, frame } => self.mesh_frame(now, peer, frame),
                SessionEvent::MeshRoom { peer } => self.mesh_room(now, peer),
                SessionEvent::Message { peer, data, clear, forward } => self.message(now, peer, data, clear, forward),
                SessionEvent::Hinted { peer, hint } => self.hinted(now, peer, *hint),
                SessionEvent::Sent { tag: 0, .. } => {}
                SessionEvent::Sent { tag, failure } => {
                    let (code, detail) = failure.map_or((None, String::new()), |(code, detail)| (Some(code), detail));
                    self.sent(tag, code, detail);
                }
                SessionEvent::Writable { peer } => self.event(Event::Writable { peer }),
                SessionEvent::Disconnected(ended) => self.disconnected(now, *ended),
            }
        }
    }

    /// Dials what a source found, unless it is connected already.
    pub(super) fn hint(&mut self, now: Now, hint: Hint) {
        self.tell_looked_up(&hint);
        let by_key = hint.key.and_then(|key| self.quic.by_key(&key));
        let peer = by_key.or_else(|| hint.id.and_then(|id| self.by_wire_id(&id)));
        match peer {
            Some(peer) if self.quic.holds(peer) => self.with_quic(now, |quic, env| quic.hint(env, peer, hint.addr)),
            Some(peer) => self.with_v12(now, |v12, env| v12.hint(env, peer, hint.addr)),
            None => {
                let whom = hint.key.map(Whom::Key).or(hint.id.map(Whom::Legacy));
                self.found(now, hint.addr, hint.source, whom, hint.topic);
            }
        }
        if let (Some(peer), Some(no)) = (peer, hint.topic.and_then(|name| self.topics.no_of(&name))) {
            self.roster.shares_found(peer, no);
            self.follow(now);
        }
    }

    /// A source named an address: a known peer goes to the roster, an address of anybody is dialled.
    pub(super) fn found(
        &mut self,
        now: Now,
        addr: SocketAddr,
        source: Source,
        whom: Option<Whom>,
        topic: Option<[u8; 32]>,
    ) {
        // What a peer of the old wire is known to be counts.
        let whom = whom.map(|whom| match whom {
            Whom::Legacy(id) => self.proven.key_of(&id, now.unix_us).map_or(whom, Whom::Key),
            Whom::Key(_) => whom,
        });
        let bound = if addr.is_ipv4() { self.ports.v4 } else { self.ports.v6 };
        let Some(whom) = whom else {
            self.dial(now, addr, source, None, None);
            return;
        };
        let no = topic.and_then(|name| self.topics.no_of(&name));
        if let Whom::Key(key) = whom {
            self.tell_finding(now, key, addr);
        }
        let explicit = matches!(whom, Whom::Key(_)) && self.attempts.of(&whom).is_some();
        // A beacon of a topic that is not joined is for a look-up, or of a peer that is looked for by its key.
        if bound.is_none() || !is_dialable(&addr) || topic.is_some() && no.is_none() && !explicit {
            return;
        }
        let found = Found { whom, addr: Some(addr), source, topic: no };
        roster!(self, now, |roster, lent| roster.found(lent, found));
        self.follow(now);
    }

    /// Begins a dial; false if it cannot lead anywhere.
    pub(super) fn dial(
        &mut self,
        now: Now,
        addr: SocketAddr,
        source: Source,
        whom: Option<Whom>,
        op: Option<OpId>,
    ) -> bool {
        let bound = if addr.is_ipv4() { self.ports.v4 } else { self.ports.v6 };
        let (own, connected) = match whom {
            Some(Whom::Legacy(id)) => (id == self.identity.v12().wire_id(), self.by_wire_id(&id).is_some()),
            Some(Whom::Key(key)) => (key == self.identity.key(), self.quic.by_key(&key).is_some()),
            None => (false, self.by_addr(&addr).is_some()),
        };
        let own = own || self.quic.is_mirror(&addr);
        let full = if source.is_chosen() { self.is_packed() } else { self.is_full() };
        // What others say fills the table of dials only so far: the application's own dials have room.
        let heard = matches!(source, Source::Lan | Source::Pex | Source::Outside) && !self.may_dial_heard();
        let open = self.closing == Closing::Open && !self.roster.is_suspended();
        if !open || bound.is_none() || own || connected || full || heard || !is_dialable(&addr) {
            return false;
        }
        let before = self.dialer.len();
        let (expected, key) = match whom {
            Some(Whom::Legacy(id)) => (Some(id), self.proven.key_of(&id, now.unix_us)),
            Some(Whom::Key(key)) => (None, Some(key)),
            None => (None, None),
        };
        // A peer that is known to be modern is not asked in the old way.
        let modern = !self.legacy || key.is_some();
        // Our own kind where a v12 peer is: most likely the same one.
        let continues = key.and_then(|_| self.v12.by_addr(&addr));
        let target = Target { addr, source, expected, key, continues, modern };
        let started = self.dialer.start(now.mono, target, op);
        self.session.stats.dials_started += u64::from(self.dialer.len() > before);
        started
    }

    /// There is room for one more dial of an address that others say.
    pub(super) fn may_dial_heard(&self) -> bool {
        self.dialer.len() < limits::DIALS_HEARD_MAX
    }

    /// Dials the addresses of one name; its operation ends with the first answer.
    pub(super) fn dial_all(&mut self, now: Now, addrs: &[SocketAddr], source: Source, op: Option<OpId>) {
        let mut started = 0;
        let whom = op.and_then(|op| self.ops.get(op)?.key).map(Whom::Key);
        for addr in addrs.iter().take(limits::ADDRS_PER_DIAL) {
            let there = match whom {
                Some(Whom::Key(key)) => self.quic.by_key(&key),
                _ => self.by_addr(addr),
            };
            match (there, op) {
                (Some(peer), Some(op)) => return self.finish_op(op, Ok(Some(peer))),
                (Some(_), None) => {}
                (None, _) => started += usize::from(self.dial(now, *addr, source, whom, op)),
            }
        }
        let Some(op) = op else { return };
        if let Some(state) = self.ops.get(op) {
            state.dials = started;
        }
        if started == 0 {
            let (code, why) = if addrs.is_empty() {
                (Code::Resolve, "the name has no address".to_owned())
            } else if self.is_packed() {
                (Code::Refused, self.why_full())
            } else {
                (Code::Unreachable, "no address that can be dialled from here".to_owned())
            };
            self.finish_op(op, Err((code, why)));
        }
    }

    /// Asks for the addresses of a name.
    pub(super) fn resolve(&mut self, host: &str, port: u16, source: Source, op: Option<OpId>) {
        let query = self.ops.query(host, source, op);
        self.out.push_back(Output::Resolve { query, host: host.to_owned(), port });
    }

    /// Dials the configured seeds, and again later while nobody is connected.
    pub(super) fn dial_seeds(&mut self, now: Now) {
        self.next_seeds = (!self.seeds.is_empty()).then_some(now.mono + limits::SEED_RETRY);
        if !self.peers().is_empty() || self.roster.is_suspended() {
            return;
        }
        for seed in self.seeds.clone() {
            // The text was checked when it was set.
            let Ok((host, port)) = split_host_port(&seed) else { continue };
            match host.parse() {
                Ok(ip) => {
                    self.dial(now, SocketAddr::new(ip, port), Source::Seed, None, None);
                }
                Err(_) if !self.ops.is_full() => self.resolve(host, port, Source::Seed, None),
                Err(_) => {}
            }
        }
    }

    /// Ends an operation, once.
    pub(super) fn finish_op(&mut self, op: OpId, result: Result<Option<PeerId>, (Code, String)>) {
        let Some(done) = self.ops.take(op) else { return };
        self.dialer.cancel(op);
        self.quic.forget_op(op);
        self.roster.forget_op(op);
        self.forget_finding(op);
        self.forget_look_up(op);
        let (peer, code, detail) = match result {
            Ok(peer) => (peer, None, String::new()),
            Err((code, detail)) => (None, Some(code), detail),
        };
        self.event(Event::OpDone { op, tag: done.tag, peer, code, detail });
    }

    /// One of an operation's dials failed; with the last one it fails.
    pub(super) fn dial_failed(&mut self, now: Now, op: OpId, code: Code, detail: String) {
        self.attempt_ended(now, op, 1);
        let Some(state) = self.ops.get(op) else { return };
        state.dials = state.dials.saturating_sub(1);
        // What is still looked for ends by its time.
        if state.dials == 0 && !self.finding.contains_key(&op) {
            self.finish_op(op, Err((code, detail)));
        }
    }

    fn connected(&mut self, now: Now, peer: PeerId, info: PeerInfo) {
        let info = self.peer_info(peer).unwrap_or(info);
        self.mesh_changed(now, peer);
        let Some(whom) = whom(&info) else { return };
        self.attempt_done(&whom);
        self.was_reached(&whom, &info);
        roster!(self, now, |roster, lent| roster.connected(lent, whom, peer, info.source, info.client));
        if info.client {
            self.roster.reached(&whom, info.address);
        }
        self.share(peer);
        self.remember(now, &info);
        self.plan_upgrade(now, &info);
        self.hints
            .insert(peer, Bucket::new(limits::HINTS_PER_PEER_MINUTE, limits::HINTS_PER_PEER_MINUTE / 60, now.mono));
        self.log(Level::Info, || format!("connected to {} ({})", info.address, info.source.name()));
        self.event(Event::Connection(Box::new(info)));
        roster!(self, now, |roster, lent| roster.after_connection(lent, &whom));
    }

    /// The roster hears of the topics that a peer proved.
    fn share(&mut self, peer: PeerId) {
        if let Some(shared) = self.quic.shared(peer) {
            self.roster.shares(peer, shared.iter().copied());
        }
    }

    fn updated(&mut self, now: Now, peer: PeerId) {
        self.mesh_changed(now, peer);
        if let Some(info) = self.peer_info(peer) {
            if let Some(whom) = whom(&info)
                && self.roster.whom_of(peer).is_some_and(|before| before != whom)
            {
                self.attempt_done(&whom);
                self.roster.renamed(peer, whom);
            }
            self.share(peer);
            self.remember(now, &info);
            self.event(Event::Update(Box::new(info)));
        }
    }

    /// Keeps a peer for the next run. Not who dialled us and proved nothing: anyone can be many of those.
    fn remember(&mut self, now: Now, info: &PeerInfo) {
        // Nor who is known by a private topic alone: the text may be read by others.
        let by_secret = info.session == Session::Quic && !info.explicit && !self.shares_public(info.id);
        if (info.client || info.confirmed) && !by_secret {
            let (id, key) = (info.legacy_id.as_ref(), info.key);
            self.cache.seen(id, key, info.address, now.mono, now.unix_us / 1_000);
        }
    }

    fn disconnected(&mut self, now: Now, ended: Ended) {
        let Ended { info, code, reason, redial, unsent } = ended;
        self.hints.remove(&info.id);
        // What the modern session took over from ends with it: nothing may follow under its number.
        self.with_v12(now, |v12, env| v12.forget(env, info.id));
        self.mesh_gone(now, info.id);
        self.upgrades.set(info.id, None);
        let redial: &[SocketAddr] = if self.closing == Closing::Open { &redial } else { &[] };
        roster!(self, now, |roster, lent| roster.disconnected(lent, info.id, redial));
        let fate = if info.session == Session::Quic { "not known to have arrived" } else { "not sent" };
        for tag in unsent {
            self.sent(tag, Some(Code::Closed), format!("{fate}: {reason}"));
        }
        self.log(Level::Info, || format!("disconnected from {}: {reason}", info.address));
        self.event(Event::Disconnection { peer: info.id, code, reason, info: Box::new(info) });
        roster!(self, now, |roster, lent| roster.after_disconnection(lent));
    }

    /// Hands a new message to the application, and to the neighbours who expect that of us.
    fn message(&mut self, now: Now, peer: PeerId, data: Bytes, clear: bool, forward: bool) {
        let content = content_id(&data);
        if !self.flood.received(content, Link::Peer(peer), now.mono) {
            return;
        }
        if forward {
            self.offer_mesh(now, content, &data);
            self.forward(now, content, &data);
        }
        self.event(Event::Message { peer, data, clear, broadcast: None });
    }

    /// A peer told of an address: dialled if the peer may tell so much, of so near an address.
    fn hinted(&mut self, now: Now, peer: PeerId, hint: Hint) {
        let Some(info) = self.peer_info(peer).filter(|info| info.confirmed) else { return };
        let near = scope(&hint.addr.ip()) < scope(&info.address.ip());
        let allowed = self.hints.get_mut(&peer).is_some_and(|bucket| bucket.take(1, now.mono));
        if near || !allowed || !is_dialable(&hint.addr) {
            self.session.stats.datagrams_rejected += 1;
            return;
        }
        self.hint(now, hint);
    }

    fn sent(&mut self, tag: u64, code: Option<Code>, detail: String) {
        self.event(Event::OpDone { op: OpId(0), tag, peer: None, code, detail });
    }
}

/// By what a connected peer is known.
fn whom(info: &PeerInfo) -> Option<Whom> {
    let legacy = info.legacy_id.as_ref().map(|id| Whom::Legacy(crate::crypto::identity::wire_id(id)));
    info.key.map(Whom::Key).or(legacy)
}
