//! The peers that are known: where they may be, how dials to them went, and who is forgotten.
//!
//! A peer is one key (or, over p2p-v12, one id of the old wire), not one connection. It is kept while it is of use:
//! banned, queued, asked about, waiting, being dialled, explicit or connected. Those that were merely heard of are
//! bounded, in all and for one IP address, because anybody can invent them: the oldest of them goes first.

use crate::config::limits::{ADDRS_PER_DIAL, KNOWN_MAX, KNOWN_PER_IP};
use crate::node::api::{PeerId, Source, Whom};
use crate::session::quic::TopicNo;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// What is known of one peer.
#[derive(Clone, Debug)]
pub struct Known {
    /// Where it may be, the newest first.
    pub addrs: Vec<SocketAddr>,
    pub source: Source,
    /// Topics of ours that it was found by, or proved; only grows while they are joined.
    pub topics: BTreeSet<TopicNo>,
    /// Dials that ended since the last good connection.
    pub attempts: u32,
    /// A dial opened at least once since `attempts` began anew.
    pub proven: bool,
    /// It was dialled.
    pub tried: bool,
    /// Added by `join_peer`.
    pub explicit: bool,
    /// False: it is not dialled again by itself.
    pub reconnecting: bool,
    /// A question about it waits for the application.
    pub asked: bool,
    /// In a retry timer.
    pub waiting: bool,
    /// Being dialled.
    pub dialling: bool,
    /// The connection was lost, not closed: worth dialling whoever dialled before.
    pub lost: bool,
    /// Not dialled while this connection is there: it leads to the same program.
    pub duplicate: Option<PeerId>,
    /// The last connection with it was dialled by us.
    pub client: bool,
    pub connected: Option<PeerId>,
    pub opened: Option<Instant>,
    pub closed: Option<Instant>,
    /// Its number among all that were ever known.
    order: u64,
}

impl Known {
    fn new(source: Source, order: u64) -> Known {
        Known {
            addrs: Vec::new(),
            source,
            topics: BTreeSet::new(),
            attempts: 0,
            proven: false,
            tried: false,
            explicit: false,
            reconnecting: true,
            asked: false,
            waiting: false,
            dialling: false,
            lost: false,
            duplicate: None,
            client: false,
            connected: None,
            opened: None,
            closed: None,
            order,
        }
    }

    /// Adds an address, or makes it the newest.
    pub fn add_addr(&mut self, addr: SocketAddr) {
        self.addrs.retain(|known| *known != addr);
        self.addrs.insert(0, addr);
        self.addrs.truncate(ADDRS_PER_DIAL);
    }

    pub fn is_busy(&self) -> bool {
        self.dialling || self.connected.is_some()
    }

    /// Others told of it, nobody here chose it or is asked about it, and it never answered.
    fn is_hearsay(&self) -> bool {
        self.connected.is_none() && !self.explicit && !self.proven && !self.dialling && !self.asked
    }
}

/// All known peers.
#[derive(Default)]
pub struct Peers {
    peers: BTreeMap<Whom, Known>,
    /// Peers that never answered and whose newest address is there.
    by_ip: BTreeMap<IpAddr, BTreeSet<(u64, Whom)>>,
    by_age: BTreeMap<u64, Whom>,
    /// Who is connected; whether we dialled.
    by_peer: BTreeMap<PeerId, (Whom, bool)>,
    last: u64,
}

impl Peers {
    pub fn get(&self, whom: &Whom) -> Option<&Known> {
        self.peers.get(whom)
    }

    pub fn get_mut(&mut self, whom: &Whom) -> Option<&mut Known> {
        self.peers.get_mut(whom)
    }

    /// The peer, new or known.
    pub fn enter(&mut self, whom: Whom, source: Source) -> &mut Known {
        let (last, by_age) = (&mut self.last, &mut self.by_age);
        self.peers.entry(whom).or_insert_with(|| {
            *last = last.saturating_add(1);
            by_age.insert(*last, whom);
            Known::new(source, *last)
        })
    }

    /// Who has to go to make room for this peer at this address.
    pub fn make_room(&self, whom: &Whom, ip: IpAddr) -> Option<Whom> {
        let goes = |whom: &Whom| self.peers.get(whom).is_some_and(Known::is_hearsay);
        match self.by_ip.get(&ip) {
            Some(there) if self.is_crowded(whom, ip) => there.iter().map(|(_, whom)| *whom).find(|whom| goes(whom)),
            _ if self.has_no_place(whom) => self.by_age.values().copied().find(|whom| goes(whom)),
            _ => None,
        }
    }

