//! All modern sessions of a swarm: `setowire/13`, QUIC between two of our own.
//!
//! This file keeps the tables: links by connection handle, by peer, by key. `endpoint` finds the
//! connection of a datagram, `link` is one connection, `exchange` its control stream, `flow` all others, `probing` finds
//! our own kind before a dial, `admit` decides which of two connections with one key stays.
//! Links are marked when something happened to them and worked off by `work`; what they have to send is taken by
//! `poll_transmit`, one link after the other, so that none starves the rest.
//! Docs: docs/protocol.md. Inputs: datagrams, calls of the application, time. Outputs: `session::Out`.

mod admit;
mod api;
mod budget;
mod close;
mod congestion;
mod datagrams;
mod endpoint;
mod exchange;
mod fault;
mod flow;
mod inbox;
mod incoming;
mod link;
mod mesh;
mod outbox;
mod pace;
mod parked;
mod probing;
mod streams;
mod transport;
mod unread;
mod writer;

#[cfg(test)]
mod endpoint_tests;
#[cfg(test)]
mod exchange_tests;
#[cfg(test)]
mod messages_tests;
#[cfg(test)]
mod streams_tests;
#[cfg(test)]
mod testing;

pub use exchange::{Joined, TopicNo, Topics};
pub use probing::send_probe;

use crate::bucket::Bucket;
use crate::config::Cipher;
use crate::config::limits::{
    DIALS_MAX, QUIC_COPY_BYTES, QUIC_PENDING_MAX, QUIC_PENDING_PER_IP, QUIC_RETURNING_PER_SECOND,
    QUIC_WINDOWS_TOTAL_BYTES, REASSEMBLY_TOTAL_BYTES, SEND_BUFFER_TOTAL_BYTES, TRANSMIT_BYTES, TRANSMIT_SEGMENTS,
};
use crate::crypto::identity::{Identity, WireId, wire_id};
use crate::crypto::tls::Tls;
use crate::crypto::topic::Role;
use crate::error::{Code, Result};
use crate::node::api::{Now, OpId, PeerId, Source, StreamId, Transmit, Via};
use crate::path::proven;
use crate::path::session::{PathEvent, PathOut, Paths};
use crate::session::{Env, Out, SessionEvent};
use crate::timers::{Timers, earlier};
use crate::wire::v13::{Probe, ProbeAck, SessionProbe};
use budget::Budget;
use bytes::BytesMut;
use endpoint::{Arrival, Endpoint};
use exchange::{Lent, Own, Told};
use flow::Shared;
use link::{Dialled, Link, Progress};
use pace::{Answered, Pace};
use parked::Parked;
use probing::Probing;
use quinn_proto::EcnCodepoint;
use rand_chacha::ChaCha20Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use unread::Unread;

/// What the sessions need to know of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub send_buffer: usize,
    pub max_message: usize,
    pub accept_explicit: bool,
    pub legacy: bool,
    pub cipher: Cipher,
}

/// Lends what sessions share.
macro_rules! lend {
    ($quic:ident, $env:ident) => {
        Shared {
            reassembly: &mut $quic.reassembly,
            windows: &mut $quic.windows,
            unread: &mut $quic.unread,
            room: &mut $quic.room,
            owners: &mut $quic.owners,
            last_stream: &mut $quic.last_stream,
            max_message: $quic.options.max_message,
            out: &mut *$env.out,
        }
    };
}
use lend;

