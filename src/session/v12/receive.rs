//! Frames as they come in, each checked before anything is kept.
//!
//! A frame is from a link (its address is known), from a stranger who said HELLO, or
//! from nobody. Only HELLO gets an answer from nobody's address, and never a larger one.

use super::strangers::Answer;
use super::{How, V12, our_hello};
use crate::config::limits::{HINTS_PER_FRAME, V12_FRAG_TOTAL_BYTES};
use crate::crypto::replay::Verdict;
use crate::crypto::v12::{PeerKey, SessionKeys, split_nonce};
use crate::discovery::Hint;
use crate::error::Code;
use crate::node::api::{PeerId, Source};
use crate::path::addrs::Proof;
use crate::session::v12::rx::Pushed;
use crate::session::{Env, SessionEvent};
use crate::wire::Frame;
use crate::wire::data::{Data, split_plaintext};
use crate::wire::frag::Frag;
use crate::wire::handshake::{HELLO_BYTES, Hello};
use crate::wire::pex::{Layout, Pex};
use crate::wire::ping::{GOAWAY, Ping, Pong, encode_ping};
use std::net::SocketAddr;

impl V12 {
    /// One datagram on the swarm's socket.
    pub fn receive(&mut self, env: &mut Env<'_>, from: SocketAddr, bytes: &[u8]) {
        match Frame::decode(bytes) {
            Ok(Frame::Batch(batch)) => {
                if let Some(link) = self.link_at(&from) {
                    self.not_rust(env, link);
                }
                // A frame inside a batch is one of its own; a batch inside a batch is none.
                for inner in batch.frames() {
                    match Frame::decode(inner) {
                        Ok(Frame::Batch(_)) | Err(_) => env.out.stats.datagrams_rejected += 1,
                        Ok(frame) => self.frame(env, from, frame, inner.len()),
                    }
                }
            }
            Ok(frame) => self.frame(env, from, frame, bytes.len()),
            Err(_) => env.out.stats.datagrams_rejected += 1,
        }
    }

    fn frame(&mut self, env: &mut Env<'_>, from: SocketAddr, frame: Frame<'_>, len: usize) {
        let link = self.link_at(&from);
        if let Some(link) = link.and_then(|peer| self.links.get_mut(&peer)) {
            link.bytes_received = link.bytes_received.saturating_add(len as u64);
        }
        match (frame, link) {
            (Frame::Hello(hello), _) => self.hello(env, from, &hello, len),
            (Frame::HelloAck(hello), _) => self.hello_ack(env, from, &hello),
            (Frame::Data(data), _) => self.data(env, from, &data),
            (Frame::Ping(ping), _) => self.ping(env, from, &ping, len),
            (Frame::Pong(pong), _) => self.pong(env, from, &pong),
            (Frame::Goaway, Some(peer)) => self.goaway(env, peer, from),
            (Frame::Frag(frag), Some(peer)) => self.fragment(env, peer, from, &frag),
            (Frame::Pex(pex), Some(peer)) => self.pex(env, peer, pex),
            (Frame::Pex(pex), None) if pex.layout == Layout::Fixed => {
                self.strangers.rust_pex(env.now.mono, from, env.dialer.awaits(&from));
            }
            (Frame::RelayFwd(forward), Some(peer)) => self.told(env, peer, forward.address, None),
            (Frame::IHave(_) | Frame::Have(_) | Frame::Want(_) | Frame::Chunk(_) | Frame::ChunkAck(_), Some(peer)) => {
                self.not_rust(env, peer);
            }
            _ => env.out.stats.datagrams_rejected += 1,
        }
        if let Some(peer) = link {
            self.service(env, peer);
        }
    }

    fn hello(&mut self, env: &mut Env<'_>, from: SocketAddr, hello: &Hello, len: usize) {
        if hello.id == env.keys.wire_id() {
            return self.own_address(env, from);
        }
        let known = self.by_id.get(&hello.id).copied();
        if self.must_be_modern(env, &from, &hello.id) {
            env.out.stats.datagrams_rejected += 1;
            return;
        }
        if known.is_none() && !self.accepting || !self.strangers.may_answer(from.ip(), env.now.mono) {
            env.out.stats.datagrams_rejected += 1;
            return;
        }
        let Some(key) = PeerKey::checked(hello.id, &hello.key) else {
            env.out.stats.datagrams_rejected += 1;
            return;
        };
        self.drop_claim(&from, known);
        match (known, self.link_at(&from)) {
            (Some(peer), owner) if owner.is_none_or(|owner| owner == peer) => {
                self.hello_of_link(env, peer, from, key, len);
            }
            (Some(_), _) => env.out.stats.datagrams_rejected += 1,
            (None, Some(_)) if self.is_held(env, &from) => env.out.stats.datagrams_rejected += 1,
            (None, _) if self.is_packed() => env.out.stats.datagrams_rejected += 1,
            (None, _) => {
                let answer = self.strangers.hello(env.now.mono, from, key, len);
                self.answer_stranger(env, from, answer);
            }
        }
    }

