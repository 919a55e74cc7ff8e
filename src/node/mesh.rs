//! Broadcasts at the node: the mesh of modern peers, the flood of v12 peers, and the bridge between them.
//!
//! `gossip` has a link for every modern session that shares a topic; here its frames go into the
//! sessions and out of them, and what it delivers goes to the application and to v12 peers. A public
//! topic has members of both kinds; nothing of a private topic leaves the mesh. A message to one peer alone never comes here.
//!
//! A peer beyond its rate is held by the flow control of its mesh stream: what was read of
//! it already waits here, until `gossip` takes it.

use super::Node;
use crate::config::limits;
use crate::error::{Code, Error, Result};
use crate::mesh::bridge::{Bridge, Load, To};
use crate::mesh::flood::{self, ContentId, content_id};
use crate::mesh::gossip::{Delivered, Gossip, Refused};
use crate::node::api::*;
use crate::session::quic::TopicNo;
use crate::timers::{Timers, earlier};
use crate::wire::v13::mesh::{NEIGHBOUR_TAG, TopicTag, next};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// What the node keeps for broadcasts.
pub(super) struct Mesh {
    gossip: Gossip,
    bridge: Bridge,
    topics: BTreeMap<TopicTag, TopicNo>,
    tags: BTreeMap<TopicNo, TopicTag>,
    /// Frames of peers that have to wait, and until when.
    held: BTreeMap<PeerId, VecDeque<Bytes>>,
    until: Timers<PeerId>,
}

impl Mesh {
    pub(super) fn new(now: Now, key: [u8; 32]) -> Mesh {
        Mesh {
            gossip: Gossip::new(now.mono, key),
            bridge: Bridge::default(),
            topics: BTreeMap::new(),
            tags: BTreeMap::new(),
            held: BTreeMap::new(),
            until: Timers::default(),
        }
    }

    /// A topic was joined; `name`: what it is called in the mesh.
    pub(super) fn join(&mut self, no: TopicNo, name: [u8; 32]) {
        let tag = self.gossip.join(name);
        self.topics.insert(tag, no);
        self.tags.insert(no, tag);
    }

    pub(super) fn leave(&mut self, no: TopicNo) {
        if let Some(tag) = self.tags.remove(&no) {
            self.gossip.leave(tag);
            self.topics.remove(&tag);
        }
    }

    pub(super) fn poll_deadline(&self) -> Option<Instant> {
        earlier(earlier(self.gossip.poll_deadline(), self.bridge.poll_deadline()), self.until.next())
    }

    /// Adds to the counters and gauges.
    pub(super) fn count(&self, stats: &mut Stats) {
        let mesh = self.gossip.stats();
        stats.mesh_received = mesh.received;
        stats.mesh_duplicates = mesh.duplicates;
        stats.mesh_sent = mesh.sent;
        stats.mesh_rejected += mesh.forged + mesh.ignored + mesh.over_rate;
        let (kept, waiting, _) = self.gossip.held();
        let held = self.held.values().flatten().map(Bytes::len).sum::<usize>();
        stats.mesh_bytes = kept.saturating_add(waiting).saturating_add(held) as u64;
    }

    /// Frames and timers of peers that wait.
    pub(super) fn waiting(&self) -> usize {
        self.held.values().map(VecDeque::len).sum::<usize>() + self.until.len()
    }

    fn tag(&self, no: TopicNo) -> Option<TopicTag> {
        self.tags.get(&no).copied()
    }

    fn has_members(&self, topic: TopicTag) -> bool {
        self.gossip.members(topic).next().is_some()
    }

    /// How many members of these topics would bridge before us: those with a lower key, where they are fewest.
    fn rank(&self, topics: &[TopicTag], own: &[u8; 32]) -> usize {
        let lower = |topic: &TopicTag| self.gossip.members(*topic).filter(|key| *key < own).count();
        topics.iter().map(lower).min().unwrap_or(0)
    }
}

impl Node {
    /// Sends a message to every connected peer, but not to those that are only known from private topics, and to
    /// the members of the public topics; how many peers it went to.
    pub fn broadcast(&mut self, now: Now, data: &[u8]) -> Result<usize> {
        self.check_open()?;
        let mut topics: Vec<TopicTag> = self.public_topics().take(limits::MESH_TOPICS).collect();
        // Who shares no topic came by an explicit connect.
        topics.push(NEIGHBOUR_TAG);
        let reached = self.say(now, &topics, data, true)?;
        self.follow(now);
        Ok(reached)
    }

