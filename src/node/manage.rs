//! What the application decides about topics, peers and the whole swarm. Every call answers at once.

use super::Node;
use super::app::{SUSPENDED, not_joined};
use crate::config::limits::{BOOTSTRAP_AFTER, DEDUP_ID_BYTES};
use crate::config::split_host_port;
use crate::error::{Code, Error, Result};
use crate::node::api::*;
use crate::node::swarm::roster;
use crate::path::{Scope, scope};
use crate::session::quic::TopicNo;
use crate::swarm::Lent;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

impl Node {
    // ---- Topics ----

    fn number(&self, id: TopicId) -> Result<TopicNo> {
        self.topics.number_of(id).ok_or_else(|| not_joined(id))
    }

    /// Changes what a session of a topic does and makes a round of discovery; the operation ends with it.
    pub fn refresh(&mut self, now: Now, id: TopicId, modes: Modes, tag: u64) -> Result<OpId> {
        let no = self.number(id)?;
        let wants = self.wants(modes, self.roster.wants(no, id))?;
        let op = self.begin_op(now, "refresh", tag)?;
        roster!(self, now, |roster, lent| roster.refresh(lent, no, id, wants, op));
        self.handle_timeout(now);
        Ok(op)
    }

    /// The operation ends with the round of discovery that runs: then others can find us.
    pub fn flushed(&mut self, now: Now, id: TopicId, tag: u64) -> Result<OpId> {
        let no = self.number(id)?;
        let op = self.begin_op(now, "flushed", tag)?;
        self.roster.flushed(no, op);
        self.handle_timeout(now);
        Ok(op)
    }

    /// The operation ends when all rounds that run have ended and every peer they found was tried once.
    pub fn flush(&mut self, now: Now, tag: u64) -> Result<OpId> {
        let op = self.begin_op(now, "flush", tag)?;
        roster!(self, now, |roster, lent| roster.flush(lent, op));
        self.handle_timeout(now);
        Ok(op)
    }

    /// What a session of a topic does.
    pub fn topic_info(&self, id: TopicId) -> Result<TopicInfo> {
        let no = self.number(id)?;
        let (Some(name), Some(wants), Some((client_in_all, server_in_all, announced))) =
            (self.topics.name(no), self.roster.wants(no, id), self.roster.modes(no))
        else {
            return Err(not_joined(id));
        };
        Ok(TopicInfo {
            topic: name.topic,
            private: name.is_private(),
            client: wants.client,
            server: wants.server,
            limit: wants.limit,
            client_in_all,
            server_in_all,
            announced,
        })
    }

    /// The sessions of a topic, the oldest first.
    pub fn topic_sessions(&self, topic: &Topic) -> Vec<TopicId> {
        self.topics.sessions_of(topic)
    }

    // ---- Peers ----

    /// Keeps a peer connected, whatever topics are joined: dials it until it answers, and again when it goes.
    /// `addr`: where it may be; without, the network is asked for it.
    pub fn join_peer(&mut self, now: Now, whom: Whom, addr: Option<SocketAddr>) -> Result<()> {
        self.check_open()?;
        roster!(self, now, |roster, lent| roster.join_peer(lent, whom, addr))?;
        self.handle_timeout(now);
        Ok(())
    }

    /// Ends what `join_peer` began. The connection stays.
    pub fn leave_peer(&mut self, now: Now, whom: &Whom) -> Result<()> {
        self.check_open()?;
        roster!(self, now, |roster, lent| roster.leave_peer(lent, whom));
        self.handle_timeout(now);
        Ok(())
    }

    /// Bans a peer, for a time or for the life of the swarm: it is neither dialled nor let in. `close`: a connection ends,
    /// too.
    pub fn ban(&mut self, now: Now, whom: Whom, life: Option<Duration>, close: bool) -> Result<()> {
        self.check_open()?;
        roster!(self, now, |roster, lent| roster.ban(lent, whom, life, close))?;
        self.handle_timeout(now);
        Ok(())
    }

    /// Lifts a ban.
    pub fn unban(&mut self, now: Now, whom: &Whom) -> Result<()> {
        self.check_open()?;
        roster!(self, now, |roster, lent| roster.unban(lent, whom));
        self.handle_timeout(now);
        Ok(())
    }

    /// Whether a known peer is dialled again by itself when it goes.
    pub fn set_reconnect(&mut self, whom: &Whom, on: bool) -> Result<()> {
        self.check_open()?;
        self.roster.set_reconnect(whom, on)
    }

    /// Counts one more failed attempt at a peer that we dial. False: it is one that dials us, or it is given up now.
    pub fn backoff(&mut self, whom: &Whom) -> Result<bool> {
        self.check_open()?;
        self.roster.backoff(whom)
    }

    /// Of two connections with one program, found by ids that the programs told each other, ends one: both sides the same.
    /// True: it is this one.
    pub fn deduplicate(&mut self, now: Now, peer: PeerId, local: &[u8], remote: &[u8]) -> Result<bool> {
        self.check_open()?;
        for (name, id) in [("local_id", local), ("remote_id", remote)] {
            if id.is_empty() || id.len() > DEDUP_ID_BYTES {
                let detail = format!("{name}: {} bytes were given; it takes 1 to {DEDUP_ID_BYTES}", id.len());
                return Err(Error::invalid(detail));
            }
        }
        let goes = self.roster.deduplicate(peer, local, remote)?;
        self.follow(now);
        Ok(goes)
    }

    /// Everyone who is known, connected or not, and everyone who is banned.
    pub fn known_peers(&self) -> Vec<Whom> {
        self.roster.known_peers()
    }

    pub fn known_peer(&self, now: Now, whom: &Whom) -> Option<KnownPeer> {
        self.roster.known(whom, now.mono, |no| self.topics.id_of(no))
    }

