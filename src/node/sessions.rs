//! Both kinds of sessions seen as one: who is connected, how one kind follows the other.
//!
//! A modern session is preferred everywhere. When a v12 peer turns out to be of our own kind, one of
//! the two sides asks it to change, and the session goes on under the same `PeerId`. All that
//! goes to one peer goes to the kind of session it has now.

use super::Node;
use crate::config::limits::{self, UPGRADE_WAIT};
use crate::crypto::identity::{LegacyId, WireId, wire_id};
use crate::error::{Code, Error, Result};
use crate::node::api::*;
use crate::path::dial::Target;
use crate::path::{Scope, scope};
use crate::session::quic::Quic;
use crate::session::v12::V12;
use crate::session::{Env, SessionEvent};
use crate::swarm::door::SERVER_LIMIT;
use crate::wire::v13;
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};

/// Lends a kind of sessions, by its field, what it works with.
macro_rules! lend {
    ($node:ident, $now:ident, $kind:ident, $call:ident) => {{
        let full =
            !$node.accepting || ($node.v12.count() + $node.quic.count() >= $node.max_peers && !$node.v12.may_yield());
        let mut env = Env {
            now: $now,
            identity: &$node.identity,
            keys: $node.identity.v12(),
            rng: &mut $node.rng,
            dialer: &mut $node.dialer,
            budget: &mut $node.budget,
            proven: &mut $node.proven,
            door: &mut $node.roster.door,
            last_id: &mut $node.last_peer,
            full,
            out: &mut $node.session,
        };
        $call(&mut $node.$kind, &mut env)
    }};
}