/// All modern sessions.
pub struct Quic {
    options: Options,
    own: Own,
    own_key: [u8; 32],
    tls: Tls,
    endpoint: Endpoint,
    probing: Probing,
    pace: Pace,
    topics: Topics,
    /// By the number of the connection's handle, which is used again.
    links: Vec<Option<Box<Link>>>,
    peers: BTreeMap<PeerId, usize>,
    /// Open sessions.
    keys: BTreeMap<[u8; 32], usize>,
    /// Open sessions with peers that proved an id of the old wire.
    legacies: BTreeMap<WireId, PeerId>,
    /// Tags of session probes that are taken now, and whose they are.
    tags: BTreeMap<[u8; 8], usize>,
    /// Dials that another connection with the same key is to answer.
    waiting: BTreeMap<[u8; 32], Vec<OpId>>,
    /// Addresses where we met ourselves.
    mirrors: BTreeMap<SocketAddr, Instant>,
    /// Our own addresses, as peers are told.
    addrs: Vec<SocketAddr>,
    busy: BTreeSet<usize>,
    sending: VecDeque<usize>,
    timers: Timers<usize>,
    reassembly: Budget,
    windows: Budget,
    /// Bytes of messages that wait for all peers together.
    buffered: usize,
    /// Peers whose message was refused for that.
    crowded: BTreeSet<PeerId>,
    /// Which connection a stream of the application belongs to.
    owners: BTreeMap<StreamId, usize>,
    last_stream: u64,
    /// Streams whose connection is gone, and that were not read to their end.
    unread: Unread,
    /// Bytes of events that the application's queue takes now.
    room: usize,
    parked: Parked,
    accepting: bool,
    /// Handshakes of strangers while all places are taken.
    returning: Bucket,
}

impl Quic {
    pub fn new(options: Options, identity: &Identity, rng: &mut ChaCha20Rng, now: Now) -> Result<Quic> {
        let tls = Tls::new(identity, options.cipher)?;
        let own = Own {
            instance: now.unix_us,
            max_message: options.max_message as u64,
            accept_explicit: options.accept_explicit,
            legacy: options.legacy,
        };
        Ok(Quic {
            endpoint: Endpoint::new(tls.server(), transport::transport(), rng, now),
            probing: Probing::new(rng, now.mono),
            pace: Pace::default(),
            options,
            own,
            own_key: identity.key(),
            tls,
            topics: Topics::new(),
            links: Vec::new(),
            peers: BTreeMap::new(),
            keys: BTreeMap::new(),
            legacies: BTreeMap::new(),
            tags: BTreeMap::new(),
            waiting: BTreeMap::new(),
            mirrors: BTreeMap::new(),
            addrs: Vec::new(),
            busy: BTreeSet::new(),
            sending: VecDeque::new(),
            timers: Timers::default(),
            reassembly: Budget::new(REASSEMBLY_TOTAL_BYTES),
            windows: Budget::new(QUIC_WINDOWS_TOTAL_BYTES),
            buffered: 0,
            crowded: BTreeSet::new(),
            owners: BTreeMap::new(),
            last_stream: 0,
            unread: Unread::default(),
            room: usize::MAX,
            parked: Parked::default(),
            accepting: true,
            returning: Bucket::new(QUIC_RETURNING_PER_SECOND, QUIC_RETURNING_PER_SECOND, now.mono),
        })
    }

    /// A PROBE, and its answer.
    pub fn handle_probe(&mut self, env: &mut Env<'_>, from: SocketAddr, probe: &Probe) {
        self.probing.answer(env, from, probe);
    }

    /// A PROBE of ours was answered: the dial goes on with QUIC, if there is one.
    pub fn handle_probe_ack(&mut self, env: &mut Env<'_>, from: SocketAddr, ack: &ProbeAck) {
        let Some(dial) = env.dialer.answer(&from, &ack.nonce) else {
            env.out.stats.datagrams_rejected += 1;
            return;
        };
        let (waits, sent) = (!dial.source.is_chosen() && dial.continues.is_none(), dial.sent());
        env.answered(from.ip(), sent);
        match waits {
            true => {
                if self.pace.len() >= DIALS_MAX {
                    self.pace.retain(|addr| env.dialer.is_answered(addr));
                }
                self.pace.wait((from, ack.cookie));
            }
            false => self.connect(env, (from, ack.cookie)),
        }
        self.go_on(env);
    }

