//! Broadcasts between modern peers, in the manner of Plumtree.
//!
//! Inputs: links that come, go and change their topics; broadcasts of our own; frames of the mesh
//! stream; time. Outputs: frames per link (`poll_link`, `front`, `sent`) and what is
//! new (`Delivered`). A message goes at once over eager links and by its id over lazy ones. Who
//! gets a message twice makes that link lazy (PRUNE); who learns of one that does not come
//! asks for it and makes the link eager (WANT). So a tree forms and mends itself.
//! A neighbour with whom no topic is shared gets messages from their author, under the name of no topic, and
//! passes them on to nobody; because the id is the same, what it gets on a topic of its own as well is known.
//!
//! Invariants: a message is taken once per topic and delivered once; it goes only to links that
//! share its topic, and to no link twice; nothing is kept or passed on before its signature was verified;
//! what one link can make us keep, verify or send is bounded. Docs: docs/protocol.md.

use super::author::{self, Envelope};
use super::flood::ContentId;
use super::link::{Link, Way};
use super::pulls::Pulls;
use super::seen::Seen;
use super::store::Store;
use crate::bucket::Bucket;
use crate::config::limits::*;
use crate::crypto::identity::Identity;
use crate::error::{Code, Error, Result};
use crate::node::api::{Now, PeerId};
use crate::timers::earlier;
use crate::wire::v13::mesh::*;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

/// The mesh of one swarm: all its topics, all its modern peers.
pub struct Gossip {
    pub(super) key: [u8; 32],
    pub(super) topics: BTreeMap<TopicTag, [u8; 32]>,
    pub(super) links: BTreeMap<PeerId, Link>,
    /// Neighbours that left lately, with the topics we shared and since when.
    pub(super) departed: VecDeque<(Instant, [u8; 32], BTreeMap<TopicTag, Instant>)>,
    pub(super) seen: Seen,
    pub(super) store: Store,
    pub(super) pulls: Pulls,
    /// When the digests leave.
    pub(super) digests_at: Option<Instant>,
    /// Bytes that wait in all queues.
    pub(super) queued: usize,
    /// Links with something to send that the caller has not been told of.
    pub(super) ready: BTreeSet<PeerId>,
    pub(super) checks: Bucket,
    pub(super) said: Bucket,
    pub(super) said_bytes: Bucket,
    pub(super) last_time: u64,
    pub(super) stats: Stats,
}

/// A broadcast that is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub topic: TopicTag,
    /// Who signed it; if `bridged`, only the bridge.
    pub author: [u8; 32],
    /// It came from v12: nobody knows who wrote it.
    pub bridged: bool,
    pub id: MessageId,
    pub content: ContentId,
    pub payload: Bytes,
    /// The link it came over.
    pub from: PeerId,
}

/// A broadcast of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    pub id: MessageId,
    pub content: ContentId,
    /// Neighbours that get the message or its id.
    pub reached: usize,
}

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too much at once: the same frame again at that time, and until then nothing of this link.
    Later(Instant),
    /// The peer passed on too many forged messages: the connection is to be closed.
    Hostile,
}

/// Counters since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Messages taken, one for each topic.
    pub received: u64,
    /// Copies of known ones.
    pub duplicates: u64,
    /// Copies sent to neighbours.
    pub sent: u64,
    /// Of topics not shared, too old, of our own making, or with too many hops.
    pub ignored: u64,
    /// With a false id or signature.
    pub forged: u64,
    /// Not passed on because their author says too much.
    pub over_rate: u64,
    /// Times that a link had to wait.
    pub delayed: u64,
    /// Questions asked because a message did not come by itself.
    pub pulled: u64,
    /// Announcements given up because a digest or the table of missing messages was full.
    pub unannounced: u64,
}