    /// An address that was only named for one peer is free for another that names it too.
    fn drop_claim(&mut self, from: &SocketAddr, claimant: Option<PeerId>) {
        if let Some(owner) = self.link_at(from).filter(|owner| Some(*owner) != claimant)
            && let Some(link) = self.links.get_mut(&owner)
            && link.addrs.proof(from) == Some(Proof::Candidate)
        {
            link.addrs.remove(from);
            self.by_addr.remove(from);
        }
    }

    /// A HELLO of a connected peer: a new address of it, a new run of it, or somebody else's words.
    fn hello_of_link(&mut self, env: &mut Env<'_>, peer: PeerId, from: SocketAddr, key: PeerKey, len: usize) {
        self.add_addr(env, peer, from, Proof::Candidate);
        let now = env.now.mono;
        let Some(link) = self.links.get_mut(&peer) else { return };
        if link.key != key {
            env.out.stats.datagrams_rejected += 1;
            return;
        }
        link.addrs.heard(&from, len, now);
        if link.addrs.proof(&from).is_some_and(|proof| proof > Proof::Candidate) {
            link.stays();
        }
        if link.addrs.may_answer(&from, HELLO_BYTES) {
            link.send_to(env, from, our_hello(env.keys).hello_ack().to_vec());
        }
        link.handshake = Some((from, now));
        link.addrs.ping_soon(&from, now);
        self.service(env, peer);
    }

    fn hello_ack(&mut self, env: &mut Env<'_>, from: SocketAddr, hello: &Hello) {
        if hello.id == env.keys.wire_id() {
            return self.own_address(env, from);
        }
        let awaited = env.dialer.awaits(&from) && !self.must_be_modern(env, &from, &hello.id);
        let Some(key) = PeerKey::checked(hello.id, &hello.key).filter(|_| awaited) else {
            env.out.stats.datagrams_rejected += 1;
            return;
        };
        let Some(dial) = env.dialer.finish(&from) else { return };
        let result = match self.by_id.get(&hello.id).copied() {
            Some(peer) => {
                self.drop_claim(&from, Some(peer));
                self.add_addr(env, peer, from, Proof::Candidate);
                if let Some(link) = self.links.get_mut(&peer) {
                    link.addrs.answered(&from, env.now.mono);
                    link.handshake = Some((from, env.now.mono));
                    link.addrs.ping_soon(&from, env.now.mono);
                }
                self.service(env, peer);
                Ok(peer)
            }
            None => {
                let how = How { source: dial.source, client: true, since: Some(dial.started), proof: Proof::Answered };
                self.connect(env, key, from, how).ok_or_else(|| self.refusal(&from))
            }
        };
        if let Ok(peer) = result {
            self.service(env, peer);
        }
        env.out.events.push_back(SessionEvent::DialDone { ops: dial.ops, result });
    }

    /// Why no connection was made with who answered.
    fn refusal(&self, from: &SocketAddr) -> (Code, String) {
        let why = match self.by_addr(from) {
            Some(_) => format!("{from} is the address of another connected peer"),
            None => self.why_full(),
        };
        (Code::Refused, why)
    }

    /// We dialled ourselves.
    fn own_address(&mut self, env: &mut Env<'_>, from: SocketAddr) {
        env.out.stats.datagrams_rejected += 1;
        if let Some(dial) = env.dialer.finish(&from) {
            let result = Err((Code::Refused, format!("{from} is our own address")));
            env.out.events.push_back(SessionEvent::DialDone { ops: dial.ops, result });
        }
    }

    fn answer_stranger(&mut self, env: &mut Env<'_>, to: SocketAddr, answer: Answer) {
        match answer {
            Answer::Nothing => {}
            Answer::HelloAck => env.out.send(to, our_hello(env.keys).hello_ack().to_vec()),
            Answer::Ping => env.out.send(to, encode_ping(0, env.keys.id()).to_vec()),
        }
    }

