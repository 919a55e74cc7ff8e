//! What happens to peers: a source found one, a dial failed, a connection came or went.

use super::door::{Purpose, Verdict};
use super::retry::{GIVEN_UP, is_near};
use super::{Action, Lent, Roster};
use crate::config::swarm::Preset;
use crate::node::api::{Candidate, Event, PeerId, Source, Whom};
use crate::session::quic::TopicNo;
use std::net::SocketAddr;

/// What a source said of a peer.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub whom: Whom,
    pub addr: Option<SocketAddr>,
    pub source: Source,
    /// The topic that was looked up; none: it is not known which.
    pub topic: Option<TopicNo>,
}

impl Roster {
    /// A source found a peer.
    pub fn found(&mut self, lent: &mut Lent<'_>, found: Found) {
        let Found { whom, addr, source, topic } = found;
        if self.own.contains(&whom) || self.closed || self.suspended {
            return;
        }
        // Who only announces looks for nobody.
        let seeks = match topic {
            Some(no) => self.topics.get(&no).is_some_and(|discovery| discovery.modes().0),
            None => true,
        };
        let is_new = self.peers.get(&whom).is_none();
        if is_new && self.door.is_banned(&whom, lent.now) {
            return;
        }
        if !seeks || !self.make_room(&whom, addr) {
            return;
        }
        self.peers.enter(whom, source);
        if let Some(addr) = addr {
            self.peers.add_addr(&whom, addr);
        }
        if is_new
            && self.options.preset == Preset::V2
            && let Some(known) = self.peers.get_mut(&whom)
        {
            // Version 2: who was found is one that we dial, also before we did.
            known.client = true;
        }
        if let Some(no) = topic {
            self.add_topic(&whom, no);
        }
        let Some(known) = self.peers.get_mut(&whom) else { return };
        if known.dialling
            && let Some(addr) = addr
        {
            self.out.push_back(Action::DialMore { whom, addr });
            return;
        }
        if known.is_busy() || known.asked || known.duplicate.is_some() || self.door.is_banned(&whom, lent.now) {
            return;
        }
        // Rediscovery is fresh evidence.
        let anew = match self.options.preset {
            Preset::V2 => false,
            Preset::Setowire | Preset::V4 => known.attempts >= GIVEN_UP || !known.client && known.closed.is_some(),
        };
        if anew {
            (known.attempts, known.proven, known.lost) = (0, false, false);
        }
        if known.waiting && self.options.preset == Preset::V2 || self.queue.contains(&whom) {
            return;
        }
        let wanted = topic.is_none_or(|no| self.hand_on(whom, no));
        if !wanted {
            return self.collect(&whom, lent);
        }
        if self.options.validate && is_new {
            return self.ask_about(lent, whom, Purpose::Candidate, topic);
        }
        self.enqueue(lent, whom, topic, is_new);
        self.dial_on(lent);
    }

    /// Makes room for a peer that is new, or is said to be elsewhere now. False: there is none.
    fn make_room(&mut self, whom: &Whom, addr: Option<SocketAddr>) -> bool {
        let Some(ip) = addr.map(|addr| addr.ip()) else { return true };
        if let Some(oldest) = self.peers.make_room(whom, ip) {
            self.forget(&oldest);
        }
        !self.peers.is_full(whom, ip)
    }

    fn hand_on(&mut self, whom: Whom, no: TopicNo) -> bool {
        let connected = || self.peers.connected_of(no);
        self.topics.get_mut(&no).is_some_and(|discovery| discovery.hand_on(whom, connected))
    }

    pub(super) fn add_topic(&mut self, whom: &Whom, no: TopicNo) {
        let added = self.peers.get_mut(whom).is_some_and(|known| known.topics.insert(no));
        if added && let Some(topic) = self.topics.get(&no).and_then(|discovery| discovery.sessions().next()) {
            self.tell(Event::PeerTopic { whom: *whom, topic });
        }
    }