impl Node {
    pub(super) fn with_v12<T>(&mut self, now: Now, call: impl FnOnce(&mut V12, &mut Env<'_>) -> T) -> T {
        self.v12.set_others(self.quic.count());
        lend!(self, now, v12, call)
    }

    pub(super) fn with_quic<T>(&mut self, now: Now, call: impl FnOnce(&mut Quic, &mut Env<'_>) -> T) -> T {
        lend!(self, now, quic, call)
    }

    /// A datagram of ours beside QUIC.
    pub(super) fn ours(&mut self, now: Now, from: SocketAddr, bytes: &[u8]) {
        match v13::Datagram::decode(bytes) {
            Ok(v13::Datagram::Probe(probe)) => self.with_quic(now, |quic, env| quic.handle_probe(env, from, &probe)),
            Ok(v13::Datagram::ProbeAck(ack)) => self.with_quic(now, |quic, env| quic.handle_probe_ack(env, from, &ack)),
            Ok(v13::Datagram::SessionProbe(probe)) => {
                self.with_quic(now, |quic, env| quic.handle_session_probe(env, from, &probe));
            }
            // A beacon belongs on the multicast group.
            Ok(v13::Datagram::Beacon(_)) | Err(_) => self.session.stats.datagrams_rejected += 1,
        }
    }

    /// The addresses of this host at which our sockets can be reached, when they changed.
    pub fn handle_addresses(&mut self, now: Now, addresses: &[IpAddr]) {
        if self.addresses == addresses {
            return;
        }
        self.addresses = addresses.to_vec();
        self.reachable = false;
        let told = told(addresses, self.ports);
        self.with_quic(now, |quic, env| quic.set_addrs(env, told));
        self.handle_timeout(now);
    }

    /// All connected peers.
    pub fn peers(&self) -> Vec<PeerId> {
        let mut peers = self.v12.peers();
        peers.extend(self.quic.peers());
        peers.sort_unstable();
        peers
    }

    pub fn peer_info(&self, peer: PeerId) -> Option<PeerInfo> {
        let mut info = match self.quic.holds(peer) {
            true => self.quic.info(peer)?,
            false => self.v12.info(peer)?,
        };
        info.topics = self.quic.shared(peer).map_or_else(Vec::new, |shared| self.topics.ids_of(shared));
        Some(info)
    }

    /// Bytes that wait for a peer.
    pub fn buffered(&self, peer: PeerId) -> Result<usize> {
        if self.quic.holds(peer) { self.quic.buffered(peer) } else { self.v12.buffered(peer) }
    }

    /// Says goodbye to a peer; over a modern session what waits leaves first. It may come back unless nobody looks for it.
    pub fn close_peer(&mut self, now: Now, peer: PeerId) -> Result<()> {
        match self.quic.holds(peer) {
            true => self.with_quic(now, |quic, env| quic.close(env, peer))?,
            false => self.with_v12(now, |v12, env| v12.close(env, peer))?,
        }
        self.follow(now);
        Ok(())
    }

    /// Hands a message to the session of a peer.
    pub(super) fn deliver_to(&mut self, now: Now, peer: PeerId, data: Bytes, tag: u64) -> Result<()> {
        match self.quic.holds(peer) {
            true => {
                self.quic.send(peer, data, tag)?;
                self.session.stats.messages_sent += 1;
                Ok(())
            }
            false => self.with_v12(now, |v12, env| v12.send(env, peer, data.into(), tag)),
        }
    }

    /// The connected peer with this id of the old wire, whatever its session.
    pub(super) fn by_wire_id(&self, id: &WireId) -> Option<PeerId> {
        // A link that only takes in the rest has the number of the session that goes on.
        self.quic.by_wire_id(id).or_else(|| self.v12.by_id(id))
    }

    pub(super) fn by_addr(&self, addr: &SocketAddr) -> Option<PeerId> {
        self.quic.by_addr(addr).or_else(|| self.v12.by_addr(addr))
    }

    /// Whether even a peer that the application chose has no place.
    pub(super) fn is_packed(&self) -> bool {
        !self.accepting || (self.count() >= self.max_peers && !self.v12.may_yield())
    }

    /// Whether a newcomer whom nobody chose has no place.
    pub(super) fn is_full(&self) -> bool {
        !self.accepting || self.count() >= self.max_peers
    }

    pub(super) fn why_full(&self) -> String {
        match self.accepting {
            true => format!("the limit of {} peers is reached", self.max_peers),
            false => "no new connections are made until the events that wait are read".to_owned(),
        }
    }

    fn count(&self) -> usize {
        self.v12.count() + self.quic.count()
    }

    /// A modern session can begin: it gets a number, or goes on under that of the v12 session with the peer.
    pub(super) fn agreed(&mut self, now: Now, index: usize, legacy: Option<LegacyId>) {
        // The door may have been shut since the key was shown.
        let whom = self.quic.key_at(index).map(Whom::Key);
        if let Some(why) = whom.and_then(|whom| self.roster.door.bars(&whom, now.mono)) {
            return self.with_quic(now, |quic, env| quic.turn_away(env, index, why));
        }
        let old = legacy.and_then(|id| self.v12.by_id(&wire_id(&id))).filter(|peer| !self.quic.holds(*peer));
        // Counted here and now: several may have agreed at the same time. Who goes on has its place.
        let no_place = if old.is_some() { !self.accepting } else { self.is_packed() };
        if no_place {
            let why = format!("no place: {}", self.why_full());
            return self.with_quic(now, |quic, env| quic.turn_away(env, index, why));
        }
        // Others may have agreed since it was let in.
        if self.quic.is_accepted(index) && !self.roster.door.takes_server(self.newly_accepted()) {
            return self.with_quic(now, |quic, env| quic.turn_away(env, index, SERVER_LIMIT));
        }
        let (peer, waiting) = match old {
            Some(peer) => {
                self.upgrades.set(peer, None);
                (peer, self.with_v12(now, |v12, env| v12.retire(env, peer)))
            }
            None => (self.with_quic(now, |_, env| env.new_peer()), Vec::new()),
        };
        self.with_quic(now, |quic, env| quic.open(env, index, peer, old.is_some()));
        for (data, tag) in waiting {
            if let Err(Error { code, detail }) = self.quic.send(peer, data, tag) {
                self.session.stats.messages_lost += 1;
                self.session.events.push_back(SessionEvent::Sent { tag, failure: Some((code, detail)) });
            }
        }
        while self.count() > self.max_peers && self.v12.may_yield() {
            self.with_v12(now, |v12, env| v12.yield_one(env));
        }
    }

    /// Those who dialled us, are connected, and of whom the roster has not heard.
    fn newly_accepted(&self) -> usize {
        let new = self.session.events.iter().filter(|event| match event {
            SessionEvent::Connected { peer, .. } => self.quic.info(*peer).is_some_and(|info| !info.client),
            _ => false,
        });
        new.count()
    }

    /// A modern peer proved its legacy id: a v12 session with it is needless.
    pub(super) fn linked(&mut self, now: Now, peer: PeerId, id: LegacyId) {
        if let Some(old) = self.v12.by_id(&wire_id(&id)).filter(|old| *old != peer && !self.quic.holds(*old)) {
            // The old one is listed: it was found just now.
            let _ = self.with_v12(now, |v12, env| v12.close(env, old));
        }
        self.session.events.push_back(SessionEvent::Updated { peer });
    }

    /// A banned peer of our own kind was at this address: so it is the one that speaks the old wire from there.
    pub(super) fn haunted(&mut self, now: Now, addr: SocketAddr) {
        if let Some(peer) = self.v12.by_addr(&addr).filter(|peer| !self.quic.holds(*peer)) {
            // The old one is listed: it was found just now.
            let _ = self.with_v12(now, |v12, env| v12.close(env, peer));
        }
    }

    /// Whether a modern peer shares a topic with us that needs no secret.
    pub(super) fn shares_public(&self, peer: PeerId) -> bool {
        let is_public = |no| self.topics.name(no).is_some_and(|name| !name.is_private());
        self.quic.shared(peer).is_some_and(|shared| shared.iter().copied().any(is_public))
    }

    /// A v12 peer may be of our own kind: one of the two asks, the other if that one does not. It may be one that is banned,
    /// too: then we ask at once.
    pub(super) fn plan_upgrade(&mut self, now: Now, info: &PeerInfo) {
        if info.session == Session::V12
            && let Some(id) = &info.legacy_id
        {
            let first = self.identity.v12().wire_id() > wire_id(id) || self.roster.door.bans_keys();
            let wait = if first { std::time::Duration::ZERO } else { UPGRADE_WAIT };
            self.upgrades.set(info.id, Some(now.mono + wait));
        }
    }

    pub(super) fn upgrade_due(&mut self, now: Now) {
        for peer in self.upgrades.take_due(now.mono) {
            let Some(info) = self.v12.info(peer).filter(|_| !self.quic.holds(peer)) else { continue };
            let (addr, source) = (info.address, info.source);
            if self.dialer.len() < limits::DIALS_MAX && self.dialer.get(&addr).is_none() {
                let target = Target { addr, source, expected: None, key: None, continues: Some(peer), modern: true };
                self.dialer.start(now.mono, target, None);
            }
        }
    }

    /// Sends a datagram to one peer, or says why that cannot be.
    pub(super) fn check_modern(&self, peer: PeerId, what: &str) -> Result<()> {
        match (self.quic.holds(peer), self.v12.info(peer)) {
            (true, _) => Ok(()),
            (false, Some(_)) => {
                Err(Error::new(Code::NotSupported, format!("peer: {} speaks p2p-v12, which has no {what}", peer.0)))
            }
            (false, None) => Err(Error::new(Code::NotFound, format!("peer: {} is not connected", peer.0))),
        }
    }
}

/// The addresses that peers are told, the families in turn. Not those of a link: they mean something else elsewhere.
fn told(addresses: &[IpAddr], ports: LocalPorts) -> Vec<SocketAddr> {
    let of_family = |v4: bool, port: Option<u16>| {
        let told = addresses.iter().filter(move |ip| ip.is_ipv4() == v4 && scope(ip) != Scope::Link);
        let told = port.map(|port| told.map(move |ip| SocketAddr::new(*ip, port)));
        told.into_iter().flatten()
    };
    let (mut v4, mut v6) = (of_family(true, ports.v4).fuse(), of_family(false, ports.v6).fuse());
    let turns = std::iter::from_fn(|| match (v4.next(), v6.next()) {
        (None, None) => None,
        pair => Some([pair.0, pair.1]),
    });
    turns.flatten().flatten().take(limits::ADDRS_TOLD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_told_addresses_of_both_families_in_turn() {
        let parse = |texts: &[&str]| -> Vec<IpAddr> { texts.iter().map(|text| text.parse().unwrap()).collect() };
        let all = parse(&["10.0.0.1", "fe80::1", "10.0.0.2", "fd00::1", "169.254.0.9", "2001:db8::1", "fd00::2"]);
        let told = |v4, v6| -> Vec<String> {
            super::told(&all, LocalPorts { v4, v6 }).iter().map(SocketAddr::to_string).collect()
        };
        assert_eq!(told(Some(5), None), ["10.0.0.1:5", "10.0.0.2:5"]);
        assert_eq!(
            told(Some(5), Some(6)),
            ["10.0.0.1:5", "[fd00::1]:6", "10.0.0.2:5", "[2001:db8::1]:6", "[fd00::2]:6"]
        );
        assert!(told(None, None).is_empty());
        let many: Vec<IpAddr> = (0..20).map(|n| IpAddr::from([10, 0, 0, n])).collect();
        let ports = LocalPorts { v4: Some(5), v6: Some(6) };
        assert_eq!(super::told(&many, ports).len(), limits::ADDRS_TOLD);
    }
}