    /// Sends a message to the members of one topic; how many peers it went to. Old peers tell no topic: a message to
    /// a public one goes to all of them.
    pub fn broadcast_topic(&mut self, now: Now, topic: TopicId, data: &[u8]) -> Result<usize> {
        self.check_open()?;
        let gone = || Error::new(Code::NotFound, format!("topic_id: {} is not joined", topic.0));
        let no = self.topics.number_of(topic).ok_or_else(gone)?;
        let public = self.topics.name(no).is_some_and(|name| !name.is_private());
        let tags: Vec<TopicTag> = self.mesh.tag(no).into_iter().collect();
        let reached = self.say(now, &tags, data, public)?;
        self.follow(now);
        Ok(reached)
    }

    /// A broadcast of ours to these topics, and (`public`) to v12 peers.
    fn say(&mut self, now: Now, topics: &[TopicTag], data: &[u8], public: bool) -> Result<usize> {
        let old = if public { self.v12.peers() } else { Vec::new() };
        let only_old = public && self.legacy && self.quic.count() == 0;
        let most = if only_old { self.v12.max_message() } else { limits::MESH_PAYLOAD_BYTES };
        if data.len() > most {
            let detail = format!("data: {} bytes; a broadcast holds at most {most}, split it", data.len());
            return Err(Error::new(Code::TooLarge, detail));
        }
        let mut reached = 0;
        if topics.iter().any(|topic| self.mesh.has_members(*topic)) {
            reached = self.mesh.gossip.publish(now, &self.identity, topics, data, false)?.reached;
        }
        let mut send = |peer| self.with_v12(now, |v12, env| v12.send(env, peer, data.to_vec(), 0)).is_ok();
        let sent: Vec<PeerId> = old.into_iter().filter(|peer| send(*peer)).collect();
        // It may come back by peers that we meet later, so it counts even if nobody else is connected now.
        let only = sent.first().copied().filter(|_| reached == 0 && sent.len() == 1);
        reached += sent.len();
        if public && reached > 0 {
            self.flood.sent(content_id(data), only, now.mono);
        }
        self.send_mesh(now);
        Ok(reached)
    }

    /// A session began, or its topics changed.
    pub(super) fn mesh_changed(&mut self, now: Now, peer: PeerId) {
        let Some(shared) = self.quic.shared(peer) else { return };
        let tags: Vec<TopicTag> = shared.iter().filter_map(|no| self.mesh.tag(*no)).collect();
        if self.mesh.gossip.holds(peer) {
            self.mesh.gossip.topics_changed(now.mono, peer, &tags);
        } else if let Some(key) = self.quic.info(peer).and_then(|info| info.key) {
            self.mesh.gossip.link_up(now.mono, peer, key, &tags);
        }
    }

    /// A session is gone.
    pub(super) fn mesh_gone(&mut self, now: Now, peer: PeerId) {
        self.mesh.gossip.link_down(now.mono, peer);
        self.mesh.held.remove(&peer);
        self.mesh.until.set(peer, None);
    }

    /// A frame came.
    pub(super) fn mesh_frame(&mut self, now: Now, peer: PeerId, frame: Bytes) {
        match self.mesh.held.get_mut(&peer) {
            Some(held) => held.push_back(frame),
            None => self.take_frame(now, peer, frame),
        }
        self.send_mesh(now);
    }

    /// There is room in the session of a peer.
    pub(super) fn mesh_room(&mut self, now: Now, peer: PeerId) {
        while let Some(frame) = self.mesh.gossip.front(peer) {
            if !self.quic.send_mesh(peer, frame.clone()) {
                break;
            }
            self.mesh.gossip.sent(now.mono, peer);
        }
    }

    pub(super) fn mesh_timeout(&mut self, now: Now) {
        self.mesh.gossip.handle_timeout(now.mono);
        for peer in self.mesh.until.take_due(now.mono) {
            let mut held = self.mesh.held.remove(&peer).unwrap_or_default();
            while let Some(frame) = held.pop_front() {
                self.take_frame(now, peer, frame);
                if let Some(again) = self.mesh.held.get_mut(&peer) {
                    again.append(&mut held);
                }
            }
            if !self.mesh.held.contains_key(&peer) {
                self.quic.pause_mesh(peer, false);
            }
        }
        for load in self.mesh.bridge.take_due(now.mono) {
            self.carry(now, load);
        }
        self.send_mesh(now);
    }

