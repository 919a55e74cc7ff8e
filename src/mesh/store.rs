//! Recent broadcasts, kept for neighbours who ask for them.
//!
//! Bounded in bytes, number and time; the oldest go first. An entry knows which neighbours have
//! it already, because it came from them, went to them or was announced by them: a payload
//! crosses a link once. Frames are shared with the queues of the links, not copied.

use crate::config::limits::{MESH_STORE_BYTES, MESH_STORE_MESSAGES, MESH_STORE_TIME};
use crate::node::api::PeerId;
use crate::wire::v13::mesh::{MessageId, TopicTag};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// One message in one topic.
pub struct Entry {
    /// The MESSAGE as we send it.
    pub frame: Bytes,
    /// Its author sent it over a lazy link: copies over eager ones are no reason to prune them.
    pub direct: bool,
    at: Instant,
    holders: Vec<PeerId>,
}

/// All of them.
#[derive(Default)]
pub struct Store {
    entries: BTreeMap<(MessageId, TopicTag), Entry>,
    order: VecDeque<(Instant, MessageId, TopicTag)>,
    bytes: usize,
}

impl Entry {
    pub fn has(&self, peer: PeerId) -> bool {
        self.holders.contains(&peer)
    }

    pub fn held_by(&mut self, peer: PeerId) {
        if !self.has(peer) {
            self.holders.push(peer);
        }
    }
}

impl Store {
    pub fn insert(&mut self, now: Instant, id: MessageId, topic: TopicTag, frame: Bytes, direct: bool) {
        self.bytes = self.bytes.saturating_add(frame.len());
        self.order.push_back((now, id, topic));
        let replaced = self.entries.insert((id, topic), Entry { frame, direct, at: now, holders: Vec::new() });
        debug_assert!(replaced.is_none(), "a message is new once");
        self.expire(now);
    }

    pub fn get(&mut self, id: MessageId, topic: TopicTag) -> Option<&mut Entry> {
        self.entries.get_mut(&(id, topic))
    }

    /// The topics in which a message is here.
    pub fn topics(&self, id: MessageId) -> Vec<TopicTag> {
        self.entries.range((id, [0; 8])..=(id, [0xff; 8])).map(|((_, topic), _)| *topic).collect()
    }

    /// What came to a topic since then and is not known to be at `peer`.
    pub fn missed(&self, topic: TopicTag, since: Instant, peer: PeerId) -> impl Iterator<Item = MessageId> {
        let of_topic = self.entries.iter().filter(move |((_, of), _)| *of == topic);
        of_topic.filter(move |(_, entry)| entry.at >= since && !entry.has(peer)).map(|((id, _), _)| *id)
    }

    pub fn forget_peer(&mut self, peer: PeerId) {
        for entry in self.entries.values_mut() {
            entry.holders.retain(|holder| *holder != peer);
        }
    }

    pub fn forget_topic(&mut self, topic: TopicTag) {
        let bytes = &mut self.bytes;
        self.entries.retain(|(_, of), entry| {
            let stays = *of != topic;
            if !stays {
                *bytes = bytes.saturating_sub(entry.frame.len());
            }
            stays
        });
        self.order.retain(|(_, _, of)| *of != topic);
    }

    pub fn expire(&mut self, now: Instant) {
        while let Some((at, id, topic)) = self.order.front().copied() {
            let young = now.saturating_duration_since(at) < MESH_STORE_TIME;
            if young && self.order.len() <= MESH_STORE_MESSAGES && self.bytes <= MESH_STORE_BYTES {
                break;
            }
            self.order.pop_front();
            if let Some(entry) = self.entries.remove(&(id, topic)) {
                self.bytes = self.bytes.saturating_sub(entry.frame.len());
            }
        }
    }

    /// When the oldest goes.
    pub fn poll_deadline(&self) -> Option<Instant> {
        self.order.front().map(|(at, ..)| *at + MESH_STORE_TIME)
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;

    const T: TopicTag = [1; 8];
    const U: TopicTag = [2; 8];
    const P: PeerId = PeerId(1);

    fn id(n: usize) -> MessageId {
        (n as u128).to_be_bytes()
    }

    #[test]
    fn bounded_in_bytes_number_and_time() {
        let (mut store, now) = (Store::default(), Instant::now());
        for n in 0..MESH_STORE_MESSAGES + 9 {
            store.insert(now, id(n), T, Bytes::from_static(b"12345"), false);
        }
        assert_eq!(store.bytes(), 5 * MESH_STORE_MESSAGES);
        assert!(store.get(id(8), T).is_none() && store.get(id(9), T).is_some());
        let large = Bytes::from(vec![0; 1 << 20]);
        for n in 0..40 {
            store.insert(now, id(1 << 20 | n), U, large.clone(), false);
        }
        assert_eq!(store.bytes(), MESH_STORE_BYTES >> 20 << 20);
        assert_eq!(store.poll_deadline(), Some(now + MESH_STORE_TIME));
        store.expire(now + MESH_STORE_TIME);
        assert_eq!((store.bytes(), store.poll_deadline()), (0, None));
    }

    #[test]
    fn who_has_it_and_who_missed_it() {
        let (mut store, now) = (Store::default(), Instant::now());
        store.insert(now, id(1), T, Bytes::from_static(b"1"), false);
        store.insert(now, id(1), U, Bytes::from_static(b"1"), false);
        store.insert(now, id(2), T, Bytes::from_static(b"1"), false);
        store.get(id(1), T).expect("stored").held_by(P);
        assert_eq!(store.topics(id(1)), [T, U]);
        assert_eq!(store.missed(T, now, P).collect::<Vec<_>>(), [id(2)]);
        assert_eq!(store.missed(T, now + MESH_STORE_TIME, PeerId(2)).count(), 0, "nothing of before");
        store.forget_peer(P);
        assert_eq!(store.missed(T, now, P).count(), 2);
        store.forget_topic(T);
        assert_eq!((store.topics(id(1)), store.bytes()), (vec![U], 1));
    }
}