    /// By what a connected peer is known.
    pub fn whom_of(&self, peer: PeerId) -> Option<Whom> {
        self.roster.whom_of(peer)
    }

    // ---- The firewall ----

    /// From now on the application is asked about every peer, or about none.
    pub fn set_firewall(&mut self, on: bool) {
        self.roster.set_firewall(on);
    }

    /// Answers an `Event::Ask`.
    pub fn answer(&mut self, now: Now, question: u64, allowed: bool) -> Result<()> {
        self.check_open()?;
        roster!(self, now, |roster, lent| roster.answer(lent, question, allowed))?;
        self.handle_timeout(now);
        Ok(())
    }

    // ---- The swarm ----

    /// Can be found by our key from now on, also before a topic is announced.
    pub fn listen(&mut self, now: Now) -> Result<()> {
        self.check_open()?;
        self.roster.listen();
        self.be_found(now);
        Ok(())
    }

    /// Ends all connections; nothing is dialled, announced or let in until `resume`.
    pub fn suspend(&mut self, now: Now) -> Result<()> {
        self.check_open()?;
        if !self.roster.status().suspended {
            self.be_forgotten();
        }
        roster!(self, now, |roster, lent| roster.suspend(lent));
        self.end_attempts(now);
        self.dialer.clear();
        if let Some(lan) = &mut self.lan {
            lan.set_suspended(true);
        }
        self.handle_timeout(now);
        // What was to be tried has been; what is left waits for the network.
        for op in self.ops.take_all() {
            self.fail_op(op, Code::Unreachable, SUSPENDED);
        }
        Ok(())
    }

    pub fn resume(&mut self, now: Now) -> Result<()> {
        self.check_open()?;
        if self.roster.status().suspended {
            self.be_found_again(now);
            if let Some(lan) = &mut self.lan {
                lan.set_suspended(false);
            }
        }
        roster!(self, now, |roster, lent| roster.resume(lent));
        if !self.topics.is_empty() {
            self.dial_seeds(now);
        }
        self.handle_timeout(now);
        Ok(())
    }

    /// The network changed: connections show whether they live, topics are looked up and announced anew.
    pub fn network_changed(&mut self, now: Now) {
        self.with_quic(now, |quic, env| quic.prove_life(env));
        roster!(self, now, |roster, lent| roster.network_changed(lent));
        self.handle_timeout(now);
    }

    pub fn swarm_status(&self) -> SwarmStatus {
        self.roster.status()
    }

    /// What is known of whether others can be found and can find us.
    pub fn connectivity(&self) -> Connectivity {
        Connectivity {
            bound: self.ports.v4.is_some() || self.ports.v6.is_some(),
            source_works: self.roster.source_works(),
            reachable: self.reachable,
        }
    }

    /// A peer is about to be known: whoever dials us unasked, and from far away, shows that it can be done.
    pub(super) fn was_reached(&mut self, whom: &Whom, info: &PeerInfo) {
        let unasked = !self.roster.is_known(whom) && self.dialer.get(&info.address).is_none();
        self.reachable |= !info.client && unasked && is_outside(&info.address.ip(), &self.addresses);
    }

    pub fn swarm_stats(&self) -> SwarmStats {
        self.roster.stats()
    }

    /// Dials the nodes of the option `bootstrap` while nobody was met.
    pub(super) fn bootstrap_due(&mut self, now: Now) {
        if self.next_bootstrap.is_none_or(|at| at > now.mono) {
            return;
        }
        self.next_bootstrap = Some(now.mono + BOOTSTRAP_AFTER);
        if !self.peers().is_empty() || self.roster.status().suspended {
            return;
        }
        for node in self.bootstrap.clone() {
            // The text was checked when it was set.
            let Ok((host, port)) = split_host_port(&node) else { continue };
            match host.parse() {
                Ok(ip) => {
                    self.dial(now, SocketAddr::new(ip, port), Source::Bootstrap, None, None);
                }
                Err(_) if !self.ops.is_full() => self.resolve(host, port, Source::Bootstrap, None),
                Err(_) => {}
            }
        }
    }

    /// The peer's own bans in both of its names.
    pub fn resolve_whom(&self, now: Now, whom: Whom) -> Whom {
        match whom {
            Whom::Legacy(id) => self.proven.key_of(&id, now.unix_us).map_or(whom, Whom::Key),
            Whom::Key(_) => whom,
        }
    }
}

/// A public address that is none of ours, nor in the network of one.
fn is_outside(ip: &IpAddr, ours: &[IpAddr]) -> bool {
    let is_near = |own: &IpAddr| match (own, ip) {
        (IpAddr::V6(own), IpAddr::V6(ip)) => own.segments().iter().zip(ip.segments()).take(4).all(|(a, b)| *a == b),
        (IpAddr::V4(own), IpAddr::V4(ip)) => own.octets().iter().zip(ip.octets()).take(3).all(|(a, b)| *a == b),
        _ => false,
    };
    scope(ip) == Scope::Global && !ours.iter().any(is_near)
}

/// A peer as the application names it: 32 bytes of key, or the first 8 to 20 of an id of the old wire.
pub fn whom_from(bytes: &[u8]) -> Result<Whom> {
    match bytes.len() {
        32 => Ok(Whom::Key(bytes.try_into().unwrap_or_default())),
        8..=20 => Ok(Whom::Legacy(bytes.get(..8).and_then(|id| id.try_into().ok()).unwrap_or_default())),
        n => Err(no_whom(n)),
    }
}

/// So many bytes name no peer.
pub fn no_whom(len: usize) -> Error {
    Error::invalid(format!("key: {len} bytes were given; it takes a key of 32 or a legacy id of 8 to 20"))
}