    /// Lets dials that wait go on, as many as may.
    fn go_on(&mut self, env: &mut Env<'_>) {
        while self.pace.has_waiting() {
            let pending = || self.links.iter().flatten().filter(|link| link.is_pending());
            let under_way = pending().filter(|link| link.role == Role::Dialler).map(|link| link.started);
            let dials_us = |addr: &SocketAddr| pending().any(|link| link.role == Role::Acceptor && link.label == *addr);
            let Some((addr, cookie)) = self.pace.next(under_way, dials_us, env.now.mono) else { return };
            let Some(dial) = env.dialer.get(&addr).filter(|_| env.dialer.is_answered(&addr)) else {
                // Its owner has given it up.
                continue;
            };
            let key = dial.key;
            match self.links.iter().flatten().find(|link| link.label == addr && link.is_open()) {
                // The peer has come by itself.
                Some(link) if key.is_none() || key == link.key => {
                    let (ops, peer) = (env.dialer.finish(&addr).map_or_else(Vec::new, |dial| dial.ops), link.peer);
                    env.out.events.extend(peer.map(|peer| SessionEvent::DialDone { ops, result: Ok(peer) }));
                }
                _ => self.connect(env, (addr, cookie)),
            }
        }
    }

    /// A PROBE of ours was answered, and its dial goes on with QUIC.
    fn connect(&mut self, env: &mut Env<'_>, (from, cookie): Answered) {
        let Some(dial) = env.dialer.get(&from) else { return };
        let (source, expected, continues) = (dial.source, dial.key, dial.continues);
        let dialled = Dialled { expected, explicit: source.is_chosen(), continues };
        match self.endpoint.connect(env.now, from, self.tls.client(expected), cookie) {
            Ok((handle, connection)) => {
                let mut link = Link::new(handle, connection, from, source, env.now.mono);
                link.dial = Some(dialled);
                self.insert(handle.0, link);
            }
            Err(detail) => {
                let ops = env.dialer.finish(&from).map_or_else(Vec::new, |dial| dial.ops);
                env.out.events.push_back(SessionEvent::DialDone { ops, result: Err((Code::Internal, detail)) });
            }
        }
    }

    /// A QUIC datagram.
    pub fn receive(&mut self, env: &mut Env<'_>, from: SocketAddr, ecn: u8, datagram: BytesMut) {
        if let Some(handle) = self.endpoint.owner(&datagram)
            && let Some(link) = self.link(handle.0)
        {
            link.heard_from(from, datagram.len(), env.now.mono);
        }
        let ecn = EcnCodepoint::from_bits(ecn);
        let (links, may) = (&self.links, self.accepting && self.parked.is_empty());
        let (returning, full, now) = (&mut self.returning, env.full, env.now.mono);
        // Whose place is taken shows in the handshake: it may be by himself, before he crashed.
        let mut returns = || is_from(links, from.ip()) || returning.take(1, now);
        let room = || may && has_room(links, from.ip()) && (!full || returns());
        match self.endpoint.receive(env.now, from, ecn, datagram, self.probing.cookies(), room) {
            Arrival::Event(handle, event) => {
                if let Some(link) = self.link(handle.0) {
                    link.handle_event(event);
                    self.mark(handle.0);
                }
            }
            Arrival::New(handle, connection) => {
                let link = Link::new(handle, *connection, from, Source::Incoming, env.now.mono);
                self.insert(handle.0, link);
            }
            Arrival::Answer(bytes) => env.out.send(from, bytes),
            Arrival::Nothing => env.out.stats.datagrams_rejected += 1,
        }
    }

    /// A session probe: whose it is, its tag says.
    pub fn handle_session_probe(&mut self, env: &mut Env<'_>, from: SocketAddr, probe: &SessionProbe) {
        let Some(index) = self.tags.get(&probe.tag).copied() else {
            env.out.stats.datagrams_rejected += 1;
            return;
        };
        self.with_paths(env, index, |paths, env, out| {
            paths.handle_probe(from, probe, env.now.mono, out);
        });
    }

