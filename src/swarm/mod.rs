//! The swarm's behaviour: topics and what is wanted of them, the peers that are known, whom to dial when, whom to let in.
//!
//! It is written once, over whatever sessions and sources there are: the `Roster` is told what sources found, which
//! dials failed and which connections came and went, and says whom to dial, which rounds the sources are to make,
//! and what the application hears. It knows no datagram. Semantics: docs/swarm.md.
//! `topics` are discoveries and their rounds, `known` the table of peers, `queue` and `retry` the order and time of
//! dials, `door` bans and the firewall, `flush` the calls that wait. This file has the state and what is told of it;
//! `found`, `dial`, `rounds` and `manage` are what happens to it. Everything random comes from the rng that is lent.

pub mod bulk;
pub mod dedup;
mod dial;
pub mod door;
mod flush;
mod found;
mod known;
mod manage;
pub mod queue;
pub mod retry;
mod rounds;
mod topics;

pub use found::Found;
pub use topics::Wants;

use crate::config::swarm::SwarmOptions;
use crate::node::api::{Event, KnownPeer, OpId, PeerId, RoundKind, Source, SwarmStats, SwarmStatus, TopicId, Whom};
use crate::session::quic::TopicNo;
use crate::timers::{Timers, earlier};
use dedup::Dedup;
use door::Door;
use flush::Flushes;
use known::{Known, Peers};
use queue::Queue;
use rand_chacha::ChaCha20Rng;
use retry::Retry;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;
use topics::Discovery;

/// What the owner is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Dial a peer at all of these addresses; without any, find it by its key. Answered by `connected` or `dial_failed`.
    Dial { whom: Whom, addrs: Vec<SocketAddr>, source: Source, explicit: bool },
    /// A peer that is being dialled may be there, too.
    DialMore { whom: Whom, addr: SocketAddr },
    /// Ask every source about a topic. Answered by `found` and, once, `round_done`.
    Round { no: TopicNo, query: u64, kind: RoundKind, clear: bool },
    /// Nobody waits for this round any more.
    Cancel { query: u64 },
    /// Take back what was announced. Answered by `unannounced`.
    Unannounce { name: [u8; 32] },
    /// An operation ended. False: there is no result, as at the end of the swarm.
    Done { op: OpId, ok: bool },
    /// End a connection.
    Close { peer: PeerId, reason: &'static str },
    /// Let in who dials us and waits, or turn him away.
    Admit { whom: Whom, allowed: bool },
    /// Tell the application.
    Event(Event),
}

/// What one call may use.
pub struct Lent<'a> {
    pub now: Instant,
    pub rng: &'a mut ChaCha20Rng,
}

/// The state of one swarm.
pub struct Roster {
    options: SwarmOptions,
    own: Vec<Whom>,
    topics: BTreeMap<TopicNo, Discovery>,
    /// When the next round of each topic is due.
    rounds: Timers<TopicNo>,
    /// The topics of the rounds that run.
    running: BTreeMap<u64, TopicNo>,
    /// Topics that are being taken back, how often, and until when that is waited for.
    leaving: BTreeMap<[u8; 32], usize>,
    patience: Timers<[u8; 32]>,
    peers: Peers,
    queue: Queue<Whom>,
    retry: Retry,
    pub door: Door,
    flushes: Flushes,
    dedup: Dedup,
    /// Peers joined by key, in that order.
    explicit: Vec<Whom>,
    /// Dials in progress, and connections that we dialled.
    dialling: usize,
    clients: usize,
    connections: usize,
    last_query: u64,
    stats: SwarmStats,
    listening: bool,
    suspended: bool,
    closed: bool,
    out: VecDeque<Action>,
}

impl Roster {
    /// `own`: the names we go by, which are never dialled.
    pub fn new(options: SwarmOptions, own: Vec<Whom>, rng: &mut ChaCha20Rng) -> Roster {
        Roster {
            retry: Retry::new(&options, rng),
            door: Door::new(&options),
            options,
            own,
            topics: BTreeMap::new(),
            rounds: Timers::default(),
            running: BTreeMap::new(),
            leaving: BTreeMap::new(),
            patience: Timers::default(),
            peers: Peers::default(),
            queue: Queue::default(),
            flushes: Flushes::default(),
            dedup: Dedup::default(),
            explicit: Vec::new(),
            dialling: 0,
            clients: 0,
            connections: 0,
            last_query: 0,
            stats: SwarmStats::default(),
            listening: false,
            suspended: false,
            closed: false,
            out: VecDeque::new(),
        }
    }