    fn ping(&mut self, env: &mut Env<'_>, from: SocketAddr, ping: &Ping, len: usize) {
        let now = env.now.mono;
        let named = ping.id.and_then(|id| self.by_id.get(&id).copied());
        // At another peer's address a name counts more: its owner may have begun anew with another identity.
        let peer = if ping.id.is_some() {
            self.drop_claim(&from, named);
            named.filter(|named| self.link_at(&from).is_none_or(|owner| owner == *named))
        } else {
            self.link_at(&from)
        };
        let Some(peer) = peer else {
            let answer = self.strangers.ping(now, &from, ping, len);
            return self.answer_stranger(env, from, answer);
        };
        self.add_addr(env, peer, from, Proof::Candidate);
        let Some(link) = self.links.get_mut(&peer) else { return };
        link.addrs.heard(&from, len, now);
        if link.addrs.proof(&from) == Some(Proof::Candidate) {
            link.addrs.ping_soon(&from, now);
        } else {
            link.last_seen = now;
            link.heard_ping = true;
            link.guess.ping(now, ping);
            link.answer_ping(env, from);
        }
        self.service(env, peer);
    }

    fn pong(&mut self, env: &mut Env<'_>, from: SocketAddr, pong: &Pong) {
        let now = env.now.mono;
        let id = match pong {
            Pong::Id(id) => Some(crate::crypto::identity::wire_id(id)),
            _ => None,
        };
        if let Some(peer) = self.link_at(&from)
            && let Some(link) = self.links.get_mut(&peer)
            && id.is_none_or(|id| id == link.key.wire_id())
        {
            link.last_seen = now;
            link.guess.pong(now, pong);
            link.pong(env, &from);
            return;
        }
        if let Some(id) = id
            && self.goodbyes.take(now, &from, &id)
        {
            env.out.send(from, GOAWAY.to_vec());
            return;
        }
        let Some(key) = self.strangers.pong(&from) else {
            env.out.stats.datagrams_rejected += 1;
            return;
        };
        if id.is_some_and(|id| id != key.wire_id()) || self.by_id.contains_key(&key.wire_id()) {
            env.out.stats.datagrams_rejected += 1;
            return;
        }
        // Whoever dialled us may have been found, and be dialled, by us as well.
        let dial = env.dialer.finish(&from);
        let how = How::found(&dial, Proof::Answered);
        let peer = self.connect(env, key, from, how);
        if let Some(peer) = peer {
            if let Some(link) = self.links.get_mut(&peer) {
                link.guess.pong(now, pong);
            }
            self.service(env, peer);
        }
        if let Some(dial) = dial {
            let result = peer.ok_or_else(|| self.refusal(&from));
            env.out.events.push_back(SessionEvent::DialDone { ops: dial.ops, result });
        }
    }

    fn data(&mut self, env: &mut Env<'_>, from: SocketAddr, data: &Data<'_>) {
        let opened = match self.link_at(&from) {
            Some(peer) => {
                let opened = self.links.get_mut(&peer).and_then(|link| link.keys(env)?.open(data.nonce, data.sealed));
                opened.map(|plain| (peer, plain))
            }
            None => self.data_of_stranger(env, from, data),
        };
        let Some((peer, plain)) = opened else {
            env.out.stats.datagrams_rejected += 1;
            return;
        };
        self.opened(env, peer, from, data, &plain);
        self.service(env, peer);
    }

    /// A frame that decrypts proves a stranger at once.
    fn data_of_stranger(&mut self, env: &mut Env<'_>, from: SocketAddr, data: &Data<'_>) -> Option<(PeerId, Vec<u8>)> {
        let key = self.strangers.try_open(env.now.mono, &from)?;
        let plain = SessionKeys::derive(env.keys, &key.public)?.open(data.nonce, data.sealed)?;
        if self.by_id.contains_key(&key.wire_id()) {
            return None;
        }
        let dial = env.dialer.finish(&from);
        let how = How::found(&dial, Proof::Confirmed);
        let peer = self.connect(env, key, from, how);
        if let Some(dial) = dial {
            let result = peer.ok_or_else(|| self.refusal(&from));
            env.out.events.push_back(SessionEvent::DialDone { ops: dial.ops, result });
        }
        Some((peer?, plain))
    }

