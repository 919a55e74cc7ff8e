//! The whole of a swarm, sans-IO: routes inputs to the machines and gathers their outputs.
//!
//! Inputs: datagrams, interfaces, own addresses, resolved names, calls of the application (`app`), the
//! time. After one or several of them the caller drains `poll_output`, then `poll_transmit`
//! as far as the network has room, and asks `poll_deadline` when to come back. `follow` turns what sessions report into events, hints into dials, and passes
//! on what old peers expect to be passed on. Everything random comes from the seed.

pub mod api;
mod app;
mod attempts;
mod follow;
pub mod manage;
mod mesh;
mod ops;
mod rounds;
mod sessions;
mod streams;
mod swarm;
mod topics;

pub use api::*;

use crate::config::Config;
use crate::crypto::identity::Identity;
use crate::discovery::cache::{self, Cache};
use crate::discovery::lan::Lan;
use crate::error::{Code, Error, Result};
use crate::mesh::flood::Flood;
use crate::path::budget::DialBudget;
use crate::path::dial::{Dialer, Step};
use crate::path::proven::Proven;
use crate::session::Out;
use crate::session::quic::{self, Quic, send_probe};
use crate::session::v12::{Options, V12};
use crate::swarm::Lent;
use crate::swarm::Roster;
use crate::timers::{Timers, earlier};
use ops::Ops;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use swarm::roster;

/// One swarm's protocol state.
pub struct Node {
    identity: Identity,
    ports: LocalPorts,
    /// Those that others are told.
    told_ports: LocalPorts,
    seeds: Vec<String>,
    /// Dialled when nobody was met for some time.
    bootstrap: Vec<String>,
    rng: ChaCha20Rng,
    v12: V12,
    quic: Quic,
    /// Old peers are spoken to.
    legacy: bool,
    proven: Proven,
    dialer: Dialer,
    budget: DialBudget,
    roster: Roster,
    attempts: attempts::Attempts,
    rounds: rounds::Rounds,
    /// Operations that look for a peer by its key.
    finding: BTreeMap<OpId, [u8; 32]>,
    /// A source outside of the node answers rounds.
    outside: bool,
    /// Others find us by our key: when that is announced outside again, and whether it is being taken back.
    findable: bool,
    next_own: Option<Instant>,
    forgetting: bool,
    accepts_explicit: bool,
    lan: Option<Lan>,
    /// Of this host, as far as they reach our sockets.
    addresses: Vec<IpAddr>,
    /// Somebody dialled us from outside since these addresses changed.
    reachable: bool,
    cache: Cache,
    flood: Flood,
    mesh: mesh::Mesh,
    topics: topics::Table,
    /// V12 peers that may turn out to be of our own kind, and when they are asked.
    upgrades: Timers<PeerId>,
    ops: Ops,
    /// How many more hints a peer may give now.
    hints: BTreeMap<PeerId, crate::bucket::Bucket>,
    next_seeds: Option<Instant>,
    next_bootstrap: Option<Instant>,
    last_id: u64,
    last_peer: u64,
    max_peers: usize,
    accepting: bool,
    closing: Closing,
    session: Out,
    out: VecDeque<Output>,
}

/// How far the end has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    Open,
    /// Waiting messages leave until then.
    Draining(Instant),
    Closed,
}

impl Node {
    /// `seed`: randomness for everything this node draws.
    pub fn new(config: &Config, identity: Identity, ports: LocalPorts, seed: [u8; 32], now: Now) -> Result<Node> {
        let options = Options {
            max_peers: config.swarm.places(),
            send_buffer: config.send_buffer,
            clear_fragments: config.clear_fragments,
            persistent: config.seed.is_some(),
        };
        let modern = quic::Options {
            send_buffer: config.send_buffer,
            max_message: config.max_message,
            accept_explicit: config.accept_explicit,
            legacy: config.legacy,
            cipher: config.cipher,
        };
        let mut rng = ChaCha20Rng::from_seed(seed);
        let quic = Quic::new(modern, &identity, &mut rng, now)?;
        let own = vec![Whom::Key(identity.key()), Whom::Legacy(identity.v12().wire_id())];
        let mut roster_rng = ChaCha20Rng::from_seed(seed);
        roster_rng.set_stream(1);
        // The text was checked when it was set.
        let known = config.peer_cache.as_deref().map_or_else(Vec::new, |json| cache::parse(json).unwrap_or_default());
        let mut proven = Proven::default();
        known.iter().filter_map(cache::Entry::link).for_each(|link| proven.learn(link, now.unix_us));
        // A family without a socket is not offered under another port.
        let told = |bound: Option<u16>| bound.map(|bound| config.announce_port.unwrap_or(bound));
        let told_ports = LocalPorts { v4: told(ports.v4), v6: told(ports.v6) };
        Ok(Node {
            lan: config.lan.then(|| Lan::new(&identity, told_ports, now.unix_us, config.legacy)),
            ports,
            told_ports,
            seeds: config.seeds.clone(),
            bootstrap: config.bootstrap.clone(),
            rng,
            v12: V12::new(options, now),
            quic,
            legacy: config.legacy,
            proven,
            dialer: Dialer::default(),
            budget: DialBudget::default(),
            roster: Roster::new(config.swarm.clone(), own, &mut roster_rng),
            attempts: attempts::Attempts::default(),
            rounds: rounds::Rounds::default(),
            finding: BTreeMap::new(),
            outside: config.source,
            findable: false,
            next_own: None,
            forgetting: false,
            accepts_explicit: config.accept_explicit,
            addresses: Vec::new(),
            reachable: false,
            cache: Cache::new(known),
            flood: Flood::default(),
            mesh: mesh::Mesh::new(now, identity.key()),
            identity,
            topics: topics::Table::default(),
            upgrades: Timers::default(),
            ops: Ops::default(),
            hints: BTreeMap::new(),
            next_seeds: None,
            next_bootstrap: None,
            last_id: 0,
            last_peer: 0,
            max_peers: config.swarm.places(),
            accepting: true,
            closing: Closing::Open,
            session: Out::default(),
            out: VecDeque::new(),
        })
    }