    /// Whether even so there is none.
    pub fn is_full(&self, whom: &Whom, ip: IpAddr) -> bool {
        self.has_no_place(whom) || self.is_crowded(whom, ip)
    }

    fn has_no_place(&self, whom: &Whom) -> bool {
        self.peers.len() >= KNOWN_MAX && !self.peers.contains_key(whom)
    }

    /// As many are listed at an address as may be, and this peer would be one more.
    fn is_crowded(&self, whom: &Whom, ip: IpAddr) -> bool {
        let comes = self.peers.get(whom).is_none_or(|known| {
            let there = known.addrs.first().is_some_and(|addr| addr.ip() == ip);
            known.connected.is_none() && !known.proven && !there
        });
        comes && self.by_ip.get(&ip).is_some_and(|there| there.len() >= KNOWN_PER_IP)
    }

    /// A source named an address of a peer.
    pub fn add_addr(&mut self, whom: &Whom, addr: SocketAddr) {
        let Some(known) = self.peers.get_mut(whom) else { return };
        let (before, order) = (known.addrs.first().map(SocketAddr::ip), known.order);
        known.add_addr(addr);
        if before != Some(addr.ip()) {
            let proven = known.proven;
            self.unlist(before, order, whom);
            if proven {
                return;
            }
            self.by_ip.entry(addr.ip()).or_default().insert((order, *whom));
        }
    }

    /// Puts a peer in under a new name, without its addresses, which are returned.
    pub fn replace(&mut self, whom: Whom, known: Known) -> Vec<SocketAddr> {
        let addrs = known.addrs.clone();
        let entry = self.enter(whom, known.source);
        *entry = Known { addrs: Vec::new(), order: entry.order, ..known };
        addrs
    }

    pub fn connected(&mut self, whom: &Whom, peer: PeerId, client: bool) {
        self.by_peer.insert(peer, (*whom, client));
        let Some(known) = self.peers.get_mut(whom) else { return };
        known.connected = Some(peer);
        let (ip, order) = (known.addrs.first().map(SocketAddr::ip), known.order);
        self.unlist(ip, order, whom);
    }

    /// Connections with peers of a topic. Not a look at everybody: it is asked for each report of a source.
    pub fn connected_of(&self, no: TopicNo) -> usize {
        let of_topic = |whom: &Whom| self.peers.get(whom).is_some_and(|known| known.topics.contains(&no));
        self.by_peer.values().filter(|(whom, _)| of_topic(whom)).count()
    }

    /// Who that was, and whether we had dialled.
    pub fn disconnected(&mut self, peer: PeerId) -> Option<(Whom, bool)> {
        let (whom, client) = self.by_peer.remove(&peer)?;
        if let Some(known) = self.peers.get_mut(&whom).filter(|known| known.connected == Some(peer)) {
            let other = self.by_peer.iter().find(|(_, (other, _))| *other == whom);
            known.connected = other.map(|(peer, _)| *peer);
        }
        Some((whom, client))
    }

    /// Connections under one name are under another.
    pub fn renamed(&mut self, from: &Whom, to: Whom) {
        self.by_peer.values_mut().filter(|(whom, _)| whom == from).for_each(|(whom, _)| *whom = to);
        if let Some(known) = self.peers.get(&to) {
            let (ip, order) = (known.addrs.first().map(SocketAddr::ip), known.order);
            self.unlist(ip, order, &to);
        }
    }

    pub fn of(&self, peer: PeerId) -> Option<Whom> {
        self.by_peer.get(&peer).map(|(whom, _)| *whom)
    }

    /// Takes a peer out. Its connections keep their name.
    pub fn take(&mut self, whom: &Whom) -> Option<Known> {
        let known = self.peers.remove(whom)?;
        self.by_age.remove(&known.order);
        self.unlist(known.addrs.first().map(SocketAddr::ip), known.order, whom);
        Some(known)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Whom, &Known)> {
        self.peers.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Whom, &mut Known)> {
        self.peers.iter_mut()
    }

    pub fn len(&self) -> usize {
        self.peers.len()
    }

    fn unlist(&mut self, ip: Option<IpAddr>, order: u64, whom: &Whom) {
        let Some(ip) = ip else { return };
        if let Some(there) = self.by_ip.get_mut(&ip) {
            there.remove(&(order, *whom));
            if there.is_empty() {
                self.by_ip.remove(&ip);
            }
        }
    }
}
