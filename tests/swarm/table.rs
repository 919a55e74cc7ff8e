//! The roster alone, without a node: rows about the queue and about what is known of one peer drive it by hand.

use crate::bed::ms;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use setowire::config::swarm::SwarmOptions;
use setowire::node::{Event, KnownPeer, PeerId, Source, TopicId, Whom};
use setowire::session::quic::TopicNo;
use setowire::swarm::{Action, Found, Lent, Roster, Wants};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub struct Table {
    pub roster: Roster,
    rng: ChaCha20Rng,
    base: Instant,
    /// Since it began.
    pub now: Duration,
    /// Dials that were asked for.
    pub dials: Vec<(Duration, Whom)>,
    /// All else.
    pub actions: Vec<Action>,
    last_peer: u64,
}

/// A peer by its number.
pub fn whom(n: u8) -> Whom {
    Whom::Key([n; 32])
}

impl Table {
    #[expect(clippy::disallowed_methods, reason = "the base of virtual time; its value changes nothing")]
    pub fn new(options: &SwarmOptions) -> Table {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let roster = Roster::new(options.clone(), vec![whom(0)], &mut rng);
        let base = Instant::now();
        Table { roster, rng, base, now: Duration::ZERO, dials: vec![], actions: vec![], last_peer: 0 }
    }

    /// A table where topic 1 is looked up.
    pub fn joined(options: &SwarmOptions) -> Table {
        let mut table = Table::new(options);
        table.join(1);
        table
    }

    pub fn call<R>(&mut self, f: impl FnOnce(&mut Roster, &mut Lent<'_>) -> R) -> R {
        let result = f(&mut self.roster, &mut Lent { now: self.base + self.now, rng: &mut self.rng });
        while let Some(action) = self.roster.poll_action() {
            match action {
                Action::Dial { whom, .. } => self.dials.push((self.now, whom)),
                action => self.actions.push(action),
            }
        }
        result
    }

    pub fn join(&mut self, n: u8) {
        let wants = Wants { client: true, server: false, limit: usize::MAX };
        self.call(|roster, lent| roster.join(lent, TopicNo(n.into()), TopicId(n.into()), [n; 32], wants));
    }

    pub fn leave(&mut self, n: u8) {
        self.call(|roster, lent| roster.leave(lent, TopicNo(n.into()), TopicId(n.into())));
    }

    /// A source outside of the node found a peer far away.
    pub fn found(&mut self, n: u8, topic: u8) {
        self.found_at(n, topic, SocketAddr::from(([93, 184, 216, n], 4_000)), Source::Outside);
    }

    pub fn found_at(&mut self, n: u8, topic: u8, addr: SocketAddr, source: Source) {
        let found = Found { whom: whom(n), addr: Some(addr), source, topic: Some(TopicNo(topic.into())) };
        self.call(|roster, lent| roster.found(lent, found));
    }

    pub fn fail(&mut self, n: u8) {
        self.call(|roster, lent| roster.dial_failed(lent, whom(n)));
    }

    pub fn connect(&mut self, n: u8, client: bool) -> PeerId {
        self.last_peer += 1;
        let peer = PeerId(self.last_peer);
        let source = if client { Source::Outside } else { Source::Incoming };
        self.call(|roster, lent| {
            roster.connected(lent, whom(n), peer, source, client);
            roster.after_connection(lent, &whom(n));
        });
        peer
    }

    pub fn end(&mut self, peer: PeerId) {
        self.call(|roster, lent| {
            roster.disconnected(lent, peer, &[]);
            roster.after_disconnection(lent);
        });
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.roster.poll_deadline().map(|at| at - self.base).filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.call(|roster, lent| roster.handle_timeout(lent));
        }
        self.now = end;
    }

    /// Runs until a peer is dialled once more; how long that took.
    pub fn next_dial(&mut self, n: u8) -> Option<Duration> {
        let (before, begun) = (self.dials.len(), self.now);
        for _ in 0..6_000 {
            self.run(ms(10));
            if let Some((at, _)) = self.dials.iter().skip(before).find(|(_, dialled)| *dialled == whom(n)) {
                return Some(*at - begun);
            }
        }
        None
    }

    pub fn known(&self, n: u8) -> Option<KnownPeer> {
        self.roster.known(&whom(n), self.base + self.now, |no| Some(TopicId(no.0)))
    }

    pub fn addresses_of(&self, whom: &Whom) -> Vec<SocketAddr> {
        let known = self.roster.known(whom, self.base + self.now, |_| None);
        known.map_or_else(Vec::new, |known| known.addresses)
    }

    /// The peer, which has to be known.
    pub fn of(&self, n: u8) -> KnownPeer {
        self.known(n).expect("it is known")
    }

    pub fn is_known(&self, n: u8) -> bool {
        self.roster.known_peers().contains(&whom(n))
    }

    pub fn dials_of(&self, n: u8) -> usize {
        self.dials.iter().filter(|(_, dialled)| *dialled == whom(n)).count()
    }

    pub fn told<T>(&self, what: impl Fn(&Event) -> Option<T>) -> Vec<T> {
        let events = self.actions.iter().filter_map(|action| match action {
            Action::Event(event) => Some(event),
            _ => None,
        });
        events.filter_map(what).collect()
    }

    /// Connections that are to end, and why.
    pub fn closed(&self) -> Vec<(PeerId, &'static str)> {
        let close = |action: &Action| match action {
            Action::Close { peer, reason } => Some((*peer, *reason)),
            _ => None,
        };
        self.actions.iter().filter_map(close).collect()
    }
}