    /// Addresses of interfaces changed: every session asks its peer at once whether it still gets through. `addrs`: those
    /// that peers are told.
    pub fn set_addrs(&mut self, env: &mut Env<'_>, addrs: Vec<SocketAddr>) {
        let news = self.addrs != addrs;
        self.addrs = addrs;
        for index in self.indices() {
            let Some(link) = self.links.get_mut(index).and_then(Option::as_mut) else { continue };
            if news
                && link.is_open()
                && let Some(exchange) = &mut link.exchange
            {
                exchange.tell_addrs(&self.addrs);
            }
            self.with_paths(env, index, |paths, env, _| paths.local_changed(env.now.mono));
            self.mark(index);
        }
    }

    /// A topic was joined.
    pub fn join(&mut self, no: TopicNo, joined: Joined) {
        self.topics.insert(no, joined);
        self.topics_changed();
    }

    /// A topic was left.
    pub fn leave(&mut self, env: &mut Env<'_>, no: TopicNo) {
        let Some(joined) = self.topics.remove(&no) else { return };
        for index in self.indices() {
            let Some(link) = self.links.get_mut(index).and_then(Option::as_mut) else { continue };
            let was = link.exchange.as_mut().is_some_and(|exchange| exchange.left(no, &joined.key));
            if let (true, Some(peer)) = (was, link.peer) {
                env.out.events.push_back(SessionEvent::Shared { peer });
                self.mark(index);
            }
        }
    }

    /// Links compare topics again.
    fn topics_changed(&mut self) {
        for index in self.indices() {
            if let Some(exchange) = self.link(index).and_then(|link| link.exchange.as_mut()) {
                exchange.topics_changed();
                self.mark(index);
            }
        }
    }

    /// Works off the links to which something happened.
    pub fn work(&mut self, env: &mut Env<'_>) {
        // Behind what waits of the same peer.
        self.parked.park(self.unread.take_told());
        self.parked.release(&mut self.room, &mut env.out.events);
        while let Some(index) = self.busy.pop_first() {
            self.work_one(env, index);
        }
        self.go_on(env);
    }

    fn work_one(&mut self, env: &mut Env<'_>, index: usize) {
        let Some(mut link) = self.links.get_mut(index).and_then(Option::take) else { return };
        let mut progress = Vec::new();
        let (now, full) = (env.now.mono, env.full);
        let mut lent = Lent { topics: &self.topics, own: &self.own, v12: env.keys, rng: env.rng, now };
        // Who has a place already may have lost his session, as after a crash: the new one takes the place of the old.
        let has_place = |key: &[u8; 32]| !full || self.keys.contains_key(key);
        link.work(now, &self.own_key, &has_place, &mut lent, &mut self.endpoint, &mut progress);
        let before = self.reassembly.free();
        link.run_flow(now, index, &mut lend!(self, env), &mut progress);
        // Not what it was just now: acknowledgements came with the datagrams before.
        let waits = link.buffered();
        self.recount(std::mem::replace(&mut link.counted, waits), waits, env.out);
        if self.reassembly.free() > before {
            // Room came back: for whoever waits for it.
            let starved = self.links.iter().enumerate();
            self.busy.extend(
                starved.filter(|(_, link)| link.as_ref().is_some_and(|link| link.is_starved())).map(|(n, _)| n),
            );
        }
        self.put(index, link);
        for progress in progress {
            self.progress(env, index, progress);
        }
        self.with_paths(env, index, |paths, env, out| paths.handle_timeout(env.now.mono, env.budget, env.rng, out));
        self.wind_up(index);
    }

