//! Which broadcasts were here, and how much each author may say.
//!
//! A message is taken once per topic. Ids are remembered for a bounded time and in a bounded
//! number; when one is forgotten, everything of its author up to its time is refused from then
//! on, so that what was forgotten cannot be played again. That too is remembered for a
//! bounded number of authors only: those who were silent for longest go first.
//! Only messages with a good signature may enter.

use crate::bucket::Bucket;
use crate::config::limits::*;
use crate::wire::v13::mesh::{MessageId, TopicTag};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

type Key = [u8; 32];

/// Ids that were here, and their authors.
#[derive(Default)]
pub struct Seen {
    known: BTreeSet<(MessageId, TopicTag)>,
    /// The same in the order they came.
    order: VecDeque<Record>,
    authors: BTreeMap<Key, Author>,
    /// Authors by the time of their last message.
    quiet: BTreeSet<(Instant, Key)>,
}

struct Record {
    at: Instant,
    id: MessageId,
    topic: TopicTag,
    author: Key,
    time: u64,
}

struct Author {
    last: Instant,
    /// What is older, by the author's clock, is refused.
    floor: u64,
    messages: Bucket,
    bytes: Bucket,
}

impl Seen {
    pub fn contains(&self, id: &MessageId, topic: &TopicTag) -> bool {
        self.known.contains(&(*id, *topic))
    }

    /// It was here, in whatever topic.
    pub fn anywhere(&self, id: &MessageId) -> bool {
        self.known.range((*id, [0; 8])..=(*id, [0xff; 8])).next().is_some()
    }

    /// Not so old that it may be the replay of a message that was forgotten.
    pub fn is_fresh(&self, author: &Key, time: u64) -> bool {
        self.authors.get(author).is_none_or(|known| time >= known.floor)
    }

    /// Enters a message; false if its author says too much: it is then neither delivered nor passed on.
    pub fn enter(
        &mut self,
        now: Instant,
        id: MessageId,
        topic: TopicTag,
        author: Key,
        time: u64,
        bytes: usize,
    ) -> bool {
        self.forget(now);
        self.known.insert((id, topic));
        self.order.push_back(Record { at: now, id, topic, author, time });
        let entry = self.authors.entry(author).or_insert_with(|| Author {
            last: now,
            floor: 0,
            messages: Bucket::new(MESH_AUTHOR_BURST, MESH_AUTHOR_PER_SECOND, now),
            bytes: Bucket::new(MESH_AUTHOR_BURST_BYTES, MESH_AUTHOR_BYTES_PER_SECOND, now),
        });
        self.quiet.remove(&(entry.last, author));
        entry.last = now;
        self.quiet.insert((now, author));
        let oldest = time.saturating_sub(MESH_MEMORY.as_micros() as u64);
        entry.floor = entry.floor.max(oldest);
        let size = u32::try_from(bytes).unwrap_or(u32::MAX);
        let allowed = entry.messages.take(1, now) && entry.bytes.take(size, now);
        if self.authors.len() > MESH_AUTHORS
            && let Some((_, quietest)) = self.quiet.pop_first()
        {
            self.authors.remove(&quietest);
        }
        allowed
    }

    /// Ids and authors remembered now.
    pub fn len(&self) -> (usize, usize) {
        (self.known.len(), self.authors.len())
    }

    fn forget(&mut self, now: Instant) {
        while let Some(oldest) = self.order.front() {
            let young = now.saturating_duration_since(oldest.at) < MESH_MEMORY;
            if self.order.len() < MESH_SEEN && young {
                break;
            }
            if let Some(author) = self.authors.get_mut(&oldest.author) {
                author.floor = author.floor.max(oldest.time.saturating_add(1));
            }
            self.known.remove(&(oldest.id, oldest.topic));
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;
    use std::time::Duration;

    const T: TopicTag = [1; 8];
    const MEMORY_US: u64 = MESH_MEMORY.as_micros() as u64;

    fn id(n: u64) -> MessageId {
        u128::from(n).to_be_bytes()
    }

    #[test]
    fn a_message_is_known_in_its_topic() {
        let (mut seen, now) = (Seen::default(), Instant::now());
        assert!(seen.enter(now, id(1), T, [1; 32], 5, 9));
        assert!(seen.contains(&id(1), &T) && !seen.contains(&id(1), &[2; 8]) && seen.anywhere(&id(1)));
        assert!(!seen.contains(&id(2), &T) && !seen.anywhere(&id(2)));
    }

    #[test]
    fn what_was_forgotten_is_refused() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        seen.enter(start, id(1), T, [1; 32], 1_000, 9);
        seen.enter(start + MESH_MEMORY, id(2), T, [1; 32], 2_000, 9);
        assert!(!seen.contains(&id(1), &T), "forgotten by time");
        assert!(!seen.is_fresh(&[1; 32], 1_000) && seen.is_fresh(&[1; 32], 1_001));
        assert!(seen.is_fresh(&[2; 32], 1), "other authors have their own time");
        seen.enter(start + MESH_MEMORY, id(3), T, [1; 32], 3 * MEMORY_US, 9);
        assert!(!seen.is_fresh(&[1; 32], 2 * MEMORY_US - 1), "ten minutes before the newest");
        assert!(seen.is_fresh(&[1; 32], 2 * MEMORY_US));
    }

    #[test]
    fn numbers_are_bounded_and_what_overflows_stays_refused() {
        let (mut seen, now) = (Seen::default(), Instant::now());
        for n in 0..MESH_SEEN as u64 + 100 {
            seen.enter(now, id(n), T, [1; 32], n, 9);
        }
        assert_eq!(seen.len(), (MESH_SEEN, 1));
        assert!(!seen.contains(&id(99), &T) && !seen.is_fresh(&[1; 32], 99));
        assert!(seen.contains(&id(100), &T) && seen.is_fresh(&[1; 32], 100));
        for n in 0..MESH_AUTHORS as u64 + 10 {
            let mut author = [2; 32];
            author[..8].copy_from_slice(&n.to_be_bytes());
            seen.enter(now + Duration::from_micros(n), id(1 << 40 | n), T, author, 0, 9);
        }
        assert_eq!(seen.len(), (MESH_SEEN, MESH_AUTHORS));
    }

    #[test]
    fn an_author_may_say_so_much() {
        let (mut seen, now) = (Seen::default(), Instant::now());
        let said = |seen: &mut Seen, now, from: u64, author, bytes| {
            (0..2 * u64::from(MESH_AUTHOR_BURST))
                .filter(|n| seen.enter(now, id(from + n), T, author, *n, bytes))
                .count()
        };
        assert_eq!(said(&mut seen, now, 0, [1; 32], 10), MESH_AUTHOR_BURST as usize);
        assert_eq!(said(&mut seen, now, 1 << 20, [2; 32], 1 << 20), MESH_AUTHOR_BURST_BYTES as usize >> 20);
        let later = now + Duration::from_secs(1);
        assert_eq!(said(&mut seen, later, 2 << 20, [1; 32], 10), MESH_AUTHOR_PER_SECOND as usize);
    }
}