    /// Datagrams came in.
    pub fn handle_datagrams(&mut self, now: Now, mut datagrams: Datagrams) {
        if self.closing == Closing::Closed {
            return;
        }
        let from = datagrams.from;
        while let Some(datagram) = datagrams.next() {
            self.session.stats.datagrams_received += 1;
            self.session.stats.bytes_received += datagram.len() as u64;
            match (datagrams.via, datagram.first()) {
                (Via::Lan { .. }, _) => self.beacon(now, from, &datagram),
                (Via::Main, Some(first)) if first & 0x40 != 0 => {
                    let ecn = datagrams.ecn;
                    self.with_quic(now, |quic, env| quic.receive(env, from, ecn, datagram));
                }
                (Via::Main, Some(0xA3..=0xBF)) => {
                    self.ours(now, from, &datagram);
                    self.follow(now);
                }
                (Via::Main, Some(0x01..=0x30 | 0xA1 | 0xA2)) if self.legacy => {
                    self.with_v12(now, |v12, env| v12.receive(env, from, &datagram));
                    // What one datagram did is told before the next can undo it.
                    self.follow(now);
                }
                (Via::Main, _) => self.session.stats.datagrams_rejected += 1,
            }
        }
    }

    /// The interfaces that the LAN source may use, when they changed.
    pub fn handle_interfaces(&mut self, now: Now, interfaces: &[LanInterface]) {
        if let Some(lan) = &mut self.lan {
            lan.set_interfaces(now, interfaces);
        }
        self.handle_timeout(now);
    }

    /// The answer to `Output::Resolve`.
    pub fn handle_resolved(&mut self, now: Now, query: u64, result: std::result::Result<Vec<SocketAddr>, String>) {
        let Some(wanted) = self.ops.take_query(query) else { return };
        match result {
            Ok(addrs) => self.dial_all(now, &addrs, wanted.source, wanted.op),
            Err(why) => {
                let detail = format!("{}: {why}", wanted.host);
                self.log(Level::Warn, || format!("name look-up failed: {detail}"));
                if let Some(op) = wanted.op {
                    self.finish_op(op, Err((Code::Resolve, detail)));
                }
            }
        }
        self.handle_timeout(now);
    }