    /// A message of a v12 peer is news: our modern neighbours may lack it.
    pub(super) fn offer_mesh(&mut self, now: Now, content: ContentId, data: &Bytes) {
        let topics: Vec<TopicTag> = self.public_topics().take(limits::MESH_TOPICS).collect();
        if !topics.is_empty() {
            let rank = self.mesh.rank(&topics, &self.identity.key());
            let load = Load { to: To::Mesh(topics), content, data: data.clone() };
            self.session.stats.mesh_rejected += u64::from(!self.mesh.bridge.offer(now.mono, rank, load));
        }
    }

    /// A message of a v12 peer is news: our other v12 peers may lack it. After a while, because an old peer that hears it
    /// from us first passes it on to its author too, who takes it for somebody else's.
    pub(super) fn forward(&mut self, now: Now, content: ContentId, data: &Bytes) {
        let load = Load { to: To::Old, content, data: data.clone() };
        if !self.mesh.bridge.offer(now.mono, 0, load.clone()) {
            self.carry(now, load);
        }
    }

    /// The public topics that have modern members among our peers.
    fn public_topics(&self) -> impl Iterator<Item = TopicTag> + '_ {
        let public = |no: &TopicNo| self.topics.name(*no).is_some_and(|name| !name.is_private());
        let topics = self.mesh.topics.iter().filter(move |(_, no)| public(no)).map(|(tag, _)| *tag);
        topics.filter(|tag| self.mesh.has_members(*tag))
    }

    fn take_frame(&mut self, now: Now, peer: PeerId, frame: Bytes) {
        // The session hands on whole frames only.
        let Ok(Some((read, _))) = next(&frame) else { return };
        match self.mesh.gossip.handle(now.mono, peer, &read) {
            Ok(None) => {}
            Ok(Some(delivered)) => self.broadcast_came(now, delivered),
            Err(Refused::Later(at)) => {
                self.mesh.held.entry(peer).or_default().push_back(frame);
                self.mesh.until.set(peer, Some(at));
                self.quic.pause_mesh(peer, true);
            }
            Err(Refused::Hostile) => {
                let why = format!("{} messages in the mesh were forged", limits::MESH_FORGED);
                self.with_quic(now, |quic, env| quic.refuse(env, peer, &why));
            }
        }
    }

    /// A broadcast over the mesh, for the application and for old peers.
    fn broadcast_came(&mut self, now: Now, came: Delivered) {
        let Delivered { topic, author, bridged, content, payload, from, .. } = came;
        if topic == NEIGHBOUR_TAG {
            self.mesh.bridge.was_signed(content);
            if self.flood.received(content, flood::Link::Signed, now.mono) {
                self.session.stats.messages_received += 1;
                self.event(Event::Message { peer: from, data: payload, clear: false, broadcast: None });
            }
            return;
        }
        let Some(no) = self.mesh.topics.get(&topic).copied() else { return };
        let private = self.topics.name(no).is_none_or(|name| name.is_private());
        let Some(id) = self.topics.id_of(no) else { return };
        // Nothing of v12 belongs on a private topic, and without v12 nobody wants words of unknown authors.
        if bridged && (private || !self.legacy) {
            return;
        }
        if !private {
            let link = if bridged { flood::Link::Bridge(author) } else { flood::Link::Signed };
            let new = self.flood.received(content, link, now.mono);
            match bridged {
                true => self.mesh.bridge.carried(content, topic),
                false => self.mesh.bridge.was_signed(content),
            }
            if !new {
                return;
            }
            if self.v12.count() > 0 && payload.len() <= self.v12.max_message() {
                let rank = self.mesh.rank(&[topic], &self.identity.key());
                let load = Load { to: To::Old, content, data: payload.clone() };
                self.session.stats.mesh_rejected += u64::from(!self.mesh.bridge.offer(now.mono, rank, load));
            }
        }
        self.session.stats.messages_received += 1;
        let broadcast = Some(Broadcast { topic: id, author: (!bridged).then_some(author) });
        self.event(Event::Message { peer: from, data: payload, clear: false, broadcast: broadcast.map(Box::new) });
    }

    /// Nobody carried it before us.
    fn carry(&mut self, now: Now, load: Load) {
        match load.to {
            To::Mesh(topics) => {
                // Beyond our rate it is left to other bridges.
                let said = self.mesh.gossip.publish(now, &self.identity, &topics, &load.data, true);
                self.session.stats.mesh_rejected += u64::from(said.is_err());
            }
            To::Old => {
                let lack = self.v12.peers().into_iter().filter(|peer| self.flood.lacks(load.content, *peer));
                for peer in lack.take(limits::FLOOD_DEGREE).collect::<Vec<_>>() {
                    // As all floods: who cannot take it now gets it from others.
                    let _ = self.with_v12(now, |v12, env| v12.send(env, peer, load.data.to_vec(), 0));
                }
            }
        }
    }

    /// Hands to the sessions what the mesh wants to send.
    fn send_mesh(&mut self, now: Now) {
        while let Some(peer) = self.mesh.gossip.poll_link() {
            self.mesh_room(now, peer);
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::crypto::identity::Identity;
    use crate::crypto::topic::TopicKey;
    use crate::mesh::author::{Envelope, name, sign};
    use crate::wire::v13::mesh::Message;
    use std::time::Duration;

    const PEER: PeerId = PeerId(1 << 40);
    const TIME: u64 = 1_795_000_000_000_000;

    /// A node on a public topic, with one modern neighbour that is only known to its mesh.
    fn node() -> (Node, Now, [u8; 32]) {
        let now = Now { mono: Instant::now(), unix_us: TIME };
        let config = Config { lan: false, ..Config::default() };
        let mut node =
            Node::new(&config, Identity::from_seed(&[1; 32]), LocalPorts::default(), [2; 32], now).expect("a node");
        node.join(now, [5; 32], None, Modes::default()).expect("joined");
        let name = TopicKey::public(&[5; 32]).mesh();
        let tag = *name.first_chunk().expect("32 bytes");
        node.mesh.gossip.link_up(now.mono, PEER, [9; 32], &[tag]);
        (node, now, name)
    }

    fn frame(topic: &[u8; 32], n: u64, flags: u8, payload: &[u8]) -> Bytes {
        let author = Identity::from_seed(&[&n.to_be_bytes()[..], &[3; 24]].concat().try_into().expect("32 bytes"));
        let envelope = Envelope { author: author.key(), flags, time: TIME };
        let (id, _) = name(&envelope, payload);
        let signature = sign(&author, topic, &id, &envelope, payload);
        let topic = *topic.first_chunk().expect("32 bytes");
        let message = Message { topic, author: author.key(), id, hops: 0, flags, time: TIME, signature, payload };
        let mut out = Vec::new();
        message.encode(&mut out).expect("small");
        out.into()
    }

    fn delivered(node: &mut Node, now: Now) -> Vec<Bytes> {
        let mut data = Vec::new();
        while let Some(output) = node.poll_output(now) {
            if let Output::Event(Event::Message { data: came, .. }) = output {
                data.push(came);
            }
        }
        data
    }

    #[test]
    fn a_peer_beyond_its_rate_waits_and_loses_nothing() {
        let (mut node, now, topic) = node();
        let burst = u64::from(limits::MESH_LINK_CHECKS);
        let said = |n: u64| Bytes::copy_from_slice(&n.to_be_bytes());
        for n in 0..burst + 300 {
            node.mesh_frame(now, PEER, frame(&topic, n, 0, &said(n)));
        }
        assert_eq!(delivered(&mut node, now).len() as u64, burst);
        assert_eq!(node.mesh.held[&PEER].len(), 300);
        let mut rest = Vec::new();
        for ms in 1..=200 {
            let now = Now { mono: now.mono + Duration::from_millis(ms), ..now };
            node.handle_timeout(now);
            rest.extend(delivered(&mut node, now));
            assert_eq!(rest.len() as u64, (ms * burst / 1_000).min(300), "as its rate allows");
        }
        assert_eq!(rest, (burst..burst + 300).map(said).collect::<Vec<_>>(), "in order");
        assert!(node.mesh.held.is_empty() && node.mesh.until.next().is_none());
    }

    #[test]
    fn what_waits_goes_with_its_peer() {
        let (mut node, now, topic) = node();
        for n in 0..u64::from(limits::MESH_LINK_CHECKS) + 9 {
            node.mesh_frame(now, PEER, frame(&topic, n, 0, &n.to_be_bytes()));
        }
        assert_eq!(node.mesh.held.len(), 1);
        node.mesh_gone(now, PEER);
        assert!(node.mesh.held.is_empty() && node.mesh.until.next().is_none());
        assert!(!node.mesh.gossip.holds(PEER));
    }

    #[test]
    fn copies_of_bridges_are_one_message_without_an_author() {
        let (mut node, now, topic) = node();
        for bridge in 0..3 {
            node.mesh_frame(now, PEER, frame(&topic, bridge, 1, b"of an old peer"));
        }
        node.mesh_frame(now, PEER, frame(&topic, 7, 0, b"of an old peer"));
        assert_eq!(delivered(&mut node, now), [&b"of an old peer"[..]], "the fourth came another way");
        node.mesh_frame(now, PEER, frame(&topic, 8, 0, b"of an old peer"));
        assert_eq!(delivered(&mut node, now).len(), 1, "somebody else says the same");
    }
}
