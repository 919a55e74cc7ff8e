//! All p2p-v12 sessions of a swarm: who is connected, who is not yet, who was.
//!
//! `receive` takes frames apart; this file keeps the tables. A peer becomes a link when its
//! address answered a HELLO or PING of ours, or when a frame of it decrypts. Links are
//! found by id and by address; an address belongs to one link. When a link ends, what
//! keeps replays replays is remembered for a bounded number of peers.
//! Docs: docs/protocol.md. Inputs: frames, sends, time. Outputs: `session::Out`.

mod acks;
mod family;
mod frag;
mod goodbye;
mod link;
mod memory;
mod receive;
mod rx;
mod strangers;
mod tx;
mod upgrade;

use crate::config::limits::{SEND_BUFFER_TOTAL_BYTES, V12_FRAG_DATA, V12_FRAG_MAX_TOTAL, V12_MAX_PAYLOAD};
use crate::crypto::identity::{V12Keys, WireId};
use crate::crypto::v12::PeerKey;
use crate::error::{Code, Error, Result};
use crate::node::api::{Family, Now, PeerId, PeerInfo, Source, Whom};
use crate::path::addrs::{Addrs, Proof};
use crate::path::dial::Dial;
use crate::session::{Ended, Env, SessionEvent};
use crate::swarm::door::Entry;
use crate::timers::{Timers, earlier};
use crate::wire::handshake::Hello;
use goodbye::Goodbyes;
use link::{End, Link, Start};
use memory::Memory;
use rand_chacha::rand_core::Rng;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use strangers::Strangers;
use tx::Outgoing;

/// A peer that may remember an earlier run of ours has this long to show that it does not.
const HEAL_AFTER: Duration = Duration::from_secs(3);
/// An address whose peer was heard so lately is not given to another one.
const ADDRESS_HELD: Duration = Duration::from_secs(5);

/// The largest message that is sent in clear fragments, where the application allowed that.
const MAX_IN_FRAGMENTS: usize = V12_FRAG_MAX_TOTAL as usize * V12_FRAG_DATA;

/// What the sessions need to know of the configuration.
#[derive(Clone, Copy)]
pub struct Options {
    pub max_peers: usize,
    pub send_buffer: usize,
    pub clear_fragments: bool,
    /// The identity is older than this run: peers may remember us.
    pub persistent: bool,
}

/// All v12 sessions.
pub struct V12 {
    options: Options,
    started: Instant,
    accepting: bool,
    links: BTreeMap<PeerId, Link>,
    by_id: BTreeMap<WireId, PeerId>,
    by_addr: BTreeMap<SocketAddr, PeerId>,
    strangers: Strangers,
    memory: Memory,
    goodbyes: Goodbyes,
    timers: Timers<PeerId>,
    /// Peers with a session of the other kind: they take places too.
    others: usize,
}

/// Our HELLO and HELLO_ACK.
fn our_hello(keys: &V12Keys) -> Hello {
    Hello { id: keys.wire_id(), key: *keys.public() }
}

impl V12 {
    pub fn new(options: Options, now: Now) -> V12 {
        V12 {
            options,
            started: now.mono,
            accepting: true,
            links: BTreeMap::new(),
            by_id: BTreeMap::new(),
            by_addr: BTreeMap::new(),
            strangers: Strangers::new(now.mono),
            memory: Memory::default(),
            goodbyes: Goodbyes::default(),
            timers: Timers::default(),
            others: 0,
        }
    }

    /// Whether new connections may be made.
    pub fn set_accepting(&mut self, accepting: bool) {
        self.accepting = accepting;
    }

    /// A HELLO to an address that is being dialled.
    pub fn send_hello(&self, env: &mut Env<'_>, to: SocketAddr) {
        env.out.send(to, our_hello(env.keys).hello().to_vec());
    }

    /// The largest message that any peer could take.
    pub fn max_message(&self) -> usize {
        if self.options.clear_fragments { MAX_IN_FRAGMENTS } else { V12_MAX_PAYLOAD }
    }