impl Gossip {
    pub fn new(now: Instant, key: [u8; 32]) -> Gossip {
        Gossip {
            key,
            topics: BTreeMap::from([(NEIGHBOUR_TAG, NEIGHBOUR)]),
            links: BTreeMap::new(),
            departed: VecDeque::new(),
            seen: Seen::default(),
            store: Store::default(),
            pulls: Pulls::default(),
            digests_at: None,
            queued: 0,
            ready: BTreeSet::new(),
            checks: Bucket::new(MESH_CHECKS, MESH_CHECKS, now),
            said: Bucket::new(MESH_PUBLISH_BURST, MESH_PUBLISH_PER_SECOND, now),
            said_bytes: Bucket::new(MESH_PUBLISH_BURST_BYTES, MESH_PUBLISH_BYTES_PER_SECOND, now),
            last_time: 0,
            stats: Stats::default(),
        }
    }

    /// Joins a topic by all 32 bytes of its name in the mesh.
    pub fn join(&mut self, topic: [u8; 32]) -> TopicTag {
        let tag = tag(&topic);
        self.topics.insert(tag, topic);
        tag
    }

    /// Leaves a topic and forgets what was kept of it.
    pub fn leave(&mut self, topic: TopicTag) {
        self.topics.remove(&topic);
        self.links.values_mut().for_each(|link| link.leave(topic));
        self.store.forget_topic(topic);
        self.pulls.forget_topic(topic);
    }

    /// A modern peer is there and shares these topics with us.
    pub fn link_up(&mut self, now: Instant, peer: PeerId, key: [u8; 32], shared: &[TopicTag]) {
        self.link_down(now, peer);
        self.links.insert(peer, Link::new(now, key));
        self.topics_changed(now, peer, shared);
        // It was here a moment ago: it gets what it would have got had it stayed.
        let before = self.departed.iter().rposition(|(_, departed, _)| *departed == key);
        let Some((left, _, topics)) = before.and_then(|place| self.departed.remove(place)) else { return };
        if now.saturating_duration_since(left) >= MESH_STORE_TIME {
            return;
        }
        let Some(link) = self.links.get_mut(&peer) else { return };
        for (topic, way) in &mut link.topics {
            way.since = topics.get(topic).copied().unwrap_or(way.since);
        }
        for (topic, since) in link.topics.iter().map(|(topic, way)| (*topic, way.since)).collect::<Vec<_>>() {
            for id in self.store.missed(topic, since, peer) {
                self.stats.unannounced += u64::from(!link.announce(topic, id));
            }
        }
        if link.has_digest() {
            self.digests_at.get_or_insert(now);
        }
    }

    /// The topics shared with a peer are these now. With none it is a neighbour, to whom all is sent at once: nobody else
    /// brings it.
    pub fn topics_changed(&mut self, now: Instant, peer: PeerId, shared: &[TopicTag]) {
        let shared = if shared.is_empty() { &[NEIGHBOUR_TAG] } else { shared };
        let Some(link) = self.links.get_mut(&peer) else { return };
        let gone: Vec<TopicTag> = link.topics.keys().filter(|topic| !shared.contains(topic)).copied().collect();
        gone.into_iter().for_each(|topic| link.leave(topic));
        for topic in shared.iter().filter(|topic| self.topics.contains_key(*topic)) {
            let eager = self.links.values().filter(|link| link.topics.get(topic).is_some_and(|way| way.eager)).count();
            if let Some(link) = self.links.get_mut(&peer) {
                let eager = eager < MESH_EAGER || *topic == NEIGHBOUR_TAG;
                let way = Way { eager, pruned: false, since: now };
                link.topics.entry(*topic).or_insert(way);
            }
        }
    }

    /// A peer is gone, and with it all that waited for it.
    pub fn link_down(&mut self, now: Instant, peer: PeerId) {
        let Some(link) = self.links.remove(&peer) else { return };
        self.queued = self.queued.saturating_sub(link.queued());
        self.ready.remove(&peer);
        self.store.forget_peer(peer);
        self.pulls.forget_peer(now, peer);
        let topics = link.topics.iter().map(|(topic, way)| (*topic, way.since)).collect();
        self.departed.push_back((now, link.key, topics));
        if self.departed.len() > MESH_DEPARTED {
            self.departed.pop_front();
        }
    }