    pub fn options(&self) -> &SwarmOptions {
        &self.options
    }

    /// `close` was called.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    pub fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// What is to be done next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.out.pop_front()
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let rounds = earlier(self.rounds.next(), self.patience.next());
        earlier(rounds, earlier(self.retry.poll_deadline(), self.door.poll_deadline()))
    }

    pub fn handle_timeout(&mut self, lent: &mut Lent<'_>) {
        if self.closed {
            return;
        }
        for verdict in self.door.handle_timeout(lent.now) {
            self.judged(lent, verdict);
        }
        for whom in self.door.take_freed(lent.now) {
            self.collect(&whom, lent);
        }
        self.retry_due(lent);
        self.leaving_due(lent);
        self.rounds_due(lent);
        self.dial_on(lent);
    }

    /// Gauges and flags.
    pub fn status(&self) -> SwarmStatus {
        SwarmStatus {
            connecting: self.dialling,
            connections: self.connections,
            known: self.peers.len(),
            queued: self.queue.len(),
            explicit: self.explicit.len(),
            open: !self.is_full(),
            listening: self.listening,
            suspended: self.suspended,
        }
    }

    pub fn stats(&self) -> SwarmStats {
        self.stats
    }

    /// What is known of a peer. `id_of`: the session of the application that stands for a topic.
    pub fn known(&self, whom: &Whom, now: Instant, id_of: impl Fn(TopicNo) -> Option<TopicId>) -> Option<KnownPeer> {
        let banned = self.door.is_banned(whom, now);
        match self.peers.get(whom) {
            Some(known) => Some(self.describe(whom, known, banned, id_of)),
            None if banned => {
                let mut nobody = Peers::default();
                let known = nobody.enter(*whom, Source::Incoming).clone();
                Some(self.describe(whom, &known, banned, id_of))
            }
            None => None,
        }
    }

    pub fn is_known(&self, whom: &Whom) -> bool {
        self.peers.get(whom).is_some()
    }

    /// Everyone who is known or banned.
    pub fn known_peers(&self) -> Vec<Whom> {
        let mut all: Vec<Whom> = self.peers.iter().map(|(whom, _)| *whom).collect();
        all.extend(self.door.banned().filter(|whom| self.peers.get(whom).is_none()));
        all
    }

    fn describe(
        &self,
        whom: &Whom,
        known: &Known,
        banned: bool,
        id_of: impl Fn(TopicNo) -> Option<TopicId>,
    ) -> KnownPeer {
        KnownPeer {
            whom: *whom,
            addresses: known.addrs.clone(),
            source: known.source,
            topics: known.topics.iter().filter_map(|no| id_of(*no)).collect(),
            connected: known.connected,
            attempts: known.attempts,
            priority: self.retry.priority(known),
            proven: known.proven,
            banned,
            duplicate: known.duplicate.is_some(),
            client: known.client,
            explicit: known.explicit,
            reconnecting: known.reconnecting,
            queued: self.queue.contains(whom),
            waiting: known.waiting,
            dialling: known.dialling,
        }
    }

    pub fn whom_of(&self, peer: PeerId) -> Option<Whom> {
        self.peers.of(peer)
    }

    /// All that is kept for peers, by name, for tests of what is left when they are gone.
    pub fn held(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("dials of the swarm", self.dialling),
            ("dialled", self.clients),
            ("accepted", self.door.servers),
            ("queued", self.queue.len()),
            ("rounds of the swarm", self.running.len()),
            ("questions", self.door.questions()),
            ("flushes", usize::from(!self.flushes.is_empty())),
            ("id pairs", self.dedup.pairs()),
            ("held duplicates", self.dedup.held()),
        ]
    }

    fn tell(&mut self, event: Event) {
        self.out.push_back(Action::Event(event));
    }

    /// The state that the application may show changed.
    fn updated(&mut self) {
        self.stats.updates = self.stats.updates.saturating_add(1);
        let peers = &self.peers;
        self.door.dialling.retain(|whom| peers.get(whom).is_some_and(|known| known.dialling));
        self.door.connections = self.connections;
        let (connecting, connections, known) = (self.dialling, self.connections, self.peers.len());
        self.tell(Event::Changed { connecting, connections, known });
    }
}