    /// Takes a message for one peer. `tag` other than 0 is reported when it left or was given up.
    pub fn send(&mut self, env: &mut Env<'_>, peer: PeerId, data: Vec<u8>, tag: u64) -> Result<()> {
        let total: usize = self.links.values().map(|link| link.tx.buffered()).sum();
        let options = self.options;
        let link = live(&mut self.links, peer)?;
        let len = data.len();
        let in_fragments = options.clear_fragments
            && link.family() == Family::JsOrPython
            && len > V12_MAX_PAYLOAD
            && len <= MAX_IN_FRAGMENTS;
        if len > link.max_message() && !in_fragments {
            let most = link.max_message();
            return Err(Error::new(
                Code::TooLarge,
                format!("data: {len} bytes; this peer takes at most {most} in one message, split it"),
            ));
        }
        // What the others have queued takes from the room of this one, so that either limit owes a `writable` event.
        let others = total.saturating_sub(link.tx.buffered());
        let limit = options.send_buffer.min(SEND_BUFFER_TOTAL_BYTES.saturating_sub(others));
        if !link.tx.has_room(len, limit) {
            return Err(Error::new(
                Code::WouldBlock,
                format!(
                    "{} bytes wait for this peer, {others} for others; wait for the writable event",
                    link.tx.buffered()
                ),
            ));
        }
        let fragments = in_fragments.then(|| env.rng.next_u64().to_be_bytes());
        link.tx.push(Outgoing { data, tag, fragments });
        self.service(env, peer);
        Ok(())
    }

    /// Ends a connection from our side.
    pub fn close(&mut self, env: &mut Env<'_>, peer: PeerId) -> Result<()> {
        let link = live(&mut self.links, peer)?;
        if link.guess.is_settled() {
            link.send_goaway(env);
        } else {
            self.goodbyes.owe(env.now.mono, link.addrs.current(), link.key.wire_id());
        }
        let end = End { code: Code::Closed, reason: "closed by this side".to_owned(), redial: false };
        self.end(env, peer, end);
        Ok(())
    }

    /// An address that a source named for a connected peer: it is measured, within the dial budget.
    pub fn hint(&mut self, env: &mut Env<'_>, peer: PeerId, addr: SocketAddr) {
        let bytes = crate::wire::ping::PING_BYTES;
        if self.by_addr.contains_key(&addr) || env.budget.take(addr.ip(), bytes as u32, env.now.mono).is_err() {
            return;
        }
        self.add_addr(env, peer, addr, Proof::Candidate);
        if let Some(link) = self.links.get_mut(&peer) {
            link.addrs.heard(&addr, bytes, env.now.mono);
            link.addrs.ping_soon(&addr, env.now.mono);
        }
        self.service(env, peer);
    }

    pub fn by_id(&self, id: &WireId) -> Option<PeerId> {
        self.by_id.get(id).copied()
    }

    /// The peer that answered at this address. Who merely named it does not own it.
    pub fn by_addr(&self, addr: &SocketAddr) -> Option<PeerId> {
        let peer = self.by_addr.get(addr)?;
        self.links.get(peer)?.addrs.proof(addr).is_some_and(|proof| proof > Proof::Candidate).then_some(*peer)
    }

    pub fn peers(&self) -> Vec<PeerId> {
        self.links.values().filter(|link| link.retired.is_none()).map(|link| link.id).collect()
    }

    /// How many peers have a session of the other kind.
    pub fn set_others(&mut self, others: usize) {
        self.others = others;
    }

    pub fn info(&self, peer: PeerId) -> Option<PeerInfo> {
        self.links.get(&peer).filter(|link| link.retired.is_none()).map(Link::info)
    }

    pub fn buffered(&self, peer: PeerId) -> Result<usize> {
        let link = self.links.get(&peer).filter(|link| link.retired.is_none());
        link.map(|link| link.tx.buffered()).ok_or_else(|| no_peer(peer))
    }

    /// Nothing of ours waits to be sent, and every peer can be told goodbye or is known not to bear it.
    pub fn is_idle(&self) -> bool {
        self.links.values().all(|link| link.tx.is_idle() && link.guess.is_settled())
    }

    /// Fills in the gauges.
    pub fn gauges(&self, stats: &mut crate::node::api::Stats) {
        stats.peers = self.count() as u64;
        stats.unconfirmed = self.strangers.len() as u64;
        stats.buffered_bytes = self.links.values().map(|link| link.tx.buffered() as u64).sum();
        stats.reassembly_bytes = self.reassembly_bytes() as u64;
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        earlier(self.timers.next(), self.strangers.poll_deadline())
    }

    pub fn handle_timeout(&mut self, env: &mut Env<'_>) {
        self.strangers.expire(env.now.mono);
        for peer in self.timers.take_due(env.now.mono) {
            self.service(env, peer);
        }
    }