    /// Sets what follows from a link's state: its timer, its place among those that send, its end.
    fn wind_up(&mut self, index: usize) {
        let Some(link) = self.link(index) else { return };
        if link.is_drained() {
            let handle = link.handle;
            self.endpoint.forget(handle);
            self.timers.set(index, None);
            self.sending.retain(|other| *other != index);
            if let Some(place) = self.links.get_mut(index) {
                *place = None;
            }
            return;
        }
        let deadline = link.deadline();
        self.timers.set(index, deadline);
        let link = self.link(index);
        if link.is_some_and(|link| !std::mem::replace(&mut link.sends, true)) {
            self.sending.push_back(index);
        }
    }

    /// Less or more waits for a peer than before. Who was refused for want of room in total hears when half of it is free.
    fn recount(&mut self, before: usize, after: usize, out: &mut Out) {
        self.buffered = self.buffered.saturating_sub(before).saturating_add(after);
        if self.buffered <= SEND_BUFFER_TOTAL_BYTES / 2 {
            let free = std::mem::take(&mut self.crowded).into_iter();
            out.events.extend(free.map(|peer| SessionEvent::Writable { peer }));
        }
    }

    /// The next datagrams of a session.
    pub fn poll_transmit(&mut self, now: Now, out: &mut Out) -> Option<Transmit> {
        while let Some(index) = self.sending.pop_front() {
            let Some(link) = self.links.get_mut(index).and_then(Option::as_mut) else { continue };
            let mut bytes = out.buffer();
            let fit = TRANSMIT_BYTES.checked_div(usize::from(link.conn.current_mtu())).unwrap_or(1);
            match link.conn.poll_transmit(now.mono, fit.clamp(1, TRANSMIT_SEGMENTS), &mut bytes) {
                Some(_) if link.spares_probe(now.mono) => {
                    out.recycle(bytes);
                    self.sending.push_front(index);
                }
                Some(transmit) => {
                    let to = link.destination();
                    link.sent(now.mono, &bytes, transmit.segment_size);
                    if bytes.len() <= QUIC_COPY_BYTES {
                        // Acknowledgements of many peers would hold a large buffer each.
                        let exact = bytes.as_slice().to_vec();
                        out.recycle(std::mem::replace(&mut bytes, exact));
                    }
                    self.sending.push_back(index);
                    let ecn = transmit.ecn.map_or(0, |ecn| ecn as u8);
                    return Some(Transmit {
                        via: Via::Main,
                        to,
                        bytes,
                        segment: transmit.segment_size,
                        ecn,
                        whole: true,
                    });
                }
                None => {
                    out.recycle(bytes);
                    link.sends = false;
                    let deadline = link.deadline();
                    self.timers.set(index, deadline);
                }
            }
        }
        None
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        earlier(self.timers.next(), self.pace.poll_deadline())
    }

    /// There are links that `work` has to look at.
    pub fn has_work(&self) -> bool {
        !self.busy.is_empty() || self.unread.has_told() || self.room > 0 && !self.parked.is_empty()
    }

    pub fn handle_timeout(&mut self, env: &mut Env<'_>) {
        for index in self.timers.take_due(env.now.mono) {
            self.mark(index);
        }
        self.mirrors.retain(|_, until| *until > env.now.mono);
        self.work(env);
    }

    /// How many bytes of events the application's queue takes; sessions that were held back go on when there is room.
    pub fn set_room(&mut self, room: usize) {
        let before = std::mem::replace(&mut self.room, room);
        if before == 0 && room > 0 {
            self.busy.extend(self.peers.values());
        }
    }

    pub fn has_room_for_events(&self) -> bool {
        self.room > 0
    }