    /// Time went by, or something was asked for that is due at once.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.closing == Closing::Closed {
            return;
        }
        let mut refused = 0;
        for step in self.dialer.handle_timeout(now.mono, &mut self.budget, &mut refused) {
            match step {
                Step::Probe(to, key) => {
                    let nonce = self.with_quic(now, |_, env| send_probe(env, to, key));
                    self.dialer.probed(&to, nonce);
                }
                Step::Hello(to) => self.with_v12(now, |v12, env| v12.send_hello(env, to)),
                Step::GivenUp { addr, ops, sent } => {
                    self.log(Level::Debug, || format!("nobody answered at {addr} ({sent} datagrams sent)"));
                    for op in ops {
                        self.dial_failed(now, op, Code::Unreachable, format!("nobody answered at {addr}"));
                    }
                }
            }
        }
        self.session.stats.dials_refused_by_budget += refused;
        self.with_v12(now, |v12, env| v12.handle_timeout(env));
        self.with_quic(now, |quic, env| quic.handle_timeout(env));
        self.mesh_timeout(now);
        self.upgrade_due(now);
        if let Some(lan) = &mut self.lan {
            let beacons = lan.handle_timeout(now, &mut self.rng);
            self.session.transmits.extend(beacons);
        }
        self.attempts_due(now);
        self.own_due(now);
        self.rounds_due(now);
        roster!(self, now, |roster, lent| roster.handle_timeout(lent));
        for (op, detail) in self.ops.take_expired(now.mono) {
            self.finish_op(op, Err((Code::TimedOut, detail)));
        }
        self.bootstrap_due(now);
        if self.next_seeds.is_some_and(|at| at <= now.mono) {
            self.dial_seeds(now);
        }
        if let Some(json) = self.cache.handle_timeout(now.mono) {
            self.event(Event::Peers { json });
        }
        self.follow(now);
        self.finish_closing(now);
    }

    /// What the node wants done next; nothing: ask again after the next input.
    pub fn poll_output(&mut self, now: Now) -> Option<Output> {
        if self.out.is_empty() && self.quic.has_work() {
            self.with_quic(now, |quic, env| quic.work(env));
            self.follow(now);
            self.finish_closing(now);
        }
        self.out.pop_front()
    }

    /// What is to be sent next. `room`: the network takes more at once; false: only what cannot wait with its
    /// session, which then sends no faster than the network does. Nothing: ask again after the next input.
    pub fn poll_transmit(&mut self, now: Now, room: bool) -> Option<Transmit> {
        let transmit = match self.session.transmits.pop_front() {
            Some(transmit) => transmit,
            None if room => self.quic.poll_transmit(now, &mut self.session)?,
            None => return None,
        };
        self.session.stats.datagrams_sent += transmit.count() as u64;
        self.session.stats.bytes_sent += transmit.bytes.len() as u64;
        Some(transmit)
    }

    /// Takes back the buffer of a transmit that left, to be used again.
    pub fn recycle(&mut self, buffer: Vec<u8>) {
        self.session.recycle(buffer);
    }

    /// When `handle_timeout` is to be called, if nothing else happens before.
    pub fn poll_deadline(&self) -> Option<Instant> {
        let mut at = match self.closing {
            Closing::Closed => return None,
            Closing::Draining(until) => Some(until),
            Closing::Open => self.next_seeds,
        };
        at = earlier(at, self.v12.poll_deadline());
        at = earlier(at, self.quic.poll_deadline());
        at = earlier(at, self.mesh.poll_deadline());
        at = earlier(at, self.upgrades.next());
        at = earlier(at, self.dialer.poll_deadline());
        at = earlier(at, self.lan.as_ref().and_then(Lan::poll_deadline));
        at = earlier(at, self.roster.poll_deadline());
        at = earlier(at, self.attempts.poll_deadline());
        at = earlier(at, self.rounds.poll_deadline());
        at = earlier(at, self.next_own);
        at = earlier(at, self.next_bootstrap);
        at = earlier(at, self.ops.poll_deadline());
        earlier(at, self.cache.poll_deadline())
    }

    /// False: the event queue has no reserved room left; no new connection is made until it is true again.
    pub fn set_accepting(&mut self, _now: Now, accepting: bool) {
        self.accepting = accepting && self.closing == Closing::Open;
        self.v12.set_accepting(self.accepting);
        self.quic.set_accepting(self.accepting);
    }

    /// How many bytes of events are taken now. With none left, modern sessions hold their peers back.
    pub fn set_room(&mut self, bytes: usize) {
        // What has not been taken out yet has its place already.
        if self.out.is_empty() {
            self.quic.set_room(bytes);
        }
    }

    /// `poll_output` or `poll_transmit` may have something, beside what the clock brings.
    pub fn has_work(&self) -> bool {
        self.quic.has_work() || !self.out.is_empty() || !self.session.transmits.is_empty()
    }

    /// The room that was set is used up: modern sessions read nothing until there is more.
    pub fn is_held_back(&self) -> bool {
        !self.quic.has_room_for_events()
    }

    /// The last event has been put out.
    pub fn is_closed(&self) -> bool {
        self.closing == Closing::Closed && self.out.is_empty() && self.session.transmits.is_empty()
    }

    /// It takes nothing in any more: what it still puts out has an end.
    pub fn has_ended(&self) -> bool {
        self.closing == Closing::Closed
    }

    /// A datagram on the multicast socket: a beacon of somebody, or nothing.
    fn beacon(&mut self, now: Now, from: SocketAddr, bytes: &[u8]) {
        match self.lan.as_mut().map(|lan| lan.handle_datagram(now, from, bytes)) {
            Some(Ok(Some(hint))) => {
                self.hint(now, hint);
                self.handle_timeout(now);
            }
            Some(Ok(None)) => {}
            Some(Err(_)) | None => self.session.stats.datagrams_rejected += 1,
        }
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn log(&mut self, level: Level, text: impl FnOnce() -> String) {
        self.out.push_back(Output::Log { level, text: text() });
    }

    fn check_open(&self) -> Result<()> {
        match self.closing {
            Closing::Open => Ok(()),
            _ => Err(Error::new(Code::Closed, "swarm: it is closed; make a new one")),
        }
    }
}