    /// Does what is due for one link and sets its next deadline.
    fn service(&mut self, env: &mut Env<'_>, peer: PeerId) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        match link.service(env) {
            Ok(deadline) => {
                let now = (link.addrs.current(), link.family());
                if std::mem::replace(&mut link.told, now) != now {
                    env.out.events.push_back(SessionEvent::Updated { peer });
                }
                if link.tx.take_writable(self.options.send_buffer.min(SEND_BUFFER_TOTAL_BYTES)) {
                    env.out.events.push_back(SessionEvent::Writable { peer });
                }
                self.timers.set(peer, deadline);
            }
            Err(end) => self.end(env, peer, end),
        }
    }

    /// Whether a newcomer whom nobody chose and who proved nothing has no place.
    pub fn is_full(&self) -> bool {
        !self.accepting || self.count() + self.others >= self.options.max_peers
    }

    /// Whether even one that the application chose, or that proved itself, has no place.
    pub fn is_packed(&self) -> bool {
        !self.accepting || self.is_full() && !self.links.values().any(Link::may_yield)
    }

    /// Why there is no place.
    pub fn why_full(&self) -> String {
        match self.accepting {
            true => format!("the limit of {} peers is reached", self.options.max_peers),
            false => "no new connections are made until the events that wait are read".to_owned(),
        }
    }

    /// Makes room for one more connection, if there is any to be had. `proven`: a frame of it decrypted.
    fn make_room(&mut self, env: &mut Env<'_>, how: &How) -> bool {
        if !self.accepting {
            return false;
        }
        let proven = how.proof == Proof::Confirmed;
        if !self.is_full() {
            // Those who dialled us and proved nothing get half of the table.
            let incoming = self.links.values().filter(|link| !link.confirmed && !link.client).count();
            return how.client || proven || incoming < self.options.max_peers.div_ceil(2);
        }
        if !proven && !how.source.is_chosen() {
            return false;
        }
        // Those who came by themselves first, then by age.
        let yields = self
            .links
            .values()
            .filter(|link| link.may_yield() && link.retired.is_none())
            .min_by_key(|link| (link.client, link.id));
        let Some(oldest) = yields.map(|link| link.id) else { return false };
        let reason = "a peer that proved itself, or that the application dialled, needs the place".to_owned();
        self.end(env, oldest, End { code: Code::Refused, reason, redial: false });
        true
    }

    /// Makes a connection. None: there is no room.
    fn connect(&mut self, env: &mut Env<'_>, key: PeerKey, from: SocketAddr, how: How) -> Option<PeerId> {
        if self.is_held(env, &from) || !self.may_enter(env, &key, from, &how) || !self.make_room(env, &how) {
            return None;
        }
        self.release(env, &from);
        let now = env.now.mono;
        let stranger = self.strangers.remove(&from);
        self.goodbyes.take(now, &from, &key.wire_id());
        let since = how.since.into_iter().chain(stranger.map(|left| left.since)).min().unwrap_or(now);
        let id = env.new_peer();
        let known = self.memory.take(&key.wire_id());
        // A Rust peer that kept its entry of us shows its PEX only once.
        let was_rust = known.as_ref().is_some_and(|known| known.family == Family::Rust);
        let may_be_remembered = self.options.persistent
            && now.saturating_duration_since(self.started) < crate::config::limits::V12_PEER_TIMEOUT;
        let start = Start {
            id,
            key,
            source: how.source,
            client: how.client,
            connect_time: now.saturating_duration_since(since),
            addrs: Addrs::new(from, how.proof, now),
            next_sequence: known.as_ref().map_or(0, |known| known.next_sequence(now)),
            replay: known.map(|known| known.replay).unwrap_or_default(),
            prefix: env.rng.next_u32(),
            heal_at: may_be_remembered.then_some(now + HEAL_AFTER),
        };
        let mut link = Link::new(start, env.now);
        // The PING that leaves at once settles whether counters lower than those we remember are believed.
        link.handshake = Some((from, now));
        if self.strangers.take_rust_pex(&from) || was_rust {
            link.guess.rust_pex();
        }
        if let Some(ping) = stranger.and_then(|left| left.ping) {
            link.guess.ping(now, &ping);
            link.send_pong(env, from);
        }
        let info = Box::new(link.info());
        self.links.insert(id, link);
        self.by_id.insert(key.wire_id(), id);
        self.by_addr.insert(from, id);
        if how.client || how.proof == Proof::Confirmed {
            env.answered(from.ip(), 0);
        }
        env.out.stats.connections += 1;
        env.out.events.push_back(SessionEvent::Connected { peer: id, info });
        Some(id)
    }

    /// Whether it is neither banned nor unknown to the firewall, nor where a banned peer of our own kind was. Who is asked
    /// about is let in when he shows up again.
    fn may_enter(&self, env: &mut Env<'_>, key: &PeerKey, from: SocketAddr, how: &How) -> bool {
        let id = key.wire_id();
        let whom = env.proven.key_of(&id, env.now.unix_us).map_or(Whom::Legacy(id), Whom::Key);
        if env.door.is_banned(&Whom::Legacy(id), env.now.mono) || env.door.is_haunted(&from, env.now.mono) {
            return false;
        }
        match env.door.enter(&whom, !how.client, env.now.mono) {
            Entry::Open => true,
            Entry::Shut(_) => false,
            Entry::Ask => {
                env.out.events.push_back(SessionEvent::Knocked { whom, addr: from });
                false
            }
        }
    }

    /// The address is where a peer was heard lately: a datagram from there may be anybody's, and gives it to nobody.
    fn is_held(&self, env: &Env<'_>, addr: &SocketAddr) -> bool {
        let owner = self.by_addr.get(addr).and_then(|owner| self.links.get(owner));
        owner.is_some_and(|link| {
            let silent = env.now.mono.saturating_duration_since(link.last_seen);
            link.addrs.current() == *addr && silent < ADDRESS_HELD
        })
    }

    /// Frees an address for another peer that showed up there.
    fn release(&mut self, env: &mut Env<'_>, addr: &SocketAddr) {
        let Some(owner) = self.by_addr.get(addr).copied() else { return };
        match self.links.get_mut(&owner) {
            Some(link) if link.addrs.current() != *addr => {
                link.addrs.remove(addr);
                self.by_addr.remove(addr);
            }
            _ => {
                let reason = "its address belongs to another peer now".to_owned();
                self.end(env, owner, End { code: Code::TimedOut, reason, redial: false });
            }
        }
    }

    /// Adds an address to a link, unless another link owns it.
    fn add_addr(&mut self, env: &mut Env<'_>, peer: PeerId, addr: SocketAddr, proof: Proof) {
        if self.by_addr.contains_key(&addr) {
            return;
        }
        let Some(link) = self.links.get_mut(&peer) else { return };
        let gone = link.addrs.add(addr, proof, env.now.mono);
        if let Some(gone) = gone {
            self.by_addr.remove(&gone);
        }
        if link.addrs.contains(&addr) {
            self.by_addr.insert(addr, peer);
        }
    }

    /// Removes a link and everything kept for it but the memory of its session.
    fn end(&mut self, env: &mut Env<'_>, peer: PeerId, end: End) {
        let Some(mut link) = self.links.remove(&peer) else { return };
        let info = link.info();
        self.timers.set(peer, None);
        self.by_id.remove(&link.key.wire_id());
        self.by_addr.retain(|_, owner| *owner != peer);
        let (unsent, lost) = link.tx.give_up();
        env.out.stats.messages_lost += lost;
        // Who dialled us and proved nothing may never have been where he seemed to be.
        let known = link.confirmed || link.client;
        let redial = if end.redial && known { link.addrs.proven() } else { Vec::new() };
        // Our own kind knows a new session by its nonces and begins at 0 with it.
        let next_sequence = if link.is_ours() { 0 } else { link.tx.next_sequence() };
        self.memory.keep(env.now.mono, link.key.wire_id(), link.replay, next_sequence, info.family);
        if link.retired.is_some() {
            // The peer goes on over the modern session.
            return;
        }
        env.out.stats.disconnections += 1;
        let ended = Ended { info, code: end.code, reason: end.reason, redial, unsent };
        env.out.events.push_back(SessionEvent::Disconnected(Box::new(ended)));
    }

    fn reassembly_bytes(&self) -> usize {
        self.links.values().map(|link| link.frags.bytes() + link.rx.bytes()).sum()
    }
}

/// How a connection came about.
struct How {
    source: Source,
    client: bool,
    /// When the dial began, if there was one.
    since: Option<Instant>,
    proof: Proof,
}

impl How {
    /// A peer that dialled us, and that we may have found and be dialling as well.
    fn found(dial: &Option<Dial>, proof: Proof) -> How {
        How {
            source: dial.as_ref().map_or(Source::Incoming, |dial| dial.source),
            client: dial.is_some(),
            since: dial.as_ref().map(|dial| dial.started),
            proof,
        }
    }
}

/// A link that the application may use. One from which a modern session took over is none, even when that session is
/// over and the application has not been told yet.
fn live(links: &mut BTreeMap<PeerId, Link>, peer: PeerId) -> Result<&mut Link> {
    links.get_mut(&peer).filter(|link| link.retired.is_none()).ok_or_else(|| no_peer(peer))
}

fn no_peer(peer: PeerId) -> Error {
    Error::new(Code::NotFound, format!("peer: {} is not connected", peer.0))
}