    fn progress(&mut self, env: &mut Env<'_>, index: usize, progress: Progress) {
        match progress {
            Progress::Met => self.knock(env, index),
            Progress::Ready => self.agreed(env, index),
            Progress::Ended(lost) => self.ended(env, index, lost),
            Progress::Told(Told::Ready) => {}
            Progress::Told(Told::Instance(instance)) => self.compare(env, index, instance),
            Progress::Told(Told::Shared) => {
                if let Some(peer) = self.link(index).and_then(|link| link.peer) {
                    env.out.events.push_back(SessionEvent::Shared { peer });
                }
            }
            Progress::Told(Told::Addrs(addrs)) => {
                self.with_paths(env, index, |paths, env, _| paths.add_candidates(&addrs, env.now.mono));
            }
            Progress::Told(Told::Legacy(id)) => {
                let Some(link) = self.link(index) else { return };
                let (Some(key), peer) = (link.key, link.peer) else { return };
                env.proven.learn(proven::Link { id, key, unix_us: env.now.unix_us }, env.now.unix_us);
                if let Some(peer) = peer {
                    self.legacies.insert(wire_id(&id), peer);
                    env.out.events.push_back(SessionEvent::Legacy { peer, id });
                }
            }
        }
    }

    /// Lets a link's choice of path act, and carries out what it wants.
    fn with_paths(
        &mut self,
        env: &mut Env<'_>,
        index: usize,
        call: impl FnOnce(&mut Paths, &mut Env<'_>, &mut PathOut),
    ) {
        let Some(link) = self.links.get_mut(index).and_then(Option::as_mut) else { return };
        if !link.minds_paths() {
            return;
        }
        let (Some(paths), peer) = (&mut link.paths, link.peer) else { return };
        let mut out = PathOut::default();
        call(paths, env, &mut out);
        if out.events.iter().any(|event| matches!(event, PathEvent::Switched { .. })) {
            // It carries what the peer waits to see acknowledged: else both would wait for a timer of QUIC.
            link.conn.ping();
        }
        let deadline = link.deadline();
        self.timers.set(index, deadline);
        for (to, datagram) in out.datagrams {
            env.out.send(to, datagram);
        }
        for event in out.events {
            match event {
                PathEvent::TagAdded(tag) => {
                    self.tags.insert(tag, index);
                }
                PathEvent::TagGone(tag) => {
                    self.tags.remove(&tag);
                }
                PathEvent::Confirmed(addr) => env.budget.answered(addr.ip(), env.now.mono),
                PathEvent::Lapsed(_) => {}
                PathEvent::Switched { .. } => {
                    if let Some(peer) = peer {
                        env.out.events.push_back(SessionEvent::Updated { peer });
                    }
                    self.mark(index);
                }
            }
        }
    }

    fn insert(&mut self, index: usize, link: Link) {
        if self.links.len() <= index {
            self.links.resize_with(index + 1, || None);
        }
        self.put(index, Box::new(link));
        self.mark(index);
    }

    fn put(&mut self, index: usize, link: Box<Link>) {
        if let Some(place) = self.links.get_mut(index) {
            *place = Some(link);
        }
    }

    fn link(&mut self, index: usize) -> Option<&mut Link> {
        self.links.get_mut(index).and_then(Option::as_deref_mut)
    }

    fn indices(&self) -> Vec<usize> {
        self.links.iter().enumerate().filter(|(_, link)| link.is_some()).map(|(index, _)| index).collect()
    }

    fn mark(&mut self, index: usize) {
        self.busy.insert(index);
    }
}

/// Whether an open session is with a peer at this IP address.
fn is_from(links: &[Option<Box<Link>>], ip: IpAddr) -> bool {
    links.iter().flatten().any(|link| link.is_open() && link.destination().ip() == ip)
}

/// Whether one more may begin to connect from there, beside those that have not finished.
fn has_room(links: &[Option<Box<Link>>], ip: IpAddr) -> bool {
    let pending = links.iter().flatten().filter(|link| link.role == Role::Acceptor && !link.is_open());
    let (mut all, mut of_ip) = (0usize, 0usize);
    for link in pending {
        all += 1;
        of_ip += usize::from(link.label.ip() == ip);
    }
    all < QUIC_PENDING_MAX && of_ip < QUIC_PENDING_PER_IP
}