    /// Signs a broadcast and sends it to the members of these topics, `NEIGHBOUR_TAG` for those with none. `bridged`: it
    /// came from v12.
    pub fn publish(
        &mut self,
        now: Now,
        identity: &Identity,
        topics: &[TopicTag],
        payload: &[u8],
        bridged: bool,
    ) -> Result<Published> {
        let size = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if payload.len() > MESH_PAYLOAD_BYTES {
            let detail = format!("data: {size} bytes; a broadcast holds at most {MESH_PAYLOAD_BYTES}, split it");
            return Err(Error::new(Code::TooLarge, detail));
        }
        let ready = self.said.ready_at(1, now.mono).max(self.said_bytes.ready_at(size, now.mono));
        if ready > now.mono {
            let wait = ready.saturating_duration_since(now.mono).as_millis();
            let detail = format!(
                "broadcasts: at most {MESH_PUBLISH_PER_SECOND} and {MESH_PUBLISH_BYTES_PER_SECOND} bytes in a second; try again in {wait} ms"
            );
            return Err(Error::new(Code::WouldBlock, detail));
        }
        self.said.take(1, now.mono);
        self.said_bytes.take(size, now.mono);
        // A clock that steps back must not make our messages look like replays.
        self.last_time = now.unix_us.max(self.last_time.saturating_add(1));
        let flags = if bridged { BRIDGED } else { 0 };
        let envelope = Envelope { author: self.key, flags, time: self.last_time };
        let (id, content) = author::name(&envelope, payload);
        let shares = |link: &Link| topics.iter().any(|topic| link.topics.contains_key(topic));
        let reached = self.links.values().filter(|link| shares(link)).count();
        for topic in topics {
            let linked = self.links.values().any(|link| link.topics.contains_key(topic));
            let Some(name) = self.topics.get(topic).copied().filter(|_| linked) else { continue };
            let signature = author::sign(identity, &name, &id, &envelope, payload);
            let time = envelope.time;
            let message = Message { topic: *topic, author: self.key, id, hops: 0, flags, time, signature, payload };
            self.seen.enter(now.mono, id, *topic, self.key, time, payload.len());
            self.pass_on(now.mono, &message, None, false);
        }
        Ok(Published { id, content, reached })
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.store.expire(now);
        let mut questions: BTreeMap<PeerId, Vec<MessageId>> = BTreeMap::new();
        for (peer, id, topic) in self.pulls.take_due(now) {
            // Who is asked sends at once from now on, and so do we.
            if self.graft(peer, topic) || topic == NEIGHBOUR_TAG {
                self.stats.pulled += 1;
                questions.entry(peer).or_default().push(id);
            }
        }
        for (peer, ids) in questions {
            self.write(peer, |link| link.send_want(&ids));
        }
        if self.digests_at.is_some_and(|at| at <= now) {
            self.digests_at = None;
            let waiting = self.links.iter().filter(|(_, link)| link.has_digest() && link.has_room());
            for peer in waiting.map(|(peer, _)| *peer).collect::<Vec<_>>() {
                self.write(peer, Link::send_digest);
            }
        }
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        earlier(earlier(self.digests_at, self.pulls.poll_deadline()), self.store.poll_deadline())
    }

    /// A link that has something to send since it was last returned here.
    pub fn poll_link(&mut self) -> Option<PeerId> {
        self.ready.pop_first()
    }

    /// What is to be sent next to a peer.
    pub fn front(&self, peer: PeerId) -> Option<&Bytes> {
        self.links.get(&peer)?.front()
    }

