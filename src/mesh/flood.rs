//! Which messages of v12 peers are new, and to whom they are forwarded.
//!
//! v12 messages carry no id: a flood reaches us over several links with the same
//! content, and an author may repeat a content on purpose. Each link carries one copy
//! of each message, so a content is new exactly when its count on the link it
//! came by exceeds its highest count on any other link, within ten minutes.
//! What we sent ourselves counts like a link, so that it does not come back as news.

use crate::config::limits::{FLOOD_CONTENTS, FLOOD_LINKS, FLOOD_MEMORY};
use crate::node::api::PeerId;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// Names a content.
pub type ContentId = [u8; 16];

/// Counts of contents by link. What we sent ourselves counts like a link of its own.
#[derive(Default)]
pub struct Flood {
    contents: BTreeMap<ContentId, Counts>,
    /// Contents by the time they were first seen.
    order: VecDeque<(Instant, ContentId)>,
}

#[derive(Default)]
struct Counts {
    /// None: ourselves.
    links: Vec<(Option<PeerId>, u32)>,
    /// How many of ours went to this one peer alone.
    direct: Option<(PeerId, u32)>,
}

/// The name of a content.
pub fn content_id(data: &[u8]) -> ContentId {
    let hash: [u8; 32] = Sha256::digest(data).into();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    id
}

impl Flood {
    /// Counts a message that came over `link`; true if it is new.
    pub fn received(&mut self, content: ContentId, link: PeerId, now: Instant) -> bool {
        let count = self.count(content, Some(link), now);
        let elsewhere = self.contents.get(&content).map_or(0, |counts| counts.highest_but(link));
        count > elsewhere
    }

    /// Counts a message of our own, so that it is not new when a flood brings it back. Old peers
    /// never send a message back to where it came from: what went to `only` one peer and comes
    /// from there is that peer's own.
    pub fn sent(&mut self, content: ContentId, only: Option<PeerId>, now: Instant) {
        self.count(content, None, now);
        if let (Some(peer), Some(counts)) = (only, self.contents.get_mut(&content)) {
            counts.direct = match counts.direct {
                Some((known, count)) if known == peer => Some((peer, count.saturating_add(1))),
                Some(other) => Some(other),
                None => Some((peer, 1)),
            };
        }
    }

    /// Contents remembered now.
    pub fn len(&self) -> usize {
        self.contents.len()
    }

    pub fn is_empty(&self) -> bool {
        self.contents.is_empty()
    }

    fn count(&mut self, content: ContentId, link: Option<PeerId>, now: Instant) -> u32 {
        self.forget(now);
        let counts = self.contents.entry(content).or_insert_with(|| {
            self.order.push_back((now, content));
            Counts::default()
        });
        if let Some((_, count)) = counts.links.iter_mut().find(|(known, _)| *known == link) {
            *count = count.saturating_add(1);
            return *count;
        }
        if counts.links.len() >= FLOOD_LINKS {
            // A link too many counts as a copy: 0 exceeds nothing.
            return 0;
        }
        counts.links.push((link, 1));
        1
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, content)) = self.order.front().copied() {
            if self.order.len() <= FLOOD_CONTENTS && now.saturating_duration_since(at) < FLOOD_MEMORY {
                break;
            }
            self.order.pop_front();
            self.contents.remove(&content);
        }
    }
}

impl Counts {
    fn highest_but(&self, link: PeerId) -> u32 {
        let direct = self.direct.map_or(0, |(peer, count)| if peer == link { count } else { 0 });
        let others = self.links.iter().filter(|(other, _)| *other != Some(link));
        others
            .map(|(other, count)| if other.is_none() { count.saturating_sub(direct) } else { *count })
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;
    use std::time::Duration;

    const A: PeerId = PeerId(1);
    const B: PeerId = PeerId(2);

    #[test]
    fn copies_over_other_links_are_not_new_but_repeats_are() {
        let (mut flood, now, hi) = (Flood::default(), Instant::now(), content_id(b"hi"));
        assert!(flood.received(hi, A, now));
        assert!(!flood.received(hi, B, now), "forwarded by B");
        assert!(flood.received(hi, A, now), "A said it again");
        assert!(!flood.received(hi, B, now));
        assert!(flood.received(hi, B, now), "B says it a third time, A only twice");
    }

    #[test]
    fn our_own_message_that_comes_back_is_not_new() {
        let (mut flood, now, hi) = (Flood::default(), Instant::now(), content_id(b"hi"));
        flood.sent(hi, None, now);
        assert!(!flood.received(hi, A, now));
        assert!(flood.received(hi, A, now));
    }

    #[test]
    fn an_answer_with_our_own_words_is_new_where_it_was_addressed_to() {
        let (mut flood, now, ping) = (Flood::default(), Instant::now(), content_id(b"ping"));
        flood.sent(ping, Some(A), now);
        assert!(flood.received(ping, A, now), "A echoes it");
        assert!(!flood.received(ping, B, now), "A forwarded it to B");
    }

    #[test]
    fn memory_is_bounded_in_time_and_number() {
        let (mut flood, start) = (Flood::default(), Instant::now());
        assert!(flood.received(content_id(b"hi"), A, start));
        assert!(flood.received(content_id(b"hi"), B, start + FLOOD_MEMORY), "forgotten after ten minutes");
        for n in 0..3 * FLOOD_CONTENTS {
            flood.received(content_id(&n.to_be_bytes()), A, start + FLOOD_MEMORY + Duration::from_secs(1));
        }
        assert!(flood.len() <= FLOOD_CONTENTS + 1);
    }
}