    /// Puts a peer into the queue, if it may be dialled. `announce`: it was not there before.
    pub(super) fn enqueue(&mut self, lent: &Lent<'_>, whom: Whom, topic: Option<TopicNo>, announce: bool) {
        if self.door.is_banned(&whom, lent.now) {
            return;
        }
        let Some(known) = self.peers.get_mut(&whom).filter(|known| known.duplicate.is_none()) else { return };
        if known.explicit && known.attempts > GIVEN_UP {
            known.attempts = GIVEN_UP;
        }
        let Some(priority) = self.retry.priority(known) else { return };
        let (address, source, local) = (known.addrs.first().copied(), known.source, is_near(known));
        if self.queue.push(whom, priority) && announce {
            let topic = topic.and_then(|no| self.topics.get(&no)?.sessions().next());
            self.tell(Event::Candidate {
                candidate: Candidate { whom, address, source, local, topic },
                accepted: true,
            });
        }
    }

    /// The application said whether a candidate is one.
    pub(super) fn candidate_judged(&mut self, lent: &mut Lent<'_>, whom: Whom, allowed: bool) {
        let Some(known) = self.peers.get_mut(&whom) else { return };
        known.asked = false;
        let topic = known.topics.iter().next().copied();
        if allowed {
            self.enqueue(lent, whom, topic, true);
        } else {
            let (address, source, local) = (known.addrs.first().copied(), known.source, is_near(known));
            let topic = topic.and_then(|no| self.topics.get(&no)?.sessions().next());
            let candidate = Candidate { whom, address, source, local, topic };
            self.tell(Event::Candidate { candidate, accepted: false });
            self.flushes.peer_done(&whom);
            self.collect(&whom, lent);
        }
    }

    /// An answer of the application, or the end of waiting for one.
    pub(super) fn judged(&mut self, lent: &mut Lent<'_>, verdict: Verdict) {
        let Verdict { whom, purpose, allowed } = verdict;
        if allowed == Some(false) && purpose != Purpose::Candidate {
            self.banned_by_firewall(lent, whom);
        }
        match purpose {
            Purpose::Candidate => self.candidate_judged(lent, whom, allowed == Some(true)),
            Purpose::Incoming => self.out.push_back(Action::Admit { whom, allowed: allowed == Some(true) }),
            Purpose::Dial => {
                let Some(known) = self.peers.get_mut(&whom) else { return };
                known.asked = false;
                match allowed {
                    Some(true) => self.dial_let(lent, whom),
                    Some(false) => {
                        self.flushes.peer_done(&whom);
                        self.collect(&whom, lent);
                    }
                    // As one that does not answer: who is joined by key is never given up.
                    None => {
                        known.closed = Some(lent.now);
                        self.retry.count(known, None);
                        self.again(lent, whom);
                        self.flushes.peer_done(&whom);
                    }
                }
            }
        }
    }

    /// A peer is connected. `client`: we dialled it.
    pub fn connected(&mut self, lent: &mut Lent<'_>, whom: Whom, peer: PeerId, source: Source, client: bool) {
        let known = self.peers.enter(whom, source);
        let ours = std::mem::take(&mut known.dialling);
        (known.client, known.waiting, known.asked, known.lost) = (client, false, false, false);
        (known.opened, known.duplicate) = (Some(lent.now), None);
        if client {
            (known.proven, known.tried) = (true, true);
            if self.options.preset == Preset::V2 {
                known.attempts = 0;
            }
        }
        self.peers.connected(&whom, peer, client);
        self.queue.remove(&whom);
        self.door.forget_verdict(&whom);
        self.dialling = self.dialling.saturating_sub(usize::from(ours));
        self.connections = self.connections.saturating_add(1);
        let stats = &mut self.stats;
        if client {
            self.clients = self.clients.saturating_add(1);
            // A dial by address is none of the swarm's.
            stats.client_attempted = stats.client_attempted.saturating_add(u64::from(!ours));
            stats.client_opened = stats.client_opened.saturating_add(1);
        } else {
            self.door.servers = self.door.servers.saturating_add(1);
            // Its dial was there first: ours ends.
            stats.client_closed = stats.client_closed.saturating_add(u64::from(ours));
            stats.server_opened = stats.server_opened.saturating_add(1);
        }
    }

    /// A peer that we dialled answered there.
    pub fn reached(&mut self, whom: &Whom, addr: SocketAddr) {
        self.peers.add_addr(whom, addr);
    }

    /// What follows when the application was told of the connection.
    pub fn after_connection(&mut self, lent: &mut Lent<'_>, whom: &Whom) {
        self.flushes.peer_done(whom);
        self.updated();
        self.dial_on(lent);
    }