    /// The session took it.
    pub fn sent(&mut self, now: Instant, peer: PeerId) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let before = link.queued();
        link.sent();
        self.queued = self.queued.saturating_sub(before.saturating_sub(link.queued()));
        if link.has_digest() && link.has_room() {
            self.digests_at.get_or_insert(now + MESH_HAVE_DELAY);
        }
    }

    /// This peer is a link of the mesh.
    pub fn holds(&self, peer: PeerId) -> bool {
        self.links.contains_key(&peer)
    }

    /// The keys of the neighbours that share a topic.
    pub fn members(&self, topic: TopicTag) -> impl Iterator<Item = &[u8; 32]> {
        self.links.values().filter(move |link| link.topics.contains_key(&topic)).map(|link| &link.key)
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// What is held now: messages kept in bytes, bytes that wait for links, messages looked for.
    pub fn held(&self) -> (usize, usize, usize) {
        (self.store.bytes(), self.queued, self.pulls.len())
    }

    /// Ids and authors remembered now.
    pub fn remembered(&self) -> (usize, usize) {
        self.seen.len()
    }

    /// Keeps a message for who asks, and sends it or its id to all who share its topic. `direct`: it came from its
    /// author over a lazy link.
    pub(super) fn pass_on(&mut self, now: Instant, message: &Message<'_>, from: Option<PeerId>, direct: bool) -> Bytes {
        let mut frame = Vec::with_capacity(message.payload.len().saturating_add(MESSAGE_HEADER_BYTES + 8));
        // It cannot fail: the payload was measured when it was said, or read.
        let _ = message.encode(&mut frame);
        let frame = Bytes::from(frame);
        let (id, topic) = (message.id, message.topic);
        self.store.insert(now, id, topic, frame.clone(), direct);
        if let (Some(from), Some(entry)) = (from, self.store.get(id, topic)) {
            entry.held_by(from);
        }
        let lacks = |link: &Link| link.key != message.author && link.topics.contains_key(&topic);
        let links: Vec<PeerId> = self.links.iter().filter(|(_, link)| lacks(link)).map(|(peer, _)| *peer).collect();
        // Where all members may be neighbours, the way by others is the longer one.
        let all = from.is_none() && links.len() <= MESH_EAGER;
        for peer in links {
            let eager = self.links.get(&peer).and_then(|link| link.topics.get(&topic)).is_some_and(|way| way.eager);
            self.offer(now, peer, id, topic, eager || all);
        }
        frame
    }

    /// Sends a message to a peer that lacks it, or, if it is not to go at once or there is no room, its id.
    pub(super) fn offer(&mut self, now: Instant, peer: PeerId, id: MessageId, topic: TopicTag, at_once: bool) {
        let (Some(link), Some(entry)) = (self.links.get_mut(&peer), self.store.get(id, topic)) else { return };
        if entry.has(peer) {
            return;
        }
        if at_once && link.has_room() && self.queued < MESH_QUEUE_TOTAL_BYTES {
            entry.held_by(peer);
            link.needs_not(topic, id);
            if let Some(way) = link.topics.get_mut(&topic) {
                way.pruned = false;
            }
            let frame = entry.frame.clone();
            self.stats.sent += 1;
            self.write(peer, |link| link.push(frame));
        } else if link.announce(topic, id) {
            self.digests_at.get_or_insert(now + MESH_HAVE_DELAY);
        } else {
            self.stats.unannounced += 1;
        }
    }

    /// Lets something be put into a link's queue.
    pub(super) fn write(&mut self, peer: PeerId, write: impl FnOnce(&mut Link)) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        let before = link.queued();
        write(link);
        let added = link.queued().saturating_sub(before);
        self.queued = self.queued.saturating_add(added);
        if added > 0 {
            self.ready.insert(peer);
        }
    }
}

fn tag(topic: &[u8; 32]) -> TopicTag {
    let mut tag = [0; 8];
    tag.copy_from_slice(&topic[..8]);
    tag
}
