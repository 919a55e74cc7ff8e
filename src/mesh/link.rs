//! One neighbour in the mesh: the topics shared with it, what waits for it, what it may ask of us.
//!
//! Per topic a link is eager (it gets messages at once) or lazy (it gets their ids, and asks).
//! Frames wait in a queue until the session takes them; when it is full, nothing more
//! is pushed and the ids wait in the digest. Queue, digest and rates are bounded.

use crate::bucket::Bucket;
use crate::config::limits::*;
use crate::wire::v13::mesh::{MessageId, NEIGHBOUR_TAG, TopicTag, encode_have, encode_prune, encode_want};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

/// One neighbour.
pub struct Link {
    /// Its public key.
    pub key: [u8; 32],
    /// The topics that both sides joined.
    pub topics: BTreeMap<TopicTag, Way>,
    /// Ids to announce.
    digest: BTreeSet<(TopicTag, MessageId)>,
    queue: VecDeque<Bytes>,
    queued: usize,
    bytes: Bucket,
    checks: Bucket,
    pub forged: u32,
}

/// How messages of a topic go to a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Messages go there at once.
    pub eager: bool,
    /// It was asked to send no more by itself, and has had no reason since to think otherwise.
    pub pruned: bool,
    /// Shared since then: what came before is none of its business.
    pub since: Instant,
}

impl Link {
    pub fn new(now: Instant, key: [u8; 32]) -> Link {
        Link {
            key,
            topics: BTreeMap::new(),
            digest: BTreeSet::new(),
            queue: VecDeque::new(),
            queued: 0,
            bytes: Bucket::new(MESH_LINK_BURST_BYTES, MESH_LINK_BYTES_PER_SECOND, now),
            checks: Bucket::new(MESH_LINK_CHECKS, MESH_LINK_CHECKS, now),
            forged: 0,
        }
    }

    /// When a frame of this size may be taken, and with `check` a signature verified.
    pub fn ready_at(&mut self, now: Instant, bytes: u32, check: bool) -> Instant {
        let checked = if check { self.checks.ready_at(1, now) } else { now };
        checked.max(self.bytes.ready_at(bytes, now))
    }

    /// Takes it from what the neighbour may ask of us.
    pub fn charge(&mut self, now: Instant, bytes: u32, check: bool) {
        self.bytes.take(bytes, now);
        if check {
            self.checks.take(1, now);
        }
    }

    /// There is room for a message.
    pub fn has_room(&self) -> bool {
        self.queued < MESH_QUEUE_BYTES
    }

    /// Bytes that wait.
    pub fn queued(&self) -> usize {
        self.queued
    }

    pub fn push(&mut self, frame: Bytes) {
        self.queued = self.queued.saturating_add(frame.len());
        self.queue.push_back(frame);
    }

    /// Announces a message with the next digest. Ids beyond the bound are not announced: others may.
    pub fn announce(&mut self, topic: TopicTag, id: MessageId) -> bool {
        self.digest.len() < MESH_DIGEST_IDS && self.digest.insert((topic, id))
    }

    /// The neighbour has it.
    pub fn needs_not(&mut self, topic: TopicTag, id: MessageId) {
        self.digest.remove(&(topic, id));
    }

    pub fn has_digest(&self) -> bool {
        !self.digest.is_empty()
    }

    /// Puts the digest into the queue.
    pub fn send_digest(&mut self) {
        let ids: Vec<(TopicTag, MessageId)> = std::mem::take(&mut self.digest).into_iter().collect();
        for ids in ids.chunks(MESH_IDS_PER_FRAME) {
            self.encode(|out| encode_have(ids, out).is_ok());
        }
    }

    /// Asks for messages. A neighbour that takes nothing from us is not asked.
    pub fn send_want(&mut self, ids: &[MessageId]) {
        if self.has_room() {
            ids.chunks(MESH_IDS_PER_FRAME).for_each(|ids| self.encode(|out| encode_want(ids, out).is_ok()));
        }
    }

    /// Asks for no more of this topic, once.
    pub fn send_prune(&mut self, topic: TopicTag) {
        let Some(way) = self.topics.get_mut(&topic) else { return };
        way.eager = false;
        if !std::mem::replace(&mut way.pruned, true) {
            self.encode(|out| {
                encode_prune(&topic, out);
                true
            });
        }
    }

    /// What is to be sent next.
    pub fn front(&self) -> Option<&Bytes> {
        self.queue.front()
    }

    /// It was taken.
    pub fn sent(&mut self) {
        let frame = self.queue.pop_front();
        self.queued = self.queued.saturating_sub(frame.map_or(0, |frame| frame.len()));
    }

    /// A topic is not shared any more. What a neighbour was to get that shares one now is still for it.
    pub fn leave(&mut self, topic: TopicTag) {
        self.topics.remove(&topic);
        self.digest.retain(|(of, _)| *of != topic || topic == NEIGHBOUR_TAG);
    }

    fn encode(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let mut out = Vec::new();
        if write(&mut out) {
            self.push(out.into());
        }
    }
}