    /// A connected peer proved that it joined these topics of ours.
    pub fn shares(&mut self, peer: PeerId, topics: impl Iterator<Item = TopicNo>) {
        let Some(whom) = self.peers.of(peer) else { return };
        // Of who dialled us the topics are not known, until a look-up of ours finds it.
        let client = self.peers.get(&whom).is_some_and(|known| known.client);
        for no in topics {
            if client && self.topics.get(&no).is_some_and(|discovery| discovery.modes().0) {
                self.add_topic(&whom, no);
            }
        }
    }

    /// A peer is known by a better name now: its key.
    pub fn renamed(&mut self, peer: PeerId, to: Whom) {
        let Some(from) = self.peers.of(peer).filter(|from| *from != to) else { return };
        let (Some(mut old), known) = (self.peers.take(&from), self.peers.take(&to)) else { return };
        self.queue.remove(&from);
        self.queue.remove(&to);
        self.flushes.renamed(&from, to);
        if let Some(known) = known {
            self.dialling = self.dialling.saturating_sub(usize::from(known.dialling));
            old.topics.extend(known.topics);
            old.explicit |= known.explicit;
            known.addrs.into_iter().rev().for_each(|addr| old.add_addr(addr));
        }
        let twice = self.explicit.contains(&to);
        self.explicit.retain(|whom| !twice || *whom != from);
        if let Some(place) = self.explicit.iter_mut().find(|whom| **whom == from) {
            *place = to;
        }
        let addrs = self.peers.replace(to, old);
        addrs.into_iter().rev().for_each(|addr| self.peers.add_addr(&to, addr));
        self.peers.renamed(&from, to);
        self.flushes.peer_done(&to);
    }

    /// A look-up found a peer that is connected.
    pub fn shares_found(&mut self, peer: PeerId, no: TopicNo) {
        if let Some(whom) = self.peers.of(peer)
            && self.topics.get(&no).is_some_and(|discovery| discovery.modes().0)
        {
            self.add_topic(&whom, no);
        }
    }

    /// Where `whom` was dialled another peer answered: that is who was meant, as far as anybody can tell.
    pub fn turned_out(&mut self, lent: &mut Lent<'_>, whom: Whom, met: Option<Whom>) {
        let Some(known) = self.peers.get_mut(&whom).filter(|known| known.dialling) else { return };
        known.dialling = false;
        known.closed = Some(lent.now);
        self.dialling = self.dialling.saturating_sub(1);
        self.stats.client_attempted = self.stats.client_attempted.saturating_sub(1);
        // An id of the old wire is no name of its own beside a key.
        if let (Whom::Legacy(_), Some(met @ Whom::Key(_))) = (whom, met) {
            for no in std::mem::take(&mut known.topics) {
                self.add_topic(&met, no);
            }
        }
        self.collect(&whom, lent);
        self.flushes.peer_done(&whom);
        self.updated();
        self.dial_on(lent);
    }

    /// A dial found nobody, or was refused.
    pub fn dial_failed(&mut self, lent: &mut Lent<'_>, whom: Whom) {
        let Some(known) = self.peers.get_mut(&whom).filter(|known| known.dialling) else { return };
        known.dialling = false;
        known.closed = Some(lent.now);
        self.dialling = self.dialling.saturating_sub(1);
        self.stats.client_closed = self.stats.client_closed.saturating_add(1);
        self.door.forget_verdict(&whom);
        self.retry.count(known, None);
        self.again(lent, whom);
        self.flushes.peer_done(&whom);
        self.updated();
        self.dial_on(lent);
    }

    /// A connection ended. `lost`: nobody closed it, and it was last at these addresses.
    pub fn disconnected(&mut self, lent: &mut Lent<'_>, peer: PeerId, lost: &[SocketAddr]) {
        let held = self.dedup.gone(peer);
        self.ended(lent, peer, lost);
        held.into_iter().for_each(|whom| self.release(lent, peer, whom));
    }

