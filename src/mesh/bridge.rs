//! Broadcasts on their way between v12 peers and the mesh of modern peers.
//!
//! Every member with peers of both kinds may carry a message across, and one is enough. They act
//! one after the other: the member with the lowest key among those it sees waits one step,
//! the next one two, and so on; who sees that it was carried meanwhile, or that it came on its own,
//! does nothing. So it does not matter that members see different parts of the
//! mesh, nor that the first one has no v12 peers or has just died; and when two act after
//! all, their copies are counted as such (`flood`).
//! Inputs: messages that are new, and what was seen of them since. Outputs: what to carry now.

use super::flood::ContentId;
use crate::config::limits::{BRIDGE_STEP, BRIDGE_STEPS, BRIDGE_WAITING, BRIDGE_WAITING_BYTES};
use crate::wire::v13::mesh::TopicTag;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Instant;

/// Where a message is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// The modern members of these topics: as one message, so that a member of several gets it once.
    Mesh(Vec<TopicTag>),
    /// Our v12 peers that do not have it.
    Old,
}

/// A message that may have to be carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    pub to: To,
    pub content: ContentId,
    pub data: Bytes,
}

/// All of them.
#[derive(Default)]
pub struct Bridge {
    waiting: BTreeMap<(Instant, u64), Load>,
    bytes: usize,
    count: u64,
}

impl Bridge {
    /// A new message; `rank`: how many members that we see would carry it before us. False: there is no room.
    pub fn offer(&mut self, now: Instant, rank: usize, load: Load) -> bool {
        let bytes = self.bytes.saturating_add(load.data.len());
        if self.waiting.len() >= BRIDGE_WAITING || bytes > BRIDGE_WAITING_BYTES {
            return false;
        }
        self.bytes = bytes;
        self.count += 1;
        let steps = u32::try_from(rank).unwrap_or(u32::MAX).saturating_add(1).min(BRIDGE_STEPS);
        self.waiting.insert((now + BRIDGE_STEP * steps, self.count), load);
        true
    }

    /// A bridge carried it into the mesh of this topic.
    pub fn carried(&mut self, content: ContentId, topic: TopicTag) {
        self.drop_if(|load| match &mut load.to {
            To::Mesh(topics) if load.content == content => {
                topics.retain(|other| *other != topic);
                topics.is_empty()
            }
            _ => false,
        });
    }

    /// The mesh had it all along, signed by its author.
    pub fn was_signed(&mut self, content: ContentId) {
        self.drop_if(|load| load.content == content && load.to != To::Old);
    }

    /// What is to be carried now.
    pub fn take_due(&mut self, now: Instant) -> Vec<Load> {
        let mut due = Vec::new();
        while let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 <= now) {
            let load = first.remove();
            self.bytes = self.bytes.saturating_sub(load.data.len());
            due.push(load);
        }
        due
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// Nothing is carried any more.
    pub fn clear(&mut self) {
        *self = Bridge::default();
    }

    fn drop_if(&mut self, condition: impl Fn(&mut Load) -> bool) {
        let bytes = &mut self.bytes;
        self.waiting.retain(|_, load| {
            let goes = condition(load);
            if goes {
                *bytes = bytes.saturating_sub(load.data.len());
            }
            !goes
        });
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;

    const T: TopicTag = [1; 8];
    const U: TopicTag = [2; 8];

    fn load(to: To, content: u8) -> Load {
        Load { to, content: [content; 16], data: Bytes::from(vec![content; 1 << 10]) }
    }

    #[test]
    fn the_first_waits_one_step_and_the_last_not_for_ever() {
        let start = Instant::now();
        for (rank, steps) in [(0, 1), (1, 2), (8, 9), (9, 10), (10, 10), (usize::MAX, 10)] {
            let mut bridge = Bridge::default();
            assert!(bridge.offer(start, rank, load(To::Old, 1)));
            let due = start + BRIDGE_STEP * steps;
            assert_eq!(bridge.poll_deadline(), Some(due), "rank {rank}");
            assert!(bridge.take_due(due - BRIDGE_STEP / 2).is_empty());
            assert_eq!(bridge.take_due(due), [load(To::Old, 1)]);
            assert_eq!((bridge.poll_deadline(), bridge.bytes), (None, 0));
        }
    }

    #[test]
    fn what_others_carried_is_left_alone() {
        let (mut bridge, now) = (Bridge::default(), Instant::now());
        for to in [To::Mesh(vec![T]), To::Mesh(vec![T, U]), To::Old] {
            bridge.offer(now, 0, load(to.clone(), 1));
            bridge.offer(now, 0, load(to, 2));
        }
        bridge.carried([1; 16], T);
        bridge.was_signed([2; 16]);
        let left = bridge.take_due(now + BRIDGE_STEP);
        assert_eq!(left, [load(To::Mesh(vec![U]), 1), load(To::Old, 1), load(To::Old, 2)]);
        assert_eq!(bridge.bytes, 0);
    }

    #[test]
    fn waiting_is_bounded_in_number_and_bytes() {
        let (mut bridge, now) = (Bridge::default(), Instant::now());
        let small = Load { data: Bytes::new(), ..load(To::Old, 1) };
        assert_eq!((0..2 * BRIDGE_WAITING).filter(|_| bridge.offer(now, 0, small.clone())).count(), BRIDGE_WAITING);
        bridge.clear();
        let large = Load { data: Bytes::from(vec![0; 1 << 20]), ..load(To::Old, 1) };
        assert_eq!((0..99).filter(|_| bridge.offer(now, 0, large.clone())).count(), BRIDGE_WAITING_BYTES >> 20);
    }
}
