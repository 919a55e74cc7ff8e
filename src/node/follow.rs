//! What follows from what sessions and sources report: events, dials, forwarding.

use super::{Closing, Node};
use crate::bucket::Bucket;
use crate::config::{limits, split_host_port};
use crate::crypto::identity::WireId;
use crate::discovery::Hint;
use crate::error::Code;
use crate::mesh::flood::{Link, content_id};
use crate::node::api::*;
use crate::path::{is_dialable, scope};
use crate::session::{Ended, SessionEvent};
use bytes::Bytes;
use std::net::SocketAddr;

impl Node {
    /// Works off what sessions reported, until nothing is left.
    pub(super) fn follow(&mut self, now: Now) {
        while let Some(event) = self.session.events.pop_front() {
            match event {
                SessionEvent::Connected { peer } => self.connected(now, peer),
                SessionEvent::DialDone { ops, result } => {
                    for op in ops {
                        match &result {
                            Ok(peer) => self.finish_op(op, Ok(*peer)),
                            Err((code, why)) => self.dial_failed(op, *code, why.clone()),
                        }
                    }
                }
                SessionEvent::Updated { peer } => {
                    if let Some(info) = self.v12.info(peer) {
                        self.remember(now, &info);
                        self.event(Event::Update(Box::new(info)));
                    }
                }
                SessionEvent::Message { peer, data, clear, forward } => self.message(now, peer, data, clear, forward),
                SessionEvent::Hinted { peer, hint } => self.hinted(now, peer, hint),
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
        match hint.id.and_then(|id| self.v12.by_id(&id)) {
            Some(peer) => self.with_v12(now, |v12, env| v12.hint(env, peer, hint.addr)),
            None => {
                self.dial(now, hint.addr, hint.source, hint.id, None);
            }
        }
    }

    /// Begins a dial; false if it cannot lead anywhere.
    pub(super) fn dial(
        &mut self,
        now: Now,
        addr: SocketAddr,
        source: Source,
        expected: Option<WireId>,
        op: Option<OpId>,
    ) -> bool {
        let bound = if addr.is_ipv4() { self.ports.v4 } else { self.ports.v6 };
        let own = expected == Some(self.identity.v12().wire_id());
        let connected = match expected {
            Some(id) => self.v12.by_id(&id).is_some(),
            None => self.v12.by_addr(&addr).is_some(),
        };
        let full = if source.is_chosen() { self.v12.is_packed() } else { self.v12.is_full() };
        // What others say fills the table of dials only so far: the application's own dials have room.
        let heard = matches!(source, Source::Lan | Source::Pex) && self.dialer.len() >= limits::DIALS_HEARD_MAX;
        let open = self.closing == Closing::Open;
        if !open || bound.is_none() || own || connected || full || heard || !is_dialable(&addr) {
            return false;
        }
        let before = self.dialer.len();
        let started = self.dialer.start(now.mono, addr, source, expected, op);
        self.session.stats.dials_started += u64::from(self.dialer.len() > before);
        started
    }

    /// Dials the addresses of one name; its operation ends with the first answer.
    pub(super) fn dial_all(&mut self, now: Now, addrs: &[SocketAddr], source: Source, op: Option<OpId>) {
        let mut started = 0;
        for addr in addrs.iter().take(limits::ADDRS_PER_DIAL) {
            match (self.v12.by_addr(addr), op) {
                (Some(peer), Some(op)) => return self.finish_op(op, Ok(peer)),
                (Some(_), None) => {}
                (None, _) => started += usize::from(self.dial(now, *addr, source, None, op)),
            }
        }
        let Some(op) = op else { return };
        if let Some(state) = self.ops.get(op) {
            state.dials = started;
        }
        if started == 0 {
            let (code, why) = if addrs.is_empty() {
                (Code::Resolve, "the name has no address".to_owned())
            } else if self.v12.is_packed() {
                (Code::Refused, self.v12.why_full())
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
        if !self.v12.peers().is_empty() {
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
    pub(super) fn finish_op(&mut self, op: OpId, result: Result<PeerId, (Code, String)>) {
        let Some(done) = self.ops.take(op) else { return };
        self.dialer.cancel(op);
        let (peer, code, detail) = match result {
            Ok(peer) => (Some(peer), None, String::new()),
            Err((code, detail)) => (None, Some(code), detail),
        };
        self.event(Event::OpDone { op, tag: done.tag, peer, code, detail });
    }

    /// One of an operation's dials failed; with the last one it fails.
    pub(super) fn dial_failed(&mut self, op: OpId, code: Code, detail: String) {
        let Some(state) = self.ops.get(op) else { return };
        state.dials = state.dials.saturating_sub(1);
        if state.dials == 0 {
            self.finish_op(op, Err((code, detail)));
        }
    }

    fn connected(&mut self, now: Now, peer: PeerId) {
        let Some(info) = self.v12.info(peer) else { return };
        if let Some(id) = &info.legacy_id {
            self.reconnect.forget(&crate::crypto::identity::wire_id(id));
        }
        self.remember(now, &info);
        self.hints
            .insert(peer, Bucket::new(limits::HINTS_PER_PEER_MINUTE, limits::HINTS_PER_PEER_MINUTE / 60, now.mono));
        self.log(Level::Info, || format!("connected to {} ({})", info.address, info.source.name()));
        self.event(Event::Connection(Box::new(info)));
    }

    /// Keeps a peer for the next run. Not who dialled us and proved nothing: anyone can be many of those.
    fn remember(&mut self, now: Now, info: &PeerInfo) {
        if let Some(id) = info.legacy_id.as_ref().filter(|_| info.client || info.confirmed) {
            self.cache.seen(id, info.address, now.mono, now.unix_us / 1_000);
        }
    }

    fn disconnected(&mut self, now: Now, ended: Ended) {
        let Ended { info, code, reason, redial, unsent } = ended;
        self.hints.remove(&info.id);
        if let Some(id) = &info.legacy_id
            && self.closing == Closing::Open
            && !redial.is_empty()
        {
            self.reconnect.lost(now.mono, crate::crypto::identity::wire_id(id), redial);
        }
        for tag in unsent {
            self.sent(tag, Some(Code::Closed), format!("not sent: {reason}"));
        }
        self.log(Level::Info, || format!("disconnected from {}: {reason}", info.address));
        self.event(Event::Disconnection { peer: info.id, code, reason, info: Box::new(info) });
    }

    /// Hands a new message to the application, and to the neighbours who expect that of us.
    fn message(&mut self, now: Now, peer: PeerId, data: Bytes, clear: bool, forward: bool) {
        if !self.flood.received(content_id(&data), Link::Peer(peer), now.mono) {
            return;
        }
        if forward {
            let others: Vec<PeerId> = self.v12.peers().into_iter().filter(|other| *other != peer).collect();
            for other in others.into_iter().take(limits::FLOOD_DEGREE) {
                // A neighbour that cannot take it is no failure of ours: floods are best effort.
                let _ = self.with_v12(now, |v12, env| v12.send(env, other, data.to_vec(), 0));
            }
        }
        self.event(Event::Message { peer, data, clear, broadcast: None });
    }

    /// A peer told of an address: dialled if the peer may tell so much, of so near an address.
    fn hinted(&mut self, now: Now, peer: PeerId, hint: Hint) {
        let Some(info) = self.v12.info(peer).filter(|info| info.confirmed) else { return };
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