    fn ended(&mut self, lent: &mut Lent<'_>, peer: PeerId, lost: &[SocketAddr]) {
        let Some((whom, client)) = self.peers.disconnected(peer) else { return };
        self.connections = self.connections.saturating_sub(1);
        if client {
            self.clients = self.clients.saturating_sub(1);
            self.stats.client_closed = self.stats.client_closed.saturating_add(1);
        } else {
            self.door.servers = self.door.servers.saturating_sub(1);
            self.stats.server_closed = self.stats.server_closed.saturating_add(1);
        }
        lost.iter().rev().for_each(|addr| self.peers.add_addr(&whom, *addr));
        // Another connection with it goes on: it was known under two names.
        let Some(known) = self.peers.get_mut(&whom).filter(|known| known.connected.is_none()) else { return };
        let open = known.opened.take().map(|opened| lent.now.saturating_duration_since(opened));
        known.closed = Some(lent.now);
        known.lost = !lost.is_empty();
        if client || known.lost {
            self.retry.count(known, open);
            self.again(lent, whom);
        } else {
            // Who dialled us does so again.
            self.collect(&whom, lent);
        }
    }

    /// The connection ended whose duplicate this peer was.
    fn release(&mut self, lent: &mut Lent<'_>, peer: PeerId, whom: Whom) {
        let Some(known) = self.peers.get_mut(&whom).filter(|known| known.duplicate == Some(peer)) else { return };
        known.duplicate = None;
        if known.is_busy() {
            return;
        }
        (known.attempts, known.proven, known.tried) = (0, false, false);
        if self.is_wanted(&whom) && !self.suspended && !self.closed {
            self.enqueue(lent, whom, None, false);
        }
        self.collect(&whom, lent);
    }

    /// Whether a peer is to be dialled by itself: for a topic that is joined, or for its own sake.
    fn is_wanted(&self, whom: &Whom) -> bool {
        self.peers
            .get(whom)
            .is_some_and(|known| known.explicit || known.topics.iter().any(|no| self.topics.contains_key(no)))
    }

    /// What follows when the application was told of the end.
    pub fn after_disconnection(&mut self, lent: &mut Lent<'_>) {
        self.updated();
        self.dial_on(lent);
    }

    /// Lets a peer wait for its next dial, or gives it up.
    pub(super) fn again(&mut self, lent: &mut Lent<'_>, whom: Whom) {
        let Some(known) = self.peers.get(&whom) else { return };
        // A lost connection that no topic led to was wanted by somebody.
        let wanted = self.is_wanted(&whom) || known.lost;
        let may = wanted && !self.suspended && !self.closed && !self.door.is_banned(&whom, lent.now);
        let Some(known) = self.peers.get_mut(&whom) else { return };
        if known.waiting || known.is_busy() || known.duplicate.is_some() {
            return;
        }
        let wait = if may { self.retry.again(known) } else { None };
        match wait {
            Some(wait) => {
                known.waiting = true;
                self.retry.wait(lent.now, whom, wait);
            }
            None if may && known.reconnecting && self.options.preset == Preset::V2 => {
                known.waiting = true;
                self.retry.wait_to_forget(lent.now, whom);
            }
            None => self.collect(&whom, lent),
        }
    }

    /// Timers of peers that were to be dialled again.
    pub(super) fn retry_due(&mut self, lent: &mut Lent<'_>) {
        let (again, forget) = self.retry.handle_timeout(lent.now);
        for whom in again {
            let Some(known) = self.peers.get_mut(&whom).filter(|known| known.waiting) else { continue };
            known.waiting = false;
            if !known.is_busy() && known.reconnecting {
                known.source = if known.lost { Source::Reconnect } else { known.source };
                self.enqueue(lent, whom, None, false);
            }
            self.collect(&whom, lent);
        }
        for whom in forget {
            if let Some(known) = self.peers.get_mut(&whom).filter(|known| known.waiting) {
                known.waiting = false;
                self.collect(&whom, lent);
            }
        }
    }

    /// Forgets a peer that is of no use any more.
    pub(super) fn collect(&mut self, whom: &Whom, lent: &Lent<'_>) {
        let Some(known) = self.peers.get(whom) else { return };
        let held = known.waiting || known.asked || known.duplicate.is_some();
        let kept = known.is_busy() || held || known.explicit || self.queue.contains(whom);
        if !kept && !self.door.is_banned(whom, lent.now) {
            self.forget(whom);
        }
    }

    fn forget(&mut self, whom: &Whom) {
        self.queue.remove(whom);
        if let Some(known) = self.peers.take(whom) {
            for no in &known.topics {
                if let Some(discovery) = self.topics.get_mut(no) {
                    discovery.forget(whom);
                }
            }
        }
        self.flushes.peer_done(whom);
    }
}