    /// An authentic frame of a connected peer.
    fn opened(&mut self, env: &mut Env<'_>, peer: PeerId, from: SocketAddr, data: &Data<'_>, plain: &[u8]) {
        let now = env.now.mono;
        let Some(link) = self.links.get_mut(&peer) else { return };
        let Some(session_id) = link.keys(env).map(SessionKeys::session_id) else { return };
        let (prefix, counter) = split_nonce(&data.nonce);
        let tag = data.sealed.last_chunk().map_or(0, |tag| u64::from_be_bytes(*tag));
        let verdict = link.replay.judge(prefix, counter, tag, session_id, link.reset_allowed);
        if verdict == Verdict::Replay {
            env.out.stats.datagrams_rejected += 1;
            return;
        }
        if verdict == Verdict::NewSession {
            link.reset_allowed = false;
            if link.heard_data {
                link.rx = Default::default();
                if prefix == session_id {
                    // An old peer keeps both directions in one place: it forgot our numbers, too.
                    link.tx.peer_restarted(link.family(), now);
                }
            }
        }
        if !link.heard_data && prefix == session_id && counter > 0 && link.heal_at.is_some() {
            // Its numbers go on from an earlier run of ours: so do those it expects of us.
            link.remembers_us = true;
            link.heal_at = Some(now);
        }
        link.heard_data = true;
        link.heard_from(now);
        link.addrs.confirm(&from, now);
        let ours = link.is_ours();
        if ours {
            link.guess.ours();
        }
        if !std::mem::replace(&mut link.confirmed, true) {
            env.out.events.push_back(SessionEvent::Updated { peer });
        }
        // Gossip without a sequence number: old peers recognise it by its first byte.
        if let Some(gossip) = crate::wire::json::gossip(plain) {
            return link.gossip(env, gossip);
        }
        let Some((sequence, payload)) = split_plaintext(plain) else { return };
        if payload.is_empty() && link.rx.is_past(sequence) {
            return;
        }
        match link.rx.push(now, sequence, payload.to_vec()) {
            Pushed::Deliver(messages) => {
                link.acks.received();
                messages.into_iter().for_each(|message| link.deliver(env, message));
            }
            Pushed::Duplicate => {}
            Pushed::Overflow => env.out.stats.messages_lost += 1,
        }
    }

    fn goaway(&mut self, env: &mut Env<'_>, peer: PeerId, from: SocketAddr) {
        if let Some(link) = self.links.get_mut(&peer)
            && link.addrs.proof(&from).is_some_and(|proof| proof > Proof::Candidate)
        {
            link.goaway(env.now.mono);
        }
    }

    fn fragment(&mut self, env: &mut Env<'_>, peer: PeerId, from: SocketAddr, frag: &Frag<'_>) {
        let room = V12_FRAG_TOTAL_BYTES.saturating_sub(self.reassembly_bytes());
        self.not_rust(env, peer);
        let Some(link) = self.links.get_mut(&peer) else { return };
        if link.addrs.proof(&from).is_none_or(|proof| proof == Proof::Candidate) {
            env.out.stats.datagrams_rejected += 1;
            return;
        }
        if let Some(data) = link.frags.push(env.now.mono, frag, room) {
            link.messages_received = link.messages_received.saturating_add(1);
            env.out.stats.messages_received += 1;
            // Our own kind expects no forwarding, and whoever forged this would have it sealed by us.
            let forward = !link.is_ours();
            env.out.events.push_back(SessionEvent::Message { peer, data: data.into(), clear: true, forward });
        }
    }

    fn pex(&mut self, env: &mut Env<'_>, peer: PeerId, pex: Pex<'_>) {
        if let Some(link) = self.links.get_mut(&peer)
            && pex.layout == Layout::Fixed
        {
            link.guess.rust_pex();
        }
        for entry in pex.entries().take(HINTS_PER_FRAME) {
            self.told(env, peer, entry.address, Some(entry.id));
        }
    }

    /// A confirmed peer tells of another address.
    fn told(&mut self, env: &mut Env<'_>, peer: PeerId, addr: SocketAddr, id: Option<[u8; 8]>) {
        if self.links.get(&peer).is_some_and(|link| link.confirmed) {
            let hint = Hint { addr, id, key: None, source: Source::Pex, topic: None };
            env.out.events.push_back(SessionEvent::Hinted { peer, hint: Box::new(hint) });
        }
    }

    fn not_rust(&mut self, env: &mut Env<'_>, peer: PeerId) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.guess.not_rust(env.now.mono);
        }
    }

    /// The peer whose address this is, or was said to be.
    fn link_at(&self, from: &SocketAddr) -> Option<PeerId> {
        self.by_addr.get(from).copied()
    }
}
